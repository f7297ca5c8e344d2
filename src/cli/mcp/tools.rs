//! The tools by name: what a model is told of them, and what they take. Pure.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::agents::claim::{AgentVerdict, Claim, ClaimedFinding, FINDINGS_MAX};
use crate::domain::triage::Action;

/// Names of gates in one call.
const GATES_MAX: usize = 100;

/// What a model asks for, read and within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// The task of the run.
    Task,
    /// What else is in flight.
    Peers,
    /// Gates by name; all where none is named.
    Gates(Vec<String>),
    /// A claim for the worker.
    Claim(Claim),
}

/// Reads a call. `None`: there is no such tool; the inner error tells the model what to change.
pub(super) fn read(name: &str, arguments: Map<String, Value>) -> Option<Result<Asked, String>> {
    Some(match name {
        "task_show" => nothing(arguments).map(|()| Asked::Task),
        "peers" => nothing(arguments).map(|()| Asked::Peers),
        "gates_run" => parse::<Gates>(arguments).and_then(gates),
        "task_done" => {
            parse::<Done>(arguments).map(|done| Asked::Claim(Claim::Done { message: done.message }))
        }
        "task_blocked" => parse::<Blocked>(arguments)
            .and_then(|blocked| said("question", blocked.question))
            .map(|question| Asked::Claim(Claim::Blocked { question })),
        "propose" => parse::<Proposed>(arguments)
            .and_then(|given| said("text", given.text).map(|text| (given.action, text)))
            .map(|(action, text)| Asked::Claim(Claim::Propose { action, text })),
        "comment" => parse::<Comment>(arguments)
            .and_then(|comment| said("text", comment.text))
            .map(|text| Asked::Claim(Claim::Comment { text })),
        "verdict" => parse::<Judged>(arguments).and_then(verdict).map(Asked::Claim),
        _ => return None,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blocked {
    question: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Comment {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposed {
    action: Action,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gates {
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    #[serde(rename = "verdict")]
    word: AgentVerdict,
    #[serde(default)]
    message: String,
    #[serde(default)]
    evidence: Vec<String>,
    #[serde(default)]
    findings: Vec<ClaimedFinding>,
}

/// The one place that knows what a claimed verdict is made of.
fn verdict(given: Judged) -> Result<Claim, String> {
    if given.findings.len() > FINDINGS_MAX {
        return Err(format!("a verdict takes {FINDINGS_MAX} findings at most; name the gravest"));
    }
    let Judged { word: verdict, message, evidence, findings } = given;
    Ok(Claim::Verdict { verdict, message, evidence, findings })
}

fn verdict_schema() -> Value {
    let finding = object(
        &json!({
            "path": text("The file, relative to the repository"),
            "line": {"type": "integer", "minimum": 0, "description": "From 1; 0 for none"},
            "severity": {"type": "string", "enum": ["critical", "high", "medium", "low", "info"],
                "description": "Critical and high send the task back, the rest is recorded"},
            "message": text("What is wrong, and what to do"),
        }),
        &["message"],
    );
    object(
        &json!({
            "verdict": {"type": "string", "enum": ["pass", "fail"]},
            "message": text("The judgement in a sentence"),
            "evidence": {"type": "array", "items": text("What was looked at: a file, a scenario, a command")},
            "findings": {"type": "array", "maxItems": FINDINGS_MAX, "items": finding},
        }),
        &["verdict"],
    )
}

fn gates(given: Gates) -> Result<Asked, String> {
    if given.names.len() > GATES_MAX {
        return Err(format!("name {GATES_MAX} gates at most, or none for all"));
    }
    Ok(Asked::Gates(given.names))
}

fn nothing(arguments: Map<String, Value>) -> Result<(), String> {
    parse::<Nothing>(arguments).map(|Nothing {}| ())
}

fn said(what: &str, text: String) -> Result<String, String> {
    if text.trim().is_empty() { Err(format!("`{what}` is empty")) } else { Ok(text) }
}

fn parse<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| format!("the arguments: {error}"))
}

/// All of them, as they are declared to the program.
pub(super) fn declared() -> Vec<Tool> {
    let none = || object(&json!({}), &[]);
    let message = json!({"message": text("What you did, in a few words")});
    let question = json!({"question": text("The question; say what you would choose, and why")});
    let remark = json!({"text": text("The remark")});
    let names = json!({"names": {
        "type": "array", "maxItems": GATES_MAX, "items": {"type": "string"},
        "description": "Only these gates; without it all of them",
    }});
    vec![
        reads(
            "task_show",
            "The task of this run: its text, story and acceptance scenarios, its paths, the \
              attempt, and what was wrong with the attempt before.",
            none(),
        ),
        reads(
            "peers",
            "What others are working on in this feature now, with the paths of their tasks.",
            none(),
        ),
        says(
            "gates_run",
            "Runs the checks that will judge this work on the worktree as it is, uncommitted \
             changes included: a verdict for each, with findings. It may take minutes.",
            object(&names, &[]),
        ),
        says(
            "task_done",
            "Says that the task is finished. End your turn after it. The work itself is \
             checked: it needs a change in the worktree.",
            object(&message, &[]),
        ),
        says(
            "task_blocked",
            "Asks a person a question that you cannot go on without. End your turn after \
             it; you go on with the answer.",
            object(&question, &["question"]),
        ),
        says(
            "comment",
            "Leaves a remark in the history of the sprint, for people.",
            object(&remark, &["text"]),
        ),
        says(
            "verdict",
            "Gives the judgement of a reviewer, where you were asked for one. End your turn \
             after it.",
            verdict_schema(),
        ),
    ]
}

/// What the manager says; nobody else is told of it.
pub(super) fn declared_to_manager() -> Vec<Tool> {
    let proposal = json!({
        "action": {"type": "string", "enum": ["answer", "split", "retry", "skip"]},
        "text": text("The answer, the advice for another go, the reason, or lines for tasks.md"),
    });
    let propose = says(
        "propose",
        "Proposes what to do about the task. A person decides. End your turn after it.",
        object(&proposal, &["action", "text"]),
    );
    let looks = |tool: &Tool| matches!(&*tool.name, "task_show" | "peers" | "comment");
    declared().into_iter().filter(looks).chain([propose]).collect()
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn reads(name: &'static str, description: &'static str, schema: Value) -> Tool {
    tool(name, description, schema, true)
}

fn says(name: &'static str, description: &'static str, schema: Value) -> Tool {
    tool(name, description, schema, false)
}

/// Nothing here destroys anything or reaches beyond this run: programs ask their person about
/// tools that might.
fn tool(name: &'static str, description: &'static str, schema: Value, read_only: bool) -> Tool {
    let Value::Object(schema) = schema else { unreachable!("a schema is an object") };
    let hints = ToolAnnotations::new().read_only(read_only).destructive(false).open_world(false);
    Tool::new(name, description, Arc::new(schema)).with_annotations(hints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::Severity;

    fn asked(name: &str, arguments: Value) -> Result<Asked, String> {
        let Value::Object(arguments) = arguments else { unreachable!() };
        read(name, arguments).unwrap()
    }

    #[test]
    fn the_tools_as_a_model_sees_them() {
        insta::assert_json_snapshot!(declared());
        insta::assert_json_snapshot!("the_managers_own", declared_to_manager().last());
    }

    #[test]
    fn every_declared_tool_is_read() {
        for tool in declared().into_iter().chain(declared_to_manager()) {
            assert!(read(&tool.name, Map::new()).is_some(), "{}", tool.name);
        }
        assert!(read("task_undo", Map::new()).is_none());
    }

    #[test]
    fn calls_become_claims() {
        let done = Asked::Claim(Claim::Done { message: "it".to_owned() });
        assert_eq!(asked("task_done", json!({"message": "it"})), Ok(done));
        let finding = ClaimedFinding {
            path: "a.py".to_owned(),
            line: 3,
            severity: Severity::Low,
            message: "why?".to_owned(),
        };
        let verdict = Claim::Verdict {
            verdict: AgentVerdict::Fail,
            message: String::new(),
            evidence: vec!["a.py".to_owned()],
            findings: vec![finding],
        };
        let given = json!({"verdict": "fail", "evidence": ["a.py"],
            "findings": [{"path": "a.py", "line": 3, "severity": "low", "message": "why?"}]});
        assert_eq!(asked("verdict", given), Ok(Asked::Claim(verdict)));
        assert_eq!(asked("gates_run", json!({"names": ["x"]})), Ok(Asked::Gates(vec!["x".to_owned()])));
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        for (name, arguments) in [
            ("task_done", json!({"massage": "it"})),
            ("task_blocked", json!({})),
            ("task_blocked", json!({"question": " "})),
            ("verdict", json!({"verdict": "perhaps"})),
            ("gates_run", json!({"names": "all"})),
            ("verdict", json!({"verdict": "fail", "findings": vec![json!({"message": "x"}); 101]})),
        ] {
            let error = asked(name, arguments.clone()).unwrap_err();
            assert!(!error.is_empty() && !error.contains("Error("), "{name} {arguments}: {error}");
        }
    }
}
