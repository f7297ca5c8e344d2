//! What a step costs at 1,000 tasks. Prints; holds nobody to a time on a busy machine.

use std::time::Instant;

use sprint::domain::step::step;
use sprint::store::{Batch, Client, Store};

use crate::plans::{default_policy, feature, wide};
use crate::world::{Choices, World};

#[test]
fn the_cost_of_a_step_at_a_thousand_tasks() {
    let mut world = World::new(Choices::default());
    world.faults = false;
    world.lawful = false;
    world.start(feature("001-one", &wide(1000), default_policy()));
    for _ in 0..3000 {
        world.turn();
    }
    // The same events again, without the laws.
    let log = &world.log;
    let mut state = sprint::domain::state::State::default();
    let begun = Instant::now();
    for (envelope, _) in log {
        let done = step(&state, envelope);
        state.apply(&done);
    }
    let each = begun.elapsed() / u32::try_from(log.len()).unwrap();
    println!("{} events, {each:?} each, {} landed", log.len(), world.landed.len());
    assert_eq!(state, world.state);
}

#[test]
fn the_cost_of_an_overview_at_a_thousand_tasks() {
    let mut world = World::new(Choices::default());
    world.faults = false;
    world.lawful = false;
    let items: Vec<_> = (1..=1000)
        .map(|number| {
            crate::plans::item(
                number,
                1 + u32::try_from(number / 50).unwrap(),
                number % 3 > 0,
                &[],
                Vec::new(),
            )
        })
        .collect();
    world.start(feature("001-one", &items, default_policy()));
    for _ in 0..500 {
        world.turn();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sprint.db");
    let mut store = Store::open(&path).unwrap();
    store.raise_epoch("boot", 0).unwrap();
    store.commit(&Batch { steps: world.log.clone(), ..Batch::default() }).unwrap();
    let client = Client::open_read_only(&path).unwrap();
    let begun = Instant::now();
    let overview = client.overview().unwrap();
    let whole = begun.elapsed();
    let feature = overview.state.features.values().next().unwrap();
    let frozen = serde_json::to_string(feature.frozen.as_ref()).unwrap();
    let begun = Instant::now();
    let _: sprint::domain::state::Frozen = serde_json::from_str(&frozen).unwrap();
    println!("overview {whole:?}, of which the plan {:?}, {} bytes", begun.elapsed(), frozen.len());
    assert_eq!(overview.state, world.state);
}
