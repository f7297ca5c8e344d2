//! Suppressions that ask for less than before: `# noqa` that has become `# noqa: F401` hides fewer
//! findings, and is the base's mark in other words. Pure.

use std::sync::LazyLock;

use regex::Regex;

use super::marks::Mark;

/// How suppressions are written: the first group is what kind it is, the second its codes.
const FORMS: &[&str] = &[
    r"(?i)^((?:ruff:\s*|flake8:\s*)?noqa)(?:\s*:\s*(.*))?$",
    r"(?i)^(ruff:\s*(?:ignore|file-ignore|disable))\s*(?:\[(.*)\])?$",
    r"^((?:type|pyright|pyrefly|ty):\s*ignore)\s*(?:\[(.*)\])?$",
    r"(?i)^#?(nosec)\s*:?\s*(.*)$",
    r"(?i)^(nosemgrep)(?:\s*:\s*(.*))?$",
    r"^(pylint:\s*disable(?:-next)?)\s*=\s*(.*)$",
    r"^(eslint-disable(?:-next-line|-line)?)\b\s*(.*)$",
    r"^(nolint)(?::(.*))?$",
    r"^(#!?\[\s*(?:allow|expect)\s*\()(.*?)\)?\s*$",
];

static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    FORMS.iter().map(|form| Regex::new(form).expect("a test compiles every form")).collect()
});

/// What a suppression hides.
#[derive(Debug, PartialEq, Eq)]
struct Hides {
    kind: String,
    /// None: everything.
    codes: Vec<String>,
}

impl Hides {
    fn of(text: &str) -> Option<Self> {
        let groups = COMPILED.iter().find_map(|form| form.captures(text))?;
        let kind = groups[1].to_lowercase().split_whitespace().collect::<Vec<_>>().join("");
        // Behind two dashes eslint has its reason.
        let said = groups.get(2).map_or("", |codes| codes.as_str()).split("--").next().unwrap_or_default();
        let codes = said.split([',', ' ', '\t']).filter(|code| !code.is_empty());
        let by_case = !(kind.ends_with("noqa") || kind == "nosec");
        let code = |code: &str| if by_case { code.to_owned() } else { code.to_uppercase() };
        Some(Self { codes: codes.map(code).collect(), kind })
    }

    /// Whether the other hides nothing that this does not.
    fn covers(&self, other: &Self) -> bool {
        // A region has its lines.
        let is_region = self.kind == "eslint-disable" && other.kind.starts_with("eslint-disable-");
        // `noqa: E` is every code that begins so.
        let begins = self.kind.ends_with("noqa");
        let has = |code: &String| {
            self.codes.iter().any(|own| own == code || (begins && code.starts_with(own.as_str())))
        };
        (self.kind == other.kind || is_region)
            && (self.codes.is_empty() || (!other.codes.is_empty() && other.codes.iter().all(has)))
    }
}

/// Writes down for the candidate's suppressions which of the base's each of them is, where it asks for
/// less: one for one, of those that the other side does not have as they are.
pub(super) fn recognise(base: &[Mark], head: &mut [Mark]) {
    let mut free: Vec<&Mark> = base.iter().filter(|mark| mark.rule == "suppression").collect();
    let mut new: Vec<&mut Mark> = Vec::new();
    for mark in head.iter_mut().filter(|mark| mark.rule == "suppression") {
        match free.iter().position(|was| was.text == mark.text) {
            Some(at) => {
                free.remove(at);
            }
            None => new.push(mark),
        }
    }
    if new.is_empty() {
        return;
    }
    let mut free: Vec<(&Mark, Hides)> =
        free.into_iter().filter_map(|mark| Some((mark, Hides::of(&mark.text)?))).collect();
    for mark in new {
        let Some(hides) = Hides::of(&mark.text) else { continue };
        if let Some(at) = free.iter().position(|(_, was)| was.covers(&hides)) {
            mark.was = Some(free.remove(at).0.text.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrower(was: &str, is: &str) -> bool {
        let mark = |text: &str| Mark {
            rule: "suppression",
            text: text.into(),
            was: None,
            body: String::new(),
            line: 1,
        };
        let mut head = [mark(is)];
        recognise(&[mark(was)], &mut head);
        head[0].was.as_deref() == Some(was)
    }

    #[test]
    fn what_hides_less_is_the_same_mark_and_what_hides_more_is_another() {
        for (wide, narrow) in [
            ("noqa", "noqa: F401"),
            ("NOQA: E501, F401", "noqa: F401"),
            ("noqa: E", "noqa: E501"),
            ("ruff: noqa", "ruff: noqa: E501"),
            ("type: ignore", "type: ignore[arg-type]"),
            ("type: ignore[arg-type,misc]", "type: ignore[misc]"),
            ("nosec", "nosec B101"),
            ("nosec B101, B102", "nosec B102"),
            ("nosemgrep", "nosemgrep: rules.eval"),
            ("eslint-disable", "eslint-disable no-eval, no-alert"),
            ("eslint-disable no-eval, no-alert", "eslint-disable no-eval -- old"),
            ("eslint-disable no-eval", "eslint-disable-next-line no-eval"),
            ("pylint: disable=a,b", "pylint: disable=b"),
            ("nolint", "nolint:errcheck"),
            ("#[allow(dead_code, unused)", "#[allow(unused)"),
        ] {
            assert!(narrower(wide, narrow), "{wide} → {narrow}");
            assert!(!narrower(narrow, wide), "{narrow} → {wide}");
        }
        for (was, is) in [
            ("noqa: F401", "noqa: E501"),
            ("noqa", "ruff: noqa: E501"),
            ("type: ignore", "noqa: F401"),
            ("#[allow(a, b)", "#![allow(a)"),
            ("pragma: no cover", "noqa: F401"),
        ] {
            assert!(!narrower(was, is), "{was} → {is}");
        }
    }

    #[test]
    fn every_form_compiles() {
        assert_eq!(COMPILED.len(), FORMS.len());
    }
}
