//! `sprint agent …`: what a program says to the worker that runs it. A claim is never proof.

use std::io::Read as _;

use camino::Utf8PathBuf;

use super::args::{ActionWord, AgentCommand, VerdictArgs, VerdictWord};
use crate::agents::claim::{AgentVerdict, Claim, append};
use crate::agents::environment::TRIAGE;
use crate::domain::ids::Token;
use crate::domain::triage::Action;
use crate::error::{CliError, exit};

/// Bytes of a verdict on standard input.
const VERDICT_BYTES_MAX: u64 = 1 << 20;

/// Runs it.
///
/// # Errors
/// It is not called inside a run, or the run takes no more.
pub fn run(command: &AgentCommand) -> Result<u8, CliError> {
    let claim = match command {
        AgentCommand::Work(args) => return super::work::run(args),
        AgentCommand::Scripted(args) => return super::scripted::run(args),
        AgentCommand::Done(args) => Claim::Done { message: args.text.join(" ") },
        AgentCommand::Fail(args) => Claim::Fail { reason: said(&args.text, "the agent gave no reason") },
        AgentCommand::Blocked(args) => {
            Claim::Blocked { question: said(&args.text, "the agent gave no question") }
        }
        AgentCommand::Propose(args) => {
            Claim::Propose { action: action(args.action), text: args.text.join(" ") }
        }
        AgentCommand::Comment(args) => Claim::Comment { text: args.text.join(" ") },
        AgentCommand::Verdict(args) => verdict(args)?,
    };
    let variable = |name: &str| std::env::var(name).ok();
    if matches!(claim, Claim::Propose { .. }) && variable("SPRINT_STAGE").as_deref() != Some(TRIAGE) {
        return Err(CliError::refused("only the manager's agent proposes")
            .hint("say how your task stands with `sprint agent done`, `fail` or `blocked`"));
    }
    let (dir, token) = own_run(variable)?;
    append(&dir, &token, claim)
        .map_err(|error| {
            CliError::environment("the claim cannot be recorded")
                .because(error)
                .hint("print it as a line of its own instead: BLOCKED: …, TASK_COMPLETE, EVIDENCE: …, FINDING: …, VERDICT: …, PROPOSE: …")
        })?;
    Ok(exit::DONE)
}

/// A verdict as it was typed, or as JSON on standard input.
fn verdict(args: &VerdictArgs) -> Result<Claim, CliError> {
    let Some(word) = args.verdict else { return verdict_of_json(std::io::stdin().lock()) };
    Ok(Claim::Verdict {
        verdict: match word {
            VerdictWord::Pass => AgentVerdict::Pass,
            VerdictWord::Fail => AgentVerdict::Fail,
        },
        message: args.text.join(" "),
        evidence: args.evidence.clone(),
        findings: args.finding.clone(),
    })
}

fn verdict_of_json(input: impl std::io::Read) -> Result<Claim, CliError> {
    let mut text = String::new();
    input
        .take(VERDICT_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| CliError::usage("standard input cannot be read").because(error))?;
    let mut value: serde_json::Value = serde_json::from_str(&text).map_err(bad_verdict)?;
    if let Some(table) = value.as_object_mut() {
        table.insert("claim".to_owned(), "verdict".into());
    }
    serde_json::from_value(value).map_err(bad_verdict)
}

fn bad_verdict(error: serde_json::Error) -> CliError {
    CliError::usage("standard input holds no verdict").because(error).hint(
        r#"write {"verdict": "pass" or "fail", "message": "…", "evidence": ["…"], "findings": [{"path", "line", "severity", "message"}]}"#,
    )
}

fn action(word: ActionWord) -> Action {
    match word {
        ActionWord::Answer => Action::Answer,
        ActionWord::Split => Action::Split,
        ActionWord::Retry => Action::Retry,
        ActionWord::Skip => Action::Skip,
    }
}

fn said(words: &[String], otherwise: &str) -> String {
    let text = words.join(" ");
    if text.trim().is_empty() { otherwise.to_owned() } else { text }
}

/// The run that this process belongs to, as its worker has told it.
pub(super) fn own_run(variable: impl Fn(&str) -> Option<String>) -> Result<(Utf8PathBuf, Token), CliError> {
    let outside = || {
        CliError::refused("this is not inside a run of sprint's")
            .hint("`sprint agent` and `sprint mcp` are for the programs that sprint runs: they read SPRINT_RUN_DIR and SPRINT_TOKEN")
    };
    let dir = variable("SPRINT_RUN_DIR")
        .map(Utf8PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .ok_or_else(outside)?;
    let token = variable("SPRINT_TOKEN").and_then(|token| Token::parse(&token).ok()).ok_or_else(outside)?;
    if !dir.is_dir() {
        return Err(CliError::refused("this run is over").hint("end the program"));
    }
    Ok((dir, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_typed_in_any_order() {
        use clap::Parser as _;
        let typed = |line: &str| {
            let words = line.split(' ').map(|word| word.replace('_', " "));
            let cli = super::super::args::Cli::try_parse_from(words).map_err(|error| error.to_string())?;
            match cli.command {
                super::super::args::Command::Agent(AgentCommand::Verdict(args)) => {
                    verdict(&args).map_err(|error| error.to_string())
                }
                _ => Err("another command".to_owned()),
            }
        };
        let wanted = typed(
            "sprint agent verdict fail --evidence a.py --finding a.py:3:high:wrong_so --evidence b.py not yet",
        );
        let Ok(Claim::Verdict { verdict: AgentVerdict::Fail, message, evidence, findings }) = &wanted else {
            panic!("{wanted:?}")
        };
        assert_eq!((message.as_str(), evidence.len(), findings[0].line), ("not yet", 2, 3));
        let other = typed(
            "sprint agent verdict fail not yet --evidence a.py --evidence b.py --finding a.py:3:high:wrong_so",
        );
        assert_eq!(other, wanted);
        assert!(matches!(typed("sprint agent verdict pass"), Ok(Claim::Verdict { .. })));
        assert!(
            typed("sprint agent verdict pass -- -x").is_ok()
                && typed("sprint agent verdict pass -x").is_err()
        );
        assert!(typed("sprint agent verdict").is_err() && typed("sprint agent verdict pass --json").is_err());
        assert!(
            typed("sprint agent verdict fail --finding nonsense")
                .unwrap_err()
                .contains("path:line:severity:text")
        );
    }

    #[test]
    fn a_verdict_may_come_as_json() {
        let json = r#"{"verdict":"fail","message":"no","evidence":["a.py"],"findings":[{"path":"a.py","line":2,"severity":"low","message":"x"}]}"#;
        let Claim::Verdict { verdict, evidence, findings, .. } = verdict_of_json(json.as_bytes()).unwrap()
        else {
            panic!()
        };
        assert_eq!((verdict, evidence.len(), findings[0].line), (AgentVerdict::Fail, 1, 2));
        for wrong in ["", "[]", r#"{"verdict":"maybe"}"#] {
            assert_eq!(verdict_of_json(wrong.as_bytes()).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn only_inside_a_run() {
        assert_eq!(own_run(|_| None).unwrap_err().exit_code(), 4);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap().to_owned();
        let own = |name: &str| match name {
            "SPRINT_RUN_DIR" => Some(path.clone()),
            _ => Some("a".repeat(64)),
        };
        assert!(own_run(own).is_ok());
        dir.close().unwrap();
        assert_eq!(own_run(own).unwrap_err().message, "this run is over");
    }
}
