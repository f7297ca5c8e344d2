//! A conflict at landing, and the merger's agent.

use crate::common::{World, task_row};

#[test]
fn work_that_another_task_has_landed_meanwhile_is_skipped_and_its_dependents_go_on() {
    let both = r"
if [ $1 != T003 ]; then
touch $W/began-$1
until [ -e $W/began-T001 ] && [ -e $W/began-T002 ]; do read -t 0.05 < <(:) || true; done
echo same > same.txt
else echo $1 > $1.txt; fi
git add -A; git commit -qm $1";
    let mut world = World::with(
        "- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n- [ ] T003 write c.txt (depends on T001, T002)\n",
        both,
    );
    world.gate("slow", "true");
    world.configure();
    world.commit("a gate");
    world.start().expect(0);
    let status = world.status();
    let (first, second) = (task_row(&status, "T001"), task_row(&status, "T002"));
    let skipped = if first["state"] == "Skipped" { first } else { second };
    assert_eq!(
        skipped["reason"], "its commits change nothing that the integration branch does not have",
        "{status:#}"
    );
    assert_eq!((&skipped["state"], &skipped["attempt"]), (&"Skipped".into(), &1.into()));
    let landed = world.landed();
    assert!(landed == "T001:1 T003:1" || landed == "T002:1 T003:1", "{landed}");
    assert_eq!(world.landed_file("same.txt"), "same");
    world.assert_nothing_left();
}

/// Both begin on the same base, and change the same file; told of a conflict, the developer adds.
const BOTH: &str = r#"
touch $W/began-$1
until [ -e $W/began-T001 ] && [ -e $W/began-T002 ]; do read -t 0.05 < <(:) || true; done
if [ "$SPRINT_ATTEMPT" = 1 ]; then echo $1 > shared.txt; else echo $1 >> shared.txt; fi
git add -A; git commit -qm $1"#;

fn world(merger: &str) -> World {
    let mut world = World::with("- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n", BOTH);
    world.file("shared.txt", "base\n");
    world.script("merger.sh", merger);
    world.set("agent.joiner.kind", "\"command\"");
    world.set("agent.joiner.command", "[\"./merger.sh\"]");
    world.set("roles.merger.agent", "\"joiner\"");
    world.configure();
    world.commit("merged by an agent");
    world
}

const JOINS: &str = r#"
echo asked >> $W/asked; cp "$SPRINT_PROMPT" $W/prompt; cp shared.txt $W/marked
printf 'T001\nT002\n' > shared.txt; sprint agent done kept both lines"#;

#[test]
fn the_mergers_agent_resolves_it_and_the_result_lands() {
    let world = world(JOINS);
    world.start().expect(0);
    assert_eq!(world.landed_file("shared.txt"), "T001\nT002");
    let landed = world.landed();
    assert!(landed == "T001:1 T002:1" || landed == "T002:1 T001:1", "no attempt is spent: {landed}");
    assert_eq!(world.read("asked").lines().count(), 1, "nobody is asked without a conflict");
    let marked = world.read("marked");
    assert!(
        marked.starts_with("<<<<<<< the integration branch\n") && marked.contains("=======\n"),
        "{marked}"
    );
    let prompt = world.read("prompt");
    assert!(prompt.contains("- `shared.txt`"), "{prompt}");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("the merger has resolved the conflict: kept both lines"), "{events}");
    // The marks are in no commit that has landed.
    assert_eq!(world.git(&["log", "--oneline", "-S<<<<<<< the", "sprint/001-demo"]), "");
    world.assert_nothing_left();
}

fn goes_back(merger: &str, said: &str) {
    let world = world(merger);
    world.start().expect(0);
    let status = world.status();
    let attempts = [&task_row(&status, "T001")["attempt"], &task_row(&status, "T002")["attempt"]];
    assert!(attempts.contains(&&2.into()), "it went back to its developer: {status:#}");
    assert_eq!(world.landed_file("shared.txt").lines().count(), 2);
    let logs = world.sprint(&["logs", "merger"]).expect(0).stdout;
    assert!(logs.contains(said), "{logs}");
    world.assert_nothing_left();
}

#[test]
fn what_the_agent_cannot_resolve_goes_back_to_the_developer() {
    goes_back(
        "echo x > shared.txt; sprint agent fail they exclude one another; exit 1",
        "they exclude one another",
    );
}

#[test]
fn marks_that_are_left_are_no_resolution() {
    goes_back("echo more >> shared.txt; sprint agent done", "marks are left in shared.txt");
}

#[test]
fn the_merger_is_told_in_the_repositorys_own_words() {
    let world = world(JOINS);
    world.file(".sprint/prompts/merge.md", "{{ paths | nothing }}\n");
    world.commit("a mistake");
    let refused = world.start().expect(2).stderr;
    assert!(refused.contains(".sprint/prompts/merge.md:1: unknown filter"), "{refused}");
    world.file(".sprint/prompts/merge.md", "Join {{ paths | join(\", \") }}.\n");
    world.commit("own words");
    world.start().expect(0);
    assert_eq!(world.read("prompt"), "Join shared.txt.\n");
    world.assert_nothing_left();
}
