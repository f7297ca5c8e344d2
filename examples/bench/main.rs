//! The measuring program: every figure that sprint promises, both sides in one run.
//!
//! `bench SPRINT [--quick] [--seconds N] [--only NAME…]` drives the real binary in a directory of its own and
//! prints a table. With one of the words of [`probe`] it is a program that is measured: an agent,
//! or the reference's worker. It judges honestly and always ends with 0: a missed figure is a
//! fact about the machine and the code, not a failure of the measurement.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

mod boot;
mod commands;
mod flow;
mod gates;
mod growth;
mod idle;
mod lab;
mod logs;
mod merge;
mod probe;
mod ready;
mod report;
mod requests;
mod screens;
#[path = "../../tests/standin/mod.rs"]
mod standin;
mod stats;
mod tmux;
mod typing;
mod workers;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use report::Report;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// What was asked for.
pub(crate) struct Plan {
    /// The binary that is measured.
    pub(crate) sprint: PathBuf,
    /// This program, which plays the agents.
    pub(crate) own: PathBuf,
    /// Fewer and smaller: for a look, and for continuous integration.
    pub(crate) quick: bool,
    /// The parts that were asked for by name.
    names: Vec<String>,
    /// When no further sample is taken.
    until: Instant,
}

impl Plan {
    /// One number for the whole measurement, one for the quick one.
    pub(crate) fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// Whether a part was asked for by its name: then it may take its time.
    pub(crate) fn names(&self, part: &str) -> bool {
        self.names.iter().any(|name| name == part)
    }

    /// Whether the time for the whole measurement is over: what is missing then is said.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

type Measure = fn(&Plan, &mut Report) -> Outcome<()>;

const ALL: [(&str, Measure); 11] = [
    ("ready", ready::measure),
    ("flow", flow::measure),
    ("merge", merge::measure),
    ("gates", gates::measure),
    ("idle", idle::measure),
    ("boot", boot::measure),
    ("growth", growth::measure),
    ("workers", workers::measure),
    ("screens", screens::measure),
    ("typing", typing::measure),
    (requests::NAME, requests::measure),
];

fn main() -> Outcome<()> {
    // First of all: for an agent this is the moment that is measured.
    let now = logs::now_us();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if probe::play(now, &words)? {
        return Ok(());
    }
    let names: Vec<String> = words.iter().skip_while(|word| *word != "--only").skip(1).cloned().collect();
    let sprint = words.first().ok_or("usage: bench SPRINT [--quick] [--seconds N] [--only NAME…]")?;
    let plan = Plan {
        sprint: std::fs::canonicalize(sprint)?,
        own: std::env::current_exe()?,
        quick: words.iter().any(|word| word == "--quick"),
        names: names.clone(),
        until: Instant::now() + seconds(&words)?,
    };
    let mut report = Report::default();
    report.machine();
    for (name, measure) in ALL {
        if !names.is_empty() && !names.iter().any(|wanted| *wanted == name) {
            continue;
        }
        if plan.is_over() {
            report.failed(name, &*Box::<dyn std::error::Error>::from("no time was left for it"));
            continue;
        }
        let began = Instant::now();
        if let Err(error) = measure(&plan, &mut report) {
            report.failed(name, &*error);
        }
        eprintln!("{name}: {:.0} s", began.elapsed().as_secs_f64());
        // At once: whoever ends a long measurement keeps what it has.
        report.print();
    }
    report.print();
    Ok(())
}

/// The bound that the words give; an hour without one.
fn seconds(words: &[String]) -> Outcome<Duration> {
    let given = words.iter().skip_while(|word| *word != "--seconds").nth(1);
    Ok(Duration::from_secs(given.map_or(Ok(3600), |text| text.parse())?))
}
