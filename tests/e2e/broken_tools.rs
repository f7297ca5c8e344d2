//! A tool that is removed, killed or replaced in the middle of a feature: nothing lands that it has not
//! judged, the task waits and says why, and goes on when the tool is back.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{World, task_row};

/// The second task breaks what `$W/break` says, and hands in work that a tool has to find fault with;
/// its second attempt is good.
const AGENT: &str = "case $1 in
T001) echo 'x = 1' > a.py;;
T002) if [ $SPRINT_ATTEMPT = 1 ]; then echo 'import os' > b.py; $W/break; else echo 'y = 2' > b.py; fi;;
T003) echo 'z = 3' > c.py;;
esac
git add -A; git commit -qm $1";

const TASKS: &str = "- [ ] T001 write a.py\n- [ ] T002 write b.py\n- [ ] T003 write c.py\n";

/// ruff, as far as its parser is concerned: `import os` is a finding.
const RUFF: &str = r#"if [ "$1" = --version ]; then echo 'ruff 9.9.9'; exit 0; fi
at=$(grep -lr --include=*.py '^import os' . | head -1)
[ -n "$at" ] || { echo '[]'; exit 0; }
printf '[{"code":"F401","filename":"%s","location":{"row":1},"message":"`os` imported but unused"}]' "${at#./}"
exit 1"#;

/// pytest, in the same way: a file with `import os` is a test that fails.
const PYTEST: &str = r#"if [ "$1" = --version ]; then echo 'pytest 9.9.9'; exit 0; fi
for word in $PYTEST_ADDOPTS; do case $word in --junitxml=*) out=${word#*=};; esac; done
if grep -qr --include=*.py '^import os' .; then failure='<failure message="no">no</failure>'; code=1; else code=0; fi
echo '<testsuites><testsuite><testcase classname="test_a" name="test_a" file="test_a.py" line="1">'"$failure"'</testcase></testsuite></testsuites>' > $out
exit ${code}"#;

/// Directories of PATH without these tools, and the world's own before them.
fn path(world: &World) -> OsString {
    let has = |dir: &PathBuf| ["ruff", "pytest"].iter().any(|name| dir.join(name).exists());
    let person = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&person).filter(|dir| !has(dir));
    std::env::join_paths(std::iter::once(world.path().join("bin")).chain(others)).unwrap()
}

/// A feature that is gated by `tool` alone; the second task runs `breaks`.
fn world(tool: &str, healthy: &str, breaks: &str) -> World {
    let mut world = World::new();
    world.feature("001-demo", &format!("## Phase 1: Work\n\n{TASKS}"));
    world.file("old.py", "w = 0\n");
    world.file("test_a.py", "def test_a():\n    assert True\n");
    world.agent(AGENT);
    world.program("healthy", healthy);
    world.program("break", breaks);
    let bin = world.program(&format!("bin/{tool}"), healthy);
    assert!(bin.is_file());
    world.set("gates.presets", &format!("[\"{tool}\"]"));
    world.set(&format!("gate.{tool}.timeout"), "\"3s\"");
    let path = path(&world);
    world.env("PATH", path);
    world.configure();
    world.commit("base");
    world
}

fn replaced(tool: &str, by: &str) -> String {
    format!("cat > $W/bin/{tool} <<'END'\n#!/bin/bash\n{by}\nEND")
}

/// It waits for the tool and not for the developer, and says why.
#[track_caller]
fn waits(world: &World, tool: &str, why: &str) {
    let reason = |status: &serde_json::Value| {
        task_row(status, "T002")["reason"].as_str().unwrap_or_default().to_owned()
    };
    let status = world.wait_for(why, |status| reason(status).contains("retry 1 of 3"));
    assert!(reason(&status).contains(tool) && reason(&status).contains(why), "{why}: {status:#}");
    assert_eq!(world.landed(), "T001:1", "{why}");
}

/// The same tool again, and the feature comes to its end: the red work was told, and no attempt was
/// spent on the broken tool.
#[track_caller]
fn goes_on(world: &World, why: &str) {
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1 T002:2 T003:1", "{why}");
    assert_eq!(world.landed_file("b.py"), "y = 2", "{why}");
    world.assert_nothing_left();
}

fn mended(world: &World, tool: &str) {
    let bin = world.path().join("bin").join(tool);
    std::fs::copy(world.path().join("healthy"), world.path().join("bin/new")).unwrap();
    std::fs::rename(world.path().join("bin/new"), bin).unwrap();
}

#[track_caller]
fn broken(tool: &str, healthy: &str, breaks: &str, why: &str) {
    let world = world(tool, healthy, breaks);
    world.detach();
    waits(&world, tool, why);
    mended(&world, tool);
    goes_on(&world, why);
}

#[test]
fn a_tool_that_is_removed_or_is_no_program_any_more() {
    broken("ruff", RUFF, "rm $W/bin/ruff", "`ruff` is not installed");
    broken("pytest", PYTEST, "chmod -x $W/bin/pytest", "`pytest` is not installed");
}

#[test]
fn a_tool_that_is_silent() {
    broken("ruff", RUFF, &replaced("ruff", "exit 0"), "no report");
    broken("pytest", PYTEST, &replaced("pytest", "exit 0"), "no report");
}

#[test]
fn a_tool_that_kills_itself_or_hangs() {
    broken("ruff", RUFF, &replaced("ruff", "kill -9 $$"), "signal 9 killed it");
    let hangs = "[ \"$1\" = --version ] && exec echo ruff 9; exec sleep 600";
    broken("ruff", RUFF, &replaced("ruff", hangs), "it still ran after 3s and was ended");
}

#[test]
fn a_tool_that_prints_what_is_no_report() {
    broken("ruff", RUFF, &replaced("ruff", "echo all is well"), "ruff");
    broken("ruff", RUFF, &replaced("ruff", "echo '[]'; echo Traceback"), "ruff");
}

#[test]
fn a_tool_that_floods() {
    let flood = "echo -n '['; head -c 100000000 /dev/zero | tr '\\0' ' '; echo ']'";
    broken("ruff", RUFF, &replaced("ruff", flood), "it printed more than 64 MiB");
    let flood = "for word in $PYTEST_ADDOPTS; do case $word in --junitxml=*) out=${word#*=};; esac; done\n\
        { echo '<testsuites>'; head -c 100000000 /dev/zero | tr '\\0' ' '; echo '</testsuites>'; } > $out";
    broken("pytest", PYTEST, &replaced("pytest", flood), "its report has more than 64 MiB");
}

#[test]
fn a_tool_that_does_not_say_its_version_judges_all_the_same() {
    let world = world("ruff", RUFF, &replaced("ruff", &RUFF.replace("echo 'ruff 9.9.9'; exit 0", "exit 3")));
    world.detach();
    goes_on(&world, "no version");
}

/// The tool itself, and a liar in its place.
#[test]
fn the_real_ruff_and_a_liar() {
    let real = std::env::var_os("SPRINT_TEST_TOOLS").map(|tools| Path::new(&tools).join("bin/ruff"));
    let Some(real) = real.filter(|real| real.is_file()) else {
        eprintln!("skipped: SPRINT_TEST_TOOLS names no directory with ruff");
        return;
    };
    let healthy = format!("exec '{}' \"$@\"", real.display());
    broken(
        "ruff",
        &healthy,
        &replaced("ruff", "[ \"$1\" = --version ] && exec echo ruff 9; exit 0"),
        "no report",
    );
}

/// Nobody mends it: it is the operator's, and the command that is shown begins again.
#[test]
fn a_tool_that_stays_away_is_the_operators() {
    let mut world = world("ruff", RUFF, "rm $W/bin/ruff");
    // It is repeated after 10, 20 and 40 s.
    world.be_patient(Duration::from_mins(3));
    world.start().expect(1);
    world.assert_nothing_left();
    assert_eq!(world.landed(), "T001:1");
    let status = world.status();
    let row = task_row(&status, "T002");
    assert_eq!((&row["state"], &row["attempt"]), (&"Waiting".into(), &1.into()), "{status:#}");
    let needed = &status["needs_you"][0];
    assert_eq!(needed["kind"], "operator", "{status:#}");
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(shown.contains("ruff") && shown.contains("not installed"), "{shown}");
    assert!(shown.contains("sprint task retry T002"), "{shown}");
    mended(&world, "ruff");
    world.sprint(&["task", "retry", "T002"]).expect(0);
    world.start().expect(0);
    goes_on(&world, "the operator");
}

/// It passed in the review, and is away when the task's turn to land comes and the branch has moved:
/// what nobody has judged together does not land.
#[test]
fn a_tool_that_breaks_between_review_and_landing() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 [P] write a.py\n- [ ] T002 [P] write b.py\n");
    world.file("old.py", "w = 0\n");
    world.agent("case $1 in T001) echo 'x = 1' > a.py;; T002) echo 'y = 2' > b.py;; esac\ngit add -A; git commit -qm $1");
    world.program("healthy", RUFF);
    world.program("bin/ruff", RUFF);
    world.set("gates.presets", "[\"ruff\"]");
    // The second task's own candidate is held until the first has landed; then the tool is removed.
    world.gate(
        "held",
        "if [ -e b.py ] && [ ! -e a.py ]; then\n\
         for n in $(seq 600); do git -C $W/r cat-file -e sprint/001-demo:a.py 2>/dev/null && break; sleep 0.1; done\n\
         rm -f $W/bin/ruff\nfi",
    );
    world.set("gate.held.stage", "\"InTests\"");
    let path = path(&world);
    world.env("PATH", path);
    world.configure();
    world.commit("base");
    world.detach();
    waits(&world, "ruff", "`ruff` is not installed");
    assert_eq!(task_row(&world.status(), "T002")["stage"], "Merging");
    mended(&world, "ruff");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1 T002:1");
    world.assert_nothing_left();
}

/// With the others it fails, alone it passes: neither hidden nor in the way, and in the end a finding.
#[test]
fn a_flaky_test_of_the_real_pytest_is_counted_over_the_feature() {
    let tools = std::env::var_os("SPRINT_TEST_TOOLS").map(|tools| Path::new(&tools).join("bin"));
    let Some(tools) = tools.filter(|tools| tools.join("pytest").is_file()) else {
        eprintln!("skipped: SPRINT_TEST_TOOLS names no directory with pytest");
        return;
    };
    let mut world = World::new();
    world.feature("001-demo", &format!("## Phase 1: Work\n\n{TASKS}"));
    world.file("old.py", "w = 0\n");
    world.file("test_a.py", "def test_a():\n    assert True\n");
    world.file("test_b.py", "def test_b(request):\n    assert len(request.session.items) == 1\n");
    world.agent("case $1 in T001) f=a;; T002) f=b;; T003) f=c;; esac\necho '# nothing to run' > $f.py; git add -A; git commit -qm $1");
    world.set("gates.presets", "[\"pytest\"]");
    let person = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&person))).unwrap();
    world.env("PATH", path);
    world.configure();
    world.commit("base");
    let shown = world.start().expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1 T003:1");
    let status = world.status();
    let flaky = &status["flaky"][0];
    assert_eq!(
        (&flaky["test"], &flaky["finding"]),
        (&"test_b.py::test_b".into(), &true.into()),
        "{status:#}"
    );
    assert!(flaky["times"].as_u64() >= Some(3), "{flaky}");
    assert!(shown.stdout.contains("test_b.py::test_b"), "{}", shown.stdout);
    world.assert_nothing_left();
}
