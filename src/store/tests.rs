//! The promises of the store: all or nothing, one writer, nothing lost, nothing believed blindly.

use std::path::{Path, PathBuf};
use std::thread;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Batch, Client, InboxBody, Store, StoreError, reports, snapshot_names};
use crate::domain::away::step_bringing;
use crate::domain::draft::Step;
use crate::domain::effect::{Effect, EffectId};
use crate::domain::event::{Envelope, Event, NewFeature, NewTask, Now, Request};
use crate::domain::ids::{CommitSha, FeatureId, RunId, TaskId, Token, WorkerName};
use crate::domain::pipeline::{Goto, Pipeline, Proof, Role, Stage, StageKind};
use crate::domain::plan::{PlanItem, PlanOptions, plan};
use crate::domain::policy::{Policy, RolePolicy};
use crate::domain::report::{Filed, Report};
use crate::domain::spent::Spent;
use crate::domain::state::State;
use crate::domain::step::step;
use crate::domain::task::{Status, Task, TaskKey};
use crate::domain::worker::ProcRef;

mod ladder;
mod released;

struct Case {
    directory: TempDir,
    store: Store,
    state: State,
    number: u64,
}

fn sha(digit: char) -> CommitSha {
    CommitSha::parse(&digit.to_string().repeat(40)).unwrap()
}

fn feature_id() -> FeatureId {
    FeatureId::parse("001-thing").unwrap()
}

fn task_key() -> TaskKey {
    TaskKey { feature: feature_id(), id: TaskId::parse("T001").unwrap() }
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(&directory.path().join("sprint.db")).unwrap();
        assert_eq!(store.raise_epoch("boot", 0).unwrap(), (1, true));
        Self { directory, store, state: State::default(), number: 0 }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("sprint.db")
    }

    /// An event with what it changes, not written yet and not taken over.
    fn step(&mut self, event: Event) -> (Envelope, Step) {
        self.number += 1;
        let wall_ms = 1_700_000_000_000 + i64::try_from(self.number).unwrap();
        let entropy = format!("{:064x}", self.number);
        let envelope =
            Envelope { now: Now { wall_ms, mono_ms: self.number, utc_offset_s: 0 }, entropy, event };
        let done = step(&self.state, &envelope);
        (envelope, done)
    }

    fn write(&mut self, event: Event) -> i64 {
        let (envelope, done) = self.step(event);
        let numbers =
            self.store.commit(&Batch { steps: vec![(envelope, done.clone())], ..Batch::default() }).unwrap();
        self.state.apply(&done);
        numbers[0]
    }

    fn start(&mut self) -> i64 {
        self.write(Event::Request { id: 1, request: Request::Start { feature: Box::new(feature()) } })
    }

    /// Until a developer has the task.
    fn work(&mut self) -> RunId {
        self.start();
        self.work_on()
    }

    fn work_on(&mut self) -> RunId {
        self.write(Event::FeatureBegun { feature: feature_id(), head: sha('1') });
        let worker = WorkerName::parse("developer-1").unwrap();
        let proc = ProcRef { boot: "boot".to_owned(), pid: 7, start: 1 };
        self.write(Event::WorkerStarted { worker, proc, pane: None });
        self.state.runs.keys().next().unwrap().clone()
    }

    fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.store.connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    }
}

fn feature() -> NewFeature {
    let item = PlanItem {
        id: TaskId::parse("T001").unwrap(),
        line: 1,
        phase: 1,
        story_phase: false,
        after_phases: Vec::new(),
        parallel: false,
        paths: vec!["a.py".to_owned()],
        depends_on: Vec::new(),
        done: false,
    };
    let task = NewTask {
        id: item.id.clone(),
        title: "title".to_owned(),
        done: false,
        dropped: false,
        attempt: 0,
        labels: Vec::new(),
    };
    NewFeature {
        id: feature_id(),
        dir: "specs/001-thing".to_owned(),
        plan: plan(&[item], PlanOptions::default()).unwrap(),
        tasks: vec![task],
        policy: policy(),
        base: sha('1'),
        after: None,
        stay: true,
        answer_wait_ms: 0,
    }
}

fn policy() -> Policy {
    let work = Stage {
        name: crate::domain::ids::StageName::parse("InProgress").unwrap(),
        kind: StageKind::Work,
        role: Role::Developer,
        proof: Proof::Commit,
        attempts: 3,
        timeout_ms: 1000,
        has_work: true,
        on_pass: Goto::Next,
        on_fail: Goto::Stay,
        on_skip: Goto::Skip,
        on_error: Goto::Hold,
    };
    Policy {
        pipeline: Pipeline { stages: vec![work] },
        roles: [(Role::Developer, RolePolicy { max: 1, permanent: false })].into(),
        max_in_flight: 2,
        ..Policy::default()
    }
}

#[test]
fn a_batch_is_written_whole_or_not_at_all() {
    let mut case = Case::new();
    let good = case.step(Event::Request { id: 1, request: Request::Start { feature: Box::new(feature()) } });
    let batch = Batch { steps: vec![good], consumed: vec![99], done: Vec::new() };
    let error = case.store.commit(&batch).unwrap_err();
    assert!(matches!(error, StoreError::Conflict { table: "inbox", .. }), "{error}");
    for table in ["log", "events", "features", "tasks", "results", "outbox"] {
        assert_eq!(case.count(table), 0, "{table}");
    }
    assert_eq!(case.store.load().unwrap(), State::default());
}

#[test]
fn what_is_put_away_comes_back_as_it_was() {
    let mut case = Case::new();
    case.start();
    case.write(Event::FeatureBegun { feature: feature_id(), head: sha('1') });
    let task = || TaskId::parse("T001").unwrap().into();
    case.write(Event::Request { id: 2, request: Request::TaskSkip { task: task() } });
    let (envelope, done) = case.step(Event::Request { id: 3, request: Request::TaskRetry { task: task() } });
    let mut lean = case.state.clone();
    lean.put_away();
    assert!(lean.tasks.is_empty() && lean.knows(&task_key()), "{lean:?}");
    assert_eq!(lean.features[&feature_id()].frozen, std::sync::Arc::default());
    let step = step_bringing(&mut lean, &envelope, |feature| case.store.bring(feature)).unwrap();
    assert_eq!((&step, &lean), (&done, &case.state));
    assert_eq!(step.tasks.len(), 1, "it is tried again");
}

#[test]
fn a_row_that_is_not_in_the_state_that_is_left_is_a_conflict_and_nothing_is_written() {
    let mut case = Case::new();
    case.work();
    let before = case.store.load().unwrap();
    case.store.connection.execute("UPDATE tasks SET status = 'parked'", []).unwrap();
    let (envelope, done) = case.step(Event::Request {
        id: 2,
        request: Request::TaskSkip { task: TaskId::parse("T001").unwrap().into() },
    });
    let error = case.store.commit(&Batch { steps: vec![(envelope, done)], ..Batch::default() }).unwrap_err();
    assert!(
        matches!(&error, StoreError::Conflict { table: "tasks", state, .. } if state == "running"),
        "{error}"
    );
    assert_eq!(case.store.load().unwrap(), before);
}

#[test]
fn a_supervisor_of_an_older_epoch_writes_nothing() {
    let mut case = Case::new();
    let mut newer = Store::open(&case.path()).unwrap();
    assert_eq!(newer.raise_epoch("boot", 0).unwrap(), (2, false));
    let (envelope, done) = case.step(Event::SupervisorStarted { epoch: 1, rebooted: false });
    let error = case.store.commit(&Batch { steps: vec![(envelope, done)], ..Batch::default() }).unwrap_err();
    assert!(matches!(error, StoreError::Fenced { epoch: 1 }), "{error}");
    assert_eq!(case.count("log"), 0);
    assert_eq!(newer.raise_epoch("another boot", 0).unwrap(), (3, true));
}

#[test]
fn a_run_is_over_when_its_report_is_applied_and_its_feature_is_over() {
    let over = |case: &Case| Client::open_read_only(&case.path()).unwrap().runs_over().unwrap();
    let report = |case: &mut Case, report: Report| {
        let run = case.state.runs.values().next().unwrap().clone();
        case.write(Event::RunReported { run: run.id.clone(), token: run.token, report });
        run.id
    };
    let mut case = Case::new();
    case.work();
    assert!(over(&case).is_empty(), "it runs");
    let asked = report(&mut case, Report::Blocked { question: "?".to_owned() });
    assert!(over(&case).is_empty(), "its feature is not over");
    let task = TaskId::parse("T001").unwrap();
    case.write(Event::Request {
        id: 2,
        request: Request::Answer { task: task.into(), text: "!".to_owned() },
    });
    let done = report(&mut case, Report::Worked { head: sha('2'), summary: String::new() });
    assert_eq!(over(&case), [asked, done].into());
}

#[test]
fn an_event_that_changes_nothing_leaves_no_row() {
    let mut case = Case::new();
    case.start();
    let (rows, state) = (case.count("log"), case.state.clone());
    assert_eq!(case.write(Event::TimePassed), 0);
    assert_eq!((case.count("log"), &case.state), (rows, &state));
}

#[test]
fn effects_are_open_until_their_result_and_done_once() {
    let mut case = Case::new();
    let event = case.start();
    let open = case.store.open_effects().unwrap();
    assert!(matches!(&open[..], [(id, Effect::BeginFeature { .. })] if id.event == event), "{open:?}");
    let done: Vec<EffectId> = open.iter().map(|(id, _)| *id).collect();
    case.store.commit(&Batch { done: done.clone(), ..Batch::default() }).unwrap();
    assert_eq!(case.store.open_effects().unwrap(), []);
    assert!(matches!(
        case.store.commit(&Batch { done, ..Batch::default() }),
        Err(StoreError::Conflict { .. })
    ));
}

#[test]
fn a_task_lands_once_whatever_the_state_says() {
    let mut case = Case::new();
    case.work();
    let before = case.state.tasks[&task_key()].clone();
    let mut landing = before.clone();
    landing.status = Status::Landing { entry: case.state.runs.keys().next().unwrap().clone() };
    let mut done = before.clone();
    done.status = Status::Done { commit: sha('2') };
    let row = |before: &_, after: &_| crate::domain::draft::Changed {
        before: Some(Clone::clone(before)),
        after: Some(Clone::clone(after)),
    };
    let (envelope, _) = case.step(Event::TimePassed);
    let write = |store: &mut Store, tasks: Vec<crate::domain::draft::Changed<Task>>| {
        let now_done = |status: &Status| matches!(status, Status::Done { .. });
        let lands = tasks.iter().any(|row| row.after.as_ref().is_some_and(|task| now_done(&task.status)));
        let landed = if lands { vec![(task_key(), sha('2'))] } else { Vec::new() };
        let step = Step { tasks, landed, ..Step::default() };
        store.commit(&Batch { steps: vec![(envelope.clone(), step)], ..Batch::default() })
    };
    write(&mut case.store, vec![row(&before, &landing)]).unwrap();
    write(&mut case.store, vec![row(&landing, &done)]).unwrap();
    write(&mut case.store, vec![row(&done, &landing)]).unwrap();
    assert!(write(&mut case.store, vec![row(&landing, &done)]).is_err());
    assert_eq!(case.count("landings"), 1);
}

#[test]
fn a_worker_may_end_one_run_and_get_the_next_in_one_step() {
    let mut case = Case::new();
    let old = case.work();
    let run = case.state.runs[&old].clone();
    // The clock stands still, or goes back: the ids do not say which run is the older.
    for _ in 0..20 {
        let (id, token) = {
            let run = case.state.runs.values().next().unwrap();
            (run.id.clone(), run.token.clone())
        };
        let report = Report::Interrupted { reason: "x".to_owned() };
        case.write(Event::RunReported { run: id, token, report });
    }
    let client = Client::open(&case.path()).unwrap();
    let now = client.run_of(&run.worker).unwrap().unwrap();
    assert_ne!(now.id, old);
    let active = |run| client.orders_of(run).unwrap().active;
    assert!(active(&now.id) && !active(&old));
    assert_eq!(client.runs_of_task(&feature_id(), "T001").unwrap().len(), 21);
}

fn comment(text: &str) -> InboxBody {
    let run = RunId::parse("018bcff4-aa40-7c8a-bde7-073c3f848027").unwrap();
    InboxBody::Fact(Event::Comment {
        run,
        token: Token::parse(&"a".repeat(64)).unwrap(),
        text: text.to_owned(),
    })
}

#[test]
fn the_inbox_keeps_its_order_and_a_row_that_cannot_be_read_blocks_no_other() {
    let case = Case::new();
    let client = Client::open(&case.path()).unwrap();
    let first = client.append(&comment("one"), 1).unwrap();
    case.store
        .connection
        .execute("INSERT INTO inbox (wall_ms, body) VALUES (2, '{\"fact\":7}')", [])
        .unwrap();
    client.append(&comment("two"), 3).unwrap();
    let rows = case.store.inbox(10).unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!((rows[0].0, rows[0].1.as_ref().unwrap()), (first, &comment("one")));
    assert!(rows[1].1.is_err());
    case.store.drop_inbox(rows[1].0).unwrap();
    assert_eq!(case.store.inbox(1).unwrap().len(), 1, "no more than is asked for");
    assert_eq!(client.overview().unwrap().inbox, (2, Some(1)));
}

#[test]
fn what_a_run_used_is_written_once_and_only_for_its_own_token() {
    let mut case = Case::new();
    case.work();
    let run = case.state.runs.values().next().unwrap().clone();
    let spent = |output| Spent { agent: "codex".to_owned(), input: 1000, output, ..Spent::default() };
    let other = Token::parse(&"f".repeat(64)).unwrap();
    case.write(Event::RunSpent { run: run.id.clone(), token: other, spent: spent(1) });
    case.write(Event::RunSpent { run: run.id.clone(), token: run.token.clone(), spent: spent(30) });
    case.write(Event::RunSpent { run: run.id.clone(), token: run.token, spent: spent(99) });
    let rows = Client::open(&case.path()).unwrap().spent().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].run.as_str(), rows[0].output, rows[0].role.as_str()),
        (run.id.as_str(), 30, "developer")
    );
    assert_eq!((rows[0].cached, rows[0].cost_micro_usd), (None, None));
}

#[test]
fn what_an_older_sprint_wrote_down_is_read_before_and_after_the_migration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sprint.db");
    let mut connection = Connection::open(&path).unwrap();
    super::schema::migrations().to_version(&mut connection, 2).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    let row = "INSERT INTO spent VALUES ('r', 1, 'f', NULL, NULL, 'developer', 1, 'pi', '', 10, 2, NULL, 7)";
    connection.execute(row, []).unwrap();
    drop(connection);
    let read = || {
        let rows = Client::open(&path).unwrap().spent().unwrap();
        (rows.len(), rows[0].cost_micro_usd, rows[0].estimated.clone())
    };
    assert_eq!(read(), (1, Some(7), None));
    Store::open(&path).unwrap();
    assert_eq!(read(), (1, Some(7), None));
    let of = |feature| Client::open(&path).unwrap().spent_of(&FeatureId::parse(feature).unwrap()).unwrap();
    assert_eq!((of("f").len(), of("other").len()), (1, 0));
}

#[test]
fn rows_of_an_older_sprint_have_used_nothing() {
    let mut case = Case::new();
    case.work();
    let older = |json: serde_json::Value| {
        let mut json = json;
        for key in ["used", "counted", "told", "over", "at_once", "days", "holds"] {
            json.as_object_mut().unwrap().remove(key);
        }
        json
    };
    let state = &case.state;
    let (run, task) = (state.runs.values().next().unwrap(), state.tasks.values().next().unwrap());
    let back: crate::domain::state::Run =
        serde_json::from_value(older(serde_json::to_value(run).unwrap())).unwrap();
    assert_eq!(back, *run);
    let back: crate::domain::task::Task =
        serde_json::from_value(older(serde_json::to_value(task).unwrap())).unwrap();
    assert_eq!(back, *task);
    let sprint = serde_json::to_value(&state.sprint).unwrap();
    assert_eq!(serde_json::from_value::<crate::domain::state::Sprint>(older(sprint)).unwrap(), state.sprint);
}

#[test]
fn ten_writers_at_once_lose_nothing() {
    let case = Case::new();
    let path = case.path();
    let append = |path: &Path, writer: usize| {
        let client = Client::open(path).unwrap();
        for row in 0..20 {
            client.append(&comment(&format!("{writer}-{row}")), 0).unwrap();
        }
    };
    thread::scope(|scope| {
        for writer in 0..10 {
            let path = &path;
            scope.spawn(move || append(path, writer));
        }
    });
    let rows = case.store.inbox(1000).unwrap();
    let texts: std::collections::BTreeSet<String> = rows.iter().map(|row| format!("{:?}", row.1)).collect();
    assert_eq!((rows.len(), texts.len()), (200, 200));
}

#[test]
fn the_result_of_a_request_goes_to_whoever_asked() {
    let mut case = Case::new();
    let client = Client::open(&case.path()).unwrap();
    assert_eq!(client.result(1).unwrap(), None);
    case.start();
    assert_eq!(client.result(1).unwrap().unwrap().message, "feature 001-thing is queued");
    assert_eq!(client.last_events(1).unwrap()[0].seq, client.last_event().unwrap());
    assert_eq!(client.events_after(0, 1).unwrap().len(), 1);
    assert_eq!(client.overview().unwrap().state, case.state);
}

#[test]
fn a_client_needs_a_database_and_makes_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sprint.db");
    assert!(matches!(Client::open(&path), Err(StoreError::Missing(_))));
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(matches!(Client::open_read_only(&path), Err(StoreError::Missing(_))));
}

#[test]
fn a_newer_database_is_refused_by_everybody() {
    let case = Case::new();
    case.store.connection.pragma_update(None, "user_version", 99).unwrap();
    let newer = |error: StoreError| matches!(error, StoreError::Newer { found: 99, .. });
    assert!(newer(Store::open(&case.path()).unwrap_err()));
    assert!(newer(Client::open(&case.path()).unwrap_err()));
}

#[test]
fn a_damaged_database_is_refused_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sprint.db");
    std::fs::write(&path, "this is no database, though it is long enough to be one").unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { path: at, .. } if *at == path), "{error}");

    let mut case = Case::new();
    case.start();
    case.store.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let path = case.path();
    drop(case.store);
    let mut bytes = std::fs::read(&path).unwrap();
    for page in 1..bytes.len() / 4096 {
        bytes[page * 4096..page * 4096 + 64].fill(0xAB);
    }
    std::fs::write(&path, bytes).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_read_only_database_can_be_read_and_says_so_when_it_is_written() {
    let mut case = Case::new();
    case.start();
    let client = Client::open_read_only(&case.path()).unwrap();
    assert_eq!(client.overview().unwrap().state, case.state);
    assert!(matches!(client.append(&comment("x"), 0), Err(StoreError::ReadOnly(_))));
}

#[test]
fn snapshots_open_by_themselves_and_three_are_kept() {
    let mut case = Case::new();
    case.start();
    let directory = case.directory.path().join("snapshots");
    for moment in 1..=5 {
        case.store.snapshot(&directory, moment).unwrap();
    }
    let kept = snapshot_names(&directory);
    let names: Vec<_> =
        kept.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["sprint-3.db", "sprint-4.db", "sprint-5.db"]);
    assert_eq!(Store::open(&kept[0]).unwrap().load().unwrap(), case.state);
}

#[test]
fn a_report_file_is_whole_or_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let InboxBody::Fact(Event::Comment { run, token, .. }) = comment("") else { panic!() };
    let filed = Filed {
        run,
        token,
        report: Report::Interrupted { reason: "x".to_owned() },
        spent: None,
        at_once: None,
        given: None,
    };
    assert_eq!(reports::read(directory.path()).unwrap(), None);
    std::fs::write(directory.path().join("report.part"), "{").unwrap();
    assert_eq!(reports::read(directory.path()).unwrap(), None);
    reports::write(directory.path(), &filed).unwrap();
    assert_eq!(reports::read(directory.path()).unwrap(), Some(filed));
    std::fs::write(reports::path(directory.path()), "{\"run\":").unwrap();
    assert!(matches!(reports::read(directory.path()), Err(StoreError::Row { .. })));
}

#[test]
fn every_state_word_fits_the_constraints() {
    let connection = Connection::open_in_memory().unwrap();
    let mut connection = connection;
    super::schema::migrations().to_latest(&mut connection).unwrap();
    let refused =
        connection.execute("INSERT INTO workers (name, life, body) VALUES ('x', 'happy', '{}')", []);
    assert!(refused.is_err());
    for life in ["absent", "starting", "idle", "busy", "ending", "clearing", "backoff", "broken"] {
        connection.execute("INSERT INTO workers (name, life, body) VALUES (?1, ?1, '{}')", [life]).unwrap();
    }
}

/// `start` by several people at once: one makes the database, the others find it made.
#[test]
fn a_new_database_may_be_opened_by_many_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sprint.db");
    let open = || Store::open(&path).map(drop);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        for one in all {
            one.join().unwrap().unwrap();
        }
    });
}
