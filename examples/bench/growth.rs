//! 10, 100, 500 workers, each with an agent that sleeps: what grows, and how.

use std::time::{Duration, Instant};

use crate::idle::{pss, run_ns};
use crate::lab::{Lab, ON_DEMAND, Order, Setup};
use crate::logs::ms;
use crate::report::Report;
use crate::{Outcome, Plan};

const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    report.note("\n| workers | all agents run | a worker | supervisor's CPU for it | supervisor PSS | tmux PSS | idle after it |\n|---|---|---|---|---|---|---|".to_owned());
    let sizes: &[usize] = if plan.quick { &[10, 50] } else { &[10, 100, 500] };
    for size in sizes {
        if plan.is_over() {
            report.note(format!("| {size} | no time was left | - | - | - | - | - |"));
            continue;
        }
        let row = grow(plan, *size)?;
        report.note(row);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "hundreds")]
fn grow(plan: &Plan, size: usize) -> Outcome<String> {
    let lab = Lab::new(
        plan,
        &Setup {
            files: 10,
            tasks: size,
            order: Order::Parallel,
            agent: ["agent-sleep", "{stamps}", "{task.id}"].map(String::from).to_vec(),
            config: format!("[agents]\nmax_developers = {size}\nmax_in_flight = {size}\n{ON_DEMAND}"),
        },
    )?;
    lab.start()?;
    let limit = Duration::from_mins(1);
    let until = Instant::now() + limit;
    while lab.stamped() < size {
        if Instant::now() > until {
            return Ok(format!(
                "| {size} | only {} after {} s | - | - | - | - | - |",
                lab.stamped(),
                limit.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let begun = lab.history("feature_begun").first().ok_or("the feature did not begin")?.began();
    let last = (1..=size).filter_map(|n| lab.stamp(&format!("T{n:03}"))).max().ok_or("no stamps")?;
    let (supervisor, tmux) = (lab.supervisor()?, lab.tmux()?);
    let cpu = run_ns(&[supervisor])? / 1e6;
    let (own, theirs) = (pss(supervisor)? / MIB, pss(tmux)? / MIB);
    std::thread::sleep(Duration::from_secs(1));
    let (ran_before, started) = (run_ns(&[supervisor])?, Instant::now());
    std::thread::sleep(Duration::from_secs(4));
    let idle = (run_ns(&[supervisor])? - ran_before) / started.elapsed().as_secs_f64() / 1e7;
    let all = ms(begun, last);
    Ok(format!(
        "| {size} | {:.2} s | {:.1} ms | {cpu:.0} ms | {own:.1} MiB | {theirs:.1} MiB | {idle:.2} % of a core |",
        all / 1000.0,
        all / size as f64
    ))
}
