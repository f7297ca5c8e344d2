//! Which lines a commit adds or changes.

use super::*;
use crate::git::diff::changed_lines;

#[test]
fn changed_lines_are_those_of_the_new_side_and_a_move_changes_none() {
    let f = Fixture::new();
    let text = |lines: &[&str]| lines.join("\n") + "\n";
    let long: Vec<String> = (0..30).map(|n| format!("line {n}")).collect();
    let long = long.join("\n") + "\n";
    let base = f.commit(
        &f.head(),
        &[("a.py", Some(&text(&["one", "two", "three"]))), ("old.py", Some(&long)), ("gone.py", Some("x\n"))],
    );
    let moved = long.replace("line 7\n", "line seven\n");
    let head = f.commit(
        &base,
        &[
            ("a.py", Some(&text(&["one", "2", "three", "four"]))),
            ("old.py", None),
            ("new.py", Some(&moved)),
            ("gone.py", None),
            ("fresh.py", Some("a\nb\n")),
        ],
    );
    let lines = changed_lines(&f.repo, &base, &head).unwrap();
    let shown: Vec<String> = lines.iter().map(|(path, lines)| format!("{path} {lines:?}")).collect();
    assert_eq!(shown, ["a.py {2, 4}", "fresh.py {1, 2}", "new.py {8}"]);
    assert!(changed_lines(&f.repo, &head, &head).unwrap().is_empty());
}
