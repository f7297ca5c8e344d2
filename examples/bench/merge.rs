//! Landings a second from a full queue, with a gate that does nothing, checkout included.
//!
//! The queue is filled behind a branch that somebody has moved; putting the branch back opens it.
//! Every entry but the first is stale by then: it is merged anew and gated on its own tree. The
//! other side is plain git: merge in a checkout, the same program as gate, the branch moved.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab::{Lab, Order, Setup, git, init, write_files};
use crate::logs::ms;
use crate::report::Report;
use crate::stats::Sample;
use crate::{Outcome, Plan};

const FILES: usize = 1000;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let tasks = plan.size(40, 20);
    let setup = Setup {
        files: FILES,
        tasks,
        order: Order::Parallel,
        agent: ["agent-stamp", "{stamps}", "{task.id}"].map(String::from).to_vec(),
        config: format!(
            "[agents]\nmax_developers = 2\nmax_in_flight = {tasks}\n[gate.noop]\nstage = \"InTests\"\ncommand = [\"true\"]\nparser = \"exit-code\"\nmode = \"absolute\"\nat_merge = true\n"
        ),
    };
    let raw = Raw::new(tasks)?;
    let mut other = raw.land(0..tasks / 2)?;
    let lab = Lab::new(plan, &setup)?;
    lab.start()?;
    fill(&lab, tasks)?;
    lab.run(&["resume", "--restore"])?;
    Lab::wait("landing of all tasks", Duration::from_mins(2), || lab.history("task_landed").len() == tasks)?;
    other.extend(raw.land(tasks / 2..tasks)?);
    // The first one found its branch moved and was gated before.
    let landed = lab.history("task_landed");
    let ours: Sample = landed[1..].windows(2).map(|pair| ms(pair[0].at, pair[1].at)).collect();
    let other: Sample = other.into_iter().collect();
    let rate = 1000.0 / ours.median();
    let ratio = ours.median() / other.median();
    let shown = |s: &Sample| {
        format!("{:.1} ms (p90 {:.1}, n {}): {:.0}/s", s.median(), s.at(0.9), s.len(), 1000.0 / s.median())
    };
    report.figure(
        "landing with a no-op gate, 1,000 files, rate",
        shown(&ours),
        shown(&other),
        None,
        "≥ 20/s",
        rate >= 20.0,
    );
    report.figure(
        "the same against plain git",
        shown(&ours),
        shown(&other),
        Some(ratio),
        "≤ 2 ×",
        ratio <= 2.0,
    );
    Ok(())
}

/// Lets every task come to the merge queue and no further.
fn fill(lab: &Lab, tasks: usize) -> Outcome<()> {
    let branch = "refs/heads/sprint/001-bench";
    Lab::wait("integration branch", Duration::from_secs(30), || !lab.history("feature_begun").is_empty())?;
    git(&lab.repo, &["commit", "-q", "--allow-empty", "-m", "somebody's"])?;
    git(&lab.repo, &["update-ref", branch, "HEAD"])?;
    let before = lab.history("task_landed").len();
    Lab::wait("full queue", Duration::from_mins(3), || {
        std::thread::sleep(Duration::from_millis(200));
        lab.status()
            .is_ok_and(|status| status["queue"].as_array().is_some_and(|queue| queue.len() + before >= tasks))
    })
}

/// A repository with a branch for each task.
struct Raw {
    directory: tempfile::TempDir,
}

impl Raw {
    fn new(tasks: usize) -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("sb-").tempdir_in("/tmp")?;
        let repo = directory.path().join("repo");
        write_files(&repo, FILES)?;
        init(&repo)?;
        let tree = directory.path().join("tree");
        git(&repo, &["worktree", "add", "-q", "--detach", &tree.display().to_string(), "main"])?;
        for number in 0..tasks {
            git(&tree, &["checkout", "-q", "-b", &format!("task-{number}"), "main"])?;
            std::fs::write(tree.join(format!("src/T{number:03}.txt")), "done\n")?;
            git(&tree, &["add", "-A"])?;
            git(&tree, &["commit", "-q", "-m", "work"])?;
        }
        git(&tree, &["checkout", "-q", "--detach", "main"])?;
        Ok(Self { directory })
    }

    /// Lands some of them, one after the other; milliseconds each.
    fn land(&self, numbers: std::ops::Range<usize>) -> Outcome<Vec<f64>> {
        let tree = self.directory.path().join("tree");
        numbers.map(|number| land(&tree, number)).collect()
    }
}

fn land(tree: &Path, number: usize) -> Outcome<f64> {
    let began = Instant::now();
    git(
        tree,
        &[
            "-c",
            "core.fsync=committed,reference",
            "merge",
            "-q",
            "--no-ff",
            "-m",
            "land",
            &format!("task-{number}"),
        ],
    )?;
    if !std::process::Command::new("true").current_dir(tree).status()?.success() {
        return Err("true is not true".into());
    }
    git(tree, &["-c", "core.fsync=committed,reference", "update-ref", "refs/heads/integration", "HEAD"])?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}
