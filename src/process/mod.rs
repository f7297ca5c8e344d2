//! Processes of the outside: spawn, observe, end whole trees; locks.
//!
//! Everything here is synchronous and Linux only; the one place of the crate with `unsafe`.
//! A loop of the caller polls a child's pidfd and pipes (`child::Running`), its signals
//! (`signals::Signals`) and its doorbell with `wait::wait_readable`; whoever only wants a result uses
//! `run::run`. It refuses to signal a process whose identity (boot, pid, start time) it has not checked.

pub mod beside;
pub mod cgroup;
pub mod child;
pub mod clock;
pub mod detach;
pub mod doorbell;
pub mod identity;
pub mod inhibit;
pub mod letterbox;
pub mod limits;
pub mod load;
pub mod lock;
pub mod locked;
pub mod memory;
pub mod named;
pub mod offline;
pub mod private;
pub mod pseudo;
pub mod run;
pub mod scratch;
pub mod signals;
pub mod slots;
pub mod subreaper;
pub mod supervisor_file;
pub mod system;
pub mod terminal;
pub mod tree;
pub mod wait;
pub mod watch;
