//! Where the program tells what it does: rotating logs under the state directory.
//!
//! Only processes that nobody looks at log here: the supervisor and the workers. Commands print.

use std::io::{self, Write};
use std::path::Path;

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::redact;

/// Days that are kept.
const FILES_MAX: usize = 14;

/// Sends everything from `level` on to `<directory>/<name>.<date>.log`. Called once a process;
/// without a place to write to, nothing is logged and the process goes on.
pub fn log_to(directory: &Path, name: &str, level: &str) {
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(name)
        .filename_suffix("log")
        .max_log_files(FILES_MAX)
        .build(directory);
    let Ok(appender) = appender else { return };
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Redacted(appender))
        .with_ansi(false)
        .finish();
    // A second call finds the first one's subscriber in place, which is what is wanted.
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logging was set up before");
    }
}

/// A log without secrets. What is logged comes in whole lines, one a write.
struct Redacted<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Redacted<W> {
    type Writer = Redacted<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Redacted(self.0.make_writer())
    }
}

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(&redact::bytes(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_holds_no_secret() {
        let mut log = Redacted(Vec::new());
        let token = format!("gh{}_{}", 'p', "a1B2".repeat(9));
        log.write_all(format!("error=\"cannot push to https://{token}@x.org\"\n").as_bytes()).unwrap();
        assert_eq!(log.0, b"error=\"cannot push to https://[redacted: GitHub token]@x.org\"\n");
    }
}
