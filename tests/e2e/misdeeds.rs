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
