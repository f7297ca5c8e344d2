//! Directories of commits.

use super::{Fixture, git, write};
use crate::git::{export, standalone};

#[test]
fn an_exported_directory_says_which_files_are_tracked() {
    let fixture = Fixture::new();
    let commit = fixture.edit(&fixture.head(), "forced.ignored", "tracked though it is ignored\n");
    let target = fixture.dir.path().join("read");
    export::export(&fixture.repo, &commit, &target).unwrap();
    standalone::track(&fixture.repo, &commit, &target).unwrap();
    write(&target, "new.txt", "not tracked\n");
    write(&target, "other.ignored", "neither\n");

    let listed = |kind: &[&str]| git(&target, &[&["ls-files", "--exclude-standard"], kind].concat());
    let tracked = listed(&["--cached"]);
    assert!(tracked.contains("forced.ignored") && tracked.contains("dir/c.txt"), "{tracked}");
    assert_eq!(listed(&["--others"]).trim(), "new.txt");
    // Nothing of the person's repository: neither its history nor its configuration, and no hooks.
    let hooks = std::fs::read_dir(target.join(".git/hooks")).unwrap().flatten();
    let hooks: Vec<_> =
        hooks.filter(|hook| hook.path().extension().is_none_or(|is| is != "sample")).collect();
    assert!(git(&target, &["for-each-ref"]).is_empty() && hooks.is_empty(), "{hooks:?}");
}

#[test]
fn a_directory_that_stands_alone_has_the_history_and_keeps_what_is_done_there() {
    let fixture = Fixture::new();
    let first = fixture.head();
    let second = fixture.edit(&first, "one.txt", "second\n");
    git(fixture.repo.top.as_path(), &["tag", "v1", first.as_str()]);
    let before = git(&fixture.repo.top, &["for-each-ref"]);
    let target = fixture.dir.path().join("alone");
    export::export(&fixture.repo, &second, &target).unwrap();
    standalone::stand_alone(&fixture.repo, &second, Some(&first), &[".venv"], &target).unwrap();
    write(&target, ".venv", "brought along\n");

    // Its files are staged on what is checked out.
    assert_eq!(git(&target, &["rev-parse", "HEAD"]).trim(), first.as_str());
    assert_eq!(git(&target, &["describe", "--tags"]).trim(), "v1");
    assert_eq!(git(&target, &["status", "--porcelain"]), "A  one.txt");
    // By the times in the index, without a look at the files.
    assert_eq!(git(&target, &["diff-files", "--name-only"]), "");
    git(&target, &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "here alone"]);
    git(&target, &["tag", "-f", "v1"]);
    assert_eq!(git(&fixture.repo.top, &["for-each-ref"]), before);

    // Nothing need be checked out.
    export::export(&fixture.repo, &second, &target).unwrap();
    standalone::stand_alone(&fixture.repo, &second, None, &[], &target).unwrap();
    assert!(git(&target, &["status"]).contains("No commits yet"));
}
