//! A task's life: attempts, errors, questions, what a person decides.

use super::*;

#[test]
fn the_table_of_a_tasks_life() {
    let mut states = vec![
        StatusKind::ToDo,
        StatusKind::Ready,
        StatusKind::Running,
        StatusKind::Retry,
        StatusKind::Landing,
    ];
    states.extend(WaitKind::ALL.map(StatusKind::Waiting));
    states.extend([StatusKind::Parked, StatusKind::Skipped, StatusKind::Done]);
    let mut table = format!("{:<12}", "");
    for state in &states {
        let text = match state {
            StatusKind::Waiting(kind) => format!("?{kind:?}").to_lowercase(),
            other => format!("{other:?}"),
        };
        write!(table, "{text:<12}").unwrap();
    }
    for input in Input::ALL {
        write!(table, "\n{:<12}", format!("{input:?}")).unwrap();
        for state in &states {
            write!(table, "{:<12}", format!("{:?}", transition(*state, input))).unwrap();
        }
    }
    let trimmed: Vec<&str> = table.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(trimmed.join("\n"));
}

#[test]
fn an_attempt_that_makes_nothing_leaves_the_candidate_of_the_one_before() {
    let failed = || Report::Failed { reason: "x".to_owned(), feedback: None };
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Check);
    let (commit, tree, head) = (sha(7001), sha(7002), run.job.head.clone().unwrap());
    let candidate = Candidate { commit: commit.clone(), tree, base: run.job.base.clone(), head };
    world.report(&run, checked(Verdict::Fail, Some(candidate)));
    let second = until(&mut world, "T001", StageKind::Work);
    assert_eq!((second.job.attempt, second.job.resume_from.as_ref()), (2, Some(&commit)));
    world.report(&second, failed());
    let third = until(&mut world, "T001", StageKind::Work);
    assert_eq!((third.job.attempt, third.job.resume_from), (3, Some(commit)));
    // One whose work does not merge is no ground for the next.
    let check = until(&mut world, "T001", StageKind::Check);
    world.report(&check, failed());
    assert_eq!(task(&world, "T001").status, Status::Parked);
    world.boot_with(false, Some(Request::TaskRetry { task: task_id(1).into() }));
    assert_eq!(until(&mut world, "T001", StageKind::Work).job.resume_from, None);
}

#[test]
fn three_failed_attempts_park_and_a_retry_begins_anew_with_what_was_wrong() {
    let mut world = quiet(&chain(2));
    for attempt in 1..=3 {
        let run = until(&mut world, "T001", StageKind::Work);
        assert_eq!(run.job.attempt, attempt);
        assert_eq!(run.job.feedback.is_some(), attempt > 1);
        world.report(&run, Report::Failed { reason: "no".to_owned(), feedback: None });
    }
    assert_eq!(task(&world, "T001").status, Status::Parked);
    assert_eq!(task(&world, "T002").status, Status::ToDo, "a parked task holds what depends on it");
    assert!(world.shut_down, "a parked task is nothing to wait for");
    world.boot_with(false, Some(Request::TaskRetry { task: task_id(1).into() }));
    let run = until(&mut world, "T001", StageKind::Work);
    assert_eq!((run.job.attempt, task(&world, "T001").failures), (4, 0));
    assert_eq!(run.job.feedback.unwrap().reason, "no");
}

#[test]
fn parked_tasks_let_go_where_the_policy_says_so() {
    let mut policy = default_policy();
    policy.gate_base = false;
    policy.parked = sprint::domain::plan::ParkedPolicy::Continue;
    let mut world = World::new(Choices::default());
    world.faults = false;
    world.start(feature("001-one", &chain(2), policy));
    until(&mut world, "T001", StageKind::Work);
    assert_eq!(request(&mut world, "T001", |task| Request::TaskStop { task }).0, 0);
    until(&mut world, "T002", StageKind::Work);
}

#[test]
fn an_error_waits_10_20_40_seconds_and_then_for_the_operator_whose_retry_repeats_the_gate() {
    let mut world = quiet(&chain(1));
    let errored = || Report::Errored { reason: "no mypy".to_owned() };
    for wait in [10_000, 20_000, 40_000] {
        let run = until(&mut world, "T001", StageKind::Check);
        world.report(&run, errored());
        assert_eq!(task(&world, "T001").status, Status::Retry { due_ms: world.now_ms + wait });
        world.now_ms += wait;
        world.apply(Event::TimePassed);
    }
    let run = until(&mut world, "T001", StageKind::Check);
    world.report(&run, errored());
    assert!(matches!(task(&world, "T001").status, Status::Waiting { wait: WaitKind::Operator, .. }));
    assert_eq!(
        (task(&world, "T001").attempt, task(&world, "T001").failures),
        (1, 0),
        "not the developer's fault"
    );
    assert_eq!(request(&mut world, "T001", |task| Request::TaskRetry { task }).0, 0);
    let run = until(&mut world, "T001", StageKind::Check);
    assert_eq!(
        (run.job.attempt, run.job.head),
        (1, task(&world, "T001").head),
        "the gate is repeated, not the work"
    );
}

#[test]
fn what_could_not_run_is_known_until_the_retry_has_run() {
    let mut world = quiet_with(&chain(1), true);
    let feature = |world: &World| world.state.features[&feature_id("001-one")].clone();
    let run = until_base(&mut world);
    world.report(&run, Report::Errored { reason: "no npm".to_owned() });
    assert_eq!(feature(&world).base_error.as_deref(), Some("no npm"));
    tick(&mut world, 10_000);
    assert_eq!((feature(&world).errors, feature(&world).base_error.is_some()), (1, true), "it runs again");
    let run = until(&mut world, "T001", StageKind::Check);
    assert_eq!(feature(&world).base_error, None);
    world.report(&run, Report::Errored { reason: "no mypy".to_owned() });
    tick(&mut world, 10_000);
    until(&mut world, "T001", StageKind::Check);
    assert_eq!((task(&world, "T001").errors, task(&world, "T001").reason.as_str()), (1, "no mypy"));
}

#[test]
fn an_answer_goes_on_with_the_same_attempt_though_there_is_no_room() {
    let mut world = quiet(&wide(8));
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, Report::Blocked { question: "tabs?".to_owned() });
    assert!(task(&world, "T001").in_flight(), "its convoy stays held");
    assert_eq!(world.request(Request::Answer { task: task_id(2).into(), text: "x".to_owned() }).0, 4);
    assert_eq!(world.request(Request::Answer { task: task_id(1).into(), text: "spaces".to_owned() }).0, 0);
    let again = until(&mut world, "T001", StageKind::Work);
    let answer = again.job.answer.unwrap();
    assert_eq!((again.job.attempt, answer.question.as_str(), answer.answer.as_str()), (1, "tabs?", "spaces"));
}

#[test]
fn another_answer_takes_the_firsts_place_until_a_run_has_it() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Work);
    world.report(&run, Report::Blocked { question: "tabs?".to_owned() });
    world.request(Request::Pause);
    let answer = |text: &str| Request::Answer { task: task_id(1).into(), text: text.to_owned() };
    assert_eq!(world.request(answer("tabs")).0, 0);
    let (exit, said) = world.request(answer("spaces"));
    assert!(exit == 0 && said.contains("instead of \"tabs\""), "{said}");
    world.request(Request::Resume { branch: None });
    let again = run_of(&world, "T001").job.answer.unwrap();
    assert_eq!((again.question.as_str(), again.answer.as_str()), ("tabs?", "spaces"));
    assert_eq!(world.request(answer("both")).0, 4, "a run has it");
    let run = run_of(&world, "T001");
    world.report(&run, Report::Interrupted { reason: String::new() });
    assert_eq!(world.request(answer("both")).0, 4, "it was given, whatever became of the run");
}

#[test]
fn a_skipped_run_is_revoked_and_its_task_is_not_given_out_again_before_it_is_over() {
    let mut world = quiet(&chain(1));
    let run = until(&mut world, "T001", StageKind::Work);
    assert_eq!(request(&mut world, "T001", |task| Request::TaskSkip { task }).0, 0);
    assert_eq!(request(&mut world, "T001", |task| Request::TaskRetry { task }).0, 0);
    assert_eq!(task(&world, "T001").status, Status::ToDo, "its worker is still at it");
    let report = world.good_report(&run);
    world.report(&run, report);
    let again = run_of(&world, "T001");
    assert_eq!((again.job.attempt, again.job.head), (2, None), "the late report changed nothing");
}

#[test]
fn a_stage_without_a_judgement_is_the_operators_at_once() {
    let mut world = quiet(&chain(1));
    let run = until_stage(&mut world, "T001", "InReview");
    world.report(&run, Report::Unjudged { reason: "no evidence".to_owned() });
    let now = task(&world, "T001");
    assert_eq!(now.status.kind(), StatusKind::Waiting(WaitKind::Operator));
    assert_eq!((now.reason.as_str(), now.attempt), ("no evidence", 1));
    assert_eq!(request(&mut world, "T001", |task| Request::TaskRetry { task }).0, 0);
    until_stage(&mut world, "T001", "InReview");
}

#[test]
fn tasks_that_share_a_file_are_never_in_flight_together() {
    let items = [item(1, 1, true, &["a.py"], Vec::new()), item(2, 1, true, &["a.py"], Vec::new())];
    let mut world = quiet(&items);
    until(&mut world, "T001", StageKind::Land);
    assert_eq!(task(&world, "T002").status, Status::ToDo);
    let second = until(&mut world, "T002", StageKind::Work);
    assert_eq!(Some(second.job.base), task_commit(&world, "T001"), "based on a head that contains the first");
}

#[test]
fn nothing_spins_while_nothing_is_decided() {
    for event in [Event::DiskLow { low: true }, Event::Request { id: 99, request: Request::Pause }] {
        let mut world = quiet(&chain(2));
        let run = until(&mut world, "T001", StageKind::Work);
        let report = world.good_report(&run);
        world.apply(event);
        world.report(&run, report);
        world.now_ms += 60_000;
        world.apply(Event::TimePassed);
        assert!(world.state.next_due().is_none_or(|due| due > world.now_ms));
    }
}
