//! Trees that try to escape.

use super::*;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

fn quick(scope: &Scope) -> Result<(), EndError> {
    end_tree(scope, Duration::from_millis(200), Duration::from_secs(10))
}

/// A shell that prints a line when it is ready; its own group.
fn start(command: &mut Command) -> Child {
    started(command).0
}

fn started(command: &mut Command) -> (Child, String) {
    use std::io::BufRead as _;
    let mut child = command.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().to_owned())
}

/// As [`start`]; the line is the number of a process. A number alone comes back: on a busy machine
/// within seconds.
fn start_with(command: &mut Command) -> (Child, ProcId) {
    let (child, pid) = started(command);
    (child, ProcId::of(pid.parse().unwrap()).unwrap())
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn id(child: &Child) -> ProcId {
    ProcId::of(child.id().cast_signed()).unwrap()
}

#[test]
fn descendants_of_other_sessions_and_the_deaf_are_ended() {
    let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait";
    let (mut child, grandchild) = start_with(&mut sh(script));
    let scope = Scope { leaders: vec![id(&child)], ..Scope::default() };
    assert!(members(&scope).unwrap().len() >= 2);
    quick(&scope).unwrap();
    assert!(!grandchild.alive());
    child.wait().unwrap();
}

#[test]
fn a_member_whose_parent_dies_first_is_waited_for() {
    // Each parent goes at SIGTERM, its child in a session of its own only at SIGKILL.
    for _ in 0..20 {
        let script = "setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait";
        let (mut child, grandchild) = start_with(&mut sh(script));
        end_tree(
            &Scope { leaders: vec![id(&child)], ..Scope::default() },
            Duration::from_millis(50),
            Duration::from_secs(20),
        )
        .unwrap();
        assert!(!grandchild.alive());
        child.wait().unwrap();
    }
}

#[test]
fn an_orphan_of_another_session_is_found_by_its_mark_and_only_by_its_own() {
    let run = format!("run-{}-mark", std::process::id());
    let script = "setsid sh -c 'echo $$; exec sleep 300' & exec sleep 0.1";
    let (mut child, orphan) = start_with(sh(script).env(RUN_MARK, &run));
    child.wait().unwrap();
    quick(&Scope { mark: Some(format!("{run}x")), ..Scope::default() }).unwrap();
    assert!(orphan.alive());
    quick(&Scope { mark: Some(run), ..Scope::default() }).unwrap();
    assert!(!orphan.alive());
}

#[test]
fn a_process_that_becomes_another_program_all_the_time_keeps_its_mark() {
    let dir = tempfile::tempdir().unwrap();
    let again = dir.path().join("again");
    // Two megabytes of arguments make the moment between two programs a long one.
    fs::write(&again, "#!/bin/sh\necho\nexec \"$0\" \"$@\"\n").unwrap();
    fs::set_permissions(&again, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = format!("run-{}-exec", std::process::id());
    let mut command = Command::new(&again);
    command.args(vec!["x".repeat(100_000); 15]).env(RUN_MARK, &run);
    let mut child = command.stdout(Stdio::null()).process_group(0).spawn().unwrap();
    let scope = Scope { mark: Some(run), ..Scope::default() };
    let looks = 200;
    let seen = (0..looks).filter(|_| members(&scope).unwrap().len() == 1).count();
    quick(&scope).unwrap();
    child.wait().unwrap();
    assert_eq!(seen, looks);
}

#[test]
fn an_orphan_is_found_by_its_directory_even_when_that_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let worktree = dir.path().canonicalize().unwrap().join("wt");
    let beside = worktree.with_file_name("wt2");
    fs::create_dir(&worktree).unwrap();
    fs::create_dir(&beside).unwrap();
    let script = "setsid sh -c 'echo $$; exec sleep 300'";
    let (mut inside, pid) = start_with(sh(script).current_dir(&worktree));
    let (mut outside, other) = start_with(sh(script).current_dir(&beside));
    fs::remove_dir(&worktree).unwrap();
    quick(&Scope { worktree: Some(worktree), ..Scope::default() }).unwrap();
    assert!(!pid.alive() && other.alive());
    quick(&Scope { worktree: Some(beside), ..Scope::default() }).unwrap();
    inside.wait().unwrap();
    outside.wait().unwrap();
}

#[test]
fn neither_we_nor_our_ancestors_nor_a_recycled_number_are_members() {
    let own = ProcId::own().unwrap();
    let parent = ProcId::of(std::os::unix::process::parent_id().cast_signed()).unwrap();
    let scope = Scope { leaders: vec![own.clone(), parent.clone()], ..Scope::default() };
    let found = members(&scope).unwrap();
    assert!(found.iter().all(|m| m.id != own && m.id != parent));

    let mut child = start(&mut sh("echo; exec sleep 300"));
    let recycled = ProcId { start_ticks: id(&child).start_ticks - 1, ..id(&child) };
    assert!(members(&Scope { leaders: vec![recycled], ..Scope::default() }).unwrap().is_empty());
    quick(&Scope { leaders: vec![id(&child)], ..Scope::default() }).unwrap();
    child.wait().unwrap();
}

#[test]
fn a_tree_that_forks_all_the_time_cannot_outrun_us() {
    let script = "trap '' TERM; echo; while :; do sleep 0.2 & setsid sleep 0.3 & sleep 0.003; done";
    let run = format!("run-{}-forks", std::process::id());
    let mut child = start(sh(script).env(RUN_MARK, &run));
    let scope = Scope { leaders: vec![id(&child)], mark: Some(run), ..Scope::default() };
    quick(&scope).unwrap();
    assert!(members(&scope).unwrap().is_empty());
    child.wait().unwrap();
}

#[test]
fn those_that_are_still_there_at_the_deadline_are_survivors() {
    let mut child = start(&mut sh("echo; exec sleep 300"));
    let scope = Scope { leaders: vec![id(&child)], ..Scope::default() };
    let error = end_tree(&scope, Duration::ZERO, Duration::ZERO).unwrap_err();
    assert!(matches!(&error, EndError::Survivors(found) if found[0].id == id(&child)), "{error}");
    quick(&scope).unwrap();
    child.wait().unwrap();
}

#[test]
fn usage_counts_the_whole_tree() {
    let mut child = start(&mut sh("sleep 300 & sleep 300 & echo; wait"));
    let usage = tree_usage(&[child.id().cast_signed(), -5]).unwrap();
    assert_eq!((usage[0].processes, usage[1].processes), (3, 0));
    assert!(usage[0].rss_bytes > 100_000);
    quick(&Scope { leaders: vec![id(&child)], ..Scope::default() }).unwrap();
    child.wait().unwrap();
}

#[test]
fn survivors_are_named_and_the_list_is_short() {
    let member =
        |pid| Member { id: ProcId { boot_id: String::new(), pid, start_ticks: 1 }, name: "a\nb".to_owned() };
    let text = EndError::Survivors((1..=12).map(member).collect()).to_string();
    assert!(text.starts_with("still running after SIGKILL: 1 (a\\nb), 2 (a\\nb)"), "{text}");
    assert!(text.ends_with("10 (a\\nb) and 2 more"), "{text}");
}
