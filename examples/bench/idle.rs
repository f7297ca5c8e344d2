//! A sprint that waits for a person: CPU, system calls, memory. And `status` of a thousand tasks.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::{Lab, Order, Setup};
use crate::report::Report;
use crate::stats::Sample;
use crate::{Outcome, Plan, commands};

const TASKS: usize = 1000;
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let lab = Lab::new(
        plan,
        &Setup {
            files: 50,
            tasks: TASKS,
            order: Order::Line,
            agent: vec!["agent-ask".to_owned()],
            // With manager, reviewer, librarian and merger these are ten.
            config: "[agents]\nmax_testers = 6\n[roles.tester]\npermanent = true\n".to_owned(),
        },
    )?;
    lab.start()?;
    Lab::wait("question", Duration::from_secs(30), || !lab.history("task_asks").is_empty())?;
    commands::status(&lab, report, plan.size(60, 20))?;
    // The developer that asked may end when it was idle for a while.
    std::thread::sleep(Duration::from_secs(17));
    let workers = lab.workers()?;
    let (supervisor, tmux) = (lab.supervisor()?, lab.tmux()?);
    let ours: Vec<i32> = workers.iter().map(|(_, pid)| *pid).chain([supervisor]).collect();
    std::thread::sleep(Duration::from_secs(2));
    cpu(plan, report, &ours, tmux)?;
    memory(report, supervisor, &workers)?;
    calls(plan, report, supervisor, &workers)
}

#[expect(clippy::cast_precision_loss, reason = "ten processes")]
fn cpu(plan: &Plan, report: &mut Report, ours: &[i32], tmux: i32) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let mut floor = Command::new(&plan.own).arg("wake").arg(directory.path()).spawn()?;
    let floor_pid = i32::try_from(floor.id())?;
    let seconds = Duration::from_secs(u64::try_from(plan.size(30, 8))?);
    let before = (run_ns(ours)?, run_ns(&[tmux])?, run_ns(&[floor_pid])?);
    let began = Instant::now();
    std::thread::sleep(seconds);
    let took = began.elapsed().as_secs_f64() * 1e9;
    let share = (run_ns(ours)? - before.0) / took * 100.0;
    let tmux = (run_ns(&[tmux])? - before.1) / took * 100.0;
    let least = (run_ns(&[floor_pid])? - before.2) / took * 100.0 * ours.len() as f64;
    floor.kill()?;
    floor.wait()?;
    report.figure(
        &format!("idle, {} workers: CPU of supervisor and workers", ours.len() - 1),
        format!("{share:.3} % of a core over {} s", seconds.as_secs()),
        format!("as many programs that make a worker's calls: {least:.3} %; tmux itself {tmux:.3} %"),
        Some(share / least),
        "≤ 0.2 %",
        share <= 0.2,
    );
    Ok(())
}

/// Nanoseconds on a core, all threads.
pub(crate) fn run_ns(pids: &[i32]) -> Outcome<f64> {
    let mut sum = 0.0;
    for pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            sum += text.split(' ').next().unwrap_or_default().parse::<f64>()?;
        }
    }
    Ok(sum)
}

/// Proportional set size: shared pages divided by who shares them.
pub(crate) fn pss(pid: i32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

fn memory(report: &mut Report, supervisor: i32, workers: &[(String, i32)]) -> Outcome<()> {
    let own = pss(supervisor)? / MIB;
    report.figure(
        "supervisor's memory, 1,000 tasks (PSS)",
        format!("{own:.1} MiB"),
        "-".into(),
        None,
        "≤ 30 MiB",
        own <= 30.0,
    );
    let mut each = Sample::default();
    for (_, pid) in workers {
        each.push(pss(*pid)? / MIB);
    }
    let shown = format!("{:.1} MiB, the largest {:.1} (n {})", each.median(), each.at(1.0), each.len());
    report.figure("a worker's memory (PSS)", shown, "-".into(), None, "≤ 10 MiB", each.at(1.0) <= 10.0);
    Ok(())
}

/// What is called while nothing happens; a query would read, a fork would clone.
fn calls(plan: &Plan, report: &mut Report, supervisor: i32, workers: &[(String, i32)]) -> Outcome<()> {
    let seconds = plan.size(12, 6);
    let Some(worker) = workers.first() else { return Err("no worker".into()) };
    let (ours, theirs) = (trace(supervisor, seconds), trace(worker.1, seconds));
    let (ours, theirs) = (ours.finish()?, theirs.finish()?);
    let bad = ["clone", "fork", "execve", "pread", "fdatasync", "fsync", "pwrite", "fcntl"];
    let quiet =
        |calls: &BTreeMap<String, u64>| !calls.keys().any(|name| bad.iter().any(|bad| name.starts_with(bad)));
    let shown = |calls: &BTreeMap<String, u64>| {
        calls.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    report.figure(
        "idle: queries and forks",
        format!("none in {seconds} s")
            .replace("none", if quiet(&ours) && quiet(&theirs) { "none" } else { "some" }),
        format!("calls of the supervisor: {}; of a worker: {}", shown(&ours), shown(&theirs)),
        None,
        "no query, no fork",
        quiet(&ours) && quiet(&theirs),
    );
    Ok(())
}

struct Trace {
    child: std::io::Result<std::process::Child>,
}

fn trace(pid: i32, seconds: usize) -> Trace {
    let mut command = Command::new("timeout");
    command.args(["-s", "INT", &seconds.to_string(), "strace", "-f", "-c", "-p", &pid.to_string()]);
    Trace { child: command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn() }
}

impl Trace {
    fn finish(self) -> Outcome<BTreeMap<String, u64>> {
        let text = self.child?.wait_with_output()?.stderr;
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut calls = BTreeMap::new();
        let rows = text.lines().skip_while(|line| !line.starts_with("------")).skip(1);
        for line in rows.take_while(|line| !line.starts_with("------")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let (Some(count), Some(name)) = (words.get(3).and_then(|word| word.parse().ok()), words.last())
            {
                calls.insert((*name).to_owned(), count);
            }
        }
        if !text.contains("attached") {
            return Err(format!("strace: {}", text.lines().next().unwrap_or("not there")).into());
        }
        Ok(calls)
    }
}
