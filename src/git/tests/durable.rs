//! What is synced, and in which order, as the kernel sees it (where strace is installed), and
//! what the command runner does with children that misbehave.

use std::time::{Duration, Instant};

use super::*;
use crate::domain::ids::{FeatureId, TaskId};
use crate::git::command::Git;
use crate::git::durable::{RefChange, update_refs};
use crate::git::landing::{Move, create_branch, move_ref};
use crate::git::{Error, durable};

#[test]
fn references_change_together_or_not_at_all() {
    let f = Fixture::new();
    let head = f.head();
    let next = f.commit(&head, &[("x", Some("1"))]);
    let set = |name: &str| RefChange::Set(format!("refs/sprint/test/{name}"), head.clone());
    update_refs(&f.repo.common_dir, &[set("a"), set("b")], None).unwrap();
    let wrong = RefChange::Move("refs/sprint/test/b".to_owned(), head.clone(), Some(next.clone()));
    let right = RefChange::Move("refs/sprint/test/a".to_owned(), next.clone(), Some(head.clone()));
    let error = update_refs(&f.repo.common_dir, &[right, wrong], None).unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    assert_eq!(f.repo.reference("refs/sprint/test/a").unwrap(), Some(head));
}

#[test]
fn a_child_that_hangs_is_ended_at_its_deadline() {
    let f = Fixture::new();
    f.git(&["config", "alias.hang", "!sleep 600"]);
    let began = Instant::now();
    let error = f.repo.git().arg("hang").deadline(Duration::from_millis(300)).run().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn much_output_is_bounded_and_much_input_does_not_block() {
    let f = Fixture::new();
    f.git(&["config", "alias.flood", "!yes"]);
    let error = f.repo.git().arg("flood").run().unwrap_err();
    assert!(matches!(error, Error::TooMuchOutput { .. }), "{error}");
    let input = vec![b'x'; 4 * 1024 * 1024];
    let id = f.repo.git().args(["hash-object", "--stdin"]).stdin(input.clone()).run().unwrap();
    let expected = git2::Oid::hash_object(git2::ObjectType::Blob, &input).unwrap();
    assert_eq!(String::from_utf8(id).unwrap().trim(), expected.to_string());
}

#[test]
fn the_environment_of_the_person_does_not_reach_sprints_git() {
    let f = Fixture::new();
    f.git(&["config", "alias.show-env", "!env"]);
    let out = String::from_utf8(f.repo.git().arg("show-env").run().unwrap()).unwrap();
    assert!(out.contains("GIT_CONFIG_GLOBAL=/dev/null") && out.contains("GIT_TERMINAL_PROMPT=0"), "{out}");
    assert!(!out.lines().any(|line| line.starts_with("HOME=") || line.starts_with("CARGO")), "{out}");
    let error = Git::new(&f.repo.common_dir).args(["cat-file", "-p", "nothing"]).run().unwrap_err();
    assert!(error.to_string().contains("`git cat-file -p nothing` failed with exit code 128"), "{error}");
}

#[test]
fn lock_files_that_nobody_holds_are_removed_and_others_stay() {
    let f = Fixture::new();
    let dir = &f.repo.common_dir;
    for path in ["refs/heads/sprint/001-thing.lock", "refs/sprint/run/x.lock", "refs/heads/main.lock"] {
        write(dir, path, "");
    }
    assert_eq!(durable::clear_stale_locks(dir, Duration::from_hours(1)).unwrap(), [""; 0].map(PathBuf::from));
    assert_eq!(durable::clear_stale_locks(dir, Duration::ZERO).unwrap().len(), 2);
    assert!(dir.join("refs/heads/main.lock").exists());

    let (feature, task) = (FeatureId::parse("001-thing").unwrap(), TaskId::parse("T001").unwrap());
    for path in ["T001/1.lock", "T002/1.lock"] {
        write(dir, &format!("refs/heads/sprint-task/001-thing/{path}"), "");
    }
    let removed = durable::clear_task_locks(dir, &feature, &task).unwrap();
    assert_eq!(removed, [dir.join("refs/heads/sprint-task/001-thing/T001/1.lock")]);
}

/// Runs only as a child of the tests below, which name the repository.
#[test]
fn landing_in_a_repository_named_by_the_environment() {
    let Some(top) = std::env::var_os("SPRINT_TEST_LAND") else { return };
    let repo = Repo::discover(Path::new(&top)).unwrap();
    let base = repo.head().unwrap();
    let next = repo.resolve("refs/heads/next").unwrap();
    assert_eq!(move_ref(&repo, "sprint/001-thing", &base, &next, None).unwrap(), Move::Moved);
    let lib = repo.open().unwrap();
    for name in ["one", "two"] {
        assert!(durable::create_ref(&lib, &format!("refs/sprint/run/{name}"), &next).unwrap());
        assert!(!durable::create_ref(&lib, &format!("refs/sprint/run/{name}"), &base).unwrap());
    }
    // The directory goes with its last reference: the next one's name must be made durable again.
    fs::remove_dir_all(repo.common_dir.join("refs/sprint/run")).unwrap();
    assert!(durable::create_ref(&lib, "refs/sprint/run/three", &next).unwrap());
}

/// What the kernel was asked to sync and rename; None where tracing is not possible.
fn trace(f: &Fixture) -> Option<String> {
    let base = f.head();
    create_branch(&f.repo, &feature(), &base).unwrap();
    f.git(&["branch", "next", f.edit(&base, "x", "1").as_str()]);
    let log = f.dir.path().join("log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=fsync,rename,renameat,renameat2,linkat", "-o"]).arg(&log);
    strace.arg(std::env::current_exe().unwrap()).arg("landing_in_a_repository_named_by_the_environment");
    let out = strace.env("SPRINT_TEST_LAND", &f.top).output().ok()?;
    let trace = fs::read_to_string(&log).unwrap_or_default();
    let permitted = out.status.success() || !trace.is_empty();
    assert!(!permitted || out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    permitted.then_some(trace)
}

#[test]
fn a_move_is_synced_before_and_after_its_rename() {
    let f = Fixture::new();
    let Some(trace) = trace(&f) else { return };
    let at = |what: &[&str]| trace.lines().position(|line| what.iter().all(|w| line.contains(w)));
    let content = at(&["fsync(", "refs/heads/sprint/001-thing.lock"]).expect(&trace);
    let rename = at(&["rename", "refs/heads/sprint/001-thing.lock"]).expect(&trace);
    let directory = at(&["fsync(", "refs/heads/sprint>"]).expect(&trace);
    assert!(content < rename && rename < directory, "{trace}");
}

#[test]
fn a_new_reference_is_whole_before_it_has_its_name_and_directories_are_synced_as_long_as_they_are_new() {
    let f = Fixture::new();
    let Some(trace) = trace(&f) else { return };
    let created = trace.split("linkat(").collect::<Vec<_>>();
    let [before, one, two, three] = created[..] else { panic!("not three links: {trace}") };
    assert!(before.lines().next_back().is_some(), "{trace}");
    for part in [before, one, two] {
        let last = part.lines().rfind(|line| line.contains("fsync(")).expect(part);
        assert!(last.contains("sprint-ref-"), "linked before it was synced: {trace}");
    }
    let syncs = |part: &str, name: &str| part.matches(&format!("{name}>")).count();
    assert_eq!((syncs(one, "refs/sprint/run"), syncs(one, "refs/sprint")), (1, 1), "{trace}");
    assert_eq!((syncs(two, "refs/sprint/run"), syncs(two, "refs/sprint")), (1, 0), "{trace}");
    assert_eq!((syncs(three, "refs/sprint/run"), syncs(three, "refs/sprint")), (1, 1), "{trace}");
}
