//! `sprint verify`: says that everything holds where it does, and which promise is broken when each
//! of them is broken by hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::common::World;

/// Two tasks land, one of them at its second attempt; two others are parked with their work.
fn rested() -> World {
    let mut world = World::with(
        "- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n- [ ] T003 [P] write c.txt\n- [ ] T004 [P] write d.txt\n",
        "case $1 in T001) echo good > a.txt;; T002) [ $SPRINT_ATTEMPT = 1 ] && echo bad > b.txt || echo good > b.txt;; \
         T003) echo bad > c.txt;; T004) echo bad > d.txt;; esac\ngit add -A; git commit -qm \"$1 $SPRINT_ATTEMPT\"",
    );
    world.gate("words", "! grep -q bad *.txt");
    world.configure();
    world.commit("base");
    world.start().expect(1);
    world
}

/// The repository and the state, to be harmed and brought back.
struct Sound<'w> {
    world: &'w World,
    kept: PathBuf,
}

impl<'w> Sound<'w> {
    fn of(world: &'w World) -> Self {
        let sound = Self { world, kept: world.path().join("sound") };
        std::fs::create_dir(&sound.kept).unwrap();
        for (name, place) in sound.places() {
            copy(&place, &sound.kept.join(name));
        }
        sound
    }

    fn places(&self) -> [(&'static str, PathBuf); 2] {
        [("git", self.world.repo().join(".git")), ("state", self.world.state())]
    }

    /// After `harm`, exactly these promises are said to be broken; then all is as before.
    #[track_caller]
    fn breaks(&self, promises: &[&str], harm: impl FnOnce(&World)) {
        harm(self.world);
        let said = self.world.sprint(&["verify", "--json"]).expect(1).json();
        let broken = said["broken"].as_array().unwrap().iter();
        let named: BTreeSet<&str> = broken.map(|broken| broken["invariant"].as_str().unwrap()).collect();
        assert_eq!(named, promises.iter().copied().collect(), "{said:#}");
        let rows = said["invariants"].as_array().unwrap();
        let red: BTreeSet<&str> = rows
            .iter()
            .filter(|row| row["holds"] == false && row["seen"] == true)
            .map(|row| row["name"].as_str().unwrap())
            .collect();
        assert_eq!(named, red);
        for (name, place) in self.places() {
            std::fs::remove_dir_all(&place).unwrap();
            copy(&self.kept.join(name), &place);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn sql(world: &World, statements: &str) {
    let database = Connection::open(world.state().join("sprint.db")).unwrap();
    database.execute_batch(&format!("PRAGMA foreign_keys = off; {statements}")).unwrap();
}

fn tip(world: &World) -> String {
    world.git(&["rev-parse", "sprint/001-demo"])
}

/// The last landing with another tree in its place, in git and in every row.
fn forge_last_tree(world: &World) {
    let (old, base) = (tip(world), world.git(&["rev-parse", "main"]));
    let old_tree = world.git(&["rev-parse", &format!("{old}^{{tree}}")]);
    let index = world.path().join("index");
    let git = |args: &[&str]| {
        let mut command = world.command("git");
        command.args(args).current_dir(world.repo()).env("GIT_INDEX_FILE", &index);
        world.spawn_command(command).end().expect(0).stdout.trim().to_owned()
    };
    git(&["read-tree", &old]);
    let file = git(&["rev-parse", &format!("{base}:specs/001-demo/tasks.md")]);
    git(&["update-index", "--cacheinfo", &format!("100644,{file},specs/001-demo/tasks.md")]);
    let tree = git(&["write-tree"]);
    let message = git(&["log", "-1", "--format=%B", &old]);
    let parents: Vec<String> =
        git(&["log", "-1", "--format=%P", &old]).split(' ').map(ToOwned::to_owned).collect();
    let new = git(&["commit-tree", &tree, "-p", &parents[0], "-p", &parents[1], "-m", &message]);
    git(&["update-ref", "refs/heads/sprint/001-demo", &new]);
    for (old, new) in [(&old, &new), (&old_tree, &tree)] {
        let both = format!(
            "UPDATE tasks SET body = replace(body, '{old}', '{new}');
             UPDATE features SET body = replace(body, '{old}', '{new}');
             UPDATE landings SET commit_ = replace(commit_, '{old}', '{new}');"
        );
        sql(world, &both);
    }
}

#[test]
fn every_promise_that_is_broken_by_hand_is_named() {
    let world = World::new();
    let none = world.sprint(&["verify"]).expect(0);
    assert!(none.stdout.contains("nothing to verify"), "{}", none.stdout);
    drop(world);

    let world = rested();
    let said = world.sprint(&["verify"]).expect(0).stdout;
    assert!(said.contains("4 tasks, 2 landed") && !said.contains("BROKEN"), "{said}");
    let promises = said.split_once("\n\n").unwrap().1;
    insta::assert_snapshot!("verify_holds", promises);

    let sound = Sound::of(&world);
    sound.breaks(&["database"], |world| sql(world, "DELETE FROM features"));
    sound.breaks(&["database"], |world| {
        std::fs::write(world.state().join("sprint.db"), "not one").unwrap();
        let said = world.sprint(&["verify"]).expect(1).stdout;
        assert_eq!(said.matches("not looked at").count(), 11, "{said}");
        assert!(!said.contains("holds"), "nothing is said to hold that nobody could see: {said}");
    });
    sound.breaks(&["epochs"], |world| sql(world, "UPDATE meta SET value = '0' WHERE key = 'epoch'"));
    sound.breaks(&["owners"], |world| {
        sql(world, "UPDATE runs SET status = 'active' WHERE rowid = (SELECT max(rowid) FROM runs WHERE task = 'T001')");
    });
    sound.breaks(&["convoys"], |world| {
        sql(
            world,
            "UPDATE features SET frozen = json_set(frozen, '$.plan.convoys', json('[[\"T003\",\"T004\"]]'));
             UPDATE tasks SET status = 'waiting', body = json_set(body, '$.status.kind', 'waiting')
             WHERE status = 'parked'",
        );
    });
    sound.breaks(&["reports"], |world| {
        let runs = std::fs::read_dir(world.state().join("runs")).unwrap().flatten();
        let report = runs.map(|run| run.path().join("report.json")).find(|path| path.exists()).unwrap();
        let text = std::fs::read(&report).unwrap();
        std::fs::write(&report, &text[..text.len() / 2]).unwrap();
    });
    sound.breaks(&["head", "landings"], |world| {
        world.git(&["update-ref", "refs/heads/sprint/001-demo", "sprint/001-demo^"]);
    });
    sound.breaks(&["chain"], |world| {
        let new = world.git(&["commit-tree", "-p", &tip(world), "-m", "by hand", "sprint/001-demo^{tree}"]);
        world.git(&["update-ref", "refs/heads/sprint/001-demo", &new]);
        sql(world, &format!("UPDATE features SET body = json_set(body, '$.head', '{new}')"));
    });
    sound.breaks(&["landings"], |world| sql(world, "DELETE FROM landings WHERE task = 'T001'"));
    sound.breaks(&["gated"], |world| {
        sql(world, "UPDATE tasks SET body = json_set(body, '$.gates[0].verdict', 'fail') WHERE id = 'T002'");
    });
    sound.breaks(&["boxes"], forge_last_tree);
    sound.breaks(&["objects"], |world| {
        let blob = world.git(&["rev-parse", "sprint/001-demo:a.txt"]);
        let file = world.repo().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
        std::fs::remove_file(file).unwrap();
    });
    // libgit2 would read on in it for ever.
    sound.breaks(&["objects"], |world| {
        let tree = world.git(&["rev-parse", "sprint/001-demo^{tree}"]);
        let file = world.repo().join(".git/objects").join(&tree[..2]).join(&tree[2..]);
        let whole = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    });
    sound.breaks(&["kept"], |world| {
        let refs =
            world.git(&["for-each-ref", "--format=%(refname)", "refs/sprint", "refs/heads/sprint-task"]);
        assert!(refs.contains("T003"), "{refs}");
        refs.lines().for_each(|name| {
            world.git(&["update-ref", "-d", name]);
        });
    });
    world.sprint(&["verify"]).expect(0);
    world.assert_nothing_left();
}
