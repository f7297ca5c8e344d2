//! Reviewers judge, testers and librarians add: programs in their places, from outside.

use serde_json::Value;

use crate::common::{World, task_row};

/// A developer that writes `a.txt`, one task, and a gate that counts its runs.
fn world() -> World {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.agent(
        "echo $SPRINT_ATTEMPT >> $W/developed; printf '%s' \"$SPRINT_FEEDBACK\" > $W/feedback\n\
         echo attempt $SPRINT_ATTEMPT > a.txt; git add -A; git commit -qm a",
    );
    world.gate("count", "{ cat tests/* 2>/dev/null || true; } >> $W/gated; echo gate >> $W/gated");
    world.set("gate.count.stage", "\"InReview\"");
    world
}

/// A program in the place of a role; `$1` is the stage, `$N` how often it was called.
fn role(world: &mut World, role: &str, body: &str) {
    let script = format!("{role}.sh");
    let body =
        format!("echo x >> $W/{role}; N=$(wc -l < $W/{role}); cp $SPRINT_PROMPT $W/{role}.$N.md\n{body}");
    world.script(&script, &body);
    world.set(&format!("agent.a-{role}.kind"), "\"command\"");
    world.set(&format!("agent.a-{role}.command"), &format!("[\"./{script}\", \"{{stage}}\"]"));
    world.set(&format!("roles.{role}.agent"), &format!("\"a-{role}\""));
}

fn begin(world: &World) {
    world.configure();
    world.commit("base");
}

fn shown(world: &World) -> Value {
    world.sprint(&["task", "show", "T001", "--json"]).expect(0).json()
}

#[test]
fn a_verdict_without_evidence_is_told_back_once_and_what_is_not_severe_is_recorded() {
    let mut world = world();
    role(
        &mut world,
        "reviewer",
        "[ $N = 1 ] && exec sprint agent verdict pass looks fine\n\
         [ $N = 2 ] && exec sprint agent verdict pass --evidence a.txt --evidence 'scenario 1' --finding 'a.txt:1:low:say which; name it' it holds",
    );
    begin(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let told = world.read("reviewer.2.md");
    assert!(told.contains("the verdict names no evidence"), "{told}");
    let remarks = shown(&world)["remarks"].clone();
    assert_eq!(remarks[0]["path"], "a.txt", "{remarks:#}");
    assert_eq!(remarks[0]["severity"], "low");
    assert_eq!(
        (&remarks[1]["rule"], &remarks[1]["message"]),
        (&"evidence".into(), &"a.txt; scenario 1".into())
    );
    let text = world.sprint(&["task", "show", "T001"]).expect(0).stdout;
    assert!(text.contains("low a.txt:1: review say which; name it"), "{text}");
}

#[test]
fn a_severe_finding_sends_back_with_place_and_remedy_and_the_next_review_knows() {
    let mut world = world();
    role(
        &mut world,
        "reviewer",
        "if [ $N = 1 ]; then sprint agent verdict fail --evidence 'scenario 1' --finding 'a.txt:1:high:wrong; say 2' not yet\n\
         else echo EVIDENCE: a.txt; echo VERDICT: pass, mended; fi",
    );
    begin(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2");
    let feedback: Value = serde_json::from_str(&world.read("feedback")).unwrap();
    assert_eq!((&feedback["stage"], &feedback["reason"]), (&"InReview".into(), &"not yet".into()));
    let finding = &feedback["findings"][0];
    assert_eq!(
        (&finding["path"], &finding["line"], &finding["severity"]),
        (&"a.txt".into(), &1.into(), &"high".into())
    );
    assert_eq!(finding["message"], "wrong; say 2");
    assert!(world.read("reviewer.2.md").contains("wrong; say 2"), "{}", world.read("reviewer.2.md"));
}

#[test]
fn a_review_that_never_counts_is_the_operators_and_spends_no_attempt() {
    let mut world = world();
    role(
        &mut world,
        "reviewer",
        "[ -e $W/ok ] && exec sprint agent verdict pass --evidence a.txt\n\
         exec sprint agent verdict pass --evidence a.txt --finding 'nowhere.txt:1:low:x'",
    );
    begin(&world);
    let told = world.start().expect(1).stdout;
    assert!(told.contains("sprint task retry T001"), "{told}");
    let row = task_row(&world.status(), "T001").clone();
    assert_eq!((&row["state"], &row["attempt"]), (&"Waiting".into(), &1.into()), "{row}");
    assert!(row["reason"].as_str().unwrap().contains("a finding names `nowhere.txt`"), "{row}");
    assert_eq!(world.read("reviewer").lines().count(), 2, "asked twice, in one run");
    world.touch("ok");
    world.sprint(&["task", "retry", "T001"]).expect(0);
    world.start().expect(0);
    assert_eq!((world.landed().as_str(), world.read("developed").trim()), ("T001:1", "1"));
}

#[test]
fn a_reviewer_that_changes_what_it_judges_is_told_so() {
    let mut world = world();
    role(
        &mut world,
        "reviewer",
        "[ $N = 1 ] && echo mine > a.txt\nexec sprint agent verdict pass --evidence a.txt",
    );
    begin(&world);
    world.start().expect(0);
    assert_eq!(world.landed_file("a.txt"), "attempt 1");
    assert!(world.read("reviewer.2.md").contains("it changed what it was to judge (a.txt)"));
}

#[test]
fn tester_and_librarian_add_in_their_places_the_gates_run_again_and_the_review_stands() {
    let mut world = world();
    role(&mut world, "reviewer", "sprint agent verdict pass --evidence a.txt");
    role(
        &mut world,
        "tester",
        "mkdir -p tests; echo a test > tests/test_a.txt; sed -i 's/\\[ \\] T001/[x] T001/' specs/001-demo/tasks.md\n\
         git add -A; git commit -qm 'a test'; sprint agent done wrote a test",
    );
    role(
        &mut world,
        "librarian",
        "echo changed > CHANGELOG.md; mkdir -p docs; echo a > docs/a.md; echo TASK_COMPLETE",
    );
    begin(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(
        (world.landed_file("tests/test_a.txt").as_str(), world.landed_file("docs/a.md").as_str()),
        ("a test", "a")
    );
    for who in ["reviewer", "tester", "librarian"] {
        assert_eq!(world.read(who).lines().count(), 1, "{who} is asked once");
    }
    let gated = world.read("gated");
    assert!(gated.contains("a test"), "the gate of the first stage has judged what was added: {gated}");
    let log = world.git(&["log", "--format=%s", "sprint/001-demo"]);
    assert!(
        log.contains("T001: tester of write a.txt") && log.contains("T001: librarian of write a.txt"),
        "{log}"
    );
    let first_parents = world.git(&["log", "--first-parent", "--format=%s", "main..sprint/001-demo"]);
    assert_eq!(first_parents.lines().count(), 1, "one commit a task: {first_parents}");
    let events = world.sprint(&["events"]).expect(0).stdout;
    assert!(
        events.contains("InTests added to it: tests/test_a.txt; wrote a test; the gates run again"),
        "{events}"
    );
    let prompt = world.read("tester.1.md");
    assert!(prompt.contains("You are the tester") && prompt.contains("- `a.txt`"), "{prompt}");
}

#[test]
fn what_a_tester_changes_outside_of_its_places_is_named_and_costs_no_attempt() {
    let mut world = world();
    role(
        &mut world,
        "tester",
        "mkdir -p tests; echo a test > tests/test_a.txt\n\
         if [ $N = 1 ]; then echo better > a.txt; else git checkout -q HEAD~1 -- a.txt; fi; sprint agent done wrote",
    );
    begin(&world);
    world.start().expect(0);
    assert_eq!((world.landed().as_str(), world.landed_file("a.txt").as_str()), ("T001:1", "attempt 1"));
    assert_eq!(world.landed_file("tests/test_a.txt"), "a test");
    let told = world.read("tester.2.md");
    assert!(told.contains("it changed files that are not its own (a.txt)"), "{told}");
}

#[test]
fn a_tester_with_nothing_to_add_says_so_unless_the_stage_needs_a_commit() {
    let mut world = world();
    role(&mut world, "tester", "[ -e $W/skip ] && exit 2\nsprint agent done nothing to add");
    begin(&world);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");

    let mut world = self::world();
    role(&mut world, "tester", "[ -e $W/skip ] && exit 2\nsprint agent done nothing to add");
    world.configure();
    let stages = "[[pipeline.stage]]\nname = \"InProgress\"\nkind = \"work\"\n[[pipeline.stage]]\nname = \"InReview\"\nkind = \"check\"\n\
                  [[pipeline.stage]]\nname = \"InTests\"\nkind = \"check\"\nrole = \"tester\"\nproof = \"commit\"\nwrites = [\"tests/**\"]\n\
                  [[pipeline.stage]]\nname = \"Merging\"\nkind = \"land\"\n";
    let config = std::fs::read_to_string(world.repo().join("sprint.toml")).unwrap();
    world.file("sprint.toml", &format!("{config}\n{stages}"));
    world.commit("base");
    world.start().expect(1);
    let row = task_row(&world.status(), "T001").clone();
    assert!(row["reason"].as_str().unwrap().contains("the stage needs a commit"), "{row}");
    world.touch("skip");
    world.sprint(&["task", "retry", "T001"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn a_test_that_shows_the_work_to_be_wrong_goes_back_to_the_developer() {
    let mut world = world();
    world.set("gate.count.stage", "\"InTests\"");
    world.script("gate-count.sh", "[ ! -e tests/wants ] || grep -q \"$(cat tests/wants)\" a.txt");
    role(&mut world, "tester", "mkdir -p tests; echo 'attempt 2' > tests/wants; sprint agent done");
    begin(&world);
    world.start().expect(0);
    assert_eq!((world.landed().as_str(), world.landed_file("tests/wants").as_str()), ("T001:2", "attempt 2"));
    let feedback: Value = serde_json::from_str(&world.read("feedback")).unwrap();
    assert_eq!(feedback["stage"], "InTests");
}

#[test]
fn a_question_in_a_check_stage_keeps_what_was_there_and_a_second_one_is_another() {
    let mut world = world();
    role(
        &mut world,
        "tester",
        "case $N in 1) mkdir -p tests; echo half > tests/a; echo BLOCKED: which border?;;\n\
         2) cat tests/a > $W/half; echo \"$SPRINT_ANSWER\" > tests/b; sprint agent blocked which case?;;\n\
         3) echo \"$SPRINT_ANSWER\" > tests/c; sprint agent done;; esac",
    );
    begin(&world);
    for (question, answer) in [("which border?", "zero"), ("which case?", "upper")] {
        world.start().expect(1);
        let row = task_row(&world.status(), "T001").clone();
        assert_eq!(
            (&row["stage"], &row["reason"], &row["attempt"]),
            (&"InTests".into(), &question.into(), &1.into())
        );
        world.sprint(&["answer", "T001", answer]).expect(0);
    }
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.read("half"), "half\n");
    let files = ["tests/a", "tests/b", "tests/c"].map(|path| world.landed_file(path));
    assert_eq!(files, ["half", "zero", "upper"]);
    assert_eq!(world.read("developed").trim(), "1");
    assert!(world.read("tester.2.md").contains("which border?\n"), "{}", world.read("tester.2.md"));
}

#[test]
fn a_reviewer_with_conversations_is_told_back_and_answered_in_the_same_one() {
    let mut world = world();
    role(&mut world, "reviewer", "");
    // Its words are its only way: it has no shell.
    let program = world.program(
        "bin/talker",
        "echo x >> $W/talks; N=$(wc -l < $W/talks); echo \"$@\" >> $W/arguments; cat > $W/heard.$N\n\
         say() { echo \"{\\\"type\\\":\\\"say\\\",\\\"text\\\":\\\"$1\\\"}\"; }\n\
         echo '{\"type\":\"session\",\"id\":\"s-1\"}'\n\
         case $N in 1) say 'VERDICT: pass';; 2) say 'BLOCKED: is that meant?';; 3) say 'EVIDENCE: a.txt'; say 'VERDICT: pass, as you say';; esac\n\
         echo '{\"type\":\"end\"}'",
    );
    for (key, value) in [
        ("kind", "\"cli\"".to_owned()),
        ("command", format!("[\"{}\"]", program.display())),
        ("headless.args", "[\"first\"]".to_owned()),
        ("headless.resume", "[\"resume\", \"{session}\"]".to_owned()),
        ("headless.prompt", "\"stdin\"".to_owned()),
        ("headless.stream", "\"jsonl\"".to_owned()),
        ("session.when", "\"type=session\"".to_owned()),
        ("session.at", "\"id\"".to_owned()),
        ("show", "[{ when = \"type=say\", text = \"text\", as = \"text\" }]".to_owned()),
        ("done.when", "\"type=end\"".to_owned()),
    ] {
        world.set(&format!("agent.a-reviewer.{key}"), &value);
    }
    begin(&world);
    world.start().expect(1);
    assert_eq!(task_row(&world.status(), "T001")["reason"], "is that meant?");
    world.sprint(&["answer", "T001", "it is"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.read("arguments"), "first\nresume s-1\nresume s-1\n");
    let again = world.read("heard.2");
    assert!(
        again.contains("names no evidence") && !again.contains("You review one finished task"),
        "{again}"
    );
    assert!(world.read("heard.3").contains("it is\n"), "{}", world.read("heard.3"));
}

#[test]
fn scripts_play_every_role_by_stage() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.file(
        "specs/001-demo/script/T001.toml",
        "[[step]]\nstage = \"InProgress\"\nwrite = \"a.txt\"\ncontent = \"hello\\n\"\n\n\
         [[step]]\nstage = \"InReview\"\nrun = [\"sprint\", \"agent\", \"verdict\", \"pass\", \"--evidence\", \"a.txt\"]\n\n\
         [[step]]\nstage = [\"InTests\", \"InDocs\"]\nattempt = 1\nprint = \"TASK_COMPLETE\"\n\n\
         [[step]]\nstage = \"InTests\"\nwrite = \"tests/a\"\ncontent = \"a test\\n\"\n",
    );
    world.unset("agent.mine.kind");
    world.unset("agent.mine.command");
    for role in ["developer", "reviewer", "tester", "librarian"] {
        world.set(&format!("roles.{role}.agent"), "\"scripted\"");
    }
    begin(&world);
    world.start().expect(0);
    assert_eq!(world.landed_file("tests/a"), "a test");
}

#[test]
fn a_question_is_told_to_nobody_but_who_asked() {
    let mut world = world();
    world.agent("[ -n \"$SPRINT_ANSWER\" ] || { echo BLOCKED: which port?; exit; }\necho a > a.txt; git add -A; git commit -qm a");
    role(&mut world, "reviewer", "sprint agent verdict pass --evidence a.txt");
    begin(&world);
    world.start().expect(1);
    world.sprint(&["answer", "T001", "8080"]).expect(0);
    world.start().expect(0);
    let prompt = world.read("reviewer.1.md");
    assert!(prompt.contains("You review one finished task") && !prompt.contains("which port?"), "{prompt}");
}
