//! What a gate's program leaves running: a test's server, a daemon.

use std::time::Duration;

use crate::process::tree::{KILL_WAIT, end_children};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

/// Ends it, for it could write into the next gate's tree; the verdict stands. Finds it among the
/// children of this process, which must be a subreaper and wait for nothing else meanwhile.
///
/// # Errors
/// What would not end, for people.
pub fn end_left() -> Result<(), String> {
    match end_children(GRACE, KILL_WAIT) {
        Ok(any) => {
            if any {
                tracing::info!("a gate left processes behind; they are ended");
            }
            Ok(())
        }
        Err(error) => Err(format!("what the gate left running cannot be ended: {error}")),
    }
}
