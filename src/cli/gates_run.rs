//! `sprint gates run`: gates without a feature, a supervisor or tmux; what they say as JSON, as
//! text, and as an exit code.
//!
//! Knows neither git nor arguments: the command gives it trees and gates. The JSON is an
//! interface: its keys are those of the views here, whatever the domain's types become.

use std::fmt::Write as _;
use std::io::Write;

use serde::Serialize;

use super::text::{Colour, Tone, harmless};
use crate::config::gate::GateConfig;
use crate::domain::gate::{GateResult, Kind, Status, Verdict, overall};
use crate::gates::{Cancelled, Context, old_ones, run_gates, shell_word};
use crate::process::offline;

/// At most so many findings of one gate are printed as text.
const TEXT_MAX: usize = 200;
/// At most so many tests that failed before are named.
const OLD_TESTS_MAX: usize = 10;
/// Told once, so that nobody believes that gates ran without the network.
const ONLINE: &str = "the gates could reach the network: this kernel gives no child one of its own; `sprint doctor` says what to do";

/// Said of a gate that fails at the base too, so that nobody takes it for green.
const EXCUSED: &str =
    "it fails at the base too, so this change is not to blame; where its command is wrong, it judges nothing";

/// What all gates together said.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// What they were held against: a commit; `None` without a base.
    pub base: Option<String>,
    /// What was judged: a commit, or `None` for the worktree as it is.
    pub head: Option<String>,
    /// Whether they were kept from the network, but for those with `network = true`.
    pub offline: bool,
    /// In the order in which they ran.
    pub gates: Vec<GateResult>,
}

/// Runs the enabled ones of `gates` (those named in `only`, if any are) and keeps what they say.
///
/// # Errors
/// [`Cancelled`] alone.
pub fn run_all(
    gates: &[GateConfig],
    only: &[String],
    (base, head): (Option<String>, Option<String>),
    context: &Context<'_>,
    progress: &mut dyn Write,
) -> Result<Ran, Cancelled> {
    let wanted = |gate: &&GateConfig| only.is_empty() || only.iter().any(|name| name == gate.name.as_str());
    let chosen: Vec<GateConfig> = gates.iter().filter(wanted).cloned().collect();
    Ok(Ran { base, head, offline: offline::possible(), gates: run_gates(&chosen, context, progress)? })
}

impl Ran {
    /// Where the lines to type mean what they meant here, if that is not the checkout.
    pub fn elsewhere(&self, staged: bool) -> Option<String> {
        // What sprint itself judges is told its head.
        let typed = |gate: &&GateResult| gate.command.first().is_some_and(|word| word != "sprint");
        self.gates.iter().filter(|gate| shows_by_hand(gate)).find(typed)?;
        let tree = match &self.head {
            Some(commit) => format!("git worktree add --detach /tmp/judged {commit} && cd /tmp/judged"),
            None if staged => "git checkout-index --all --prefix=/tmp/judged/ && cd /tmp/judged".to_owned(),
            None => return None,
        };
        Some(format!("by hand, in what was judged and not in all that lies here: {tree}"))
    }

    /// Error before fail before pass; skipped ones do not count.
    pub fn verdict(&self) -> Verdict {
        overall(self.gates.iter().map(|gate| gate.verdict))
    }

    /// 0 pass, 1 fail, 3 a gate that could not run.
    pub fn exit_code(&self) -> u8 {
        match self.verdict() {
            Verdict::Pass | Verdict::Skipped => 0,
            Verdict::Fail => 1,
            Verdict::Error => 3,
        }
    }

    /// What sprint itself judged is repeated by the same call: `words` are its base and head.
    pub fn repeat_with(&mut self, words: &[&str]) {
        let own =
            self.gates.iter_mut().filter(|gate| gate.command.first().is_some_and(|word| word == "sprint"));
        for gate in own.filter(|gate| !gate.by_hand.is_empty()) {
            for word in words {
                gate.by_hand.push(' ');
                gate.by_hand.push_str(&shell_word(word));
            }
        }
    }

    /// One JSON object, with a line break at its end.
    pub fn json(&self) -> String {
        let view = RanView {
            verdict: self.verdict().as_str(),
            base: self.base.as_deref(),
            head: self.head.as_deref(),
            offline: self.offline,
            gates: self.gates.iter().map(gate_view).collect(),
        };
        let mut text = serde_json::to_string_pretty(&view).expect("a view has only strings and numbers");
        text.push('\n');
        text
    }

    /// For people: a line a gate, its open findings below it, the whole verdict last.
    pub fn text(&self, colour: Colour) -> String {
        let mut text = String::new();
        self.gates.iter().for_each(|gate| gate_text(gate, colour, &mut text));
        for gate in self.gates.iter().filter(|gate| gate.is_excused()) {
            line(&mut text, format_args!("{}: {EXCUSED}", gate.name));
        }
        if !self.offline && self.gates.iter().any(|gate| gate.verdict != Verdict::Skipped) {
            line(&mut text, format_args!("{ONLINE}"));
        }
        verdict(self.verdict(), Tone::of(self.verdict()), colour, "", &mut text);
        text
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Names of files are in it, and what tools say. Writing to a String cannot fail.
    writeln!(text, "{}", harmless(&words.to_string())).expect("a String takes everything");
}

/// A line that begins with a verdict, in its colour; what stands behind it is made harmless first.
fn verdict(verdict: Verdict, tone: Tone, colour: Colour, rest: &str, text: &mut String) {
    let word = if rest.is_empty() { verdict.to_string() } else { format!("{verdict:7}") };
    // Writing to a String cannot fail.
    writeln!(text, "{}{}", colour.paint(tone, &word), harmless(rest)).expect("a String takes everything");
}

/// Whether the line to type is of use.
fn shows_by_hand(gate: &GateResult) -> bool {
    let red = matches!(gate.verdict, Verdict::Fail | Verdict::Error) || gate.is_excused();
    red && !gate.by_hand.is_empty()
}

fn gate_text(gate: &GateResult, colour: Colour, text: &mut String) {
    let time = if gate.cached { "kept".to_owned() } else { format!("{:.1}s", gate.seconds) };
    let mut reason = gate.reason.lines();
    let first = reason.next().unwrap_or_default();
    let tone = if gate.is_excused() { Tone::Warn } else { Tone::of(gate.verdict) };
    let rest = format!(" {:10} {time:>6}  {first}", gate.name);
    verdict(gate.verdict, tone, colour, &rest, text);
    reason.for_each(|more| line(text, format_args!("        {more}")));
    if shows_by_hand(gate) {
        // A word may have line breaks in it, and is typed with them.
        for (at, part) in gate.by_hand.split('\n').enumerate() {
            line(text, format_args!("{}{part}", if at == 0 { "        by hand: " } else { "" }));
        }
    }
    // What is old and blocks nothing would hide what is new. Tests have names that somebody knows.
    let (mut open, mut old): (Vec<_>, Vec<_>) = gate
        .findings
        .iter()
        .filter(|f| matches!(f.status, Status::New | Status::Existing))
        .partition(|f| f.status == Status::New || f.blocks(gate.mode));
    // What somebody has to do something about first.
    open.sort_by_key(|finding| (finding.status != Status::New, finding.severity));
    for finding in open.iter().take(TEXT_MAX) {
        let place = match (finding.path.as_str(), finding.line) {
            ("", _) => String::new(),
            (path, 0) => format!("{path}: "),
            (path, row) => format!("{path}:{row}: "),
        };
        let place = place.replace(char::is_control, " ");
        let said = finding.message.lines().next().unwrap_or_default();
        line(
            text,
            format_args!(
                "        {:8} {:8} {place}{} {said}",
                finding.status.as_str(),
                finding.severity.as_str(),
                finding.rule
            ),
        );
    }
    if open.len() > TEXT_MAX {
        line(text, format_args!("        … and {} more", open.len() - TEXT_MAX));
    }
    let (tests, rest): (Vec<_>, Vec<_>) = old.drain(..).partition(|finding| finding.kind == Kind::Test);
    for test in tests.iter().take(OLD_TESTS_MAX) {
        let said = test.message.lines().next().unwrap_or_default();
        line(text, format_args!("        fails at the base too: {said}"));
    }
    let unnamed = rest.len() + tests.len().saturating_sub(OLD_TESTS_MAX);
    if unnamed > 0 {
        line(text, format_args!("        {}", old_ones(unnamed)));
    }
}

#[derive(Serialize)]
struct RanView<'a> {
    verdict: &'a str,
    base: Option<&'a str>,
    head: Option<&'a str>,
    offline: bool,
    gates: Vec<GateView<'a>>,
}

#[derive(Serialize)]
struct GateView<'a> {
    name: &'a str,
    verdict: &'a str,
    mode: &'a str,
    tool_version: Option<&'a str>,
    seconds: f64,
    cached: bool,
    command: &'a [String],
    by_hand: &'a str,
    findings: Vec<FindingView<'a>>,
    metrics: Vec<MetricView<'a>>,
    tests: TestsView,
    reason: &'a str,
}

#[derive(Serialize)]
struct FindingView<'a> {
    rule: &'a str,
    path: &'a str,
    line: u32,
    severity: &'a str,
    message: &'a str,
    status: &'a str,
}

#[derive(Serialize)]
struct MetricView<'a> {
    name: &'a str,
    value: f64,
    threshold: Option<f64>,
    path: &'a str,
    symbol: &'a str,
}

#[derive(Serialize)]
struct TestsView {
    passed: u32,
    failed: u32,
    errors: u32,
    skipped: u32,
    flaky: u32,
}

fn gate_view(gate: &GateResult) -> GateView<'_> {
    let findings = gate.findings.iter().map(|finding| FindingView {
        rule: &finding.rule,
        path: &finding.path,
        line: finding.line,
        severity: finding.severity.as_str(),
        message: &finding.message,
        status: finding.status.as_str(),
    });
    let metrics = gate.metrics.iter().map(|metric| MetricView {
        name: &metric.name,
        value: metric.value,
        threshold: metric.threshold,
        path: &metric.path,
        symbol: &metric.symbol,
    });
    let tests = gate.tests;
    GateView {
        name: gate.name.as_str(),
        verdict: gate.verdict.as_str(),
        mode: gate.mode.as_str(),
        tool_version: gate.tool_version.as_deref(),
        // Milliseconds: more digits are noise.
        seconds: (gate.seconds * 1000.0).round() / 1000.0,
        cached: gate.cached,
        command: &gate.command,
        by_hand: &gate.by_hand,
        findings: findings.collect(),
        metrics: metrics.collect(),
        tests: TestsView {
            passed: tests.passed,
            failed: tests.failed,
            errors: tests.errors,
            skipped: tests.skipped,
            flaky: tests.flaky,
        },
        reason: &gate.reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::{Finding, Metric, Mode, Severity, TestCounts};
    use crate::domain::ids::GateName;

    fn result(name: &str, verdict: Verdict) -> GateResult {
        GateResult {
            name: GateName::parse(name).unwrap(),
            verdict,
            mode: Mode::New,
            tool_version: None,
            seconds: 0.0,
            cached: false,
            command: vec![name.into(), "it's".into()],
            by_hand: format!(r"{name} 'it'\''s'"),
            findings: Vec::new(),
            metrics: Vec::new(),
            tests: TestCounts::default(),
            reason: String::new(),
        }
    }

    fn ran() -> Ran {
        let lint = GateResult {
            tool_version: Some("ruff 1.2".into()),
            seconds: 0.123_456,
            findings: vec![Finding::code("F401", "a.py", 3, Severity::High, "`os` unused\nmore")],
            metrics: vec![Metric {
                name: "complexity".into(),
                value: 16.0,
                threshold: Some(15.0),
                path: "a.py".into(),
                symbol: "C.f".into(),
                line: 1,
            }],
            reason: "1 new finding".into(),
            ..result("ruff", Verdict::Fail)
        };
        let skipped = GateResult { reason: "nothing to check".into(), ..result("mypy", Verdict::Skipped) };
        let tests = TestCounts { passed: 2, flaky: 1, ..TestCounts::default() };
        let kept = GateResult { tests, cached: true, ..result("pytest", Verdict::Pass) };
        Ran { base: Some("b".repeat(40)), head: None, offline: true, gates: vec![lint, skipped, kept] }
    }

    #[test]
    fn the_json_has_the_keys_of_the_contract() {
        insta::assert_snapshot!(ran().json());
    }

    #[test]
    fn the_text_names_place_rule_and_command() {
        insta::assert_snapshot!(ran().text(Colour::Off));
    }

    #[test]
    fn a_line_to_type_keeps_its_line_breaks() {
        let mut ran = ran();
        ran.gates[0].by_hand = "sh -c 'a\nb'".into();
        assert!(ran.text(Colour::Off).contains("        by hand: sh -c 'a\nb'\n"));
        ran.gates[0].command = vec!["sprint".into()];
        ran.repeat_with(&["--base", "a b"]);
        assert!(ran.gates[0].by_hand.ends_with(" --base 'a b'"));
    }

    #[test]
    fn tests_that_failed_before_are_named_and_other_old_findings_counted() {
        let mut ran = ran();
        let old = |kind, message: &str| {
            let found = Finding::code("R", "a.py", 1, Severity::High, message);
            Finding { kind, status: Status::Existing, ..found }
        };
        let tests = (0..12).map(|at| old(Kind::Test, &format!("t.py::test_{at}: assert\nmore")));
        ran.gates[2].findings = tests.chain([old(Kind::Code, "unused")]).collect();
        let text = ran.text(Colour::Off);
        assert_eq!(text.matches("        fails at the base too: t.py::test_").count(), 10, "{text}");
        assert!(text.contains("t.py::test_9: assert\n        3 old findings are not listed"), "{text}");
    }

    #[test]
    fn lines_to_type_say_where_unless_that_is_the_checkout() {
        let mut ran = ran();
        assert_eq!(ran.elsewhere(false), None);
        assert!(ran.elsewhere(true).unwrap().contains("git checkout-index --all"));
        ran.head = Some("abc".to_owned());
        assert!(ran.elsewhere(false).unwrap().contains("--detach /tmp/judged abc"));
        ran.gates[0].command = vec!["sprint".to_owned()];
        assert_eq!(ran.elsewhere(false), None, "it names its head itself");
    }

    #[test]
    fn verdicts_have_their_colours_and_nothing_else_has() {
        let mut ran = ran();
        ran.gates[0].reason = "\u{1b}[35mred".into();
        let text = ran.text(Colour::On);
        assert!(text.starts_with("\u{1b}[31mfail   \u{1b}[0m ruff "), "{text:?}");
        assert!(text.ends_with("\n\u{1b}[31mfail\u{1b}[0m\n"), "{text:?}");
        assert!(!text.contains("[35m"), "{text:?}");
    }

    #[test]
    fn with_the_network_it_says_so_once_above_the_verdict() {
        let text = Ran { offline: false, ..ran() }.text(Colour::Off);
        assert_eq!(text.matches("could reach the network").count(), 1, "{text}");
        assert!(text.ends_with("says what to do\nfail\n"), "{text}");
        assert!(Ran { offline: false, ..ran() }.json().contains("\"offline\": false"));
        let none = Ran { offline: false, gates: Vec::new(), ..ran() };
        assert!(!none.text(Colour::Off).contains("network"), "nothing has run");
    }

    #[test]
    fn exit_codes_say_the_worst() {
        let of = |verdicts: &[Verdict]| {
            let gates = verdicts.iter().map(|v| result("g", *v)).collect();
            Ran { base: None, head: None, offline: true, gates }.exit_code()
        };
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[Verdict::Pass, Verdict::Skipped]), 0);
        assert_eq!(of(&[Verdict::Pass, Verdict::Fail]), 1);
        assert_eq!(of(&[Verdict::Error, Verdict::Fail]), 3);
    }
}
