//! Whether a change asks for other packages to be installed. Pure.
//!
//! Who judges a base with what is installed for the candidate cannot tell then whether a test was red before.

use std::path::Path;

use serde_json::Value;

/// What npm installs by: <https://docs.npmjs.com/cli/configuring-npm/package-json>.
const OF_NODE: [&str; 5] =
    ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "overrides"];

/// Tables of `pyproject.toml`: <https://packaging.python.org/en/latest/specifications/pyproject-toml/>, groups, and
/// Poetry's.
const OF_PYTHON: [&[&str]; 7] = [
    &["project", "dependencies"],
    &["project", "optional-dependencies"],
    &["project", "requires-python"],
    &["dependency-groups"],
    &["tool", "poetry", "dependencies"],
    &["tool", "poetry", "group"],
    &["tool", "uv", "sources"],
];

/// Files that say nothing but what is installed.
const LOCKS: [&str; 8] = [
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile",
    "Pipfile.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
];

/// Whether `path`, from `base` to `head`, asks for other packages. A file that is not there is `None`.
pub fn differ(path: &str, base: Option<&[u8]>, head: Option<&[u8]>) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_text = Path::new(name).extension().is_some_and(|end| end == "txt");
    let is_list = |start: &str| is_text && name.starts_with(start);
    match name {
        _ if LOCKS.contains(&name) || is_list("requirements") || is_list("constraints") => base != head,
        "pyproject.toml" => of_python(base) != of_python(head),
        "package.json" => of_node(base) != of_node(head),
        _ => false,
    }
}

fn of_python(text: Option<&[u8]>) -> Vec<Option<toml::Value>> {
    let text = text.map(String::from_utf8_lossy).unwrap_or_default();
    let table = toml::Value::Table(text.parse().unwrap_or_default());
    let at = |keys: &&[&str]| keys.iter().try_fold(&table, |value, key| value.get(key)).cloned();
    OF_PYTHON.iter().map(at).collect()
}

fn of_node(text: Option<&[u8]>) -> Vec<Option<Value>> {
    let value: Value = serde_json::from_slice(text.unwrap_or_default()).unwrap_or_default();
    OF_NODE.iter().map(|key| value.get(key).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(path: &str, base: &str, head: &str) -> bool {
        differ(path, Some(base.as_bytes()), Some(head.as_bytes()))
    }

    #[test]
    fn what_is_asked_for_counts_and_what_is_said_besides_does_not() {
        assert!(differs("requirements-dev.txt", "a==1\n", "a==2\n"));
        assert!(differs("web/package-lock.json", "{}", "{ }"));
        assert!(differ("uv.lock", None, Some(b"x")));
        let python = |version: &str, line: u32| {
            format!(
                "[project]\nname = \"x\"\ndependencies = [\"a=={version}\"]\n[tool.ruff]\nline-length = {line}\n"
            )
        };
        assert!(differs("pyproject.toml", &python("1", 80), &python("2", 80)));
        assert!(!differs("pyproject.toml", &python("1", 80), &python("1", 100)));
        assert!(differs("package.json", r#"{"dependencies":{"ms":"1"}}"#, r#"{"dependencies":{"ms":"2"}}"#));
        assert!(!differs("package.json", r#"{"version":"1"}"#, r#"{"version":"2"}"#));
        assert!(!differs("notes.txt", "a", "b") && !differs("setup.cfg", "a", "b"));
    }
}
