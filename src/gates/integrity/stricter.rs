//! Changes of settings that let nothing pass which did not pass before: shorter lines for ruff, one hook more
//! for pre-commit. Whatever is not certain is none of them. Pure.

use toml::{Table, Value};

/// Whether the tools judge at least as before.
pub(super) fn is_no_weaker(path: &str, before: &[u8], after: &[u8]) -> bool {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    match path.rsplit('/').next().unwrap_or(path) {
        ".pre-commit-config.yaml" => has_all_hooks(&before, &after),
        "ruff.toml" | ".ruff.toml" => shorter_lines(&before, &after, &[]).is_some_and(|(a, b)| a == b),
        "pyproject.toml" => shorter_lines(&before, &after, &["tool", "ruff"]).is_some_and(|(a, b)| {
            super::settings::part(path, a.to_string().as_bytes())
                == super::settings::part(path, b.to_string().as_bytes())
        }),
        _ => false,
    }
}

/// Ruff's own default.
const LINE_LENGTH: i64 = 88;

/// Both files without the length of a line, if that is no longer than before, and checked: some rules fall
/// silent about what would not fit into a line, and only E501 keeps that honest.
fn shorter_lines(before: &str, after: &str, at: &[&str]) -> Option<(Table, Table)> {
    let (mut before, mut after) = (before.parse::<Table>().ok()?, after.parse::<Table>().ok()?);
    let was = ruff(&mut before, at)?.remove("line-length");
    let ruff = ruff(&mut after, at)?;
    let is = ruff.remove("line-length");
    let length = |value: Option<Value>| value.map_or(Some(LINE_LENGTH), |value| value.as_integer());
    (length(is)? <= length(was)? && checks_lines(ruff)).then_some((before, after))
}

fn ruff<'t>(table: &'t mut Table, at: &[&str]) -> Option<&'t mut Table> {
    at.iter().try_fold(table, |table, key| table.get_mut(*key)?.as_table_mut())
}

/// Whether E501 is asked for, everywhere, and goes by the same length.
fn checks_lines(ruff: &Table) -> bool {
    let lint = ruff.get("lint").and_then(Value::as_table);
    let tables = [Some(ruff), lint];
    let get = |key: &str| tables.iter().flatten().filter_map(|table| table.get(key)).collect::<Vec<_>>();
    let names = |value: &Value| {
        let codes = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        codes.into_iter().any(|code| code == "ALL" || (!code.is_empty() && "E501".starts_with(code)))
    };
    let asked = ["select", "extend-select"].iter().flat_map(|key| get(key)).any(names);
    let left_out = ["ignore", "extend-ignore"].iter().flat_map(|key| get(key)).any(names);
    let elsewhere = ["per-file-ignores", "extend-per-file-ignores", "pycodestyle", "extend"];
    asked && !left_out && elsewhere.iter().all(|key| get(key).is_empty())
}

/// Whether every hook is there as it was; which version of it, and what else there is, is free.
fn has_all_hooks(before: &str, after: &str) -> bool {
    let ((shared, hooks), (now_shared, mut now)) = (hooks(before), hooks(after));
    let mut is_there = |hook: &String| {
        let at = now.iter().position(|other| other == hook);
        at.map(|at| now.swap_remove(at)).is_some()
    };
    shared == now_shared && hooks.iter().all(&mut is_there)
}

/// What holds for all hooks, and each hook with its repository, as lines.
fn hooks(text: &str) -> (Vec<&str>, Vec<String>) {
    let (mut shared, mut hooks): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut repo, mut in_hook) = ("", false);
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')) {
        let said = line.trim();
        if let Some(name) = said.strip_prefix("- repo:") {
            (repo, in_hook) = (name.trim(), false);
        } else if said.starts_with("- id:") && !repo.is_empty() {
            hooks.push(format!("{repo}\n{said}"));
            in_hook = true;
        } else if !line.starts_with([' ', '-']) {
            shared.push(said);
            (repo, in_hook) = ("", false);
        } else if in_hook && let Some(hook) = hooks.last_mut() {
            hook.push('\n');
            hook.push_str(said);
        } else if !(said == "hooks:" || (said.starts_with("rev:") && !repo.is_empty())) {
            shared.push(said);
        }
    }
    (shared, hooks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_weaker(path: &str, before: &str, after: &str) -> bool {
        is_no_weaker(path, before.as_bytes(), after.as_bytes())
    }

    #[test]
    fn shorter_lines_are_stricter_where_they_are_checked() {
        let ruff = "line-length = 120\n[lint]\nselect = [\"E\", \"F\"]\n";
        let other = |from: &str, to: &str| no_weaker("ruff.toml", ruff, &ruff.replace(from, to));
        assert!(other("120", "100"));
        assert!(other("line-length = 120\n", ""), "the default is shorter");
        assert!(!other("120", "121") && !other("120", "\"a\""));
        assert!(!other("120\n[lint]\nselect = [\"E\", \"F\"]", "100\n[lint]\nselect = [\"E\"]"), "and less");
        for unchecked in [
            "[lint]\nselect = [\"F\"]\n",
            "[lint]\nselect = [\"E\"]\nignore = [\"E501\"]\n",
            "[lint]\nselect = [\"E\"]\n[lint.per-file-ignores]\n\"a.py\" = [\"E5\"]\n",
            "[lint]\nselect = [\"E\"]\n[lint.pycodestyle]\nmax-line-length = 200\n",
        ] {
            let with = |length: u8| format!("line-length = {length}\n{unchecked}");
            assert!(!no_weaker("ruff.toml", &with(120), &with(100)), "{unchecked}");
        }
        let project = "[project]\nname = 'x'\n[tool.ruff]\nline-length = 120\nlint.select = ['ALL']\n[tool.mypy]\nstrict = true\n";
        assert!(no_weaker("pyproject.toml", project, &project.replace("120", "99").replace("'x'", "'y'")));
        assert!(!no_weaker(
            "pyproject.toml",
            project,
            &project.replace("120", "99").replace("true", "false")
        ));
        assert!(!no_weaker("mypy.ini", "a", "a"));
    }

    #[test]
    fn a_hook_more_or_a_newer_one_is_no_less() {
        let path = ".pre-commit-config.yaml";
        let config = "repos:\n  - repo: https://example.org/ruff\n    rev: v1\n    hooks:\n      - id: ruff\n        args: [--strict]\n      - id: format\n";
        let other = |from: &str, to: &str| no_weaker(path, config, &config.replace(from, to));
        assert!(other("v1", "v2") && other("repos:", "# why\nrepos:"));
        assert!(other("      - id: format\n", "      - id: format\n      - id: more\n        exclude: a\n"));
        let more = "      - id: format\n- repo: local\n  hooks:\n  - id: mine\n    entry: x\n";
        assert!(other("      - id: format\n", more));
        assert!(!other("      - id: format\n", ""), "one is gone");
        assert!(!other("[--strict]", "[]") && !other("org/ruff", "org/other"));
        assert!(!other("      - id: format\n", "      - id: format\n        exclude: a\n"));
        assert!(!other("repos:", "exclude: pkg\nrepos:") && !other("repos:", "fail_fast: true\nrepos:"));
        assert!(!no_weaker(path, config, "") && !no_weaker(path, config, &format!("{config}repos: []\n")));
    }
}
