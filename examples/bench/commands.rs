//! What a command takes: from the start of its process to its end.

use std::process::Stdio;
use std::time::Instant;

use crate::Outcome;
use crate::lab::Lab;
use crate::report::Report;
use crate::stats::Sample;

/// `health` with a hundred workers.
pub(crate) fn health(lab: &Lab, report: &mut Report, count: usize) -> Outcome<()> {
    compare(lab, report, "`health --json`, 100 workers, p50", &["health", "--json"], count, 50.0)
}

/// `status` with a thousand tasks.
pub(crate) fn status(lab: &Lab, report: &mut Report, count: usize) -> Outcome<()> {
    compare(lab, report, "`status`, 1,000 tasks, p50", &["status"], count, 10.0)?;
    compare(lab, report, "`status --json`, 1,000 tasks, p50", &["status", "--json"], count, 10.0)
}

/// The command against a start of the same program that does nothing.
fn compare(
    lab: &Lab,
    report: &mut Report,
    name: &str,
    words: &[&str],
    count: usize,
    limit: f64,
) -> Outcome<()> {
    let (mut ours, mut floor) = (Sample::default(), Sample::default());
    for _ in 0..count {
        floor.push(time(lab, &["--version"])?);
        ours.push(time(lab, words)?);
    }
    let shown = |s: &Sample| format!("{:.1} ms (p90 {:.1}, n {})", s.median(), s.at(0.9), s.len());
    let other = format!("`--version` {}", shown(&floor));
    let ratio = ours.median() / floor.median();
    report.figure(
        name,
        shown(&ours),
        other,
        Some(ratio),
        &format!("≤ {limit:.0} ms"),
        ours.median() <= limit,
    );
    Ok(())
}

fn time(lab: &Lab, words: &[&str]) -> Outcome<f64> {
    let mut command = lab.command(words);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    command.status()?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}
