//! Whether a project builds or tests with code from outside of its repository, told from its manifests:
//! `rsdep = { path = "../rsdep" }`, `file:../shared`, `replace … => ../other`, `-e ../lib`.
//!
//! A manifest is searched as text and not understood: what is taken for a path and is none costs a kept
//! result, and one that is missed would give an old verdict for new code.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// More bytes of manifests than this are not read.
const BYTES_MAX: usize = 8 << 20;

/// Manifests by their whole name.
const NAMES: [&str; 13] = [
    "Cargo.toml",
    "package.json",
    "pnpm-workspace.yaml",
    "go.mod",
    "go.work",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "pytest.ini",
    ".pytest.ini",
    "tox.ini",
    "Pipfile",
    "uv.toml",
];

/// Manifests by the beginning and the end of their name.
const PATTERNS: [(&str, &str); 6] = [
    ("requirements", ".txt"),
    ("requirements", ".in"),
    ("constraints", ".txt"),
    ("tsconfig", ".json"),
    ("vitest.config.", ""),
    ("vite.config.", ""),
];

/// What stands around a path. `{root:uri}/../lib` is a path from where the manifest lies, too.
const AROUND: &[char] =
    &['"', '\'', '`', '=', ',', ';', ':', '(', ')', '[', ']', '{', '}', '<', '>', '@', '#', '|', '$', '\\'];

/// Paths that begin at the root of the machine or at home: they may lie inside, and whoever else has the
/// tree has them not.
static ABSOLUTE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?m)\b(?:file|link|portal):[ \t]*[/~]"#,
        r#"|\b(?:path|paths|members|workspace|pythonpath|where)["']?\s*[=:]\s*\[?\s*["']?[/~]"#,
        r#"|=>[ \t]*/|^[ \t]*(?:use|-e|--editable|-r|-c|--requirement|--constraint)[ \t=]*/"#,
        r#"|^[ \t]*/[^/*\s]|\{root:parent"#
    ))
    .expect("a test compiles it")
});

/// Whether no manifest of the tree names a path that leads out of it; `read` has a file's content. Where it
/// cannot be told, it is not so.
pub fn stays_inside(files: &[String], read: impl Fn(&str) -> Option<Vec<u8>>) -> bool {
    let mut left = BYTES_MAX;
    files.iter().filter(|path| is_manifest(path)).all(|path| {
        let Some(bytes) = read(path) else { return false };
        let Some(rest) = left.checked_sub(bytes.len()) else { return false };
        left = rest;
        !leads_out(path, &String::from_utf8_lossy(&bytes))
    })
}

fn is_manifest(path: &str) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let last = directory.rsplit('/').next().unwrap_or_default();
    NAMES.contains(&name)
        || PATTERNS.iter().any(|(begin, end)| name.starts_with(begin) && name.ends_with(end))
        || (last == "requirements" && Path::new(name).extension().is_some_and(|end| end == "txt"))
        || (last == ".cargo" && matches!(name, "config.toml" | "config"))
}

/// Whether the manifest at `path` names something outside of the tree.
fn leads_out(path: &str, text: &str) -> bool {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    // Cargo's own configuration speaks from where its directory lies.
    let directory = directory.strip_suffix(".cargo").unwrap_or(directory);
    let depth = directory.split('/').filter(|part| !part.is_empty()).count();
    let words = text.split(|c: char| c.is_whitespace() || AROUND.contains(&c));
    words.into_iter().any(|word| climbs_out(depth, word)) || ABSOLUTE.is_match(text)
}

/// Whether a path leaves a tree in which it begins so many directories down.
fn climbs_out(depth: usize, path: &str) -> bool {
    // `-e../lib` and `-I../include`.
    let path = if path.starts_with('-') { path.trim_start_matches(|c| c != '.') } else { path };
    let mut depth = depth;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_out_of_the_tree_is_seen_in_every_manifest() {
        for (path, text) in [
            ("Cargo.toml", "[dependencies]\nrsdep = { path = \"../rsdep\" }\n"),
            ("Cargo.toml", "[dependencies.rsdep]\npath='../rsdep'\n"),
            ("Cargo.toml", "[workspace]\nmembers = [\"a\", \"../b\"]\n"),
            ("crates/a/Cargo.toml", "[dependencies]\nb = { path = \"../../../b\" }\n"),
            ("Cargo.toml", "[dependencies]\nb = { path = \"a/../../b\" }\n"),
            ("Cargo.toml", "[dependencies]\nb = { version = \"1\", path = \"/opt/b\" }\n"),
            (".cargo/config.toml", "paths = [\"../b\"]\n"),
            ("package.json", r#"{"dependencies": {"a": "file:../a"}}"#),
            ("package.json", r#"{"dependencies": {"a": "link:../a"}}"#),
            ("package.json", r#"{"dependencies": {"a": "portal:../a", "b": "1"}}"#),
            ("package.json", r#"{"dependencies": {"a": "file:/opt/a"}}"#),
            ("package.json", r#"{"dependencies": {"a": "file:~/a"}}"#),
            ("web/package.json", r#"{"dependencies": {"a": "../../a"}}"#),
            ("pnpm-workspace.yaml", "packages:\n  - ../shared\n"),
            ("tsconfig.json", r#"{"compilerOptions": {"paths": {"a": ["../a/src"]}}}"#),
            ("go.mod", "module x\n\nreplace example.org/a => ../a\n"),
            ("go.mod", "module x\n\nreplace (\n\texample.org/a v1.0.0 => /opt/a\n)\n"),
            ("go.work", "go 1.22\n\nuse ../a\n"),
            ("go.work", "go 1.22\n\nuse (\n\t.\n\t/opt/a\n)\n"),
            ("pyproject.toml", "[tool.poetry.dependencies]\na = { path = \"../a\", develop = true }\n"),
            ("pyproject.toml", "[tool.uv.sources]\na.path = \"../a\"\n"),
            ("pyproject.toml", "[project]\ndependencies = [\"a @ file:///opt/a\"]\n"),
            ("pyproject.toml", "[project]\ndependencies = [\"a @ {root:uri}/../a\"]\n"),
            ("pyproject.toml", "[project]\ndependencies = [\"a @ {root:parent:uri}/a\"]\n"),
            ("pyproject.toml", "[tool.pytest.ini_options]\npythonpath = [\"../lib\"]\n"),
            ("requirements.txt", "pytest\n-e ../lib\n"),
            ("requirements-dev.txt", "../lib[extra]\n"),
            ("requirements/dev.txt", "-r ../../other/requirements.txt\n"),
            ("requirements.txt", "--editable=../lib\n"),
            ("requirements.txt", "-e../lib\n"),
            ("requirements.txt", "/opt/wheels/a.whl\n"),
            ("requirements.txt", "-e /opt/a\n"),
            ("requirements.txt", "-e file:../lib#egg=lib\n"),
            ("requirements.txt", "lib @ file:///opt/lib\n"),
            ("setup.py", "sys.path.insert(0, os.path.join(HERE, '..', 'lib'))\n"),
        ] {
            assert!(is_manifest(path) && leads_out(path, text), "{path}: {text}");
        }
    }

    #[test]
    fn a_path_inside_of_the_tree_leads_nowhere_else() {
        for (path, text) in [
            (
                "crates/a/Cargo.toml",
                "readme = \"../../README.md\"\n[dependencies]\nb = { path = \"../b\" }\n",
            ),
            ("Cargo.toml", "[dependencies]\nb = { path = \"crates/b\" }\nc = \"1\" # a/b ... c\n"),
            ("Cargo.toml", "[package]\nrepository = \"https://example.org/a/../b\"\n"),
            (".cargo/config.toml", "[build]\ntarget-dir = \"target/../out\"\n"),
            (
                "web/package.json",
                r#"{"main": "/dist/a.js", "dependencies": {"a": "file:../a", "b": "^1..2"}}"#,
            ),
            ("package.json", r#"{"workspaces": ["packages/*"], "scripts": {"test": "cd a && pwd"}}"#),
            ("tsconfig.json", "{\n  // see /opt\n  /* no */\n  \"paths\": {\"@/*\": [\"./src/*\"]}\n}"),
            ("go.mod", "// x\nmodule example.org/x\n\nreplace example.org/a => ./a\n"),
            ("a/go.mod", "module example.org/x\n\nreplace example.org/b => ../b\n"),
            (
                "pyproject.toml",
                "[project]\nrequires-python = \">=3.9\"\n[tool.uv.sources]\na = { path = \"libs/a\" }\n",
            ),
            ("requirements.txt", "# /opt\n-e .\n-r dev.txt\npytest>=8,<9 ; python_version>'3.8'\n"),
            ("requirements/dev.txt", "-r ../requirements.txt\n-e ..\n"),
        ] {
            assert!(!leads_out(path, text), "{path}: {text}");
        }
    }

    #[test]
    fn what_is_too_much_or_cannot_be_read_is_not_inside() {
        let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(stays_inside(&files(&["a.rs", "docs/Cargo.toml.md"]), |_| None));
        assert!(!stays_inside(&files(&["Cargo.toml"]), |_| None));
        let half = vec![b' '; BYTES_MAX / 2];
        assert!(stays_inside(&files(&["Cargo.toml", "a/Cargo.toml"]), |_| Some(half.clone())));
        assert!(!stays_inside(&files(&["Cargo.toml", "a/Cargo.toml", "go.mod"]), |_| Some(half.clone())));
    }
}
