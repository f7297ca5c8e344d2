//! The arguments of `sprint gates`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::JsonArgs;

/// `sprint gates …`.
#[derive(Debug, Subcommand)]
pub enum GatesCommand {
    /// Run gates on this worktree as it is, or on a commit
    Run(GatesRunArgs),
    /// List all gates: whether they take part here and why, and their tools
    List(JsonArgs),
    /// Show what the old code owes, by tool and rule; judges nothing
    Baseline(GatesBaselineArgs),
    /// Show or clear the kept results of gates
    Cache(GatesCacheArgs),
}

/// `sprint gates baseline`.
#[derive(Debug, Args, Clone)]
pub struct GatesBaselineArgs {
    /// Only these gates
    #[arg(value_name = "GATE")]
    pub gates: Vec<String>,
    /// The old code; default: where this branch began
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// Run everything, whatever the cache knows
    #[arg(long)]
    pub no_cache: bool,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint gates cache`.
#[derive(Debug, Args, Clone, Copy)]
pub struct GatesCacheArgs {
    /// Remove all kept results
    #[arg(long)]
    pub clear: bool,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint gates run`.
#[derive(Debug, Args, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct GatesRunArgs {
    /// Only these gates
    #[arg(value_name = "GATE")]
    pub gates: Vec<String>,
    /// Only this gate; may be given several times
    #[arg(long, value_name = "GATE")]
    pub gate: Vec<String>,
    /// Only the gates of this stage
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<String>,
    /// What findings are compared with; default: where this branch began
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// What is judged; default: the worktree as it is
    #[arg(long, value_name = "REF")]
    pub head: Option<String>,
    /// Judge what is staged for the next commit
    #[arg(long, conflicts_with_all = ["head", "worktree"])]
    pub staged: bool,
    /// Judge the worktree as it is, which is the default
    #[arg(long, conflicts_with = "head")]
    pub worktree: bool,
    /// Run everything, whatever the cache knows
    #[arg(long)]
    pub no_cache: bool,
    /// Cancel the other gates once one has failed
    #[arg(long)]
    pub fail_fast: bool,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
    /// Write SARIF 2.1.0 there; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,
    /// Write `JUnit` XML there; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print annotations for GitHub Actions
    #[arg(long, conflicts_with = "json")]
    pub github: bool,
}
