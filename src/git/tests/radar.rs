//! The radar says what `git merge-tree` says.

use super::*;
use crate::git::radar::{InFlight, scan};

#[test]
fn it_agrees_with_merge_tree_on_every_pair() {
    let f = Fixture::new();
    let base = f.head();
    let (a, b, c) = (lines("a", 20), lines("b", 20), lines("c", 20));
    let moved = f.commit(&base, &[("landed", Some("1")), ("b.txt", Some(&with_line(&b, 18, "landed")))]);
    let heads = [
        f.commit(&base, &[("a.txt", Some(&with_line(&a, 2, "one")))]),
        f.commit(&base, &[("a.txt", Some(&with_line(&a, 2, "two")))]),
        f.commit(&base, &[("a.txt", Some(&with_line(&a, 15, "three")))]),
        f.commit(&base, &[("a.txt", None), ("moved.txt", Some(&a))]),
        f.commit(&base, &[("a.txt", None)]),
        f.commit(&base, &[("dir", None), ("dir", Some("file\n"))]),
        f.commit(&base, &[("dir/c.txt", Some(&with_line(&c, 2, "c")))]),
        f.commit(&base, &[("new.txt", Some("x\n"))]),
        f.commit(&base, &[("new.txt", Some("y\n"))]),
        f.commit(&base, &[("new.txt", Some("y\n"))]),
        f.commit(&moved, &[("b.txt", Some(&with_line(&b, 2, "ten")))]),
        f.commit(&base, &[("b.txt", Some(&with_line(&b, 18, "eleven"))), (TASKS, Some("mine\n"))]),
        f.commit(&base, &[(TASKS, Some("also mine\n"))]),
    ];
    let flights: Vec<InFlight> = heads
        .iter()
        .enumerate()
        .map(|(n, head)| InFlight { task: task(&format!("T{n:03}")), head: head.clone() })
        .collect();
    let found = scan(&f.repo, &moved, &flights, Some(TASKS)).unwrap();
    let says = |one: &str, two: Option<&str>| {
        found.iter().any(|c| c.task.as_str() == one && c.with.as_ref().map(TaskId::as_str) == two)
    };
    let conflicts = |one: &CommitSha, two: &CommitSha| {
        let args = ["merge-tree", "--write-tree", "--name-only", "--no-messages", one.as_str(), two.as_str()];
        let out = command(&f.top, &args).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        !out.status.success() && text.lines().skip(1).any(|path| path != TASKS)
    };
    for (n, one) in flights.iter().enumerate() {
        assert_eq!(says(one.task.as_str(), None), conflicts(&one.head, &moved), "{n} with what landed");
        for (m, two) in flights.iter().enumerate().skip(n + 1) {
            let real = conflicts(&one.head, &two.head);
            // With a branch that is based on what landed, the clash is with that, and named there.
            let named = says(one.task.as_str(), Some(two.task.as_str()));
            assert!(named == real || (real && says(one.task.as_str(), None)), "{n} with {m}: {real}");
        }
    }
    let first = found.iter().find(|c| c.task.as_str() == "T000").unwrap();
    assert_eq!(first.paths, ["a.txt"]);
}

#[test]
fn fifty_branches_take_milliseconds() {
    let f = Fixture::new();
    let base = f.head();
    let flights: Vec<InFlight> = (0..50)
        .map(|n| {
            let file = format!("new/{}.txt", n / 2);
            InFlight { task: task(&format!("T{n}")), head: f.edit(&base, &file, &n.to_string()) }
        })
        .collect();
    let began = std::time::Instant::now();
    let found = scan(&f.repo, &base, &flights, None).unwrap();
    assert_eq!(found.len(), 25);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
