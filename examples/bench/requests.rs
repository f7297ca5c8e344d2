//! A sprint that waits for a person, with an agent in every role: requests to models, and programs
//! that are started, while nothing is to be done.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::lab::{Lab, Order, Setup};
use crate::report::Report;
use crate::{Outcome, Plan};

/// The name of this part.
pub(crate) const NAME: &str = "idle-requests";
const ROLES: [&str; 5] = ["manager", "reviewer", "tester", "librarian", "merger"];

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    // It ends with this program.
    std::thread::spawn(move || {
        for _request in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let roles = ROLES.map(|role| format!("[roles.{role}]\nagent = \"probe\"\n")).concat();
    // With manager, reviewer, librarian and merger these are eight.
    let more = "[agents]\nmax_developers = 2\nmax_testers = 2\n";
    let config = roles.replace("[roles.tester]\n", "[roles.tester]\npermanent = true\n") + more;
    let lab = Lab::new(
        plan,
        &Setup {
            files: 50,
            tasks: 2,
            order: Order::Parallel,
            agent: vec!["agent-request".to_owned(), port.to_string(), "{stamps}".to_owned()],
            config,
        },
    )?;
    lab.start()?;
    Lab::wait("two questions", Duration::from_secs(30), || lab.history("task_asks").len() == 2)?;
    // The manager looks at each question once.
    Lab::wait("the manager's looks", Duration::from_secs(30), || lab.stamped() == 4)?;
    let before = (requests.load(Ordering::SeqCst), lab.stamped());
    if before != (4, 4) {
        let (asked, started) = before;
        return Err(format!("{asked} requests of {started} programs came before, not four of four").into());
    }
    let workers = lab.workers()?.len();
    let seconds = if plan.names(NAME) { plan.size(600, 60) } else { plan.size(45, 15) };
    std::thread::sleep(Duration::from_secs(u64::try_from(seconds)?));
    let (asked, started) = (requests.load(Ordering::SeqCst) - before.0, lab.stamped() - before.1);
    report.figure(
        &format!("idle, an agent in every role, {workers} workers: requests to a model"),
        format!("{asked} in {seconds} s, {started} programs started"),
        format!("while it worked: {} of {} programs", before.0, before.1),
        None,
        "0 in 600 s",
        asked == 0 && started == 0,
    );
    Ok(())
}
