//! From "the report is durable" to "the next run is assigned": the hand-off between stages.
//!
//! One task at a time, so that nothing waits for a worker. The other side is the disk itself:
//! commits of one row to another database on the same file system, made all the while.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::lab::{Lab, Order, Setup};
use crate::logs::{Entry, ms};
use crate::report::Report;
use crate::stats::Sample;
use crate::{Outcome, Plan, probe};

/// Between two commits of the other side.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let tasks = plan.size(40, 15);
    let gate = |name: &str, stage: &str| {
        format!(
            "[gate.{name}]\nstage = \"{stage}\"\ncommand = [\"true\"]\nparser = \"exit-code\"\nmode = \"absolute\"\nat_merge = false\n"
        )
    };
    let gates: String =
        [("one", "InReview"), ("two", "InTests"), ("three", "InDocs")].map(|(n, s)| gate(n, s)).concat();
    let setup = Setup {
        files: 50,
        tasks,
        order: Order::Line,
        agent: ["agent-stamp", "{stamps}", "{task.id}"].map(String::from).to_vec(),
        config: format!("[roles.tester]\npermanent = true\n{gates}"),
    };
    let lab = Lab::new(plan, &setup)?;
    let disk = Disk::start(lab.path("disk.db"));
    lab.start()?;
    let landed = || lab.history("task_landed").len() == tasks;
    let done = Lab::wait("landing of all tasks", Duration::from_mins(3), landed);
    let commits = disk.stop()?;
    done?;
    let (between, whole) = hand_offs(&lab)?;
    let shown = |s: &Sample| format!("p50 {:.2} ms, p99 {:.1} ms (n {})", s.median(), s.p99(), s.len());
    report.figure(
        "report durable → next stage assigned, p50",
        shown(&between),
        format!("one FULL commit: {}", shown(&commits)),
        Some(between.median() / commits.median()),
        "p50 ≤ 5 ms",
        between.median() <= 5.0,
    );
    let limit = (8.0 * commits.p99()).max(25.0);
    report.figure(
        "the same, p99",
        format!("{:.1} ms", between.p99()),
        format!("{:.1} ms", commits.p99()),
        Some(between.p99() / commits.p99()),
        "p99 ≤ 25 ms, or 8 × FULL commit's p99",
        between.p99() <= limit,
    );
    report.fact("a task through 5 stages, 3 no-op gates, landed", shown(&whole), "-".into());
    Ok(())
}

/// Spans between a report and the next assignment of the same task, and between two landings.
fn hand_offs(lab: &Lab) -> Outcome<(Sample, Sample)> {
    let mut assigned: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for entry in lab.history("run_assigned") {
        assigned.entry(entry.field("task").unwrap_or_default().to_owned()).or_default().push(entry.at);
    }
    let mut between = Sample::default();
    for (_, entries) in lab.worker_logs()? {
        let mut task = String::new();
        for entry in &entries {
            if entry.says("takes a run") {
                task = name_of(entry);
            } else if entry.says("the report is durable")
                && let Some(next) = assigned.get(&task).and_then(|all| all.iter().find(|at| **at > entry.at))
            {
                between.push(ms(entry.at, *next));
            }
        }
    }
    let landed = lab.history("task_landed");
    let whole = landed.windows(2).map(|pair| ms(pair[0].at, pair[1].at)).collect();
    Ok((between, whole))
}

/// `task=Some(TaskId("T001"))` → `T001`.
fn name_of(entry: &Entry) -> String {
    let text = entry.field("task").unwrap_or_default();
    text.split('"').nth(1).unwrap_or_default().to_owned()
}

/// Commits of one row, all the while.
pub(crate) struct Disk {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Sample, String>>,
}

impl Disk {
    pub(crate) fn start(path: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let connection = probe::open(&path).map_err(|error| error.to_string())?;
            let mut sample = Sample::default();
            while !flag.load(Ordering::Relaxed) {
                let began = Instant::now();
                connection
                    .execute("INSERT INTO rows (pid) VALUES (1)", [])
                    .map_err(|error| error.to_string())?;
                sample.push(began.elapsed().as_secs_f64() * 1000.0);
                std::thread::sleep(PAUSE);
            }
            Ok(sample)
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Outcome<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.thread.join().map_err(|_panic| "the thread of the other side panicked")??)
    }
}
