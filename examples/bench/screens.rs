//! Programs of models: what a hook costs them, how soon it is seen, and what sprint adds to a run.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::idle::run_ns;
use crate::lab::{Lab, ON_DEMAND, Order, Setup};
use crate::report::Report;
use crate::stats::Sample;
use crate::{Outcome, Plan, logs};

/// What a program tells its hook, about as long as real ones.
const PAYLOAD: &str = r#"{"hook_event_name":"PreToolUse","session_id":"s","tool_name":"Bash","tool_input":{"command":"cargo test"}}"#;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    hooks(plan, report)?;
    seen(plan, report)?;
    overhead(plan, report)
}

/// From the start of the receiver to its end, with the payload on its standard input.
fn hooks(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let directory = tempfile::Builder::new().prefix("sb-").tempdir_in("/tmp")?;
    let count = plan.size(200, 40);
    let (mut ours, mut other) = (Sample::default(), Sample::default());
    for _ in 0..count {
        ours.push(hook(&plan.sprint, &["hook"], directory.path(), &"a".repeat(64))?);
        other.push(hook(&plan.sprint, &["--version"], directory.path(), "")?);
    }
    report.figure(
        &format!("`sprint hook`, from its start to its end (n {})", ours.len()),
        format!("p50 {:.1} ms, p99 {:.1}", ours.median(), ours.p99()),
        format!("`--version`: {:.1} ms", other.median()),
        Some(ours.median() / other.median()),
        "≤ 20 ms",
        ours.p99() <= 20.0,
    );
    Ok(())
}

/// Milliseconds.
fn hook(sprint: &Path, words: &[&str], run: &Path, token: &str) -> Outcome<f64> {
    let began = Instant::now();
    let mut child = Command::new(sprint)
        .args(words)
        .env("SPRINT_RUN_DIR", run)
        .env("SPRINT_TOKEN", token)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read is measured too.
        drop(stdin.write_all(PAYLOAD.as_bytes()));
    }
    child.wait()?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

/// From the start of a hook's receiver until `status` shows the state that it tells.
fn seen(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let config = format!(
        "[agent.screen]\nextends = \"cli\"\nmode = \"interactive\"\ncommand = [{:?}, \"screen\", \"{{run.dir}}\"]\n\
         interactive = {{ args = [\"{{prompt}}\"], submit = [\"Enter\"] }}\nbusy = {{ events = [\"is=busy\"] }}\n\
         blocked = {{ events = [\"is=asks\"] }}\n{ON_DEMAND}",
        plan.own.display().to_string(),
    );
    let agent = vec!["stamp".to_owned()];
    let lab = Lab::new(plan, &Setup { files: 20, tasks: 1, order: Order::Line, agent, config })?;
    lab.run(&["start", "specs/001-bench", "--detach", "--agent", "screen"])?;
    let environment = || screen_environment(&lab);
    Lab::wait("the program on its screen", Duration::from_secs(30), || environment().is_ok())?;
    let environment = environment()?;
    let mut times = Sample::default();
    for turn in 0..plan.size(60, 15) {
        let (word, state) = if turn % 2 == 0 { ("busy", "busy") } else { ("asks", "permission") };
        let began = Instant::now();
        let told = Command::new(&plan.sprint)
            .args(["hook", &format!("{{\"is\":\"{word}\"}}")])
            .envs(environment.iter().cloned())
            .status()?;
        if !told.success() {
            return Err("the receiver failed".into());
        }
        Lab::wait("the state", Duration::from_secs(5), || shows(&lab, state))?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        // Faster changes than these are put together.
        std::thread::sleep(Duration::from_millis(250));
    }
    report.figure(
        &format!("hook → state in `status --json` (n {})", times.len()),
        format!("p50 {:.1} ms, p90 {:.1}", times.median(), times.at(0.9)),
        "-".into(),
        None,
        "≤ 50 ms",
        times.at(0.9) <= 50.0,
    );
    Ok(())
}

fn shows(lab: &Lab, state: &str) -> bool {
    let status = lab.status().unwrap_or_default();
    let workers = status["workers"].as_array().cloned().unwrap_or_default();
    workers.iter().any(|worker| worker["agent"]["state"] == *state)
}

/// What sprint has given the program, as the program has written it down.
fn screen_environment(lab: &Lab) -> Outcome<Vec<(String, String)>> {
    let run = std::fs::read_dir(lab.state()?.join("runs"))?.next().ok_or("no run")??.path();
    let text = std::fs::read_to_string(run.join("environment"))?;
    Ok(text.lines().filter_map(|line| line.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect())
}

/// A program that prints a stream for a second: alone, and as a run of sprint's.
fn overhead(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let config = format!(
        "[agent.talk]\nextends = \"cli\"\ncommand = [{:?}, \"talk\"]\nheadless = {{ stream = \"jsonl\" }}\n\
         show = [{{ when = \"type=text\", text = \"text\", as = \"text\" }}]\n{ON_DEMAND}",
        plan.own.display().to_string(),
    );
    let tasks = plan.size(12, 5);
    let agent = vec!["stamp".to_owned()];
    let lab = Lab::new(plan, &Setup { files: 200, tasks, order: Order::Line, agent, config })?;
    let alone = talk_alone(plan, tasks)?;
    lab.run(&["start", "specs/001-bench", "--detach", "--agent", "talk"])?;
    Lab::wait("a developer", Duration::from_secs(30), || developer(&lab).is_some())?;
    let pids = [developer(&lab).ok_or("no developer")?, lab.supervisor()?];
    let (before, began) = (run_ns(&pids)?, Instant::now());
    let last = || lab.history("task_landed").len() + 1 >= tasks;
    Lab::wait("the tasks", Duration::from_secs(90), last)?;
    let share = (run_ns(&pids)? - before) / began.elapsed().as_secs_f64() / 1e9 * 100.0;
    let mut ours = Sample::default();
    for (_, entries) in lab.worker_logs()?.iter().filter(|(name, _)| name.starts_with("developer")) {
        let mut taken = None;
        for entry in entries {
            if entry.says("takes a run") {
                taken = Some(entry.at);
            } else if let (true, Some(from)) = (entry.says("the report is durable"), taken.take()) {
                ours.push(logs::ms(from, entry.at));
            }
        }
    }
    let added = ours.median() - alone.median();
    report.figure(
        &format!("a headless run of a second, 200 lines of stream (n {})", ours.len()),
        format!("{:.0} ms: {added:.0} ms more", ours.median()),
        format!("the program alone: {:.0} ms", alone.median()),
        Some(ours.median() / alone.median()),
        "≤ 100 ms more",
        added <= 100.0,
    );
    report.figure(
        "the same: CPU of worker and supervisor",
        format!("{share:.1} % of a core"),
        "-".into(),
        None,
        "≤ 5 %",
        share <= 5.0,
    );
    Ok(())
}

fn developer(lab: &Lab) -> Option<i32> {
    let workers = lab.workers().ok()?;
    workers.into_iter().find(|(name, _)| name.starts_with("developer")).map(|(_, pid)| pid)
}

fn talk_alone(plan: &Plan, count: usize) -> Outcome<Sample> {
    let directory = tempfile::Builder::new().prefix("sb-").tempdir_in("/tmp")?;
    let mut times = Sample::default();
    for _ in 0..count {
        let began = Instant::now();
        let ended = Command::new(&plan.own)
            .arg("talk")
            .env("SPRINT_TASK_ID", "T001")
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .status()?;
        if !ended.success() {
            return Err("the program failed".into());
        }
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(times)
}
