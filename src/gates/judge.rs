//! Policy: what a tool's findings on a candidate mean, held against those on the base. Pure.

use crate::config::Config;
use crate::domain::gate::{
    AT_BASE_TOO, ChangedLines, CoverageLimits, CveLimits, Finding, Kind, Metric, Mode, Status, TestCounts,
    Verdict, compare, judge_complexity, judge_coverage, judge_mutants, judge_vulnerabilities,
};

use super::lacks::{lacks, missing};
use super::parse::Parsed;

/// The limits of `[quality]` and `[security]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Above this a function is shown.
    pub complexity_flag: f64,
    /// Above this it blocks, if new or worse.
    pub complexity_max: f64,
    /// Of lines that tests run.
    pub coverage: CoverageLimits,
    /// Per cent of the mutants that tests must notice.
    pub mutation: f64,
    /// Vulnerabilities that are tolerated.
    pub cve: CveLimits,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            complexity_flag: 10.0,
            complexity_max: 15.0,
            coverage: CoverageLimits::default(),
            mutation: 80.0,
            cve: CveLimits::default(),
        }
    }
}

impl From<&Config> for Thresholds {
    fn from(config: &Config) -> Self {
        let (quality, security) = (&config.quality, &config.security);
        Self {
            complexity_flag: f64::from(quality.complexity_flag),
            complexity_max: f64::from(quality.complexity_max),
            coverage: CoverageLimits { least: quality.coverage, ..CoverageLimits::default() },
            mutation: quality.mutation,
            cve: CveLimits {
                critical: security.critical_cve_max,
                high: security.high_cve_max,
                medium: security.medium_cve_max,
            },
        }
    }
}

/// What the candidate changes, as far as a verdict depends on it.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    /// Lines.
    pub(super) lines: &'a ChangedLines,
    /// Why a red test of the base proves nothing of it, if that is so.
    pub(super) distrust: Option<&'a str>,
    /// Whether the checkout has something of that name which git ignores, and the candidate was run without it.
    pub(super) left_behind: &'a dyn Fn(&str) -> bool,
    /// Whether it changes that file.
    pub(super) touches: &'a dyn Fn(&str) -> bool,
    /// Marks what a person lets pass.
    pub(super) allow: &'a dyn Fn(&mut [Finding]),
}

/// What is known of the base.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Base {
    /// There is none: all is new.
    None,
    /// There is one, and nothing that it could excuse.
    NotNeeded,
    /// What the tool found there.
    Scanned(Box<Parsed>),
    /// The tool could not run there: that excuses nothing.
    Error(String),
}

impl Base {
    /// What became of its tests.
    pub(super) fn tests(&self) -> TestCounts {
        match self {
            Self::Scanned(parsed) => parsed.tests,
            Self::None | Self::NotNeeded | Self::Error(_) => TestCounts::default(),
        }
    }
}

/// A verdict and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) findings: Vec<Finding>,
    pub(super) metrics: Vec<Metric>,
    pub(super) reason: String,
}

/// Whether the base could make a difference to the verdict.
pub(super) fn needs_base(head: &Parsed, thresholds: Thresholds) -> bool {
    head.refused.is_some()
        || !head.findings.is_empty()
        || head.coverage.is_some()
        || head.metrics.iter().any(|metric| metric.value > thresholds.complexity_flag)
}

/// Judges a tool's findings on the candidate, and those that come of holding both runs side by side.
pub(super) fn judge(
    mode: Mode,
    head: &Parsed,
    base: &Base,
    of_both: &[Finding],
    thresholds: Thresholds,
    change: Change<'_>,
) -> Judged {
    let scanned = match base {
        Base::Scanned(parsed) => Some(&**parsed),
        Base::None | Base::NotNeeded | Base::Error(_) => None,
    };
    let mut findings = head.findings.clone();
    let mut not_excused = 0;
    if let Some(base) = scanned {
        let (excuses, void): (Vec<_>, Vec<_>) =
            base.findings.iter().cloned().partition(|was| excuses(was, &findings, change));
        not_excused = void.iter().filter(|was| findings.iter().any(|is| is_same_test(is, was))).count();
        compare(&mut findings, excuses);
    }
    let (flag, max) = (thresholds.complexity_flag, thresholds.complexity_max);
    let mut figured = judge_complexity(&head.metrics, scanned.map(|base| base.metrics.as_slice()), flag, max);
    let over = head.metrics.iter().filter(|metric| metric.value > flag);
    let mut metrics: Vec<Metric> =
        over.map(|metric| Metric { threshold: Some(max), ..metric.clone() }).collect();
    if let Some(coverage) = &head.coverage {
        let base = scanned.and_then(|base| base.coverage.as_ref());
        let (found, measured) = judge_coverage(coverage, base, change.lines, thresholds.coverage);
        figured.extend(found);
        metrics.extend(measured);
    }
    if let Some(mutants) = &head.mutants {
        let (found, measured) = judge_mutants(mutants, thresholds.mutation);
        figured.extend(found);
        metrics.push(measured);
    }
    figured.extend(of_both.iter().cloned());
    // They come of figures, and may be let pass like any other.
    (change.allow)(&mut figured);
    findings.extend(figured);
    findings.sort_by(|a, b| order(a).cmp(&order(b)));
    let too_vulnerable = judge_vulnerabilities(&findings, mode, thresholds.cve, change.touches);
    let (verdict, mut reason) = verdict(mode, head, base, &findings, too_vulnerable);
    let why = (not_excused > 0).then(|| match change.distrust {
        Some(why) => format!("{why}: that excuses no test"),
        None if lacks_what_is_left_behind(&findings, change) => {
            "a test is not excused that lacks what git ignores in \
             the checkout; name it in `[worktree] copy`"
                .to_owned()
        }
        None => "at the base something was missing that the candidate has: that excuses no test".to_owned(),
    });
    for said in why.iter().chain(&head.note) {
        reason = if reason.is_empty() { said.clone() } else { format!("{reason}; {said}") };
    }
    Judged { verdict, findings, metrics, reason }
}

/// Whether what the base has excuses the candidate. A test that was red there for another reason, because something
/// was missing, says nothing of what the candidate does; nor does one for want of the same where it may lie in the
/// checkout; nor any test of a base that had to run in what is made for the candidate.
fn excuses(was: &Finding, head: &[Finding], change: Change<'_>) -> bool {
    if was.kind != Kind::Test || change.distrust.is_some() {
        return was.kind != Kind::Test;
    }
    let mut now = head.iter().filter(|is| is_same_test(is, was));
    !(lacks(&was.message) && now.any(|is| !lacks_as_well(is, change)))
}

fn is_same_test(is: &Finding, was: &Finding) -> bool {
    let both_tests = is.kind == Kind::Test && was.kind == Kind::Test;
    both_tests && is.fingerprint.placed == was.fingerprint.placed
}

/// Whether the candidate lacks something too that is nowhere else either.
fn lacks_as_well(is: &Finding, change: Change<'_>) -> bool {
    lacks(&is.message) && !missing(&is.message).iter().any(|name| (change.left_behind)(name))
}

fn lacks_what_is_left_behind(findings: &[Finding], change: Change<'_>) -> bool {
    let tests = findings.iter().filter(|finding| finding.kind == Kind::Test);
    tests.into_iter().any(|test| lacks(&test.message) && !lacks_as_well(test, change))
}

/// New ones first, then the most severe, then by place.
fn order(finding: &Finding) -> (u8, crate::domain::gate::Severity, &str, u32) {
    let rank = match finding.status {
        Status::New => 0,
        Status::Existing => 1,
        Status::Suppressed => 2,
        Status::Fixed => 3,
    };
    (rank, finding.severity, &finding.path, finding.line)
}

fn verdict(
    mode: Mode,
    head: &Parsed,
    base: &Base,
    findings: &[Finding],
    too_vulnerable: Option<String>,
) -> (Verdict, String) {
    if let Some(refused) = &head.refused {
        return refused_verdict(mode, refused, base);
    }
    let mut reason = summary(findings);
    let red = too_vulnerable.is_some() || findings.iter().any(|finding| finding.blocks(mode));
    if let Some(said) = too_vulnerable {
        reason = if reason.is_empty() { said } else { format!("{said}; {reason}") };
    }
    if let Base::Error(why) = base {
        let semicolon = if reason.is_empty() { "" } else { "; " };
        reason = format!("{reason}{semicolon}the base could not be checked: {why}");
    }
    if red {
        return (Verdict::Fail, reason);
    }
    match &head.incomplete {
        // What it did not look at is not clean, and the developer has broken nothing new.
        Some(why) if mode != Mode::Report => {
            (Verdict::Error, format!("{why}; the base has the same: {reason}"))
        }
        _ if mode != Mode::Report && nothing_passes(head) => {
            let what =
                "no test passes, here or at the base, so nothing is proved: is all installed that they need?";
            (Verdict::Error, format!("{what} ({reason})"))
        }
        _ => (Verdict::Pass, reason),
    }
}

/// Whether tests ran, and all of them are red.
fn nothing_passes(head: &Parsed) -> bool {
    let tests = head.tests;
    tests.passed == 0 && tests.flaky == 0 && tests.failed.saturating_add(tests.errors) > 0
}

/// A tool without findings: its refusal is new unless it refuses the base too.
fn refused_verdict(mode: Mode, refused: &str, base: &Base) -> (Verdict, String) {
    let there = match base {
        Base::Scanned(parsed) => parsed.refused.as_deref(),
        Base::None | Base::NotNeeded | Base::Error(_) => None,
    };
    match (mode, base) {
        (Mode::Report, _) => (Verdict::Pass, refused.to_owned()),
        (Mode::New, _) if there.is_some_and(|there| is_alike(refused, there)) => {
            (Verdict::Pass, format!("{AT_BASE_TOO}{refused}"))
        }
        (Mode::New, _) if let Some(there) = there => {
            let first = there.lines().next().unwrap_or_default();
            (Verdict::Fail, format!("{refused}\nthe base fails in another way: {first}"))
        }
        (Mode::New, Base::Error(why)) => {
            (Verdict::Fail, format!("{refused}\nthe base could not be checked: {why}"))
        }
        (Mode::New | Mode::Absolute | Mode::Strict, _) => (Verdict::Fail, refused.to_owned()),
    }
}

/// Codes with which git ends where it has no repository.
const GITS_OWN: [&str; 2] = ["128", "129"];

/// Whether the base fails as the candidate may: not for want of a repository, which a base and a commit that are
/// written out have not.
fn is_alike(refused: &str, there: &str) -> bool {
    let code = |said: &str| {
        let rest = said.strip_prefix("exited with ")?;
        rest.split(|c: char| !c.is_ascii_digit()).next().map(str::to_owned)
    };
    let (own, others) = (code(refused), code(there));
    let by_git = others.as_deref().is_some_and(|code| GITS_OWN.contains(&code));
    let lacks = |said: &str| said.to_lowercase().contains("not a git repository");
    !(by_git && own != others) && (lacks(refused) || !lacks(there))
}

/// `2 new findings, 1 test failed, 12 old, 3 fixed, 1 flaky`; empty when there is nothing.
fn summary(findings: &[Finding]) -> String {
    let count = |wanted: &dyn Fn(&&Finding) -> bool| findings.iter().filter(wanted).count();
    let is = |f: &Finding, kind, status| f.kind == kind && f.status == status && f.severity.blocks();
    let parts = [
        (count(&|f| is(f, Kind::Code, Status::New)), "new finding", "new findings"),
        (count(&|f| is(f, Kind::Test, Status::New)), "test failed", "tests failed"),
        (count(&|f| is(f, Kind::Secret, Status::New)), "new secret", "new secrets"),
        (count(&|f| is(f, Kind::Vulnerability, Status::New)), "new vulnerability", "new vulnerabilities"),
        (count(&|f| is(f, Kind::Code, Status::Existing)), "old finding", "old findings"),
        (count(&|f| is(f, Kind::Secret, Status::Existing)), "old secret", "old secrets"),
        (
            count(&|f| is(f, Kind::Vulnerability, Status::Existing)),
            "old vulnerability",
            "old vulnerabilities",
        ),
        (
            count(&|f| is(f, Kind::Test, Status::Existing)),
            "test fails at the base too",
            "tests fail at the base too",
        ),
        (count(&|f| f.rule == "test-flaky" && f.status != Status::Fixed), "flaky test", "flaky tests"),
        (count(&|f| f.status == Status::Suppressed), "suppressed", "suppressed"),
        (count(&|f| f.status == Status::Fixed && f.severity.blocks()), "fixed", "fixed"),
    ];
    let said = parts.iter().filter(|(n, ..)| *n > 0);
    said.map(|(n, one, many)| format!("{n} {}", if *n == 1 { one } else { many }))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::{Fingerprint, Severity, TestCounts};

    fn finding(id: &str) -> Finding {
        let fingerprint = Fingerprint { placed: id.into(), placeless: id.into() };
        Finding { fingerprint, ..Finding::code("R", "a.py", 1, Severity::High, id) }
    }

    fn with(findings: &[Finding]) -> Parsed {
        Parsed { findings: findings.to_vec(), ..Parsed::default() }
    }

    fn refused() -> Parsed {
        Parsed { refused: Some("exited with 1".into()), ..Parsed::default() }
    }

    fn judge(mode: Mode, head: &Parsed, base: &Base) -> Judged {
        let change = Change {
            distrust: None,
            left_behind: &|_| false,
            lines: &ChangedLines::new(),
            touches: &|_| false,
            allow: &|_| {},
        };
        super::judge(mode, head, base, &[], Thresholds::default(), change)
    }

    fn check(mode: Mode, head: &Parsed, base: &Base, verdict: Verdict, reason: &str) {
        let judged = judge(mode, head, base);
        assert_eq!((judged.verdict, judged.reason.as_str()), (verdict, reason), "{mode:?} {base:?}");
    }

    #[test]
    fn findings_block_by_mode() {
        let head = with(&[finding("old"), finding("new")]);
        let base = || Base::Scanned(with(&[finding("old"), finding("gone")]).into());
        check(Mode::New, &head, &base(), Verdict::Fail, "1 new finding, 1 old finding, 1 fixed");
        check(Mode::New, &with(&[finding("old")]), &base(), Verdict::Pass, "1 old finding, 1 fixed");
        check(Mode::Absolute, &with(&[finding("old")]), &base(), Verdict::Fail, "1 old finding, 1 fixed");
        check(Mode::Report, &head, &base(), Verdict::Pass, "1 new finding, 1 old finding, 1 fixed");
        check(Mode::New, &with(&[]), &Base::NotNeeded, Verdict::Pass, "");
        check(Mode::New, &with(&[finding("x")]), &Base::None, Verdict::Fail, "1 new finding");
    }

    #[test]
    fn a_test_that_fails_at_the_base_too_is_counted_and_blocks_where_a_person_wrote_absolute() {
        let test = |id| Finding { kind: Kind::Test, ..finding(id) };
        let base = || Base::Scanned(with(&[test("old")]).into());
        let said = "1 test fails at the base too";
        check(Mode::Absolute, &with(&[test("old")]), &base(), Verdict::Pass, said);
        check(Mode::Strict, &with(&[test("old")]), &base(), Verdict::Fail, said);
        let both = with(&[test("old"), test("new")]);
        check(Mode::Absolute, &both, &base(), Verdict::Fail, "1 test failed, 1 test fails at the base too");
        check(Mode::Strict, &refused(), &Base::Scanned(refused().into()), Verdict::Fail, "exited with 1");
    }

    #[test]
    fn a_base_that_lacks_something_or_has_the_candidates_packages_excuses_no_test() {
        let test = |said: &str| Finding { kind: Kind::Test, message: said.into(), ..finding("t") };
        let is = with(&[test("AssertionError: assert 3 == 4")]);
        let was = |said: &str| Base::Scanned(with(&[test(said)]).into());
        check(
            Mode::New,
            &is,
            &was("AssertionError: assert 2 == 4"),
            Verdict::Pass,
            "1 test fails at the base too",
        );
        let lacks =
            "1 test failed; at the base something was missing that the candidate has: that excuses no test";
        check(Mode::New, &is, &was("FileNotFoundError: gold.txt"), Verdict::Fail, lacks);
        let both = with(&[test("ModuleNotFoundError: x")]);
        check(
            Mode::New,
            &both,
            &was("ModuleNotFoundError: x"),
            Verdict::Pass,
            "1 test fails at the base too",
        );
        let both = with(&[test("ModuleNotFoundError: No module named 'a.x'")]);
        let (lines, missing) = (ChangedLines::new(), was("ModuleNotFoundError: No module named 'a.x'"));
        let old = was("AssertionError: assert 3 == 4");
        let alike = Change {
            distrust: None,
            left_behind: &|name| name == "x",
            lines: &lines,
            touches: &|_| false,
            allow: &|_| {},
        };
        let judged =
            |head, base, change| super::judge(Mode::Absolute, head, base, &[], Thresholds::default(), change);
        let written = judged(&both, &missing, alike);
        assert_eq!(written.verdict, Verdict::Fail);
        assert!(written.reason.contains("`[worktree] copy`"), "{}", written.reason);
        assert_eq!(judged(&is, &old, alike).verdict, Verdict::Pass);
        let nowhere = Change { left_behind: &|name| name == "y", ..alike };
        assert_eq!(judged(&both, &missing, nowhere).verdict, Verdict::Pass);
        let change = Change {
            distrust: Some("`uv.lock` asks for other packages"),
            left_behind: &|_| false,
            lines: &ChangedLines::new(),
            touches: &|_| false,
            allow: &|_| {},
        };
        let base = was("AssertionError: assert 3 == 4");
        let judged = super::judge(Mode::Absolute, &is, &base, &[], Thresholds::default(), change);
        assert_eq!(judged.verdict, Verdict::Fail);
        assert!(judged.reason.contains("`uv.lock` asks for other packages"), "{}", judged.reason);
    }

    #[test]
    fn a_suite_of_which_nothing_passes_proves_nothing() {
        let test = Finding { kind: Kind::Test, ..finding("t") };
        let red = |passed| Parsed {
            tests: TestCounts { passed, errors: 1, ..TestCounts::default() },
            ..with(std::slice::from_ref(&test))
        };
        let base = || Base::Scanned(red(0).into());
        assert_eq!(judge(Mode::Absolute, &red(0), &base()).verdict, Verdict::Error);
        assert_eq!(judge(Mode::Absolute, &red(1), &base()).verdict, Verdict::Pass);
        assert_eq!(judge(Mode::Report, &red(0), &base()).verdict, Verdict::Pass);
        assert_eq!(judge(Mode::New, &red(0), &Base::None).verdict, Verdict::Fail);
    }

    #[test]
    fn an_error_at_the_base_excuses_nothing() {
        let why = || Base::Error("broken".into());
        let reason = "1 new finding; the base could not be checked: broken";
        check(Mode::New, &with(&[finding("x")]), &why(), Verdict::Fail, reason);
        let reason = "exited with 1\nthe base could not be checked: broken";
        check(Mode::New, &refused(), &why(), Verdict::Fail, reason);
    }

    #[test]
    fn a_refusal_is_new_unless_the_base_is_refused_too() {
        let red = || Base::Scanned(refused().into());
        check(Mode::New, &refused(), &red(), Verdict::Pass, "fails at the base too: exited with 1");
        check(
            Mode::New,
            &refused(),
            &Base::Scanned(Parsed::default().into()),
            Verdict::Fail,
            "exited with 1",
        );
        let other =
            |said: &str| Base::Scanned(Parsed { refused: Some(said.to_owned()), ..Parsed::default() }.into());
        let reason = "exited with 1\nthe base fails in another way: exited with 129: usage";
        check(Mode::New, &refused(), &other("exited with 129: usage"), Verdict::Fail, reason);
        let reason =
            "exited with 1\nthe base fails in another way: exited with 1: fatal: not a git repository";
        check(
            Mode::New,
            &refused(),
            &other("exited with 1: fatal: not a git repository"),
            Verdict::Fail,
            reason,
        );
        check(Mode::Absolute, &refused(), &red(), Verdict::Fail, "exited with 1");
        check(Mode::Report, &refused(), &Base::None, Verdict::Pass, "exited with 1");
    }

    #[test]
    fn what_was_not_looked_at_is_never_a_pass() {
        let stopped = || Parsed { incomplete: Some("stopped".into()), ..with(&[finding("syntax")]) };
        check(Mode::New, &stopped(), &Base::Scanned(with(&[]).into()), Verdict::Fail, "1 new finding");
        let reason = "stopped; the base has the same: 1 old finding";
        check(Mode::New, &stopped(), &Base::Scanned(stopped().into()), Verdict::Error, reason);
    }

    #[test]
    fn complexity_is_held_to_the_limits() {
        let metric = |value| Metric {
            name: "complexity".into(),
            value,
            threshold: None,
            path: "a.py".into(),
            symbol: "f".into(),
            line: 3,
        };
        let head = |value| Parsed { metrics: vec![metric(value)], ..Parsed::default() };
        assert!(!needs_base(&head(10.0), Thresholds::default()));
        check(Mode::New, &head(12.0), &Base::Scanned(head(1.0).into()), Verdict::Pass, "");
        check(Mode::New, &head(16.0), &Base::Scanned(head(16.0).into()), Verdict::Pass, "1 old finding");
        check(Mode::New, &head(17.0), &Base::Scanned(head(16.0).into()), Verdict::Fail, "1 new finding");
        let judged = judge(Mode::New, &head(17.0), &Base::None);
        assert_eq!(judged.metrics[0].threshold, Some(15.0));
        assert_eq!(judged.findings[0].message, "`f` has complexity 17 (at most 15)");
    }
}
