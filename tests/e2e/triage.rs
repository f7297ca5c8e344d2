//! The manager's agent proposes what to do about a task that asks or is parked.

use crate::common::{World, task_row};

const ASKS: &str = r#"
echo run >> $W/runs
if [ -z "$SPRINT_ANSWER" ]; then echo "BLOCKED: which colour?"; exit 0; fi
echo "$SPRINT_ANSWER" > colour.txt; git add -A; git commit -qm colour"#;

/// Fails until it is advised.
const FAILS: &str = r#"
case "$SPRINT_FEEDBACK" in
  *"use the other brush"*) echo good > colour.txt; git add -A; git commit -qm colour;;
  *) exit 1;;
esac"#;

fn managed(agent: &str, manager: &str, auto: bool) -> World {
    let mut world = World::with("- [ ] T001 write colour.txt\n", agent);
    world.script("manager.sh", manager);
    world.set("agent.planner.kind", "\"command\"");
    world.set("agent.planner.command", "[\"./manager.sh\"]");
    world.set("roles.manager.agent", "\"planner\"");
    world.set("roles.manager.auto", if auto { "true" } else { "false" });
    world.configure();
    world.commit("managed");
    world
}

const ANSWERS: &str = r#"
echo look >> $W/looks; cp "$SPRINT_PROMPT" $W/prompt; echo "$SPRINT_STAGE" > $W/stage; pwd > $W/where
sprint agent comment "I look at spec.md"
sprint agent propose answer "dark; rm -rf \$HOME blue""#;

#[test]
fn a_proposed_answer_is_shown_and_given_when_the_person_says_so() {
    let world = managed(ASKS, ANSWERS, false);
    world.start().expect(1);
    world.assert_nothing_left();
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(shown.contains("the manager proposes: answer: dark; rm -rf $HOME blue"), "{shown}");
    assert!(shown.contains("sprint answer T001 --proposed"), "{shown}");
    let status = world.status();
    assert_eq!(task_row(&status, "T001")["state"], "Waiting", "nothing is done without the person");
    insta::assert_snapshot!(format!("{:#}", status["needs_you"]));
    let prompt = world.read("prompt");
    assert!(prompt.contains("which colour?") && prompt.contains("`answer`"), "{prompt}");
    assert_eq!(world.read("stage"), "triage\n");
    assert!(world.read("where").contains("/worktrees/"), "{}", world.read("where"));
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("the manager proposes: answer: dark; rm -rf $HOME blue"), "{events}");
    assert!(events.contains("I look at spec.md"), "{events}");
    // A cause is looked at once, also by the next supervisor.
    world.start().expect(1);
    assert_eq!(world.read("looks").lines().count(), 1);
    world.sprint(&["answer", "T001", "--proposed"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed_file("colour.txt"), "dark; rm -rf $HOME blue");
    let refused = world.sprint(&["answer", "T001", "--proposed"]).expect(4);
    assert!(refused.stderr.contains("nobody proposes an answer for T001"), "{}", refused.stderr);
    world.assert_nothing_left();
}

#[test]
fn by_itself_it_retries_a_parked_task_with_advice() {
    let world = managed(FAILS, "sprint agent propose retry use the other brush", true);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:4");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("as roles.manager.auto says"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn a_manager_without_a_proposal_changes_nothing() {
    let world = managed(FAILS, "echo mine > stray.txt; sprint agent done nothing to say", true);
    world.start().expect(1);
    let status = world.status();
    let task = task_row(&status, "T001");
    assert_eq!((&task["state"], &task["attempt"]), (&"Parked".into(), &3.into()), "{status:#}");
    assert!(status["needs_you"][0].get("proposal").is_none(), "{status:#}");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(events.contains("the manager has no proposal: the agent ended without a proposal"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn only_the_manager_proposes() {
    let agent = "sprint agent propose skip me > $W/refused 2>&1 && exit 9\necho x > colour.txt\ngit add -A; git commit -qm x";
    let world = managed(agent, "exit 1", true);
    world.start().expect(0);
    assert!(world.read("refused").contains("only the manager's agent proposes"), "{}", world.read("refused"));
    world.assert_nothing_left();
}

#[test]
fn a_manager_without_a_shell_proposes_by_a_line_of_its_own() {
    let world = managed(ASKS, "echo 'The plan says it.'; echo 'PROPOSE: answer: dark blue'", true);
    world.start().expect(0);
    assert_eq!(world.landed_file("colour.txt"), "dark blue");
    world.assert_nothing_left();
}

#[test]
fn the_manager_is_told_in_the_repositorys_own_words() {
    let world = managed(ASKS, ANSWERS, true);
    world.file(".sprint/prompts/triage.md", "{{ task }} asks: {{ stage }}\n");
    world.commit("a mistake");
    let refused = world.start().expect(2).stderr;
    assert!(refused.contains(".sprint/prompts/triage.md:1: there is no `stage`"), "{refused}");
    world.file(".sprint/prompts/triage.md", "{{ task }} asks: {{ why }}\n");
    world.commit("own words");
    world.start().expect(0);
    assert_eq!(world.read("prompt"), "T001 asks: which colour?\n");
    world.assert_nothing_left();
}
