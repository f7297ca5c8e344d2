//! What a kill cannot show, because the system keeps what was written: the order of the calls of an
//! undisturbed run. What is told is on the disk before it is told, and a branch that has moved is on the disk
//! before the database says so.

use crate::tracer::Call;

const SUPERVISOR: &str = "supervise";
const MOVER: &str = "git update-ref of supervise";

/// What is out of order, if anything is.
pub(crate) fn check(calls: &[Call]) -> Result<(), String> {
    transactions_are_durable_before_anybody_hears_of_them(calls)?;
    moves_are_durable(calls)?;
    landings_are_written_down_before_they_begin(calls)?;
    reports_are_whole_and_durable(calls)
}

fn is(call: &Call, process: &str, name: &str, kind: &str) -> bool {
    call.process == process && call.name == name && call.kind == kind
}

fn is_sync(call: &Call, process: &str, kind: &str) -> bool {
    is(call, process, "fsync", kind) || is(call, process, "fdatasync", kind)
}

fn transactions_are_durable_before_anybody_hears_of_them(calls: &[Call]) -> Result<(), String> {
    let mut open = false;
    for (at, call) in calls.iter().enumerate() {
        if is(call, SUPERVISOR, "pwrite64", "database-log") {
            open = true;
        } else if is_sync(call, SUPERVISOR, "database-log") {
            open = false;
        } else if open && is(call, SUPERVISOR, "sendto", "socket") {
            return Err(format!("call {at}: the supervisor rings before its transaction is on the disk"));
        }
    }
    Ok(())
}

/// The calls up to the next landing.
fn until_next_move(calls: &[Call], from: usize) -> &[Call] {
    let rest = &calls[from + 1..];
    let end = rest.iter().position(|call| is(call, MOVER, "rename", "branch")).unwrap_or(rest.len());
    &rest[..end]
}

fn moves_are_durable(calls: &[Call]) -> Result<(), String> {
    let moves = calls.iter().enumerate().filter(|(_, call)| is(call, MOVER, "rename", "branch"));
    let mut count = 0;
    for (at, _) in moves {
        count += 1;
        let locked = calls[..at].iter().rposition(|call| is(call, MOVER, "openat", "branch.lock"));
        let locked = locked.ok_or_else(|| format!("call {at}: a branch moves without a lock"))?;
        if !calls[locked..at].iter().any(|call| is_sync(call, MOVER, "branch.lock")) {
            return Err(format!("call {at}: a branch moves before its new place is on the disk"));
        }
        if !until_next_move(calls, at).iter().any(|call| is_sync(call, SUPERVISOR, "branch")) {
            return Err(format!("call {at}: a branch has moved, and its directory is never synced"));
        }
    }
    if count == 0 { Err("no branch was moved at all".to_owned()) } else { Ok(()) }
}

/// Between the report that asks for it and the lock of the branch there is a transaction.
fn landings_are_written_down_before_they_begin(calls: &[Call]) -> Result<(), String> {
    let begins = calls.iter().enumerate().filter(|(_, call)| is(call, MOVER, "openat", "branch.lock"));
    for (at, _) in begins {
        let told = calls[..at].iter().rposition(|call| is(call, "worker merger", "rename", "report"));
        // The branch is made before anybody has something to land.
        let Some(told) = told else { continue };
        if !calls[told..at].iter().any(|call| is_sync(call, SUPERVISOR, "database-log")) {
            return Err(format!("call {at}: a landing begins before the database knows of it"));
        }
    }
    Ok(())
}

fn reports_are_whole_and_durable(calls: &[Call]) -> Result<(), String> {
    let reports = calls.iter().enumerate().filter(|(_, call)| (call.name, call.kind) == ("rename", "report"));
    for (at, Call { process, by, .. }) in reports {
        let before = calls[..at].iter().rev().filter(|call| call.by == *by);
        let mut before = before.filter(|call| call.kind == "report");
        if before.next().is_none_or(|call| call.name != "fsync") {
            return Err(format!("call {at}: {process} files a report that is not on the disk"));
        }
        let after = calls[at + 1..].iter().filter(|call| call.by == *by);
        let mut after = after.filter(|call| call.name == "fsync" || call.kind == "database-log");
        if after.next().is_none_or(|call| call.name != "fsync") {
            return Err(format!("call {at}: {process} tells of a report whose name is not on the disk"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nix::unistd::Pid;

    use super::*;

    fn reports(steps: &[(i32, &'static str, &'static str)]) -> Result<(), String> {
        let call = |&(by, name, kind): &(i32, &'static str, &'static str)| Call {
            by: Pid::from_raw(by),
            process: "worker tester".to_owned(),
            name,
            kind,
        };
        reports_are_whole_and_durable(&steps.iter().map(call).collect::<Vec<Call>>())
    }

    #[test]
    fn two_workers_of_one_role_may_write_side_by_side() {
        let told = [
            (1, "write", "report"),
            (1, "fsync", "report"),
            (2, "write", "report"),
            (1, "rename", "report"),
            (1, "fsync", "run"),
        ];
        assert_eq!(reports(&told), Ok(()));
    }

    #[test]
    fn a_report_is_on_the_disk_before_it_has_its_name() {
        let told = [(1, "write", "report"), (2, "fsync", "report"), (1, "rename", "report")];
        let wanted = "call 2: worker tester files a report that is not on the disk";
        assert_eq!(reports(&told), Err(wanted.to_owned()));
    }
}
