//! What an agent plants in its worktree or in the shared configuration does not run in sprint's
//! own git, and does not lead it elsewhere.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::git::Error;
use crate::git::candidate::{Candidate, Request, make};
use crate::git::leftovers::{commit_all, save};
use crate::git::pool::Proof;
use crate::git::{landing, radar};

const ONE: &str = "sprint-task/001-thing/T001/1";

/// A program that leaves a canary and passes its input on.
fn trap(f: &Fixture) -> (PathBuf, String) {
    let canary = f.dir.path().join("canary");
    let script = f.dir.path().join("trap");
    fs::write(&script, format!("#!/bin/sh\necho \"$0 $*\" >> {}\nexec cat\n", canary.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    (canary, script.display().to_string())
}

fn candidate(f: &Fixture, ours: &CommitSha, theirs: &CommitSha) -> Candidate {
    let (feature, task) = (feature(), task("T001"));
    let request = Request {
        integration: ours,
        head: theirs,
        feature: &feature,
        task: &task,
        attempt: 1,
        title: "one",
        tasks_file: None,
        identity: &f.identity,
        date: DATE,
    };
    make(&f.repo, &request).unwrap()
}

#[test]
fn hooks_filters_drivers_and_fsmonitor_never_run() {
    let f = Fixture::new();
    let (canary, script) = trap(&f);
    let attributes = "* filter=evil merge=evil diff=evil\n";
    let base = f.commit(&f.head(), &[(".gitattributes", Some(attributes))]);
    for hook in ["post-checkout", "reference-transaction", "post-index-change", "pre-commit", "post-commit"] {
        write(
            &f.repo.common_dir,
            &format!("hooks/{hook}"),
            &format!("#!/bin/sh\n{script} {hook} </dev/null\n"),
        );
        let path = f.repo.common_dir.join("hooks").join(hook);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (key, value) in [
        ("core.fsmonitor", script.as_str()),
        ("filter.evil.smudge", &script),
        ("filter.evil.clean", &script),
        ("filter.evil.required", "true"),
        ("merge.evil.driver", &format!("{script} %A")),
        ("merge.default", "evil"),
        ("diff.evil.command", &script),
        ("diff.evil.textconv", &script),
        ("diff.external", &script),
        ("core.sshCommand", &script),
        ("core.alternateRefsCommand", &script),
        ("gpg.program", &script),
        ("commit.gpgSign", "true"),
        ("core.editor", &script),
        ("core.pager", &script),
    ] {
        f.git(&["config", key, value]);
    }
    let (pool, author) = (f.pool(), f.author());
    landing::create_branch(&f.repo, &feature(), &base).unwrap();
    let tree = pool.acquire(&task_owner("T001"), &base, Some(ONE), &author).unwrap().worktree;
    let a = lines("a", 20);
    write(&tree.path, "a.txt", &with_line(&a, 15, "theirs"));
    save(&tree, &feature(), &task("T001"), 1, &author).unwrap().unwrap();
    let theirs = commit_all(&tree, "T001: one", &author).unwrap().unwrap();
    assert_eq!(fs::read_to_string(&canary).unwrap_or_default(), "", "before the merge");
    let blob = with_line(&lines("a", 20), 2, "ours");
    let ours = f.edit(&base, "a.txt", &blob);
    let Candidate::Made { commit, .. } = candidate(&f, &ours, &theirs) else { panic!("no candidate") };
    let gate = pool.acquire(&gate_owner("reviewer"), &commit, None, &author).unwrap().worktree;
    assert_eq!(gate.tracked_changes().unwrap(), [""; 0]);
    gate.clean().unwrap();
    let moved = landing::move_ref(&f.repo, "sprint/001-thing", &base, &commit, None).unwrap();
    assert_eq!(moved, landing::Move::Moved);
    radar::scan(&f.repo, &ours, &[radar::InFlight { task: task("T001"), head: theirs }], None).unwrap();
    pool.release(&tree, &Proof::LandedIn(commit), &author).unwrap();
    assert_eq!(fs::read_to_string(&canary).unwrap_or_default(), "");
    assert_eq!(fs::read_to_string(gate.path.join("a.txt")).unwrap(), with_line(&blob, 15, "theirs"));
}

#[test]
fn a_swapped_git_file_is_noticed_and_put_right() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let tree = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap().worktree;
    let evil = f.dir.path().join("evil");
    fs::create_dir(&evil).unwrap();
    git(&evil, &["init", "-q"]);
    let dot_git = tree.path.join(".git");
    let swaps: [&dyn Fn(); 4] = [
        &|| fs::write(&dot_git, format!("gitdir: {}/.git\n", evil.display())).unwrap(),
        &|| {
            fs::remove_file(&dot_git).unwrap();
            std::os::unix::fs::symlink(evil.join(".git"), &dot_git).unwrap();
        },
        &|| {
            fs::remove_file(&dot_git).unwrap();
            git(&tree.path, &["init", "-q"]);
        },
        &|| fs::write(tree.admin.join("commondir"), format!("{}/.git\n", evil.display())).unwrap(),
    ];
    for swap in swaps {
        write(&tree.path, "half.txt", "half\n");
        swap();
        assert!(matches!(tree.head(), Err(Error::Tampered { .. })));
        assert!(matches!(save(&tree, &feature(), &task("T001"), 1, &author), Err(Error::Tampered { .. })));
        let got = pool.acquire(&task_owner("T001"), &f.head(), Some(ONE), &author).unwrap();
        assert!(got.repaired && got.worktree.number == tree.number);
        let status = git(&tree.path, &["status", "--porcelain", "--branch"]);
        assert_eq!(status, format!("## {ONE}\n?? half.txt"), "the work is still there");
    }
    pool.acquire(&task_owner("T001"), &f.head(), Some("sprint-task/001-thing/T001/2"), &author).unwrap();
    let saved = crate::git::leftovers::saved(&f.repo, &feature(), &task("T001")).unwrap();
    assert_eq!(f.show(&saved[0].1.commit, "half.txt"), "half\n");
}

#[test]
fn attributes_in_the_git_directory_select_no_driver() {
    let f = Fixture::new();
    let (canary, script) = trap(&f);
    f.git(&["config", "merge.evil.driver", &format!("{script} %A")]);
    write(&f.repo.common_dir, "info/attributes", "* merge=evil\n");
    let base = f.head();
    let a = lines("a", 20);
    let ours = f.edit(&base, "a.txt", &with_line(&a, 2, "ours"));
    let theirs = f.edit(&base, "a.txt", &with_line(&a, 15, "theirs"));
    assert!(matches!(candidate(&f, &ours, &theirs), Candidate::Made { .. }));
    let theirs = f.edit(&base, "a.txt", &with_line(&a, 2, "theirs"));
    let Candidate::Conflict { paths, .. } = candidate(&f, &ours, &theirs) else { panic!() };
    assert_eq!(paths, ["a.txt"]);
    assert!(!canary.exists());
}

#[test]
fn an_agent_on_another_branch_or_on_the_integration_branch_is_seen() {
    let f = Fixture::new();
    let (pool, author) = (f.pool(), f.author());
    let base = f.head();
    landing::create_branch(&f.repo, &feature(), &base).unwrap();
    let tree = pool.acquire(&task_owner("T001"), &base, Some(ONE), &author).unwrap().worktree;
    git(&tree.path, &["switch", "-q", "sprint/001-thing"]);
    write(&tree.path, "x", "1\n");
    git(&tree.path, &["add", "-A"]);
    git(&tree.path, &["commit", "-qm", "foreign"]);
    let run = crate::domain::ids::RunId::parse(&uuid::Uuid::now_v7().to_string()).unwrap();
    let finished = crate::git::leftovers::finish(&tree, &run).unwrap();
    assert_eq!(finished.branch.as_deref(), Some("sprint/001-thing"));
    let found = landing::move_ref(&f.repo, "sprint/001-thing", &base, &finished.head, None).unwrap();
    assert!(matches!(found, landing::Move::CheckedOut { .. }));
    pool.acquire(&task_owner("T001"), &base, Some("sprint-task/001-thing/T001/2"), &author).unwrap();
    let found = landing::move_ref(&f.repo, "sprint/001-thing", &base, &base, None).unwrap();
    assert_eq!(found, landing::Move::Mismatch { found: Some(finished.head) });
}
