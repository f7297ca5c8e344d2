//! The Python that a program of an environment runs with, read from its first lines.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What is read of a script: two lines with paths in them.
const HEAD_MAX: u64 = 8 << 10;

/// The interpreter of a Python script such as `pytest`; `None` for a program of another kind, as pyenv's
/// are, and where that interpreter is not there.
pub(super) fn of(script: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    fs::File::open(script).ok()?.take(HEAD_MAX).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    let python = PathBuf::from(named(&head)?);
    let name = python.file_name()?.to_str()?;
    let is_python = name.starts_with("python") || name.starts_with("pypy");
    (is_python && python.is_absolute() && python.is_file()).then_some(python)
}

/// What stands after `#!`, or, where that would be too long or has a blank, after `exec` in the second
/// line.
fn named(head: &str) -> Option<&str> {
    let mut lines = head.lines();
    let first = lines.next()?.strip_prefix("#!")?.trim();
    if first != "/bin/sh" {
        return first.split_whitespace().next();
    }
    let after = lines.next()?.strip_prefix("'''exec' ")?;
    match after.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => after.split(' ').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_name_it() {
        assert_eq!(named("#!/v/bin/python\nimport x\n"), Some("/v/bin/python"));
        assert_eq!(named("#!/v/bin/python3 -sE\n"), Some("/v/bin/python3"));
        let long = "#!/bin/sh\n'''exec' \"/a b/bin/python3\" \"$0\" \"$@\"\n' '''\n";
        assert_eq!(named(long), Some("/a b/bin/python3"));
        assert_eq!(named("#!/bin/sh\n'''exec' /v/bin/python3 \"$0\"\n"), Some("/v/bin/python3"));
        assert_eq!(named("#!/bin/sh\nexec pyenv\n"), None);
        assert_eq!(named("import x\n"), None);
        assert_eq!(named(""), None);
    }

    #[test]
    fn only_a_python_that_is_there_counts() {
        let dir = tempfile::tempdir().unwrap();
        let script = |first: &str| {
            fs::write(dir.path().join("pytest"), format!("#!{first}\n")).unwrap();
            of(&dir.path().join("pytest"))
        };
        let python = dir.path().join("python3.11");
        fs::write(&python, "").unwrap();
        assert_eq!(script(&python.to_string_lossy()), Some(python));
        assert_eq!(script("/gone/bin/python3"), None);
        assert_eq!(script("/usr/bin/env python3"), None);
        assert_eq!(script("/bin/bash"), None);
        assert_eq!(of(&dir.path().join("gone")), None);
    }
}
