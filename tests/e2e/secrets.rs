//! Secrets that programs print: nothing that sprint keeps, shows or tells a model holds them.

use std::path::{Path, PathBuf};

use crate::common::{SPRINT, World};

/// 36 characters, as after `ghp_`; the token is in no file of the repository in one piece.
const NOISE: &str = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
/// The value of a variable of the person's.
const PERSONAL: &str = "Zebra-77-crossing";

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut open = vec![directory.to_owned()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// The files below the state and the runtime directory that hold `secret`, but for the checkouts of
/// the agents' own work.
fn holders(world: &World, secret: &str) -> Vec<PathBuf> {
    let all = [vec![world.state()], world.runtimes()].concat();
    let held = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    };
    let worktrees = world.state().join("worktrees");
    let mut held: Vec<PathBuf> = all.iter().flat_map(|top| files(top)).filter(held).collect();
    held.retain(|path| !path.starts_with(&worktrees));
    held
}

#[test]
fn a_secret_that_is_printed_is_nowhere_but_in_the_agents_own_work() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.file("a.txt", "begin\n");
    world.env("DEPLOY_TOKEN", PERSONAL);
    let token = format!("t=ghp; t=${{t}}_{NOISE}");
    // It prints the token in two pieces, remarks it, commits it, fails with it and at last asks with it.
    world.agent(&format!(
        "{token}\n\
         cp $SPRINT_PROMPT $W/prompt.$SPRINT_ATTEMPT; echo \"$SPRINT_FEEDBACK\" > $W/feedback.$SPRINT_ATTEMPT\n\
         printf 'my key is ghp_'; sleep 0.2; echo \"${{t#ghp_}}, and $DEPLOY_TOKEN\"; echo \"fatal: $t\" >&2\n\
         {SPRINT} agent comment \"I use $t and $DEPLOY_TOKEN\"\n\
         if [ $SPRINT_ATTEMPT = 3 ]; then {SPRINT} agent blocked \"is $t right?\"; exit; fi\n\
         echo \"$SPRINT_ATTEMPT $t\" >> a.txt; git add -A; git commit -qm a\n\
         [ $SPRINT_ATTEMPT != 2 ] || {{ echo \"fatal: cannot push with $t\" >&2; exit 1; }}"
    ));
    world.gate(
        "words",
        &format!(
            "{token}\ngrep -q ^1 a.txt || exit 0\n\
             echo \"a.txt:1:found $t and $DEPLOY_TOKEN\"; echo \"Authorization: Bearer $t\" >&2; exit 1"
        ),
    );
    world.set("gate.words.parser", "\"regex\"");
    world.set("gate.words.pattern", "'^(?P<path>[^:]+):(?P<line>\\d+):(?P<message>.*)$'");
    world.set("gate.words.clean", "[0]");
    world.configure();
    world.commit("base");
    world.start().expect(1);
    let whole = format!("ghp_{NOISE}");
    world.file("a.txt", "1\n");
    let reports = ["report.sarif", "report.xml", "gates.json"].map(|name| world.path().join(name));
    let shown = [
        world.sprint(&["status"]).shown(),
        world.sprint(&["task", "show", "T001"]).shown(),
        world.sprint(&["events", "-n", "500"]).shown(),
        world.sprint(&["logs", "T001"]).shown(),
        world.sprint(&["prompt", "show", "T001"]).shown(),
        world.read("prompt.1"),
        world.read("prompt.2"),
        world.read("feedback.2"),
        world
            .sprint(&[
                "gates",
                "run",
                "--github",
                "--base",
                "HEAD",
                "--sarif",
                reports[0].to_str().unwrap(),
                "--junit",
                reports[1].to_str().unwrap(),
            ])
            .shown(),
        world.sprint(&["gates", "run", "--json"]).shown(),
        std::fs::read_to_string(&reports[0]).unwrap(),
        std::fs::read_to_string(&reports[1]).unwrap(),
    ];
    for text in &shown {
        assert!(!text.contains(&whole) && !text.contains(PERSONAL), "{text}");
    }
    for (index, part) in [
        (1, "is [redacted: GitHub token] right?"),
        (3, "[redacted: DEPLOY_TOKEN]"),
        (7, "found [redacted: GitHub token]"),
        (9, "found [redacted: GitHub token]"),
    ] {
        assert!(shown[index].contains(part), "{part}: {}", shown[index]);
    }
    assert_eq!(holders(&world, &whole), Vec::<PathBuf>::new());
    // `start.json` has the environment that programs get, for the person alone, and as numbers.
    assert_eq!(holders(&world, PERSONAL), Vec::<PathBuf>::new());
}

#[test]
fn a_person_who_would_tell_a_secret_is_told_so() {
    let world = World::with("- [ ] T001 write a.txt\n", &format!("{SPRINT} agent blocked which key?"));
    world.start().expect(1);
    let refused = world.sprint(&["answer", "T001", &format!("ghp_{NOISE}")]).expect(4);
    assert!(refused.stderr.contains("the answer holds a secret (GitHub token)"), "{}", refused.stderr);
    assert_eq!(holders(&world, NOISE), Vec::<PathBuf>::new());
    world.sprint(&["answer", "T001", "what DEPLOY_TOKEN holds"]).expect(0);
}
