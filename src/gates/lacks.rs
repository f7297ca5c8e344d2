//! What a red test says that is missing: that may lie in the checkout, made by a build and ignored by git.

use std::collections::BTreeSet;

/// How programs say that something is not there.
const WORDS: [&str; 9] = [
    "ModuleNotFoundError",
    "ImportError",
    "FileNotFoundError",
    "No such file or directory",
    "Cannot find module",
    "Cannot find package",
    "Failed to resolve",
    "Failed to load",
    "ENOENT",
];

/// Of an absolute path the last parts say what is meant; those above are a temporary directory's.
const PARTS_MAX: usize = 2;

/// Whether the test says that something is not there.
pub(super) fn lacks(message: &str) -> bool {
    WORDS.iter().any(|word| message.contains(word))
}

/// The parts of the names that it misses: `app` and `_gen` of `No module named 'app._gen'`.
pub(super) fn missing(message: &str) -> BTreeSet<&str> {
    message.lines().filter(|line| lacks(line)).flat_map(named).flat_map(parts).collect()
}

/// What stands between two of the same quotes, of which an odd one gives a part too many; without any, each word:
/// a shell says `cat: data/gold.txt: No such file or directory`.
fn named(line: &str) -> Vec<&str> {
    let quoted: Vec<&str> =
        ['\'', '"'].into_iter().flat_map(|quote| line.split(quote).skip(1).step_by(2)).collect();
    if quoted.is_empty() { line.split([' ', ':', ',']).collect() } else { quoted }
}

fn parts(name: &str) -> impl Iterator<Item = &str> {
    let is_absolute = name.starts_with('/');
    let all: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    let from = if is_absolute { all.len().saturating_sub(PARTS_MAX) } else { 0 };
    all.into_iter().skip(from).flat_map(|part| part.split('.')).filter(|part| !part.is_empty())
}

/// A file or directory by what [`missing`] calls it: its name without a directory and an ending.
pub fn stem(path: &str) -> &str {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.trim_start_matches('.').split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_taken_from_what_tools_say() {
        let names = |message| missing(message).into_iter().collect::<Vec<_>>();
        assert_eq!(names("x\nModuleNotFoundError: No module named 'app._gen'\n"), ["_gen", "app"]);
        assert_eq!(
            names("ImportError: cannot import name '_gen' from 'app' (/tmp/app/__init__.py)"),
            ["_gen", "app"]
        );
        assert_eq!(
            names("FileNotFoundError: [Errno 2] No such file or directory: '/tmp/x/candidate/data/gold.txt'"),
            ["data", "gold", "txt"]
        );
        assert_eq!(names("Failed to resolve import \"./gen\" from \"src/a.ts\""), ["a", "gen", "src", "ts"]);
        assert!(names("cat: data/gold.txt: No such file or directory").contains(&"gold"));
        assert_eq!(names("AssertionError: assert 'a' == 'b'"), Vec::<&str>::new());
    }

    #[test]
    fn a_file_is_called_without_directory_and_ending() {
        assert_eq!(
            ["a/_gen.cpython-311.so", "b/gen/", ".env.local", "x"].map(stem),
            ["_gen", "gen", "env", "x"]
        );
    }
}
