//! What agents are told: the same that `sprint prompt show` prints, and nothing that a task wrote.

use crate::common::World;

const TASKS: &str = "- [ ] T001 [P] [US1] write `a.txt`, as FR-002 says\n- [ ] T002 [P] write `b.txt`\n";

fn told() -> World {
    let mut world = World::new();
    world.feature("001-demo", &format!("## Phase 1: Work\n\n{TASKS}"));
    world.file(
        "specs/001-demo/spec.md",
        "# Feature Specification: Demo\n\n### User Story 1 - Read it (Priority: P1)\n\n\
         1. **Given** a file, **When** it is read, **Then** it says hello\n\n\
         - **FR-001**: files are small\n- **FR-002**: files end with a line\n",
    );
    world.file(
        "specs/001-demo/plan.md",
        "# Implementation Plan: Demo\n\n**Language/Version**: Python 3.12\n**Testing**: pytest\n",
    );
    world.file(".specify/memory/constitution.md", "# Constitution\n\nFiles are text.\n");
    world.agent("cp $SPRINT_PROMPT $W/p.$1; mv $W/p.$1 $W/prompt.$1; until [ -e $W/go ]; do sleep 0.1; done; echo $1 > $1.txt; git add -A; git commit -qm $1");
    world.gate("lines", "true");
    world.configure();
    world.commit("base");
    world
}

fn shown(world: &World, task: &str) -> String {
    world.sprint(&["prompt", "show", task]).expect(0).stdout
}

#[test]
fn what_is_shown_is_what_is_sent() {
    let world = told();
    let before = shown(&world, "T001");
    for part in [
        "write `a.txt`, as FR-002 says",
        "Given a file, When it is read, Then it says hello",
        "FR-002: files end with a line",
        "Language: Python 3.12",
        "Files are text.",
        "specs/001-demo/plan.md",
        "`lines`: `./gate-lines.sh`",
    ] {
        assert!(before.contains(part), "{part}:\n{before}");
    }
    assert!(!before.contains("FR-001"), "{before}");
    world.detach();
    world.wait_until("both prompts", || {
        ["T001", "T002"].iter().all(|id| world.exists(&format!("prompt.{id}")))
    });
    // T002 was assigned last, and knows of the other.
    let second = world.read("prompt.T002");
    assert_eq!(shown(&world, "T002"), second);
    assert!(second.contains("- `T001` (`InProgress`): `write 'a.txt', as FR-002 says`: `a.txt`"), "{second}");
    assert_eq!(
        shown(&world, "T001"),
        world.read("prompt.T001"),
        "what was sent, whatever has happened since"
    );
    world.sprint(&["stop", "--now"]).expect(0);
    world.wait_until("its end", || world.supervisor().is_none());
    let stopped = shown(&world, "T001");
    assert!(stopped.contains("FR-002: files end with a line"), "without a supervisor too");
    assert!(stopped.contains("- `T002` (`InProgress`)"), "what would be sent now: {stopped}");
    world.touch("go");
    world.start().expect(0);
    let json = world.sprint(&["prompt", "show", "T001", "--json"]).expect(0).json();
    assert_eq!(
        (&json["stage"], &json["agent"], &json["template"]),
        (&"InProgress".into(), &"mine".into(), &"develop.md".into())
    );
    let refused = world.sprint(&["prompt", "show", "T001", "--stage", "InReview"]).expect(4).stderr;
    assert!(refused.contains("the reviewer has no agent"), "{refused}");
    world.sprint(&["prompt", "show", "T001", "--stage", "Merging"]).expect(4);
    world.sprint(&["prompt", "show", "T009"]).expect(4);
}

#[test]
fn a_task_does_not_write_the_prompt_of_the_next() {
    let world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a\n- [ ] T002 write b\n");
    world.file(".sprint/prompts/develop.md", "Mine: {{ task.id }}\n");
    world.agent("cp $SPRINT_PROMPT $W/prompt.$1; echo $1 > $1.txt; echo theirs > .sprint/prompts/develop.md; git add -A; git commit -qm $1");
    world.configure();
    world.commit("base");
    // What the base has, an edit of the checkout does not change.
    world.file(".sprint/prompts/develop.md", "edited\n");
    world.start().expect(0);
    assert_eq!(
        (world.read("prompt.T001").trim(), world.read("prompt.T002").trim()),
        ("Mine: T001", "Mine: T002")
    );
    assert_eq!(world.landed_file(".sprint/prompts/develop.md"), "theirs");
}

#[test]
fn an_untracked_template_counts_and_a_mistake_in_one_is_refused_before_anything_begins() {
    let world = World::with(
        "- [ ] T001 write a\n",
        "cp $SPRINT_PROMPT $W/prompt; echo a > a.txt; git add -A; git commit -qm a",
    );
    world.file(".sprint/prompts/InProgress.md", "One {{ task.id }}\n{{ task.nonsense }}\n");
    let refused = world.start().expect(2).stderr;
    assert!(refused.contains(".sprint/prompts/InProgress.md:2: there is no `task.nonsense`"), "{refused}");
    world.sprint(&["start", "--dry-run", "specs/001-demo"]).expect(2);
    world.file(".sprint/prompts/InProgress.md", "One {{ task.id }} of {{ attempts }}\n");
    world.start().expect(0);
    assert_eq!(world.read("prompt"), "One T001 of 3\n");
}

#[test]
fn a_label_in_a_tasks_line_gives_it_to_another_agent_with_a_model_of_its_own() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a\n- [ ] T002 [Hard] write b\n");
    world.agent(
        "echo mine $SPRINT_MODEL $SPRINT_EFFORT > $W/who.$1; echo a > $1.txt; git add -A; git commit -qm $1",
    );
    world.script(
        "other.sh",
        "echo other $2 $SPRINT_EFFORT > $W/who.$1; echo a > $1.txt; git add -A; git commit -qm $1",
    );
    world.set("agent.other.kind", "\"command\"");
    world.set("agent.other.command", "[\"./other.sh\", \"{task.id}\", \"{model}\"]");
    world.set("roles.developer.model", "\"small\"");
    world.set("roles.developer.effort", "\"low\"");
    world.set("label.hard.agent", "\"other\"");
    world.set("label.hard.model", "\"big\"");
    world.configure();
    world.commit("base");
    let shown = world.sprint(&["prompt", "show", "T002", "--json"]).expect(0).json();
    assert_eq!((&shown["agent"], &shown["model"]), (&"other".into(), &"big".into()), "{shown}");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1");
    assert_eq!(
        (world.read("who.T001").trim(), world.read("who.T002").trim()),
        ("mine small low", "other big")
    );
    world.feature("002-more", "## Phase 1: Work\n\n- [ ] T003 [Hard] write c\n");
    world.commit("more");
    world.sprint(&["start", "--agent", "mine", "specs/002-more"]).expect(0);
    assert_eq!(world.read("who.T003").trim(), "mine small low", "the agent of the command line");
    world.set("agent.other.command", "[\"./nothing.sh\"]");
    world.configure();
    let refused = world.start();
    assert!(refused.stderr.contains("./nothing.sh"), "{}", refused.shown());
}
