//! Each program in every role of a feature of two tasks: it writes what is sent back once, reviews, adds a
//! test and a page, and answers as the manager what it has asked as the developer; and it resolves a conflict.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::common::World;
use crate::homes::{Homes, model, programs};
use crate::standin::scenario::{Scenario, Step, bash, call, read, say, write};
use crate::standin::{Request, Standin};

/// What their prompts begin with.
const ROLES: [(&str, &str); 5] = [
    ("developer", "You are a software developer"),
    ("reviewer", "You review one finished task"),
    ("tester", "You are the tester"),
    ("librarian", "You are the librarian"),
    ("manager", "You are the manager"),
];
const FINDING: &str = "one.txt:1:high:its twin is missing; write twin.txt";

/// How a program's model says how it stands.
#[derive(Clone, Copy, PartialEq)]
enum Voice {
    /// By `sprint agent`, in its shell.
    Shell,
    /// By a tool of `sprint mcp`, whose name is this and then the tool's.
    Tool(&'static str),
    /// By lines in its text: it has no shell that it may use.
    Lines,
}

fn voice(agent: &str) -> Voice {
    match agent {
        // Its sandbox does not let it write where `sprint agent` does.
        "codex" => Voice::Tool("mcp__sprint/"),
        // One may run git alone, the other nothing.
        "claude" | "qwen" => Voice::Tool("mcp__sprint__"),
        "opencode" | "pi" | "mini-swe-agent" => Voice::Shell,
        _ => Voice::Lines,
    }
}

/// What one program's model does, in the way in which the program lets it.
struct Actor {
    agent: &'static str,
    voice: Voice,
    /// On the program's own screen.
    on_screen: bool,
}

impl Actor {
    fn new(agent: &'static str) -> Self {
        Self { agent, voice: voice(agent), on_screen: false }
    }

    fn on_screen(agent: &'static str) -> Self {
        Self { on_screen: true, ..Self::new(agent) }
    }

    /// Files, then words, and the end.
    fn acts(&self, files: &[(&str, &str)], words: &str) -> Vec<Step> {
        if self.agent == "aider" {
            let blocks = files.iter().map(|(path, text)| format!("{path}\n```\n{text}```\n\n"));
            return vec![say(&format!("{}{words}", blocks.collect::<String>()))];
        }
        let steps = files.iter().map(|(path, text)| write(path, text));
        steps.chain(self.ends(words)).collect()
    }

    /// Some end their turn with words, and one with a command; of one nothing tells on its screen what
    /// it says.
    fn ends(&self, words: &str) -> Vec<Step> {
        match self.agent {
            "opencode" if self.on_screen => {
                let told = match words.split_once("BLOCKED: ") {
                    Some((_, question)) => Some(format!("sprint agent blocked '{question}'")),
                    None if words.ends_with("TASK_COMPLETE") => Some("sprint agent done".to_owned()),
                    None => None,
                };
                told.iter().map(|command| bash(command)).chain([say("I wait.")]).collect()
            }
            "mini-swe-agent" => vec![say(words), bash("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT")],
            _ => vec![say(words)],
        }
    }

    /// Looks at a file where it can, and judges.
    fn judges(&self, path: &str, finding: Option<&str>) -> Vec<Step> {
        let word = if finding.is_some() { "fail" } else { "pass" };
        let mut steps: Vec<Step> = if self.agent == "aider" { Vec::new() } else { vec![read(path)] };
        match self.voice {
            Voice::Shell => {
                let finding = finding.map(|text| format!(" --finding '{text}'")).unwrap_or_default();
                steps.push(bash(&format!("sprint agent verdict {word} --evidence {path}{finding} looked")));
                steps.extend(self.ends("Judged."));
            }
            Voice::Tool(prefix) => {
                let place = json!({"path": "one.txt", "line": 1, "severity": "high", "message": FINDING});
                let findings = finding.iter().map(|_| place.clone()).collect::<Vec<_>>();
                let verdict =
                    json!({"verdict": word, "message": "looked", "evidence": [path], "findings": findings});
                steps.push(call(&format!("{prefix}verdict"), verdict));
                steps.push(say("Judged."));
            }
            Voice::Lines => {
                let finding = finding.map(|text| format!("FINDING: {text}\n")).unwrap_or_default();
                steps.push(say(&format!("I looked.\n\nEVIDENCE: {path}\n{finding}VERDICT: {word}, looked")));
            }
        }
        steps
    }

    fn proposes(&self, answer: &str) -> Vec<Step> {
        match self.voice {
            Voice::Shell => {
                let propose = bash(&format!("sprint agent propose answer '{answer}'"));
                [propose].into_iter().chain(self.ends("Proposed.")).collect()
            }
            Voice::Tool(prefix) => {
                let proposal = json!({"action": "answer", "text": answer});
                // Tools may not be there yet when the model is asked first.
                let look = read("specs/001-demo/plan.md");
                vec![look, call(&format!("{prefix}propose"), proposal), say("Proposed.")]
            }
            Voice::Lines => vec![say(&format!("The plan says it.\n\nPROPOSE: answer: {answer}"))],
        }
    }

    /// What comes later goes first.
    fn scenario(&self) -> Scenario {
        let [developer, reviewer, tester, librarian, manager] = ROLES.map(|(_, words)| words);
        let first = "task: T001";
        let scenario = Scenario::default()
            .rule_for(&[reviewer, "The one before came back from"], self.judges("twin.txt", None))
            .rule_for(&[reviewer, first], self.judges("one.txt", Some(FINDING)))
            .rule(reviewer, self.judges("two.txt", None))
            .rule_for(&[tester, first], self.acts(&[("tests/test_one.txt", "a test\n")], "TASK_COMPLETE"))
            .rule(tester, self.acts(&[], "There is nothing to add.\nTASK_COMPLETE"))
            .rule_for(&[librarian, first], self.acts(&[("docs/one.md", "One.\n")], "TASK_COMPLETE"))
            .rule(librarian, self.acts(&[], "There is nothing to add.\nTASK_COMPLETE"))
            .rule(manager, self.proposes("forty-two"))
            .rule("its twin is missing", self.acts(&[("twin.txt", "1\n")], "Both are there."))
            .rule("forty-two", self.acts(&[("two.txt", "42\n")], "Written."))
            .rule_for(&[developer, "task: T002"], self.acts(&[], "BLOCKED: which number?"))
            .rule(developer, self.acts(&[("one.txt", "1\n")], "Done."));
        if self.agent == "aider" { scenario.without_tools() } else { scenario }
    }
}

fn furnish(world: &mut World, agent: &str, programs: &Path, homes: &Homes, standin: &Standin) {
    homes.furnish(world, programs, standin);
    if agent == "gemini" {
        // It leaves a report of each failure there.
        world.env("TMPDIR", homes.at("tmp"));
    }
    // Ten runs of a program that may take half a minute each on a busy machine.
    world.be_patient(Duration::from_mins(9));
    world.configure();
    world.commit("base");
}

fn hire(world: &mut World, role: &str, agent: &str) {
    world.set(&format!("roles.{role}.agent"), &format!("{agent:?}"));
    world.set(&format!("roles.{role}.model"), &format!("{:?}", model(agent)));
}

fn works_in_every_role(actor: &Actor) {
    let agent = actor.agent;
    let Some(programs) = programs(agent) else { return };
    let (homes, standin) = (Homes::new(), Standin::start(actor.scenario()));
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n- [ ] T002 write two.txt\n");
    world.unset("agent.mine.kind");
    world.unset("agent.mine.command");
    for (role, _) in ROLES {
        hire(&mut world, role, agent);
    }
    world.set("roles.manager.auto", "true");
    if actor.on_screen {
        world.set(&format!("agent.{agent}.mode"), "\"interactive\"");
    }
    furnish(&mut world, agent, &programs, &homes, &standin);
    homes.trust(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2 T002:1", "the first is sent back, the second asks and spends nothing");
    let files = ["one.txt", "twin.txt", "two.txt", "tests/test_one.txt", "docs/one.md"];
    assert_eq!(files.map(|path| world.landed_file(path)), ["1", "1", "42", "a test", "One."]);
    let all = world.git(&["ls-tree", "-r", "--name-only", "sprint/001-demo"]);
    let own = |line: &&str| !(line.starts_with("specs/") || *line == "agent.sh" || *line == "sprint.toml");
    assert_eq!(all.lines().filter(own).count(), files.len(), "nothing else is left in it: {all}");
    let events = world.sprint(&["events", "-n", "500"]).expect(0).stdout;
    for told in
        ["attempt 1 failed in InReview: looked", "the manager proposes: answer: forty-two", "which number?"]
    {
        assert!(events.contains(told), "{told}: {events}");
    }
    for added in ["InTests added to it: tests/test_one.txt", "InDocs added to it: docs/one.md"] {
        assert!(events.contains(added), "{added}: {events}");
    }
    if !actor.on_screen {
        costs(&world, &standin, agent);
    }
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

/// Each answer costs 30 tokens, and is under the role whose prompt it answers.
fn costs(world: &World, standin: &Standin, agent: &str) {
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    let requests = standin.requests();
    // What it asks beside the conversation, for a title, it does not tell.
    let beside = |request: &Request| agent == "opencode" && request.body.get("tools").is_none();
    for (role, words) in ROLES {
        let told = |request: &&Request| !beside(request) && request.body.to_string().contains(words);
        let answers = requests.iter().filter(told).count();
        assert!(answers > 0, "the {role} was never asked");
        assert_eq!(cost["roles"][role]["tokens_out"], json!(30 * answers), "{role}: {cost:#}");
    }
}

/// Both begin on the same base, and change the same file.
const BOTH: &str = r#"
touch $W/began-$1
until [ -e $W/began-T001 ] && [ -e $W/began-T002 ]; do read -t 0.05 < <(:) || true; done
if [ "$SPRINT_ATTEMPT" = 1 ]; then echo $1 > shared.txt; else echo $1 >> shared.txt; fi
git add -A; git commit -qm $1"#;

fn resolves_a_conflict(agent: &'static str) {
    let Some(programs) = programs(agent) else { return };
    let actor = Actor::new(agent);
    let mut steps = if agent == "aider" { Vec::new() } else { vec![read("shared.txt")] };
    steps.extend(actor.acts(&[("shared.txt", "T001\nT002\n")], "TASK_COMPLETE"));
    let scenario = Scenario::default().rule("You resolve a merge conflict", steps);
    let scenario = if agent == "aider" { scenario.without_tools() } else { scenario };
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = World::with("- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n", BOTH);
    world.file("shared.txt", "base\n");
    hire(&mut world, "merger", agent);
    furnish(&mut world, agent, &programs, &homes, &standin);
    world.start().expect(0);
    assert_eq!(world.landed_file("shared.txt"), "T001\nT002");
    let landed = world.landed();
    assert!(landed == "T001:1 T002:1" || landed == "T002:1 T001:1", "no attempt is spent: {landed}");
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    assert!(cost["roles"]["merger"]["tokens_out"].as_u64().is_some_and(|told| told >= 30), "{cost:#}");
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

/// A review that does not count is told back, in the same conversation where the program has one.
fn is_told_back(agent: &'static str, resumes: bool) {
    let Some(programs) = programs(agent) else { return };
    let actor = Actor::new(agent);
    let scenario = Scenario::default()
        .rule("Your answer does not count", actor.judges("one.txt", None))
        .rule("You review one finished task", actor.ends("It is fine.\nVERDICT: pass"))
        .rule("You are a software developer", actor.acts(&[("one.txt", "1\n")], "Done."));
    let scenario = if agent == "aider" { scenario.without_tools() } else { scenario };
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    hire(&mut world, "developer", agent);
    hire(&mut world, "reviewer", agent);
    furnish(&mut world, agent, &programs, &homes, &standin);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let again = standin.requests().into_iter().find(|request| request.user.contains("names no evidence"));
    let again = again.expect("it is told why");
    assert_eq!(again.user.contains("You review one finished task"), !resumes, "{}", again.user);
    assert!(again.body.to_string().contains("You review one finished task"));
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

#[test]
fn gemini_is_told_that_its_review_does_not_count() {
    is_told_back("gemini", true);
}

#[test]
fn claude_is_told_that_its_review_does_not_count() {
    is_told_back("claude", true);
}

#[test]
fn aider_is_told_that_its_review_does_not_count() {
    is_told_back("aider", false);
}

/// Its sandbox keeps its shell from writing where `sprint agent` does. It is told so, and says it in words.
#[test]
fn codex_says_in_words_what_its_sandbox_keeps_from_its_shell() {
    let Some(programs) = programs("codex") else { return };
    let sprint = env!("CARGO_BIN_EXE_sprint");
    let judges = [
        bash(&format!("{sprint} agent verdict pass --evidence one.txt")),
        say("I cannot.\n\nEVIDENCE: one.txt\nVERDICT: pass"),
    ];
    let scenario = Scenario::default()
        .rule("You review one finished task", judges)
        .rule("You are a software developer", [write("one.txt", "1\n"), say("Done.")]);
    let (homes, standin) = (Homes::new(), Standin::start(scenario));
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.set("agents.mcp", "false");
    hire(&mut world, "developer", "codex");
    hire(&mut world, "reviewer", "codex");
    furnish(&mut world, "codex", &programs, &homes, &standin);
    // The temporary directory, where the test has its state, is open otherwise.
    let config = homes.at("codex").join("config.toml");
    let closed = "[sandbox_workspace_write]\nexclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n";
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + closed).unwrap();
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let told = |text: &str| standin.requests().iter().any(|request| request.body.to_string().contains(text));
    assert!(
        told("the claim cannot be recorded") && told("print it as a line of its own"),
        "{:#?}",
        standin.requests().last()
    );
    assert_eq!(standin.failures(), Vec::<String>::new());
    world.assert_nothing_left();
}

#[test]
fn claude_works_in_every_role_on_its_screen() {
    works_in_every_role(&Actor::on_screen("claude"));
}

#[test]
fn codex_works_in_every_role_on_its_screen() {
    works_in_every_role(&Actor::on_screen("codex"));
}

#[test]
fn opencode_works_in_every_role_on_its_screen() {
    works_in_every_role(&Actor::on_screen("opencode"));
}

macro_rules! each {
    ($($all:ident, $merges:ident: $agent:literal;)*) => {$(
        #[test]
        fn $all() {
            works_in_every_role(&Actor::new($agent));
        }

        #[test]
        fn $merges() {
            resolves_a_conflict($agent);
        }
    )*};
}

each! {
    claude_works_in_every_role, claude_resolves_a_conflict: "claude";
    codex_works_in_every_role, codex_resolves_a_conflict: "codex";
    pi_works_in_every_role, pi_resolves_a_conflict: "pi";
    opencode_works_in_every_role, opencode_resolves_a_conflict: "opencode";
    gemini_works_in_every_role, gemini_resolves_a_conflict: "gemini";
    qwen_works_in_every_role, qwen_resolves_a_conflict: "qwen";
    aider_works_in_every_role, aider_resolves_a_conflict: "aider";
    mini_swe_agent_works_in_every_role, mini_swe_agent_resolves_a_conflict: "mini-swe-agent";
}
