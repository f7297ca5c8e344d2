//! What of a tree a tool is pointed at: its files one by one, and the lines that a candidate changes.

use std::collections::BTreeMap;
use std::path::Path;

use super::inputs::Inputs;
use crate::domain::gate::ChangedLines;

/// Names of files take at most this much of a command line, of the 2 MiB that Linux has for it
/// and the environment. What does not fit is named as a whole: `.`.
const RUN_MAX: usize = 1 << 20;

/// The same where a person reads it.
pub(super) const SHOWN_MAX: usize = 4 << 10;

/// What to do about a name of which only a likeness can be written.
pub(super) const NOT_TEXT: &str = "its name is not UTF-8, which few tools can read: rename it with `git mv`";

/// Whether a path is only the likeness of a name that is not UTF-8. `root` is that of its worktree.
pub(super) fn is_no_text(root: &Path, path: &str) -> bool {
    path.contains(char::REPLACEMENT_CHARACTER) && root.join(path).symlink_metadata().is_err()
}

/// A single argument has at most 128 KiB.
const CHANGED_MAX: usize = 100 << 10;

/// `{files}`: the files of the tree that the gate looks at, relative to where it starts, up to
/// `bytes_max` each; 0: of any size.
pub(super) fn files(
    root: &Path,
    subdir: &str,
    files: &[String],
    inputs: &Inputs,
    bytes_max: u64,
) -> Vec<String> {
    let start = root.join(subdir);
    // A symbolic link is scanned where it leads, if that is in the tree.
    let plain = looked_at(subdir, files, inputs).into_iter().filter(|path| {
        let fits = |bytes| bytes_max == 0 || bytes <= bytes_max;
        start.join(path).symlink_metadata().is_ok_and(|meta| meta.is_file() && fits(meta.len()))
    });
    // A name is never an option.
    let named = plain.map(|path| if path.starts_with('-') { format!("./{path}") } else { path.to_owned() });
    shortened(named.collect(), RUN_MAX)
}

/// The files of the tree that the gate looks at, relative to where it starts.
fn looked_at<'f>(subdir: &'f str, files: &'f [String], inputs: &'f Inputs) -> Vec<&'f str> {
    let prefix = if subdir.is_empty() { String::new() } else { format!("{subdir}/") };
    inputs.of_tree(files, subdir).filter_map(|path| path.strip_prefix(&prefix)).collect()
}

/// The files of the tree that the gate looks at and that have more than `bytes_max`, relative to `start`,
/// where it works; none where that is 0.
pub(super) fn large(
    start: &Path,
    subdir: &str,
    files: &[String],
    inputs: &Inputs,
    bytes_max: u64,
) -> Vec<String> {
    let is_large = |path: &&str| {
        bytes_max > 0 && start.join(path).symlink_metadata().is_ok_and(|meta| meta.len() > bytes_max)
    };
    looked_at(subdir, files, inputs).into_iter().filter(is_large).map(ToOwned::to_owned).collect()
}

/// `{large}`: patterns of a shell's kind, each for one of these files.
pub(super) fn patterns(root: &Path, names: &[String]) -> String {
    let pattern = |name: &String| {
        let path = root.join(name).to_string_lossy().into_owned();
        let literal = |c: char| match c {
            '*' | '?' | '[' => format!("[{c}]"),
            // Nothing can stand for it but any character.
            ',' => "?".to_owned(),
            c => c.to_string(),
        };
        path.chars().map(literal).collect::<String>()
    };
    names.iter().map(pattern).collect::<Vec<_>>().join(",")
}

/// The names, or the directory where they take more than `max` bytes.
pub(super) fn shortened(files: Vec<String>, max: usize) -> Vec<String> {
    // The kernel counts a pointer for each word.
    let size: usize = files.iter().map(|file| file.len() + 9).sum();
    if size > max { vec![".".to_owned()] } else { files }
}

/// `{changed}`: the changed lines as JSON, `{"a.py": [[3, 5]]}`, with paths from where the gate
/// starts; `null` where there is no base.
pub(super) fn changed(lines: Option<&ChangedLines>, subdir: &str) -> String {
    let Some(lines) = lines else { return "null".to_owned() };
    let prefix = if subdir.is_empty() { String::new() } else { format!("{subdir}/") };
    let inside = || lines.iter().filter_map(|(path, lines)| Some((path.strip_prefix(&prefix)?, lines)));
    let exact: BTreeMap<&str, Vec<(u32, u32)>> =
        inside().map(|(path, lines)| (path, ranges(lines.iter().copied()))).collect();
    let text = serde_json::to_string(&exact).unwrap_or_default();
    if text.len() <= CHANGED_MAX {
        return text;
    }
    // More is looked at than was changed, never less.
    let whole: BTreeMap<&str, [(u32, u32); 1]> = inside().map(|(path, _)| (path, [(1, u32::MAX)])).collect();
    let text = serde_json::to_string(&whole).unwrap_or_default();
    if text.len() <= CHANGED_MAX { text } else { "\"all\"".to_owned() }
}

fn ranges(lines: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == line => *end = line,
            _ => ranges.push((line, line)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::preset;

    #[test]
    fn a_tool_is_given_the_files_that_are_there_and_no_option() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a b.py", "-x.py", "sub/c.py", "gone.py", "t.txt"].map(ToOwned::to_owned);
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        for path in paths.iter().filter(|path| *path != "gone.py") {
            std::fs::write(dir.path().join(path), "").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link.py")).unwrap();
        let mut paths = paths.to_vec();
        paths.push("link.py".into());
        let inputs = Inputs::of(&preset("bandit").unwrap()).unwrap();
        assert_eq!(files(dir.path(), "", &paths, &inputs, 0), ["a b.py", "./-x.py", "sub/c.py"]);
        assert_eq!(files(dir.path(), "sub", &paths, &inputs, 0), ["c.py"]);
        assert_eq!(shortened(vec!["x".repeat(100); 50], 4096), ["."]);
    }

    #[test]
    fn a_large_file_is_a_pattern_that_is_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/large.py"), "x = 1\n").unwrap();
        std::fs::write(dir.path().join("sub/small.py"), "").unwrap();
        let paths = ["sub/large.py", "sub/small.py", "sub/gone.py"].map(ToOwned::to_owned);
        let inputs = Inputs::of(&preset("radon").unwrap()).unwrap();
        let found = |max| large(&dir.path().join("sub"), "sub", &paths, &inputs, max);
        assert_eq!((found(5), found(6), found(0)), (vec!["large.py".to_owned()], vec![], vec![]));
        let names = ["a[1]*.py", "b,c?.py"].map(ToOwned::to_owned);
        assert_eq!(patterns(Path::new("/w"), &names), "/w/a[[]1][*].py,/w/b?c[?].py");
    }

    #[test]
    fn changed_lines_are_ranges_and_never_less_than_what_was_changed() {
        assert_eq!(changed(None, ""), "null");
        let lines = |path: &str, lines: &[u32]| (path.to_owned(), lines.iter().copied().collect());
        let few = ChangedLines::from([lines("a.py", &[3, 4, 5, 9]), lines("b \".py", &[1])]);
        assert_eq!(changed(Some(&few), ""), r#"{"a.py":[[3,5],[9,9]],"b \".py":[[1,1]]}"#);
        let odd: Vec<u32> = (1..60_000).step_by(2).collect();
        assert_eq!(
            changed(Some(&ChangedLines::from([lines("a.py", &odd)])), ""),
            r#"{"a.py":[[1,4294967295]]}"#
        );
        let many = (0..9000).map(|n| lines(&format!("pkg/module_{n}.py"), &[1])).collect();
        assert_eq!(changed(Some(&many), ""), r#""all""#);
        let below = ChangedLines::from([lines("sub/a.py", &[1]), lines("subway.py", &[1])]);
        assert_eq!(changed(Some(&below), "sub"), r#"{"a.py":[[1,1]]}"#);
    }
}
