//! Rules of made-up programs; the recorded streams of real ones are read where their adapters are.

use super::*;
use crate::config::CliKeys;
use proptest::prelude::*;

const KEYS: &str = r#"
session = { when = "type=begin", at = "id" }
done = { when = "type=end ok=true" }
usage = { when = "type=end", mode = "MODE", input = "use.in", output = "use.out", cost = "use.cost" }
[headless]
stream = "jsonl"
[[show]]
when = "type=say"
each = "blocks"
item = "kind=text"
text = "text"
as = "text"
[[show]]
when = "type=tool"
text = "name"
as = "tool"
[[fail]]
when = "type=end ok!=true"
text = "why"
[[fail]]
when = "type=end denied"
text = "denied.0"
class = "denied"
[[fail]]
pattern = "(?i)fatal: "
[[class]]
pattern = "401|not signed in"
is = "auth"
"#;

fn reader(mode: &str) -> Reader {
    let keys: CliKeys = toml::from_str(&KEYS.replace("MODE", mode)).unwrap();
    Reader::new(Rules::new(&keys).unwrap())
}

fn read(mode: &str, lines: &str) -> (Vec<Shown>, Told) {
    let mut reader = reader(mode);
    let mut shown = reader.out(lines.as_bytes());
    shown.extend(reader.end());
    (shown, reader.told().clone())
}

fn failure(lines: &str) -> (Trouble, String) {
    let failure = read("last", lines).1.failure.unwrap();
    (failure.class, failure.text)
}

#[test]
fn a_good_run() {
    let (shown, told) = read(
        "last",
        r#"{"type":"begin","id":"s-1"}
warning: slow
{"type":"say","blocks":[{"kind":"text","text":"hello\nyou\u001b[2J"},{"kind":"tool","text":"no"}]}
{"type":"tool","name":"bash"}
{"type":"end","ok":true,"use":{"in":10,"out":2,"cost":0.5}}"#,
    );
    let said: Vec<_> = shown.iter().map(|shown| (shown.kind, shown.text.as_str())).collect();
    assert_eq!(said, [(ShowAs::Note, "warning: slow"), (ShowAs::Text, "hello\nyou"), (ShowAs::Tool, "bash")]);
    assert_eq!(told.session.as_deref(), Some("s-1"));
    assert_eq!(told.usage, Some(Usage { input: 10, output: 2, cached: None, cost: Some(0.5) }));
    assert!(told.done && told.failure.is_none());
}

#[test]
fn failures_are_told_apart_and_a_good_end_takes_back_what_was_before_it() {
    assert_eq!(failure(r#"{"type":"end","ok":false,"why":"HTTP 401"}"#), (Trouble::Auth, "HTTP 401".into()));
    assert_eq!(failure(r#"{"type":"end","why":"odd"}"#), (Trouble::Other, "odd".into()));
    assert_eq!(
        failure(r#"{"type":"end","ok":true,"denied":["bash"]}"#),
        (Trouble::Denied, "bash".into()),
        "a good end with something denied in it is none"
    );
    assert_eq!(failure("FATAL: not signed in\n"), (Trouble::Auth, "FATAL: not signed in".into()));
    let (_, told) = read("last", "fatal: once\n{\"type\":\"end\",\"ok\":true}\n");
    assert!(told.done && told.failure.is_none());
    assert!(!read("last", "").1.done);
}

#[test]
fn usage_is_the_last_the_sum_or_the_conversations() {
    let lines = r#"{"type":"end","use":{"in":10,"out":2}}
{"type":"end","use":{"in":7,"out":3,"cost":1.5}}
{"type":"end","use":{}}"#;
    let used = |mode| {
        let usage = read(mode, lines).1.usage.unwrap();
        (usage.input, usage.output, usage.cost)
    };
    assert_eq!(used("last"), (7, 3, Some(1.5)), "one that tells nothing is none");
    assert_eq!(used("sum"), (17, 5, Some(1.5)));
    assert_eq!(used("cumulative"), (10, 3, Some(1.5)), "it does not go backwards");
    assert_eq!(read("last", "").1.usage, None);
    let now = Usage { input: 30, output: 5, cached: Some(4), cost: Some(2.0) };
    let since = now.since(&Usage { input: 10, output: 5, cached: None, cost: Some(0.5) });
    assert_eq!(since, Usage { input: 20, output: 0, cached: Some(4), cost: Some(1.5) });
}

#[test]
fn text_has_patterns() {
    let keys: CliKeys = toml::from_str(
        r#"
usage = { pattern = 'Tokens: (?P<input>[\d.,]+[kM]?) sent, (?P<output>[\d.,]+[kM]?) received' }
[[fail]]
pattern = "AuthenticationError"
class = "auth"
"#,
    )
    .unwrap();
    let mut reader = Reader::new(Rules::new(&keys).unwrap());
    let shown = reader.out(b"hello\r\n\nTokens: 2.1k sent, 1,030 received.\n");
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0], Shown { kind: ShowAs::Text, text: "hello".into() });
    reader.err(b"litellm.AuthenticationError: no\n");
    reader.end();
    let told = reader.told();
    assert_eq!(told.usage, Some(Usage { input: 2100, output: 1030, ..Usage::default() }));
    assert_eq!(told.failure.as_ref().unwrap().class, Trouble::Auth);
    assert!(told.done, "without such an event the exit code alone tells");
}

#[test]
fn a_screen_tells_what_was_said_last_and_what_failed() {
    let keys = "interactive = { said = '^✦ (.*(?:\\n+  \\S.*)*)' }\n[[fail]]\nscreen = '^✕ '\n";
    let mut reader = Reader::new(Rules::new(&toml::from_str(keys).unwrap()).unwrap());
    let lines = |text: &str| text.lines().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(reader.said_on(&lines("> BLOCKED: no\n")), None);
    let asks = lines(
        "✦ First.\n\n✦ I need a number.\n\n  BLOCKED: which number is it\n  that you want?\n\n       ? for help\n > \n",
    );
    assert_eq!(
        reader.said_on(&asks).unwrap(),
        "I need a number.\n\nBLOCKED: which number is it that you want?"
    );
    let failed = [lines("✕ 401 Unauthorized\n > "), vec![String::new(); 40]].concat();
    reader.screen(&failed);
    assert_eq!(reader.told().failure.as_ref().unwrap().text, "✕ 401 Unauthorized");
}

#[test]
fn one_document_is_read_at_its_end() {
    let keys = |body: &str| {
        toml::from_str::<CliKeys>(&format!("headless = {{ stream = \"json\" }}\n{body}")).unwrap()
    };
    let keys = keys("[[show]]\nwhen = \"response\"\ntext = \"response\"\nas = \"text\"");
    for document in ["loading…\n{\n \"response\": \"hi\" }\nbye", "[{\"response\": \"hi\"}, 7]"] {
        let mut reader = Reader::new(Rules::new(&keys).unwrap());
        assert!(reader.out(document.as_bytes()).is_empty());
        assert_eq!(reader.end(), [Shown { kind: ShowAs::Text, text: "hi".into() }], "{document}");
    }
}

#[test]
fn a_line_without_an_end_is_bounded() {
    let mut reader = reader("last");
    for _ in 0..2_000 {
        reader.out(&[b'x'; 4096]);
    }
    assert_eq!(reader.line.bytes.len(), EVENT_BYTES_MAX);
    assert_eq!(reader.end()[0].text, "(a line of 8192000 bytes)");
}

#[test]
fn rules_that_cannot_be_read_are_named() {
    let keys: CliKeys = toml::from_str("[[class]]\npattern = \"(\"\nis = \"auth\"").unwrap();
    assert_eq!(
        Rules::new(&keys).unwrap_err().to_string(),
        "`(` is no regular expression: error: unclosed group"
    );
}

proptest! {
    #[test]
    fn pieces_make_no_difference_and_nothing_makes_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 1_usize..20,
    ) {
        let mut whole = reader("sum");
        let mut shown = whole.out(&bytes);
        shown.extend(whole.end());
        let mut parts = reader("sum");
        let mut seen: Vec<Shown> = bytes.chunks(cut).flat_map(|piece| parts.out(piece)).collect();
        seen.extend(parts.end());
        prop_assert_eq!(&shown, &seen);
        prop_assert!(!shown.iter().any(|s| s.text.chars().any(|c| c.is_control() && c != '\n')));
    }
}
