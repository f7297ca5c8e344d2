//! Directories of commits.

use super::{Fixture, git, write};
use crate::git::export;

#[test]
fn an_exported_directory_says_which_files_are_tracked() {
    let fixture = Fixture::new();
    let commit = fixture.edit(&fixture.head(), "forced.ignored", "tracked though it is ignored\n");
    let target = fixture.dir.path().join("read");
    export::export(&fixture.repo, &commit, &target).unwrap();
    export::track(&fixture.repo, &commit, &target).unwrap();
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
