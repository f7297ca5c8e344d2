//! Preparing worktrees: what arrives, what is kept, when it is done again, what is refused.

use super::*;
use crate::git::Error;
use crate::git::prepare::{Outcome, Recipe, prepare};
use crate::git::worktree::Worktree;

fn recipe() -> Recipe {
    Recipe {
        setup: "make venv".to_owned(),
        setup_inputs: vec!["*.lock".to_owned()],
        copy: vec![".env".to_owned(), "data".to_owned(), "missing".to_owned()],
        link: vec!["cache".to_owned()],
    }
}

fn begin() -> (Fixture, Worktree) {
    let f = Fixture::new();
    write(&f.top, "uv.lock", "1\n");
    f.git(&["add", "-A"]);
    f.git(&["commit", "-qm", "lock"]);
    write(&f.top, ".env", "KEY=1\n");
    write(&f.top, "data/x", "x");
    write(&f.top, "cache/big", "big");
    write(&f.top, "keys/one.ignored", "1");
    write(&f.top, "keys/two.txt", "2");
    write(&f.top, ".worktreeinclude", "keys/\n");
    let tree = f.pool().acquire(&gate_owner("reviewer"), &f.head(), None, &f.author()).unwrap().worktree;
    (f, tree)
}

fn run(f: &Fixture, tree: &mut Worktree, recipe: &Recipe) -> (Result<Outcome, Error>, Vec<String>) {
    let mut ran = Vec::new();
    let mut setup = |dir: &Path, command: &str| {
        write(dir, ".venv/bin/python", "x");
        ran.push(command.to_owned());
        Ok(())
    };
    let outcome = prepare(&f.pool(), &f.repo, tree, recipe, &mut setup);
    (outcome, ran)
}

#[test]
fn files_arrive_and_stay_through_cleaning() {
    let (f, mut tree) = begin();
    let (outcome, ran) = run(&f, &mut tree, &recipe());
    assert_eq!((outcome.unwrap(), ran), (Outcome::Prepared, vec!["make venv".to_owned()]));
    assert_eq!(tree.prepared, [".env", ".venv", "cache", "data", "keys"]);
    assert_eq!(fs::read_link(tree.path.join("cache")).unwrap(), f.top.join("cache"));
    assert!(tree.path.join("keys/one.ignored").exists(), "ignored and included");
    assert!(!tree.path.join("keys/two.txt").exists(), "included, not ignored");
    write(&tree.path, "junk", "x");
    tree.checkout_tree(&f.commit(&f.head(), &[("new", Some("n"))])).unwrap();
    assert!(tree.path.join(".venv/bin/python").exists() && !tree.path.join("junk").exists());
    assert!(f.top.join("cache/big").exists(), "cleaning does not follow the link");
    let again = f.pool().acquire(&gate_owner("reviewer"), &f.head(), None, &f.author()).unwrap().worktree;
    assert_eq!(again.prepared, tree.prepared);
}

#[test]
fn setup_runs_again_only_when_an_input_changes() {
    let (f, mut tree) = begin();
    run(&f, &mut tree, &recipe()).0.unwrap();
    let (outcome, ran) = run(&f, &mut tree, &recipe());
    assert_eq!((outcome.unwrap(), ran.len()), (Outcome::Fresh, 0));
    tree.checkout_tree(&f.commit(&f.head(), &[("a.txt", Some("other\n"))])).unwrap();
    assert_eq!(run(&f, &mut tree, &recipe()).1.len(), 0);
    tree.checkout_tree(&f.commit(&f.head(), &[("uv.lock", Some("2\n"))])).unwrap();
    assert_eq!(run(&f, &mut tree, &recipe()).1.len(), 1);
    let other = Recipe { setup: "other".to_owned(), ..recipe() };
    assert_eq!(run(&f, &mut tree, &other).1, ["other"]);
}

#[test]
fn a_failed_setup_is_an_error_and_is_tried_again() {
    let (f, mut tree) = begin();
    let mut fails = |_: &Path, _: &str| Err("exit code 1".to_owned());
    let error = prepare(&f.pool(), &f.repo, &mut tree, &recipe(), &mut fails).unwrap_err();
    assert_eq!(error.to_string(), "worktree setup failed: exit code 1");
    assert_eq!(run(&f, &mut tree, &recipe()).1.len(), 1);
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let (f, mut tree) = begin();
    for bad in ["../x", "/etc/passwd", ".", "", ".git/config", "a/../../x"] {
        for recipe in [
            Recipe { copy: vec![bad.to_owned()], ..Recipe::default() },
            Recipe { link: vec![bad.to_owned()], ..Recipe::default() },
        ] {
            assert!(matches!(run(&f, &mut tree, &recipe).0, Err(Error::UnsafePath { .. })), "{bad:?}");
        }
    }
    let linked = Recipe { link: vec!["dir".to_owned()], ..Recipe::default() };
    assert!(matches!(run(&f, &mut tree, &linked).0, Err(Error::UnsafePath { .. })));
}

#[test]
fn nothing_is_written_through_a_link_that_a_commit_brought() {
    let (f, mut tree) = begin();
    let outside = f.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    write(&f.top, "conf/secret", "s");
    std::os::unix::fs::symlink(&outside, tree.path.join("conf")).unwrap();
    let recipe = Recipe { copy: vec!["conf/secret".to_owned()], ..Recipe::default() };
    assert!(matches!(run(&f, &mut tree, &recipe).0, Err(Error::UnsafePath { .. })));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn packages_that_lead_to_the_checkouts_sources_lead_to_those_of_the_worktree() {
    let (f, mut tree) = begin();
    write(&f.top, "node_modules/@me/real/index.js", "1");
    write(&f.top, "node_modules/other/index.js", "1");
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, f.top.join(at)).unwrap();
    link("../../dir", "node_modules/@me/core");
    link("other", "node_modules/alias");
    link("nowhere", "node_modules/gone");
    let recipe = Recipe { link: vec!["node_modules".to_owned()], ..Recipe::default() };
    let leads = |tree: &Worktree, at: &str| fs::read_link(tree.path.join("node_modules").join(at)).unwrap();
    run(&f, &mut tree, &recipe).0.unwrap();
    assert_eq!(leads(&tree, "@me/core"), Path::new("../../dir"));
    assert_eq!(leads(&tree, "@me/real"), f.top.join("node_modules/@me/real"));
    for name in ["other", "alias", "gone"] {
        assert_eq!(leads(&tree, name), f.top.join("node_modules").join(name));
    }
    assert!(tree.prepared.contains(&"node_modules".to_owned()), "{:?}", tree.prepared);
    assert_eq!(run(&f, &mut tree, &recipe).0.unwrap(), Outcome::Fresh);
    write(&f.top, "node_modules/more/index.js", "1");
    assert_eq!(run(&f, &mut tree, &recipe).0.unwrap(), Outcome::Prepared, "a package is installed");
    assert!(tree.path.join("node_modules/more/index.js").exists());
    fs::remove_file(f.top.join("node_modules/@me/core")).unwrap();
    run(&f, &mut tree, &recipe).0.unwrap();
    let plain = fs::read_link(tree.path.join("node_modules")).unwrap();
    assert_eq!(plain, f.top.join("node_modules"), "nothing leads to the checkout's sources");
}
