//! A machine on which something is missing, old, full or broken.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::Signal;

use super::{WRITES, nothing_made, refusal, world};
use crate::common::{SPRINT, World, processes};

/// A directory for PATH with links to these programs only.
fn only(world: &World, programs: &[&str]) -> PathBuf {
    let bin = world.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    for program in programs {
        let path = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|directory| directory.join(program))
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("this machine has no {program}"));
        std::os::unix::fs::symlink(path, bin.join(program)).unwrap();
    }
    bin
}

#[test]
fn programs_that_are_missing_or_old() {
    let mut text = String::new();
    let mut case = |name: &str, links: &[&str], fakes: &[(&str, &str)]| {
        let mut world = world();
        let bin = only(&world, links);
        for (program, says) in fakes {
            world.program(&format!("bin/{program}"), &format!("echo '{says}'"));
        }
        world.env("PATH", &bin);
        text.push_str(&format!("# {name}\n{}\n", refusal(&world, &["specs/001-demo"])));
    };
    case("no tmux", &["git", "bash"], &[]);
    case("no git", &["tmux", "bash"], &[]);
    case("an old tmux", &["git", "bash"], &[("tmux", "tmux 3.1c")]);
    case("a strange tmux", &["git", "bash"], &[("tmux", "what?")]);
    case("an old git", &["tmux", "bash"], &[("git", "git version 2.37.4")]);
    insta::assert_snapshot!(text);
}

fn database(world: &World) -> PathBuf {
    world.state().join("sprint.db")
}

/// A world whose only task waits for an answer: its state is wanted.
fn rested() -> World {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        &format!("[ -n \"$SPRINT_ANSWER\" ] || {{ echo 'BLOCKED: well?'; exit 0; }}\n{WRITES}"),
    );
    world.start().expect(1);
    world
}

#[test]
fn databases() {
    let mut text = String::new();
    // The last one makes a damaged database again.
    let commands =
        [vec!["status"], vec!["answer", "T001", "x"], vec!["health"], vec!["start", "specs/001-demo"]];
    let mut case = |name: &str, breaks: &dyn Fn(&World)| {
        let world = rested();
        breaks(&world);
        for args in &commands {
            let shown = world.sprint(args);
            assert_ne!(shown.code, 70, "{}", shown.shown());
            if args[0] == "health" {
                assert_eq!(shown.code, 3);
                continue;
            }
            text.push_str(&format!(
                "# {name}\n$ sprint {}\n{}\n\n",
                args.join(" "),
                world.redact(&shown.shown())
            ));
        }
        world.assert_nothing_left();
    };
    case("corrupt", &|world| {
        fs::write(database(world), "this is no database, whatever its name says\n".repeat(200)).unwrap();
    });
    case("newer", &|world| {
        let connection = rusqlite::Connection::open(database(world)).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
    });
    insta::assert_snapshot!(text);
}

#[test]
fn a_database_that_cannot_be_written() {
    if nix::unistd::getuid().is_root() {
        // Root may write everything: an immutable file, or a read-only bind mount, would need more
        // than a test should do to its machine. A directory in its place is refused for anyone.
        eprintln!("note: run as root, so a directory stands for what cannot be written");
    }
    let world = rested();
    let path = database(&world);
    if nix::unistd::getuid().is_root() {
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
    } else {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    }
    let shown = world.start().expect(3);
    assert!(shown.stderr.contains("sprint.db"), "{}", shown.stderr);
    let shown = world.sprint(&["answer", "T001", "x"]).expect(3);
    assert!(shown.stderr.contains("sprint.db"), "{}", shown.stderr);
    world.assert_nothing_left();
}

#[test]
fn a_state_directory_that_cannot_be_made() {
    let world = world();
    fs::write(world.path().join("s/sprint"), "a file in its place").unwrap();
    let shown = world.start().expect(3);
    assert!(shown.stderr.contains("s/sprint"), "{}", shown.stderr);
    world.assert_nothing_left();
}

/// Every file may have so many bytes only, as on a disk that is full: writes fail with EFBIG.
#[test]
fn a_disk_that_is_full() {
    let world = world();
    let mut command = world.command("bash");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f 8; exec {SPRINT} start specs/001-demo")]);
    let shown = world.spawn_command(command).end();
    assert_eq!(shown.code, 3, "{}", shown.shown());
    assert!(shown.stderr.contains("error: "), "{}", shown.stderr);
    world.wait_until("everything ends", || world.processes().is_empty());
    // With room again everything goes on.
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn a_second_supervisor_is_refused_and_the_first_goes_on() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        &format!("touch $W/here; until [ -e $W/go ]; do sleep 0.05; done\n{WRITES}"),
    );
    world.detach();
    world.wait_until("the agent", || world.exists("here"));
    let second = world.sprint(&["supervise", "--repository", world.repo().to_str().unwrap()]);
    assert_eq!(second.code, 4, "{}", second.shown());
    assert!(second.stderr.contains("another supervisor"), "{}", second.stderr);
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1");
    world.assert_nothing_left();
}

#[test]
fn signals_end_the_following_only() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let world = World::with(
            "- [ ] T001 write a.txt\n",
            &format!("touch $W/here; until [ -e $W/go ]; do sleep 0.05; done\n{WRITES}"),
        );
        let follower = world.spawn(&["start", "specs/001-demo"]);
        world.wait_until("the agent", || world.exists("here"));
        follower.signal(signal);
        let shown = follower.end().expect(1);
        assert!(shown.stdout.contains("the sprint goes on"), "{signal}: {}", shown.stdout);
        let supervisor = world.supervisor().unwrap();
        world.touch("go");
        world.wait_until("the end of the sprint", || !processes::alive(supervisor));
        assert_eq!(world.landed(), "T001:1");
        world.assert_nothing_left();
    }
}

#[test]
fn a_closed_standard_output_ends_quietly() {
    let world = World::demo();
    let mut command = world.command("bash");
    command.args([
        "-c",
        &format!(
            "set -o pipefail; {SPRINT} start specs/001-demo | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}"
        ),
    ]);
    let shown = world.spawn_command(command).end();
    assert!(!shown.stderr.contains("panicked"), "{}", shown.stderr);
    world.wait_until("the end of the sprint", || world.processes().is_empty());
    assert_eq!(world.landed_of("001-demo").len(), 4, "the sprint goes on without a reader");
    for args in [["status", "--json"], ["tasks", "lint"]] {
        let mut command = world.command("bash");
        command.args(["-c", &format!("exec {SPRINT} {} >&-", args.join(" "))]).stdin(Stdio::null());
        let shown = world.spawn_command(command).end();
        assert!(!shown.stderr.contains("panicked") && shown.code != 70, "{}", shown.shown());
    }
}

#[test]
fn a_dry_run_on_a_machine_without_tools_still_says_what_is_missing() {
    let mut world = World::new();
    world.feature("001-demo", "- [ ] T001 write a.txt\n");
    world.agent(WRITES);
    world.set("gate.x.stage", "\"InTests\"");
    world.set("gate.x.command", "[\"no-such-tool\"]");
    world.configure();
    world.commit("base");
    let shown = world.sprint(&["start", "--dry-run", "specs/001-demo"]).expect(3);
    assert!(shown.stderr.contains("no-such-tool"), "{}", shown.stderr);
    nothing_made(&world);
}
