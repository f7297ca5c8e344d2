//! Agents, gates and people that misbehave. Nothing finished is lost, nothing red lands, and a
//! person is told why.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails loudly, and shares what is in common/"
)]

mod common;

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use common::{World, processes, task_row};

/// Two tasks side by side that begin on the same head: each waits until the other has begun.
const TOGETHER: &str = "touch $W/here.$1.$SPRINT_ATTEMPT\n\
    if [ $SPRINT_ATTEMPT = 1 ]; then until [ -e $W/here.T001.1 ] && [ -e $W/here.T002.1 ]; do sleep 0.02; done; fi\n";

fn pair(agent: &str) -> World {
    let world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n");
    world.agent(&format!("{TOGETHER}{agent}\ngit add -A; git commit -qm $1"));
    world
}

/// The gate is green on every landed commit.
fn all_green(world: &World, gate: &str) {
    for commit in world.git(&["rev-list", "--first-parent", "main..sprint/001-demo"]).lines() {
        let tree = world.path().join(format!("tree-{commit}"));
        world.git(&["worktree", "add", "-q", "--detach", tree.to_str().unwrap(), commit]);
        let mut command = world.command("bash");
        command.arg(format!("./gate-{gate}.sh")).current_dir(&tree);
        world.spawn_command(command).end().expect(0);
    }
}

#[test]
fn clean_apart_and_red_together_is_repaired_before_it_lands() {
    let mut world = pair(
        "case $1 in T001) echo taken > a.txt;; T002) if [ -e a.txt ]; then echo free > b.txt; else echo taken > b.txt; fi;; esac",
    );
    world.gate("one", "[ \"$(cat a.txt b.txt 2>/dev/null | grep -c taken)\" -le 1 ]");
    world.configure();
    world.commit("base");
    let shown = world.start();
    let landed = world.landed();
    // Whoever lands second is red on top of the first. T001 has no way out and keeps its red.
    if landed == "T001:1 T002:2" {
        assert_eq!(shown.code, 0);
    } else {
        assert_eq!((landed.as_str(), shown.code), ("T002:1", 1), "{}", shown.shown());
    }
    all_green(&world, "one");
    world.assert_nothing_left();
}

#[test]
fn a_textual_conflict_goes_back_to_the_developer_with_its_paths() {
    let world = pair(
        "[ -z \"$SPRINT_FEEDBACK\" ] || printf '%s' \"$SPRINT_FEEDBACK\" > $W/feedback\n\
         echo $1 > $1.txt; sed -i \"1i $1\" shared.txt",
    );
    world.file("shared.txt", "begin\n");
    world.configure();
    world.commit("base");
    world.start().expect(0);
    assert_eq!(world.landed_file("shared.txt").lines().count(), 3);
    let attempts: Vec<u32> = world.landed_of("001-demo").iter().map(|(_, attempt)| *attempt).collect();
    assert_eq!(attempts, [1, 2]);
    let feedback = world.read("feedback");
    assert!(feedback.contains("conflict") && feedback.contains("shared.txt"), "{feedback}");
    assert!(!world.landed_file("shared.txt").contains("<<<<"));
    world.assert_nothing_left();
}

#[test]
fn two_entries_at_once_land_one_after_the_other_each_gated_on_its_own_tree() {
    let mut world = pair("echo $1 > $1.txt");
    world.gate("trees", "git rev-parse HEAD^{tree} >> $W/gated");
    world.configure();
    world.commit("base");
    world.start().expect(0);
    let mut landed: Vec<String> = world.landed().split(' ').map(str::to_owned).collect();
    landed.sort();
    assert_eq!(landed, ["T001:1", "T002:1"]);
    let gated = world.read("gated");
    for commit in world.git(&["rev-list", "--first-parent", "main..sprint/001-demo"]).lines() {
        let tree = world.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
        assert!(gated.contains(&tree), "{tree} was never judged");
    }
}

#[test]
fn a_gate_that_edits_files_is_void() {
    let reason = reason_of_a_vandal("echo changed > a.txt");
    assert!(reason.contains("it changed tracked files (`a.txt`)"), "{reason}");
}

#[test]
fn a_gate_that_commits_is_void() {
    let reason = reason_of_a_vandal("git -c user.name=v -c user.email=v@v commit -q --allow-empty -m v");
    assert!(reason.contains("while it ran, HEAD moved from "), "{reason}");
}

/// Why a task waits whose gate did that to the candidate; nothing is landed.
fn reason_of_a_vandal(deed: &str) -> String {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.agent("echo a > a.txt; git add -A; git commit -qm a");
    world.file("a.txt", "begin\n");
    world.gate("vandal", &format!("grep -q begin a.txt || {deed}"));
    world.configure();
    world.commit("base");
    // The gate errs, which is repeated for 70 s: only the first of them is waited for.
    world.detach();
    let status = world.wait_for("the gate's error", |status| {
        task_row(status, "T001")["reason"].as_str().is_some_and(|reason| reason.contains("vandal"))
    });
    assert_ne!(task_row(&status, "T001")["state"], "Done");
    assert_eq!(world.landed(), "");
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
    task_row(&status, "T001")["reason"].as_str().unwrap().to_owned()
}

#[test]
fn exit_0_without_a_commit_is_a_claim_without_proof() {
    let world = World::with("- [ ] T001 write a.txt\n", "echo run >> $W/runs; exit 0");
    world.start().expect(1);
    assert_eq!(world.read("runs").lines().count(), 3, "three attempts");
    let status = world.status();
    assert_eq!(task_row(&status, "T001")["state"], "Parked");
    assert!(
        task_row(&status, "T001")["reason"].as_str().unwrap().contains("nothing was changed"),
        "{status:#}"
    );
    assert_eq!(world.landed(), "");
}

/// An attempt whose work lies in a repository of its own, and one that keeps to the rules.
fn nested(how: &str) -> World {
    let world = World::with(
        "- [ ] T001 write sub/a.txt\n",
        &format!(
            "mkdir sub; echo a > sub/a.txt\nif [ $SPRINT_ATTEMPT = 1 ]; then git -C sub init -q; {how}; exit 0; fi\n\
             printf '%s' \"$SPRINT_FEEDBACK\" > $W/feedback; git add -A; git commit -qm a"
        ),
    );
    let shown = world.start().expect(0);
    assert_eq!(world.landed(), "T001:2");
    assert_eq!(world.landed_file("sub/a.txt"), "a");
    assert!(shown.stdout.contains("`sub` is a git repository of its own"), "{}", shown.stdout);
    let feedback = world.read("feedback");
    assert!(feedback.contains("remove `sub/.git`"), "{feedback}");
    let transcripts = walk(&world.state().join("transcripts"));
    let texts: Vec<String> = transcripts.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(texts.iter().any(|text| text.contains("`sub` is a git repository of its own")), "{texts:?}");
    assert_eq!(world.git(&["show", "refs/sprint/wip/001-demo/T001/1:sub/a.txt"]), "a", "and nothing is lost");
    world.assert_nothing_left();
    world
}

#[test]
fn a_repository_in_the_worktree_is_named_and_its_files_do_not_vanish() {
    nested("echo b > b.txt");
}

#[test]
fn a_repository_that_is_all_there_is_is_named_too() {
    let world = nested(":");
    assert!(world.read("feedback").contains("nothing else was changed"), "{}", world.read("feedback"));
}

#[test]
fn a_repository_that_was_committed_as_a_link_does_not_land() {
    let world = nested(
        "git -C sub add -A; git -C sub -c user.name=a -c user.email=a@example.invalid commit -qm sub; git add sub; git commit -qm sub",
    );
    assert!(world.read("feedback").contains("git rm --cached sub"), "{}", world.read("feedback"));
}

#[test]
fn commits_to_other_branches_do_not_count_and_stay_where_they_are() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "if [ $SPRINT_ATTEMPT = 1 ]; then git switch -q -c elsewhere; fi\necho a > a.txt; git add -A; git commit -qm a",
    );
    world.start().expect(0);
    let landed = world.landed();
    assert!(landed == "T001:2" || landed == "T001:1", "{landed}");
    assert_eq!(world.landed_file("a.txt"), "a");
    assert_eq!(world.git(&["show", "elsewhere:a.txt"]), "a", "nothing of it is lost");
    world.assert_nothing_left();
}

/// T001 lands; T002's agent moves the integration branch and does its own work.
fn moved(how: &str) -> World {
    let world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n",
        &format!("if [ $1 = T002 ]; then {how}; fi\necho $1 > $1.txt; git add -A; git commit -qm $1"),
    );
    let shown = world.start().expect(1);
    world.assert_nothing_left();
    assert!(shown.stdout.contains("landing is halted"), "{}", shown.stdout);
    let first = "  do not take sprint/001-demo over yet; first: sprint resume --";
    assert!(shown.stdout.contains(first) && !shown.stdout.contains("git merge"), "{}", shown.stdout);
    assert!(shown.stdout.contains("  then: sprint start specs/001-demo\n"), "{}", shown.stdout);
    let status = world.status();
    assert_eq!(status["needs_you"][0]["kind"], "landing", "{status:#}");
    world
}

/// A commit on top of the integration branch, made without a checkout.
const FOREIGN: &str = "t=$(git rev-parse sprint/001-demo^{tree}); c=$(git commit-tree -p sprint/001-demo -m foreign $t); \
                       git update-ref refs/heads/sprint/001-demo $c; echo $c > $W/foreign";

#[test]
fn a_moved_integration_branch_halts_landing_until_it_is_adopted() {
    let world = moved(FOREIGN);
    assert!(world.sprint(&["status"]).expect(0).stdout.contains("      sprint resume --adopt "));
    let foreign = world.read("foreign").trim().to_owned();
    assert_eq!(world.git(&["rev-parse", "sprint/001-demo"]), foreign, "nobody touched it");
    world.detach();
    let stopped = world.sprint(&["stop"]).expect(0).stdout;
    assert!(stopped.contains("go on: sprint start specs/001-demo\n"), "{stopped}");
    world.sprint(&["resume", "--adopt"]).expect(0);
    world.start().expect(0);
    world.git(&["merge-base", "--is-ancestor", &foreign, "sprint/001-demo"]);
    assert_eq!(world.landed(), "T001:1 T002:1");
}

#[test]
fn a_moved_integration_branch_is_set_back_and_the_foreign_head_kept() {
    let world = moved(FOREIGN);
    let foreign = world.read("foreign").trim().to_owned();
    world.sprint(&["resume", "--restore"]).expect(0);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1");
    let kept = world.git(&["for-each-ref", "--format=%(objectname)", "refs/sprint/foreign/"]);
    assert!(kept.contains(&foreign), "{kept}");
    assert!(!world.git(&["log", "--format=%H", "sprint/001-demo"]).contains(&foreign));
}

#[test]
fn a_branch_that_was_moved_back_or_deleted_halts_landing_too() {
    for how in [
        "git update-ref refs/heads/sprint/001-demo sprint/001-demo^",
        "git update-ref -d refs/heads/sprint/001-demo",
    ] {
        let world = moved(how);
        let shown = world.sprint(&["status"]).expect(0).stdout;
        assert!(shown.contains("\n      sprint resume --restore\n"), "{how}: {shown}");
        world.sprint(&["resume", "--adopt"]).expect(4);
        world.sprint(&["resume", "--restore"]).expect(0);
        world.start().expect(0);
        assert_eq!(world.landed(), "T001:1 T002:1", "{how}");
    }
}

#[test]
fn an_agent_that_deletes_its_worktree_costs_an_attempt_and_no_more() {
    let world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n",
        "if [ $1.$SPRINT_ATTEMPT = T001.1 ]; then d=$PWD; cd /; rm -rf \"$d\"; exit 0; fi\n\
         echo $1 > $1.txt; git add -A; git commit -qm $1",
    );
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2 T002:1");
    world.assert_nothing_left();
}

#[test]
fn a_directory_in_the_place_of_a_worktree_is_not_one_with_everything_removed() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "if [ $SPRINT_ATTEMPT = 1 ]; then d=$PWD; cd /; rm -rf \"$d\"; mkdir \"$d\"; echo a > \"$d/a.txt\"; exit 0; fi\n\
         echo a > a.txt; git add -A; git commit -qm a",
    );
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2");
    assert!(world.landed_file("agent.sh").contains("rm -rf"), "nothing was removed");
    world.assert_nothing_left();
}

/// Two agents are at work, one with a commit already, when `clean_up` hits their worktrees.
fn deleted(clean_up: impl Fn(&World)) -> World {
    let world = World::new();
    world.feature(
        "001-demo",
        "## Phase 1: Work\n\n- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n- [ ] T003 write c.txt\n",
    );
    world.agent(
        "pwd > $W/pwd.$1; echo $SPRINT_ATTEMPT >> $W/attempts.$1\n\
         if [ $1 = T001 ]; then echo half > half.txt; git add -A; git commit -qm half; fi\n\
         touch $W/here.$1; until [ -e $W/go ]; do sleep 0.05; done\n\
         echo $1 > $1.txt; git add -A; git commit -qm $1",
    );
    world.configure();
    world.commit("base");
    world.detach();
    world.wait_until("the agents", || world.exists("here.T001") && world.exists("here.T002"));
    clean_up(&world);
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    let mut landed: Vec<String> = world.landed().split(' ').map(str::to_owned).collect();
    landed.sort();
    assert_eq!(landed, ["T001:1", "T002:1", "T003:1"], "no attempt is spent");
    assert_eq!(world.read("attempts.T001"), "1\n1\n", "it was done again");
    assert_eq!(world.git(&["show", "refs/sprint/wip/001-demo/T001/1:half.txt"]), "half", "commits are kept");
    let events = world.sprint(&["events", "-n", "1000"]).expect(0).stdout;
    assert!(events.contains("what was not committed is lost"), "{events}");
    world.assert_nothing_left();
    world.git(&["worktree", "prune"]);
    world
}

#[test]
fn worktrees_that_an_operator_deletes_are_made_anew_and_the_sprint_goes_on() {
    let world = deleted(|world| std::fs::remove_dir_all(world.state().join("worktrees")).unwrap());
    assert_eq!(world.read("attempts.T002"), "1\n1\n", "both were hit");
    let listed = world.git(&["worktree", "list", "--porcelain"]);
    assert!(!listed.contains("locked") && !listed.contains("prunable"), "{listed}");
}

#[test]
fn one_worktree_that_an_operator_deletes_is_made_anew_and_the_sprint_goes_on() {
    let world = deleted(|world| std::fs::remove_dir_all(world.read("pwd.T001").trim()).unwrap());
    assert_eq!(world.read("attempts.T002"), "1\n", "the other one is not touched");
}

#[test]
fn a_gate_whose_worktree_an_operator_deletes_has_judged_nothing() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.agent("touch $W/armed; echo a > a.txt; git add -A; git commit -qm a");
    world.gate(
        "slow",
        "if [ -e $W/armed ]; then touch $W/here; until [ -e $W/go ]; do sleep 0.05; done; fi\n[ -e agent.sh ]",
    );
    world.configure();
    world.commit("base");
    world.detach();
    world.wait_until("the gate", || world.exists("here"));
    std::fs::remove_dir_all(world.state().join("worktrees")).unwrap();
    world.touch("go");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1", "no attempt is spent");
    let events = world.sprint(&["events", "-n", "1000"]).expect(0).stdout;
    assert!(events.contains("InTests could not run"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn a_daemon_that_an_agent_leaves_behind_is_ended_before_its_work_is_judged() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "setsid -f bash -c 'trap \"\" TERM HUP; echo $$ > $W/daemon; cd /; while :; do sleep 1000; done' >/dev/null 2>&1 </dev/null\n\
         until [ -s $W/daemon ]; do sleep 0.02; done\necho a > a.txt; git add -A; git commit -qm a",
    );
    world.start().expect(0);
    world.assert_nothing_left();
    assert!(!processes::alive(world.read("daemon").trim().parse().unwrap()));
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn a_gigabyte_of_output_stays_within_bounds() {
    let mut world = World::with(
        "- [ ] T001 write a.txt\n",
        "echo $PPID > $W/worker; head -c 1G /dev/zero | tr '\\0' 'x'; echo; echo a > a.txt; git add -A; git commit -qm a",
    );
    world.be_patient(Duration::from_secs(400));
    let began = Instant::now();
    world.detach();
    world.wait_until("the agent", || !world.read("worker").is_empty());
    let worker: u32 = world.read("worker").trim().parse().unwrap();
    let mut most = 0;
    world.wait_until_watching("the end of the sprint", || {
        let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0").trim();
        most = most.max(line.split(' ').next().unwrap().parse::<u64>().unwrap_or(0));
        world.supervisor().is_none()
    });
    assert_eq!(world.landed(), "T001:1");
    // Some minutes without optimisation, beside other tests: linear, and far from what a quadratic look would take.
    assert!(began.elapsed() < Duration::from_mins(5), "{:?}", began.elapsed());
    assert!(most < 64 * 1024, "the worker took {most} KiB");
    let size: u64 =
        walk(&world.state()).iter().map(|path| std::fs::metadata(path).map_or(0, |meta| meta.len())).sum();
    assert!(size < 64 << 20, "{size} bytes are kept");
    world.assert_nothing_left();
}

fn walk(root: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

/// An agent that no SIGTERM ends, with a child that none ends either.
const DEAF: &str = "trap '' TERM HUP INT; (trap '' TERM HUP INT; touch $W/child; while :; do sleep 1; done) &\n\
                    until [ -e $W/child ]; do sleep 0.02; done; touch $W/here; [ -e $W/go ] || while :; do sleep 1; done\n\
                    kill -9 %1; echo a > a.txt; git add -A; git commit -qm a";

#[test]
fn an_agent_that_ignores_sigterm_is_ended_by_task_stop() {
    let world = World::with("- [ ] T001 write a.txt\n", DEAF);
    world.detach();
    world.wait_until("the agent", || world.exists("here"));
    world.sprint(&["task", "stop", "T001"]).expect(0);
    world.wait_task("T001", "Parked");
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    world.assert_nothing_left();
}

#[test]
fn an_agent_that_ignores_sigterm_is_ended_by_stop_now() {
    let world = World::with("- [ ] T001 write a.txt\n", DEAF);
    world.detach();
    world.wait_until("the agent", || world.exists("here"));
    world.sprint(&["stop", "--now"]).expect(0);
    world.assert_nothing_left();
    world.touch("go");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
}

#[test]
fn an_agent_that_hangs_is_ended_and_tried_again() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.agent("[ $SPRINT_ATTEMPT != 1 ] || sleep 1000\necho a > a.txt; git add -A; git commit -qm a");
    world.set("agent.mine.stall", "\"2s\"");
    world.configure();
    world.commit("base");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2");
    world.assert_nothing_left();
}

#[test]
fn an_agent_that_takes_too_long_is_ended_and_tried_again() {
    let mut world = World::new();
    world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
    world.agent("[ $SPRINT_ATTEMPT != 1 ] || while :; do echo busy; sleep 0.1; done\necho a > a.txt; git add -A; git commit -qm a");
    world.set("timeouts.task", "\"2s\"");
    world.configure();
    world.commit("base");
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2");
}

#[test]
fn a_branch_that_a_person_checks_out_waits_and_lands_when_it_is_free() {
    let world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n",
        "if [ $1 = T002 ]; then touch $W/here; until [ -e $W/go ]; do sleep 0.05; done; fi\necho $1 > $1.txt; git add -A; git commit -qm $1",
    );
    world.detach();
    world.wait_until("the second task", || world.exists("here"));
    let mine = world.path().join("mine");
    world.git(&["worktree", "add", "-q", mine.to_str().unwrap(), "sprint/001-demo"]);
    let head = world.git(&["rev-parse", "sprint/001-demo"]);
    world.touch("go");
    let status = world.wait_task("T002", "Waiting");
    let needs = &status["needs_you"][0];
    assert_eq!((&needs["task"], &needs["kind"]), (&"T002".into(), &"operator".into()), "{status:#}");
    let text = needs["text"].as_str().unwrap();
    assert!(text.contains("is checked out at") && text.contains("/mine"), "{text}");
    assert_eq!(world.git(&["rev-parse", "sprint/001-demo"]), head, "it is not moved under the person");
    assert_eq!(world.git_in(&mine, &["status", "--porcelain"]), "");
    world.git_in(&mine, &["switch", "-q", "--detach"]);
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1 T002:1");
    world.assert_nothing_left();
}

#[test]
fn a_branch_that_stays_checked_out_ends_the_start_and_lands_at_the_next() {
    let world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n",
        "if [ $1 = T002 ]; then git worktree add -q $W/mine sprint/001-demo; fi\necho $1 > $1.txt; git add -A; git commit -qm $1",
    );
    let began = Instant::now();
    let shown = world.start().expect(1);
    assert!(began.elapsed() < Duration::from_secs(30), "only a person can go on: {:?}", began.elapsed());
    assert!(shown.stdout.contains("is checked out at"), "{}", shown.stdout);
    world.assert_nothing_left();
    assert_eq!(world.status()["state"], "resting");
    world.start().expect(4);
    std::fs::remove_dir_all(world.path().join("mine")).unwrap();
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1");
    world.assert_nothing_left();
}

#[test]
fn an_agent_that_kills_its_worker_does_not_do_so_for_ever() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "echo x >> $W/runs; [ $(wc -l < $W/runs) -gt 2 ] || kill -9 $PPID\necho a > a.txt; git add -A; git commit -qm a",
    );
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1", "a death spends no attempt");
    world.assert_nothing_left();
}

#[test]
fn locks_that_a_killed_git_left_hold_nothing_up() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "if [ ! -e $W/once ]; then touch $W/once; c=$(git rev-parse --git-common-dir); g=$(git rev-parse --git-dir)\n\
         touch $g/index.lock $g/HEAD.lock $c/refs/heads/sprint-task/001-demo/T001/1.lock\n\
         mkdir -p $c/refs/heads/sprint; touch -d '1 minute ago' $c/refs/heads/sprint/001-demo.lock; kill -9 $PPID; sleep 9; fi\n\
         echo a > a.txt; git add -A; git commit -qm a",
    );
    let began = Instant::now();
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_stopped_supervisor_that_wakes_up_judges_nobody() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "touch $W/here; until [ -e $W/go ]; do sleep 0.05; done\necho a > a.txt; git add -A; git commit -qm a",
    );
    world.detach();
    world.wait_until("the agent", || world.exists("here"));
    let pid = Pid::from_raw(world.supervisor().unwrap().cast_signed());
    kill(pid, Signal::SIGSTOP).unwrap();
    world.touch("go");
    world.wait_until("the report", || !world.read("here").is_empty() || world.state().join("runs").exists());
    kill(pid, Signal::SIGCONT).unwrap();
    world.wait_until("the end of the sprint", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1");
    world.assert_nothing_left();
}
