//! A database whose log is longer than it may be: who reads it and does not stop.

use super::context::Context;
use super::health::Problem;
use super::text::bytes;
use crate::store::pinned::{self, LOG_BYTES_MAX};

/// What a person should know of it; a supervisor ends sprint's own.
pub(super) fn problem(context: &Context) -> Option<Problem> {
    let database = context.layout()?.database();
    let size = pinned::log_bytes(&database);
    if size <= LOG_BYTES_MAX {
        return None;
    }
    let own = std::process::id().cast_signed();
    let readers = pinned::readers(&database).unwrap_or_default().into_iter().filter(|id| id.pid != own);
    let named: Vec<String> = readers.map(|id| format!("{} ({})", name(id.pid), id.pid)).collect();
    let what = format!("the log of the database has {}: somebody reads it and does not stop", bytes(size));
    let fix = match named.first() {
        Some(_) => format!("end who reads it, if it is none of sprint's: {}", named.join(", ")),
        None => "a supervisor takes it into the database; without one, `sprint doctor --fix` does".to_owned(),
    };
    Some(Problem::new(what, fix))
}

fn name(pid: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    super::text::plain(name.trim(), 40)
}
