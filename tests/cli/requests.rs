//! Requests: what is sent, what is waited for, what comes back.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sprint::domain::event::Event;
use sprint::domain::report::Report;
use sprint::process::doorbell::{Doorbell, ring};
use sprint::store::{Batch, Client, InboxBody};

use crate::fixture::{Shown, Sprint, command, shop, shown};

/// Answers the next `count` requests as a supervisor does, while `args` are run.
fn answered(fixture: &mut Sprint, args: &[&str]) -> Shown {
    fixture.supervised();
    let bell = Doorbell::bind(&fixture.layout.supervisor_bell()).unwrap();
    let child = command(fixture.dir.path(), &fixture.top, args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let follower = fixture.layout.follower_bell(child.id());
    let end = Instant::now() + Duration::from_secs(20);
    while !serve(fixture, &bell) {
        assert!(Instant::now() < end, "no request came");
    }
    ring(&follower).unwrap();
    shown(child.wait_with_output().unwrap())
}

fn serve(fixture: &mut Sprint, bell: &Doorbell) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let mut fds = [PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(1000u16)).unwrap();
    bell.drain().unwrap();
    let rows = fixture.store.inbox(10).unwrap();
    for (id, body) in &rows {
        let Ok(InboxBody::Request(request)) = body else { panic!("{body:?}") };
        fixture.feed(Event::Request { id: *id, request: request.clone() });
        fixture.store.commit(&Batch { consumed: vec![*id], ..Batch::default() }).unwrap();
    }
    !rows.is_empty()
}

#[test]
fn the_supervisors_result_is_printed_and_its_code_returned() {
    let mut fixture = shop();
    let mut all = String::new();
    for args in [
        &["answer", "T002", "euro,", "please"][..],
        &["task", "retry", "T004"],
        &["task", "retry", "T004"],
        &["pause"],
        &["pause"],
        &["resume"],
        &["approve", "T005"],
        &["reload"],
        &["task", "skip", "T006"],
    ] {
        let shown = answered(&mut fixture, args);
        all.push_str(&format!("$ sprint {}\n{}", args.join(" "), shown.whole()));
    }
    insta::assert_snapshot!(all);
    let task = fixture.state.tasks.values().find(|task| task.key.id.as_str() == "T002").unwrap();
    assert_eq!(task.answer.as_ref().unwrap().answer, "euro, please");
}

#[test]
fn without_a_supervisor_it_is_kept_for_the_next_start() {
    let fixture = shop();
    let mut all = String::new();
    for args in [
        &["answer", "T002", "euro"][..],
        &["task", "retry", "T004"],
        &["task", "retry", "T400"],
        &["task", "skip", "t004"],
        &["task", "stop", "\u{1b}[31mred"],
        &["resume", "--adopt"],
        &["resume", "--adopt", "--restore"],
        &["stop"],
        &["answer", "T002", ""],
    ] {
        all.push_str(&format!(
            "$ sprint {}\n{}",
            args.join(" ").escape_debug(),
            fixture.sprint(args).whole()
        ));
    }
    insta::assert_snapshot!(all);
    assert_eq!(fixture.store.inbox(10).unwrap().len(), 2);
}

#[test]
fn what_was_asked_for_is_shown_and_not_asked_for_twice() {
    let fixture = shop();
    let mut all = String::new();
    for args in [
        &["answer", "T002", "euro"][..],
        &["answer", "T002", "euro"],
        &["answer", "T002", "dollar"],
        &["task", "retry", "T002"],
        &["task", "retry", "T004"],
        &["task", "retry", "T004"],
        &["approve", "T004"],
        &["task", "skip", "T006"],
        &["task", "skip", "T006"],
        &["task", "retry", "T006"],
        &["answer"],
        &["answer", "--json"],
        &["status"],
    ] {
        all.push_str(&format!("$ sprint {}\n{}", args.join(" "), fixture.sprint(args).whole()));
    }
    let status: serde_json::Value = serde_json::from_str(&fixture.sprint(&["status", "--json"]).out).unwrap();
    all.push_str(&format!("needs_you: {:#}\npending: {:#}\n", status["needs_you"], status["pending"]));
    insta::assert_snapshot!(all);
    assert_eq!(fixture.store.inbox(10).unwrap().len(), 5);
}

#[test]
fn a_report_that_waits_too_may_make_sense_of_a_request() {
    let fixture = shop();
    let run = fixture.run_of("T005");
    let report = Report::Blocked { question: "Which orders?".into() };
    let fact = Event::RunReported { run: run.id, token: run.token, report };
    let client = Client::open(&fixture.layout.database()).unwrap();
    client.append(&InboxBody::Fact(fact), 0).unwrap();
    assert_eq!(fixture.sprint(&["answer", "T005", "all"]).exit, 0);
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    let fixture = shop();
    let shown = fixture.sprint(&["answer", "T001", "yes"]);
    insta::assert_snapshot!(shown.whole(), @r"
    exit 4
    --- err
    error: T001 asks nothing: it is done
    ");
}

#[test]
fn an_answer_may_come_from_standard_input() {
    let fixture = shop();
    let mut child = command(fixture.dir.path(), &fixture.top, &["answer", "T002"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"two\nlines\n").unwrap();
    assert_eq!(shown(child.wait_with_output().unwrap()).exit, 0);
    let rows = fixture.store.inbox(10).unwrap();
    let text = format!("{:?}", rows[0].1);
    assert!(text.contains(r#"text: "two\nlines""#), "{text}");
}

#[test]
fn a_supervisor_that_ends_before_it_answers_leaves_the_request_for_the_next() {
    let fixture = shop();
    let mut process = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let file = sprint::process::supervisor_file::SupervisorFile {
        process: sprint::process::identity::ProcId::of(process.id().cast_signed()).unwrap(),
        epoch: 1,
        version: "0".into(),
        started_wall_ms: 0,
        ended: false,
        stalled: None,
    };
    file.write(&fixture.layout.supervisor_file()).unwrap();
    let bell = Doorbell::bind(&fixture.layout.supervisor_bell()).unwrap();
    let child = command(fixture.dir.path(), &fixture.top, &["pause"]).stdout(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while bell.drain().unwrap() == 0 {
        assert!(Instant::now() < end, "it never rang");
        std::thread::yield_now();
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let shown = shown(child.wait_with_output().unwrap());
    assert_eq!(
        (shown.exit, shown.out.as_str()),
        (0, "no supervisor runs: applied at the next `sprint start`\n")
    );
}

#[test]
fn stop_waits_until_the_supervisor_is_gone() {
    let mut fixture = shop();
    let mut process = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let file = sprint::process::supervisor_file::SupervisorFile {
        process: sprint::process::identity::ProcId::of(process.id().cast_signed()).unwrap(),
        epoch: 1,
        version: "0".into(),
        started_wall_ms: 0,
        ended: false,
        stalled: None,
    };
    let bell = Doorbell::bind(&fixture.layout.supervisor_bell()).unwrap();
    file.write(&fixture.layout.supervisor_file()).unwrap();
    let mut child =
        command(fixture.dir.path(), &fixture.top, &["stop", "--now"]).stdout(Stdio::piped()).spawn().unwrap();
    let follower = fixture.layout.follower_bell(child.id());
    let end = Instant::now() + Duration::from_secs(20);
    while !serve(&mut fixture, &bell) {
        assert!(Instant::now() < end, "no request came");
    }
    ring(&follower).unwrap();
    assert!(child.try_wait().unwrap().is_none(), "it still waits for the process");
    process.kill().unwrap();
    process.wait().unwrap();
    insta::assert_snapshot!(shown(child.wait_with_output().unwrap()).whole(), @r"
    exit 0
    --- out
    everything is being ended; `sprint start` goes on
    stopped: 1 task landed, 5 open
    go on: sprint start specs/001-shop
    ");
}
