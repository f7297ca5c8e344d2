//! What a worker shows: its pane, which may never block it, and the transcript of the run.
//!
//! What programs print is untrusted: of escape sequences only colours come through, so a
//! transcript cannot drive the terminal of whoever reads it. Secrets are left out of both; for that,
//! lines come whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::stream::Filter;
use crate::config::cli_agent::ShowAs;
use crate::process::child::Stream;
use crate::redact::Lines;

/// A transcript that is longer is set aside once; then the older half goes.
const TRANSCRIPT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Lines of what a tool gave, or of a thought, that are shown.
const STREAM_LINES_MAX: usize = 12;

/// The pane and the transcript.
#[derive(Debug)]
pub(super) struct Screen {
    pane: Option<io::Stdout>,
    transcript: Option<Transcript>,
    filters: [Filter; 2],
    /// Of each source, whose lines are looked at whole: a secret in one is not saved by a line of another
    /// that comes between its halves.
    lines: [Lines; 4],
    lost: u64,
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A program's standard output.
    Out,
    /// A program's standard error.
    Err,
    /// sprint itself.
    Own,
    /// What goes into the transcript alone.
    Noted,
}

#[derive(Debug)]
struct Transcript {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Screen {
    /// The pane of this process. Writing to it never waits: what a slow terminal does not take is
    /// left out and counted; the transcript has everything.
    pub(super) fn open() -> Self {
        let stdout = io::stdout();
        let flags = fcntl(&stdout, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate);
        let set = flags.and_then(|flags| fcntl(&stdout, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)));
        if let Err(errno) = set {
            tracing::debug!(%errno, "the pane cannot be made non-blocking; nothing is shown there");
        }
        Self {
            pane: set.is_ok().then_some(stdout),
            transcript: None,
            filters: Default::default(),
            lines: Default::default(),
            lost: 0,
        }
    }

    /// From now on everything goes into this file too.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn record(&mut self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let bytes = file.metadata()?.len();
        self.transcript = Some(Transcript { path: path.to_owned(), file, bytes });
        Ok(())
    }

    /// The run is over.
    pub(super) fn stop_recording(&mut self) {
        let noted = self.lines[Source::Noted as usize].finish();
        self.transcribe(&noted);
        self.end_output();
        self.transcript = None;
    }

    /// What a program prints.
    pub(super) fn output(&mut self, stream: Stream, bytes: &[u8]) {
        let clean = self.filters[stream as usize].clean(bytes);
        self.put(if stream == Stream::Out { Source::Out } else { Source::Err }, &clean);
    }

    /// The program is over: a line that it left open ends here.
    pub(super) fn end_output(&mut self) {
        for source in [Source::Out, Source::Err] {
            let mut rest = self.lines[source as usize].finish();
            if rest.last().is_some_and(|last| *last != b'\n') {
                rest.push(b'\n');
            }
            self.transcribe(&rest);
            self.show(&rest);
        }
    }

    /// A line of sprint's own, for people.
    pub(super) fn say(&mut self, text: &str) {
        let line = format!("\x1b[36m▌\x1b[0m {text}\n");
        self.put(Source::Own, line.as_bytes());
    }

    /// A headline of sprint's own.
    pub(super) fn headline(&mut self, text: &str) {
        let line = format!("\n\x1b[1;36m▌ {text}\x1b[0m\n");
        self.put(Source::Own, line.as_bytes());
    }

    /// A piece of a model's stream.
    pub(super) fn show_stream(&mut self, kind: ShowAs, text: &str) {
        let (colour, sign) = match kind {
            ShowAs::Text => ("", ""),
            ShowAs::Thought => ("\x1b[2;3m", "  "),
            ShowAs::Tool => ("\x1b[36m", "▸ "),
            ShowAs::Result => ("\x1b[2m", "  "),
            ShowAs::Note => ("\x1b[2m", "· "),
            ShowAs::Retry => ("\x1b[33m", "↻ "),
        };
        let lines: Vec<&str> = text.lines().collect();
        let most = if kind == ShowAs::Text { lines.len() } else { STREAM_LINES_MAX };
        for line in lines.iter().take(most) {
            self.put(Source::Own, format!("{colour}{sign}{line}\x1b[0m\n").as_bytes());
        }
        if lines.len() > most {
            self.put(
                Source::Own,
                format!("\x1b[2m  … {} more lines\x1b[0m\n", lines.len() - most).as_bytes(),
            );
        }
    }

    /// Into the transcript alone, while a program has the pane.
    pub(super) fn note(&mut self, text: &str) {
        let clean = self.lines[Source::Noted as usize].push(text.as_bytes());
        self.transcribe(&clean);
    }

    fn put(&mut self, source: Source, bytes: &[u8]) {
        let clean = self.lines[source as usize].push(bytes);
        self.transcribe(&clean);
        self.show(&clean);
    }

    fn transcribe(&mut self, bytes: &[u8]) {
        if let Some(transcript) = self.transcript.as_mut().filter(|_| !bytes.is_empty())
            && let Err(error) = transcript.append(bytes)
        {
            tracing::warn!(%error, "the transcript ends here");
            self.transcript = None;
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        let Some(pane) = &self.pane else { return };
        let mut rest = bytes;
        while !rest.is_empty() {
            match nix::unistd::write(pane, rest) {
                Ok(written) => rest = &rest[written..],
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => {
                    // A slow or closed terminal: what it does not take is left out.
                    self.lost += rest.len() as u64;
                    return;
                }
            }
        }
    }
}

impl Transcript {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes + bytes.len() as u64 > TRANSCRIPT_BYTES_MAX {
            fs::rename(&self.path, self.path.with_extension("old.log"))?;
            self.file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
            self.bytes = 0;
        }
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

/// What gates print, and what prepares a worktree.
impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output(Stream::Out, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_another_line_cuts_in_two_is_in_no_transcript() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        let mut screen = Screen { pane: None, ..Screen::open() };
        screen.record(&file).unwrap();
        let token = ["ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"].join("_");
        let (first, second) = token.split_at(14);
        screen.output(Stream::Out, format!("it is {first}").as_bytes());
        screen.output(Stream::Err, b"a warn");
        screen.say("a word of sprint's own");
        screen.output(Stream::Out, format!("{second}!\n").as_bytes());
        screen.output(Stream::Err, b"ing\nno end");
        screen.end_output();
        screen.say("over");
        screen.stop_recording();
        let said = fs::read_to_string(file).unwrap();
        assert!(!said.contains(first) && !said.contains(second), "{said}");
        let told = "it is [redacted: GitHub token]!\na warning\nno end\n";
        assert!(said.contains(told) && said.ends_with("over\n"), "{said}");
    }
}
