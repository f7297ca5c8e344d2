//! `status`, `health` and the lists: their JSON is an interface, their text is read by people.

use sprint::domain::gate::Verdict;
use sprint::domain::ids::GateName;
use sprint::domain::report::{Candidate, GateRecord, Report};

use crate::fixture::{Sprint, command, sha, shop, shown, sprint};

#[test]
fn status_as_json() {
    let sprint = shop();
    sprint.supervised();
    insta::assert_snapshot!(sprint.sprint(&["status", "--json"]).whole());
}

#[test]
fn status_as_text() {
    let sprint = shop();
    sprint.supervised();
    insta::assert_snapshot!(sprint.sprint(&["status"]).whole());
}

#[test]
fn status_without_a_supervisor_says_so() {
    let sprint = shop();
    let text = sprint.sprint(&["status"]).out;
    assert!(text.starts_with("001-shop  stopped  1 of 6 tasks done  no supervisor runs"), "{text}");
}

#[test]
fn health_as_json_and_text() {
    let sprint = shop();
    let down = sprint.sprint(&["health"]);
    insta::assert_snapshot!("health_down", down.whole());
    sprint.supervised();
    insta::assert_snapshot!("health_healthy", sprint.sprint(&["health", "--json"]).whole());
    std::fs::write(sprint.top.join("sprint.toml"), "[quality]\ncomplexity_maks = 3\n").unwrap();
    insta::assert_snapshot!("health_degraded", sprint.sprint(&["health"]).whole());
}

#[test]
fn of_a_sprint_that_is_finished_health_says_what_is_left_for_the_person() {
    let only = crate::fixture::Sample { id: "T001", title: "Write".into(), phase: 1, done: false };
    let mut sprint = Sprint::begun(&[only], 1);
    sprint.report("T001", Report::NothingToDo { reason: "it is there already".into() });
    let shown = sprint.sprint(&["health"]);
    assert_eq!(shown.exit, 3, "{}", shown.whole());
    assert!(shown.out.contains("no supervisor runs; the sprint is finished"), "{}", shown.out);
    assert!(
        shown.out.contains("nothing is to be done; git merge sprint/001-shop takes it over"),
        "{}",
        shown.out
    );
    assert!(!shown.out.contains("sprint start"), "{}", shown.out);
}

/// The lines of status and health, and the JSON of both, without what is on every screen.
fn troubles(sprint: &Sprint) -> String {
    let json = |args: &[&str], keys: &[&str]| {
        let value: serde_json::Value = serde_json::from_str(&sprint.sprint(args).out).unwrap();
        let lines: Vec<String> = keys.iter().map(|key| format!("{key}: {:#}\n", value[key])).collect();
        lines.concat()
    };
    let health = sprint.sprint(&["health"]).out;
    let problems = health.split_once("Problems").map_or("none\n", |(_, rest)| rest);
    let text = format!(
        "{}--- json\n{}--- health\n{}{problems}",
        sprint.sprint(&["status"]).whole(),
        json(&["status", "--json"], &["state", "reason", "needs_you"]),
        json(&["health", "--json"], &["status"]),
    );
    // The next retry is told by the second.
    let text = regex::Regex::new(r"in \d+ s").unwrap().replace_all(&text, "in N s").into_owned();
    crate::fixture::settled(&text)
}

fn two() -> [crate::fixture::Sample; 2] {
    ["T001", "T002"].map(|id| crate::fixture::Sample {
        id,
        title: format!("Write {id}"),
        phase: 1,
        done: false,
    })
}

fn errored(reason: &str) -> Report {
    Report::Errored { reason: reason.into() }
}

#[test]
fn a_base_that_could_not_be_gated_is_told_while_it_is_tried_again() {
    let mut sprint = Sprint::gating(&two());
    sprint.supervised();
    let mut all = troubles(&sprint);
    sprint.base_report(errored("mypy error (`mypy` is not there)"));
    all.push_str(&troubles(&sprint));
    sprint.wait_for_retries();
    all.push_str(&troubles(&sprint));
    insta::assert_snapshot!(all);
}

#[test]
fn tasks_for_which_there_is_no_place_in_flight_say_so() {
    let ids = ["T001", "T002", "T003", "T004", "T005", "T006"];
    let samples = ids.map(|id| crate::fixture::Sample { id, title: id.into(), phase: 1, done: false });
    let mut sprint = Sprint::begun(&samples, 1);
    sprint.supervised();
    let reason = |sprint: &Sprint| {
        let shown = sprint.sprint(&["status", "--json"]).out;
        let status: serde_json::Value = serde_json::from_str(&shown).unwrap();
        status["tasks"][5]["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(&sprint), "waits for a developer");
    for id in &ids[..5] {
        sprint.worked(id);
    }
    let why = "waits for a place: 5 tasks are in flight (agents.max_in_flight = 5)";
    assert_eq!(reason(&sprint), why, "the developer is idle");
}

#[test]
fn a_stage_that_could_not_run_is_told_while_it_is_tried_again() {
    let mut sprint = Sprint::begun(&two(), 2);
    sprint.supervised();
    sprint.report("T002", errored("worktree.setup failed: npm ci"));
    let mut all = troubles(&sprint);
    sprint.wait_for_retries();
    all.push_str(&troubles(&sprint));
    insta::assert_snapshot!(all);
}

#[test]
fn without_a_supervisor_a_retry_comes_with_the_next_start() {
    let mut sprint = Sprint::gating(&two());
    sprint.base_report(errored("no mypy"));
    let status: serde_json::Value = serde_json::from_str(&sprint.sprint(&["status", "--json"]).out).unwrap();
    assert_eq!(
        status["reason"],
        "the base of 001-shop could not be gated: no mypy; retry 1 of 3 at the next `sprint start`"
    );
    let shown = sprint.sprint(&["status"]).out;
    let fix = "sprint logs reviewer      and when it is mended: sprint start specs/001-shop";
    assert!(shown.contains(fix), "nobody applies a reload: {shown}");
}

#[test]
fn nothing_was_started_yet() {
    let (dir, top) = Sprint::empty();
    let run = |args: &[&str]| sprint(dir.path(), &top, args);
    let mut all = String::new();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["task", "list", "--json"],
        &["queue", "--json"],
        &["attach", "--json"],
        &["answer", "--json"],
        &["events", "--json"],
        &["task", "show", "T001"],
        &["answer", "T001", "yes"],
        &["stop"],
        &["attach", "reviewer"],
        &["logs"],
    ] {
        all.push_str(&format!("$ sprint {}\n{}\n", args.join(" "), run(args).whole()));
    }
    insta::assert_snapshot!(all);
    assert_eq!(run(&["health", "--json"]).exit, 3);
}

#[test]
fn outside_of_a_repository_and_in_a_bare_one() {
    let dir = tempfile::Builder::new().prefix("sprint-cli-").tempdir().unwrap();
    let bare = dir.path().join("bare.git");
    crate::fixture::git(dir.path(), dir.path(), &["init", "-q", "--bare", "bare.git"]);
    let mut all = sprint(dir.path(), dir.path(), &["status"]).whole();
    all.push_str(&sprint(dir.path(), &bare, &["health"]).whole());
    insta::assert_snapshot!(all);
}

#[test]
fn it_works_below_the_checkout_and_in_linked_worktrees() {
    let fixture = shop();
    let home = fixture.dir.path();
    let linked = home.join("linked");
    crate::fixture::git(home, &fixture.top, &["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    for cwd in [fixture.top.join("src"), linked, fixture.top.clone()] {
        let found = sprint(home, &cwd, &["status", "--json"]);
        assert!(found.out.contains("\"feature\": \"001-shop\""), "{}: {}", cwd.display(), found.whole());
    }
}

#[test]
fn a_worktree_of_ours_with_a_configuration_of_an_agents() {
    let fixture = shop();
    let home = fixture.dir.path();
    let own = fixture.layout.worktrees().join("w1");
    crate::fixture::git(home, &fixture.top, &["worktree", "add", "-q", "--detach", own.to_str().unwrap()]);
    std::fs::write(own.join("sprint.toml"), "[general]\nstate_dir = \"/nowhere\"\n").unwrap();
    let found = sprint(home, &own, &["status", "--json"]);
    assert!(found.out.contains("\"feature\": \"001-shop\""), "{}", found.whole());
}

#[test]
fn lists_and_details() {
    let sprint = shop();
    let mut all = String::new();
    for args in [
        &["task", "list"][..],
        &["task", "show", "T004"],
        &["task", "show", "T002", "--json"],
        &["task", "diff", "T004"],
        &["queue"],
        &["answer"],
        &["answer", "--json"],
        &["attach"],
        &["attach", "--json"],
        &["events", "--task", "T002"],
        &["events", "-n", "2", "--json"],
        &["logs", "T003"],
        &["logs", "nobody"],
    ] {
        all.push_str(&format!("$ sprint {}\n{}\n", args.join(" "), sprint.sprint(args).whole()));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_merge_queue_in_its_order() {
    let mut sprint = shop();
    for _ in 0..3 {
        sprint.passed("T003");
    }
    sprint.supervised();
    insta::assert_snapshot!(sprint.sprint(&["queue"]).whole());
}

#[test]
fn a_transcript_is_shown_without_its_escapes() {
    let sprint = shop();
    let run = sprint.run_of("T003");
    let text = "one\u{1b}[31m red\u{1b}[0m\n\ttabbed\n\u{1b}]0;title\u{7}end\nhalf";
    std::fs::write(sprint.layout.transcript(&run.id), text).unwrap();
    let shown = sprint.sprint(&["logs", "T003"]);
    assert_eq!(shown.out, "one red\n        tabbed\nend\nhalf\n");
    assert_eq!(sprint.sprint(&["logs", "-n", "1", run.worker.as_str()]).out, "half\n");
}

#[test]
fn a_store_that_is_broken_is_named() {
    let sprint = shop();
    drop(sprint.store);
    let database = sprint.layout.database();
    for end in ["db-wal", "db-shm"] {
        std::fs::remove_file(database.with_extension(end)).ok();
    }
    std::fs::write(&database, "this is not a database, and long enough to be looked at as one".repeat(100))
        .unwrap();
    let run = |args: &[&str]| crate::fixture::sprint(sprint.dir.path(), &sprint.top, args).whole();
    insta::assert_snapshot!(format!("{}{}", run(&["status"]), run(&["health"])));
}

#[test]
fn watch_draws_again_when_it_is_rung() {
    use std::io::{BufRead as _, BufReader};
    let mut fixture = shop();
    fixture.supervised();
    let mut child = command(fixture.dir.path(), &fixture.top, &["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("Which currency?")));
    fixture.request(sprint::domain::event::Request::Answer {
        task: sprint::domain::ids::TaskId::parse("T002").unwrap().into(),
        text: "euro".into(),
    });
    sprint::process::doorbell::ring(&fixture.layout.follower_bell(child.id())).unwrap();
    assert!(lines.any(|line| line.contains("T002  InProgress")), "the second drawing has the answered task");
    drop(lines);
    assert!(child.wait().unwrap().success(), "it ends when nobody reads");
    assert!(!fixture.layout.follower_bell(child.id()).exists());
}

#[test]
fn watch_that_was_there_before_the_first_start_sees_it() {
    use std::io::{BufRead as _, BufReader};
    let (dir, top) = Sprint::empty();
    let mut child = command(dir.path(), &top, &["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("No sprint was started here yet")));
    let mut fixture = Sprint::within(dir, top);
    fixture.start("001-shop", &two(), 2);
    assert!(lines.any(|line| line.contains("T001  InProgress")), "the drawing after it has the sprint");
    drop(lines);
    assert!(child.wait().unwrap().success(), "it ends when nobody reads");
}

#[test]
fn an_environment_without_home_still_shows_something() {
    let (dir, top) = Sprint::empty();
    let mut bare = command(dir.path(), &top, &["status"]);
    bare.env_clear();
    assert_eq!(shown(bare.output().unwrap()).exit, 0);
}

/// The page is an interface: its examples have exactly the keys that are printed.
#[test]
fn the_page_about_json_has_the_keys_that_are_printed() {
    let page = include_str!("../../docs/json.md");
    let blocks: Vec<serde_json::Value> = page
        .split("```json\n")
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split("```").next().unwrap()).unwrap())
        .collect();
    let mut fixture = shop();
    fixture.passed("T003");
    fixture.passed("T003");
    fixture.supervised();
    for (args, written) in [(["status", "--json"], &blocks[0]), (["health", "--json"], &blocks[1])] {
        let printed: serde_json::Value = serde_json::from_str(&fixture.sprint(&args).out).unwrap();
        let (mut here, mut there) = (Vec::new(), Vec::new());
        keys("", written, &mut here);
        keys("", &printed, &mut there);
        // A list that is empty on one side has no keys to compare.
        let lists = |keys: &[String]| {
            keys.iter().filter_map(|key| in_list(key)).collect::<std::collections::BTreeSet<_>>()
        };
        let (ours, theirs) = (lists(&here), lists(&there));
        here.retain(|key| in_list(key).is_none_or(|list| theirs.contains(&list)));
        there.retain(|key| in_list(key).is_none_or(|list| ours.contains(&list)));
        here.sort();
        there.sort();
        assert_eq!(here, there, "{args:?}");
    }
}

/// The list that a key is in.
fn in_list(key: &str) -> Option<String> {
    key.rsplit_once("[]").map(|(list, _)| list.to_owned())
}

/// The paths of all keys, lists as `name[]` by their first entry.
fn keys(path: &str, value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}.{key}");
                found.push(path.clone());
                keys(&path, value, found);
            }
        }
        serde_json::Value::Array(list) => {
            if let Some(first) = list.first() {
                keys(&format!("{path}[]"), first, found);
            }
        }
        _ => {}
    }
}

/// A check of T00x that passes, or not, and in which `tests/test_a.py::test_a` was flaky.
fn flaky_check(verdict: Verdict) -> Report {
    let record = GateRecord {
        gate: GateName::parse("pytest").unwrap(),
        verdict,
        tree: sha('d'),
        at_merge: true,
        summary: String::new(),
        flaky: vec!["tests/test_a.py::test_a".into()],
    };
    Report::Checked {
        verdict,
        candidate: Some(Candidate { commit: sha('c'), tree: sha('d'), base: sha('e'), head: sha('b') }),
        gates: vec![record],
        feedback: None,
        remarks: Vec::new(),
        summary: "red".into(),
    }
}

#[test]
fn a_flaky_test_is_counted_and_the_third_time_a_finding_that_one_developer_is_told_of() {
    let mut sprint = Sprint::begun(&two(), 2);
    sprint.supervised();
    let rows = |sprint: &Sprint| {
        let status: serde_json::Value =
            serde_json::from_str(&sprint.sprint(&["status", "--json"]).out).unwrap();
        status["flaky"].clone()
    };
    let row = |times: u32, finding: bool| {
        let test = "tests/test_a.py::test_a";
        serde_json::json!([{"feature": "001-shop", "gate": "pytest", "test": test, "times": times, "finding": finding}])
    };
    assert_eq!(rows(&sprint), serde_json::Value::Null);
    sprint.worked("T001");
    sprint.report("T001", flaky_check(Verdict::Pass));
    assert_eq!(rows(&sprint), row(1, false));
    sprint.report("T001", flaky_check(Verdict::Pass));
    sprint.worked("T002");
    sprint.report("T002", flaky_check(Verdict::Fail));
    assert_eq!(rows(&sprint), row(3, true));
    let told = |sprint: &Sprint| {
        let feedback = sprint.run_of("T002").job.feedback.unwrap();
        feedback
            .findings
            .iter()
            .filter(|finding| finding["rule"] == "test-flaky")
            .cloned()
            .collect::<Vec<_>>()
    };
    let findings = told(&sprint);
    assert_eq!(
        (findings.len(), &findings[0]["severity"], &findings[0]["path"]),
        (1, &"medium".into(), &"tests/test_a.py".into())
    );
    let shown = sprint.sprint(&["status"]).out;
    let line =
        "  medium: `tests/test_a.py::test_a` of pytest failed and then passed alone, 3 times in this feature";
    assert!(shown.contains(&format!("Flaky tests\n{line}")), "{shown}");
    assert!(!shown.contains("Needs you"), "it blocks nothing: {shown}");
    let events = sprint.sprint(&["events", "-n", "50"]).out;
    assert_eq!(events.matches("failed and then passed alone").count(), 3, "{events}");
    assert_eq!(events.matches("3 times now: it is a finding").count(), 1, "{events}");
    sprint.worked("T002");
    sprint.report("T002", flaky_check(Verdict::Fail));
    assert_eq!((rows(&sprint), told(&sprint).len()), (row(4, true), 0), "told once");
}
