//! What a run of a tool left, read; and whether it can be believed.

use std::path::Path;

use super::{Aside, Broken, REPORT_MAX, Ready, Scanner};
use crate::config::gate::Evidence;
use crate::gates::command;
use crate::gates::files::read_report;
use crate::gates::parse::{self, Parsed, Report};
use crate::process::run::{Ending, Outcome};

impl Scanner<'_> {
    /// Whether what it prints is for a parser and not for people.
    pub(super) fn report_is_printed(&self) -> bool {
        self.gate.parser != "exit-code"
            && self.gate.output.is_empty()
            && self.gate.tool.report.is_empty()
            && !command::names_out(self.gate)
    }

    pub(super) fn read(
        &self,
        parser: parse::Parser,
        ready: &Ready,
        outcome: &Outcome,
    ) -> Result<Parsed, Broken> {
        let exit = self.exit_code(outcome)?;
        if self.report_is_printed() && outcome.dropped > 0 {
            return Err(format!("it printed more than {} MiB", REPORT_MAX >> 20).into());
        }
        let file = self.report_file(ready)?;
        let also = self.gate.tool.also.as_str();
        let also = if also.is_empty() { None } else { read_report(&ready.places.path(also))? };
        let report = Report { also: also.as_deref(), ..self.report(ready, exit, outcome, file.as_deref()) };
        let mut parsed = parse::read(parser, &report).map_err(|error| Broken::Because(error.to_string()))?;
        parsed.silent = report.is_silent();
        self.has_evidence(parsed)
    }

    /// A clean report of a tool that has looked at nothing is no verdict.
    fn has_evidence(&self, mut parsed: Parsed) -> Result<Parsed, Broken> {
        match (&parsed.unreachable, self.gate.required) {
            (Some(why), true) => return Err(Broken::Because(why.clone())),
            (Some(_), false) if parsed.settled => return Ok(parsed),
            (Some(why), false) => return Err(Broken::Missing(why.clone())),
            (None, _) => {}
        }
        let none = parsed.nothing.is_none() && parsed.findings.is_empty() && parsed.refused.is_none();
        match self.gate.tool.evidence {
            Evidence::Reported if none && parsed.scanned.unwrap_or(0) == 0 => {
                Err(Broken::Because("it says nothing of what it has looked at".into()))
            }
            Evidence::Mutants if none && parsed.mutants.is_none_or(|mutants| mutants.tried() == 0) => {
                parsed.nothing = Some("there was nothing to mutate".into());
                Ok(parsed)
            }
            _ => Ok(parsed),
        }
    }

    pub(super) fn report<'r>(
        &'r self,
        ready: &'r Ready,
        exit: i32,
        outcome: &'r Outcome,
        file: Option<&'r [u8]>,
    ) -> Report<'r> {
        Report {
            exit,
            stdout: &outcome.stdout,
            stderr: &outcome.stderr,
            file,
            also: None,
            root: self.root_of(ready),
            subdir: self.context.subdir,
            pattern: &self.gate.pattern,
            clean: &self.gate.clean,
        }
    }

    /// The repository's root: `{root}` without the subdirectory.
    fn root_of<'r>(&self, ready: &'r Ready) -> &'r Path {
        let depth = Path::new(self.context.subdir).components().count();
        ready.places.root.ancestors().nth(depth).unwrap_or(&ready.places.root)
    }

    /// The exit code of a tool that did its work; anything else is nobody's verdict.
    fn exit_code(&self, outcome: &Outcome) -> Result<i32, Broken> {
        let words = parse::last_words(&outcome.stderr).or_else(|| parse::last_words(&outcome.stdout));
        let tail = words.map_or(String::new(), |words| format!(": {words}"));
        match outcome.ending {
            Ending::Cancelled => Err(Broken::Cancelled),
            Ending::TimedOut => Err(format!(
                "it still ran after {} and was ended",
                crate::config::duration::format(self.gate.timeout)
            )
            .into()),
            Ending::Exceeded(excess) => Err(format!("{excess} and was ended").into()),
            Ending::Signal(signal) => Err(format!("signal {signal} killed it{tail}").into()),
            Ending::Exit(code @ (126 | 127)) => {
                Err(format!("its command cannot be run (exit code {code}){tail}").into())
            }
            Ending::Exit(code) if lacks_module(&self.gate.command, &outcome.stderr) => {
                Err(format!("its command cannot be run (exit code {code}){tail}").into())
            }
            Ending::Exit(code)
                if self.gate.tool.expected.is_empty() || self.gate.tool.expected.contains(&code) =>
            {
                Ok(code)
            }
            Ending::Exit(code) => {
                Err(format!("it exited with {code}, which is none of its verdicts{tail}").into())
            }
        }
    }

    /// What lies in the place of the report before the run is of another one.
    pub(super) fn remove_old_report(&self, ready: &Ready) -> Result<(), Broken> {
        if self.gate.output.is_empty() {
            return Ok(());
        }
        let path = ready.cwd.join(&self.gate.output);
        match self.put_aside(&path, ready).and_then(|()| std::fs::remove_file(&path)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Broken::Because(format!(
                "the old report `{}` cannot be removed: {error}",
                self.gate.output
            ))),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// What lay there before the first run; what lies there afterwards is a run's own.
    fn put_aside(&self, path: &Path, ready: &Ready) -> std::io::Result<()> {
        if ready.before.get().is_some() || !path.symlink_metadata()?.is_file() {
            return Ok(());
        }
        let kept = self.context.tmp.join(format!("old-report-{}-{}", self.gate.name, self.side as usize));
        std::fs::copy(path, &kept)?;
        ready.before.get_or_init(|| Aside { place: path.to_owned(), kept });
        Ok(())
    }

    pub(super) fn report_file(&self, ready: &Ready) -> Result<Option<Vec<u8>>, Broken> {
        let path = if !self.gate.output.is_empty() {
            ready.cwd.join(&self.gate.output)
        } else if !self.gate.tool.report.is_empty() {
            ready.places.path(&self.gate.tool.report)
        } else if command::names_out(self.gate) {
            ready.places.out.clone()
        } else {
            return Ok(None);
        };
        Ok(read_report(&path)?)
    }
}

/// Whether a Python was asked for a module that it does not have: its way of saying 127.
fn lacks_module(command: &[String], stderr: &[u8]) -> bool {
    let Some(at) = command.iter().position(|word| word == "-m") else { return false };
    let python = command[..at].iter().any(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        name.starts_with("python") || name.starts_with("pypy")
    });
    let Some(module) = command.get(at + 1).filter(|_| python) else { return false };
    parse::last_words(stderr).is_some_and(|words| words.ends_with(&format!(": No module named {module}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_not_there_is_a_program_that_is_not_there() {
        let check = |command: &str, stderr: &str| {
            let words: Vec<String> = command.split(' ').map(ToOwned::to_owned).collect();
            lacks_module(&words, stderr.as_bytes())
        };
        let said = "/usr/bin/python3: No module named rufff\n";
        assert!(check("python3 -m rufff check", said));
        assert!(check("env X=1 /opt/py/bin/python3.11 -m rufff", said));
        assert!(!check("python3 -m pytest", said), "a module of somebody else's");
        assert!(!check("python3 -m rufff", "ModuleNotFoundError: No module named 'rufff.x'\n"));
        assert!(!check("make -m rufff", said));
        assert!(!check("python3 -m", said));
    }
}
