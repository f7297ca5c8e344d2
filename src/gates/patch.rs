//! What a candidate changes, in the form that tools read; and what tools call its files.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::parse::Parsed;
use crate::domain::gate::{ChangedLines, Kind, Lines};

/// A source file larger than this is no source.
const SOURCE_MAX: u64 = 8 << 20;

/// A unified difference of nothing but the changed lines, each an addition of its own. Paths begin
/// at `subdir`, where the tool works; files outside of it are left out.
pub(super) fn diff(changed: &ChangedLines, root: &Path, subdir: &str) -> String {
    let mut text = String::new();
    for (path, lines) in changed {
        let inside = if subdir.is_empty() { Some(path.as_str()) } else { below(path, subdir) };
        let (Some(inside), Some(source)) = (inside, source(&root.join(path))) else { continue };
        let source: Vec<&str> = source.lines().collect();
        let mut hunks = String::new();
        let mut added = 0;
        for line in lines {
            let at = (*line as usize).checked_sub(1);
            let Some(said) = at.and_then(|at| source.get(at)) else { continue };
            let old = line.saturating_sub(added + 1);
            // Writing to a String cannot fail.
            write!(hunks, "@@ -{old},0 +{line},1 @@\n+{said}\n").expect("a String takes everything");
            added += 1;
        }
        // A file without a hunk is no difference to those who read one.
        if added > 0 {
            write!(text, "diff --git a/{inside} b/{inside}\n--- a/{inside}\n+++ b/{inside}\n{hunks}")
                .expect("a String takes everything");
        }
    }
    text
}

fn below<'a>(path: &'a str, subdir: &str) -> Option<&'a str> {
    path.strip_prefix(subdir)?.strip_prefix('/')
}

/// The text of a file, and of no link.
fn source(path: &Path) -> Option<String> {
    path.symlink_metadata().ok().filter(|meta| meta.is_file() && meta.len() <= SOURCE_MAX)?;
    fs::read_to_string(path).ok()
}

/// Some tools name files by package (`example.com/demo/sub/b.go`), or by one of several source
/// directories: such a file is the one whose path is the longest end of that name.
pub(super) fn name_as_the_tree_does(parsed: &mut Parsed, files: &[String], subdir: &str) {
    let named = parsed.findings.iter().any(|f| f.kind == Kind::Test && !f.path.is_empty());
    if !named && parsed.coverage.is_none() {
        return;
    }
    let files: HashSet<&str> = files.iter().map(String::as_str).collect();
    for finding in parsed.findings.iter_mut().filter(|finding| finding.kind == Kind::Test) {
        if let Some(name) = of_tree(&finding.path, &files, subdir) {
            finding.path = name;
        }
    }
    let Some(coverage) = &mut parsed.coverage else { return };
    let mut kept = BTreeMap::new();
    let mut foreign = false;
    for (path, lines) in std::mem::take(&mut coverage.files) {
        let name = of_tree(&path, &files, subdir).unwrap_or(path);
        // What git ignores lies in the checkout and not in the tree: it is not judged.
        if Path::new(&name).extension().is_some_and(|kind| kind == "py")
            && !name.starts_with(['/', '.'])
            && !files.contains(name.as_str())
        {
            foreign = true;
        } else {
            kept.insert(name, lines);
        }
    }
    if foreign && let Some(percent) = percent_of(&kept) {
        coverage.percent = percent;
    }
    coverage.files = kept;
}

/// Per cent of the lines of these files; `None` where they have none.
fn percent_of(files: &BTreeMap<String, Lines>) -> Option<f64> {
    let count = |of: fn(&Lines) -> usize| u32::try_from(files.values().map(of).sum::<usize>()).ok();
    let (hit, missed) = (count(|lines| lines.hit.len())?, count(|lines| lines.missed.len())?);
    (hit + missed > 0).then(|| 100.0 * f64::from(hit) / (f64::from(hit) + f64::from(missed)))
}

/// The name in the tree, where it is another one.
fn of_tree(path: &str, files: &HashSet<&str>, subdir: &str) -> Option<String> {
    if files.contains(path) {
        return None;
    }
    let mut rest = path;
    while let Some((_, end)) = rest.split_once('/') {
        rest = end;
        let inside = if subdir.is_empty() { rest.to_owned() } else { format!("{subdir}/{rest}") };
        if let Some(found) = [inside.as_str(), rest].into_iter().find(|name| files.contains(name)) {
            return Some(found.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::{Coverage, Lines};

    #[test]
    fn a_difference_has_the_changed_lines_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/a.rs"), "one\ntwo\nthree\n").unwrap();
        let changed: ChangedLines = [
            ("sub/a.rs".to_owned(), [1, 3, 9].into()),
            ("gone.rs".to_owned(), [1].into()),
            ("sub".to_owned(), [].into()),
        ]
        .into();
        let head = |path: &str| format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n");
        let hunks = "@@ -0,0 +1,1 @@\n+one\n@@ -1,0 +3,1 @@\n+three\n";
        assert_eq!(diff(&changed, dir.path(), ""), format!("{}{hunks}", head("sub/a.rs")));
        assert_eq!(diff(&changed, dir.path(), "sub"), format!("{}{hunks}", head("a.rs")));
        assert_eq!(diff(&changed, dir.path(), "other"), "");
    }

    #[test]
    fn a_file_is_found_by_the_longest_end_of_its_name() {
        let named = |path: &str, subdir: &str| {
            let files = ["a.go", "sub/a.go", "web/src/x.ts"].map(ToOwned::to_owned);
            let coverage = Coverage { percent: 1.0, files: [(path.to_owned(), Lines::default())].into() };
            let mut parsed = Parsed { coverage: Some(coverage), ..Parsed::default() };
            name_as_the_tree_does(&mut parsed, &files, subdir);
            parsed.coverage.unwrap().files.into_keys().next().unwrap()
        };
        assert_eq!(named("example.com/demo/sub/a.go", ""), "sub/a.go");
        assert_eq!(named("example.com/demo/a.go", ""), "a.go");
        assert_eq!(named("/elsewhere/b.go", ""), "/elsewhere/b.go");
        assert_eq!(named("web/demo/src/x.ts", "web"), "web/src/x.ts");
    }

    #[test]
    fn what_is_not_in_the_tree_is_no_part_of_the_whole() {
        let lines = |hit: &[u32], missed: &[u32]| Lines {
            hit: hit.iter().copied().collect(),
            missed: missed.iter().copied().collect(),
        };
        let measured = |other: &str| {
            let files =
                [("pkg/a.py".to_owned(), lines(&[1, 2, 3], &[4])), (other.to_owned(), lines(&[], &[1, 2]))];
            let coverage = Coverage { percent: 50.0, files: files.into() };
            let mut parsed = Parsed { coverage: Some(coverage), ..Parsed::default() };
            name_as_the_tree_does(&mut parsed, &["pkg/a.py".to_owned(), "pkg/b.py".to_owned()], "");
            let coverage = parsed.coverage.unwrap();
            (format!("{}", coverage.percent), coverage.files.len())
        };
        assert_eq!(measured("pkg/b.py"), ("50".to_owned(), 2));
        assert_eq!(measured("pkg/generated.py"), ("75".to_owned(), 1));
        assert_eq!(measured("/usr/lib/x.py"), ("50".to_owned(), 2), "as the tool says it");
    }
}
