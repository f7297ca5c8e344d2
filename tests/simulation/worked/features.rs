//! One feature after the other, and another round of one.

use super::*;

#[test]
fn features_follow_one_another_and_a_late_answer_is_worked_on_in_between() {
    let mut world = quiet(&chain(1));
    let mut second = feature("002-two", &chain(1), default_policy());
    second.after = Some(feature_id("001-one"));
    second.stay = true;
    world.start(second);
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, Report::Blocked { question: "?".to_owned() });
    let of_second = loop {
        let found = world
            .state
            .runs
            .values()
            .find(|run| run.job.feature == feature_id("002-two") && run.job.task.is_some());
        if let Some(run) = found {
            break run.clone();
        }
        assert!(world.turn());
    };
    assert_eq!(of_second.job.base, world.state.features[&feature_id("001-one")].head.clone().unwrap());
    assert_eq!(world.request(Request::Answer { task: task_id(1).into(), text: "!".to_owned() }).0, 0);
    while world.turn() && !world.shut_down {}
    assert!(world.state.features.values().all(|feature| feature.status == FeatureStatus::Finished));
}

#[test]
fn another_round_takes_new_tasks_and_leaves_out_those_that_are_gone() {
    let mut world = quiet(&chain(2));
    request(&mut world, "T002", |task| Request::TaskStop { task });
    while world.turn() && !world.shut_down {}
    let mut items = chain(3);
    items.remove(1);
    items[0].done = true;
    let mut new = feature("001-one", &items, default_policy());
    new.base = sha(5);
    assert!(world.start(new).1.contains("another round"));
    assert_eq!(task(&world, "T002").status, Status::Skipped);
    assert_eq!(
        request(&mut world, "T002", |task| Request::TaskRetry { task }).0,
        4,
        "no plan knows its files"
    );
    while world.turn() && !world.shut_down {}
    let row = &world.state.features[&feature_id("001-one")];
    assert_eq!((row.round, &row.status), (2, &FeatureStatus::Finished));
    assert_eq!(world.landed.len(), 2);
}

#[test]
fn the_last_parked_task_that_is_skipped_finishes_the_feature() {
    let mut world = quiet(&chain(1));
    until(&mut world, "T001", StageKind::Work);
    request(&mut world, "T001", |task| Request::TaskStop { task });
    while world.turn() {}
    assert_eq!(world.state.features[&feature_id("001-one")].status.word(), "resting");
    world.boot_with(false, Some(Request::TaskSkip { task: task_id(1).into() }));
    assert_eq!(world.state.features[&feature_id("001-one")].status.word(), "finished");
    let finish = |effect: &Effect| matches!(effect, Effect::FinishFeature { .. });
    assert!(world.log.iter().any(|(_, done)| done.effects.iter().any(finish)));
}
