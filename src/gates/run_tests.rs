//! One gate from its trees to its result, with small scripts as tools.

use std::fs;
use std::time::Duration;

#[path = "run_tests/world.rs"]
mod world;

use self::world::{World, gate, sh};
use super::*;
use crate::config::presets::preset;
use crate::domain::gate::Status;
use crate::domain::ids::GateName;
use crate::gates::version;
use crate::gates::{run_gate, run_gates};
use crate::process::slots::Slots;

#[test]
fn exit_codes_and_what_is_no_exit_code() {
    let world = World::new(&[], &[]);
    world.check(&sh("exit 0"), Verdict::Pass, "");
    // The base's verdict is the same there: nothing new.
    world.check(&sh("echo no; exit 3"), Verdict::Pass, "fails at the base too: exited with 3: no");
    let absolute = |script| GateConfig { mode: Mode::Absolute, ..sh(script) };
    world.check(&absolute("echo no; exit 3"), Verdict::Fail, "exited with 3: no");
    world.check(
        &absolute("echo gone >&2; exit 127"),
        Verdict::Error,
        "its command cannot be run (exit code 127): gone",
    );
    world.check(&absolute("exit 126"), Verdict::Error, "its command cannot be run (exit code 126)");
    world.check(&absolute("kill -9 $$"), Verdict::Error, "signal 9 killed it");
    let slow = GateConfig { timeout: Duration::from_millis(100), ..absolute("exec sleep 60") };
    world.check(&slow, Verdict::Error, "it still ran after 100ms and was ended");
}

/// What cannot run at the base either is no old failure: nobody has ever judged anything with it.
#[test]
fn a_command_that_cannot_run_at_the_base_either_is_an_error() {
    let world = World::new(&[("a", "1")], &[("a", "2")]);
    world.check(&gate(&["rufff", "check"]), Verdict::Error, "`rufff` is not installed");
    let reason = "its command cannot be run (exit code 127): sh: 1: rufff: not found";
    world.check(&sh("exec 2>&1; echo 'sh: 1: rufff: not found'; exit 127"), Verdict::Error, reason);
    let result = world.run(&gate(&["python3", "-m", "rufff"]));
    assert_eq!(result.verdict, Verdict::Error, "{}", result.reason);
    assert!(result.reason.starts_with("its command cannot be run (exit code 1): "), "{}", result.reason);
    let refused = world.run(&gate(&["grep", "--no-such-option", "x"]));
    assert_eq!(refused.verdict, Verdict::Pass);
    assert!(refused.is_excused() && refused.reason.starts_with("fails at the base too: exited with 2: "));
    assert!(!world.run(&sh("exit 0")).is_excused());
}

#[test]
fn a_fail_is_new_unless_the_base_fails_and_a_base_error_excuses_nothing() {
    let script = |code: &'static str| ("check.txt", code);
    let gate = sh("exit $(cat check.txt)");
    World::new(&[script("1")], &[script("2")]).check(
        &gate,
        Verdict::Pass,
        "fails at the base too: exited with 2",
    );
    World::new(&[script("0")], &[script("2")]).check(&gate, Verdict::Fail, "exited with 2");
    let reason = "exited with 2\nthe base could not be checked: its command cannot be run (exit code 127)";
    World::new(&[script("127")], &[script("2")]).check(&gate, Verdict::Fail, reason);
    let alone = World { has_base: false, ..World::new(&[script("1")], &[script("1")]) };
    alone.check(&gate, Verdict::Fail, "exited with 1");
}

#[test]
fn a_long_log_is_kept_from_its_end() {
    let script = "yes noise | head -c 3000000; echo the reason; exit 1";
    let result = World::new(&[], &[]).run(&GateConfig { mode: Mode::Absolute, ..sh(script) });
    assert_eq!(result.verdict, Verdict::Fail);
    assert!(result.reason.ends_with("noise\nthe reason") && result.reason.len() < 3000, "{}", result.reason);
}

#[test]
fn a_subdirectory_is_where_gates_start_and_paths_stay_those_of_the_repository() {
    let files = [("back/n", "bad\n"), ("n", "fine\n")];
    let world = World::new(&[], &files);
    let gate = GateConfig {
        parser: "regex".into(),
        pattern: "(?P<path>[a-z]+):bad".into(),
        ..sh("grep -H bad n {root}/n")
    };
    let (result, _) = world.run_with(&gate, |context| context.subdir = "back");
    let paths: Vec<_> = result.findings.iter().map(|f| f.path.as_str()).collect();
    assert_eq!((result.verdict, paths[0]), (Verdict::Fail, "back/n"), "{result:?}");
    let (result, _) = world.run_with(&gate, |context| context.subdir = "gone");
    assert_eq!(result.verdict, Verdict::Error);
}

#[test]
fn a_tool_that_is_absent_is_an_error_or_an_optional_ones_skip() {
    let world = World::new(&[], &[("a.py", "")]);
    let ruff = preset("ruff").unwrap();
    world.check(&ruff, Verdict::Error, "`ruff` is not installed (sprint install, or: pip install ruff)");
    let optional = GateConfig { required: false, ..ruff };
    world.check(
        &optional,
        Verdict::Skipped,
        "`ruff` is not installed (sprint install, or: pip install ruff)",
    );
    world.check(&gate(&["./gone.sh"]), Verdict::Error, "`./gone.sh` is not there");
}

#[test]
fn nothing_to_check_is_skipped_unless_the_base_had_some() {
    let pytest = preset("pytest").unwrap();
    World::new(&[], &[("a.py", "")]).check(&pytest, Verdict::Skipped, "nothing to check");
    let reason = "the base has 1 files for this gate to check, the candidate has none";
    World::new(&[("test_a.py", "")], &[("a.py", "")]).check(&pytest, Verdict::Fail, reason);
}

#[test]
fn a_gate_that_changes_tracked_files_is_void() {
    let world = World::new(&[("a", "1")], &[("a", "1")]);
    world.check(&sh("echo 2 > a"), Verdict::Error, "it changed tracked files (`a`), so its verdict is void");
    assert_eq!(fs::read_to_string(world.root(Side::Head).join("a")).unwrap(), "1", "and is restored");
    world.check(&sh("echo 2 > untracked"), Verdict::Pass, "");
}

#[test]
fn a_script_that_the_candidate_changes_runs_in_the_bases_version() {
    let base = "#!/bin/sh\necho base $(basename $(dirname $0)); exit 1\n";
    let head = "#!/bin/sh\nexit 0\n";
    let mut world = World::new(&[("ci/check.sh", base)], &[("ci/check.sh", head)]);
    world.has_base = true;
    for command in [vec!["ci/check.sh"], vec!["sh", "-e", "ci/check.sh"]] {
        let gate = GateConfig { mode: Mode::Absolute, ..gate(&command) };
        world.check(&gate, Verdict::Fail, "exited with 1: base ci");
    }
    world.named.push("ci/check.sh".into());
    world.check(&gate(&["ci/check.sh"]), Verdict::Pass, "");
    let left = fs::read_dir(world.root(Side::Head).join("ci")).unwrap().count();
    assert_eq!(left, 1, "the base's version is removed");
}

#[test]
fn a_script_that_the_candidate_deletes_runs_all_the_same() {
    let world = World::new(&[("check.sh", "#!/bin/sh\nexit 4\n")], &[("a", "")]);
    let gate = GateConfig { mode: Mode::Absolute, ..gate(&["./check.sh"]) };
    world.check(&gate, Verdict::Fail, "exited with 4");
}

#[test]
fn a_gate_has_no_input_no_bytecode_its_own_tmp_and_the_persons_environment() {
    let world = World::new(&[], &[]);
    let script = "read x && exit 1; [ -d \"$TMPDIR\" ] && [ \"$MINE$PYTHONDONTWRITEBYTECODE\" = yes1 ] && ! tty -s && touch $TMPDIR/x; echo > /dev/tty && exit 9; [ -e $TMPDIR/x ]";
    world.check(&GateConfig { mode: Mode::Absolute, ..sh(script) }, Verdict::Pass, "");
}

#[test]
fn a_gate_reaches_its_own_loopback_and_nobody_else() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let program = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 5)");
    let world = World::new(&[], &[]);
    let reach = GateConfig { mode: Mode::Absolute, ..gate(&["python3", "-c", &program]) };
    world.check(&GateConfig { network: true, ..reach.clone() }, Verdict::Pass, "");
    let alone = world.run(&reach);
    let cut = crate::process::offline::possible();
    assert_eq!(alone.verdict, if cut { Verdict::Fail } else { Verdict::Pass }, "{}", alone.reason);
}

#[test]
fn a_gate_whose_temporary_directory_was_taken_away_has_judged_nothing() {
    let mut world = World::new(&[("a", "")], &[("a", "x")]);
    world.keep = true;
    let gate = sh("[ -d \"$TMPDIR\" ] && rm -rf \"${TMPDIR%/*}\" && exit 1");
    for _ in 0..2 {
        fs::create_dir_all(&world.tmp).unwrap();
        let result = run_gate(&gate, &world.context(), &mut Vec::new()).unwrap();
        let reason = format!("`{}` was removed while it ran", world.tmp.display());
        assert_eq!((result.verdict, result.reason, result.cached), (Verdict::Error, reason, false));
    }
    let result = run_gate(&gate, &world.context(), &mut Vec::new()).unwrap();
    assert_eq!(result.verdict, Verdict::Error, "it is not the gate's to make");
    assert!(!world.tmp.exists());
}

#[test]
fn results_are_kept_by_tree_and_errors_are_not() {
    let mut world = World::new(&[("a", "")], &[("a", "x")]);
    world.keep = true;
    let log = world.dir.path().join("log");
    let script =
        format!("echo run >> {}; [ ! -e {}/broken ] || exit 127", log.display(), world.dir.path().display());
    let gate = sh(&script);
    let runs = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    assert!(!world.run(&gate).cached);
    let again = world.run(&gate);
    assert_eq!((again.cached, again.verdict, again.seconds, runs()), (true, Verdict::Pass, 0.0, 1));
    assert!(!world.run_with(&gate, |context| context.fresh = true).0.cached);
    assert_eq!(runs(), 2);
    let other = GateConfig { command: vec!["sh".into(), "-c".into(), format!("{script} ")], ..gate.clone() };
    assert!(!world.run(&other).cached, "another command");
    fs::write(world.dir.path().join("broken"), "").unwrap();
    let third = GateConfig { command: vec!["sh".into(), "-c".into(), format!("{script}  ")], ..gate };
    assert_eq!(world.run(&third).verdict, Verdict::Error);
    fs::remove_file(world.dir.path().join("broken")).unwrap();
    assert_eq!(world.run(&third).verdict, Verdict::Pass, "an error is tried again");
}

/// The tree is not all that a run can see.
#[test]
fn a_result_is_kept_for_what_lies_beside_the_tree_and_for_the_persons_variables_too() {
    let mut world = World::new(&[("a", "")], &[("a", "x")]);
    world.keep = true;
    let gate = sh("exit 0");
    assert!(!world.run(&gate).cached);
    assert!(world.run(&gate).cached);
    world.besides = Some("another .env".into());
    assert!(!world.run(&gate).cached);
    assert!(world.run(&gate).cached);
    world.env.push(("MODE".into(), "1".into()));
    assert!(!world.run(&gate).cached);
    world.besides = None;
    for _ in 0..2 {
        assert!(!world.run(&gate).cached, "what lies there cannot be told");
    }
    let reads = GateConfig { tool: crate::config::gate::Tool { reads: true, ..gate.tool.clone() }, ..gate };
    assert!(!world.run(&reads).cached);
    assert!(world.run(&reads).cached, "it looks at the tree alone");
}

/// What is skipped after real work is kept if that is a fact of the tree, and asked again if not.
#[test]
fn a_skip_that_the_tree_decides_is_kept_and_one_that_the_hour_decides_is_not() {
    let mut world = World::new(&[("a", "")], &[("a", "x")]);
    world.keep = true;
    let log = world.dir.path().join("log");
    let runs = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    let saying = |said: &str| {
        let report = format!("{{\"report\":\"mutmut\",{said}}}");
        let script = format!("echo run >> '{}'; echo '{report}' > '{{out}}'", log.display());
        GateConfig { parser: "mutmut".into(), required: false, ..sh(&script) }
    };
    let nothing = saying("\"nothing\":\"no function is changed\"");
    world.check(&nothing, Verdict::Skipped, "no function is changed");
    let again = world.run(&nothing);
    assert_eq!((again.cached, again.seconds, again.verdict), (true, 0.0, Verdict::Skipped));
    // The base was asked once, too.
    assert_eq!(runs(), 2);
    let red = saying("\"unreachable\":\"red\",\"settled\":true");
    for _ in 0..3 {
        world.check(&red, Verdict::Skipped, "red");
    }
    assert_eq!(runs(), 3);
    world.check(&GateConfig { required: true, ..red }, Verdict::Error, "red");
    assert_eq!(runs(), 4, "an error is tried again");
    let away = saying("\"unreachable\":\"no database\"");
    for _ in 0..2 {
        world.check(&away, Verdict::Skipped, "no database");
    }
    assert_eq!(runs(), 6);
}

#[test]
fn a_clean_candidate_needs_no_base_and_a_landed_tree_is_a_kept_base() {
    let mut world = World::new(&[("n", "bad")], &[("n", "good")]);
    world.keep = true;
    let gate = GateConfig { parser: "regex".into(), pattern: "bad".into(), ..sh("cat n") };
    let clean = world.run(&gate);
    assert_eq!((clean.verdict, clean.reason.as_str()), (Verdict::Pass, ""));
    assert!(!world.root(Side::Base).exists());
    let shown = world.run_with(&gate, |context| context.base = BaseScan::Always).0;
    assert_eq!((shown.reason.as_str(), shown.findings[0].status), ("1 fixed", Status::Fixed));
    assert_eq!(world.run(&gate).reason, "1 fixed", "the base's result is kept now");
}

#[test]
fn fake_tools_that_print_nonsense_crash_or_flood_never_pass() {
    let world = World::new(&[], &[("a.py", "x\n"), ("test_a.py", "")]);
    for name in ["ruff", "mypy", "radon", "pytest"] {
        for script in
            ["exit 0 # silent", "echo nonsense", "echo '['", "exit 9", "kill -SEGV $$", "echo '{\"a\":1}'"]
        {
            world.tool(name, script);
            let result = world.run(&preset(name).unwrap());
            assert_eq!(result.verdict, Verdict::Error, "{name} {script}: {result:?}");
            assert!(!result.reason.is_empty());
        }
    }
    world.tool("ruff", "head -c 70000000 /dev/zero | tr '\\0' x");
    assert_eq!(world.run(&preset("ruff").unwrap()).reason, "it printed more than 64 MiB");
}

/// mypy says nothing of a clean tree, and so does a program that does nothing.
#[test]
fn a_tool_that_says_nothing_is_believed_if_it_can_say_its_version() {
    let world = World::new(&[], &[("a.py", "x = 1\n")]);
    let mypy = preset("mypy").unwrap();
    let reason = "it printed nothing, and `mypy --version` says no version: whether it has looked at anything cannot be told";
    for script in ["exit 0", "[ $1 != --version ] || echo hello"] {
        world.tool("mypy", script);
        world.check(&mypy, Verdict::Error, reason);
    }
    world.tool("mypy", "[ $1 != --version ] || echo mypy 1.2");
    world.check(&mypy, Verdict::Pass, "");
}

#[test]
fn the_pane_shows_command_findings_and_verdict_without_control_characters() {
    let world = World::new(&[], &[("a.py", "")]);
    world.tool("ruff", r#"printf 'warn\033]0;x\007ing\n' >&2; printf '[{"code":"F1","filename":"a.py","location":{"row":1},"message":"m"}]'; exit 1"#);
    let (result, pane) = world.run_with(&preset("ruff").unwrap(), |_| {});
    assert_eq!(result.verdict, Verdict::Fail);
    assert!(pane.starts_with("▶ ruff: ruff check --no-fix"), "{pane}");
    assert!(
        pane.contains("\nwarn]0;xing\n") && pane.contains("  new      a.py:1: F1 m\nruff fail ("),
        "{pane}"
    );
    assert!(!pane.contains('\x1b') && !pane.contains("[{"), "{pane}");
}

#[test]
fn a_cancelled_gate_has_no_verdict() {
    let world = World::new(&[], &[]);
    let context = Context { cancel: &|| true, ..world.context() };
    assert_eq!(run_gate(&sh("sleep 60"), &context, &mut Vec::new()), Err(Cancelled));
}

#[test]
fn gates_wait_for_slots_and_say_so() {
    let world = World::new(&[], &[]);
    let slots = Slots::new(&world.dir.path().join("slots"), 1).unwrap();
    // The first question is asked while it waits: then the other gate ends.
    let held = std::cell::Cell::new(Some(slots.acquire(1, &|| false).unwrap()));
    let cancel = || {
        drop(held.take());
        false
    };
    let mut pane = Vec::new();
    let context = Context { slots: Some(&slots), cancel: &cancel, ..world.context() };
    let result = run_gate(&sh("exit 0"), &context, &mut pane).unwrap();
    assert_eq!(result.verdict, Verdict::Pass);
    let pane = String::from_utf8(pane).unwrap();
    assert!(pane.contains("waits for 1 of this machine's gate slots"), "{pane}");
}

#[test]
fn findings_outside_a_persons_paths_are_left_out() {
    let world = World::new(&[], &[("back/a.py", ""), ("front/b.py", "")]);
    world.tool(
        "ruff",
        r#"printf '[{"code":"F1","filename":"front/b.py","location":{"row":1},"message":"m"}]'; exit 1"#,
    );
    let gate = GateConfig { paths: vec!["back".into()], ..preset("ruff").unwrap() };
    world.check(&gate, Verdict::Pass, "");
}

#[test]
fn a_report_file_of_a_persons_gate_is_read() {
    let xml = "<testsuite><testcase name='a'><failure/></testcase></testsuite>";
    let world = World::new(&[("r", "")], &[("r", xml)]);
    let to_out = GateConfig { parser: "junit".into(), ..sh("cat r > '{out}'; echo noise; exit 1") };
    world.check(
        &to_out,
        Verdict::Fail,
        "1 test failed; the base could not be checked: it exited with 1 and left no report: noise",
    );
    let file = GateConfig {
        output: "out.xml".into(),
        ..GateConfig { parser: "junit".into(), ..sh("cat r > out.xml; exit 1") }
    };
    assert_eq!(world.run(&file).verdict, Verdict::Fail);
    // What an earlier run has left there is not this one's.
    let left = "<testsuite><testcase name='a'/></testsuite>";
    let old = World::new(&[], &[("out.xml", left)]);
    let silent = GateConfig { command: vec!["true".into()], mode: Mode::Strict, ..file.clone() };
    assert_eq!(old.run(&silent).verdict, Verdict::Error);
    let link = GateConfig { command: vec!["ln".into(), "-sf".into(), "r".into(), "out.xml".into()], ..file };
    assert!(world.run(&link).reason.ends_with("is not a file"));
}

/// A gate called `name` that runs `script`.
fn called(name: &str, reads: bool, script: &str) -> GateConfig {
    let mut gate = GateConfig { name: GateName::parse(name).unwrap(), ..sh(script) };
    gate.tool.reads = reads;
    gate
}

/// Waits until another gate has begun too; nobody waits for ever.
fn meets(own: &str, other: &str) -> String {
    format!(
        "touch ../{own}; n=0; until [ -e ../{other} ]; do n=$((n+1)); [ $n -lt 500 ] || exit 1; sleep 0.02; done"
    )
}

/// The verdicts of all of them, on two cores.
fn verdicts(world: &World, gates: &[GateConfig], all: bool) -> Vec<(Verdict, String)> {
    let slots = Slots::new(&world.dir.path().join("slots"), 2).unwrap();
    let context = Context { slots: Some(&slots), all, ..world.context() };
    let results = run_gates(gates, &context, &mut Vec::new()).unwrap();
    assert_eq!(fs::read_dir(&world.tmp).unwrap().count(), 0, "temporary directories are removed");
    results.into_iter().map(|result| (result.verdict, result.reason)).collect()
}

fn passes(world: &World, gates: &[GateConfig]) {
    for (verdict, reason) in verdicts(world, gates, true) {
        assert_eq!(verdict, Verdict::Pass, "{reason}");
    }
}

#[test]
fn gates_that_only_read_run_beside_each_other() {
    let world = World::new(&[], &[("f", "")]);
    passes(&world, &[called("a", true, &meets("a", "b")), called("b", true, &meets("b", "a"))]);
}

#[test]
fn one_that_runs_the_trees_code_has_the_tree_to_itself() {
    let alone = "mkdir ../alone || exit 1; sleep 0.1; rmdir ../alone";
    let gates = [called("a", false, alone), called("b", true, alone), called("c", false, alone)];
    passes(&World::new(&[], &[("f", "")]), &gates);
    let heavy = |name| GateConfig { weight: 99, ..called(name, true, alone) };
    passes(&World::new(&[], &[("f", "")]), &[heavy("a"), heavy("b")]);
}

#[test]
fn where_the_trees_are_apart_it_runs_beside_those_that_read() {
    let world = World { apart: true, ..World::new(&[], &[("f", "")]) };
    passes(&world, &[called("a", false, &meets("a", "b")), called("b", true, &meets("b", "a"))]);
    let alone = "mkdir ../alone || exit 1; sleep 0.1; rmdir ../alone";
    passes(&world, &[called("a", false, alone), called("b", false, alone)]);
}

#[test]
fn a_red_gate_cancels_the_rest_unless_all_are_wanted() {
    let world = World { has_base: false, ..World::new(&[], &[("f", "")]) };
    let gates = [
        called("red", true, &format!("{}; exit 1", meets("a", "b"))),
        called("long", true, "touch ../b; sleep 60"),
        called("later", false, "exit 0"),
    ];
    let skipped = (Verdict::Skipped, "not run to its end, as red has failed".to_owned());
    let said = verdicts(&world, &gates, false);
    assert_eq!((said[0].0, &said[1..]), (Verdict::Fail, [skipped.clone(), skipped].as_slice()));
    let gates = [called("red", true, "exit 1"), called("later", false, "exit 0")];
    let said = verdicts(&world, &gates, true);
    assert_eq!((said[0].0, said[1].0), (Verdict::Fail, Verdict::Pass));
}

#[test]
fn short_gates_begin_in_their_order_and_then_the_longest() {
    let world = World::new(&[], &[("f", "")]);
    let note = |name: &str| called(name, false, &format!("echo {name} >> ../order"));
    let gates = [note("long"), note("short"), note("longest"), note("unknown")];
    let usual = |name: &GateName| match name.as_str() {
        "long" => Some(5.0),
        "short" => Some(0.1),
        "longest" => Some(50.0),
        _ => None,
    };
    let context = Context { usual: &usual, ..world.context() };
    let results = run_gates(&gates, &context, &mut Vec::new()).unwrap();
    assert_eq!(
        results.iter().map(|result| result.name.as_str()).collect::<Vec<_>>(),
        ["long", "short", "longest", "unknown"]
    );
    let order = fs::read_to_string(world.dir.path().join("order")).unwrap();
    assert_eq!(order, "short\nunknown\nlongest\nlong\n");
}

/// They are asked at the same time, and each says what to do about it.
#[test]
fn tools_that_hang_when_they_are_asked_for_their_version_hold_up_once() {
    let world = World::new(&[], &[("a.txt", "")]);
    let named = ["one", "two", "three"].map(|name| {
        world.tool(name, "case $1 in --version) exec sleep 60;; esac");
        let mut gate = GateConfig { name: GateName::parse(name).unwrap(), ..gate(&[name]) };
        gate.tool.version = vec![name.to_owned(), "--version".to_owned()];
        gate.tool.install = format!("get {name}");
        gate
    });
    let began = Instant::now();
    let results = run_gates(&named, &world.context(), &mut Vec::new()).unwrap();
    let waits = began.elapsed().as_secs_f64() / version::TIMEOUT.as_secs_f64();
    assert!((1.0..2.0).contains(&waits), "{waits}");
    for (result, name) in results.iter().zip(["one", "two", "three"]) {
        let said = format!(
            "`{name} --version` did not answer within 3s, so nothing of it is kept: type it yourself, \
             and if it hangs there, install it anew (get {name})"
        );
        assert_eq!((result.verdict, &result.reason, &result.tool_version), (Verdict::Pass, &said, &None));
    }
}
