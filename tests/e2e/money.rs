//! What models may use: budgets, prices, limits with an end, and programs that fail at once. The
//! model's program is a script that prints a stream.

use serde_json::{Value, json};

use crate::common::terminal::Terminal;
use crate::common::{SPRINT, World, task_row};

/// Tells what a turn used, and goes on when it is told to: `turn TOKENS COST`.
const TURN: &str = "turn() { echo turn >> $W/turns; echo \"{\\\"type\\\":\\\"usage\\\",\\\"in\\\":$1,\\\"out\\\":0${2:+,\\\"cost\\\":$2}}\"; }\n\
    finish() { echo $1 > $1.txt; git add -A; git commit -qm $1; echo '{\"type\":\"done\"}'; }\n";

/// A world with these tasks, whose developers are the program `fake`.
fn fake(tasks: &str, program: &str) -> World {
    let mut world = World::new();
    world.feature("001-demo", &format!("## Phase 1: Work\n\n{tasks}"));
    world.fake_agent(&format!("{TURN}{program}"));
    world.set("roles.developer.agent", "\"fake\"");
    world.set("agent.fake.headless.args", "[\"{task.id}\", \"{budget.args}\"]");
    world.set("agent.fake.headless.budget", "[\"--max\", \"{budget}\"]");
    world.set(
        "agent.fake.usage",
        "{ when = \"type=usage\", mode = \"sum\", input = \"in\", output = \"out\", cost = \"cost\" }",
    );
    world.set("agents.max_developers", "1");
    world
}

fn ready(world: &World) {
    world.configure();
    world.commit("base");
}

fn turns(world: &World) -> usize {
    world.read("turns").lines().count()
}

#[test]
fn a_run_is_ended_at_its_budget_within_a_turn_and_its_work_is_saved() {
    let mut world = fake(
        "- [ ] T001 write a.txt\n",
        "echo draft > draft.txt; printf '%s ' \"$@\" > $W/args\nwhile :; do turn 100 0.10; sleep 0.3; done",
    );
    world.set("budget.run", "{ usd = 0.25, tokens = 1_000_000 }");
    ready(&world);
    let shown = world.start().expect(1);
    assert!((3..=4).contains(&turns(&world)), "{} turns", turns(&world));
    assert_eq!(world.read("args"), "T001 --max 0.25 ");
    let status = world.status();
    let row = task_row(&status, "T001");
    assert_eq!((&row["state"], &row["attempt"]), (&json!("Waiting"), &json!(1)), "{status:#}");
    let need = &status["needs_you"][0];
    let text = need["text"].as_str().unwrap();
    assert!(text.contains("the budget of the run is used up ($0.") && text.contains("of $0.25"), "{text}");
    assert!(
        text.contains("raise `[budget] run`, then: sprint reload, or, where the sprint has ended, sprint start; then: sprint task retry T001"),
        "{text}"
    );
    let saved = world.git(&["for-each-ref", "--format=%(refname)", "refs/sprint/wip"]);
    assert_eq!(world.git(&["show", &format!("{}:draft.txt", saved.trim())]), "draft");
    let micro = status["cost"]["cost_micro_usd"].as_u64().unwrap();
    assert!((300_000..=400_000).contains(&micro), "{status:#}");
    assert!(shown.stdout.contains("cost $0.") && shown.stdout.contains("tokens in"), "{}", shown.stdout);
    world.assert_nothing_left();
}

#[test]
fn who_goes_on_over_its_budget_when_it_is_told_to_end_is_killed_after_a_turn() {
    let mut world =
        fake("- [ ] T001 write a.txt\n", "trap '' TERM; while :; do turn 100 0.10; sleep 0.3; done");
    world.set("budget.run", "{ usd = 0.25 }");
    ready(&world);
    world.start().expect(1);
    assert!((4..=5).contains(&turns(&world)), "{} turns", turns(&world));
    assert_eq!(task_row(&world.status(), "T001")["state"], "Waiting");
    world.assert_nothing_left();
}

#[test]
fn a_features_budget_stops_models_and_not_gates_until_it_is_raised() {
    let mut world = fake(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n- [ ] T003 write c.txt\n",
        "turn 60; finish $1",
    );
    world.gate("green", "true");
    world.set("budget.feature", "{ tokens = 100 }");
    ready(&world);
    let shown = world.start().expect(1);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(turns(&world), 2);
    let status = world.status();
    assert_eq!(status["state"], "resting", "{status:#}");
    assert_eq!(status["needs_you"][0]["kind"], "operator", "{status:#}");
    assert_eq!(status["cost"]["budget"][0]["left_tokens"], json!(0), "{status:#}");
    assert_eq!(status["cost"]["budget"][0]["used_tokens"], json!(120), "{status:#}");
    let second = task_row(&status, "T002");
    assert_eq!((&second["attempt"], &second["state"]), (&json!(1), &json!("InProgress")), "{status:#}");
    assert_eq!(second["reason"], "the budget of the feature is used up", "{status:#}");
    assert!(shown.stdout.contains("budget of the feature: 120 of 100 tokens"), "{}", shown.stdout);
    let cost = world.sprint(&["cost"]).expect(0).stdout;
    assert!(cost.contains("feature") && cost.contains("120 tokens"), "{cost}");
    // Nothing is asked of a model by starting again.
    world.start().expect(1);
    assert_eq!(turns(&world), 2);
    world.set("budget.feature", "{ tokens = 1_000 }");
    world.configure();
    world.start().expect(0);
    assert_eq!((world.landed().as_str(), turns(&world)), ("T001:1 T002:1 T003:1", 4));
    world.assert_nothing_left();
}

#[test]
fn a_shared_budget_ends_the_others_too() {
    // T001 goes on until it is ended; T002 uses up what both have.
    let mut world = fake(
        "- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n",
        "if [ $1 = T001 ]; then turn 10; touch $W/told; sleep 60; fi\n\
         until [ -e $W/told ]; do sleep 0.05; done; turn 200; sleep 60",
    );
    world.set("agents.max_developers", "2");
    world.set("budget.feature", "{ tokens = 150 }");
    ready(&world);
    world.start().expect(1);
    let status = world.status();
    for task in ["T001", "T002"] {
        assert_eq!(task_row(&status, task)["attempt"], 1, "{status:#}");
    }
    assert_eq!(turns(&world), 2);
    assert_eq!(status["cost"]["tokens_in"], json!(210), "{status:#}");
    world.assert_nothing_left();
}

#[test]
fn a_task_that_its_model_does_not_take_is_parked_and_holds_nobody() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n");
    world.fake_agent(
        "echo $SPRINT_TASK_ID >> $W/starts\n\
         if [ $SPRINT_TASK_ID = T001 ]; then echo '{\"type\":\"failure\",\"text\":\"prompt is too long: 9 > 8\"}'; exit 1; fi\n\
         echo b > b.txt; git add -A; git commit -qm b; echo '{\"type\":\"done\"}'",
    );
    world.set("agent.fake.fail", "[{ when = \"type=failure\", text = \"text\" }]");
    world.set("roles.developer.agent", "\"fake\"");
    world.set("agents.max_developers", "1");
    world.configure();
    world.commit("base");
    world.start().expect(1);
    let status = world.status();
    let row = task_row(&status, "T001");
    assert_eq!((&row["state"], &row["attempt"]), (&"Parked".into(), &3.into()), "{status:#}");
    assert!(row["reason"].as_str().unwrap().contains("too long for the model"), "{status:#}");
    assert_eq!(world.landed(), "T002:1");
    assert_eq!(world.read("starts").lines().count(), 4);
    let events = world.sprint(&["events", "-n", "100"]).expect(0).stdout;
    assert!(!events.contains("waits for you"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn tasks_that_are_not_begun_say_whose_agent_is_on_hold() {
    let mut world = fake(
        "- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n",
        "echo '{\"type\":\"failure\",\"text\":\"401 invalid api key\"}'; exit 1",
    );
    world.set("agent.fake.fail", "[{ when = \"type=failure\", text = \"text\" }]");
    ready(&world);
    let shown = world.start().expect(1).stdout;
    assert!(shown.contains("T002 is not begun: fake is on hold"), "{shown}");
    let status = world.status();
    let reason = task_row(&status, "T002")["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("fake is on hold, until you have seen to it: the model's service refuses"),
        "{reason}"
    );
    world.assert_nothing_left();
}

#[test]
fn a_program_that_fails_at_once_is_not_started_again_and_again() {
    let world = fake(
        "- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n",
        "echo run >> $W/runs; [ -e $W/ok ] || { echo 'no such model' >&2; exit 1; }\nturn 10; finish $1",
    );
    ready(&world);
    world.start().expect(1);
    assert_eq!(world.read("runs").lines().count(), 3);
    let status = world.status();
    let need = &status["needs_you"][0];
    assert_eq!(need["kind"], "operator", "{status:#}");
    let text = need["text"].as_str().unwrap();
    assert!(text.contains("3 runs in a row failed at once") && text.contains("no such model"), "{text}");
    // Still broken: one more run shows it, and spends no attempt.
    let attempts = |status: &Value| task_row(status, "T001")["attempt"].clone();
    world.start().expect(1);
    assert_eq!(world.read("runs").lines().count(), 4);
    assert_eq!(attempts(&world.status()), attempts(&status));
    world.touch("ok");
    world.start().expect(0);
    assert_eq!(world.landed().split(' ').count(), 2);
    world.assert_nothing_left();
}

#[test]
fn a_program_that_ends_itself_at_its_limit_spends_no_attempt() {
    let mut world = fake(
        "- [ ] T001 write a.txt\n",
        "turn 10 0.4; echo '{\"type\":\"limit\",\"text\":\"budget\"}'; exit 1",
    );
    world.set("agent.fake.fail", "[{ when = \"type=limit\", text = \"text\", class = \"budget\" }]");
    world.set("budget.task", "{ usd = 0.5 }");
    ready(&world);
    world.start().expect(1);
    let status = world.status();
    let row = task_row(&status, "T001");
    assert_eq!((&row["state"], &row["attempt"], turns(&world)), (&json!("Waiting"), &json!(1), 1));
    assert!(row["reason"].as_str().unwrap().starts_with("the budget of the run is used up"), "{status:#}");
}

/// The work is committed before the limit comes, and there is nothing left to change afterwards.
#[test]
fn what_was_committed_before_a_limit_is_the_work_of_the_attempt() {
    let mut world = fake(
        "- [ ] T001 write a.txt\n",
        "turn 10; if [ ! -e $W/once ]; then touch $W/once; echo $1 > $1.txt; git add -A; git commit -qm $1\n\
         echo '{\"type\":\"error\",\"reset\":1}'; exit 1; fi\n\
         git status --short > $W/seen; echo '{\"type\":\"done\"}'",
    );
    world.set("agent.fake.retry", "\"continue\"");
    world.set(
        "agent.fake.fail",
        "[{ when = \"type=error\", text = \"type\", class = \"rate-limit\", until = \"reset\" }]",
    );
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!((turns(&world), world.read("seen").as_str()), (2, ""), "it found its work as it had left it");
}

#[test]
fn status_tells_when_a_limit_ends() {
    let mut world =
        fake("- [ ] T001 write a.txt\n", "turn 10; echo '{\"type\":\"error\",\"reset\":7200}'; exit 1");
    world.set(
        "agent.fake.fail",
        "[{ when = \"type=error\", text = \"type\", class = \"rate-limit\", until = \"reset\" }]",
    );
    ready(&world);
    world.detach();
    let status = world.wait_for("the limit", |status| status["needs_you"][0]["kind"] == "retry");
    let text = status["needs_you"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("fake is on hold, tried again in 2") && text.contains(" (at "), "{text}");
    assert_eq!(turns(&world), 1);
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
}

#[test]
fn a_limit_that_tells_its_end_is_waited_for_until_then() {
    let world = fake(
        "- [ ] T001 write a.txt\n",
        "turn 10; [ -e $W/once ] || { touch $W/once; echo '{\"type\":\"error\",\"message\":\"429: try again in 2s\"}'; exit 1; }\n\
         finish $1",
    );
    let mut world = world;
    world.set("agent.fake.fail", "[{ when = \"type=error\", text = \"message\" }]");
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert!(
        events.contains("fake is tried again in 3 s") || events.contains("fake is tried again in 2 s"),
        "{events}"
    );
}

#[test]
fn tokens_without_a_price_have_that_of_the_table_and_are_marked() {
    let mut world = fake("- [ ] T001 write a.txt\n", "turn 1000; finish $1");
    world.set("roles.developer.model", "\"big/one\"");
    world.set("budget.day", "{ usd = 5.0 }");
    ready(&world);
    let told = world.sprint(&["start", "--dry-run", "specs/001-demo"]).expect(0).shown();
    assert!(!told.contains("do not bind"), "it may tell a price: {told}");
    world.set(
        "agent.fake.usage",
        "{ when = \"type=usage\", mode = \"sum\", input = \"in\", output = \"out\" }",
    );
    world.configure();
    let told = world.sprint(&["start", "--dry-run", "specs/001-demo"]).expect(0).shown();
    assert!(told.contains("budgets of money do not bind fake"), "{told}");
    world.set("prices.as_of", "\"2026-11-01\"");
    world.set("prices.\"big/one\"", "{ input = 2.0, output = 10.0 }");
    ready(&world);
    let told = world.start().expect(0).shown();
    assert!(!told.contains("do not bind"), "{told}");
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    assert_eq!(cost["total"]["cost_micro_usd"], json!(2000), "{cost:#}");
    assert_eq!(cost["total"]["estimated_micro_usd"], json!(2000), "{cost:#}");
    assert_eq!(cost["runs"][0]["estimated"], json!("2026-11-01"), "{cost:#}");
    assert_eq!(cost["budget"][0]["limit_micro_usd"], json!(5_000_000), "{cost:#}");
    let shown = world.sprint(&["cost"]).expect(0).stdout;
    assert!(shown.contains("~$0.0020") && shown.contains("as of 2026-11-01"), "{shown}");
}

#[test]
fn a_review_that_is_asked_again_has_what_its_first_round_left() {
    let mut world = fake("- [ ] T001 write a.txt\n", "turn 10 0.01; finish $1");
    // Twice it gives no verdict; the second time it would go on for ever.
    world.script(
        "judge.sh",
        &format!(
            "{TURN}echo \"$@\" >> $W/asked\n\
             [ $(wc -l < $W/asked) = 1 ] && {{ turn 10 0.20; echo '{{\"type\":\"done\"}}'; exit; }}\n\
             turn 10 0.35; sleep 60"
        ),
    );
    world.set("roles.reviewer.agent", "\"judge\"");
    world.set("agent.judge.extends", "\"fake\"");
    world.set("agent.judge.command", "[\"./judge.sh\"]");
    world.set("budget.run", "{ usd = 0.5 }");
    ready(&world);
    world.start().expect(1);
    assert_eq!(world.read("asked"), "T001 --max 0.5\nT001 --max 0.3\n");
    let status = world.status();
    let row = task_row(&status, "T001");
    assert_eq!((&row["state"], &row["attempt"]), (&json!("Waiting"), &json!(1)), "{status:#}");
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.starts_with("the budget of the run is used up ($0.55 of $0.50)"), "{reason}");
    assert_eq!(status["cost"]["cost_micro_usd"], json!(560_000), "{status:#}");
    world.assert_nothing_left();
}

#[test]
fn a_program_that_only_tries_again_is_ended_and_waited_for() {
    let mut world = fake(
        "- [ ] T001 write a.txt\n",
        "if [ ! -e $W/served ]; then touch $W/served; while :; do echo '{\"type\":\"retry\"}'; sleep 0.2; done; fi\n\
         finish a",
    );
    world.set("agent.fake.stall", "\"2s\"");
    world.set("agent.fake.show", "[{ when = \"type=retry\", text = \"type\", as = \"retry\" }]");
    ready(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1", "no attempt is spent");
    let events = world.sprint(&["events", "-n", "100"]).expect(0).stdout;
    assert!(events.contains("its program has tried again for 2s"), "{events}");
    assert!(events.contains("fake is tried again in"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn start_on_a_terminal_tells_of_an_account_that_is_refused() {
    let mut world = fake(
        "- [ ] T001 write a.txt\n",
        "if [ ! -e $W/signed-in ]; then echo '{\"type\":\"error\",\"text\":\"401 Unauthorized\"}'; exit 1; fi\nfinish a",
    );
    world.set("agent.fake.fail", "[{ when = \"type=error\", text = \"text\" }]");
    ready(&world);
    let terminal = Terminal::open(&world);
    terminal.line(&format!("{SPRINT} start specs/001-demo"));
    let screen = terminal.wait("1 wait for you: sprint status");
    assert!(screen.contains("fake waits for you: the model's service refuses the account"), "{screen}");
    let health = world.sprint(&["health"]).expect(1).stdout;
    assert!(health.contains("fake is on hold, until you have seen to it"), "{health}");
    world.touch("signed-in");
    world.sprint(&["resume"]).expect(0);
    world.wait_until("it has landed", || world.landed() == "T001:1");
    world.wait_until("the sprint has ended", || world.supervisor().is_none());
    terminal.wait("git merge");
    terminal.close();
    world.assert_nothing_left();
}

/// A worker that is killed files no report: what its program has told counts all the same.
#[test]
fn what_a_killed_run_has_used_is_counted() {
    let world = fake(
        "- [ ] T001 write a.txt\n",
        "if [ ! -e $W/killed ]; then turn 100 0.25; touch $W/turned; exec sleep 600; fi\nturn 100 0.25; finish a",
    );
    ready(&world);
    world.detach();
    world.wait_until("a turn", || world.exists("turned"));
    let path = world.state().join("sprint.db");
    world.wait_until("the supervisor knows of the turn", || {
        let database = rusqlite::Connection::open(&path).unwrap();
        let body = "SELECT count(*) FROM runs WHERE json_extract(body, '$.counted.micro_usd') = 250000";
        database.query_row(body, [], |row| row.get::<_, u32>(0)).unwrap() == 1
    });
    world.touch("killed");
    let status = world.status();
    let worker =
        status["workers"].as_array().unwrap().iter().find(|row| row["name"] == "developer-1").unwrap();
    let pid = i32::try_from(worker["pid"].as_i64().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    world.wait_until("the sprint has ended", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1");
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    assert_eq!(
        (&cost["total"]["runs"], &cost["total"]["cost_micro_usd"]),
        (&json!(2), &json!(500_000)),
        "{cost:#}"
    );
    world.assert_nothing_left();
}
