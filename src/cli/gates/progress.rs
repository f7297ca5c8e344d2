//! Gates while they run, on a terminal: a line a gate, with its time and what it usually takes.
//!
//! Off a terminal nothing of this: there the lines of the gates themselves tell.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::environment::Environment;
use crate::config::GateConfig;
use crate::domain::gate::GateResult;
use crate::domain::ids::GateName;
use crate::gates::{Moment, Watch};

/// How often times are drawn.
const TICK: Duration = Duration::from_millis(100);
/// A verdict's reason takes no more columns.
const REASON_MAX: usize = 60;

/// The lines of one call.
pub(super) struct Lines {
    all: MultiProgress,
    lines: HashMap<GateName, (ProgressBar, Option<f64>)>,
}

impl Lines {
    /// One for each gate, with the seconds that it took last; `None` where standard error is no
    /// terminal that can draw them.
    pub(super) fn new(
        gates: &[GateConfig],
        last: impl Fn(&GateName) -> Option<f64>,
        env: &Environment,
    ) -> Option<Self> {
        let draws = env.get("TERM").is_some_and(|term| term != "dumb");
        if !draws || !std::io::stderr().is_terminal() {
            return None;
        }
        let all = MultiProgress::new();
        let width = gates.iter().map(|gate| gate.name.as_str().len()).max().unwrap_or(0);
        let line = |gate: &GateConfig| {
            let bar = all.add(ProgressBar::new_spinner());
            bar.set_style(style("{prefix}  {msg}"));
            bar.set_prefix(format!("{:width$}", gate.name.as_str()));
            let seconds = last(&gate.name);
            bar.set_message(format!("waits{}", usually(seconds)));
            (gate.name.clone(), (bar, seconds))
        };
        let lines = gates.iter().map(line).collect();
        Some(Self { all, lines })
    }

    /// A line above them.
    pub(super) fn tell(&self, said: &str) {
        if let Err(error) = self.all.println(said) {
            tracing::debug!(%error, "nobody reads standard error");
        }
    }

    /// Takes them away: what follows says it again.
    pub(super) fn clear(&self) {
        if let Err(error) = self.all.clear() {
            tracing::debug!(%error, "the lines of the gates stay");
        }
    }
}

impl Watch for Lines {
    fn saw(&self, gate: &GateName, moment: Moment<'_>) {
        let Some((bar, seconds)) = self.lines.get(gate) else { return };
        match moment {
            Moment::Began => {
                bar.reset_elapsed();
                bar.set_style(style("{prefix}  {spinner} {elapsed}{msg}"));
                bar.set_message(usually(*seconds));
                bar.enable_steady_tick(TICK);
            }
            Moment::Ended(result) => {
                bar.set_style(style("{prefix}  {msg}"));
                bar.finish_with_message(said(result));
            }
        }
    }
}

/// A template of ours; one that cannot be read is shown as indicatif does by itself.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn usually(seconds: Option<f64>) -> String {
    seconds.map_or(String::new(), |seconds| format!(", usually {}", time(seconds)))
}

fn said(result: &GateResult) -> String {
    let time = if result.cached { "kept".to_owned() } else { time(result.seconds) };
    let reason = crate::cli::text::plain(result.reason.lines().next().unwrap_or_default(), REASON_MAX);
    format!("{} {time}  {reason}", result.verdict).trim_end().to_owned()
}

/// Seconds, with one digit where it matters.
fn time(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}
