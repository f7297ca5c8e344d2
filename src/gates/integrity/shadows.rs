//! Files that a tool would load or start in the place of what it means to.

/// Modules that tests and tools import, and that nothing in a repository should be called.
const MODULES: &[&str] = &[
    // Tools and what they are made of.
    "pytest",
    "_pytest",
    "pluggy",
    "coverage",
    "pytest_cov",
    "mypy",
    "mypyc",
    "ruff",
    "radon",
    "mutmut",
    "semgrep",
    "bandit",
    "detect_secrets",
    "pip_audit",
    "xdist",
    "hypothesis",
    "unittest",
    "doctest",
    "nose",
    "iniconfig",
    // Python's own, which everything imports.
    "abc",
    "argparse",
    "ast",
    "asyncio",
    "atexit",
    "base64",
    "builtins",
    "codecs",
    "collections",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "functools",
    "gc",
    "glob",
    "hashlib",
    "importlib",
    "inspect",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "os",
    "pathlib",
    "pickle",
    "pkgutil",
    "platform",
    "random",
    "re",
    "runpy",
    "shutil",
    "signal",
    "site",
    "socket",
    "sqlite3",
    "string",
    "subprocess",
    "sys",
    "sysconfig",
    "tempfile",
    "threading",
    "time",
    "tokenize",
    "tomllib",
    "traceback",
    "types",
    "typing",
    "typing_extensions",
    "uuid",
    "warnings",
    "weakref",
    "xml",
    "zipfile",
    "zipimport",
];

/// What Python runs whenever it starts, if it is in its way.
const STARTERS: &[&str] = &["sitecustomize", "usercustomize"];

/// Directories from which Python imports while tests run.
const ROOTS: &[&str] = &["", "src/", "lib/", "tests/", "test/"];

/// Why a file that a change brings is in some tool's way; `programs` are those that gates start.
pub(super) fn why(path: &str, programs: &[&str]) -> Option<String> {
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(dir, name)| (dir, name));
    if matches!(name.rsplit_once('.'), Some((_, "pth" | "egg-link"))) {
        return Some(format!("`{name}` changes where Python looks for modules"));
    }
    let module = name.strip_suffix(".py").or_else(|| name.strip_suffix(".so")).unwrap_or_default();
    if STARTERS.contains(&module) {
        return Some(format!("`{name}` runs whenever Python starts"));
    }
    if let Some(module) = top_module(path).filter(|module| MODULES.contains(module)) {
        return Some(format!("it takes the place of the module `{module}`"));
    }
    // A directory that belongs into a PATH, or a program that lies about.
    let is_bin = matches!(directory.rsplit('/').next(), Some("bin" | ".bin"));
    (programs.contains(&name) && (directory.is_empty() || is_bin))
        .then(|| format!("it has the name of the program `{name}`, which gates start"))
}

/// The module or package that the file makes or belongs to, where it can be imported by that name.
fn top_module(path: &str) -> Option<&str> {
    let in_root = |root: &&&str| path.starts_with(**root);
    let longest = ROOTS.iter().filter(in_root).max_by_key(|root| root.len())?;
    let rest = &path[longest.len()..];
    match rest.split_once('/') {
        // `tests/json/…` is a directory of cases unless it is a package.
        Some((package, file)) => (file == "__init__.py").then_some(package),
        None => rest.strip_suffix(".py"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_tools_way() {
        let said = |path| why(path, &["ruff", "pytest"]).is_some();
        for path in [
            "sitecustomize.py",
            "src/usercustomize.py",
            "x.pth",
            "pytest.py",
            "src/json.py",
            "coverage/__init__.py",
            "tests/unittest.py",
            "ruff",
            "bin/pytest",
            "node_modules/.bin/ruff",
        ] {
            assert!(said(path), "{path}");
        }
        for path in [
            "src/app/json.py",
            "tests/json/a.py",
            "tests/test_json.py",
            "docs/pytest",
            "json.md",
            "src/jsonx.py",
            "types.ts",
        ] {
            assert!(!said(path), "{path}");
        }
    }
}
