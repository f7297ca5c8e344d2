//! The log of a simulated sprint, written to a real store and read again: rows and replay agree.

use std::collections::BTreeSet;

use sprint::domain::event::Envelope;
use sprint::domain::state::State;
use sprint::domain::step::step;
use sprint::store::{Batch, Store};

use crate::schedules::play;

/// Numbers that look random and are the same everywhere.
fn numbers(seed: u64) -> Vec<u16> {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u16::try_from((mixed ^ (mixed >> 31)) & 0xffff).unwrap()
    };
    (0..2500).map(|_| draw()).collect()
}

fn replayed(log: &[Envelope]) -> State {
    let mut state = State::default();
    for envelope in log {
        let done = step(&state, envelope);
        state.apply(&done);
    }
    state
}

#[test]
fn the_log_rebuilds_the_stored_state_and_so_do_the_rows() {
    for seed in 0..6 {
        let mut world = play(numbers(seed));
        world.calm();
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(&directory.path().join("sprint.db")).unwrap();
        store.raise_epoch("boot", 0).unwrap();
        for steps in world.log.chunks(40) {
            // Outbox rows stay open here: what is dispatched is no part of this.
            store.commit(&Batch { steps: steps.to_vec(), ..Batch::default() }).unwrap();
        }
        let log = store.log().unwrap();
        let changing = world.log.iter().filter(|(_, done)| !done.is_empty()).count();
        assert_eq!(log.len(), changing, "events that change nothing leave no row");
        assert!(changing < world.log.len(), "there were some");
        assert_eq!(store.load().unwrap(), world.state, "seed {seed}: rows");
        assert_eq!(replayed(&log), world.state, "seed {seed}: replay");
    }
}

#[test]
fn a_state_in_the_middle_survives_the_store() {
    let world = play(numbers(77));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sprint.db");
    let mut store = Store::open(&path).unwrap();
    store.raise_epoch("boot", 0).unwrap();
    let mut state = State::default();
    for (at, chunk) in world.log.chunks(25).enumerate() {
        store.commit(&Batch { steps: chunk.to_vec(), ..Batch::default() }).unwrap();
        for (_, done) in chunk {
            state.apply(done);
        }
        if at % 4 == 0 {
            assert_eq!(store.load().unwrap(), state);
        }
    }
}

#[test]
fn the_schedules_reach_what_they_are_about() {
    let mut kinds = BTreeSet::new();
    let mut landed = 0;
    for seed in 0..150 {
        let world = play(numbers(seed));
        landed += world.landed.len();
        kinds.extend(world.log.iter().flat_map(|(_, done)| done.lines.iter().map(|line| line.kind.clone())));
    }
    assert!(landed > 100, "{landed} tasks landed");
    insta::assert_snapshot!(kinds.into_iter().collect::<Vec<_>>().join("\n"));
}
