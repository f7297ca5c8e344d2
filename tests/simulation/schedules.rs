//! Random schedules: whatever happens, the laws hold, and when nothing goes wrong any more
//! everything comes to an end.

use proptest::prelude::*;

use sprint::domain::state::FeatureStatus;

use crate::laws;
use crate::plans::{default_policy, feature, random_items, random_policy};
use crate::world::{Choices, World};

/// So many things happen at most before it calms down.
const TURNS: usize = 400;

pub fn play(numbers: Vec<u16>) -> World {
    let mut world = World::new(Choices::new(numbers));
    if world.choices.chance(150) {
        // Hardly any worker comes up: breakers open, and stay open until the features rest.
        world.spawn_fails = 930;
    }
    let items = random_items(&mut world.choices);
    let policy = random_policy(&mut world.choices);
    let mut first = feature("001-one", &items, policy);
    first.answer_wait_ms = if world.choices.chance(300) { 60_000 } else { 0 };
    world.start(first);
    if world.choices.chance(300) {
        let items = random_items(&mut world.choices);
        let mut second = feature("002-two", &items, default_policy());
        second.after = Some(crate::plans::feature_id("001-one"));
        world.start(second);
    }
    for _ in 0..TURNS {
        if !world.choices.left() {
            break;
        }
        world.turn();
    }
    world
}

/// `SPRINT_TEST_SCHEDULES` asks for more.
fn schedules() -> u32 {
    std::env::var("SPRINT_TEST_SCHEDULES").map_or(600, |text| text.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: schedules(), max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_comes_to_rest(numbers in proptest::collection::vec(any::<u16>(), 0..2500)) {
        let mut world = play(numbers);
        world.calm();
        laws::at_rest(&world.state);
    }

    #[test]
    fn without_faults_every_feature_is_built(numbers in proptest::collection::vec(any::<u16>(), 0..120)) {
        let mut world = World::new(Choices::new(numbers));
        let items = random_items(&mut world.choices);
        world.faults = false;
        world.start(feature("001-one", &items, default_policy()));
        while !world.shut_down && world.turn() {}
        let feature = &world.state.features.values().next().unwrap();
        prop_assert_eq!(&feature.status, &FeatureStatus::Finished);
        prop_assert_eq!(world.landed.len(), items.len());
        prop_assert_eq!(feature.head.as_ref(), world.branches.get(&feature.id));
    }
}
