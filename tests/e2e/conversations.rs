//! Conversations of models' programs: one that goes on, one that the program does not know any
//! more, and output that nobody could keep. The program is a script that prints a stream.

use serde_json::json;

use crate::common::{World, task_row};

/// `say TEXT`, `finish TASK`, and the arguments of each start in `$W/starts`.
const HEAD: &str = "echo \"$@\" >> $W/starts; N=$(wc -l < $W/starts); cat > $W/heard.$N\n\
    say() { echo \"{\\\"type\\\":\\\"say\\\",\\\"text\\\":\\\"$1\\\"}\"; }\n\
    session() { echo '{\"type\":\"session\",\"id\":\"s-1\"}'; }\n\
    finish() { echo done > one.txt; git add -A; git commit -qm one; echo '{\"type\":\"end\"}'; }\n";

fn world(program: &str) -> World {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write one.txt\n");
    world.script("fake.sh", &format!("{HEAD}{program}"));
    for (key, value) in [
        ("kind", "\"cli\""),
        ("extends", "\"cli\""),
        ("command", "[\"./fake.sh\"]"),
        ("headless.args", "[\"first\"]"),
        ("headless.resume", "[\"resume\", \"{session}\"]"),
        ("headless.prompt", "\"stdin\""),
        ("headless.stream", "\"jsonl\""),
        ("session.when", "\"type=session\""),
        ("session.at", "\"id\""),
        ("show", "[{ when = \"type=say\", text = \"text\", as = \"text\" }]"),
        ("done.when", "\"type=end\""),
        ("fail", "[{ when = \"type=failure\", text = \"text\" }]"),
        ("usage", "{ when = \"type=usage\", mode = \"cumulative\", input = \"in\", output = \"out\" }"),
    ] {
        world.set(&format!("agent.mine.{key}"), value);
    }
    world.configure();
    world.commit("base");
    world
}

#[test]
fn one_that_is_gone_is_begun_anew_with_question_and_answer() {
    let world = world(
        "if [ \"$1\" = resume ]; then echo 'no such conversation' >&2; exit 1; fi\nsession\n\
         case $N in 1) say 'BLOCKED: which number?'; echo '{\"type\":\"end\"}';; *) finish;; esac",
    );
    world.start().expect(1);
    world.sprint(&["answer", "T001", "forty-two"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.read("starts"), "first\nresume s-1\nfirst\n");
    let heard = world.read("heard.3");
    assert!(heard.contains("which number?") && heard.contains("forty-two"), "{heard}");
    world.assert_nothing_left();
}

#[test]
fn one_that_never_begins_again_costs_an_attempt_and_not_more_starts() {
    let world = world(
        "[ -e $W/broken ] && exit 3; session; touch $W/broken; say 'BLOCKED: which?'; echo '{\"type\":\"end\"}'",
    );
    world.start().expect(1);
    world.sprint(&["answer", "T001", "42"]).expect(0);
    world.start().expect(1);
    // Once in the conversation, once in a new one, and twice more in new ones.
    assert_eq!(world.read("starts"), "first\nresume s-1\nfirst\nfirst\nfirst\n");
    world.assert_nothing_left();
}

#[test]
fn one_that_only_the_service_refuses_is_kept() {
    let world = world(
        "case $N in 1) session; say 'BLOCKED: which number?'; echo '{\"type\":\"end\"}';;\n\
         2) echo '{\"type\":\"failure\",\"text\":\"401 invalid api key\"}'; exit 1;;\n\
         *) session; finish;; esac",
    );
    world.start().expect(1);
    world.sprint(&["answer", "T001", "42"]).expect(0);
    let shown = world.start().expect(1).stdout;
    assert!(shown.contains("refuses the account"), "{shown}");
    let end = "  mend that, then: sprint start specs/001-demo";
    assert!(shown.lines().any(|line| line == end), "the summary names what is to be done: {shown}");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.read("starts"), "first\nresume s-1\nresume s-1\n");
    world.assert_nothing_left();
}

#[test]
fn lines_without_end_bytes_that_are_no_text_and_usage_that_goes_backwards() {
    let world = world(
        "session; echo '{\"type\":\"usage\",\"in\":500,\"out\":50}'\n\
         printf '\\033]0;evil\\007\\033[2J\\377\\376\\200 \\033]52;c;ZXZpbA==\\007 plain\\n'\n\
         say \"$(printf '\\\\u001b]0;evil\\\\u0007\\\\u001b[2Jquoted')\"\n\
         head -c 100M /dev/zero | tr '\\0' x; echo\n\
         printf '{\"type\":\"say\",\"text\":\"'; head -c 100M /dev/zero | tr '\\0' x; echo '\"}'\n\
         grep -E 'VmHWM|Threads' /proc/$PPID/status > $W/worker\n\
         echo '{\"type\":\"usage\",\"in\":400,\"out\":-3}'; echo '{\"type\":\"usage\",\"in\":-1e300,\"out\":\"many\"}'; finish",
    );
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let most: u64 = world.read("worker").split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(most < 128 * 1024, "the worker took {most} KiB");
    let cost = world.sprint(&["cost", "--json"]).expect(0).json();
    assert_eq!(
        (&cost["total"]["tokens_in"], &cost["total"]["tokens_out"]),
        (&json!(500), &json!(50)),
        "{cost:#}"
    );
    let mut said = Vec::new();
    for file in std::fs::read_dir(world.state().join("transcripts")).unwrap().flatten() {
        said.extend(std::fs::read(file.path()).unwrap());
    }
    assert!(said.len() < 8 << 20, "{} bytes", said.len());
    let text = String::from_utf8(said).unwrap();
    for forbidden in ["evil", "\u{1b}[2J", "\u{1b}]"] {
        assert!(!text.contains(forbidden), "{forbidden:?}");
    }
    assert!(text.contains("plain") && text.contains("quoted") && text.contains("a line of 104857600 bytes"));
    assert_eq!(task_row(&world.status(), "T001")["attempt"], 1);
    world.assert_nothing_left();
}
