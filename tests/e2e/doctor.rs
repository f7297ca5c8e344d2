//! `sprint doctor`: what is broken by hand is named, and `--fix` mends what it says and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use serde_json::Value;

use crate::common::World;

const AGENT: &str = "echo $1 > $1.txt; git add -A; git commit -qm $1";

/// A sprint that is over, with two copies of its database.
fn rested() -> World {
    let world = World::with("- [ ] T001 write a.txt\n", AGENT);
    world.start().expect(0);
    world
}

fn doctor(world: &World, args: &[&str]) -> Value {
    let words: Vec<&str> = ["doctor", "--json"].iter().chain(args).copied().collect();
    world.sprint(&words).json()
}

/// The checks that are not content, by name; without those of what other tests do on this machine meanwhile.
fn named(said: &Value) -> BTreeSet<String> {
    let of_others = |name: &str| matches!(name, "left-groups" | "memory");
    let checks = said["checks"].as_array().unwrap().iter().filter(|check| check["state"] != "ok");
    let names = checks.map(|check| check["name"].as_str().unwrap());
    names.filter(|name| !of_others(name)).map(str::to_owned).collect()
}

/// What `--fix` says of this check.
fn only<'v>(said: &'v Value, check: &str) -> &'v Value {
    let mended = said["mended"].as_array().unwrap().iter().find(|mended| mended["name"] == check);
    mended.unwrap_or_else(|| panic!("nothing is said of {check}: {said:#}"))
}

/// Breaks something, sees that exactly `check` is named besides what was, and that `--fix` mends it or leaves
/// it, as it says.
struct Case<'w> {
    world: &'w World,
    before: BTreeSet<String>,
}

impl Case<'_> {
    #[track_caller]
    fn named(&self, check: &str, harm: impl FnOnce(&World)) -> Value {
        harm(self.world);
        let said = doctor(self.world, &[]);
        let new: Vec<String> = named(&said).difference(&self.before).cloned().collect();
        assert_eq!(new, [check], "{said:#}");
        let row = said["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["name"] == check && row["state"] != "ok");
        let row = row.unwrap().clone();
        assert!(!row["means"].as_str().unwrap().is_empty() && row["fix"].is_string(), "{row:#}");
        row
    }

    #[track_caller]
    fn mended(&self, check: &str, yes: bool, harm: impl FnOnce(&World)) {
        let row = self.named(check, harm);
        assert!(row["mends"].is_string(), "{row:#}");
        if yes {
            let left = doctor(self.world, &["--fix"]);
            assert_eq!(
                only(&left, check)["done"],
                false,
                "nothing is ended or replaced without --yes: {left:#}"
            );
            assert!(named(&left).contains(check), "{left:#}");
        }
        let said = doctor(self.world, if yes { &["--fix", "--yes"] } else { &["--fix"] });
        assert_eq!(only(&said, check)["done"], true, "{said:#}");
        assert!(!named(&said).contains(check), "{said:#}");
    }

    /// Nothing can be mended: it is undone by hand.
    #[track_caller]
    fn told(&self, check: &str, harm: impl FnOnce(&World), undo: impl FnOnce(&World)) {
        let row = self.named(check, harm);
        assert!(row["mends"].is_null(), "{row:#}");
        undo(self.world);
        assert_eq!(named(&doctor(self.world, &["--fix", "--yes"])), self.before);
    }
}

fn state(world: &World, path: &str) -> PathBuf {
    world.state().join(path)
}

fn sql(world: &World, statements: &str) {
    Connection::open(state(world, "sprint.db")).unwrap().execute_batch(statements).unwrap();
}

fn old_lock(world: &World, name: &str) -> PathBuf {
    let path = world.repo().join(".git").join(name);
    let file = fs::File::create(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
    path
}

#[test]
fn what_is_broken_by_hand_is_named_and_mended_as_it_is_said() {
    let world = rested();
    let said = doctor(&world, &["--fix"]);
    let checks = said["checks"].as_array().unwrap();
    let names: BTreeSet<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert!(names.len() >= 40, "{} checks: {names:?}", names.len());
    assert!(checks.iter().all(|check| !check["means"].as_str().unwrap().is_empty()), "{said:#}");
    let case = Case { world: &world, before: named(&said) };

    case.mended("modes", false, |world| {
        fs::set_permissions(world.state(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(state(world, "sprint.db"), fs::Permissions::from_mode(0o644)).unwrap();
    });
    assert_eq!(fs::metadata(state(&world, "sprint.db")).unwrap().permissions().mode() & 0o777, 0o600);
    case.mended("directories", false, |world| fs::remove_dir_all(state(world, "transcripts")).unwrap());
    case.mended("locks", false, |world| drop(old_lock(world, "packed-refs.lock")));
    case.told(
        "locks",
        |world| drop(old_lock(world, "index.lock")),
        |world| {
            fs::remove_file(world.repo().join(".git/index.lock")).unwrap();
        },
    );
    case.mended("worktrees", false, |world| {
        let place = state(world, "worktrees/99");
        world.git(&["worktree", "add", "-q", "--detach", place.to_str().unwrap()]);
        fs::remove_dir_all(place).unwrap();
    });
    case.mended("copies", false, |world| fs::write(state(world, "snapshots/unfinished.db"), "half").unwrap());
    case.mended("left-files", false, |world| fs::create_dir(state(world, "t-999999999")).unwrap());
    case.mended("log", false, |world| {
        let database = Connection::open(state(world, "sprint.db")).unwrap();
        database.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        database.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        let big = format!("{:?}", "x".repeat(70_000_000));
        database.execute("INSERT INTO configs VALUES ('big', ?1)", [&big]).unwrap();
    });
    assert_eq!(fs::metadata(state(&world, "sprint.db-wal")).map_or(0, |log| log.len()), 0);
    case.mended("left-tmux", true, |world| {
        let tmux =
            ["-L", &format!("sprint-{}", world.hash()), "-f", "/dev/null", "new-session", "-d", "sleep 600"];
        assert!(world.command("tmux").args(tmux).status().unwrap().success());
    });
    case.mended("database", true, |world| {
        let path = state(world, "sprint.db");
        let mut bytes = fs::read(&path).unwrap();
        for page in 1..bytes.len() / 4096 {
            bytes[page * 4096..page * 4096 + 64].fill(0xAB);
        }
        fs::write(&path, bytes).unwrap();
    });
    let kept = doctor(&world, &[]);
    assert!(named(&kept).contains("damaged"), "{kept:#}");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn what_only_a_person_can_mend_is_told_with_what_to_do() {
    let world = rested();
    let case = Case { world: &world, before: named(&doctor(&world, &["--fix"])) };
    case.told(
        "branches",
        |world| drop(world.git(&["update-ref", "refs/heads/sprint/001-demo", "HEAD"])),
        |world| {
            let head = Connection::open(state(world, "sprint.db"))
                .unwrap()
                .query_row("SELECT json_extract(body, '$.head') FROM features", [], |row| {
                    row.get::<_, String>(0)
                })
                .unwrap();
            world.git(&["update-ref", "refs/heads/sprint/001-demo", &head]);
        },
    );
    case.told(
        "checked-out",
        |world| drop(world.git(&["checkout", "-q", "sprint/001-demo"])),
        |world| drop(world.git(&["checkout", "-q", "main"])),
    );
    case.told(
        "owner",
        |world| sql(world, "UPDATE meta SET value = 'another' WHERE key = 'repository'"),
        |world| sql(world, &format!("UPDATE meta SET value = '{}' WHERE key = 'repository'", world.hash())),
    );
    case.told(
        "schema",
        |world| sql(world, "PRAGMA user_version = 99"),
        |world| sql(world, &format!("PRAGMA user_version = {}", sprint::store::schema::VERSION)),
    );
    case.told(
        "clock",
        |world| sql(world, "UPDATE events SET wall_ms = wall_ms + 999999999999"),
        |world| sql(world, "UPDATE events SET wall_ms = wall_ms - 999999999999"),
    );
    let report =
        fs::read_dir(state(&world, "runs")).unwrap().flatten().map(|run| run.path().join("report.json"));
    let report = report.into_iter().find(|path| path.exists()).unwrap();
    let text = fs::read(&report).unwrap();
    case.told("reports", |_| fs::write(&report, &text[..9]).unwrap(), |_| fs::write(&report, &text).unwrap());
    let mut left = Command::new("sleep").arg("600").env("SPRINT_STATE", world.state()).spawn().unwrap();
    case.told(
        "left-processes",
        |_| {},
        |_| {
            left.kill().unwrap();
            left.wait().unwrap();
        },
    );
    case.told(
        "disk",
        |world| {
            let text = fs::read_to_string(world.repo().join("sprint.toml")).unwrap();
            world.file("sprint.toml", &text.replace("\"1MB\"", "\"999TB\""));
        },
        World::configure,
    );
    world.assert_nothing_left();
}

#[test]
fn while_a_sprint_runs_nothing_of_it_is_touched() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        &format!("touch $W/here; until [ -e $W/go ]; do sleep 0.1; done\n{AGENT}"),
    );
    world.detach();
    world.wait_until("the agent", || world.exists("here"));
    old_lock(&world, "config.lock");
    let said = doctor(&world, &["--fix", "--yes"]);
    let lock = said["mended"].as_array().unwrap().iter().find(|mended| mended["name"] == "locks");
    let lock = lock.unwrap_or_else(|| panic!("{said:#}"));
    assert_eq!(lock["done"], false, "{said:#}");
    assert!(lock["why"].as_str().unwrap().contains("a sprint runs here"), "{said:#}");
    fs::remove_file(world.repo().join(".git/config.lock")).unwrap();
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1");
    world.assert_nothing_left();
}
