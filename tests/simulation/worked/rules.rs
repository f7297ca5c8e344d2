//! A configuration that changes while a sprint runs.

use super::*;

#[test]
fn a_reload_makes_an_entry_that_was_gated_by_the_old_rules_start_over() {
    let mut world = quiet(&chain(1));
    let (run, candidate, gates) = landable(&mut world);
    let mut policy = default_policy();
    policy.config = "c2".to_owned();
    policy.must_land.push(GateName::parse("new").unwrap());
    world.request(Request::Reload { policy: Box::new(policy) });
    world.report(&run, Report::Landable { candidate, gates });
    let again = run_of(&world, "T001");
    assert_eq!(
        (again.job.kind, again.job.config.as_str(), again.job.gates.len()),
        (StageKind::Land, "c2", 0)
    );
}

/// The default rules with another gate in them.
fn corrected(config: &str) -> Request {
    Request::Reload { policy: Box::new(Policy { config: config.to_owned(), ..default_policy() }) }
}

#[test]
fn a_start_of_what_goes_on_and_a_reload_say_which_configuration_was_found_last() {
    let mut world = quiet(&chain(2));
    assert_eq!(world.state.sprint.config.as_ref(), Some(&default_policy().config));
    let mut policy = default_policy();
    policy.config = "found".into();
    world.start(feature("001-one", &chain(2), policy));
    assert_eq!(world.state.sprint.config.as_deref(), Some("found"));
    let frozen = &world.state.features[&feature_id("001-one")].frozen;
    assert_eq!(frozen.policy.config, default_policy().config, "its gates are those that it began with");
    world.request(corrected("corrected"));
    assert_eq!(world.state.sprint.config.as_deref(), Some("corrected"));
}

#[test]
fn a_reload_ends_the_wait_for_the_retry_of_the_base() {
    let mut world = quiet_with(&chain(1), true);
    for _ in 0..2 {
        let run = until_base(&mut world);
        world.report(&run, Report::Errored { reason: "no mypy".to_owned() });
        tick(&mut world, 20_000);
    }
    let run = until_base(&mut world);
    world.report(&run, Report::Errored { reason: "no mypy".to_owned() });
    let waits = world.state.features[&feature_id("001-one")].status.due_ms().is_some();
    assert!(waits && world.state.runs.is_empty(), "the third retry comes in 40 s");
    let (exit, said) = world.request(corrected("c2"));
    assert!(exit == 0 && said.contains("at once"), "{said}");
    let again = until_base(&mut world);
    let feature = &world.state.features[&feature_id("001-one")];
    assert_eq!((again.job.config.as_str(), feature.errors, feature.base_error.is_none()), ("c2", 0, true));
}

#[test]
fn a_base_that_was_gated_by_the_old_rules_is_gated_again() {
    for report in [
        Report::Errored { reason: "no mypy".to_owned() },
        checked(Verdict::Fail, None),
        checked(Verdict::Pass, None),
    ] {
        let mut world = quiet_with(&chain(1), true);
        let run = until_base(&mut world);
        world.request(corrected("c2"));
        world.report(&run, report);
        assert_eq!(until_base(&mut world).job.config, "c2", "neither refused nor begun");
        until(&mut world, "T001", StageKind::Work);
    }
}

#[test]
fn a_reload_ends_the_wait_for_the_retry_of_a_task_and_its_errors_begin_anew() {
    let mut world = quiet(&chain(1));
    let errored = || Report::Errored { reason: "no mypy".to_owned() };
    let run = until(&mut world, "T001", StageKind::Check);
    world.report(&run, errored());
    assert_eq!(task(&world, "T001").status.kind(), StatusKind::Retry);
    assert!(world.request(corrected("c2")).1.contains("at once"));
    let run = run_of(&world, "T001");
    assert_eq!((run.job.kind, run.job.config.as_str()), (StageKind::Check, "c2"));
    assert_eq!((task(&world, "T001").errors, task(&world, "T001").attempt), (0, 1));
    // An error of a run that began before the reload is not the new configuration's.
    world.request(corrected("c3"));
    world.report(&run, errored());
    assert_eq!((run_of(&world, "T001").job.config.as_str(), task(&world, "T001").errors), ("c3", 0));
    assert!(!world.request(corrected("c2")).1.contains("at once"), "nothing waits");
}
