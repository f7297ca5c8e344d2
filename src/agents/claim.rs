//! What a program claims through `sprint agent done | fail | blocked | verdict | comment`: one
//! JSON object a line in `<run directory>/claims.jsonl`, each with the run's token. A claim is
//! never proof: `outcome` holds it against git.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::domain::gate::Severity;
use crate::domain::ids::Token;
use crate::domain::triage::Action;
use crate::redact;

/// The file in the run's directory.
pub const CLAIMS_FILE: &str = "claims.jsonl";
/// Bytes of one claim's texts; what is longer is cut.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the file; an agent that comments in a loop is told to stop.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// Findings of one verdict.
pub const FINDINGS_MAX: usize = 100;

/// One claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "claim", rename_all = "lowercase")]
pub enum Claim {
    /// It is done.
    Done {
        /// What was done; may be empty.
        #[serde(default)]
        message: String,
    },
    /// It cannot be done.
    Fail {
        /// Why.
        reason: String,
    },
    /// There is a question.
    Blocked {
        /// The question.
        question: String,
    },
    /// A reviewer's judgement.
    Verdict {
        /// Which.
        verdict: AgentVerdict,
        /// In a sentence.
        #[serde(default)]
        message: String,
        /// What it looked at: files, acceptance scenarios, commands. Without any it is no review.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<String>,
        /// Where, and what to do.
        #[serde(default)]
        findings: Vec<ClaimedFinding>,
    },
    /// What the manager proposes to do about a task.
    Propose {
        /// To do what.
        action: Action,
        /// The answer, the advice, the reason, or lines for `tasks.md`.
        text: String,
    },
    /// A remark for the history.
    Comment {
        /// The remark.
        text: String,
    },
}

impl Claim {
    /// Whether it says how the task stands: a program that made it has nothing more to do, and is
    /// ended if it does not exit.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Comment { .. })
    }
}

/// The run that `sprint agent …` was called in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where its claims go.
    pub run_dir: Utf8PathBuf,
    /// What they are made with.
    pub token: Token,
}

/// `sprint agent …` was not called by an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not inside a run: `{variable}` is missing or wrong in the environment")]
pub struct NotInRun {
    /// What is missing.
    pub variable: &'static str,
}

impl Binding {
    /// Out of the environment that a run gives its program.
    ///
    /// # Errors
    /// The variables are not there, or are none that a run sets.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, NotInRun> {
        let run_dir = variable("SPRINT_RUN_DIR").map(Utf8PathBuf::from).filter(|dir| dir.is_absolute());
        let token = variable("SPRINT_TOKEN").and_then(|token| Token::parse(&token).ok());
        Ok(Self {
            run_dir: run_dir.ok_or(NotInRun { variable: "SPRINT_RUN_DIR" })?,
            token: token.ok_or(NotInRun { variable: "SPRINT_TOKEN" })?,
        })
    }
}

/// What a reviewer may say. That a gate could not run is not for an agent to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentVerdict {
    /// It may go on.
    Pass,
    /// Back to the developer.
    Fail,
}

/// A place that a reviewer names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedFinding {
    /// Relative to the repository; may be empty.
    #[serde(default)]
    pub path: String,
    /// From 1; 0 for none.
    #[serde(default)]
    pub line: u32,
    /// High and critical send back; the rest is recorded.
    #[serde(default = "high")]
    pub severity: Severity,
    /// What is wrong, and what to do about it.
    pub message: String,
}

fn high() -> Severity {
    Severity::High
}

impl ClaimedFinding {
    /// Reads `path:line:severity:text`; the line may be missing, the path empty.
    ///
    /// # Errors
    /// It is none, in words for the agent.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no finding; write path:line:severity:text with critical, high, medium, low or info, such as src/a.py:12:high:the total is not rounded; use round()"
            )
        };
        let severities =
            [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
        let word = |severity: &Severity| format!(":{}:", severity.as_str());
        let places = severities.iter().filter_map(|severity| Some((text.find(&word(severity))?, *severity)));
        let (at, severity) = places.min_by_key(|(at, _)| *at).ok_or_else(wrong)?;
        let message = text[at + severity.as_str().len() + 2..].trim();
        let (path, line) = match text[..at].rsplit_once(':') {
            Some((path, line)) => (path, line.trim().parse().map_err(|_| wrong())?),
            None => (&text[..at], 0),
        };
        if message.is_empty() {
            return Err(wrong());
        }
        Ok(Self { path: path.trim().to_owned(), line, severity, message: message.to_owned() })
    }

    /// Whether it sends the task back.
    pub fn sends_back(&self) -> bool {
        self.severity <= Severity::High
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    token: String,
    #[serde(flatten)]
    claim: Claim,
}

/// Why a claim was not taken or read.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The file.
    #[error("cannot use `{path}`")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// [`FILE_BYTES_MAX`].
    #[error("this run has made more claims than are kept; finish it")]
    TooMany,
}

/// The claims of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// In the order in which they were made.
    pub claims: Vec<Claim>,
    /// Lines with another token, or that are no claims: to be told, and not to be believed.
    pub refused: usize,
}

/// Adds a claim, without secrets, and brings it to the disk: what a program was told is recorded stays recorded.
///
/// # Errors
/// [`ClaimError`].
pub fn append(run_dir: &Utf8Path, token: &Token, claim: Claim) -> Result<(), ClaimError> {
    let path = run_dir.join(CLAIMS_FILE);
    let failed = |source| ClaimError::Io { path: path.clone(), source };
    let line = Line { token: token.to_string(), claim: bounded(claim) };
    let text = serde_json::to_string(&line).expect("plain data is JSON");
    let text = format!("{}\n", redact::text(&text));
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(ClaimError::TooMany);
    }
    // One write: with O_APPEND two programs of a run do not mix their lines.
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// The claims that carry `token`; no file is no claim.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(run_dir: &Utf8Path, token: &Token) -> Result<Claims, ClaimError> {
    let path = run_dir.join(CLAIMS_FILE);
    let failed = |source| ClaimError::Io { path: path.clone(), source };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Claims::default()),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    // Twice the bound: the last claim is taken whole, and more than that nobody wrote through us.
    file.take(FILE_BYTES_MAX * 2).read_to_end(&mut bytes).map_err(failed)?;
    Ok(parse(&bytes, token))
}

/// Reads the file's bytes. A last line without its end was cut by a crash and is refused.
pub fn parse(bytes: &[u8], token: &Token) -> Claims {
    let mut claims = Claims::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let parsed = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice::<Line>(line).ok());
        match parsed {
            Some(line) if line.token == token.as_str() => claims.claims.push(bounded(line.claim)),
            _ => claims.refused += 1,
        }
    }
    claims
}

fn bounded(claim: Claim) -> Claim {
    match claim {
        Claim::Done { message } => Claim::Done { message: clean(&message) },
        Claim::Fail { reason } => Claim::Fail { reason: clean(&reason) },
        Claim::Blocked { question } => Claim::Blocked { question: clean(&question) },
        Claim::Comment { text } => Claim::Comment { text: clean(&text) },
        Claim::Propose { action, text } => Claim::Propose { action, text: clean(&text) },
        Claim::Verdict { verdict, message, evidence, findings } => Claim::Verdict {
            verdict,
            message: clean(&message),
            evidence: evidence
                .iter()
                .take(FINDINGS_MAX)
                .map(|text| clean(text))
                .filter(|t| !t.is_empty())
                .collect(),
            findings: findings
                .into_iter()
                .take(FINDINGS_MAX)
                .map(|finding| ClaimedFinding {
                    path: clean(&finding.path),
                    line: finding.line,
                    severity: finding.severity,
                    message: clean(&finding.message),
                })
                .collect(),
        },
    }
}

/// Lines without control characters, within the bound.
fn clean(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let lines = text[..end].lines().map(|line| super::protocol::plain(line.as_bytes()));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(digit: &str) -> Token {
        Token::parse(&digit.repeat(64)).unwrap()
    }

    #[test]
    fn claims_are_read_back_and_strangers_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        assert_eq!(read(dir, &token("a")).unwrap(), Claims::default());
        let claims = vec![
            Claim::Comment { text: "half way".to_owned() },
            Claim::Verdict {
                verdict: AgentVerdict::Fail,
                message: "no".to_owned(),
                evidence: vec!["a.py".to_owned()],
                findings: vec![ClaimedFinding {
                    path: "a.py".to_owned(),
                    line: 3,
                    severity: Severity::Low,
                    message: "why?".to_owned(),
                }],
            },
            Claim::Blocked { question: "which\nport?".to_owned() },
            Claim::Done { message: String::new() },
        ];
        for claim in &claims {
            append(dir, &token("a"), claim.clone()).unwrap();
        }
        append(dir, &token("b"), Claim::Done { message: "stranger".to_owned() }).unwrap();
        assert_eq!(read(dir, &token("a")).unwrap(), Claims { claims, refused: 1 });
        insta::assert_snapshot!(
            std::fs::read_to_string(dir.join(CLAIMS_FILE))
                .unwrap()
                .replace(&"a".repeat(64), "TOKEN")
                .replace(&"b".repeat(64), "OTHER")
        );
    }

    #[test]
    fn a_finding_is_a_place_a_severity_and_what_to_do() {
        let read = |text: &str| {
            ClaimedFinding::parse(text)
                .map(|f| format!("{} {} {} {}", f.path, f.line, f.severity.as_str(), f.message))
        };
        assert_eq!(
            read("src/a.py:12:high:round: use round()").unwrap(),
            "src/a.py 12 high round: use round()"
        );
        assert_eq!(read("src/a.py:low:a name").unwrap(), "src/a.py 0 low a name");
        assert_eq!(read(":medium:no test").unwrap(), " 0 medium no test");
        for wrong in ["", "src/a.py:12:bad", "src/a.py:x:high:y", "a.py:1:high:", "a.py:1:severe:x"] {
            assert!(read(wrong).unwrap_err().contains("path:line:severity:text"), "{wrong}");
        }
        let old: ClaimedFinding = serde_json::from_str(r#"{"message":"x"}"#).unwrap();
        assert!(old.sends_back(), "without a severity it is high");
    }

    #[test]
    fn a_run_is_found_in_the_environment() {
        let both = |name: &str| match name {
            "SPRINT_RUN_DIR" => Some("/state/runs/r".to_owned()),
            "SPRINT_TOKEN" => Some("a".repeat(64)),
            _ => None,
        };
        assert_eq!(Binding::of(both).unwrap().token, token("a"));
        assert_eq!(Binding::of(|_| None).unwrap_err().variable, "SPRINT_RUN_DIR");
        assert!(Binding::of(|_| Some("/x".to_owned())).is_err());
    }

    #[test]
    fn texts_are_bounded_and_clean() {
        let claim =
            bounded(Claim::Fail { reason: format!("\u{1b}[31mred\u{1b}[0m\u{7}\n{}", "é".repeat(20_000)) });
        let Claim::Fail { reason } = claim else { unreachable!() };
        assert!(reason.starts_with("red\né") && reason.len() <= TEXT_BYTES_MAX);
    }

    #[test]
    fn a_file_that_is_full_takes_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        std::fs::write(dir.join(CLAIMS_FILE), "x".repeat((1 << 20) + 1)).unwrap();
        let refused = append(dir, &token("a"), Claim::Comment { text: "x".to_owned() });
        assert!(matches!(refused, Err(ClaimError::TooMany)));
    }

    #[test]
    fn a_line_that_a_crash_cut_is_refused() {
        let line = format!("{{\"token\":\"{}\",\"claim\":\"done\"}}", token("a"));
        assert_eq!(parse(format!("{line}\n{line}").as_bytes(), &token("a")).claims.len(), 1);
        assert_eq!(parse(format!("{line}\n{line}").as_bytes(), &token("a")).refused, 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse(&bytes, &token("a")));
        }
    }
}
