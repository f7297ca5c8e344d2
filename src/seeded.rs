//! Bugs that are put in on purpose, so that the tests of the reliability contract can show that they would
//! see them. Only in a build with debug assertions, and only where [`VARIABLE`] names one: in a release build
//! [`is`] is the constant `false`.

use std::sync::OnceLock;

/// Names the bug.
pub const VARIABLE: &str = "SPRINT_SEEDED_BUG";

/// One bug of the protocol. Each is caught by a test: `docs/RELIABILITY.md` says by which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The directory of a reference that has moved is not synced.
    SkippedSync,
    /// The database does not wait for the disk.
    NormalSync,
    /// A branch is moved wherever it is.
    NoCompareAndSwap,
    /// Locks of a git that was killed stay.
    LocksStay,
    /// What was in the outbox at a boot is given up as failed, without a look at what it has done.
    BlindRequeue,
    /// All runs have the same token.
    SameToken,
    /// A dead worker's run is over before its processes are gone.
    UnconfirmedDeath,
    /// A landing begins before the database knows of it.
    EarlyDispatch,
    /// Where a branch was comes from the branch, and not from the database.
    OldFromRef,
    /// A report counts whatever its token says.
    LateReport,
    /// A supervisor goes on in the epoch of the one before it.
    SameEpoch,
    /// What was not committed is not saved when a run ends without being done.
    LeftoversLost,
}

/// As [`VARIABLE`] calls them.
pub const NAMES: [(&str, Bug); 12] = [
    ("skipped-sync", Bug::SkippedSync),
    ("normal-sync", Bug::NormalSync),
    ("no-compare-and-swap", Bug::NoCompareAndSwap),
    ("locks-stay", Bug::LocksStay),
    ("blind-requeue", Bug::BlindRequeue),
    ("same-token", Bug::SameToken),
    ("unconfirmed-death", Bug::UnconfirmedDeath),
    ("early-dispatch", Bug::EarlyDispatch),
    ("old-from-ref", Bug::OldFromRef),
    ("late-report", Bug::LateReport),
    ("same-epoch", Bug::SameEpoch),
    ("leftovers-lost", Bug::LeftoversLost),
];

/// Whether this build has this bug.
pub fn is(bug: Bug) -> bool {
    static WANTED: OnceLock<Option<Bug>> = OnceLock::new();
    let wanted = || {
        let name = std::env::var(VARIABLE).ok()?;
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, bug)| *bug)
    };
    cfg!(debug_assertions) && *WANTED.get_or_init(wanted) == Some(bug)
}
