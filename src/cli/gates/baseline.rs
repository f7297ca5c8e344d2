//! `sprint gates baseline`: what the old code owes, by tool and rule.
//!
//! A report and no more: nothing is stored, so nothing that is new can hide behind it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::choice::chosen;
use super::{AtTheEnd, Call, Lines, base, cache_directory, interrupt, tell};
use crate::cli::args::GatesBaselineArgs;
use crate::cli::context::Context as Place;
use crate::cli::environment::Environment;
use crate::cli::gate_trees::Head;
use crate::cli::interrupts::Interrupts;
use crate::cli::out::Out;
use crate::cli::text::{Cell, Table, Tone, plain};
use crate::domain::gate::{Finding, GateResult, Severity, Status, Verdict};
use crate::domain::ids::GateName;
use crate::error::{CliError, exit};
use crate::gates::{Cache, Moment, Watch, recall, remember};

/// So many rules of a gate are shown to people; JSON has all.
const RULES_SHOWN: usize = 5;

/// What one gate has found; keys are added, never renamed or removed.
#[derive(Debug, Serialize)]
struct Owed {
    name: String,
    state: &'static str,
    reason: String,
    tool_version: Option<String>,
    seconds: f64,
    cached: bool,
    total: usize,
    severities: Severities,
    suppressed: usize,
    rules: Vec<Broken>,
}

#[derive(Debug, Default, Serialize)]
struct Severities {
    critical: usize,
    high: usize,
    medium: usize,
    low: usize,
    info: usize,
}

#[derive(Debug, Serialize)]
struct Broken {
    rule: String,
    severity: &'static str,
    count: usize,
}

/// Runs it.
///
/// # Errors
/// A gate or the base is not known (exit 2), nothing can be run (exit 3), or there is no commit
/// (exit 4).
pub(super) fn run(args: &GatesBaselineArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let place = Place::find(env)?;
    let config = place.config(env)?;
    let repo = &place.repo;
    let base = base(args.base.as_deref(), repo)?.commit;
    let wanted = args.gates.iter().map(String::as_str).collect();
    let gates = chosen(&wanted, None, &config, repo, (&base, &base))?;
    let interrupted = Interrupts::take_over()?;
    let cache = Cache::new(&cache_directory(env));
    let lines = Lines::new(&gates, |name| recall(&cache, &repo.common_dir, name), env);
    let call = Call {
        env,
        config: &config,
        repo,
        head: Head::Commit(base.clone()),
        base: None,
        fresh: args.no_cache,
        cancel: &|| interrupted.came(),
        // A gate held against nothing calls new whatever it finds.
        watch: Some(match &lines {
            Some(lines) => lines as &dyn Watch,
            None if args.json => &AtTheEnd,
            None => &Counted,
        }),
        all: true,
    };
    let ran = call.perform(&gates, &mut std::io::sink());
    if let Some(lines) = &lines {
        lines.clear();
    }
    let ran = ran.map_err(|error| if interrupted.came() { interrupt() } else { error })?;
    remember(&cache, &repo.common_dir, &ran.gates);
    let owed: Vec<Owed> = ran.gates.iter().map(Owed::of).collect();
    let total: usize = owed.iter().map(|owed| owed.total).sum();
    if args.json {
        out.json(&serde_json::json!({ "base": base.as_str(), "total": total, "gates": owed }));
    } else {
        out.line(format!("at {}:", base.short()));
        show(&owed, out);
        out.line(format!("{total} in all; whatever is not there is new, and blocks as always"));
    }
    // A report in which a tool is missing is not the whole truth.
    let broken = ran.gates.iter().any(|gate| gate.verdict == Verdict::Error);
    Ok(if broken { exit::ENVIRONMENT } else { exit::DONE })
}

/// Progress off a terminal: a line a gate.
struct Counted;

impl Watch for Counted {
    fn saw(&self, gate: &GateName, moment: Moment<'_>) {
        match moment {
            Moment::Began => tell(&format!("▶ {gate}")),
            Moment::Ended(result) => {
                let owed = Owed::of(result);
                let words = Some(owed.words()).filter(|words| !words.is_empty());
                let words = words.map_or_else(String::new, |words| format!(": {words}"));
                tell(&format!("{gate} {} ({:.1} s){words}", owed.state, owed.seconds));
            }
        }
    }

    fn tells_findings(&self) -> bool {
        true
    }
}

impl Owed {
    fn of(gate: &GateResult) -> Self {
        let open: Vec<&Finding> =
            gate.findings.iter().filter(|f| matches!(f.status, Status::New | Status::Existing)).collect();
        let mut severities = Severities::default();
        let mut rules: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
        for finding in &open {
            *severities.of(finding.severity) += 1;
            *rules.entry((finding.severity, &finding.rule)).or_default() += 1;
        }
        let mut rules: Vec<Broken> = rules
            .into_iter()
            .map(|((severity, rule), count)| Broken {
                rule: rule.to_owned(),
                severity: severity.as_str(),
                count,
            })
            .collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.count));
        let state = match gate.verdict {
            Verdict::Error => "error",
            Verdict::Skipped => "skipped",
            Verdict::Pass | Verdict::Fail if open.is_empty() && gate.verdict == Verdict::Pass => "clean",
            Verdict::Pass | Verdict::Fail => "owes",
        };
        Self {
            name: gate.name.to_string(),
            state,
            reason: without_new(&gate.reason),
            tool_version: gate.tool_version.clone(),
            seconds: (gate.seconds * 1000.0).round() / 1000.0,
            cached: gate.cached,
            total: open.len(),
            severities,
            suppressed: gate.findings.iter().filter(|f| f.status == Status::Suppressed).count(),
            rules,
        }
    }

    /// In the words of a line: the rules that are broken most often, or why there are none.
    fn words(&self) -> String {
        if self.rules.is_empty() {
            return plain(self.reason.lines().next().unwrap_or_default(), 120);
        }
        let shown: Vec<String> =
            self.rules.iter().take(RULES_SHOWN).map(|rule| format!("{} {}", rule.count, rule.rule)).collect();
        let more = self.rules.len().saturating_sub(RULES_SHOWN);
        let more = if more > 0 { format!(", {more} more rules") } else { String::new() };
        format!("{}{more}", shown.join(", "))
    }
}

/// Held against nothing, all that is owed counts as new to a gate.
fn without_new(reason: &str) -> String {
    let kinds = ["finding", "secret", "vulnerabilit"];
    kinds
        .iter()
        .fold(reason.to_owned(), |said, kind| said.replace(&format!(" new {kind}"), &format!(" {kind}")))
}

impl Severities {
    fn of(&mut self, severity: Severity) -> &mut usize {
        match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Info => &mut self.info,
        }
    }
}

fn show(owed: &[Owed], out: &mut Out<'_>) {
    let mut table =
        Table::new(&["GATE", "STATE", "CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO", "SUPPRESSED", "RULES"]);
    for gate in owed {
        let tone = match gate.state {
            "error" => Tone::Bad,
            "owes" => Tone::Warn,
            "clean" => Tone::Good,
            _ => Tone::Dim,
        };
        let by = &gate.severities;
        let numbers = [by.critical, by.high, by.medium, by.low, by.info, gate.suppressed];
        let mut row = vec![Cell::new(&gate.name), Cell::new(gate.state).tone(tone)];
        row.extend(
            numbers.map(|number| Cell::new(&if number == 0 { String::new() } else { number.to_string() })),
        );
        row.push(Cell::new(&gate.words()));
        table.row(row);
    }
    table.lines(out.colour, out.columns).iter().for_each(|line| out.line(line));
}
