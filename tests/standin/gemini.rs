//! Gemini: `POST /v1beta/models/MODEL:generateContent`, `:streamGenerateContent?alt=sse`,
//! `:countTokens`.

use serde_json::{Value, json};

use super::conversation::{Answer, Conversation, Event, Tool, Turn, list, pieces, text};
use super::scenario::Usage;

/// Reads a request; the model and the form of the answer are in the path.
pub(super) fn read(body: &Value, model: &str, stream: bool) -> Conversation {
    let mut turns = Vec::new();
    for content in list(body, "contents") {
        let parts = || list(content, "parts");
        if content["role"] == "model" {
            turns.extend(parts().filter(|part| part["functionCall"].is_object()).map(|_| Turn::Call));
        } else {
            // The protocol may leave out ids; in a conversation with us all calls are ours.
            turns.extend(parts().filter(|part| part["functionResponse"].is_object()).map(|_| Turn::Result));
            let said: Vec<&str> = parts().filter_map(|part| part["text"].as_str()).collect();
            turns.extend((!said.is_empty()).then(|| Turn::User(said.join("\n"))));
        }
    }
    let functions = list(body, "tools").flat_map(|tools| list(tools, "functionDeclarations"));
    let tools = functions.map(|tool| {
        let schema = ["parametersJsonSchema", "parameters"].into_iter().map(|name| &tool[name]);
        let schema = schema.into_iter().find(|schema| schema.is_object()).cloned().unwrap_or_default();
        Tool { name: text(tool, "name"), schema }
    });
    let system = list(&body["systemInstruction"], "parts").map(|part| text(part, "text"));
    Conversation {
        model: model.to_owned(),
        stream,
        usage: true,
        tools: tools.collect(),
        turns,
        system: system.collect(),
    }
}

fn response(number: usize, model: &str, parts: &[Value], last: Option<(&Answer, Usage)>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some((answer, _)) = last {
        candidate["finishReason"] = json!(if answer.refused { "SAFETY" } else { "STOP" });
    }
    let mut all = json!({
        "candidates": [candidate],
        "modelVersion": model,
        "responseId": format!("standin-{number}"),
    });
    if let Some((_, usage)) = last {
        all["usageMetadata"] = json!({
            "promptTokenCount": usage.input,
            "cachedContentTokenCount": usage.cached,
            "candidatesTokenCount": usage.output,
            "totalTokenCount": usage.input + usage.output,
        });
    }
    all
}

fn call_part(answer: &Answer) -> Option<Value> {
    let call = answer.call.as_ref()?;
    Some(json!({"functionCall": {"id": call.id, "name": call.tool, "args": call.arguments}}))
}

/// The answer as a whole.
pub(super) fn whole(number: usize, model: &str, answer: &Answer, usage: Usage) -> Value {
    let said = answer.text.iter().map(|said| json!({"text": said}));
    let parts: Vec<Value> = said.chain(call_part(answer)).collect();
    response(number, model, &parts, Some((answer, usage)))
}

/// The answer as a stream.
pub(super) fn events(number: usize, model: &str, answer: &Answer, usage: Usage) -> Vec<Event> {
    let said = answer.text.iter().flat_map(|said| pieces(said)).map(|piece| json!({"text": piece}));
    let parts: Vec<Value> = said.chain(call_part(answer)).collect();
    let count = parts.len();
    let all = parts.into_iter().enumerate().map(|(index, part)| {
        let last = (index + 1 == count).then_some((answer, usage));
        Event::plain(&response(number, model, &[part], last))
    });
    all.collect()
}
