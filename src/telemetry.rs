//! Where the program tells what it does: rotating logs under the state directory.
//!
//! Only processes that nobody looks at log here: the supervisor and the workers. Commands print.

use std::path::Path;

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;

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
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(appender).with_ansi(false).finish();
    // A second call finds the first one's subscriber in place, which is what is wanted.
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logging was set up before");
    }
}
