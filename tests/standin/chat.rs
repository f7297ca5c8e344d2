//! `OpenAI` Chat Completions: `POST /v1/chat/completions`.

use serde_json::{Value, json};

use super::conversation::{
    Answer, Call, Conversation, Event, Tool, Turn, is_ours, list, pieces, text, texts,
};
use super::scenario::Usage;

/// Seconds since 1970 of everything that is answered.
const CREATED: u64 = 1_760_000_000;

/// Reads a request.
pub(super) fn read(body: &Value) -> Conversation {
    let mut turns = Vec::new();
    let mut system = Vec::new();
    for message in list(body, "messages") {
        match message["role"].as_str() {
            Some("user") => turns.push(Turn::User(texts(&message["content"]).join("\n"))),
            Some("system" | "developer") => system.extend(texts(&message["content"])),
            Some("assistant") => turns.extend(list(message, "tool_calls").map(|_| Turn::Call)),
            Some("tool") if is_ours(&text(message, "tool_call_id")) => turns.push(Turn::Result),
            _ => {}
        }
    }
    let functions = list(body, "tools").map(|tool| &tool["function"]);
    let tools =
        functions.map(|tool| Tool { name: text(tool, "name"), schema: tool["parameters"].clone() }).collect();
    Conversation {
        model: text(body, "model"),
        stream: body["stream"].as_bool().unwrap_or(false),
        usage: body["stream_options"]["include_usage"] == true,
        tools,
        turns,
        system,
    }
}

fn usage_of(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

fn finish(answer: &Answer) -> &'static str {
    match (&answer.call, answer.refused) {
        (Some(_), _) => "tool_calls",
        (None, true) => "content_filter",
        (None, false) => "stop",
    }
}

fn function(call: &Call, arguments: &str) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.tool, "arguments": arguments},
    })
}

/// The answer as a whole.
pub(super) fn whole(number: usize, model: &str, answer: &Answer, usage: Usage) -> Value {
    let (content, refusal) = if answer.refused { (&None, &answer.text) } else { (&answer.text, &None) };
    let mut message = json!({"role": "assistant", "content": content, "refusal": refusal});
    if let Some(call) = &answer.call {
        message["tool_calls"] = json!([function(call, &call.arguments.to_string())]);
    }
    json!({
        "id": format!("chatcmpl-standin-{number}"),
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish(answer)}],
        "usage": usage_of(usage),
    })
}

/// The answer as a stream; the usage, where it was asked for, is a piece of its own.
pub(super) fn events(number: usize, model: &str, answer: &Answer, usage: Option<Usage>) -> Vec<Event> {
    let chunk = |choices: Value| {
        json!({
            "id": format!("chatcmpl-standin-{number}"),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": model,
            "choices": choices,
        })
    };
    let piece = |delta: Value, reason: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]))
    };
    let mut all = vec![piece(json!({"role": "assistant", "content": ""}), None)];
    let field = if answer.refused { "refusal" } else { "content" };
    for said in answer.text.iter().flat_map(|said| pieces(said)) {
        all.push(piece(json!({field: said}), None));
    }
    if let Some(call) = &answer.call {
        let mut first = function(call, "");
        first["index"] = json!(0);
        all.push(piece(json!({"tool_calls": [first]}), None));
        for arguments in pieces(&call.arguments.to_string()) {
            let part = json!({"index": 0, "function": {"arguments": arguments}});
            all.push(piece(json!({"tool_calls": [part]}), None));
        }
    }
    all.push(piece(json!({}), Some(finish(answer))));
    if let Some(usage) = usage {
        let mut last = chunk(json!([]));
        last["usage"] = usage_of(usage);
        all.push(last);
    }
    let end = Event { name: None, data: "[DONE]".to_owned() };
    all.iter().map(Event::plain).chain([end]).collect()
}
