//! Real histories, replayed: successive releases of small packages become features, and what
//! comes out is the last release, one green merge a task.
//!
//! Needs the package index once; see `replay_support/releases.rs` for the cache.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails loudly, and says what it did"
)]

mod common;
mod replay_support;

use std::time::Duration;

use common::World;
use replay_support::case::{self, Gate, Recipe};
use replay_support::{checks, person};

/// A whole replay, on two busy cores.
const LIMIT: Duration = Duration::from_mins(2);

fn replay(recipe: &Recipe) {
    let mut world = World::new();
    let case = case::build(&mut world, recipe);
    assert!((5..=16).contains(&case.tasks.len()), "{} tasks", case.tasks.len());
    the_feature_is_read_as_written(&world, &case);
    let before = checks::Checkout::of(&world);
    let (end, took) = person::start_to_end(&world, LIMIT);
    assert_eq!(end.code, Some(0), "{}", end.output);
    println!("{} {:?}: {} tasks in {took:.1?}", recipe.package, recipe.versions, case.tasks.len());
    checks::all(&world, &case, &before);
}

/// Tasks, marks and paths are read as they were meant.
fn the_feature_is_read_as_written(world: &World, case: &case::Case) {
    let text = std::fs::read(world.repo().join(format!("specs/{}/tasks.md", case::FEATURE))).unwrap();
    let read = sprint::feature::TaskFile::read(&text).tasks;
    assert_eq!(read.len(), case.tasks.len());
    for (line, task) in read.iter().zip(&case.tasks) {
        assert_eq!((line.id.as_str(), line.parallel), (&*task.id, task.parallel));
        // `PKG-INFO` and `.coveragerc` alone look like any word.
        let told = task.changes.keys().filter(|path| path.contains('/'));
        let unread: Vec<_> = told.filter(|path| !line.paths.contains(path)).collect();
        assert!(unread.is_empty(), "{}: not read as paths: {unread:?}", task.id);
    }
}

#[test]
fn pluggy_with_its_own_tests() {
    replay(&Recipe {
        package: "pluggy",
        versions: &["1.3.0", "1.4.0", "1.5.0", "1.6.0"],
        gate: Gate::Tests("testing"),
        nap_ms: 0,
        developers: 3,
        apart: false,
    });
}

#[test]
fn toolz_with_its_own_tests() {
    replay(&Recipe {
        package: "toolz",
        versions: &["0.12.0", "0.12.1", "1.0.0"],
        gate: Gate::Tests("toolz"),
        nap_ms: 0,
        developers: 3,
        apart: false,
    });
}

#[test]
fn iniconfig_which_moves_and_deletes_files() {
    replay(&Recipe {
        package: "iniconfig",
        versions: &["1.1.1", "2.0.0", "2.1.0"],
        gate: Gate::Compiles,
        nap_ms: 0,
        developers: 3,
        apart: false,
    });
}
