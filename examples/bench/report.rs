//! The table: figure, sprint's side, the other side, the ratio, the goal, reached or missed.

use std::error::Error;
use std::process::Command;

/// A figure.
#[derive(Debug)]
struct Row {
    name: String,
    ours: String,
    other: String,
    ratio: Option<f64>,
    goal: String,
    reached: Option<bool>,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    /// A figure with a goal; `ratio` is sprint's side over the other one.
    pub(crate) fn figure(
        &mut self,
        name: &str,
        ours: String,
        other: String,
        ratio: Option<f64>,
        goal: &str,
        reached: bool,
    ) {
        self.rows.push(Row {
            name: name.into(),
            ours,
            other,
            ratio,
            goal: goal.into(),
            reached: Some(reached),
        });
    }

    /// A number without a goal.
    pub(crate) fn fact(&mut self, name: &str, ours: String, other: String) {
        self.rows.push(Row { name: name.into(), ours, other, ratio: None, goal: "-".into(), reached: None });
    }

    /// A line below the table.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// A measurement that could not be made is not left out silently.
    pub(crate) fn failed(&mut self, name: &str, error: &dyn Error) {
        self.figure(name, format!("not measured: {error}"), "-".into(), None, "-", false);
    }

    /// What it was measured on, without names.
    pub(crate) fn machine(&mut self) {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("?").to_owned();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let version = |program: &str, flag: &str| {
            let output = Command::new(program).arg(flag).output().map(|out| out.stdout).unwrap_or_default();
            String::from_utf8_lossy(&output).trim().to_owned()
        };
        self.note(format!(
            "{cores} cores, load {load} before the first measurement; Linux {}; {}; {}",
            kernel.trim(),
            version("tmux", "-V"),
            version("git", "--version"),
        ));
    }

    /// Prints what has not been printed yet.
    pub(crate) fn print(&mut self) {
        if !self.rows.is_empty() {
            println!("\n| figure | sprint | other side | ratio | goal | |\n|---|---|---|---|---|---|");
        }
        for row in self.rows.drain(..) {
            let ratio = row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let word = match row.reached {
                Some(true) => "reached",
                Some(false) => "missed",
                None => "",
            };
            println!("| {} | {} | {} | {ratio} | {} | {word} |", row.name, row.ours, row.other, row.goal);
        }
        for note in self.notes.drain(..) {
            println!("{note}");
        }
    }
}
