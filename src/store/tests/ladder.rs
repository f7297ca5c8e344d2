//! A database that is damaged, cut, empty or gone is made again from what is whole.

use std::fs;

use super::{Case, sha, task_key};
use crate::domain::event::{Event, Request};
use crate::domain::ids::TaskId;
use crate::domain::task::Status;
use crate::store::ladder::{self, Mended, damaged};
use crate::store::open::snapshot_names;
use crate::store::{Client, InboxBody, Store, StoreError};

/// A store with copies of three moments, closed. `work` is in the newest one only.
struct Copies {
    case: Case,
}

impl Copies {
    fn new() -> Self {
        let mut case = Case::new();
        let directory = case.directory.path().join("snapshots");
        case.start();
        case.store.snapshot(&directory, 1).unwrap();
        case.store.snapshot(&directory, 2).unwrap();
        case.work_on();
        case.store.snapshot(&directory, 3).unwrap();
        case.store.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        Self { case }
    }

    fn database(&self) -> std::path::PathBuf {
        self.case.path()
    }

    fn copies(&self) -> std::path::PathBuf {
        self.case.directory.path().join("snapshots")
    }

    fn open(&self, wall_ms: i64) -> (Store, Option<Mended>) {
        let opened = ladder::open(&self.database(), &self.copies(), wall_ms).unwrap();
        assert_eq!(opened.state, opened.store.load().unwrap());
        (opened.store, opened.mended)
    }

    fn damage(path: &std::path::Path) {
        let mut bytes = fs::read(path).unwrap();
        for page in 1..bytes.len() / 4096 {
            bytes[page * 4096..page * 4096 + 64].fill(0xAB);
        }
        fs::write(path, bytes).unwrap();
    }
}

fn is_running(store: &Store) -> bool {
    matches!(store.load().unwrap().tasks[&task_key()].status, Status::Running { .. })
}

#[test]
fn what_is_whole_is_opened_as_it_is() {
    let copies = Copies::new();
    let (store, mended) = copies.open(9);
    assert_eq!(mended, None);
    assert!(is_running(&store) && store.inbox(9).unwrap().is_empty());
    assert!(ladder::is_sound(&copies.database(), &copies.copies()).unwrap());
}

#[test]
fn a_damaged_one_is_made_again_from_the_newest_copy_and_kept() {
    let copies = Copies::new();
    Copies::damage(&copies.database());
    assert!(!ladder::is_sound(&copies.database(), &copies.copies()).unwrap());
    let (store, mended) = copies.open(77);
    let mended = mended.unwrap();
    assert!(is_running(&store), "that is in the newest copy");
    assert_eq!(mended.from, Some(copies.copies().join("sprint-3.db")));
    assert_eq!(mended.kept, Some(copies.case.directory.path().join("sprint.db.damaged-77")));
    let told = store.inbox(9).unwrap();
    let [(_, Ok(InboxBody::Fact(Event::StoreMended { text })))] = &told[..] else { panic!("{told:?}") };
    assert_eq!(text, &mended.text());
    assert!(text.contains("copy sprint-3.db") && text.contains("kept as sprint.db.damaged-77"), "{text}");
    drop(store);
    assert_eq!(copies.open(78).1, None, "and that is that");
}

#[test]
fn a_damaged_copy_is_passed_over_and_without_a_whole_one_it_begins_anew() {
    let copies = Copies::new();
    let names = snapshot_names(&copies.copies());
    Copies::damage(&copies.database());
    Copies::damage(&names[2]);
    let (store, mended) = copies.open(5);
    assert_eq!(mended.unwrap().from, Some(names[1].clone()));
    assert!(!is_running(&store), "that copy is older");
    drop(store);
    Copies::damage(&copies.database());
    for name in &names {
        fs::write(name, "no database").unwrap();
    }
    let (store, mended) = copies.open(6);
    assert!(mended.unwrap().text().contains("begins anew; what has landed is in git"));
    assert!(store.load().unwrap().tasks.is_empty());
    assert_eq!(damaged(&copies.database()).len(), 2);
}

#[test]
fn one_that_is_gone_or_empty_is_made_again_without_what_lay_beside_it() {
    let copies = Copies::new();
    for gone in [true, false] {
        fs::remove_file(copies.database()).unwrap();
        if !gone {
            fs::write(copies.database(), "").unwrap();
        }
        // A log of another database must not be taken for its own.
        fs::write(copies.case.directory.path().join("sprint.db-wal"), "of another one").unwrap();
        let (store, mended) = copies.open(i64::from(gone));
        assert!(mended.unwrap().text().starts_with("the database was gone"));
        assert!(is_running(&store));
    }
}

#[test]
fn rows_that_nobody_can_read_are_damage_too() {
    let copies = Copies::new();
    let broken = "UPDATE tasks SET body = '{}'";
    copies.case.store.connection.execute_batch(broken).unwrap();
    let (store, mended) = copies.open(5);
    assert!(mended.unwrap().why.starts_with("was damaged (a row of tasks"));
    assert!(is_running(&store));
}

#[test]
fn three_damaged_ones_are_kept() {
    let copies = Copies::new();
    for moment in 1..=5 {
        Copies::damage(&copies.database());
        drop(copies.open(moment));
    }
    let names: Vec<String> = damaged(&copies.database())
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["sprint.db.damaged-3", "sprint.db.damaged-4", "sprint.db.damaged-5"]);
}

/// One to four bytes anywhere: it is found and made again, or does no harm. Never an error that ends it.
#[test]
fn flipped_bits_are_found_or_harmless() {
    let copies = Copies::new();
    let whole = fs::read(copies.database()).unwrap();
    let (mut found, mut seed) = (0, 0x2545_f491_4f6c_dd1d_u64);
    let mut dice = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % (1 << 32)).unwrap()
    };
    for case in 0..500 {
        let mut bytes = whole.clone();
        for _ in 0..=dice() % 4 {
            let at = dice() % bytes.len();
            bytes[at] ^= 1 << (dice() % 8);
        }
        fs::write(copies.database(), bytes).unwrap();
        let (store, mended) = copies.open(case);
        found += u32::from(mended.is_some());
        assert_eq!(store.load().unwrap().features.len(), 1, "case {case}");
    }
    assert!(found > 20, "{found} of 500 were found");
}

#[test]
fn a_newer_one_and_one_that_cannot_be_written_are_no_damage() {
    let copies = Copies::new();
    copies.case.store.connection.pragma_update(None, "user_version", 99).unwrap();
    let error = ladder::open(&copies.database(), &copies.copies(), 1).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert!(damaged(&copies.database()).is_empty());
}

/// The report of a run that a copy does not know: the task goes on behind it, once.
#[test]
fn a_found_run_is_written_down_as_ended() {
    let mut case = Case::new();
    let run = case.work();
    let row = case.state.runs[&run].clone();
    let (before, name) = (case.store.name().unwrap(), task_key());
    let mut older = Case::new();
    older.start();
    older.write(Event::FeatureBegun { feature: super::feature_id(), head: sha('1') });
    assert_ne!(older.store.name().unwrap(), before, "every database has its own name");
    assert!(!older.store.knows_run(&run).unwrap());
    let filed = crate::domain::report::Filed {
        run: run.clone(),
        token: row.token,
        report: crate::domain::report::Report::Worked { head: sha('7'), summary: "done".to_owned() },
        spent: None,
        at_once: None,
        given: Some(Box::new(crate::domain::report::Given {
            database: before,
            worker: row.worker,
            job: row.job,
        })),
    };
    older.write(Event::RunFound { filed: Box::new(filed), landed: false });
    assert!(older.store.knows_run(&run).unwrap());
    assert_eq!(older.state.tasks[&name].head, Some(sha('7')));
    let newest = older.store.newest_run(&name.feature, &name.id).unwrap();
    assert!(newest.is_some_and(|newest| newest.as_str() >= run.as_str()));
    assert_eq!(older.store.load().unwrap(), older.state);
}

#[test]
fn what_people_have_asked_for_is_taken_out_of_a_damaged_one() {
    let copies = Copies::new();
    let client = Client::open(&copies.database()).unwrap();
    let ask = |what: &str| {
        let request = Request::Answer { task: TaskId::parse("T001").unwrap().into(), text: what.to_owned() };
        client.append(&InboxBody::Request(request), 5).unwrap()
    };
    // The copy has an answer under this number already.
    ask("red");
    let ids = [ask("blue"), ask("green")];
    drop(client);
    copies.case.store.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // A page that is not the inbox's.
    let page: i64 = {
        let database = rusqlite::Connection::open(copies.database()).unwrap();
        let root = "SELECT rootpage FROM sqlite_master WHERE name = 'features'";
        database.query_row(root, [], |row| row.get(0)).unwrap()
    };
    let mut bytes = fs::read(copies.database()).unwrap();
    let at = (usize::try_from(page).unwrap() - 1) * 4096;
    bytes[at..at + 64].fill(0xAB);
    fs::write(copies.database(), bytes).unwrap();
    let (store, mended) = copies.open(9);
    let mended = mended.unwrap();
    assert_eq!(mended.saved, 2);
    assert!(mended.text().contains("2 commands that waited in it are kept"), "{}", mended.text());
    let waiting = store.inbox(9).unwrap();
    for (id, colour) in ids.iter().zip(["blue", "green"]) {
        let row = waiting.iter().find(|(number, _)| number == id).unwrap();
        assert!(format!("{:?}", row.1).contains(colour), "{row:?}");
    }
}
