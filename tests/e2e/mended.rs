//! The database is damaged, or has lost its newest transactions: the sprint goes on with what copies,
//! report files and git say, and nothing that landed or was reported is lost or done twice.

use std::fs;
use std::path::PathBuf;

use crate::common::World;

/// T001 lands before the copy is made; T002 lands and T003 is worked on after it.
fn stopped_with_an_older_copy() -> (World, PathBuf) {
    let mut world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n- [ ] T003 write c.txt\n",
        "echo $1 $SPRINT_ATTEMPT >> $W/calls\n\
         if [ $1 = T002 ]; then until [ -e $W/copied ]; do sleep 0.1; done; fi\n\
         if [ $1 = T003 ]; then until [ -e $W/go ]; do sleep 0.1; done; fi\n\
         echo $1 > $1.txt; git add -A; git commit -qm $1",
    );
    world.be_patient(std::time::Duration::from_mins(2));
    let copy = world.path().join("older.db");
    world.detach();
    world.wait_task("T001", "Done");
    let database = world.state().join("sprint.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    drop(connection);
    world.touch("copied");
    world.wait_task("T002", "Done");
    world.wait_until("T003 is at work", || world.read("calls").contains("T003"));
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
    (world, copy)
}

fn go_on(world: &mut World) -> String {
    world.touch("go");
    let started = world.start().expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1 T003:1");
    world.sprint(&["verify"]).expect(0);
    let calls = world.read("calls");
    assert_eq!(calls.matches("T001").count() + calls.matches("T002").count(), 2, "done once each: {calls}");
    started.stdout
}

#[test]
fn a_damaged_database_is_made_again_from_a_copy_and_from_reports() {
    let (mut world, copy) = stopped_with_an_older_copy();
    let state = world.state();
    for old in fs::read_dir(state.join("snapshots")).unwrap() {
        fs::remove_file(old.unwrap().path()).unwrap();
    }
    fs::copy(&copy, state.join("snapshots/sprint-1.db")).unwrap();
    fs::write(state.join("sprint.db"), "this is no database, though it was one").unwrap();
    let error = world.sprint(&["status"]).expect(3).stderr;
    assert!(error.contains("`sprint start` makes it again from the newest copy"), "{error}");
    let said = go_on(&mut world);
    assert!(said.contains("warning: the database was damaged"), "{said}");
    assert!(said.contains("from the copy sprint-1.db"), "{said}");
    let events = world.sprint(&["events"]).expect(0).stdout;
    assert!(
        events.contains("the database was damaged") && events.contains("its report was found in its file"),
        "{events}"
    );
    let kept =
        fs::read_dir(&state).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    assert_eq!(kept.filter(|name| name.starts_with("sprint.db.damaged-")).count(), 1);
}

/// No error at all tells of it: a log that was removed takes the newest transactions with it.
#[test]
fn transactions_that_are_lost_are_found_in_reports_and_git() {
    let (mut world, copy) = stopped_with_an_older_copy();
    fs::copy(&copy, world.state().join("sprint.db")).unwrap();
    for beside in ["sprint.db-wal", "sprint.db-shm"] {
        let _absent = fs::remove_file(world.state().join(beside));
    }
    let said = go_on(&mut world);
    assert!(!said.contains("damaged"), "{said}");
}

#[test]
fn without_a_whole_copy_it_begins_anew_on_what_has_landed() {
    let (world, _) = stopped_with_an_older_copy();
    let state = world.state();
    fs::remove_dir_all(state.join("snapshots")).unwrap();
    fs::write(state.join("sprint.db"), "nothing").unwrap();
    let refused = world.start().expect(4);
    assert!(refused.stderr.contains("sprint start --base sprint/001-demo"), "{}", refused.stderr);
    world.touch("go");
    world.sprint(&["start", "--base", "sprint/001-demo", "specs/001-demo"]).expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1 T003:2", "the attempt that was stopped has its number");
    let said = world.sprint(&["events"]).expect(0).stdout;
    assert!(said.contains("no copy is whole, so it begins anew"), "{said}");
    let calls = world.read("calls");
    assert_eq!(calls.matches("T001").count() + calls.matches("T002").count(), 2, "done once each: {calls}");
}

#[test]
fn a_backup_is_restored_and_the_sprint_finds_what_came_after_it() {
    let (mut world, _) = stopped_with_an_older_copy();
    let said = world.sprint(&["backup", "../b.db"]).expect(0).stdout;
    assert!(said.contains("3 tasks, 2 of them closed"), "{said}");
    let again = world.sprint(&["backup", "../b.db"]).expect(4);
    assert!(again.stderr.contains("a backup overwrites nothing"), "{}", again.stderr);
    let file = world.path().join("b.db");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap());
    assert_eq!(mode & 0o777, 0o600, "tokens are in it");
    go_on(&mut world);
    let before = world.sprint(&["export"]).expect(0).stdout;
    assert_eq!(
        before.lines().count(),
        world.sprint(&["events", "-n", "99999"]).expect(0).stdout.lines().count()
    );
    assert!(before.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    let said = world.sprint(&["restore", "../b.db"]).expect(0).stdout;
    assert!(said.contains("restored: 3 tasks, 2 of them closed") && said.contains("is kept as"), "{said}");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1 T003:1", "T003 is found to have landed, and not done again");
    world.sprint(&["verify"]).expect(0);
    let events = world.sprint(&["events"]).expect(0).stdout;
    assert!(events.contains("was replaced by a person") && events.contains("T003"), "{events}");
}

#[test]
fn what_is_no_backup_of_this_repository_is_refused() {
    let (world, _) = stopped_with_an_older_copy();
    world.sprint(&["backup", "../b.db"]).expect(0);
    world.file("../no.db", "nothing of ours");
    let error = world.sprint(&["restore", "../no.db"]).expect(3).stderr;
    assert!(error.contains("is no backup of sprint's"), "{error}");
    let other = World::with("- [ ] T001 write a.txt\n", "echo 1 > a.txt; git add -A; git commit -qm 1");
    other.start().expect(0);
    let file = world.path().join("b.db");
    let error = other.sprint(&["restore", file.to_str().unwrap()]).expect(4).stderr;
    assert!(error.contains("of another repository: "), "{error}");
    assert_eq!(other.landed(), "T001:1");
    other.sprint(&["verify"]).expect(0);
}

#[test]
fn a_database_that_was_removed_is_made_again_too() {
    let (mut world, _) = stopped_with_an_older_copy();
    fs::remove_file(world.state().join("sprint.db")).unwrap();
    let error = world.sprint(&["status"]).expect(0).stdout;
    assert!(error.contains("is gone") && error.contains("`sprint start` makes it again"), "{error}");
    let said = go_on(&mut world);
    assert!(said.contains("warning: the database was gone"), "{said}");
}
