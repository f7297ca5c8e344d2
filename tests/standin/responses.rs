//! `OpenAI` Responses: `POST /v1/responses`.

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
    let mut system = texts(&body["instructions"]);
    turns.extend(body["input"].as_str().map(|text| Turn::User(text.to_owned())));
    for item in list(body, "input") {
        match item["type"].as_str().unwrap_or("message") {
            "message" => match item["role"].as_str() {
                Some("user") => turns.push(Turn::User(texts(&item["content"]).join("\n"))),
                Some("system" | "developer") => system.extend(texts(&item["content"])),
                _ => {}
            },
            "function_call" | "custom_tool_call" | "local_shell_call" => turns.push(Turn::Call),
            "function_call_output" | "custom_tool_call_output" if is_ours(&text(item, "call_id")) => {
                turns.push(Turn::Result);
            }
            _ => {}
        }
    }
    let functions = list(body, "tools").filter(|tool| tool["type"] == "function");
    let tools =
        functions.map(|tool| Tool { name: text(tool, "name"), schema: tool["parameters"].clone() }).collect();
    Conversation {
        model: text(body, "model"),
        stream: body["stream"].as_bool().unwrap_or(false),
        usage: true,
        tools,
        turns,
        system,
    }
}

fn usage_of(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    })
}

fn response(number: usize, model: &str, status: &str, output: &[Value], usage: Option<Usage>) -> Value {
    json!({
        "id": format!("resp_standin_{number}"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": false,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage.map(usage_of),
    })
}

fn part(answer: &Answer, said: &str) -> Value {
    if answer.refused {
        json!({"type": "refusal", "refusal": said})
    } else {
        json!({"type": "output_text", "text": said, "annotations": []})
    }
}

fn message(number: usize, status: &str, content: &[Value]) -> Value {
    let id = format!("msg_standin_{number}");
    json!({"type": "message", "id": id, "status": status, "role": "assistant", "content": content})
}

fn function_call(call: &Call, status: &str, arguments: &str) -> Value {
    let (namespace, name) = named(call);
    let mut item = json!({
        "type": "function_call",
        "id": format!("fc_{}", call.id),
        "call_id": call.id,
        "name": name,
        "arguments": arguments,
        "status": status,
    });
    if let Some(namespace) = namespace {
        item["namespace"] = json!(namespace);
    }
    item
}

/// `NAMESPACE/NAME` is a tool of a namespace; names have no slash.
fn named(call: &Call) -> (Option<&str>, &str) {
    call.tool.split_once('/').map_or((None, &call.tool), |(namespace, name)| (Some(namespace), name))
}

/// The answer as a whole.
pub(super) fn whole(number: usize, model: &str, answer: &Answer, usage: Usage) -> Value {
    let said = answer.text.as_deref().map(|said| message(number, "completed", &[part(answer, said)]));
    let call = answer.call.as_ref().map(|call| function_call(call, "completed", &call.arguments.to_string()));
    let output: Vec<Value> = said.into_iter().chain(call).collect();
    response(number, model, "completed", &output, Some(usage))
}

/// The answer as a stream.
pub(super) fn events(number: usize, model: &str, answer: &Answer, usage: Usage) -> Vec<Event> {
    let started = response(number, model, "in_progress", &[], None);
    let mut all = vec![
        json!({"type": "response.created", "response": started}),
        json!({"type": "response.in_progress", "response": started}),
    ];
    let mut index = 0;
    if let Some(said) = &answer.text {
        all.extend(said_events(number, index, answer, said));
        index += 1;
    }
    if let Some(call) = &answer.call {
        all.extend(call_events(index, call));
    }
    all.push(json!({"type": "response.completed", "response": whole(number, model, answer, usage)}));
    numbered(all)
}

/// The model's failure, as a stream that has begun well.
pub(super) fn failed(number: usize, model: &str, code: &str, text: &str) -> Vec<Event> {
    let started = response(number, model, "in_progress", &[], None);
    let mut failed = response(number, model, "failed", &[], None);
    failed["error"] = json!({"code": code, "message": text});
    numbered(vec![
        json!({"type": "response.created", "response": started}),
        json!({"type": "response.failed", "response": failed}),
    ])
}

fn numbered(all: Vec<Value>) -> Vec<Event> {
    let numbered = all.into_iter().enumerate().map(|(sequence, mut event)| {
        event["sequence_number"] = json!(sequence);
        Event::typed(&event)
    });
    numbered.collect()
}

fn said_events(number: usize, index: usize, answer: &Answer, said: &str) -> Vec<Value> {
    let kind = if answer.refused { "refusal" } else { "output_text" };
    let id = format!("msg_standin_{number}");
    let place = |mut event: Value| {
        event["item_id"] = json!(id);
        event["output_index"] = json!(index);
        event["content_index"] = json!(0);
        if kind == "output_text" && event["type"].as_str().is_some_and(|name| name.contains("output_text")) {
            event["logprobs"] = json!([]);
        }
        event
    };
    let item = |name: &str, item: Value| json!({"type": name, "output_index": index, "item": item});
    let mut all = vec![
        item("response.output_item.added", message(number, "in_progress", &[])),
        place(json!({"type": "response.content_part.added", "part": part(answer, "")})),
    ];
    for piece in pieces(said) {
        all.push(place(json!({"type": format!("response.{kind}.delta"), "delta": piece})));
    }
    let field = if answer.refused { "refusal" } else { "text" };
    all.push(place(json!({"type": format!("response.{kind}.done"), field: said})));
    all.push(place(json!({"type": "response.content_part.done", "part": part(answer, said)})));
    all.push(item("response.output_item.done", message(number, "completed", &[part(answer, said)])));
    all
}

fn call_events(index: usize, call: &Call) -> Vec<Value> {
    let arguments = call.arguments.to_string();
    let id = format!("fc_{}", call.id);
    let item = |name: &str, item: Value| json!({"type": name, "output_index": index, "item": item});
    let mut all = vec![item("response.output_item.added", function_call(call, "in_progress", ""))];
    for piece in pieces(&arguments) {
        all.push(json!({
            "type": "response.function_call_arguments.delta",
            "item_id": id,
            "output_index": index,
            "delta": piece,
        }));
    }
    all.push(json!({
        "type": "response.function_call_arguments.done",
        "item_id": id,
        "output_index": index,
        "name": named(call).1,
        "arguments": arguments,
    }));
    all.push(item("response.output_item.done", function_call(call, "completed", &arguments)));
    all
}
