"""The providers' own libraries against the stand-in: they validate every answer strictly.

Called by tests/standin_schema.rs with the address of a stand-in and the name of one check.
"""

import functools
import json
import sys

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

COMMAND = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
PROMPT = "TASK two steps: begin"
FIRST, LAST = "I look first.", "Done: there is nothing."
EXPECTED_COMMAND = {"command": "ls -a"}


@functools.cache
def openai_client(url, retries=0):
    return openai.OpenAI(
        base_url=url + "/v1", api_key="no-secret", max_retries=retries, _strict_response_validation=True
    )


@functools.cache
def anthropic_client(url, retries=0):
    return anthropic.Anthropic(
        base_url=url, api_key="no-secret", max_retries=retries, _strict_response_validation=True
    )


@functools.cache
def genai_client(url):
    once = genai_types.HttpRetryOptions(attempts=1)
    options = genai_types.HttpOptions(base_url=url, retry_options=once)
    return genai.Client(api_key="no-secret", http_options=options)


def chat_ask(client, messages, stream):
    tools = [{"type": "function", "function": {"name": "bash", "parameters": COMMAND}}]
    arguments = {"model": "standin", "messages": messages, "tools": tools}
    if not stream:
        return client.chat.completions.create(**arguments)
    with client.chat.completions.stream(**arguments, stream_options={"include_usage": True}) as events:
        for _ in events:
            pass
        return events.get_final_completion()


def chat(url):
    for stream in (False, True):
        client = openai_client(url)
        messages = [{"role": "user", "content": PROMPT}]
        first = chat_ask(client, messages, stream)
        message = first.choices[0].message
        assert first.choices[0].finish_reason == "tool_calls", first
        assert message.content == FIRST, first
        (call,) = message.tool_calls
        assert json.loads(call.function.arguments) == EXPECTED_COMMAND, call
        usage = first.usage
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (1000, 30, 1030), usage
        assert usage.prompt_tokens_details.cached_tokens == 200, usage
        said = {"role": "assistant", "content": message.content}
        said["tool_calls"] = [{"id": call.id, "type": "function", "function": call.function.model_dump(include={"name", "arguments"})}]
        messages += [said, {"role": "tool", "tool_call_id": call.id, "content": "."}]
        last = chat_ask(client, messages, stream)
        assert last.choices[0].finish_reason == "stop", last
        assert last.choices[0].message.content == LAST, last
    models = [model.id for model in openai_client(url).models.list()]
    assert models == ["standin"], models


def responses_ask(client, items, stream):
    tools = [{"type": "function", "name": "bash", "parameters": COMMAND, "strict": False}]
    arguments = {"model": "standin", "input": items, "tools": tools}
    if not stream:
        return client.responses.create(**arguments)
    with client.responses.stream(**arguments) as events:
        for _ in events:
            pass
        return events.get_final_response()


def responses(url):
    for stream in (False, True):
        client = openai_client(url)
        items = [{"role": "user", "content": PROMPT}]
        first = responses_ask(client, items, stream)
        assert first.output_text == FIRST, first
        (call,) = [item for item in first.output if item.type == "function_call"]
        assert json.loads(call.arguments) == EXPECTED_COMMAND, call
        assert (first.usage.input_tokens, first.usage.output_tokens) == (1000, 30), first
        items.append({"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments})
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "."})
        last = responses_ask(client, items, stream)
        assert last.output_text == LAST, last
        assert last.status == "completed", last


def messages_ask(client, messages, stream):
    tools = [{"name": "bash", "input_schema": COMMAND}]
    arguments = {"model": "standin", "max_tokens": 1000, "messages": messages, "tools": tools}
    if not stream:
        return client.messages.create(**arguments)
    with client.messages.stream(**arguments) as events:
        for _ in events:
            pass
        return events.get_final_message()


def messages(url):
    for stream in (False, True):
        client = anthropic_client(url)
        conversation = [{"role": "user", "content": PROMPT}]
        first = messages_ask(client, conversation, stream)
        assert first.stop_reason == "tool_use", first
        text, call = first.content
        assert (text.text, call.name, call.input) == (FIRST, "bash", EXPECTED_COMMAND), first
        usage = first.usage
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (800, 200, 30), usage
        said = [{"type": "text", "text": text.text}]
        said.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.input})
        result = [{"type": "tool_result", "tool_use_id": call.id, "content": "."}]
        conversation += [{"role": "assistant", "content": said}, {"role": "user", "content": result}]
        last = messages_ask(client, conversation, stream)
        assert (last.stop_reason, last.content[0].text) == ("end_turn", LAST), last
    client = anthropic_client(url)
    count = client.messages.count_tokens(model="standin", messages=[{"role": "user", "content": "x"}])
    assert count.input_tokens == 1000, count
    models = [model.id for model in client.models.list()]
    assert models == ["standin"], models


def gemini_ask(client, contents, stream):
    function = genai_types.FunctionDeclaration(name="bash", parameters_json_schema=COMMAND)
    config = genai_types.GenerateContentConfig(
        tools=[genai_types.Tool(function_declarations=[function])],
        automatic_function_calling=genai_types.AutomaticFunctionCallingConfig(disable=True),
    )
    arguments = {"model": "standin", "contents": contents, "config": config}
    if stream:
        answers = list(client.models.generate_content_stream(**arguments))
    else:
        answers = [client.models.generate_content(**arguments)]
    parts = [part for answer in answers for part in answer.candidates[0].content.parts]
    return parts, answers[-1]


def gemini(url):
    for stream in (False, True):
        client = genai_client(url)
        contents = [genai_types.Content(role="user", parts=[genai_types.Part(text=PROMPT)])]
        parts, answer = gemini_ask(client, contents, stream)
        assert "".join(part.text or "" for part in parts) == FIRST, parts
        (call,) = [part.function_call for part in parts if part.function_call]
        assert (call.name, call.args) == ("bash", EXPECTED_COMMAND), call
        usage = answer.usage_metadata
        assert (usage.prompt_token_count, usage.candidates_token_count) == (1000, 30), usage
        result = genai_types.Part.from_function_response(name="bash", response={"output": "."})
        contents += [
            genai_types.Content(role="model", parts=parts),
            genai_types.Content(role="user", parts=[result]),
        ]
        parts, answer = gemini_ask(client, contents, stream)
        assert "".join(part.text for part in parts) == LAST, parts
        assert answer.candidates[0].finish_reason == "STOP", answer
    client = genai_client(url)
    count = client.models.count_tokens(model="standin", contents="x")
    assert count.total_tokens == 1000, count


def raises(kinds, action):
    try:
        answer = action()
    except kinds as error:
        return error
    raise AssertionError(f"no {kinds}, but {answer}")


def faults(url):
    def ask(prompt):
        user = [{"role": "user", "content": prompt}]
        return (
            lambda retries=0, stream=False: messages_ask(anthropic_client(url, retries), user, stream),
            lambda retries=0, stream=False: chat_ask(openai_client(url, retries), user, stream),
            lambda retries=0, stream=False: responses_ask(openai_client(url, retries), user, stream),
        )

    statuses = {
        401: "AuthenticationError", 402: "APIStatusError", 429: "RateLimitError", 500: "InternalServerError",
        529: "InternalServerError",
    }
    for status, name in statuses.items():
        for library, one in zip((anthropic, openai, openai), ask(f"TASK status {status}"), strict=True):
            error = raises(getattr(library, name), one)
            assert error.status_code == status, error
        error = raises(genai_errors.APIError, lambda: gemini_ask(genai_client(url), f"TASK status {status}", False))
        assert error.code == status, error
    for one, text in zip(ask("TASK context"), ("prompt is too long", "context window", "context window"), strict=True):
        error = raises((anthropic.BadRequestError, openai.BadRequestError), one)
        assert text in error.message, error
    # A stand-in counts faults by the message, and libraries ask again by themselves.
    for number, name in enumerate(("messages", "chat", "responses")):
        answer = ask(f"TASK once {name}")[number](retries=1)
        assert "After all." in answer.model_dump_json(), answer
    broken = {"dropped", "truncated", "malformed"}
    for fault in sorted(broken):
        for one in ask(f"TASK {fault}"):
            raises(Exception, one)
            raises(Exception, lambda one=one: one(stream=True))
    refused, chat_refused, responses_refused = ask("TASK refusal")
    assert refused(stream=True).stop_reason == "refusal"
    assert chat_refused().choices[0].message.refusal
    assert responses_refused(stream=True).output[0].content[0].type == "refusal"


CHECKS = {"chat": chat, "responses": responses, "messages": messages, "gemini": gemini, "faults": faults}

if __name__ == "__main__":
    CHECKS[sys.argv[2]](sys.argv[1])
