//! The stand-in itself, on the wire: what each fault looks like, that it keeps no state of a
//! conversation, that it understands what the real programs send, and that it ends when it is told.

#![expect(clippy::unwrap_used, reason = "a test")]

mod standin;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standin::scenario::{Kind, Scenario, Step, bash, fault, fault_times, http, http_after, say, write};
use standin::{Protocol, Request, Standin};

/// No answer takes longer, but one that stalls.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A stalled answer is looked at for so long.
const STALL_LOOK: Duration = Duration::from_millis(200);

fn connect(standin: &Standin) -> TcpStream {
    let stream = TcpStream::connect(standin.url().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    stream
}

fn send(mut stream: &TcpStream, path: &str, body: &str) {
    let head = format!("POST {path} HTTP/1.1\r\nhost: standin\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
}

/// Everything that is answered.
fn ask(standin: &Standin, path: &str, body: &Value) -> String {
    let mut stream = connect(standin);
    send(&stream, path, &body.to_string());
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// A conversation of Chat Completions that has come to `done` calls.
fn chat(prompt: &str, done: usize, stream: bool) -> Value {
    let parameters = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    let mut messages = vec![json!({"role": "user", "content": prompt})];
    for number in 1..=done {
        let id = format!("call_standin_{number}");
        let function = json!({"name": "bash", "arguments": "{}"});
        let call = json!({"id": id, "type": "function", "function": function});
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "."}));
    }
    let tool = json!({"type": "function", "function": {"name": "bash", "parameters": parameters}});
    json!({"model": "standin", "messages": messages, "tools": [tool], "stream": stream})
}

const CHAT: &str = "/v1/chat/completions";

fn body_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
fn a_scenario_is_plain_data() {
    let text = r#"
        default = "Hm."
        usage = { input = 7, output = 2 }
        [[rules]]
        when = "T001"
        steps = [
          { say = "I look." }, { bash = "ls" }, { write = { path = "a", content = "b" } },
          { call = { tool = "x", arguments = { y = 1 } } },
          { fault = { kind = { http = { status = 429, retry_after = 1 } }, times = 2 } },
          { fault = { kind = "stalled" } },
        ]
    "#;
    let read: Scenario = toml::from_str(text).unwrap();
    let call = Step::Call { tool: "x".to_owned(), arguments: json!({"y": 1}) };
    let steps = [
        say("I look."),
        bash("ls"),
        write("a", "b"),
        call,
        fault_times(http_after(429, 1), 2),
        fault(Kind::Stalled),
    ];
    let mut wanted = Scenario { default: "Hm.".to_owned(), ..Scenario::default() }.rule("T001", steps);
    (wanted.usage.input, wanted.usage.cached, wanted.usage.output) = (7, 200, 2);
    assert_eq!(read, wanted);
    let json = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Scenario>(&json).unwrap(), wanted);
    assert!(toml::from_str::<Scenario>("rule = 1").is_err());
}

#[test]
fn a_conversation_goes_on_with_another_stand_in() {
    let scenario = || Scenario::default().rule("T1", [bash("one"), bash("two"), say("Done.")]);
    let asked = |done: usize| {
        let standin = Standin::start(scenario());
        let answer = body_of(&ask(&standin, CHAT, &chat("do T1", done, false)));
        let message = answer["choices"][0]["message"].clone();
        let call = message["tool_calls"][0]["function"]["arguments"].as_str().map(str::to_owned);
        call.or_else(|| message["content"].as_str().map(str::to_owned)).unwrap()
    };
    assert_eq!([asked(0), asked(1), asked(2)], [r#"{"command":"one"}"#, r#"{"command":"two"}"#, "Done."]);
}

#[test]
fn a_fault_goes_away_after_its_times() {
    let steps = [fault_times(http_after(429, 7), 2), say("Done.")];
    let standin = Standin::start(Scenario::default().rule("T1", steps));
    let codes: Vec<bool> =
        (0..3).map(|_| ask(&standin, CHAT, &chat("T1", 0, true)).starts_with("HTTP/1.1 429 ")).collect();
    assert_eq!(codes, [true, true, false]);
    assert!(ask(&standin, CHAT, &chat("T1 of another", 0, true)).contains("\r\nretry-after: 7\r\n"));
}

#[test]
fn statuses_have_the_words_of_their_provider() {
    let mut scenario = Scenario::default();
    for status in [401, 402, 429, 500, 529] {
        scenario = scenario.rule(&format!("<{status}>"), [fault(http(status))]);
    }
    let kind = Kind::Http {
        status: 418,
        retry_after: None,
        headers: [("x-why".to_owned(), "tea".to_owned())].into(),
        body: Some("short and stout".to_owned()),
    };
    let standin = Standin::start(scenario.rule("<own>", [fault(kind)]));
    let kinds = [401, 402, 429, 500, 529].map(|status| {
        let message = json!({"role": "user", "content": format!("<{status}>")});
        let tool = json!({"name": "bash", "input_schema": {}});
        let body = json!({"model": "m", "messages": [message], "tools": [tool]});
        let answer = ask(&standin, "/v1/messages", &body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        body_of(&answer)["error"]["type"].as_str().unwrap().to_owned()
    });
    let wanted =
        ["authentication_error", "billing_error", "rate_limit_error", "api_error", "overloaded_error"];
    assert_eq!(kinds, wanted);
    let own = ask(&standin, CHAT, &chat("<own>", 0, false));
    assert!(own.starts_with("HTTP/1.1 418 ") && own.contains("\r\nx-why: tea\r\n"), "{own}");
    assert!(own.ends_with("\r\n\r\nshort and stout"), "{own}");
}

#[test]
fn broken_answers_break_where_they_should() {
    let scenario = Scenario::default()
        .rule("dropped", [fault(Kind::Dropped)])
        .rule("truncated", [fault(Kind::Truncated)])
        .rule("malformed", [fault(Kind::Malformed)])
        .rule("whole", [say("All of it.")]);
    let standin = Standin::start(scenario);
    for stream in [false, true] {
        let asked = |name: &str| ask(&standin, CHAT, &chat(name, 0, stream));
        assert_eq!(asked("dropped"), "");
        let cut = asked("truncated");
        assert!(cut.starts_with("HTTP/1.1 200 ") && !cut.ends_with("0\r\n\r\n"), "{cut}");
        let data = |text: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix("data: ").map(str::to_owned));
            lines.filter(|line| line != "[DONE]").collect::<Vec<_>>()
        };
        let wrong = |text: &str| {
            let lines = data(text).into_iter();
            lines.filter(|line| serde_json::from_str::<Value>(line).is_err()).count()
        };
        let (malformed, whole) = (asked("malformed"), asked("whole"));
        if stream {
            assert_eq!((wrong(&malformed), wrong(&whole)), (1, 0), "{malformed}");
            assert!(malformed.ends_with("0\r\n\r\n") && whole.ends_with("0\r\n\r\n"), "{malformed}");
        } else {
            let (_, body) = malformed.split_once("\r\n\r\n").unwrap();
            assert!(serde_json::from_str::<Value>(body).is_err(), "{malformed}");
        }
    }
}

#[test]
fn a_stalled_answer_ends_with_the_stand_in() {
    let standin = Standin::start(Scenario::default().rule("T1", [fault(Kind::Stalled)]));
    let mut stream = connect(&standin);
    send(&stream, CHAT, &chat("T1", 0, true).to_string());
    let mut first = [0; 16];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK\r");
    stream.set_read_timeout(Some(STALL_LOOK)).unwrap();
    let mut rest = Vec::new();
    let error = stream.read_to_end(&mut rest).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    let begun = Instant::now();
    drop(standin);
    assert!(begun.elapsed() < ANSWER_MAX);
    stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    assert_eq!(stream.read_to_end(&mut rest).unwrap(), 0);
}

#[test]
fn what_programs_ask_before_they_begin_is_answered() {
    let standin = Standin::start(Scenario::default());
    for (line, wanted) in [
        ("HEAD / HTTP/1.1", "HTTP/1.1 200 "),
        ("GET /v1/models?limit=3 HTTP/1.1", "\"id\":\"standin\""),
        ("GET /v1beta/models HTTP/1.1", "\"name\":\"models/standin\""),
    ] {
        let mut stream = connect(&standin);
        stream.write_all(format!("{line}\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(wanted), "{line}: {answer}");
    }
    // A body may come in pieces of unknown number.
    let mut stream = connect(&standin);
    let body = chat("hello", 0, false).to_string();
    let (first, second) = body.split_at(10);
    let head = format!("POST {CHAT} HTTP/1.1\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n");
    let pieces = format!("a\r\n{first}\r\n{:x};x=y\r\n{second}\r\n0\r\n\r\n", second.len());
    stream.write_all((head + &pieces).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 100 ") && answer.contains("Nothing to do."), "{answer}");
    assert_eq!(standin.failures(), Vec::<String>::new());
    assert_eq!(standin.count(), 1);
}

#[test]
fn what_is_not_understood_is_told() {
    let standin = Standin::start(Scenario::default().rule("T1", [bash("ls")]));
    assert!(ask(&standin, "/v2/x", &json!({})).starts_with("HTTP/1.1 404 "));
    let mut stream = connect(&standin);
    send(&stream, CHAT, "{oh");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let mut body = chat("T1", 0, false);
    body["tools"][0]["function"]["name"] = json!("look");
    assert!(ask(&standin, CHAT, &body).contains("no tool that runs a command is declared; there are: look"));
    let mut long = connect(&standin);
    // More than any head; the server may hang up before all of it is sent.
    let _ = long.write_all(format!("POST {CHAT} HTTP/1.1\r\nx: {}", "y".repeat(100_000)).as_bytes());
    let mut nothing = Vec::new();
    assert!(long.read_to_end(&mut nothing).map_or(true, |count| count == 0));
    let failures = standin.failures();
    let known = ["/v2/x is not known", "the body is no JSON", "no tool that runs", "the head"];
    let missing = known.iter().filter(|known| !failures.iter().any(|failure| failure.contains(*known)));
    assert_eq!(missing.count(), 0, "{failures:?}");
    // Only what could be read is a request for an answer.
    assert_eq!(standin.count(), 1);
}

#[test]
fn what_the_programs_send_is_understood() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standin/requests");
    let mut seen = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let request: Request = serde_json::from_str(&text).unwrap();
        // As it was recorded: in the middle of the conversation, with one call that has its result.
        let second = Step::Call { tool: "the_second".to_owned(), arguments: json!({}) };
        let steps = [bash("first"), second, say("Done.")];
        let standin = Standin::start(Scenario::default().rule("TASK success", steps));
        let query = if request.protocol == Protocol::Gemini { "?alt=sse" } else { "" };
        let answer = ask(&standin, &format!("{}{query}", request.path), &request.body);
        let shown = path.display();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("the_second"), "{shown}: {answer}");
        assert_eq!(standin.requests(), std::slice::from_ref(&request), "{shown}");
        assert_eq!(request.user, "TASK success: write hello.txt", "{shown}");
        let recorded: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), recorded, "{shown}");
        seen.push(request.protocol);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, [Protocol::Messages, Protocol::Chat, Protocol::Responses, Protocol::Gemini]);
}
