//! From `sprint start` to a supervisor that is ready, with 10,000 tasks of history; the other side is the same
//! with a hundredth of it. The history is that of a feature that was really built, once more for each copy, under
//! another name.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::lab::{Lab, ON_DEMAND, Order, Setup, git};
use crate::report::Report;
use crate::{Outcome, Plan};

/// Tasks of the feature that is built, and of all that are in the history then.
const BUILT: usize = 100;
const TASKS: usize = 10_000;
/// What is promised.
const GOAL_MS: f64 = 1000.0;

/// What is copied of each table: every name of the feature and of a run is another one then.
const COPY: [&str; 7] = [
    "INSERT INTO features SELECT replace(id, ?1, ?2), status, replace(body, ?1, ?2), replace(frozen, ?1, ?2)
     FROM features WHERE id = ?1",
    "INSERT INTO tasks SELECT ?2, id, external, status, stage, attempt, replace(body, ?1, ?2)
     FROM tasks WHERE feature = ?1",
    "INSERT INTO runs SELECT ?3 || substr(id, 9), status, worker, ?2, task, stage, member, attempt, began_ms,
     ended_ms, replace(replace(body, ?1, ?2), id, ?3 || substr(id, 9)) FROM runs WHERE feature = ?1",
    "INSERT INTO events (log, wall_ms, kind, feature, task, worker, text)
     SELECT log, wall_ms, kind, ?2, task, worker, text FROM events WHERE feature = ?1",
    "INSERT INTO log (body) SELECT replace(body, ?1, ?2) FROM log
     WHERE seq <= (SELECT value FROM meta WHERE key = 'bench')",
    "INSERT INTO outbox SELECT event + (SELECT max(seq) FROM log) * CAST(?4 AS INTEGER), place, 1,
     replace(body, ?1, ?2) FROM outbox WHERE event <= (SELECT value FROM meta WHERE key = 'bench')",
    "INSERT INTO landings SELECT ?2, task, commit_ FROM landings WHERE feature = ?1",
];

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let lab = Lab::new(
        plan,
        &Setup {
            files: 10,
            tasks: BUILT,
            order: Order::Parallel,
            agent: ["agent-stamp", "{stamps}", "{task.id}"].map(String::from).to_vec(),
            config: format!("[agents]\nmax_developers = 4\n{ON_DEMAND}"),
        },
    )?;
    lab.start()?;
    let limit = Duration::from_mins(3);
    Lab::wait("landing of all tasks", limit, || lab.history("task_landed").len() == BUILT)?;
    ended(&lab)?;
    let few = ready(&lab, "002-next")?;
    ended(&lab)?;
    let bytes = multiply(&lab.state()?.join("sprint.db"))?;
    let many = ready(&lab, "003-next")?;
    // Once more, with everything that a death leaves.
    write(&lab, "004-next")?;
    lab.run(&["start", "specs/004-next", "--detach"])?;
    let supervisor = lab.supervisor()?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(supervisor), nix::sys::signal::Signal::SIGKILL)?;
    gone(supervisor)?;
    let again = start(&lab, "004-next")?;
    ended(&lab)?;
    let worst = many.max(again);
    report.figure(
        "`start` → ready, 10,000 tasks of history",
        format!("{many:.0} ms, after a kill {again:.0} ms, {} MB", bytes >> 20),
        format!("{few:.0} ms with {BUILT} tasks"),
        Some(worst / few),
        "≤ 1 s",
        worst <= GOAL_MS,
    );
    Ok(())
}

/// Milliseconds from `start` to ready, of a feature that is new.
fn ready(lab: &Lab, feature: &str) -> Outcome<f64> {
    write(lab, feature)?;
    start(lab, feature)
}

fn write(lab: &Lab, feature: &str) -> Outcome<()> {
    let directory = lab.repo.join("specs").join(feature);
    fs::create_dir_all(&directory)?;
    let tasks = format!("# Tasks: {feature}\n\n## Phase 1: Work\n\n- [ ] T001 write src/{feature}.txt\n");
    fs::write(directory.join("tasks.md"), tasks)?;
    git(&lab.repo, &["add", "-A"])?;
    git(&lab.repo, &["commit", "-q", "-m", feature])
}

fn start(lab: &Lab, feature: &str) -> Outcome<f64> {
    let began = Instant::now();
    lab.run(&["start", &format!("specs/{feature}"), "--detach"])?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

fn ended(lab: &Lab) -> Outcome<()> {
    gone(lab.supervisor()?)
}

/// The supervisor has ended, with nothing left to do.
fn gone(pid: i32) -> Outcome<()> {
    let path = format!("/proc/{pid}/stat");
    let runs = || fs::read_to_string(&path).is_ok_and(|stat| !stat.contains(") Z "));
    Lab::wait("end of the supervisor", Duration::from_mins(1), || !runs())
}

/// Fills the database up; how many bytes it has then.
fn multiply(path: &Path) -> Outcome<u64> {
    let mut database = Connection::open(path)?;
    let transaction = database.transaction()?;
    transaction.execute("INSERT OR REPLACE INTO meta SELECT 'bench', coalesce(max(seq), 0) FROM log", [])?;
    for copy in 1..TASKS / BUILT {
        let (name, run) = (format!("{:04}-bench", 1000 + copy), format!("{copy:08x}"));
        for statement in COPY {
            let mut statement = transaction.prepare_cached(statement)?;
            let values = ["001-bench".to_owned(), name.clone(), run.clone(), copy.to_string()];
            let count = statement.parameter_count();
            statement.execute(rusqlite::params_from_iter(values.iter().take(count)))?;
        }
    }
    transaction.execute("DELETE FROM meta WHERE key = 'bench'", [])?;
    transaction.commit()?;
    drop(database);
    Ok(fs::metadata(path)?.len())
}
