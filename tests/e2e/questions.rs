//! An agent asks, a person answers, and the same attempt goes on.

use serde_json::Value;

use crate::common::{World, task_row};

/// Asks for a colour once, leaves a draft, and writes down what it is told afterwards.
const ASKS: &str = r#"
echo run >> $W/runs
if [ -z "$SPRINT_ANSWER" ]; then echo draft > draft.txt; echo "BLOCKED: which colour?"; exit 7; fi
printf '%s' "$SPRINT_ATTEMPT" > $W/attempt; printf '%s' "$SPRINT_FEEDBACK" > $W/feedback
cat draft.txt > $W/draft; echo "$SPRINT_ANSWER" > colour.txt; rm -f draft.txt; git add -A; git commit -qm colour"#;

fn check_continued(world: &World) {
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.landed_file("colour.txt"), "dark blue");
    assert_eq!(world.read("attempt"), "1");
    assert_eq!(world.read("draft"), "draft\n", "the worktree is as it was");
    assert_eq!(world.read("runs").lines().count(), 2);
    let feedback: Value = serde_json::from_str(&world.read("feedback")).unwrap();
    assert_eq!(feedback["stage"], "InProgress");
    assert_eq!(feedback["reason"], "answer");
    assert_eq!(feedback["question"], "which colour?");
    assert_eq!(feedback["answer"], "dark blue");
    assert_eq!(feedback["findings"], serde_json::json!([]));
}

#[test]
fn off_a_terminal_a_question_ends_the_start_and_the_answer_continues_at_the_next() {
    let world = World::with("- [ ] T001 write colour.txt\n", ASKS);
    let first = world.start().expect(1);
    world.assert_nothing_left();
    assert!(first.stdout.contains("sprint answer T001"), "{}", first.stdout);
    let status = world.status();
    assert_eq!(task_row(&status, "T001")["state"], "Waiting");
    assert_eq!(status["needs_you"][0]["kind"], "answer");
    assert_eq!(status["needs_you"][0]["text"], "which colour?");
    assert!(world.sprint(&["answer"]).expect(0).stdout.contains("which colour?"));
    // Nothing can go on without the answer, and nothing is asked twice.
    world.start().expect(1);
    assert_eq!(world.read("runs").lines().count(), 1);
    let told = world.sprint(&["answer", "T001", "red"]).expect(0);
    assert!(told.stdout.contains("applied at the next `sprint start`"), "{}", told.stdout);
    let status = world.status();
    assert_eq!(status["needs_you"], serde_json::json!([]), "it was answered: {status:#}");
    assert_eq!(status["pending"][0]["text"], "red");
    let told = world.sprint(&["answer", "T001", "dark", "blue"]).expect(0);
    assert!(told.stdout.contains("instead of \"red\""), "{}", told.stdout);
    let told = world.sprint(&["answer", "T001", "dark", "blue"]).expect(4);
    assert!(told.stderr.contains("already answered: dark blue"), "{}", told.stderr);
    world.start().expect(0);
    check_continued(&world);
    world.assert_nothing_left();
}

#[test]
fn with_a_living_supervisor_an_answer_goes_on_at_once() {
    let world = World::with("- [ ] T001 write colour.txt\n", ASKS);
    world.detach();
    world.wait_task("T001", "Waiting");
    world.sprint(&["answer", "T001", "dark blue"]).expect(0);
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    world.assert_nothing_left();
    check_continued(&world);
}

#[test]
fn of_two_answers_at_once_one_is_taken_and_the_other_is_told_so() {
    let world = World::with("- [ ] T001 write colour.txt\n", ASKS);
    world.detach();
    world.wait_task("T001", "Waiting");
    let running = ["red", "blue", "green", "white"].map(|colour| world.spawn(&["answer", "T001", colour]));
    let ended = running.map(crate::common::Running::end);
    let taken = ended.iter().filter(|output| output.code == 0).count();
    assert_eq!(taken, 1, "{ended:#?}");
    assert!(ended.iter().all(|output| output.code == 0 || output.code == 4), "{ended:#?}");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    let colours = ["red", "blue", "green", "white"];
    let at = ended.iter().position(|output| output.code == 0).unwrap();
    assert_eq!((world.landed_file("colour.txt").as_str(), world.landed().as_str()), (colours[at], "T001:1"));
    assert_eq!(world.read("runs").lines().count(), 2);
    world.assert_nothing_left();
}

#[test]
fn a_waiting_task_leaves_its_place_in_flight_and_holds_its_convoy() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write a.txt again\n- [ ] T003 [P] write c.txt\n");
    world.agent(
        "if [ $1 = T001 ] && [ -z \"$SPRINT_ANSWER\" ]; then echo 'BLOCKED: well?'; exit 0; fi\n\
         [ $1 = T003 ] && echo c > c.txt || echo $1 >> a.txt\ngit add -A; git commit -qm $1",
    );
    world.set("agents.max_in_flight", "1");
    world.configure();
    world.commit("base");
    let shown = world.start().expect(1);
    let why = "shares a.txt with T001, which waits for an answer";
    assert_eq!(task_row(&world.status(), "T002")["reason"], why);
    assert!(shown.stdout.contains(&format!("T002 is not begun: {why}")), "{}", shown.stdout);
    assert_eq!(world.landed(), "T003:1", "T002 shares a file with the task that waits");
    world.sprint(&["answer", "T001", "go"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T003:1 T001:1 T002:1");
}

#[test]
fn questions_of_unknown_tasks_and_empty_answers_are_refused() {
    let world = World::with("- [ ] T001 write colour.txt\n", ASKS);
    world.start().expect(1);
    let unknown = world.sprint(&["answer", "T002", "x"]).expect(4);
    assert!(unknown.stderr.contains("T001"), "names the nearest: {}", unknown.stderr);
    world.sprint(&["answer", "T001", " "]).expect(2);
    world.sprint(&["approve", "T001"]).expect(4);
}
