//! From "the task is ready" to the first instruction of its agent.
//!
//! Cold: neither worker nor worktree is there. The floor is what nobody can do without: `git
//! worktree add`, `tmux new-session`, the program itself.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab::{Lab, ON_DEMAND, Order, Setup, git};
use crate::logs::{ms, now_us};
use crate::report::Report;
use crate::stats::Sample;
use crate::tmux::Server;
use crate::{Outcome, Plan};

const FILES: usize = 200;
const TASKS: usize = 4;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let (mut cold, mut warm, mut floor) = (Sample::default(), Sample::default(), Sample::default());
    let server = Server::start()?;
    for _ in 0..plan.size(6, 3) {
        if plan.is_over() {
            break;
        }
        let lab = Lab::new(
            plan,
            &Setup {
                files: FILES,
                tasks: TASKS,
                order: Order::Line,
                agent: ["agent-stamp", "{stamps}", "{task.id}"].map(String::from).to_vec(),
                config: ON_DEMAND.to_owned(),
            },
        )?;
        floor.push(raw(plan, &lab, &server, "before")?);
        lab.start()?;
        let landed = || lab.history("task_landed").len() == TASKS;
        Lab::wait("landing of all tasks", Duration::from_mins(1), landed)?;
        one(&lab, &mut cold, &mut warm)?;
        floor.push(raw(plan, &lab, &server, "after")?);
    }
    let both = |sample: &Sample| {
        format!("{:.1} ms (p90 {:.1}, n {})", sample.median(), sample.at(0.9), sample.len())
    };
    let ratio = cold.median() / floor.median();
    report.figure(
        "task ready → first instruction, 200 files, cold",
        both(&cold),
        both(&floor),
        Some(ratio),
        "≤ 1.2 × floor",
        ratio <= 1.2,
    );
    let ratio = warm.median() / floor.median();
    report.figure(
        "the same with the pool",
        both(&warm),
        both(&floor),
        Some(ratio),
        "below the floor",
        ratio < 1.0,
    );
    Ok(())
}

/// The first task of a sprint is cold; it is ready with the step that begins the feature. Each of
/// the others is ready when the one before has landed.
fn one(lab: &Lab, cold: &mut Sample, warm: &mut Sample) -> Outcome<()> {
    let begun = lab.history("feature_begun").first().ok_or("the feature did not begin")?.began();
    cold.push(ms(begun, lab.stamp("T001").ok_or("T001 has no stamp")?));
    for (number, landed) in lab.history("task_landed").iter().enumerate().take(TASKS - 1) {
        let task = format!("T{:03}", number + 2);
        warm.push(ms(landed.began(), lab.stamp(&task).ok_or("a task has no stamp")?));
    }
    Ok(())
}

/// The floor, in the same repository.
fn raw(plan: &Plan, lab: &Lab, server: &Server, name: &str) -> Outcome<f64> {
    let stamp = lab.path(&format!("raw-{name}"));
    let worktree = lab.path(&format!("raw-worktree-{name}"));
    let began = now_us();
    git(
        &lab.repo,
        &["worktree", "add", "-q", "-b", &format!("raw-{name}"), &worktree.display().to_string(), "main"],
    )?;
    let mut command = server.command();
    command
        .args(["new-session", "-d", "-c"])
        .arg(&worktree)
        .arg("--")
        .arg(&plan.own)
        .arg("stamp")
        .arg(&stamp);
    if !command.status()?.success() {
        return Err("tmux new-session failed".into());
    }
    let at = wait_for(&stamp)?;
    Ok(ms(began, at))
}

fn wait_for(file: &Path) -> Outcome<i64> {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if let Ok(text) = std::fs::read_to_string(file) {
            return Ok(text.parse()?);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(format!("no `{}`", file.display()).into())
}
