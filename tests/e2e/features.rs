//! Features: several in one start, another round, another base, and a look before the leap.

use crate::common::World;

const WRITES: &str = "echo $SPRINT_FEATURE_DIR >> $1.txt; git add -A; git commit -qm $1";

#[test]
fn the_second_feature_of_one_start_begins_on_the_head_of_the_first() {
    let world = World::with("- [ ] T001 write a.txt\n", WRITES);
    world.feature("002-more", "## Phase 1: Work\n\n- [ ] T001 write b.txt\n- [ ] T002 write c.txt\n");
    world.commit("more");
    world.sprint(&["start", "specs/001-demo", "specs/002-more"]).expect(0);
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1");
    let all = world.landed_of("002-more");
    assert_eq!(
        all,
        [("T001".to_owned(), 1), ("T001".to_owned(), 1), ("T002".to_owned(), 1)],
        "the first's, then its own"
    );
    world.git(&["merge-base", "--is-ancestor", "sprint/001-demo", "sprint/002-more"]);
}

#[test]
fn all_takes_every_feature_with_open_tasks() {
    let world = World::with("- [ ] T001 write a.txt\n", WRITES);
    world.feature("002-done", "## Phase 1: Work\n\n- [x] T001 write b.txt\n");
    world.feature("003-open", "## Phase 1: Work\n\n- [ ] T003 write c.txt\n");
    world.commit("more");
    world.sprint(&["start", "--all"]).expect(0);
    assert_eq!(
        world.git(&["branch", "--list", "sprint/*", "--format=%(refname:short)"]),
        "sprint/001-demo\nsprint/003-open"
    );
}

#[test]
fn new_tasks_of_a_finished_feature_are_another_round_on_a_base_that_has_the_last() {
    let world = World::with("- [ ] T001 write a.txt\n", WRITES);
    world.start().expect(0);
    let tasks = "# Tasks: 001-demo\n\n## Phase 1: Work\n\n- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n";
    world.file("specs/001-demo/tasks.md", tasks);
    world.commit("another task");
    let refused = world.start().expect(4);
    assert!(refused.stderr.contains("git merge sprint/001-demo"), "{}", refused.stderr);
    // The person takes the first round over; both sides changed tasks.md.
    world.git(&["reset", "-q", "--hard", "HEAD~1"]);
    world.git(&["merge", "-q", "sprint/001-demo"]);
    let ticked = std::fs::read_to_string(world.repo().join("specs/001-demo/tasks.md")).unwrap();
    world.file("specs/001-demo/tasks.md", &format!("{ticked}- [ ] T002 write b.txt\n"));
    world.commit("another task");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1");
}

/// Old runs, of which the database knows nothing, and more than are kept.
fn with_many_runs(world: &World) -> impl Fn() -> Vec<String> {
    let (runs, transcripts) = (world.state().join("runs"), world.state().join("transcripts"));
    for number in 0..400 {
        let run = format!("01000000-0000-7000-8000-{number:012x}");
        std::fs::create_dir(runs.join(&run)).unwrap();
        std::fs::write(transcripts.join(format!("{run}.log")), "x").unwrap();
    }
    move || {
        let entries = std::fs::read_dir(&runs).unwrap().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn runs_that_the_database_does_not_know_are_nobodys_to_remove() {
    let world = World::with("- [ ] T001 write a.txt\n", WRITES);
    world.start().expect(0);
    let listed = with_many_runs(&world);
    let before = listed().len();
    world.feature("002-more", "## Phase 1: Work\n\n- [ ] T002 write b.txt\n");
    world.commit("more");
    world.sprint(&["start", "specs/002-more"]).expect(0);
    assert!(before > 400 && listed().len() > before, "nothing is over that is old enough");
    assert!(world.sprint(&["logs", "T001"]).expect(0).stdout.contains("InProgress"));
}

#[test]
fn a_dry_run_shows_the_plan_and_makes_nothing() {
    let world = World::demo();
    let before = world.git(&["for-each-ref"]);
    let shown = world.sprint(&["start", "--dry-run", "specs/001-demo"]).expect(0);
    for id in ["T001", "T002", "T003", "T004"] {
        assert!(shown.stdout.contains(id), "{}", shown.stdout);
    }
    assert_eq!(world.git(&["for-each-ref"]), before);
    assert!(!world.path().join("s/sprint").exists());
    assert!(!world.repo().join(".git/sprint.id").exists());
    assert!(world.runtimes().is_empty());
    world.assert_nothing_left();
}

#[test]
fn a_sprint_begins_on_the_base_that_was_named() {
    let world = World::with("- [ ] T001 write a.txt\n", WRITES);
    world.git(&["tag", "old"]);
    world.file("later.txt", "later\n");
    world.commit("later");
    world.sprint(&["start", "--base", "old", "specs/001-demo"]).expect(0);
    assert_eq!(world.git(&["merge-base", "main", "sprint/001-demo"]), world.git(&["rev-parse", "old"]));
    world.sprint(&["start", "--base", "nowhere", "specs/001-demo"]).expect(2);
}

#[test]
fn a_sprint_starts_from_below_and_from_a_linked_worktree() {
    let world = World::with("- [ ] T001 write a.txt\n", WRITES);
    world.git(&["worktree", "add", "-q", "-b", "side", "../side"]);
    let mut command = world.command(crate::common::SPRINT);
    command.args(["start", "../specs/001-demo"]);
    command.current_dir(world.path().join("side/specs"));
    world.spawn_command(command).end().expect(0);
    assert_eq!(world.landed(), "T001:1");
    world.start().expect(0);
}

#[test]
fn another_feature_is_queued_behind_the_one_that_runs() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        &format!("until [ -e $W/go ]; do sleep 0.05; done\n{WRITES}"),
    );
    world.feature("002-more", "## Phase 1: Work\n\n- [ ] T002 write b.txt\n");
    world.commit("more");
    world.detach();
    let second = world.spawn(&["start", "specs/002-more"]);
    world.wait_for("both are known", |_| world.sprint(&["events"]).stdout.contains("002-more"));
    world.touch("go");
    second.end().expect(0);
    world.wait_until("the end", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.landed_of("002-more"), [("T002".to_owned(), 1)], "its base is its own");
    world.assert_nothing_left();
}
