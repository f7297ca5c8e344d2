//! Files by which a repository configures its tools, and the parts of shared files that do so.

use serde_json::Value;

/// Files that are about tools and nothing else, by name.
const NAMES: &[&str] = &[
    "ruff.toml",
    ".ruff.toml",
    "mypy.ini",
    ".mypy.ini",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    ".coveragerc",
    ".coveragerc.toml",
    ".flake8",
    ".pylintrc",
    "pylintrc",
    "pyrightconfig.json",
    ".bandit",
    "bandit.yaml",
    ".semgrepignore",
    ".semgrep.yml",
    ".semgrep.yaml",
    ".secrets.baseline",
    ".gitleaks.toml",
    ".gitleaksignore",
    ".trivyignore",
    ".trivyignore.yaml",
    "trivy.yaml",
    ".trufflehogignore",
    "radon.cfg",
    "noxfile.py",
    "clippy.toml",
    ".clippy.toml",
    "rustfmt.toml",
    ".rustfmt.toml",
    "deny.toml",
    "nextest.toml",
    "mutants.toml",
    ".eslintignore",
    "tsconfig.json",
    ".npmrc",
    ".c8rc.json",
    ".nycrc",
    ".golangci.yml",
    ".golangci.yaml",
    ".golangci.toml",
    ".golangci.json",
    "sprint.toml",
    ".pre-commit-config.yaml",
];

/// Beginnings of such names; the rest says in which language they are written.
const BEGINNINGS: &[&str] = &[
    "eslint.config.",
    ".eslintrc",
    "vitest.config.",
    "vitest.workspace.",
    "vite.config.",
    "jest.config.",
    "stryker.config.",
    "tsconfig.",
];

/// Directories that are about tools and nothing else.
const DIRECTORIES: &[&str] = &[".sprint/", ".semgrep/", ".cargo/"];

/// Tables of `[tool]` in pyproject.toml.
const PYTHON_TOOLS: &[&str] = &[
    "ruff",
    "mypy",
    "pytest",
    "coverage",
    "mutmut",
    "semgrep",
    "bandit",
    "radon",
    "pyright",
    "pylint",
    "tox",
    "hatch.envs",
];

/// Sections of setup.cfg.
const SETUP_SECTIONS: &[&str] =
    &["mypy", "tool:pytest", "coverage", "flake8", "mutmut", "radon", "pylint", "bandit"];

/// Keys of package.json.
const PACKAGE_KEYS: &[&str] = &["eslintConfig", "eslintIgnore", "jest", "vitest", "c8", "nyc", "stryker"];

/// Whether a file is about tools and nothing else.
pub(super) fn is_whole(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    NAMES.contains(&name)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || DIRECTORIES
            .iter()
            .any(|directory| path.starts_with(directory) || path.contains(&format!("/{directory}")))
}

/// The part of a shared file that configures tools, in a form that can be compared; `None` for a file
/// that has none. A file that cannot be read is its own bytes: a change of it counts.
pub(super) fn part(path: &str, bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    match path.rsplit('/').next().unwrap_or(path) {
        "pyproject.toml" => Some(pyproject(&text)),
        "Cargo.toml" => Some(cargo(&text)),
        "setup.cfg" => Some(setup(&text)),
        "package.json" => Some(package(&text)),
        _ => None,
    }
}

fn pyproject(text: &str) -> String {
    let Ok(table) = text.parse::<toml::Table>() else { return text.to_owned() };
    let tools = PYTHON_TOOLS.iter().map(|name| {
        let mut value = table.get("tool");
        for key in name.split('.') {
            value = value.and_then(|value| value.get(key));
        }
        value.map(ToString::to_string).unwrap_or_default()
    });
    tools.collect::<Vec<_>>().join("\n")
}

/// Keys of Cargo.toml by which a target is tested or not.
const TARGET_KEYS: &[&str] = &["test", "doctest", "harness"];

fn cargo(text: &str) -> String {
    let Ok(table) = text.parse::<toml::Table>() else { return text.to_owned() };
    let own = table.get("lints");
    let shared = table.get("workspace").and_then(|workspace| workspace.get("lints"));
    let found = table.get("package").and_then(|package| package.get("autotests"));
    let mut kept =
        [own, shared, found].map(|value| value.map(ToString::to_string).unwrap_or_default()).to_vec();
    for kind in ["lib", "bin", "test"] {
        let targets = match table.get(kind) {
            Some(toml::Value::Array(targets)) => targets.as_slice(),
            Some(target) => std::slice::from_ref(target),
            None => &[],
        };
        kept.extend(targets.iter().filter_map(untested));
    }
    kept.join("\n")
}

/// What a target says of its tests; nothing of one that says nothing.
fn untested(target: &toml::Value) -> Option<String> {
    let said: Vec<String> =
        TARGET_KEYS.iter().filter_map(|key| Some(format!("{key} = {}", target.get(key)?))).collect();
    let name = target.get("name").map(ToString::to_string).unwrap_or_default();
    (!said.is_empty()).then(|| format!("{name} {}", said.join(" ")))
}

/// An ini file: sections in brackets.
fn setup(text: &str) -> String {
    let (mut kept, mut takes) = (String::new(), false);
    for line in text.lines() {
        if let Some(section) = line.trim().strip_prefix('[') {
            takes = SETUP_SECTIONS.iter().any(|name| section.starts_with(name));
        }
        if takes && !line.trim().is_empty() {
            kept.push_str(line.trim());
            kept.push('\n');
        }
    }
    kept
}

fn package(text: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let own = PACKAGE_KEYS.iter().map(|key| value.get(key));
    let script = |name: &'static str| value.get("scripts").and_then(|scripts| scripts.get(name));
    let scripts = ["test", "lint", "typecheck", "check"].map(script);
    let all = own.chain(scripts).map(|value| value.map(ToString::to_string).unwrap_or_default());
    all.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_about_tools() {
        for path in [
            "mypy.ini",
            "a/b/ruff.toml",
            "eslint.config.mjs",
            ".cargo/config.toml",
            "x/tsconfig.json",
            ".sprint/prompts/review.md",
            ".eslintrc.json",
        ] {
            assert!(is_whole(path), "{path}");
        }
        for path in ["a.py", "pyproject.toml", "docs/ruff.toml.md", "src/cargo/a.rs", "package.json"] {
            assert!(!is_whole(path), "{path}");
        }
    }

    /// Whether the change of a shared file is one of tools.
    fn differs(path: &str, before: &str, after: &str) -> bool {
        part(path, before.as_bytes()) != part(path, after.as_bytes())
    }

    #[test]
    fn only_the_tools_part_of_a_shared_file_counts() {
        let before = "[project]\nversion = '1'\n[tool.ruff]\nselect = ['E']\n[tool.other]\na = 1\n";
        assert!(!differs("pyproject.toml", before, &before.replace("'1'", "'2'").replace("a = 1", "a = 2")));
        assert!(differs("pyproject.toml", before, &before.replace("['E']", "[]")));
        assert!(differs("pyproject.toml", before, "[project\n"), "unreadable");
        assert!(differs("Cargo.toml", "[package]\n", "[package]\n[lints.clippy]\nall = 'allow'\n"));
        assert!(!differs("Cargo.toml", "[package]\n", "[package]\n[dependencies]\na = '1'\n"));
        assert!(differs("Cargo.toml", "[package]\n", "[package]\n[lib]\ntest = false\n"));
        assert!(differs("Cargo.toml", "[package]\n", "[package]\nautotests = false\n"));
        assert!(differs("Cargo.toml", "", "[[test]]\nname = 'a'\nharness = false\n"));
        assert!(!differs("Cargo.toml", "", "[[bin]]\nname = 'a'\n[lib]\nname = 'b'\n"));
        assert!(differs("setup.cfg", "[mypy]\nstrict = 1\n[a]\nb = 1\n", "[mypy]\nstrict = 0\n[a]\nb = 1\n"));
        assert!(!differs(
            "setup.cfg",
            "[mypy]\nstrict = 1\n[a]\nb = 1\n",
            "[mypy]\nstrict = 1\n[a]\nb = 2\n"
        ));
        assert!(differs(
            "package.json",
            r#"{"scripts":{"test":"vitest"}}"#,
            r#"{"scripts":{"test":"true"}}"#
        ));
        assert!(!differs("package.json", r#"{"dependencies":{}}"#, r#"{"dependencies":{"a":"1"}}"#));
        assert_eq!(part("a.py", b"x"), None);
    }
}
