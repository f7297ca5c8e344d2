//! `sprint agent …`: what a program says to the worker that runs it. A claim is never proof.

use camino::Utf8PathBuf;

use super::args::{ActionWord, AgentCommand, VerdictWord};
use crate::agents::claim::{AgentVerdict, Claim, append};
use crate::agents::environment::TRIAGE;
use crate::domain::ids::Token;
use crate::domain::triage::Action;
use crate::error::{CliError, exit};

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
        AgentCommand::Verdict(args) => Claim::Verdict {
            verdict: match args.verdict {
                VerdictWord::Pass => AgentVerdict::Pass,
                VerdictWord::Fail => AgentVerdict::Fail,
            },
            message: args.text.join(" "),
            findings: Vec::new(),
        },
    };
    let variable = |name: &str| std::env::var(name).ok();
    if matches!(claim, Claim::Propose { .. }) && variable("SPRINT_STAGE").as_deref() != Some(TRIAGE) {
        return Err(CliError::refused("only the manager's agent proposes")
            .hint("say how your task stands with `sprint agent done`, `fail` or `blocked`"));
    }
    let (dir, token) = own_run(variable)?;
    append(&dir, &token, claim)
        .map_err(|error| CliError::environment("the claim cannot be recorded").because(error))?;
    Ok(exit::DONE)
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
