//! Locks of git that have been there for long: what they are in the way of, and whose they are.

use super::context::Context;
use super::health::Problem;
use super::text::span;
use crate::git::locks::{self, Old, WAIT};

/// What a person should know of them.
pub(super) fn problems(context: &Context) -> Vec<Problem> {
    let old = locks::old(&context.repo, WAIT);
    if old.is_empty() {
        return Vec::new();
    }
    let state = context.layout().map(|layout| layout.state.as_path());
    let gits = locks::gits(&context.repo, state).unwrap_or_default();
    let pids: Vec<String> = gits.iter().map(|git| git.id.pid.to_string()).collect();
    old.iter().filter_map(|lock| problem(lock, &pids)).collect()
}

/// A person's git may hold the lock of its own checkout for as long as it likes.
fn problem(lock: &Old, gits: &[String]) -> Option<Problem> {
    let (path, age) = (lock.path.display(), span(u64::try_from(lock.age.as_millis()).unwrap_or(u64::MAX)));
    match (lock.is_persons, gits.is_empty()) {
        (true, false) => None,
        (true, true) => Some(Problem::new(
            format!(
                "`{path}` has been there for {age}, and no git runs here: your next command in this checkout will refuse"
            ),
            format!("sprint never touches your checkout; if nothing of yours is at work there: rm {path}"),
        )),
        (false, true) => Some(Problem::new(
            format!("`{path}` has been there for {age}, and no git runs here"),
            "a supervisor removes it after half a minute without a git here; or `sprint doctor --fix`",
        )),
        (false, false) => Some(Problem::new(
            format!(
                "`{path}` has been there for {age}, and git runs here (process {}): what sprint does with branches waits",
                gits.join(", ")
            ),
            format!("let it finish, or end it: kill {}", gits.join(" ")),
        )),
    }
}
