//! Which files are tests by a repository's own configuration of pytest: `python_files`, files among
//! `testpaths`, doctests. What a preset looks for by itself are pytest's defaults.
//!
//! Candidate and base are both asked: a candidate cannot make tests vanish by another configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::context::{Context, Room, Side};
use super::variant::read;
use crate::config::gate::GateConfig;
use crate::config::presets::preset;

/// Where pytest looks for its configuration, in its order, and in which section.
const PLACES: &[(&str, &str)] = &[
    ("pytest.toml", "pytest"),
    (".pytest.toml", "pytest"),
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("pyproject.toml", "tool.pytest"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
];

/// What a configuration says, key by key, in words.
type Said = BTreeMap<String, Vec<String>>;

/// What is a test by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Names {
    /// In the place of pytest's own; `None`: those.
    python_files: Option<Vec<String>>,
    /// Files with tests or doctests besides.
    more: Vec<String>,
    /// Doctests of every module.
    modules: bool,
}

/// The gate with what its tests are called here, where that is not what the preset says.
pub(super) fn adapted(gate: &GateConfig, context: &Context<'_>) -> Result<Option<GateConfig>, String> {
    let Some(own) = preset("pytest").filter(|own| own.tool.inputs == gate.tool.inputs) else {
        return Ok(None);
    };
    let root = || context.root(Side::Head, Room::of(gate));
    let mut globs = BTreeSet::new();
    let mut modules = false;
    for mut names in both(context, &root)? {
        names.add_options(&gate.command);
        globs.extend(names.python_files.unwrap_or_else(|| own.tool.inputs.clone()));
        globs.extend(names.more);
        modules |= names.modules;
    }
    if modules && has_doctests(context, &root()?)? {
        globs.insert("**/*.py".to_owned());
    }
    let inputs: Vec<String> = globs.into_iter().collect();
    let as_before =
        inputs.len() == own.tool.inputs.len() && inputs.iter().all(|g| own.tool.inputs.contains(g));
    Ok((!as_before).then(|| {
        let mut gate = gate.clone();
        gate.tool.inputs = inputs;
        gate
    }))
}

/// The files with tests that candidate or base name besides pytest's defaults.
pub(super) fn named(context: &Context<'_>, root: &Path) -> Result<GlobSet, String> {
    let all = both(context, &|| Ok(root.to_owned()))?.into_iter();
    let mut set = GlobSetBuilder::new();
    for glob in all.flat_map(|names| names.python_files.into_iter().flatten().chain(names.more)) {
        let glob = GlobBuilder::new(&glob).literal_separator(true).build();
        set.add(glob.map_err(|error| error.to_string())?);
    }
    set.build().map_err(|error| error.to_string())
}

fn both(
    context: &Context<'_>,
    root: &dyn Fn() -> Result<std::path::PathBuf, String>,
) -> Result<Vec<Names>, String> {
    let trees = context.trees;
    let has = |side| -> Result<BTreeSet<String>, String> { Ok(trees.files(side)?.into_iter().collect()) };
    let head = has(Side::Head)?;
    let of_head = |path: &str| head.contains(path).then(|| read(&root().ok()?.join(path))).flatten();
    let mut all = vec![Names::of(context.subdir, &of_head)];
    if trees.has_base() {
        let base = has(Side::Base)?;
        let of_base = |path: &str| base.contains(path).then(|| trees.base_file(path)).flatten();
        all.push(Names::of(context.subdir, &of_base));
    }
    Ok(all)
}

/// Whether a module has an example: without one, a suite of doctests has nothing to run.
fn has_doctests(context: &Context<'_>, root: &Path) -> Result<bool, String> {
    let trees = context.trees;
    let example =
        |text: Option<Vec<u8>>| text.is_some_and(|text| text.windows(4).any(|four| four == b">>> "));
    let is_module = |path: &String| Path::new(path).extension().is_some_and(|kind| kind == "py");
    let modules = |side| -> Result<Vec<String>, String> {
        Ok(trees.files(side)?.into_iter().filter(is_module).collect())
    };
    if modules(Side::Head)?.iter().any(|path| example(read(&root.join(path)))) {
        return Ok(true);
    }
    Ok(trees.has_base() && modules(Side::Base)?.iter().any(|path| example(trees.base_file(path))))
}

impl Names {
    /// What the first configuration says that pytest finds, from `subdir` upwards.
    fn of(subdir: &str, text: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let mut directory = Some(subdir);
        while let Some(at) = directory {
            let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
            let found = PLACES.iter().find_map(|(name, section)| {
                let text = String::from_utf8_lossy(&text(&below(name))?).into_owned();
                said(name, section, &text)
            });
            if let Some(found) = found {
                return Self::from(&found, &below);
            }
            directory = (!at.is_empty()).then(|| at.rsplit_once('/').map_or("", |(above, _)| above));
        }
        Self::default()
    }

    fn from(said: &Said, below: &dyn Fn(&str) -> String) -> Self {
        let words = |key: &str| said.get(key).map(Vec::as_slice).unwrap_or_default();
        let python_files =
            said.get("python_files").map(|globs| globs.iter().flat_map(|g| of_name(g)).collect());
        let is_file = |path: &&String| Path::new(path).extension().is_some_and(|kind| kind == "py");
        let files = words("testpaths").iter().filter(is_file);
        let more = files.map(|path| escaped(&below(path.trim_start_matches("./")))).collect();
        let mut names = Self { python_files, more, modules: false };
        names.add_options(words("addopts"));
        names
    }

    /// Options by which pytest finds doctests.
    fn add_options(&mut self, words: &[String]) {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let glob = match word.split_once('=') {
                Some(("--doctest-glob", glob)) => Some(glob),
                None if word == "--doctest-glob" => words.next().map(String::as_str),
                _ => None,
            };
            self.modules |= word == "--doctest-modules";
            self.more.extend(glob.into_iter().flat_map(of_name));
        }
    }
}

/// A pattern of Python's `fnmatch`, of a name or of the end of a path, whose `*` crosses directories.
fn of_name(pattern: &str) -> Vec<String> {
    let pattern = pattern.trim_start_matches("./");
    let plain = pattern.replace('{', "[{]").replace('}', "[}]");
    let plain = if Glob::new(&plain).is_ok() { plain } else { escaped(pattern) };
    let near = format!("**/{plain}");
    if plain.contains("/*") { vec![plain.replace("/*", "/**/*"), near] } else { vec![near] }
}

fn escaped(path: &str) -> String {
    globset::escape(path)
}

/// What the file says in that section; `None` where it has none.
fn said(name: &str, section: &str, text: &str) -> Option<Said> {
    if Path::new(name).extension().is_some_and(|kind| kind == "toml") {
        return of_toml(section, text);
    }
    // pytest takes its own file for its configuration whatever it says.
    let own = name.ends_with("pytest.ini");
    of_ini(section, text).or_else(|| own.then(Said::new))
}

fn of_toml(section: &str, text: &str) -> Option<Said> {
    let table = text.parse::<toml::Table>().ok()?;
    let mut keys = section.split('.');
    let first = table.get(keys.next()?)?;
    let own = keys.try_fold(first, |value, key| value.get(key))?;
    let own = own.get("ini_options").unwrap_or(own).as_table()?;
    let words = |value: &toml::Value| match value {
        toml::Value::String(text) => split(text),
        toml::Value::Array(all) => all.iter().filter_map(|v| v.as_str().map(ToOwned::to_owned)).collect(),
        _ => Vec::new(),
    };
    Some(own.iter().map(|(key, value)| (key.clone(), words(value))).collect())
}

fn of_ini(section: &str, text: &str) -> Option<Said> {
    let mut texts: Option<BTreeMap<String, String>> = None;
    let (mut inside, mut key) = (false, String::new());
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        if let Some(header) = line.trim_end().strip_prefix('[') {
            inside = header.strip_suffix(']').is_some_and(|header| header.trim() == section);
            if inside {
                texts.get_or_insert_default();
            }
            key.clear();
            continue;
        }
        let Some(texts) = texts.as_mut().filter(|_| inside) else { continue };
        let is_more = line.starts_with([' ', '\t']) && !key.is_empty();
        let value = match line.split_once(['=', ':']) {
            _ if is_more => line,
            Some((name, value)) => {
                name.trim().clone_into(&mut key);
                value
            }
            None => continue,
        };
        // A comment may stand behind a value, after a blank.
        let value = value.split(" #").next().unwrap_or_default();
        let kept = texts.entry(key.clone()).or_default();
        kept.push('\n');
        kept.push_str(value);
    }
    Some(texts?.into_iter().map(|(key, text)| (key, split(&text))).collect())
}

/// Words as a shell splits them, as far as quotes go.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut open) = (Vec::new(), None::<String>, None::<char>);
    for c in text.chars() {
        match (c, open) {
            (c, Some(quote)) if c == quote => open = None,
            ('"' | '\'', None) => {
                open = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(subdir: &str, files: &[(&str, &str)]) -> Names {
        let text = |path: &str| files.iter().find(|(p, _)| *p == path).map(|(_, t)| t.as_bytes().to_vec());
        Names::of(subdir, &text)
    }

    fn python_files(files: &[(&str, &str)]) -> Vec<String> {
        names("", files).python_files.unwrap_or_default()
    }

    #[test]
    fn the_first_configuration_that_pytest_finds_counts() {
        let toml = "[tool.pytest.ini_options]\npython_files = [\"check_*.py\", \"tests.py\"]\n";
        assert_eq!(python_files(&[("pyproject.toml", toml)]), ["**/check_*.py", "**/tests.py"]);
        let native = "[tool.pytest]\npython_files = [\"case_*.py\"]\n";
        assert_eq!(python_files(&[("pyproject.toml", native)]), ["**/case_*.py"]);
        let ini = "# why\n[pytest]\npython_files =\n    spec_*.py  # old\n    tests/*.py\naddopts = -q\n";
        let spec = ["**/spec_*.py", "tests/**/*.py", "**/tests/*.py"];
        assert_eq!(python_files(&[("pytest.ini", ini), ("pyproject.toml", toml)]), spec);
        assert_eq!(python_files(&[("pytest.ini", ""), ("pyproject.toml", toml)]), Vec::<String>::new());
        let cfg = "[tool:pytest]\npython_files: it_*.py\n[other]\npython_files = x.py\n";
        assert_eq!(python_files(&[("tox.ini", "[tox]\nx = 1\n"), ("setup.cfg", cfg)]), ["**/it_*.py"]);
        assert_eq!(names("a/b", &[("a/pyproject.toml", toml)]).python_files.unwrap().len(), 2, "above");
        assert_eq!(names("a", &[]), Names::default());
        assert_eq!(names("", &[("pyproject.toml", "[project]\n"), ("setup.cfg", "x")]), Names::default());
    }

    #[test]
    fn files_by_path_and_doctests_are_tests_too() {
        let ini = "[pytest]\ntestpaths = checks all/suite.py\naddopts = -q --doctest-modules --doctest-glob='*.rst' --doctest-glob \"*.md\"\n";
        let found = names("web", &[("web/pytest.ini", ini)]);
        assert_eq!(
            (found.more, found.modules),
            (vec!["web/all/suite.py".into(), "**/*.rst".into(), "**/*.md".into()], true)
        );
    }

    #[test]
    fn odd_patterns_are_globs_all_the_same() {
        for odd in ["a{b.py", "a[.py", "{x}*.py", "[!t]est.py"] {
            assert!(of_name(odd).iter().all(|glob| Glob::new(glob).is_ok()), "{odd}");
        }
    }
}
