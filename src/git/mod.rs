//! git: worktrees, candidates, landing.
//!
//! Owns every way in which sprint touches a repository: what is checked at start ([`preflight`]),
//! where work happens ([`pool`], [`worktree`], [`prepare`]), how it is kept ([`leftovers`],
//! [`durable`]), how a result becomes a commit ([`candidate`]) and how that commit lands
//! ([`landing`]). It decides nothing: callers say what to do and get typed answers.
//!
//! Two engines. libgit2 reads, diffs, checks out and commits: it runs no hook, no filter driver,
//! no merge driver and no fsmonitor, whatever an agent has written into the shared `.git/config`.
//! The `git` binary adds worktrees, moves references and merges what a merge of trees cannot
//! decide, always through [`command::Git`] with a fixed environment.
//!
//! Consequence, on purpose: sprint's own checkouts never run `filter.*` drivers, so LFS files are
//! pointers in the worktrees (reported at start) until `[worktree] setup` fetches them.

pub mod addition;
pub mod branch;
pub mod broken;
pub mod candidate;
pub mod command;
pub mod conflict;
pub mod contents;
pub mod diff;
pub mod durable;
pub mod error;
pub mod export;
pub mod filters;
pub mod id;
pub mod landing;
pub mod leftovers;
pub mod links;
pub mod locks;
pub mod nested;
pub mod pool;
pub mod preflight;
pub mod prepare;
mod prune;
pub mod pushed;
pub mod radar;
pub mod repo;
mod restore;
pub mod stand;
pub mod standalone;
pub mod submodules;
pub mod traces;
mod trees;
pub mod worktree;

pub use error::{Error, Result};
pub use repo::{Identity, Repo};

#[cfg(test)]
mod tests;
