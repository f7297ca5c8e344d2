//! `sprint.id`: kept, made, and not shared by copies.

use super::*;
use crate::git::id::{self, Origin};

#[test]
fn it_is_made_once_and_kept() {
    let f = Fixture::new();
    assert_eq!(id::read(&f.repo).unwrap(), None);
    let (made, origin) = id::ensure(&f.repo).unwrap();
    assert_eq!(origin, Origin::Fresh);
    assert_eq!(id::ensure(&f.repo).unwrap(), (made.clone(), Origin::Kept));
    assert_eq!(id::read(&f.repo).unwrap().unwrap(), made);
    assert_eq!(made.hash.len(), 10);
}

#[test]
fn a_copy_gets_another_and_the_original_keeps_its_own() {
    let f = Fixture::new();
    let (made, _) = id::ensure(&f.repo).unwrap();
    let copy = f.top.with_file_name("copy");
    assert!(Command::new("cp").arg("-r").arg(&f.top).arg(&copy).status().unwrap().success());
    let copied = Repo::discover(&copy).unwrap();
    assert_eq!(id::read(&copied).unwrap(), None);
    let (other, origin) = id::ensure(&copied).unwrap();
    assert_ne!(other.id, made.id);
    assert_eq!(origin, Origin::Copied(f.repo.common_dir.display().to_string()));
    assert_eq!(id::ensure(&f.repo).unwrap().0, made);
}

#[test]
fn a_linked_worktree_shares_it_and_racing_processes_agree() {
    let f = Fixture::new();
    let linked = f.top.with_file_name("linked");
    f.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    let repos = [f.repo.clone(), Repo::discover(&linked).unwrap()];
    let ids: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn({
                    let repo = &repos[n % 2];
                    move || id::ensure(repo).unwrap().0
                })
            })
            .collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn a_file_that_is_none_of_ours_is_named() {
    let f = Fixture::new();
    fs::write(f.repo.common_dir.join("sprint.id"), "nonsense").unwrap();
    let message = id::ensure(&f.repo).unwrap_err().to_string();
    assert!(message.contains("sprint.id"), "{message}");
}
