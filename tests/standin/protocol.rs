//! The four protocols behind one face: where a request belongs, and how it is answered.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::conversation::{Answer, Conversation, Event};
use super::scenario::Usage;
use super::{anthropic, chat, gemini, responses};

/// A way to talk to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// Anthropic Messages.
    Messages,
    /// `OpenAI` Chat Completions.
    Chat,
    /// `OpenAI` Responses.
    Responses,
    /// Gemini `generateContent`.
    Gemini,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// An answer of the model; Gemini has the model and the form of the answer in the path.
    Generate { protocol: Protocol, model: String, stream: bool },
    /// How long a conversation is.
    Count(Protocol),
    /// Which models there are.
    Models(Protocol),
    /// Whether somebody is there.
    Alive,
}

/// Where a request belongs.
pub(super) fn route(method: &str, path: &str, query: &str) -> Option<Route> {
    let generate = |protocol| Some(Route::Generate { protocol, model: String::new(), stream: false });
    match (method, path) {
        ("POST", "/v1/messages") => generate(Protocol::Messages),
        ("POST", "/v1/messages/count_tokens") => Some(Route::Count(Protocol::Messages)),
        ("POST", "/v1/chat/completions") => generate(Protocol::Chat),
        ("POST", "/v1/responses") => generate(Protocol::Responses),
        ("HEAD", "/") => Some(Route::Alive),
        ("GET", "/v1/models") => Some(Route::Models(Protocol::Chat)),
        ("GET", "/v1beta/models") => Some(Route::Models(Protocol::Gemini)),
        ("POST", _) => {
            let below = ["/v1beta/models/", "/v1/models/"];
            let name = below.into_iter().find_map(|below| path.strip_prefix(below))?;
            let (model, action) = name.split_once(':')?;
            let stream = action == "streamGenerateContent";
            match action {
                "generateContent" | "streamGenerateContent" if !stream || query.contains("alt=sse") => {
                    Some(Route::Generate { protocol: Protocol::Gemini, model: model.to_owned(), stream })
                }
                "countTokens" => Some(Route::Count(Protocol::Gemini)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Reads a request for an answer.
pub(super) fn read(protocol: Protocol, body: &Value, model: &str, stream: bool) -> Conversation {
    match protocol {
        Protocol::Messages => anthropic::read(body),
        Protocol::Chat => chat::read(body),
        Protocol::Responses => responses::read(body),
        Protocol::Gemini => gemini::read(body, model, stream),
    }
}

/// The `number`th answer as a whole.
pub(super) fn whole(
    protocol: Protocol,
    number: usize,
    conversation: &Conversation,
    answer: &Answer,
    usage: Usage,
) -> Value {
    let model = &conversation.model;
    match protocol {
        Protocol::Messages => anthropic::whole(number, model, answer, usage),
        Protocol::Chat => chat::whole(number, model, answer, usage),
        Protocol::Responses => responses::whole(number, model, answer, usage),
        Protocol::Gemini => gemini::whole(number, model, answer, usage),
    }
}

/// The `number`th answer as a stream.
pub(super) fn events(
    protocol: Protocol,
    number: usize,
    conversation: &Conversation,
    answer: &Answer,
    usage: Usage,
) -> Vec<Event> {
    let model = &conversation.model;
    match protocol {
        Protocol::Messages => anthropic::events(number, model, answer, usage),
        Protocol::Chat => chat::events(number, model, answer, conversation.usage.then_some(usage)),
        Protocol::Responses => responses::events(number, model, answer, usage),
        Protocol::Gemini => gemini::events(number, model, answer, usage),
    }
}

/// A stream that says that the model has failed, where the protocol has one.
pub(super) fn failed(
    protocol: Protocol,
    number: usize,
    conversation: &Conversation,
    (code, text): (&str, &str),
) -> Option<Vec<Event>> {
    let in_stream = protocol == Protocol::Responses && conversation.stream;
    in_stream.then(|| responses::failed(number, &conversation.model, code, text))
}

/// How long a conversation is said to be.
pub(super) fn count(protocol: Protocol, usage: Usage) -> Value {
    match protocol {
        Protocol::Gemini => json!({"totalTokens": usage.input}),
        Protocol::Messages | Protocol::Chat | Protocol::Responses => json!({"input_tokens": usage.input}),
    }
}

/// The models that there are: one. Two providers share a path, so the list is readable to both.
pub(super) fn models(protocol: Protocol) -> Value {
    if protocol == Protocol::Gemini {
        let methods = ["generateContent", "countTokens"];
        return json!({"models": [{
            "name": "models/standin", "displayName": "standin", "supportedGenerationMethods": methods,
        }]});
    }
    let model = json!({
        "id": "standin", "object": "model", "type": "model", "owned_by": "standin", "created": 1_760_000_000,
        "created_at": "2025-10-09T08:53:20Z", "display_name": "standin", "lifecycle": "active",
    });
    json!({
        "object": "list", "data": [model], "has_more": false, "first_id": "standin", "last_id": "standin",
    })
}

/// What providers say, in their words.
fn words(protocol: Protocol, status: u16) -> (&'static str, &'static str) {
    match (protocol, status) {
        (Protocol::Messages, 400) => ("invalid_request_error", "The request is not valid."),
        (Protocol::Messages, 401) => ("authentication_error", "invalid x-api-key"),
        (Protocol::Messages, 402) => {
            ("billing_error", "Your credit balance is too low to access the Anthropic API.")
        }
        (Protocol::Messages, 403) => ("permission_error", "Your API key may not use this resource."),
        (Protocol::Messages, 404) => ("not_found_error", "There is no such resource."),
        (Protocol::Messages, 429) => {
            ("rate_limit_error", "This request would exceed your account's rate limit.")
        }
        (Protocol::Messages, 529) => ("overloaded_error", "Overloaded"),
        (Protocol::Messages, _) => ("api_error", "Internal server error"),
        (Protocol::Gemini, 400) => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
        (Protocol::Gemini, 401) => ("UNAUTHENTICATED", "API key not valid. Please pass a valid API key."),
        (Protocol::Gemini, 402 | 403) => {
            ("PERMISSION_DENIED", "This API method requires billing to be enabled.")
        }
        (Protocol::Gemini, 404) => ("NOT_FOUND", "There is no such model."),
        (Protocol::Gemini, 429) => ("RESOURCE_EXHAUSTED", "You exceeded your current quota."),
        (Protocol::Gemini, 503 | 529) => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        (Protocol::Gemini, _) => ("INTERNAL", "An internal error has occurred."),
        (_, 401) => ("invalid_api_key", "Incorrect API key provided."),
        (_, 402) => (
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        (_, 404) => ("not_found", "There is no such resource."),
        (_, 429) => ("rate_limit_exceeded", "Rate limit reached for requests."),
        (_, 400) => ("invalid_request", "The request is not valid."),
        (_, _) => ("server_error", "The server had an error while processing your request."),
    }
}

/// What the provider says to a conversation that is too long.
pub(super) fn too_long(protocol: Protocol) -> (&'static str, &'static str) {
    match protocol {
        Protocol::Messages => ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        Protocol::Gemini => (
            "INVALID_ARGUMENT",
            "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        Protocol::Chat | Protocol::Responses => (
            "context_length_exceeded",
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
        ),
    }
}

/// The body of an answer with a status; `said` instead of the usual kind and words.
pub(super) fn error(protocol: Protocol, status: u16, said: Option<(&str, &str)>) -> Value {
    let (kind, text) = said.unwrap_or_else(|| words(protocol, status));
    match protocol {
        Protocol::Messages => json!({"type": "error", "error": {"type": kind, "message": text}}),
        Protocol::Gemini => json!({"error": {"code": status, "message": text, "status": kind}}),
        Protocol::Chat | Protocol::Responses => {
            let class = match status {
                400..=404 => "invalid_request_error",
                429 => "rate_limit_error",
                _ => "server_error",
            };
            json!({"error": {"message": text, "type": class, "param": null, "code": kind}})
        }
    }
}
