//! Who looks on while gates run: which one waits, which runs, and what each said.
//!
//! Refuses to be asked anything: nothing that is decided depends on it.

use crate::domain::gate::GateResult;
use crate::domain::ids::GateName;

/// What has happened to a gate.
#[derive(Debug, Clone, Copy)]
pub enum Moment<'a> {
    /// It began.
    Began,
    /// It has its verdict.
    Ended(&'a GateResult),
}

/// Told of every gate, from whichever thread runs it.
pub trait Watch: Sync {
    /// `gate` has come to `moment`.
    fn saw(&self, gate: &GateName, moment: Moment<'_>);

    /// Whether findings are told to people elsewhere, so that they are not said twice.
    fn tells_findings(&self) -> bool {
        false
    }
}
