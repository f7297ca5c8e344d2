//! What a program run as an agent is given, and what its ending means.

use serde_json::Value;

use crate::common::{SPRINT, World, task_row};

#[test]
fn a_parked_task_is_retried_by_a_person_with_a_new_attempt() {
    let world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n",
        "[ $1 = T002 ] || [ -e $W/ok ] || { echo no; exit 1; }\necho $1 > $1.txt; git add -A; git commit -qm $1",
    );
    let first = world.start().expect(1);
    assert!(first.stdout.contains("sprint task retry T001"), "{}", first.stdout);
    world.assert_nothing_left();
    let status = world.status();
    let row = task_row(&status, "T001");
    assert_eq!((&row["state"], &row["attempt"]), (&"Parked".into(), &3.into()));
    assert_eq!(task_row(&status, "T002")["reason"], "held by T001 (parked)", "{status:#}");
    assert!(first.stdout.contains("T002 is not begun: held by T001 (parked)"), "{}", first.stdout);
    assert_eq!(world.landed(), "");
    world.touch("ok");
    let told = world.sprint(&["task", "retry", "T001"]).expect(0);
    assert!(told.stdout.contains("applied at the next `sprint start`"), "{}", told.stdout);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:4 T002:1");
}

#[test]
fn a_skipped_task_lets_its_dependents_go() {
    let world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n",
        "[ $1 = T002 ] || exit 1\necho $1 > $1.txt; git add -A; git commit -qm $1",
    );
    world.start().expect(1);
    world.sprint(&["task", "skip", "T001"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T002:1");
    assert_eq!(task_row(&world.status(), "T001")["state"], "Skipped");
    world.sprint(&["task", "skip", "T002"]).expect(4);
}

#[test]
fn exit_2_means_nothing_to_do() {
    let world = World::with(
        "- [ ] T001 look\n- [ ] T002 write b.txt\n",
        "[ $1 = T001 ] && exit 2\necho $1 > b.txt; git add -A; git commit -qm $1",
    );
    world.start().expect(0);
    assert_eq!(world.landed(), "T002:1");
    assert_eq!(task_row(&world.status(), "T001")["state"], "Skipped");
}

#[test]
fn a_diff_is_committed_by_sprint_whoever_commits() {
    for commit in ["supervisor", "agent"] {
        let mut world = World::new();
        world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
        world.agent("echo a > a.txt; git add -A; git commit -qm one; echo b > b.txt; rm gone.txt");
        world.file("gone.txt", "x\n");
        world.set("agent.mine.commit", &format!("\"{commit}\""));
        world.configure();
        world.commit("base");
        world.start().expect(0);
        assert_eq!(world.landed_file("b.txt"), "b");
        let names = world.git(&["ls-tree", "--name-only", "sprint/001-demo"]);
        assert!(names.contains("a.txt") && !names.contains("gone.txt"), "{names}");
    }
}

#[test]
fn commits_beside_the_one_that_the_attempt_began_with_are_named_as_such() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "if [ $SPRINT_ATTEMPT = 1 ]; then\n\
         git reset -q --hard $(git commit-tree -m elsewhere HEAD^{tree})\n\
         fi\n\
         echo a > a.txt; git add -A; git commit -qm a",
    );
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2");
    let shown = world.sprint(&["task", "show", "T001"]).expect(0).stdout;
    let why =
        "ended as if it were done, but its commits do not contain the commit that the attempt began with";
    assert!(shown.contains(why), "{shown}");
}

#[test]
fn findings_reach_the_next_attempt() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.agent(
        "env | grep '^SPRINT_' | sort > $W/env.$SPRINT_ATTEMPT\n\
         if [ $SPRINT_ATTEMPT = 1 ]; then [ -z \"${SPRINT_FEEDBACK+x}\" ]; echo bad > a.txt\n\
         else git show $SPRINT_PREVIOUS:a.txt > $W/previous; printf '%s' \"$SPRINT_FEEDBACK\" > $W/feedback; cp a.txt $W/clean; echo good > a.txt; fi\n\
         git add -A; git commit -qm a",
    );
    world.gate("words", "grep -nH bad a.txt || true");
    world.set("gate.words.parser", "\"regex\"");
    world.set("gate.words.pattern", "'^(?P<path>[^:]+):(?P<line>\\d+):(?P<message>.*)$'");
    world.configure();
    world.file("a.txt", "nothing\n");
    world.commit("base");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2");
    assert_eq!(world.read("previous"), "bad\n");
    assert_eq!(world.read("clean"), "nothing\n", "a fresh attempt begins on the integration head");
    let feedback: Value = serde_json::from_str(&world.read("feedback")).unwrap();
    assert_eq!(feedback["stage"], "InTests", "{feedback:#}");
    assert_eq!(feedback["findings"][0]["path"], "a.txt", "{feedback:#}");
    assert_eq!(feedback["findings"][0]["line"], 1, "{feedback:#}");
    let first = world.read("env.1");
    for name in [
        "SPRINT_TASK_ID=T001",
        "SPRINT_STAGE=InProgress",
        "SPRINT_ATTEMPT=1",
        "SPRINT_TASK_TITLE=write a.txt",
    ] {
        assert!(first.contains(name), "{name}: {first}");
    }
    for name in ["SPRINT_FEATURE_DIR=", "SPRINT_PROMPT=", "SPRINT_BASE=", "SPRINT_SLOT=", "SPRINT_PORT="] {
        assert!(first.contains(name), "{name}: {first}");
    }
    assert!(
        !first.contains("SPRINT_FEEDBACK=")
            && !first.contains("SPRINT_PREVIOUS=")
            && !first.contains("SPRINT_ANSWER="),
        "{first}"
    );
    assert!(world.read("env.2").contains("SPRINT_PREVIOUS=sprint-task/001-demo/T001/1"));
}

#[test]
fn a_remark_of_an_agent_is_in_the_history_while_it_works_and_after() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        &format!(
            "{SPRINT} agent comment half way; until [ -e $W/go ]; do sleep 0.1; done\n\
             echo a > a.txt; git add -A; git commit -qm a; {SPRINT} agent comment nearly done"
        ),
    );
    world.detach();
    world.wait_until("the remark", || world.sprint(&["events"]).stdout.contains("half way"));
    world.touch("go");
    world.start().expect(0);
    let events = world.sprint(&["events", "--json"]).expect(0).stdout;
    let remarks: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["kind"] == "comment")
        .collect();
    assert_eq!(remarks.len(), 2, "{events}");
    assert_eq!((&remarks[0]["text"], &remarks[0]["task"]), (&"half way".into(), &"T001".into()), "{events}");
    let shown = world.sprint(&["task", "show", "T001"]).expect(0).stdout;
    assert!(shown.contains("half way") && shown.contains("nearly done"), "{shown}");
}

#[test]
fn max_in_flight_bounds_what_is_worked_on() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n- [ ] T003 [P] write c.txt\n");
    world.agent("git log --oneline | wc -l > $W/commits.$1; echo $1 > $1.txt; git add -A; git commit -qm $1");
    world.set("agents.max_in_flight", "1");
    world.configure();
    world.commit("base");
    world.start().expect(0);
    // Each began on a head that held everything before it: a merge and its task's commit a task.
    assert_eq!(world.landed(), "T001:1 T002:1 T003:1");
    let seen: Vec<String> =
        ["T001", "T002", "T003"].iter().map(|id| world.read(&format!("commits.{id}"))).collect();
    assert_eq!(seen.concat().split_whitespace().collect::<Vec<_>>(), ["1", "3", "5"]);
}

#[test]
fn the_embedded_script_plays_a_feature() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.file("specs/001-demo/script/T001.toml", "[[step]]\nwrite = \"a.txt\"\ncontent = \"hello\\n\"\n");
    world.unset("agent.mine.kind");
    world.unset("agent.mine.command");
    world.set("roles.developer.agent", "\"scripted\"");
    world.configure();
    world.commit("base");
    world.start().expect(0);
    assert_eq!(world.landed_file("a.txt"), "hello");
}

/// A model's program whose stream is no longer what its adapter knows.
fn of_another_version(body: &str) -> World {
    let mut world = World::with(
        "- [ ] T001 write a.txt\n",
        &format!("[ \"$1\" != --version ] || {{ echo 'mine 2.0.0'; exit 0; }}\n{body}"),
    );
    world.unset("agent.mine.kind");
    for (key, value) in [
        ("extends", "\"cli\""),
        ("command", "[\"./agent.sh\"]"),
        ("headless.args", "[\"--print\"]"),
        ("headless.prompt", "\"stdin\""),
        ("headless.stream", "\"jsonl\""),
        ("done.when", "\"type=result\""),
        ("version.args", "[\"--version\"]"),
        ("version.pattern", "'(\\d+\\.\\d+\\.\\d+)'"),
        ("version.tested", "[\"1.0.0\"]"),
    ] {
        world.set(&format!("agent.mine.{key}"), value);
    }
    world.configure();
    world.commit("another version");
    world
}

#[test]
fn a_program_that_has_changed_fails_with_its_version() {
    for (body, reason) in [
        (
            "cat > /dev/null; echo '{\"kind\": \"done\"}'",
            "the agent ended with exit code 0 in the middle of its turn",
        ),
        (
            "echo \"error: unexpected argument '--print'\" >&2; exit 2",
            "the agent ended with exit code 2 before its turn was over; its last words: error: unexpected argument '--print'",
        ),
    ] {
        let world = of_another_version(body);
        world.start().expect(1);
        let status = world.status();
        let row = task_row(&status, "T001");
        let told = row["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{told}");
        let version =
            "; it is version 2.0.0; tested up to version 1.0.0: it may print what sprint does not know";
        assert!(told.contains(version), "{told}");
        let checked = world.sprint(&["agents", "check", "mine"]).expect(0).stdout;
        assert!(checked.contains("mine: version 2.0.0; tested up to version 1.0.0"), "{checked}");
        world.assert_nothing_left();
    }
}
