//! What gates say: verdicts, findings, metrics, tests, and the rules that need no tool to apply.
//!
//! Verdicts are never numbers or booleans: `error` means that a gate could not run, which is
//! neither a pass nor the developer's fault. How a tool's output becomes findings is `gates`'
//! business.

mod complexity;
mod coverage;
mod mutants;
mod vulnerabilities;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::ids::GateName;

pub use complexity::judge_complexity;
pub use coverage::{ChangedLines, Coverage, CoverageLimits, Lines, judge_coverage};
pub use mutants::{Mutants, judge_mutants};
pub use vulnerabilities::{CveLimits, judge_vulnerabilities};

/// What a gate says of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It ran, and nothing blocks.
    Pass,
    /// It ran, and something blocks: back to the developer.
    Fail,
    /// It could not run, or its answer cannot be believed: the operator's.
    Error,
    /// There was nothing to check, or an optional tool is absent; always shown.
    Skipped,
}

impl Verdict {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One verdict for many: error before fail before pass. Skipped gates do not count, and none at
/// all is a pass: a stage with neither gates nor an agent passes.
pub fn overall(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut worst = Verdict::Pass;
    for verdict in verdicts {
        worst = match (worst, verdict) {
            (Verdict::Error, _) | (_, Verdict::Error) => Verdict::Error,
            (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
            (Verdict::Pass | Verdict::Skipped, Verdict::Pass | Verdict::Skipped) => Verdict::Pass,
        };
    }
    worst
}

/// Against what a gate's findings are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Only what the base did not have blocks.
    #[default]
    New,
    /// Everything blocks, but a test that fails at the base too: what the presets for tests do.
    Absolute,
    /// Everything blocks: what `absolute` means where a person has written it.
    Strict,
    /// Nothing blocks; all of it is shown.
    Report,
}

impl Mode {
    /// The word in JSON and in `sprint.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Absolute | Self::Strict => "absolute",
            Self::Report => "report",
        }
    }
}

/// How bad a finding is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot even be read by the tool.
    Critical,
    /// An error.
    High,
    /// A warning.
    Medium,
    /// A flag: shown, never blocks.
    Low,
    /// For information: shown, never blocks.
    Info,
}

impl Severity {
    /// Whether a finding of this severity can make a gate fail.
    pub fn blocks(self) -> bool {
        self <= Self::Medium
    }

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

/// A finding in comparison with the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The base does not have it.
    New,
    /// The base has it too.
    Existing,
    /// Only the base has it.
    Fixed,
    /// A comment in the code suppresses it.
    Suppressed,
}

impl Status {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Existing => "existing",
            Self::Fixed => "fixed",
            Self::Suppressed => "suppressed",
        }
    }
}

/// What kind of thing a finding is about; decides how it is held against the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A place in the code.
    Code,
    /// A test that failed, or could not be collected.
    Test,
    /// Something that nobody but its owner should know. Its message never holds it.
    Secret,
    /// A published vulnerability of something that a manifest asks for; `path` is the manifest.
    /// It blocks by number: see [`judge_vulnerabilities`].
    Vulnerability,
}

/// Something that a tool found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// About a place or about a test.
    pub kind: Kind,
    /// The tool's name for it: `F401`, `return-value`, `test-failed`.
    pub rule: String,
    /// Relative to the repository; empty where there is none.
    pub path: String,
    /// From 1; 0 where there is none.
    pub line: u32,
    /// How bad.
    pub severity: Severity,
    /// One line, or a few for a test.
    pub message: String,
    /// In comparison with the base.
    pub status: Status,
    /// Function, class, test id or package, where the tool names one.
    pub symbol: String,
    /// The line of the source, in short; empty where there is none, and always for a secret.
    #[serde(default)]
    pub source: String,
    /// What makes it the same finding in another tree: see [`compare`].
    pub fingerprint: Fingerprint,
}

impl Finding {
    /// A finding about a place; everything else is for the caller to fill in.
    pub fn code(rule: &str, path: &str, line: u32, severity: Severity, message: &str) -> Self {
        Self {
            kind: Kind::Code,
            rule: rule.to_owned(),
            path: path.to_owned(),
            line,
            severity,
            message: message.to_owned(),
            status: Status::New,
            symbol: String::new(),
            source: String::new(),
            fingerprint: Fingerprint::default(),
        }
    }

    /// Whether it makes a gate fail in `mode`.
    pub fn blocks(&self, mode: Mode) -> bool {
        if !self.severity.blocks() || self.kind == Kind::Vulnerability {
            return false;
        }
        match (mode, self.status) {
            (Mode::Report, _) | (_, Status::Fixed | Status::Suppressed) | (Mode::New, Status::Existing) => {
                false
            }
            (Mode::New | Mode::Absolute | Mode::Strict, Status::New) => true,
            (Mode::Absolute, Status::Existing) => self.kind != Kind::Test && !self.is_guess(),
            (Mode::Strict, Status::Existing) => !self.is_guess(),
        }
    }

    /// A secret that a tool only suspects (a word beside a string, a string without sense): most of
    /// those that are in old code are none.
    fn is_guess(&self) -> bool {
        self.kind == Kind::Secret && self.severity > Severity::High
    }
}

/// Two hashes of a finding. Neither holds a line number: a line that moved is not new.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Tool, rule, path (as the base names it), message with digits replaced, source line.
    pub placed: String,
    /// The same without the path: what code that moved to another file still has.
    pub placeless: String,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// `complexity`.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// What it is held to.
    pub threshold: Option<f64>,
    /// Relative to the repository.
    pub path: String,
    /// Function or method.
    pub symbol: String,
    /// Where it begins; 0 where unknown.
    pub line: u32,
}

/// How many tests ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestCounts {
    /// Passed, also expected failures that failed.
    pub passed: u32,
    /// Failed twice.
    pub failed: u32,
    /// Could not be collected, set up or torn down.
    pub errors: u32,
    /// Skipped by themselves.
    pub skipped: u32,
    /// Failed, then passed when run again alone.
    pub flaky: u32,
}

impl TestCounts {
    /// How many there were. A report can claim any number of each.
    pub fn total(&self) -> u32 {
        let all = [self.passed, self.failed, self.errors, self.skipped, self.flaky];
        all.into_iter().fold(0, u32::saturating_add)
    }
}

/// What a gate said, of which tree, how, and why. Stored with a run; JSON for people is `cli`'s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// Which gate.
    pub name: GateName,
    /// What it says.
    pub verdict: Verdict,
    /// Against what it held its findings.
    pub mode: Mode,
    /// As the tool prints it, first line; `None` where it was not asked.
    pub tool_version: Option<String>,
    /// How long its tool ran here; 0 when `cached`.
    pub seconds: f64,
    /// Whether an earlier run of the same tool on the same tree was believed.
    pub cached: bool,
    /// What was run, placeholders filled in.
    pub command: Vec<String>,
    /// A line for a shell in the worktree that does the same, environment included; empty where
    /// nothing was run.
    #[serde(default)]
    pub by_hand: String,
    /// New ones first, most severe first.
    pub findings: Vec<Finding>,
    /// Those over a threshold or a flag.
    pub metrics: Vec<Metric>,
    /// Zeros where there are no tests.
    pub tests: TestCounts,
    /// One line that says why; empty for a plain pass.
    pub reason: String,
}

/// How the reason of a gate begins that says no to the base as it does to the candidate.
pub const AT_BASE_TOO: &str = "fails at the base too: ";

impl GateResult {
    /// Whether it said no, and passes only because it says no to the base too. A command that never
    /// works does the same, so it is never shown as a plain pass.
    pub fn is_excused(&self) -> bool {
        self.verdict == Verdict::Pass && self.reason.starts_with(AT_BASE_TOO)
    }

    /// The findings that made it fail.
    pub fn blocking(&self) -> impl Iterator<Item = &Finding> {
        let one_of_too_many = |finding: &&Finding| {
            finding.kind == Kind::Vulnerability
                && finding.severity.blocks()
                && matches!(finding.status, Status::New | Status::Existing)
        };
        let red = self.verdict == Verdict::Fail;
        self.findings
            .iter()
            .filter(move |finding| red && (finding.blocks(self.mode) || one_of_too_many(finding)))
    }

    /// Whether this result of the base keeps a feature from starting: legacy is only reported.
    pub fn refuses_start(&self) -> bool {
        let guesses = self.blocking().next().is_some() && self.blocking().all(Finding::is_guess);
        let absolute = matches!(self.mode, Mode::Absolute | Mode::Strict);
        self.verdict == Verdict::Fail && absolute && !guesses
    }
}

/// Holds head's findings against base's, as multisets: sets each one's status, and appends those
/// that only the base has. A second pass without paths finds code that moved; a copied line
/// stays new, because the base's one is already taken.
pub fn compare(head: &mut Vec<Finding>, base: Vec<Finding>) {
    let open = |finding: &Finding| finding.status != Status::Suppressed;
    let mut left: Vec<Option<Finding>> = base.into_iter().filter(open).map(Some).collect();
    pair(head, &mut left, |finding| &finding.fingerprint.placed);
    pair(head, &mut left, |finding| &finding.fingerprint.placeless);
    head.extend(left.into_iter().flatten().map(|finding| Finding { status: Status::Fixed, ..finding }));
}

/// Marks each new finding that has a partner in `base` as existing, and takes the partner out.
fn pair(head: &mut [Finding], base: &mut [Option<Finding>], key: fn(&Finding) -> &String) {
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, finding) in base.iter().enumerate().rev() {
        if let Some(finding) = finding {
            places.entry(key(finding).clone()).or_default().push(index);
        }
    }
    for finding in head.iter_mut().filter(|finding| finding.status == Status::New) {
        if let Some(index) = places.get_mut(key(finding)).and_then(Vec::pop) {
            finding.status = Status::Existing;
            base[index] = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finding(placed: &str, placeless: &str) -> Finding {
        let fingerprint = Fingerprint { placed: placed.to_owned(), placeless: placeless.to_owned() };
        Finding { fingerprint, ..Finding::code("R", "a.py", 1, Severity::High, "m") }
    }

    fn statuses(findings: &[Finding]) -> Vec<Status> {
        findings.iter().map(|finding| finding.status).collect()
    }

    #[test]
    fn whatever_a_report_claims_is_counted() {
        let counts = TestCounts { passed: 1, skipped: u32::MAX, ..TestCounts::default() };
        assert_eq!(counts.total(), u32::MAX);
    }

    #[test]
    fn error_comes_before_fail_before_pass_and_skipped_counts_for_nothing() {
        use Verdict::{Error, Fail, Pass, Skipped};
        assert_eq!(overall([]), Pass);
        assert_eq!(overall([Skipped]), Pass);
        assert_eq!(overall([Pass, Skipped, Fail]), Fail);
        assert_eq!(overall([Fail, Error, Pass]), Error);
    }

    #[test]
    fn a_second_copy_of_an_old_line_is_new() {
        let mut head = vec![finding("p", "l"), finding("p", "l")];
        compare(&mut head, vec![finding("p", "l")]);
        assert_eq!(statuses(&head), [Status::Existing, Status::New]);
    }

    #[test]
    fn code_that_moved_to_another_file_is_not_new_but_a_copy_is() {
        let mut moved = vec![finding("other", "l")];
        compare(&mut moved, vec![finding("p", "l")]);
        assert_eq!(statuses(&moved), [Status::Existing]);
        let mut copied = vec![finding("other", "l"), finding("p", "l")];
        compare(&mut copied, vec![finding("p", "l")]);
        assert_eq!(statuses(&copied), [Status::New, Status::Existing]);
    }

    #[test]
    fn what_is_gone_is_fixed_and_what_is_suppressed_pairs_with_nothing() {
        let suppressed = Finding { status: Status::Suppressed, ..finding("s", "s") };
        let mut head = vec![suppressed];
        compare(&mut head, vec![finding("p", "l"), finding("s", "s")]);
        assert_eq!(statuses(&head), [Status::Suppressed, Status::Fixed, Status::Fixed]);
    }

    #[test]
    fn a_test_that_fails_at_the_base_too_blocks_only_where_a_person_asks_for_it() {
        let old = Finding { status: Status::Existing, ..finding("t", "t") };
        assert!(old.blocks(Mode::Absolute) && !old.blocks(Mode::New) && !old.blocks(Mode::Report));
        let test = Finding { kind: Kind::Test, ..old };
        assert!(!test.blocks(Mode::Absolute) && test.blocks(Mode::Strict));
        assert!(Finding { status: Status::New, ..test }.blocks(Mode::Absolute));
    }

    #[test]
    fn a_guess_at_a_secret_blocks_where_it_is_new_and_refuses_no_start() {
        let secret = |severity, status| Finding { kind: Kind::Secret, severity, status, ..finding("s", "s") };
        let guess = secret(Severity::Medium, Status::New);
        assert!(guess.blocks(Mode::Absolute) && guess.blocks(Mode::New));
        assert!(!secret(Severity::Medium, Status::Existing).blocks(Mode::Absolute));
        assert!(secret(Severity::Critical, Status::Existing).blocks(Mode::Absolute));
        let result = |findings: Vec<Finding>| GateResult {
            name: GateName::parse("detect-secrets").unwrap(),
            verdict: Verdict::Fail,
            mode: Mode::Absolute,
            tool_version: None,
            seconds: 0.0,
            cached: false,
            command: Vec::new(),
            by_hand: String::new(),
            findings,
            metrics: Vec::new(),
            tests: TestCounts::default(),
            reason: String::new(),
        };
        assert!(!result(vec![guess.clone()]).refuses_start());
        assert!(result(vec![guess, secret(Severity::Critical, Status::New)]).refuses_start());
        assert!(result(Vec::new()).refuses_start(), "a refusal without findings");
    }

    proptest! {
        #[test]
        fn the_same_findings_are_never_new(keys in proptest::collection::vec("[ab]{1,2}", 0..30)) {
            let base: Vec<_> = keys.iter().map(|k| finding(k, &k[..1])).collect();
            let mut head = base.clone();
            head.reverse();
            compare(&mut head, base);
            prop_assert!(head.iter().all(|f| f.status == Status::Existing));
        }

        #[test]
        fn every_finding_of_head_is_counted_once(
            head in proptest::collection::vec("[ab]{1,2}", 0..20),
            base in proptest::collection::vec("[ab]{1,2}", 0..20),
        ) {
            let mut findings: Vec<_> = head.iter().map(|k| finding(k, &k[..1])).collect();
            compare(&mut findings, base.iter().map(|k| finding(k, &k[..1])).collect());
            let count = |s: Status| findings.iter().filter(|f| f.status == s).count();
            prop_assert_eq!(count(Status::New) + count(Status::Existing), head.len());
            prop_assert_eq!(count(Status::Fixed) + count(Status::Existing), base.len());
        }
    }
}
