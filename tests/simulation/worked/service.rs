//! Models' services that do not serve, and agents that add to the work.

use super::*;

fn unserved(lasting: bool) -> Report {
    Report::Unserved { agent: AGENT.to_owned(), reason: "429".to_owned(), lasting, until_ms: None }
}

#[test]
fn a_limit_holds_everybody_with_that_agent_spends_no_attempt_and_ends_by_itself() {
    let mut world = quiet(&wide(2));
    let developing = |world: &World| -> Vec<Run> {
        world.state.runs.values().filter(|run| run.job.kind == StageKind::Work).cloned().collect()
    };
    until(&mut world, "T001", StageKind::Work);
    world.register(&name("developer-2"));
    assert_eq!(developing(&world).len(), 2);
    for run in developing(&world) {
        world.report(&run, unserved(false));
    }
    let hold = world.state.sprint.holds[AGENT].clone();
    assert_eq!(hold.tries, 1, "the same limit counts once");
    assert_eq!(developing(&world), []);
    assert!(hold.until_ms.is_some() && world.state.next_due() <= hold.until_ms);
    let again = until(&mut world, "T001", StageKind::Work);
    assert_eq!(again.job.attempt, 1);
    world.report(&again, unserved(false));
    assert_eq!(world.state.sprint.holds[AGENT].tries, 2, "the next one waits longer");
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 2);
    assert!(world.state.sprint.holds.is_empty(), "whoever is served has no hold");
    assert!(world.state.tasks.values().all(|task| task.attempt == 1));
}

#[test]
fn a_limit_leaves_those_alone_whose_label_names_another_agent() {
    let mut policy = default_policy();
    policy.label_agents.insert("other".to_owned(), [(Role::Developer, "second".to_owned())].into());
    let mut world = World::new(Choices::default());
    world.faults = false;
    world.start(feature("001-one", &wide(3), policy));
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, unserved(false));
    // The third has the label: see `plans::feature`.
    let other = until(&mut world, "T003", StageKind::Work);
    assert_eq!(other.job.labels, ["Other"]);
    assert!(world.state.sprint.holds[AGENT].holds(), "the others wait");
    world.report(
        &other,
        Report::Unserved {
            agent: "second".to_owned(),
            reason: "429".to_owned(),
            lasting: false,
            until_ms: None,
        },
    );
    assert_eq!(world.state.sprint.holds.len(), 2);
    while world.turn() && !world.shut_down {}
    assert_eq!((world.landed.len(), world.state.sprint.holds.len()), (3, 0));
}

#[test]
fn what_a_tester_adds_is_gated_from_the_first_stage_and_what_was_said_stands() {
    let mut world = quiet(&chain(1));
    let first = until_stage(&mut world, "T001", "InTests");
    assert!(!first.job.stands && first.job.candidate.is_some());
    world.report(&first, added(77));
    let now = task(&world, "T001");
    assert_eq!((now.head, now.candidate, now.attempt), (Some(sha(77)), None, 1));
    assert_eq!(now.remarks, ["look"]);
    let review = until_stage(&mut world, "T001", "InReview");
    assert!(review.job.stands && review.job.candidate.is_none(), "gates of the new head, no second review");
    assert_eq!(review.job.head, Some(sha(77)));
    let good = world.good_report(&review);
    world.report(&review, good);
    let again = until_stage(&mut world, "T001", "InTests");
    assert!(again.job.stands);
    world.report(&again, added(78));
    assert_eq!(task(&world, "T001").errors, 1, "who has spoken does not add again");
    let again = until_stage(&mut world, "T001", "InTests");
    // What is red now goes back to the developer, and the next attempt is looked at anew.
    world.report(&again, checked(Verdict::Fail, again.job.candidate.clone()));
    let next = until_stage(&mut world, "T001", "InReview");
    assert_eq!((next.job.attempt, next.job.stands), (2, false));
    assert_eq!(task(&world, "T001").remarks, Vec::<serde_json::Value>::new());
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 1);
}

#[test]
fn a_reviewer_that_is_served_again_ends_the_hold_on_its_agent() {
    let mut policy = default_policy();
    policy.agents.insert(Role::Reviewer, "second".to_owned());
    let mut world = World::new(Choices::default());
    world.faults = false;
    world.start(feature("001-one", &chain(1), policy));
    let run = until_stage(&mut world, "T001", "InReview");
    world.report(
        &run,
        Report::Unserved {
            agent: "second".to_owned(),
            reason: "429".to_owned(),
            lasting: false,
            until_ms: None,
        },
    );
    let again = until_stage(&mut world, "T001", "InReview");
    assert_eq!((world.state.sprint.holds["second"].tries, again.job.attempt), (1, 1));
    let good = world.good_report(&again);
    world.report(&again, good);
    assert!(world.state.sprint.holds.is_empty());
}

#[test]
fn an_account_that_is_refused_waits_for_the_person() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, unserved(true));
    while world.turn() {}
    assert!(!world.shut_down, "it stays for the person");
    assert_eq!(world.state.features[&feature_id("001-one")].status, FeatureStatus::Resting);
    assert_eq!(world.state.sprint.holds[AGENT].until_ms, None);
    assert_eq!(world.request(Request::Resume { branch: None }).0, 0);
    while world.turn() && !world.shut_down {}
    assert_eq!(world.landed.len(), 1);
    assert_eq!(task(&world, "T001").attempt, 1);
}
