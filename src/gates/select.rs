//! Which gates take part on a tree, and why: what `gates.presets` says, and with `auto` what there is.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs;
use super::tools;
use crate::config::Presets;
use crate::config::gate::GateConfig;

/// A file of this size and more is not looked into for a tool's name.
const TEXT_MAX: usize = 1 << 20;

/// What is in a candidate **and** its base, as far as presets ask: a candidate that deletes all
/// Python must still meet pytest.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    subdir: String,
    files: BTreeSet<String>,
    languages: BTreeSet<&'static str>,
    /// What files that may name a tool say, by path; of all trees.
    texts: BTreeMap<String, String>,
}

/// Whether a gate takes part, and why or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Whether it does.
    pub takes_part: bool,
    /// For people: a few words without a full stop.
    pub reason: String,
}

impl Contents {
    /// Nothing yet; `subdir` is `general.root`.
    pub fn new(subdir: &str) -> Self {
        Self { subdir: subdir.to_owned(), ..Self::default() }
    }

    /// Adds a tree; `read` gives a file of it, if it is there.
    ///
    /// # Errors
    /// What `read` says.
    pub fn add<E>(
        &mut self,
        files: Vec<String>,
        gates: &[GateConfig],
        read: impl Fn(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), E> {
        self.languages.extend(tools::languages(files.iter().map(String::as_str), None));
        self.files.extend(files);
        let wanted: BTreeSet<&str> =
            gates.iter().filter_map(|gate| gate.tool.detect_text.as_ref()).map(|d| d.file.as_str()).collect();
        for file in wanted {
            let path = self.below(file);
            let said = if self.files.contains(&path) { read(&path)? } else { None };
            if let Some(said) = said.filter(|said| said.len() < TEXT_MAX) {
                self.texts.entry(path).or_default().push_str(&String::from_utf8_lossy(&said));
            }
        }
        Ok(())
    }

    /// Adds the languages that plan.md names.
    pub fn add_plan(&mut self, language: &str) {
        self.languages.extend(tools::languages(std::iter::empty(), Some(language)));
    }

    fn below(&self, file: &str) -> String {
        if self.subdir.is_empty() { file.to_owned() } else { format!("{}/{file}", self.subdir) }
    }
}

/// Whether the gate takes part: a person's own always, presets as `gates.presets` says, with `auto`
/// by what there is.
pub fn choice(gate: &GateConfig, presets: &Presets, contents: &Contents) -> Choice {
    let (takes_part, reason) = match (&gate.preset, presets) {
        _ if !gate.enabled => (false, format!("`[gate.{}] enabled = false`", gate.name)),
        (None, _) => (true, "a gate of your own".to_owned()),
        (Some(preset), Presets::List(names)) if names.contains(preset) => {
            (true, "`gates.presets` names it".to_owned())
        }
        (Some(_), Presets::List(_)) => (false, "`gates.presets` does not name it".to_owned()),
        (Some(_), Presets::Auto(_)) => match detected(gate, contents) {
            Ok(reason) => (true, reason),
            Err(reason) => (false, reason),
        },
    };
    Choice { takes_part, reason }
}

/// Where what a preset needs lies, if not where gates run: a directory for `general.root`, the nearest one.
pub fn deeper<'c>(gate: &GateConfig, contents: &'c Contents) -> Option<&'c str> {
    if gate.preset.is_none() || gate.tool.detect.is_empty() || !contents.subdir.is_empty() {
        return None;
    }
    let set = inputs::set(&gate.tool.detect).ok()??;
    let of = |file: &'c String| {
        let (directory, _) = file.rsplit_once('/').filter(|(_, name)| set.is_match(name))?;
        Some((directory.matches('/').count(), directory))
    };
    contents.files.iter().filter_map(of).min().map(|(_, directory)| directory)
}

/// See [`choice`].
pub fn takes_part(gate: &GateConfig, presets: &Presets, contents: &Contents) -> bool {
    choice(gate, presets, contents).takes_part
}

/// Why a preset fits, or why not.
fn detected(gate: &GateConfig, contents: &Contents) -> Result<String, String> {
    let tool = &gate.tool;
    let spoken = tool.languages.iter().find(|language| contents.languages.contains(language.as_str()));
    if spoken.is_none() && !tool.languages.is_empty() {
        return Err(format!("there is no {} here", tool.languages.join(" or ")));
    }
    let files = contents.files.iter().map(String::as_str);
    let there = inputs::any_below(&tool.detect, files, &contents.subdir).unwrap_or(false);
    let place = if contents.subdir.is_empty() { String::new() } else { format!(" in `{}`", contents.subdir) };
    let alike = if tool.detect.len() > 1 { " or the like" } else { "" };
    let file = tool.detect.first().map(|first| format!("`{first}`{alike}{place}"));
    if let (false, Some(file)) = (there, &file) {
        return Err(format!("there is no {file}"));
    }
    if let Some(asked) = &tool.detect_text {
        let (file, word) = (&asked.file, asked.text.trim_matches('"'));
        let says = contents.texts.get(&contents.below(file)).is_some_and(|said| said.contains(&asked.text));
        return if says {
            Ok(format!("`{file}` names {word}"))
        } else {
            Err(format!("`{file}` does not name {word}"))
        };
    }
    Ok(match (file, spoken) {
        (Some(file), _) => format!("there is {file}"),
        (None, Some(language)) => format!("there is {language}"),
        (None, None) => "it is for every repository".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::preset;

    fn contents(subdir: &str, files: &[(&str, &str)]) -> Contents {
        let mut contents = Contents::new(subdir);
        let read = |path: &str| -> Result<Option<Vec<u8>>, ()> {
            Ok(files.iter().find(|(p, _)| *p == path).map(|(_, text)| text.as_bytes().to_vec()))
        };
        let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        contents.add(paths, &[preset("vitest").unwrap()], read).unwrap();
        contents
    }

    fn check(name: &str, contents: &Contents, expected: (bool, &str)) {
        let chosen = choice(&preset(name).unwrap(), &auto(), contents);
        assert_eq!((chosen.takes_part, chosen.reason.as_str()), expected, "{name}");
    }

    fn auto() -> Presets {
        Presets::Auto(crate::config::AutoWord::Auto)
    }

    #[test]
    fn auto_goes_by_language_and_by_what_the_tool_needs() {
        let python = contents("", &[("a.py", "")]);
        check("ruff", &python, (true, "there is python"));
        check("go-vet", &python, (false, "there is no go here"));
        let script = contents("", &[("a.js", ""), ("package.json", "{}"), ("web/tsconfig.json", "")]);
        check("eslint", &script, (false, "there is no `eslint.config.{js,mjs,cjs,ts,mts,cts}` or the like"));
        check("tsc", &script, (false, "there is no `tsconfig.json`"));
        check("vitest", &script, (false, "`package.json` does not name vitest"));
        check("npm-audit", &script, (false, "there is no `package-lock.json` or the like"));
        let script = contents(
            "web",
            &[("a.js", ""), ("web/package.json", "{\"vitest\": 1}"), ("web/tsconfig.json", "")],
        );
        check("tsc", &script, (true, "there is `tsconfig.json` in `web`"));
        check("vitest", &script, (true, "`package.json` names vitest"));
        let rust = contents("", &[("src/lib.rs", ""), ("Cargo.toml", "")]);
        check("clippy", &rust, (true, "there is `Cargo.toml`"));
        check("clippy", &contents("", &[("x/src/lib.rs", "")]), (false, "there is no `Cargo.toml`"));
    }

    #[test]
    fn what_lies_deeper_is_named() {
        let cargo = preset("clippy").unwrap();
        let lies = |files: &[&str]| {
            let files: Vec<_> = files.iter().map(|file| (*file, "")).collect();
            deeper(&cargo, &contents("", &files)).map(ToOwned::to_owned)
        };
        assert_eq!(lies(&["b/x/Cargo.toml", "c/Cargo.toml", "a/x/Cargo.toml"]).as_deref(), Some("c"));
        assert_eq!(lies(&["a.py", "xCargo.toml"]), None);
        assert_eq!(deeper(&cargo, &contents("a", &[("b/Cargo.toml", "")])), None, "a root that is named");
        assert_eq!(deeper(&preset("ruff").unwrap(), &contents("", &[("b/a.py", "")])), None);
    }

    #[test]
    fn a_plan_names_a_language_before_there_is_a_file() {
        let mut contents = Contents::new("");
        contents.add_plan("Python 3.12");
        check("ruff", &contents, (true, "there is python"));
    }

    #[test]
    fn a_list_and_a_persons_own_gate_ask_nobody() {
        let ruff = preset("ruff").unwrap();
        let none = Contents::new("");
        let list = |names: &[&str]| Presets::List(names.iter().map(ToString::to_string).collect());
        assert!(takes_part(&ruff, &list(&["ruff"]), &none));
        assert_eq!(choice(&ruff, &list(&["mypy"]), &none).reason, "`gates.presets` does not name it");
        let own = GateConfig { preset: None, ..ruff.clone() };
        assert!(takes_part(&own, &list(&[]), &none));
        let off = GateConfig { enabled: false, ..ruff };
        assert_eq!(choice(&off, &list(&["ruff"]), &none).reason, "`[gate.ruff] enabled = false`");
    }
}
