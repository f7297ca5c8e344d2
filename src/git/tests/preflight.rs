//! Bad input at start: each refusal, its message and its hint.

use super::*;
use crate::git::preflight::{Refusal, Warning, check, check_feature, check_integration};

/// A fixture that has an identity of its own, so that no configuration of the machine matters.
fn fixture() -> Fixture {
    let f = Fixture::new();
    f.git(&["config", "user.name", "Ann Lee"]);
    f.git(&["config", "user.email", "ann@example.org"]);
    f
}

fn said(refusal: &Refusal) -> String {
    format!("{refusal} | {}", refusal.hint())
}

#[test]
fn a_good_repository_passes_from_any_directory_of_it() {
    let f = fixture();
    let checked = check(&f.top.join("dir")).unwrap();
    assert_eq!(checked.repo, f.repo);
    assert_eq!((checked.head, checked.branch.as_deref()), (f.head(), Some("main")));
    assert_eq!(checked.warnings, []);
    assert_eq!(checked.repo.name, "shop");
}

#[test]
fn not_a_repository_bare_empty_and_shallow_are_refused() {
    let f = fixture();
    let outside = f.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    assert!(matches!(check(&outside), Err(Refusal::NotARepository(_))));
    git(&outside, &["init", "-q"]);
    let refusal = check(&outside).unwrap_err();
    assert!(said(&refusal).contains("no commit yet | commit something"), "{}", said(&refusal));
    let url = format!("file://{}", f.top.display());
    git(f.dir.path(), &["clone", "-q", "--bare", &url, "bare.git"]);
    assert!(matches!(check(&f.dir.path().join("bare.git")), Err(Refusal::Bare(_))));
    f.git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    git(f.dir.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]);
    let refusal = check(&f.dir.path().join("shallow")).unwrap_err();
    assert!(said(&refusal).ends_with("git fetch --unshallow`"), "{}", said(&refusal));
}

#[test]
fn branches_in_the_way_are_refused() {
    for name in ["sprint", "sprint-task"] {
        let f = fixture();
        f.git(&["branch", name]);
        let refusal = check(&f.top).unwrap_err();
        assert!(said(&refusal).contains(&format!("git branch -m {name} my-{name}")), "{}", said(&refusal));
    }
}

#[test]
fn a_linked_worktree_is_fine_and_sprints_own_is_not() {
    let f = fixture();
    let linked = f.top.with_file_name("linked");
    f.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    let checked = check(&linked).unwrap();
    assert_eq!((&checked.repo.common_dir, &checked.repo.top), (&f.repo.common_dir, &linked));
    assert_eq!(checked.repo.name, "shop");
    let own = f.pool().acquire(&gate_owner("reviewer"), &f.head(), None, &f.author()).unwrap().worktree;
    assert!(matches!(check(&own.path.join("dir")), Err(Refusal::OwnWorktree(_))));
}

#[test]
fn detached_dirty_submodules_and_lfs_are_warnings() {
    let f = fixture();
    write(&f.top, ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    f.git(&["add", "-A"]);
    let link = format!("160000,{},vendor/lib", f.head());
    f.git(&["update-index", "--add", "--cacheinfo", &link]);
    f.git(&["commit", "-qm", "more"]);
    f.git(&["switch", "-q", "--detach"]);
    write(&f.top, "sprint.toml", "[agents]\n");
    assert!(
        !check(&f.top).unwrap().warnings.iter().any(|w| matches!(w, Warning::Dirty(_))),
        "it is used as it is"
    );
    write(&f.top, "a.txt", "dirty\n");
    let warnings = check(&f.top).unwrap().warnings;
    assert!(warnings.contains(&Warning::Detached), "{warnings:?}");
    assert!(warnings.contains(&Warning::Submodules(vec!["vendor/lib".to_owned()])), "{warnings:?}");
    assert!(warnings.contains(&Warning::Lfs(vec![".gitattributes".to_owned()])), "{warnings:?}");
    let dirty = warnings.iter().find(|w| matches!(w, Warning::Dirty(_))).unwrap();
    assert!(dirty.to_string().ends_with(": a.txt"), "{dirty}");
    // A worktree of such a repository is made all the same.
    let gate = f.pool().acquire(&gate_owner("reviewer"), &f.head(), None, &f.author()).unwrap().worktree;
    assert_eq!(gate.tracked_changes().unwrap(), [""; 0]);
}

#[test]
fn a_feature_directory_is_inside_named_and_committed() {
    let f = fixture();
    let head = f.head();
    let feature_of = |dir: &str| check_feature(&f.repo, &f.top, Path::new(dir), &head);
    let found = feature_of("specs/001-thing/").unwrap();
    assert_eq!((found.id.as_str(), found.path.as_str()), ("001-thing", "specs/001-thing"));
    assert!(check_feature(&f.repo, &f.top.join("dir"), Path::new("../specs/001-thing"), &head).is_ok());
    assert!(matches!(feature_of("specs/404"), Err(Refusal::FeatureMissing(_))));
    assert!(matches!(feature_of(TASKS), Err(Refusal::FeatureMissing(_))));
    assert!(matches!(feature_of(".."), Err(Refusal::FeatureOutside { .. })));
    assert!(matches!(feature_of("."), Err(Refusal::FeatureOutside { .. })));
    assert!(matches!(feature_of(".git/hooks"), Err(Refusal::FeatureOutside { .. })));
    write(&f.top, "specs/#(cmd)/tasks.md", "");
    assert!(matches!(feature_of("specs/#(cmd)"), Err(Refusal::FeatureName(_))));
    write(&f.top, "specs/002-new/tasks.md", "");
    let refusal = feature_of("specs/002-new").unwrap_err();
    assert!(said(&refusal).contains("git add specs/002-new && git commit"), "{}", said(&refusal));
    write(&f.top, TASKS, "changed\n");
    let refusal = feature_of("specs/001-thing").unwrap_err();
    assert!(said(&refusal).contains(TASKS), "{}", said(&refusal));
    f.git(&["commit", "-qam", "changed"]);
    assert!(feature_of("specs/001-thing").is_ok());
    let empty = f.commit(&head, &[("specs", None)]);
    let refusal = check_feature(&f.repo, &f.top, Path::new("specs/001-thing"), &empty).unwrap_err();
    assert!(matches!(refusal, Refusal::FeatureNotInBase { .. }), "{refusal}");
}

#[test]
fn an_integration_branch_that_is_checked_out_is_refused_with_the_place() {
    let f = fixture();
    check_integration(&f.repo, &feature()).unwrap();
    f.git(&["switch", "-qc", "sprint/001-thing"]);
    let refusal = check_integration(&f.repo, &feature()).unwrap_err();
    assert!(said(&refusal).contains(&format!("{}` | ", f.top.display())), "{}", said(&refusal));
}
