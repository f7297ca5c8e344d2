//! A hundred workers: how soon they are up, how soon a death is known, what `health` takes.

use std::fmt::Write as _;
use std::io::Write;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::{Lab, ON_DEMAND, Order, Setup};
use crate::logs::{ms, now_us};
use crate::report::Report;
use crate::stats::Sample;
use crate::tmux::Server;
use crate::{Outcome, Plan, commands, probe};

const WORKERS: usize = 100;
/// Between two deaths: they are to be told apart, and the dead ones are started again meanwhile.
const APART: Duration = Duration::from_millis(20);
/// A worker that dies younger than this counts as one that cannot start, and has to wait.
const OLD: Duration = Duration::from_secs(11);

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let (mut up, mut other) = (Sample::default(), Sample::default());
    let mut deaths = Deaths::default();
    for round in 0..plan.size(5, 1) {
        if plan.is_over() {
            break;
        }
        other.push(raw(plan)?);
        let lab = Lab::new(
            plan,
            &Setup {
                files: 10,
                tasks: 1,
                order: Order::Line,
                agent: ["agent-sleep", "{stamps}", "{task.id}"].map(String::from).to_vec(),
                config: format!(
                    "[agents]\nmax_testers = {WORKERS}\n{ON_DEMAND}[roles.tester]\npermanent = true\n"
                ),
            },
        )?;
        lab.start()?;
        let all_up = || testers_up(&lab).len() >= WORKERS;
        Lab::wait("100 workers", Duration::from_mins(1), all_up)?;
        let begun = lab.history("feature_begun").first().ok_or("the feature did not begin")?.began();
        up.push(ms(begun, testers_up(&lab)[WORKERS - 1]));
        let old = Instant::now() + OLD;
        if round == 0 {
            commands::health(&lab, report, plan.size(40, 15))?;
        }
        std::thread::sleep(old.saturating_duration_since(Instant::now()));
        deaths.round(&lab)?;
    }
    let shown = |s: &Sample| format!("{:.0} ms (max {:.0}, n {})", s.median(), s.at(1.0), s.len());
    let ratio = up.median() / other.median();
    report.figure(
        "100 workers up and registered",
        shown(&up),
        shown(&other),
        Some(ratio),
        "≤ 1.2 × sessions that commit a row",
        ratio <= 1.2,
    );
    deaths.tell(report);
    Ok(())
}

/// When each tester was known to be up.
fn testers_up(lab: &Lab) -> Vec<i64> {
    let up = lab.history("worker_started");
    up.iter().filter(|e| e.field("worker").is_some_and(|w| w.starts_with("tester"))).map(|e| e.at).collect()
}

/// The same sessions through one control-mode client.
fn raw(plan: &Plan) -> Outcome<f64> {
    let directory = tempfile::Builder::new().prefix("sb-").tempdir_in("/tmp")?;
    let database = directory.path().join("rows.db");
    let connection = probe::open(&database)?;
    let server = Server::start()?;
    let mut client = server.control()?;
    let began = Instant::now();
    let mut orders = String::new();
    for number in 0..WORKERS {
        let (own, database) = (plan.own.display(), database.display());
        writeln!(orders, "new-session -d -s w{number} -- {own} row {database}")?;
    }
    client.stdin.as_mut().ok_or("no pipe to tmux")?.write_all(orders.as_bytes())?;
    let until = began + Duration::from_mins(1);
    loop {
        let rows: u32 = connection.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))?;
        if usize::try_from(rows)? == WORKERS {
            break;
        }
        if Instant::now() > until {
            return Err(format!("only {rows} sessions of the other side came up").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    drop(server);
    client.wait()?;
    Ok(took.as_secs_f64() * 1000.0)
}

#[derive(Default)]
struct Deaths {
    known: Sample,
    killed: usize,
}

impl Deaths {
    /// Kills every tester, one after the other.
    fn round(&mut self, lab: &Lab) -> Outcome<()> {
        let mut killed = Vec::new();
        for (name, pid) in lab.workers()?.into_iter().filter(|(name, _)| name.starts_with("tester")) {
            let at = now_us();
            kill(Pid::from_raw(pid), Signal::SIGKILL)?;
            killed.push((name, at));
            std::thread::sleep(APART);
        }
        self.killed += killed.len();
        // What is not known after so long is lost.
        let died = || lab.history("worker_died");
        let waited =
            Lab::wait("news of every death", Duration::from_secs(10), || died().len() >= killed.len());
        let died = died();
        for (name, at) in &killed {
            let known = died.iter().find(|entry| entry.field("worker") == Some(name) && entry.at >= *at);
            self.known.push(known.map_or(f64::NAN, |entry| ms(*at, entry.at)));
        }
        if let Err(error) = waited {
            eprintln!("{error}");
        }
        Ok(())
    }

    fn tell(&self, report: &mut Report) {
        let lost = self.killed - self.known.len();
        let ours = format!(
            "p50 {:.2} ms, p99 {:.1} ms, lost {lost} of {}",
            self.known.median(),
            self.known.p99(),
            self.killed
        );
        let reached = lost == 0 && self.known.median() <= 5.0;
        report.figure(
            "death of a worker → known and durable",
            ours,
            "a look every second: 500 ms (derived)".into(),
            None,
            "p50 ≤ 5 ms, none lost of 500",
            reached,
        );
    }
}
