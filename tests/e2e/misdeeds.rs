//! Programs that do to git, to the home directory and to the remote what they were told not to.

use crate::common::{World, task_row};

const TASK: &str = "- [ ] T001 write a.txt\n";
const WORK: &str = "echo a > a.txt; git add -A; git commit -qm a";

/// Attempt 1 does this; the next one does its work.
fn first(misdeed: &str) -> World {
    let world = World::with(TASK, &format!("if [ $SPRINT_ATTEMPT = 1 ]; then {misdeed}; else {WORK}; fi"));
    world.file("before.txt", "x\n");
    world.commit("a second commit");
    world
}

#[test]
fn a_worktree_whose_git_file_is_deleted_is_one_again() {
    for misdeed in [
        "echo a > a.txt; rm .git",
        "echo a > a.txt; rm .git; git init -q .; git add -A; git -c user.name=x -c user.email=x@example.invalid commit -qm mine",
    ] {
        let world = first(misdeed);
        let head = world.git(&["rev-parse", "HEAD"]);
        world.start().expect(0);
        assert_eq!((world.landed(), world.landed_file("a.txt")), ("T001:1".to_owned(), "a".to_owned()));
        assert_eq!(world.git(&["rev-parse", "HEAD"]), head);
        world.assert_nothing_left();
    }
}

#[test]
fn history_below_the_base_that_is_written_anew_does_not_land() {
    for misdeed in [
        "echo a > a.txt; git add -A; git commit -q --amend -m amended",
        "git reset -q --soft HEAD~1; echo a > a.txt; git add -A; git commit -qm squashed",
        "git reset -q --hard HEAD~1; echo a > a.txt; git add -A; git commit -qm behind",
        "git rebase -q --root --exec 'git commit -q --amend -m new --no-edit --allow-empty'; echo a > a.txt; git add -A; git commit -qm a",
    ] {
        let world = first(misdeed);
        let base = world.git(&["rev-parse", "HEAD"]);
        world.start().expect(0);
        assert_eq!(world.landed(), "T001:2", "{misdeed}");
        let shown = world.sprint(&["task", "show", "T001"]).expect(0).stdout;
        let why =
            format!("its commits do not contain the commit that the attempt began with ({})", &base[..10]);
        assert!(shown.contains(&why), "{misdeed}: {shown}");
        assert_eq!(world.git(&["rev-parse", "main"]), base);
        assert_eq!(world.git(&["merge-base", "main", "sprint/001-demo"]), base, "history is as it was");
        world.assert_nothing_left();
    }
}

#[test]
fn a_branch_of_somebody_else_is_not_what_lands() {
    let world = first(&format!(
        "git switch -q --detach; {WORK}; git branch -f $(git branch --list 'sprint-task/*' --format '%(refname:short)') HEAD~1"
    ));
    world.start().expect(0);
    assert_eq!(world.landed_file("a.txt"), "a");
    world.assert_nothing_left();
}

#[test]
fn what_is_written_into_the_home_directory_is_nobodys_work() {
    let misdeed = format!(
        "echo evil > $HOME/.profile; mkdir -p $HOME/.config; git config --global user.name Evil; {WORK}"
    );
    for (home, written) in [("person", "h/.profile"), ("own", "")] {
        let mut world = first(&misdeed);
        world.env_remove("GIT_CONFIG_GLOBAL");
        world.set("agent.mine.home", &format!("{home:?}"));
        world.configure();
        world.commit("configured");
        world.start().expect(0);
        let shown = world.sprint(&["task", "show", "T001"]).expect(0).stdout;
        assert_eq!(world.landed(), "T001:1", "{home}: {shown}");
        assert_eq!(world.exists("h/.profile"), !written.is_empty());
        assert_eq!(world.state().join("home/mine/.profile").exists(), written.is_empty());
        let names = world.git(&["ls-tree", "-r", "--name-only", "sprint/001-demo"]);
        assert!(!names.contains("profile"), "{names}");
        assert_eq!(
            world.git(&["log", "-1", "--format=%cn", "sprint/001-demo"]),
            "Ann",
            "sprint's own commit"
        );
        world.assert_nothing_left();
    }
}

#[test]
fn what_an_agent_pushes_is_told_and_changes_nothing_here() {
    let push = "git push -q origin HEAD:refs/heads/mine HEAD:refs/heads/main; git push -q --force origin refs/heads/sprint/001-demo";
    let world = first(&format!("{WORK}; {push}"));
    let origin = world.path().join("origin.git");
    world.git(&["init", "-q", "--bare", origin.to_str().unwrap()]);
    world.git(&["remote", "add", "origin", origin.to_str().unwrap()]);
    world.git(&["push", "-q", "origin", "main"]);
    let base = world.git(&["rev-parse", "main"]);
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    assert_eq!(world.git(&["rev-parse", "main"]), base);
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    for branch in ["origin/mine", "origin/main", "origin/sprint/001-demo"] {
        assert!(events.contains(&format!("`{branch}` was moved")), "{branch}: {events}");
    }
    assert_eq!(task_row(&world.status(), "T001")["state"], "Done");
    world.assert_nothing_left();
}

/// What a person says, an agent does not say in the person's name; it may look.
#[test]
fn an_agent_does_not_answer_skip_or_stop_for_the_person() {
    let world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n",
        "if [ $1 = T001 ]; then\n\
         for what in 'task skip T002' 'task retry T002' 'stop --now' pause 'resume --adopt' 'approve T002' 'answer T002 yes'; do\n\
         sprint $what 2>> $W/said && code=0 || code=$?; echo $code >> $W/codes; done\n\
         sprint status > $W/status; sprint answer > $W/questions; echo 0 >> $W/codes; fi\n\
         echo $1 > $1.txt; git add -A; git commit -qm $1",
    );
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1 T002:1");
    assert_eq!(world.read("codes"), format!("{}0\n", "4\n".repeat(7)));
    let said = world.read("said");
    assert!(
        said.contains("`sprint task skip` is a person's to say") && said.contains("sprint agent"),
        "{said}"
    );
    assert!(world.read("status").contains("T002"));
    world.assert_nothing_left();
}

/// What programs leave in their temporary directory goes with the run, also of a worker that is killed.
#[test]
fn a_run_has_a_temporary_directory_of_its_own() {
    let world = World::with(
        "- [ ] T001 write a.txt\n",
        "echo $TMPDIR >> $W/tmp; [ \"$(stat -c %a $TMPDIR)\" = 700 ]; [ ! -e $TMPDIR/left ]; head -c 100000 /dev/zero > $TMPDIR/left\n\
         if [ ! -e $W/killed ]; then touch $W/killed; kill -9 $PPID; sleep 600; fi\n\
         echo a > a.txt; git add -A; git commit -qm a",
    );
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    let seen = world.read("tmp");
    let mut directories: Vec<&str> = seen.lines().collect();
    assert_eq!(directories.len(), 2, "{seen}");
    assert!(
        directories.iter().all(|path| path.contains("/sprint-") && !std::path::Path::new(path).exists()),
        "{seen}"
    );
    directories.dedup();
    assert_eq!(directories.len(), 2, "each run has its own: {seen}");
    world.assert_nothing_left();
}

/// Sprint cannot know who it was, and takes nothing back: the person is told once, for as long as it is so.
#[test]
fn branches_and_settings_that_change_while_a_task_runs_are_told_with_the_way_back() {
    let world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt (depends on T001)\n",
        "echo $1 > $1.txt; git add -A; git commit -qm $1\n\
         if [ $1 = T001 ]; then git update-ref refs/heads/main HEAD; git branch left; git config core.bare true; fi",
    );
    let base = world.git(&["rev-parse", "main"]);
    let ended = world.start().expect(0).stdout;
    let moved = world.git(&["rev-parse", "main"]);
    assert_ne!(moved, base);
    assert_eq!(world.landed(), "T001:1 T002:1", "sprint's own work goes on");
    let short = |commit: &str| commit[..10].to_owned();
    let told = format!("while T001 ran, branch `main` moved from {} to {}", short(&base), short(&moved));
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    let shown = world.sprint(&["status"]).expect(0).stdout;
    for text in [&ended, &events, &shown] {
        assert!(text.contains(&told), "{text}");
        assert!(text.contains("while T001 ran, branch `left` was made"), "{text}");
        assert!(text.contains("`core.bare` was set to `true`"), "{text}");
    }
    assert_eq!(events.matches("if that was not you").count(), 3, "once each: {events}");
    let traces = world.status()["traces"].clone();
    assert_eq!(traces[0]["name"], "core.bare", "{traces:#}");
    assert_eq!((&traces[0]["during"], &traces[0]["kind"]), (&"T001".into(), &"setting".into()));
    let refused = world.sprint(&["start", "specs/001-demo"]).expect(4).stderr;
    assert!(refused.contains("git config core.bare false"), "{refused}");
    for trace in traces.as_array().unwrap() {
        let fix = trace["fix"].as_str().unwrap();
        assert!(world.command("sh").args(["-c", fix]).status().unwrap().success(), "{fix}");
    }
    assert_eq!(world.git(&["rev-parse", "main"]), base);
    assert!(world.status().get("traces").is_none(), "{:#}", world.status());
    world.assert_nothing_left();
}

/// An agent that ends the worker above it does so again and again: `status` says why nothing goes on.
#[test]
fn a_slot_whose_workers_are_killed_at_their_start_is_told_in_status() {
    let mut world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n- [ ] T003 write c.txt\n- [ ] T004 write d.txt\n",
        "kill -9 $PPID; sleep 600",
    );
    world.set("agents.max_developers", "1");
    world.configure();
    world.commit("one developer");
    world.detach();
    let tells = |status: &serde_json::Value| {
        let needs = status["needs_you"].as_array().unwrap();
        needs.iter().any(|need| need["text"].as_str().unwrap().contains("developer-1 has died"))
    };
    world.wait_for("the slot's breaker", tells);
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(
        shown.contains("tried again once a minute") && shown.contains("sprint logs developer-1"),
        "{shown}"
    );
    world.sprint(&["stop", "--now"]).expect(0);
    assert!(!tells(&world.status()), "the next start begins afresh");
    world.assert_nothing_left();
}

/// Work is found where the worktree's HEAD is, on whatever branch, as long as it goes on from the base.
#[test]
fn commits_on_another_branch_land_if_they_go_on_from_the_base() {
    let world = first(&format!("git switch -q -c mine; {WORK}"));
    let base = world.git(&["rev-parse", "HEAD"]);
    world.start().expect(0);
    assert_eq!((world.landed(), world.landed_file("a.txt")), ("T001:1".to_owned(), "a".to_owned()));
    assert_eq!(world.git(&["rev-parse", "mine~1"]), base);
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(shown.contains("while T001 ran, branch `mine` was made"), "{shown}");
    world.assert_nothing_left();
}

#[test]
fn a_program_that_goes_away_holds_everybody_with_it_once() {
    let mut world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 [P] write b.txt (depends on T001)\n- [ ] T003 [P] write c.txt (depends on T001)\n",
        "exit 1",
    );
    let work = "echo $1 > $1.txt; git add -A; git commit -qm $1; mv $0 $W/away";
    let program = world.program("bin/agent", work);
    world.set("agent.mine.command", &format!("[{:?}, \"{{task.id}}\"]", program.to_str().unwrap()));
    world.configure();
    world.commit("configured");
    world.start().expect(1);
    assert_eq!(world.landed(), "T001:1");
    let status = world.status();
    let events = world.sprint(&["events", "-n", "200"]).expect(0).stdout;
    assert_eq!(events.matches("is not there").count(), 1, "{events}");
    for task in ["T002", "T003"] {
        let row = task_row(&status, task);
        assert!(row["reason"].as_str().unwrap().contains("is not there"), "{status:#}");
        assert!(row["attempt"].as_u64().unwrap() <= 1, "no attempt is spent: {status:#}");
    }
    world.program("bin/agent", "echo $1 > $1.txt; git add -A; git commit -qm $1");
    world.start().expect(0);
    let mut landed = world.landed_of("001-demo");
    landed.sort();
    assert_eq!(landed, ["T001", "T002", "T003"].map(|task| (task.to_owned(), 1)));
    world.assert_nothing_left();
}

#[test]
fn a_secret_in_a_commit_message_does_not_land() {
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let (begin, end) = token.split_at(4);
    let world =
        first(&format!("t={begin}; t=${{t}}{end}; echo a > a.txt; git add -A; git commit -qm \"mine $t\""));
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2");
    assert!(!world.git(&["log", "--format=%B", "sprint/001-demo"]).contains(&token));
    let events = world.sprint(&["events"]).expect(0).stdout;
    assert!(events.contains("has a secret in it: mine [redacted: GitHub token]"), "{events}");
}

#[test]
fn a_run_whose_directory_its_agent_removes_ends_like_any_other() {
    let world = World::with(TASK, &format!("{WORK}; rm -rf \"$SPRINT_RUN_DIR\""));
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:1");
    world.sprint(&["verify"]).expect(0);
    world.assert_nothing_left();
}

#[test]
fn an_object_that_an_agent_has_cut_off_does_not_land() {
    let world = World::with(
        "- [ ] T001 write T001/a.txt\n- [ ] T002 write T002/a.txt\n- [ ] T003 write T003/a.txt\n",
        "mkdir $1; seq 1 20000 > $1/a.txt; echo $1 >> $1/a.txt; seq 1 200 | while read n; do echo $1 > $1/$n; done\n\
         git add -A; git commit -qm $1; [ $SPRINT_ATTEMPT = 1 ] || exit 0\n\
         case $1 in T001) what=HEAD:$1/a.txt;; T002) what=HEAD:$1;; T003) what=HEAD;; esac\n\
         name=$(git rev-parse $what); file=$(git rev-parse --git-common-dir)/objects/${name:0:2}/${name:2}\n\
         chmod u+w $file; truncate -s $(($(stat -c %s $file) / 2)) $file; touch $W/cut-$1",
    );
    world.start().expect(0);
    assert_eq!(world.landed(), "T001:2 T002:2 T003:2");
    let told = world.sprint(&["events"]).expect(0).stdout;
    assert!(told.contains("1 of its objects cannot be read, "), "{told}");
    assert!(told.contains("its history cannot be read: "), "{told}");
    for task in ["T001", "T002", "T003"] {
        assert!(world.exists(&format!("cut-{task}")));
        assert_eq!(world.landed_file(&format!("{task}/a.txt")).lines().count(), 20_001);
    }
    world.sprint(&["verify"]).expect(0);
    world.assert_nothing_left();
}
