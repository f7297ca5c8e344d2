//! What gates say of real packages, held against the tools run by hand, and against what moving code
//! does.
//!
//! `SPRINT_TEST_PACKAGES` names a directory with `sdists/NAME-VERSION.tar.gz`, two successive releases
//! of each package, and `venv/`, which has pytest and what their tests need; `scripts/test --full`
//! fills one. The tools come from `SPRINT_TEST_TOOLS` and `SPRINT_TEST_PYTHON_TOOLS`. Where something
//! of it is absent the test says SKIPPED.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test: it panics, and says what it skips; its parts share what is public"
)]

#[path = "gates_agreement/by_hand.rs"]
mod by_hand;
#[path = "gates_agreement/moves.rs"]
mod moves;
#[path = "gates_agreement/packages.rs"]
mod packages;
mod person;
