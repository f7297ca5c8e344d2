//! Hostile titles, paths, ids, questions and file names: shown, never executed. A canary file
//! would tell.

use crate::common::{World, task_row};

/// Every way that a text could become a command, an option, a path or a format; `CANARY` is a
/// file outside the repository.
const HOSTILE: [&str; 12] = [
    "#(touch CANARY)",
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY;",
    "' ; touch CANARY '",
    "\" ; touch CANARY \"",
    "--upload-pack=touch CANARY",
    "../../../../CANARY",
    "| tee CANARY",
    "%(trailers) {{ 7*7 }} {task.id} {prompt}",
    "\u{1b}]0;owned\u{7}\u{1b}[2J",
    "\u{202e}emoji 🚀\u{200f} العربية",
];

fn hostile(world: &World) -> Vec<String> {
    let canary = world.path().join("canary");
    HOSTILE.iter().map(|text| text.replace("CANARY", canary.to_str().unwrap())).collect()
}

#[test]
fn hostile_titles_questions_and_files_are_shown_and_never_executed() {
    let mut world = World::new();
    let texts = hostile(&world);
    let mut tasks = String::from("## Phase 1: #(touch x) $(y)\n\n");
    for (number, text) in texts.iter().enumerate() {
        tasks.push_str(&format!("- [ ] T{:03} [P] {text}\n", number + 1));
    }
    tasks.push_str(&format!("- [ ] T099 [P] {}\n", "long ".repeat(2_000)));
    world.feature("001-demo", &tasks);
    world.file("$(touch CANARY)/--option;.txt", "a hostile name\n");
    world.file("hostile.txt", &texts.join("\n"));
    world.agent(
        "n=$((10#${1#T})); cat hostile.txt | head -$n | tail -1\n\
         if [ $1 = T002 ] && [ -z \"$SPRINT_ANSWER\" ]; then echo \"BLOCKED: $(sed -n 2p hostile.txt) $(sed -n 1p hostile.txt) $(sed -n 11p hostile.txt)\"; exit 0; fi\n\
         echo $1 > \"$1 ;\\$(touch x).txt\"; git add -A; git commit -qm \"$SPRINT_TASK_TITLE\"",
    );
    world.set("agent.mine.command", "[\"./agent.sh\", \"{task.id}\", \"{prompt}\"]");
    world.set("agents.max_in_flight", "20");
    world.gate("says", "cat hostile.txt");
    world.configure();
    world.commit("base");
    for args in [vec!["tasks", "lint", "specs/001-demo"], vec!["start", "--dry-run", "specs/001-demo"]] {
        plain(&world.sprint(&args).stdout);
    }
    let shown = world.start().expect(1);
    plain(&shown.stdout);
    for args in [
        vec!["status"],
        vec!["answer"],
        vec!["events"],
        vec!["task", "list"],
        vec!["task", "show", "T011"],
        vec!["logs", "T002"],
    ] {
        plain(&world.sprint(&args).stdout);
    }
    assert_eq!(task_row(&world.status(), "T002")["state"], "Waiting");
    world.sprint(&["answer", "T002", &texts[1], &texts[0]]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed_of("001-demo").len(), 13);
    assert!(!world.exists("canary"), "something was executed");
    let names = world.git(&["for-each-ref", "--format=%(refname)"]);
    assert!(!names.contains("touch") && !names.contains('('), "a title became a reference: {names}");
    assert!(!world.repo().join("x").exists() && !world.repo().join("canary").exists());
    world.assert_nothing_left();
}

/// No control character and no mark that turns the line around reaches a terminal.
#[track_caller]
fn plain(text: &str) {
    let bad = text.chars().find(|c| {
        (c.is_control() && *c != '\n' && *c != '\t')
            || "\u{202e}\u{202d}\u{2066}\u{2067}\u{2068}".contains(*c)
    });
    assert!(bad.is_none(), "{bad:?} in {text:?}");
}

#[test]
fn hostile_ids_on_the_command_line() {
    let world = World::with("- [ ] T001 write a.txt\n", "[ -e $W/ok ] || exit 1\necho a > a.txt");
    world.start().expect(1);
    let mut text = String::new();
    let long = "x".repeat(10_000);
    for id in ["t001", "#(id)", "$(id)", "../..", "--now", "T001\nT002", "🚀", long.as_str(), ""] {
        for command in [vec!["task", "retry", id], vec!["attach", id], vec!["logs", id]] {
            let shown = world.sprint(&command);
            assert!([2, 4].contains(&shown.code), "{command:?}: {}", shown.shown());
            plain(&shown.stderr);
            assert!(shown.stderr.len() < 2_000, "{command:?} says {} bytes", shown.stderr.len());
        }
        let shown = world.sprint(&["task", "retry", id]);
        text.push_str(&format!(
            "{}: {}",
            id.escape_debug().take(30).collect::<String>(),
            world.redact(shown.stderr.lines().next().unwrap_or(""))
        ));
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn hostile_feature_names_cannot_become_branches() {
    let world = World::with("- [ ] T001 write a.txt\n", "true");
    let mut text = String::new();
    for name in ["a b", "a..b", "-x", "a~1", "a.lock", "$(id)", "#(id)", "a;b", "🚀", ".hidden", "a@{0}"] {
        world.feature(name, "- [ ] T001 write a.txt\n");
        world.commit(name);
        let shown = world.sprint(&["start", &format!("specs/{name}")]);
        assert_ne!(shown.code, 0, "{name}");
        text.push_str(&format!(
            "{name}: {} {}\n",
            shown.code,
            world.redact(shown.stderr.lines().next().unwrap_or(""))
        ));
    }
    assert!(!world.path().join("s/sprint").exists());
    insta::assert_snapshot!(text);
}
