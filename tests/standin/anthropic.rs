//! Anthropic Messages: `POST /v1/messages`, and `/v1/messages/count_tokens`.

use serde_json::{Value, json};

use super::conversation::{Answer, Conversation, Event, Tool, Turn, is_ours, list, pieces, text, texts};
use super::scenario::Usage;

/// Reads a request.
pub(super) fn read(body: &Value) -> Conversation {
    let mut turns = Vec::new();
    for message in list(body, "messages") {
        if message["role"] == "user" {
            // Results stand before what the user adds to them.
            let results = list(message, "content").filter(|part| part["type"] == "tool_result");
            let ours = results.filter(|part| is_ours(&text(part, "tool_use_id")));
            turns.extend(ours.map(|_| Turn::Result));
            let said = texts(&message["content"]);
            turns.extend((!said.is_empty()).then(|| Turn::User(said.join("\n"))));
        } else {
            let calls = list(message, "content").filter(|part| part["type"] == "tool_use");
            turns.extend(calls.map(|_| Turn::Call));
        }
    }
    // Tools that the provider runs itself have no schema.
    let tools = list(body, "tools").filter(|tool| tool["input_schema"].is_object());
    let tools = tools.map(|tool| Tool { name: text(tool, "name"), schema: tool["input_schema"].clone() });
    Conversation {
        model: text(body, "model"),
        stream: body["stream"].as_bool().unwrap_or(false),
        usage: true,
        tools: tools.collect(),
        turns,
        system: texts(&body["system"]),
    }
}

fn usage_of(usage: Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": output,
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    match (&answer.call, answer.refused) {
        (Some(_), _) => "tool_use",
        (None, true) => "refusal",
        (None, false) => "end_turn",
    }
}

/// The answer as a whole.
pub(super) fn whole(number: usize, model: &str, answer: &Answer, usage: Usage) -> Value {
    let said = answer.text.iter().map(|said| json!({"type": "text", "text": said}));
    let calls = answer
        .call
        .iter()
        .map(|call| json!({"type": "tool_use", "id": call.id, "name": call.tool, "input": call.arguments}));
    json!({
        "id": format!("msg_standin_{number}"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": said.chain(calls).collect::<Vec<_>>(),
        "stop_reason": stop_reason(answer),
        "stop_sequence": null,
        "usage": usage_of(usage, usage.output),
    })
}

/// The answer as a stream.
pub(super) fn events(number: usize, model: &str, answer: &Answer, usage: Usage) -> Vec<Event> {
    let mut message = whole(number, model, answer, usage);
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    // At the start only what has come in is known.
    message["usage"] = usage_of(usage, 1);
    let mut all = vec![json!({"type": "message_start", "message": message}), json!({"type": "ping"})];
    let mut index = 0;
    let mut block = |start: Value, deltas: Vec<Value>| {
        all.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        let deltas = deltas.into_iter();
        all.extend(
            deltas.map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
        );
        all.push(json!({"type": "content_block_stop", "index": index}));
        index += 1;
    };
    if let Some(said) = &answer.text {
        let deltas = pieces(said).into_iter().map(|piece| json!({"type": "text_delta", "text": piece}));
        block(json!({"type": "text", "text": ""}), deltas.collect());
    }
    if let Some(call) = &answer.call {
        let arguments = pieces(&call.arguments.to_string());
        let deltas =
            arguments.into_iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        let start = json!({"type": "tool_use", "id": call.id, "name": call.tool, "input": {}});
        block(start, deltas.collect());
    }
    all.push(json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
        "usage": usage_of(usage, usage.output),
    }));
    all.push(json!({"type": "message_stop"}));
    all.iter().map(Event::typed).collect()
}
