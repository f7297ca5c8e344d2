//! A tool that is started, with its turn waited for; and failed tests once more.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use super::{Broken, GRACE, REPORT_MAX, Ready, Scanner};
use crate::gates::context::Room;
use crate::gates::flaky::{is_failed_test, mark_flaky};
use crate::gates::pane::Pane;
use crate::gates::parse::{self, Parsed};
use crate::gates::{command, tools};
use crate::process::beside::pause;
use crate::process::offline;
use crate::process::run::{Ending, Outcome, Session, SpawnError, Spec, Stdin};
use crate::process::slots::{Guard, LOOK};

/// Output of a tool whose report is elsewhere is kept up to this, its end rather than its beginning.
const WORDS_MAX: usize = 256 << 10;

/// More failed tests than this are no flakes; they are not run again.
const RERUN_MAX: usize = 25;

impl Scanner<'_> {
    pub(super) async fn slots(&self, pane: &mut Pane<'_, '_>) -> Result<Option<Guard>, Broken> {
        let Some(slots) = self.context.slots else { return Ok(None) };
        let weight = self.gate.weight as usize;
        let mut waiter = slots.queue(weight);
        let mut told = false;
        while !self.stop.came() {
            if let Some(guard) = waiter.try_take().map_err(|error| Broken::Because(chain(&error)))? {
                return Ok(Some(guard));
            }
            if !told {
                pane.line(&format!("  waits for {weight} of this machine's gate slots"));
                told = true;
            }
            pause(LOOK).await;
        }
        Err(Broken::Cancelled)
    }

    pub(super) async fn execute(
        &self,
        ready: &Ready,
        argv: &[String],
        pane: &mut Pane<'_, '_>,
    ) -> Result<Outcome, Broken> {
        let program = argv.first().map_or("", String::as_str);
        let missing = |program| Broken::Missing(not_found(program, &self.gate.tool.how_to_get()));
        let absent = |needed: &&String| tools::find_program(needed, &ready.path, &ready.cwd).is_none();
        if let Some(needed) = self.gate.tool.needs.iter().find(absent) {
            return Err(missing(needed));
        }
        let Some(file) = tools::find_program(program, &ready.path, &ready.cwd) else {
            return Err(missing(program));
        };
        self.remove_old_report(ready)?;
        let shown = !self.report_is_printed();
        let mut tails = [Vec::new(), Vec::new()];
        let mut on_output = |stream, bytes: &[u8]| {
            pane.output(stream, bytes, shown);
            keep_last(&mut tails[stream as usize], bytes);
        };
        let outcome = self.stop.run(self.spec(ready, file, argv), &mut on_output).await;
        pane.end_output();
        // Before anything is read or judged: what still runs could write. What only reads leaves
        // nothing that would; helpers of those beside it are not for us to end.
        if self.room() == Room::Working {
            (self.context.end_left)().map_err(Broken::Because)?;
        }
        let mut outcome = outcome.map_err(|error| match error {
            SpawnError::Missing { .. } => missing(program),
            error => Broken::Because(chain(&error)),
        })?;
        if shown && outcome.dropped > 0 {
            // People and the developer's next attempt want the end of a long log.
            [outcome.stdout, outcome.stderr] = tails;
        }
        Ok(outcome)
    }

    pub(super) fn spec(&self, ready: &Ready, program: PathBuf, argv: &[String]) -> Spec {
        let online = self.gate.network || !offline::possible();
        Spec {
            program: program.into_os_string(),
            args: argv.iter().skip(1).map(OsString::from).collect(),
            cwd: ready.cwd.clone(),
            env: command::environment(Some(self.gate), self.context.env, &ready.path, &ready.places),
            stdin: Stdin::Null,
            timeout: self.gate.timeout,
            output_max: if self.report_is_printed() { REPORT_MAX } else { WORDS_MAX },
            grace: GRACE,
            session: if online { Session::NewSession } else { Session::Offline },
            bounds: self.context.bounds,
        }
    }

    /// Failed tests run once more alone; one that passes then is flaky: shown, counted, not blocking.
    pub(super) async fn rerun(
        &self,
        ready: &Ready,
        argv: &[String],
        parsed: &mut Parsed,
        seconds: &mut f64,
        pane: &mut Pane<'_, '_>,
    ) -> Result<(), Broken> {
        let failed: BTreeSet<String> =
            parsed.findings.iter().filter(|f| is_failed_test(f)).map(|f| f.symbol.clone()).collect();
        let ids: Vec<String> = failed.into_iter().collect();
        if ids.is_empty() || ids.len() > RERUN_MAX {
            return Ok(());
        }
        let Some(words) = command::only_tests(argv, &ready.cwd, &ids) else { return Ok(()) };
        pane.line(&format!("  {} failed: once more, alone", ids.len()));
        if let Err(error) = fs::remove_file(&ready.places.out) {
            return Err(format!("cannot remove the first report: {error}").into());
        }
        let outcome = self.execute(ready, &words, pane).await?;
        *seconds += outcome.seconds;
        if outcome.ending == Ending::Cancelled {
            return Err(Broken::Cancelled);
        }
        // Whatever went wrong there, the first failure stands.
        let Ending::Exit(exit) = outcome.ending else { return Ok(()) };
        let file = self.report_file(ready)?;
        let green = parse::passed_tests(&self.report(ready, exit, &outcome, file.as_deref()));
        mark_flaky(parsed, &green);
        Ok(())
    }
}

/// Keeps the last [`WORDS_MAX`] bytes, at times twice as many.
fn keep_last(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(bytes);
    if tail.len() > 2 * WORDS_MAX {
        tail.drain(..tail.len() - WORDS_MAX);
    }
}

fn not_found(program: &str, install: &str) -> String {
    if program.contains('/') {
        return format!("`{}` is not there", parse::clean(program, 200));
    }
    let how = if install.is_empty() { String::new() } else { format!(" ({install})") };
    format!("`{}` is not installed{how}", parse::clean(program, 200))
}

/// An error with all its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
