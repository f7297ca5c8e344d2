//! SIGKILL, ENOSPC and EIO while a state of the first schema is led to the present one: afterwards it has the one or
//! the other, never something between, and the sprint goes on.
//!
//! `SPRINT_TEST_POINTS` says how many, as in `points`; `SPRINT_MIGRATION="kill start|write|database|7"` repeats one.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use sprint::store::schema::VERSION;

use crate::point::Point;
use crate::points::{Extent, minutes, shuffled};
use crate::scene::{Scene, Size};
use crate::tracer::Deed;
use crate::trial::{Came, Trial, record_in};

/// Trials where few are wanted.
const FEW: usize = 3;
const DEEDS: [Deed; 3] = [Deed::Kill, Deed::Fail(Errno::ENOSPC), Deed::Fail(Errno::EIO)];

/// From the moment at which the database is opened until it is led on: calls of `start` that change it.
fn points(scene: &Scene) -> Vec<Point> {
    let every = record_in(scene).every();
    every.into_iter().filter(|point| point.process == "start" && point.kind.starts_with("database")).collect()
}

fn trials() -> Vec<Trial> {
    if let Ok(text) = std::env::var("SPRINT_MIGRATION") {
        return vec![text.parse().unwrap()];
    }
    let scene = Scene::of_the_first_schema();
    assert_eq!(scene.schema(), 1);
    let points = points(&scene);
    assert_eq!(scene.schema(), VERSION, "an undisturbed start leads it on");
    println!("{} calls of `start` change the database", points.len());
    let all = points
        .into_iter()
        .flat_map(|point| DEEDS.map(|deed| Trial { size: Size::Two, deed, point: point.clone() }));
    shuffled(all.collect())
}

#[test]
fn a_schema_that_is_led_on_is_disturbed() {
    let (extent, began) = (Extent::asked(), Instant::now());
    let (count, limit) = match extent {
        Extent::Few => (FEW, Duration::MAX),
        Extent::Sites => (usize::MAX, minutes()),
        Extent::Every => (usize::MAX, Duration::MAX),
    };
    let (mut right, mut missed) = (0, 0);
    for trial in trials().into_iter().take(count).take_while(|_| began.elapsed() < limit) {
        let scene = Scene::of_the_first_schema();
        match trial.run_in(&scene) {
            Came::Right => right += 1,
            Came::Missed => missed += 1,
            Came::Wrong(why) => panic!(
                "{trial}: {why}\nagain: SPRINT_MIGRATION='{trial}' cargo test --test reliability a_schema_that"
            ),
        }
        assert_eq!(scene.schema(), VERSION, "{trial}");
    }
    println!("{right} right, {missed} missed in {:.0?}", began.elapsed());
    assert!(right > 0, "none of them was met");
}
