//! The scripts of the embedded `scripted` agent: `<feature directory>/script/<task>.toml`. Reads
//! and checks a script, and says which steps a run plays; pure. The format is described in
//! `docs/scripted.md`.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::config::duration;

/// Steps of one script.
pub const STEPS_MAX: usize = 1_000;
/// The longest that a step may wait or run.
pub const TIMEOUT_MAX: Duration = Duration::from_mins(30);
/// How long a step may wait or run if it does not say.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_mins(1);

/// A script, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// What is done, and when.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it stands, from 1.
    pub line: usize,
    /// When it is played.
    pub when: When,
    /// What it does.
    pub action: Action,
}

/// When a step is played: all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// In these attempts; empty: in all.
    pub attempts: Vec<u32>,
    /// From this attempt on.
    pub from_attempt: u32,
    /// In these stages; empty: in all.
    pub stages: Vec<String>,
    /// With feedback, or without.
    pub feedback: Option<bool>,
    /// The feedback contains this text.
    pub feedback_contains: Option<String>,
    /// With an answer, or without.
    pub answer: Option<bool>,
    /// The answer contains this text, whatever the case.
    pub answer_contains: Option<String>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Prints, labelled as a script.
    Say(String),
    /// Prints a line as it is.
    Print(String),
    /// Writes a file anew.
    Write {
        /// Relative to the worktree.
        path: String,
        /// The whole of it.
        content: String,
        /// Whether it is made executable.
        executable: bool,
    },
    /// Adds to the end of a file, which is created if it is not there.
    Append {
        /// Relative to the worktree.
        path: String,
        /// What is added.
        content: String,
    },
    /// Replaces a text that is in the file exactly once.
    Replace {
        /// Relative to the worktree.
        path: String,
        /// What is there.
        old: String,
        /// What is put there.
        new: String,
    },
    /// Deletes a file.
    Delete {
        /// Relative to the worktree.
        path: String,
    },
    /// Runs a program in the worktree, to its end.
    Run {
        /// Program and arguments; no shell.
        command: Vec<String>,
        /// The exit code that it must have.
        expect: i32,
        /// It is ended after this.
        timeout: Duration,
    },
    /// Commits everything.
    Commit(String),
    /// Waits until a file is there.
    Wait {
        /// Relative to the worktree, absolute, or `$NAME/…` with a variable of the environment.
        path: String,
        /// It fails after this.
        timeout: Duration,
    },
    /// Writes the process id.
    PidFile {
        /// As for `wait`.
        path: String,
    },
    /// Asks a question and ends.
    Blocked(String),
    /// Ends with exit code 1.
    Fail(String),
    /// Ends with exit code 2.
    Skip(String),
    /// Ends with this exit code.
    Exit(u8),
}

/// What a script decides by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Situation {
    /// `SPRINT_ATTEMPT`
    pub attempt: u32,
    /// `SPRINT_STAGE`
    pub stage: String,
    /// `SPRINT_FEEDBACK`
    pub feedback: Option<String>,
    /// `SPRINT_ANSWER`
    pub answer: Option<String>,
}

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct ScriptError {
    /// The file, as it was given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What, and what would be right.
    pub message: String,
}

impl When {
    /// Whether a step is played.
    pub fn holds(&self, situation: &Situation) -> bool {
        let contains = |text: &Option<String>, part: &Option<String>| {
            part.as_ref().is_none_or(|part| {
                text.as_ref().is_some_and(|text| text.to_lowercase().contains(&part.to_lowercase()))
            })
        };
        (self.attempts.is_empty() || self.attempts.contains(&situation.attempt))
            && situation.attempt >= self.from_attempt
            && (self.stages.is_empty() || self.stages.contains(&situation.stage))
            && self.feedback.is_none_or(|wanted| wanted == situation.feedback.is_some())
            && self.answer.is_none_or(|wanted| wanted == situation.answer.is_some())
            && contains(&situation.feedback, &self.feedback_contains)
            && contains(&situation.answer, &self.answer_contains)
    }
}

/// Reads a script; `file` is for messages.
///
/// # Errors
/// The first mistake, with its line.
pub fn parse(file: &str, text: &str) -> Result<Script, ScriptError> {
    let line_at = |offset: usize| text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1);
    let error = |line: usize, message: String| ScriptError { file: file.to_owned(), line, message };
    let raw: RawScript = toml::from_str(text).map_err(|toml| {
        let line = toml.span().map_or(1, |span| line_at(span.start));
        error(line, toml.message().to_owned())
    })?;
    if raw.step.len() > STEPS_MAX {
        return Err(error(1, format!("has {} steps; {STEPS_MAX} are the most", raw.step.len())));
    }
    let step = |raw: Spanned<RawStep>| {
        let line = line_at(raw.span().start);
        let raw = raw.into_inner();
        let when = raw.when();
        raw.action().map(|action| Step { line, when, action }).map_err(|message| error(line, message))
    };
    Ok(Script { steps: raw.step.into_iter().map(step).collect::<Result<_, _>>()? })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    #[serde(default)]
    step: Vec<Spanned<RawStep>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn all(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(all) => all,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    // Conditions.
    attempt: Option<OneOrMore<u32>>,
    stage: Option<OneOrMore<String>>,
    from_attempt: Option<u32>,
    feedback: Option<bool>,
    feedback_contains: Option<String>,
    answer: Option<bool>,
    unless_answer: Option<bool>,
    answer_contains: Option<String>,
    // Actions: one of them.
    say: Option<String>,
    print: Option<String>,
    write: Option<String>,
    append: Option<String>,
    replace: Option<String>,
    delete: Option<String>,
    run: Option<Vec<String>>,
    commit: Option<String>,
    wait: Option<String>,
    pid_file: Option<String>,
    blocked: Option<String>,
    fail: Option<String>,
    skip: Option<String>,
    exit: Option<u8>,
    // What actions need.
    content: Option<String>,
    executable: Option<bool>,
    old: Option<String>,
    new: Option<String>,
    expect: Option<i32>,
    timeout: Option<String>,
}

impl RawStep {
    fn when(&self) -> When {
        let unless = (self.unless_answer == Some(true)).then_some(false);
        // A question that is asked again although it was answered would never end.
        let question = (self.blocked.is_some() && self.answer_contains.is_none()).then_some(false);
        When {
            attempts: self.attempt.as_ref().map(|attempt| attempt.all().to_vec()).unwrap_or_default(),
            stages: self.stage.as_ref().map(|stage| stage.all().to_vec()).unwrap_or_default(),
            from_attempt: self.from_attempt.unwrap_or(0),
            feedback: self.feedback,
            feedback_contains: self.feedback_contains.clone(),
            answer: self.answer.or(unless).or(question),
            answer_contains: self.answer_contains.clone(),
        }
    }

    fn action(self) -> Result<Action, String> {
        self.one_action()?;
        self.no_stray_keys()?;
        let timeout = timeout(self.timeout.as_deref())?;
        let content = || self.content.clone().ok_or("needs `content`".to_owned());
        if let Some(path) = &self.write {
            let executable = self.executable.unwrap_or(false);
            return Ok(Action::Write { path: inside(path)?, content: content()?, executable });
        }
        if let Some(path) = &self.append {
            return Ok(Action::Append { path: inside(path)?, content: content()? });
        }
        if let Some(path) = &self.replace {
            let old = self
                .old
                .clone()
                .filter(|old| !old.is_empty())
                .ok_or("needs `old`, the text that is there")?;
            let new = self.new.clone().ok_or("needs `new`, the text that is put there")?;
            return Ok(Action::Replace { path: inside(path)?, old, new });
        }
        if let Some(path) = &self.delete {
            return Ok(Action::Delete { path: inside(path)? });
        }
        if let Some(command) = self.run {
            if command.first().is_none_or(String::is_empty) {
                return Err("`run` names no program".to_owned());
            }
            return Ok(Action::Run { command, expect: self.expect.unwrap_or(0), timeout });
        }
        let simple = [
            (self.say, Action::Say as fn(String) -> Action),
            (self.print, Action::Print),
            (self.commit, Action::Commit),
            (self.blocked, Action::Blocked),
            (self.fail, Action::Fail),
            (self.skip, Action::Skip),
            (self.pid_file, |path| Action::PidFile { path }),
        ];
        if let Some((text, action)) = simple.into_iter().find_map(|(text, action)| Some((text?, action))) {
            return Ok(action(text));
        }
        match (self.wait, self.exit) {
            (Some(path), _) => Ok(Action::Wait { path, timeout }),
            (None, Some(code)) => Ok(Action::Exit(code)),
            (None, None) => Err(format!("does nothing; a step has one of {ACTIONS}")),
        }
    }

    fn one_action(&self) -> Result<(), String> {
        let actions = [
            ("say", self.say.is_some()),
            ("print", self.print.is_some()),
            ("write", self.write.is_some()),
            ("append", self.append.is_some()),
            ("replace", self.replace.is_some()),
            ("delete", self.delete.is_some()),
            ("run", self.run.is_some()),
            ("commit", self.commit.is_some()),
            ("wait", self.wait.is_some()),
            ("pid_file", self.pid_file.is_some()),
            ("blocked", self.blocked.is_some()),
            ("fail", self.fail.is_some()),
            ("skip", self.skip.is_some()),
            ("exit", self.exit.is_some()),
        ];
        let there: Vec<&str> =
            actions.into_iter().filter_map(|(name, there)| there.then_some(name)).collect();
        if let [first, second, ..] = there.as_slice() {
            return Err(format!("has `{first}` and `{second}`; write a step for each"));
        }
        Ok(())
    }

    fn no_stray_keys(&self) -> Result<(), String> {
        let with_content = self.write.is_some() || self.append.is_some();
        let strays = [
            ("content", self.content.is_some(), with_content, "`write` and `append`"),
            ("executable", self.executable.is_some(), self.write.is_some(), "`write`"),
            ("old", self.old.is_some(), self.replace.is_some(), "`replace`"),
            ("new", self.new.is_some(), self.replace.is_some(), "`replace`"),
            ("expect", self.expect.is_some(), self.run.is_some(), "`run`"),
            (
                "timeout",
                self.timeout.is_some(),
                self.run.is_some() || self.wait.is_some(),
                "`run` and `wait`",
            ),
        ];
        match strays.into_iter().find(|(_, there, useful, _)| *there && !useful) {
            Some((key, _, _, with)) => Err(format!("`{key}` has an effect only with {with}")),
            None => Ok(()),
        }
    }
}

const ACTIONS: &str = "`say`, `print`, `write`, `append`, `replace`, `delete`, `run`, `commit`, `wait`, `pid_file`, \
                       `blocked`, `fail`, `skip`, `exit`";

fn timeout(text: Option<&str>) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(TIMEOUT_DEFAULT) };
    let timeout = duration::parse(text).map_err(|error| error.to_string())?;
    if timeout > TIMEOUT_MAX {
        return Err(format!("`timeout` is longer than {}", duration::format(TIMEOUT_MAX)));
    }
    Ok(timeout)
}

/// A path that stays in the worktree, and out of git's own directory.
fn inside(path: &str) -> Result<String, String> {
    use camino::{Utf8Component, Utf8Path};
    let mut parts = Utf8Path::new(path).components();
    let first = parts.clone().next();
    let stays = !path.is_empty() && parts.all(|part| matches!(part, Utf8Component::Normal(_)));
    if !stays || path.contains('\0') || first == Some(Utf8Component::Normal(".git")) {
        return Err(format!("`{}` is not a path in the worktree", path.escape_debug()));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_script_with_everything() {
        let script = parse("T001.toml", include_str!("testdata/everything.toml")).unwrap();
        insta::assert_debug_snapshot!(script);
    }

    #[test]
    fn mistakes_have_their_line() {
        let cases = [
            "[[step]]\n",
            "[[step]]\nsay = \"x\"\n\n[[step]]\nwrit = \"x\"\n",
            "[[step]]\nsay = \"x\"\nexit = 1\n",
            "[[step]]\nwrite = \"x\"\n",
            "[[step]]\nwrite = \"../x\"\ncontent = \"\"\n",
            "[[step]]\ndelete = \".git/config\"\n",
            "[[step]]\nsay = \"x\"\ntimeout = \"1s\"\n",
            "[[step]]\nwait = \"x\"\ntimeout = \"9h\"\n",
            "[[step]]\nwait = \"x\"\ntimeout = \"soon\"\n",
            "[[step]]\nrun = []\n",
            "[[step]]\nreplace = \"x\"\nold = \"\"\nnew = \"\"\n",
            "[[step]]\nexit = 300\n",
            "[[step]\n",
            "steps = 1\n",
        ];
        let all: Vec<String> =
            cases.iter().map(|text| parse("T001.toml", text).unwrap_err().to_string()).collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn conditions() {
        let when =
            |text: &str| parse("x", &format!("[[step]]\nsay = \"x\"\n{text}")).unwrap().steps.remove(0).when;
        let first = Situation { attempt: 1, ..Situation::default() };
        let second = Situation {
            attempt: 2,
            stage: "InReview".to_owned(),
            feedback: Some("{\"stage\":\"InReview\"}".to_owned()),
            answer: None,
        };
        let answered = Situation {
            attempt: 1,
            stage: String::new(),
            feedback: Some("{}".to_owned()),
            answer: Some("Use Redis".to_owned()),
        };
        let table = [
            ("", [true, true, true]),
            ("attempt = 1", [true, false, true]),
            ("stage = \"InReview\"", [false, true, false]),
            ("stage = [\"InReview\", \"\"]", [true, true, true]),
            ("attempt = [2, 3]", [false, true, false]),
            ("from_attempt = 2", [false, true, false]),
            ("feedback = true", [false, true, true]),
            ("feedback = false", [true, false, false]),
            ("feedback_contains = \"inreview\"", [false, true, false]),
            ("unless_answer = true", [true, true, false]),
            ("answer = true", [false, false, true]),
            ("answer_contains = \"redis\"", [false, false, true]),
            ("answer_contains = \"sql\"", [false, false, false]),
        ];
        for (text, expected) in table {
            let when = when(text);
            assert_eq!(
                [&first, &second, &answered].map(|situation| when.holds(situation)),
                expected,
                "{text}"
            );
        }
        let question = parse("x", "[[step]]\nblocked = \"?\"").unwrap().steps.remove(0).when;
        assert!(question.holds(&first) && !question.holds(&answered));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|\n|\\[\\[step\\]\\]\n|write = \"x\"\n){0,40}") {
            drop(parse("x", &text));
        }
    }
}
