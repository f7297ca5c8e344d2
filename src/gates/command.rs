//! What exactly is run: argument vector, environment, and the script of the base in the place of
//! one that the candidate has changed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::targets;
use crate::config::gate::GateConfig;

/// Where the placeholders of a command point.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// `{root}`
    pub(super) root: PathBuf,
    /// `{tmp}`
    pub(super) tmp: PathBuf,
    /// `{out}`
    pub(super) out: PathBuf,
    /// `{venv}`, if the worktree has one.
    pub(super) venv: Option<PathBuf>,
    /// `{python}`, if one is known that has what the tests import.
    pub(super) python: Option<PathBuf>,
    /// `{sources}`, unless `src` is itself a package.
    pub(super) sources: Option<PathBuf>,
    /// What Python looks through besides what a preset says.
    pub(super) editable: Vec<PathBuf>,
    /// `{diff}`, where there is a base to differ from.
    pub(super) diff: Option<PathBuf>,
    /// `{kit}`
    pub(super) kit: PathBuf,
    /// `{keep}`
    pub(super) keep: PathBuf,
    /// `{files}`
    pub(super) files: Vec<String>,
    /// The names in `{large}`, relative to the root.
    pub(super) large: Vec<String>,
    /// `{changed}`, in mode `new`.
    pub(super) changed: Option<String>,
    /// Whether `{none}` may stand for an empty word: the repository does not configure the tool.
    pub(super) unconfigured: bool,
    /// The names in `{has:NAME}` that are there.
    pub(super) has: Vec<String>,
}

impl Places {
    pub(super) fn new(root: &Path, tmp: &Path) -> Self {
        let venv = Some(root.join(".venv")).filter(|dir| dir.join("bin").is_dir());
        Self {
            root: root.to_owned(),
            tmp: tmp.to_owned(),
            out: tmp.join("report"),
            venv,
            python: None,
            sources: sources(root),
            editable: Vec::new(),
            diff: None,
            kit: tmp.join("kit"),
            keep: tmp.join("keep"),
            files: vec![".".to_owned()],
            large: Vec::new(),
            changed: None,
            unconfigured: false,
            has: Vec::new(),
        }
    }

    /// A path of a preset, with places filled in.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.fill(text, str::to_owned).into()
    }

    /// Each placeholder once, from the left: what a place is called is never filled in again.
    fn fill(&self, text: &str, quote: impl Fn(&str) -> String) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some((name, place)) = self.places().into_iter().find(|(name, _)| rest.starts_with(name)) {
                filled.push_str(&quote(&place.to_string_lossy()));
                rest = &rest[name.len()..];
            } else {
                filled.push('{');
                rest = &rest[1..];
            }
        }
        filled + rest
    }

    /// What can be filled in, by its name in braces.
    fn places(&self) -> Vec<(&'static str, &Path)> {
        let mut places: Vec<(&'static str, &Path)> = vec![
            ("{root}", &self.root),
            ("{tmp}", &self.tmp),
            ("{out}", &self.out),
            ("{kit}", &self.kit),
            ("{keep}", &self.keep),
        ];
        places.extend(self.python.as_deref().map(|python| ("{python}", python)));
        places.extend(self.sources.as_deref().map(|sources| ("{sources}", sources)));
        places.extend(self.diff.as_deref().map(|diff| ("{diff}", diff)));
        places
    }

    /// A word of the command, which can be many words, and none of which is filled in again.
    fn words(&self, word: &str) -> Vec<String> {
        match (word, &self.changed, asked_for(word)) {
            ("{files}", ..) => self.files.clone(),
            ("{changed}", Some(changed), _) => vec![changed.clone()],
            (_, _, Some(name)) => vec![name.to_owned()],
            ("{none}", ..) => vec![String::new()],
            ("{large}", ..) => vec![targets::patterns(&self.root, &self.large)],
            _ => vec![self.fill(word, str::to_owned)],
        }
    }

    /// Whether every place that these words ask for is there.
    fn can_fill(&self, words: &[String]) -> bool {
        words.iter().all(|word| {
            (self.python.is_some() || !word.contains("{python}"))
                && (self.sources.is_some() || !word.contains("{sources}"))
                && (self.diff.is_some() || !word.contains("{diff}"))
                && (self.changed.is_some() || word != "{changed}")
                && (self.unconfigured || word != "{none}")
                && (!self.large.is_empty() || word != "{large}")
                && asked_for(word).is_none_or(|name| self.has.iter().any(|there| there == name))
        })
    }
}

/// `src` of a tree as a place where modules begin: where it is a package, they begin above it, and a tool
/// that is told both finds each module twice.
pub(super) fn sources(root: &Path) -> Option<PathBuf> {
    let src = root.join("src");
    let is_package = ["__init__.py", "__init__.pyi"].iter().any(|init| src.join(init).is_file());
    (!is_package).then_some(src)
}

/// Whether the gate asks for the Python that has what the tests import.
pub(super) fn wants_python(gate: &GateConfig) -> bool {
    gate.tool.ensure.iter().flatten().any(|word| word.contains("{python}"))
}

/// Whether the gate keeps something between its runs.
pub(super) fn wants_keep(gate: &GateConfig) -> bool {
    gate.command.iter().chain(gate.tool.ensure.iter().flatten()).any(|word| word.contains("{keep}"))
}

/// `NAME` of `{has:NAME}`.
pub(super) fn asked_for(word: &str) -> Option<&str> {
    word.strip_prefix("{has:")?.strip_suffix('}')
}

/// Program and arguments, with what the parser relies on and with places filled in.
pub(super) fn argv(gate: &GateConfig, places: &Places) -> Vec<String> {
    let mut words = gate.command.clone();
    // A shell's arguments are its script's, not the tool's.
    if !is_shell(words.first().map_or("", String::as_str)) {
        for group in &gate.tool.ensure {
            let there = group.first().is_none_or(|first| has_option(&gate.command, first));
            if !there && places.can_fill(group) {
                words.extend(group.iter().cloned());
            }
        }
    }
    words.iter().flat_map(|word| places.words(word)).collect()
}

fn has_option(command: &[String], option: &str) -> bool {
    command.iter().any(|word| word == option || word.split_once('=').is_some_and(|(name, _)| name == option))
}

/// Whether the tool is told its files one by one, or which ones to pass by.
pub(super) fn chooses_files(gate: &GateConfig) -> bool {
    let named = |word: &String| word == "{files}" || word == "{large}";
    gate.command.iter().chain(gate.tool.ensure.iter().flatten()).any(named)
}

/// Whether the tool works on the lines that the candidate changes.
pub(super) fn wants_diff(gate: &GateConfig) -> bool {
    gate.command.iter().chain(gate.tool.ensure.iter().flatten()).any(|word| word.contains("{diff}"))
}

/// Whether the command says itself where the report goes.
pub(super) fn names_out(gate: &GateConfig) -> bool {
    gate.command
        .iter()
        .chain(gate.tool.ensure.iter().flatten())
        .chain(gate.tool.env.values())
        .any(|text| text.contains("{out}"))
}

/// Variables that name somebody else's place: in a commit hook, git's would lead a test suite that
/// uses git into the person's repository; tmux's, into the server that shows this gate.
const FOREIGN: [&str; 14] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "TMUX",
    "TMUX_PANE",
    "PWD",
    "OLDPWD",
    "PYTEST_PLUGINS",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
];

/// How variables begin that are a tool's options: a person's would decide what is found, and how it is told.
const OPTIONS: [&str; 3] = ["RUFF_", "COVERAGE_", "PIP_AUDIT_"];

/// Whether a variable of the person's is kept from gates.
fn is_foreign(name: &OsStr) -> bool {
    let is_option = |option: &&str| name.as_encoded_bytes().starts_with(option.as_bytes());
    FOREIGN.iter().any(|foreign| name == *foreign) || OPTIONS.iter().any(is_option)
}

/// The whole environment of a gate: the person's, with the search path, a temporary directory, no
/// bytecode (a stale one made a red tree green), and what the preset adds.
pub(super) fn environment(
    gate: Option<&GateConfig>,
    person: &[(OsString, OsString)],
    path: &OsStr,
    places: &Places,
) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> = person.to_vec();
    env.retain(|(name, _)| !is_foreign(name));
    set(&mut env, "PATH", path.to_owned());
    set(&mut env, "TMPDIR", places.tmp.clone().into_os_string());
    set(&mut env, "PYTHONDONTWRITEBYTECODE", "1".into());
    if let Some(venv) = &places.venv {
        set(&mut env, "VIRTUAL_ENV", venv.clone().into_os_string());
    }
    let added = gate.into_iter().flat_map(|gate| &gate.tool.env);
    for (name, value) in added.filter(|(_, value)| places.can_fill(std::slice::from_ref(*value))) {
        let old = env.iter().find(|(n, v)| n == name.as_str() && !v.is_empty()).map(|(_, v)| v.clone());
        if name == "XDG_CONFIG_HOME" {
            keep_version_managers(&mut env, old.as_deref());
        }
        let mut all = joined(name, old, value, places);
        let more = gate.and_then(|gate| gate.tool.unconfigured_env.get(name)).filter(|_| places.unconfigured);
        if let Some(more) = more {
            all.push(" ");
            all.push(more);
        }
        set(&mut env, name, all);
    }
    env
}

/// A program that is a shim finds the real one by the person's configuration, wherever the tool is to
/// look for its own.
fn keep_version_managers(env: &mut Vec<(OsString, OsString)>, configuration: Option<&OsStr>) {
    const MISE: &str = "MISE_CONFIG_DIR";
    let home = env.iter().find(|(name, _)| name == "HOME").map(|(_, home)| Path::new(home).join(".config"));
    let place = configuration.map(PathBuf::from).or(home).map(|place| place.join("mise"));
    if let Some(place) = place.filter(|place| place.is_dir())
        && env.iter().all(|(name, _)| name != MISE)
    {
        set(env, MISE, place.into_os_string());
    }
}

/// A list of paths keeps what the person has in it, ours first. Options are the gate's alone: a `-k` in
/// somebody's shell would leave tests out that no verdict misses.
fn joined(name: &str, old: Option<OsString>, value: &str, places: &Places) -> OsString {
    if name.ends_with("PATH") {
        let mut all = OsString::from(places.fill(value, str::to_owned));
        for place in places.editable.iter().filter(|_| name == "PYTHONPATH") {
            all.push(":");
            all.push(place);
        }
        if let Some(old) = old {
            all.push(":");
            all.push(old);
        }
        return all;
    }
    if name.ends_with("OPTS") {
        return places.fill(value, quoted).into();
    }
    places.fill(value, str::to_owned).into()
}

fn set(env: &mut Vec<(OsString, OsString)>, name: &str, value: OsString) {
    env.retain(|(n, _)| n != name);
    env.push((name.into(), value));
}

/// A word as POSIX shells and Python's `shlex` read it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The file of the repository that `argv` starts, and its place in `argv`: the program itself, or
/// an interpreter's file argument. Never a directory, a module, or a word inside a shell string.
pub(super) fn script(
    argv: &[String],
    subdir: &str,
    is_file: &dyn Fn(&str) -> bool,
) -> Option<(usize, String)> {
    let program = argv.first()?;
    if program.contains('/') {
        return Some((0, in_repository(program, subdir)?)).filter(|(_, path)| is_file(path));
    }
    if !is_interpreter(program) {
        return None;
    }
    for (index, word) in argv.iter().enumerate().skip(1) {
        if is_code(program, word) {
            return None;
        }
        if word.starts_with('-') {
            continue;
        }
        // What is no file can be an option's value, as in `python -W error check.py`.
        if let Some(path) = in_repository(word, subdir).filter(|path| is_file(path)) {
            return Some((index, path));
        }
    }
    None
}

/// Whether the option says that code or a module follows instead of a file. A shell's `-e` does not.
fn is_code(program: &str, option: &str) -> bool {
    if is_shell(program) {
        return option.starts_with('-') && !option.starts_with("--") && option.contains('c');
    }
    matches!(option, "-c" | "-m" | "-e" | "--eval" | "-p" | "--print")
}

fn is_shell(program: &str) -> bool {
    matches!(base_name(program), "sh" | "bash" | "dash" | "zsh" | "ksh" | "fish")
}

fn is_interpreter(program: &str) -> bool {
    let name = base_name(program).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    is_shell(name)
        || matches!(
            name,
            "python" | "pypy" | "node" | "deno" | "bun" | "ruby" | "perl" | "php" | "lua" | "Rscript"
        )
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// A word of a command as a path from the repository's root; `None` for one outside.
fn in_repository(word: &str, subdir: &str) -> Option<String> {
    let mut parts: Vec<&str> = subdir.split('/').filter(|part| !part.is_empty()).collect();
    if word.starts_with('/') {
        return None;
    }
    for part in word.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// The base's version of a script, beside the candidate's so that what it finds next to itself is
/// still there; removed when dropped.
#[derive(Debug)]
#[must_use = "the file is removed when this is dropped"]
pub(super) struct BaseScript {
    file: PathBuf,
}

impl BaseScript {
    /// Writes `content` beside `root/path`.
    pub(super) fn place(root: &Path, path: &str, content: &[u8]) -> io::Result<Self> {
        let whole = root.join(path);
        let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = whole.with_file_name(format!(".sprint-base-{}-{name}", std::process::id()));
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(&file, content)?;
        let placed = Self { file };
        fs::set_permissions(&placed.file, fs::Permissions::from_mode(0o755))?;
        Ok(placed)
    }

    /// The word that takes the script's place in the command.
    pub(super) fn word(&self) -> String {
        self.file.to_string_lossy().into_owned()
    }
}

impl Drop for BaseScript {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.file.display(), %error, "cannot remove the base's script");
        }
    }
}

/// The command that runs only the tests `ids`; `None` where it cannot be said (a shell, `make`).
pub(super) fn only_tests(argv: &[String], cwd: &Path, ids: &[String]) -> Option<Vec<String>> {
    let tool = argv.iter().position(|word| matches!(base_name(word), "pytest" | "py.test"))?;
    if argv.first().is_some_and(|program| is_shell(program)) {
        return None;
    }
    let mut words = argv[..=tool].to_vec();
    for pair in argv[tool..].windows(2) {
        let is_value =
            pair[0].starts_with('-') && !pair[0].contains('=') && pair[0] != "-q" && pair[0] != "-v";
        let target = pair[1].split("::").next().unwrap_or_default();
        if is_value || pair[1].starts_with('-') || !cwd.join(target).exists() {
            words.push(pair[1].clone());
        }
    }
    words.extend(ids.iter().cloned());
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::preset;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(ToOwned::to_owned).collect()
    }

    fn places() -> Places {
        Places::new(Path::new("/w"), Path::new("/t mp"))
    }

    #[test]
    fn what_the_parser_needs_is_added_to_a_persons_command_once() {
        let ruff = preset("ruff").unwrap();
        assert_eq!(argv(&ruff, &places()), ruff.command, "the preset's own has it all");
        let gate = GateConfig { command: words("ruff check --output-format=json src"), ..ruff };
        assert_eq!(
            argv(&gate, &places()).join(" "),
            "ruff check --output-format=json src --no-fix --no-cache --no-respect-gitignore"
        );
        let shell = GateConfig { command: words("sh -c ruff"), ..gate };
        assert_eq!(argv(&shell, &places()).join(" "), "sh -c ruff");
    }

    #[test]
    fn a_place_that_is_called_like_a_placeholder_is_not_filled_in() {
        let odd = Places::new(Path::new("/w/{tmp}"), Path::new("/t"));
        assert_eq!(odd.fill("{root}/{out} {nothing} {", str::to_owned), "/w/{tmp}//t/report {nothing} {");
    }

    #[test]
    fn the_python_of_the_tests_is_the_one_that_mypy_looks_into() {
        let dir = tempfile::tempdir().unwrap();
        let mypy = preset("mypy").unwrap();
        let places = Places::new(dir.path(), Path::new("/t"));
        let last = |places: &Places| argv(&mypy, places).pop().unwrap();
        assert_eq!(last(&places), "/t/keep", "no Python is known");
        let python = Some(PathBuf::from("/v/bin/python"));
        assert_eq!(last(&Places { python, ..places }), "/v/bin/python");
    }

    #[test]
    fn a_src_that_is_a_package_is_no_place_where_modules_begin() {
        let dir = tempfile::tempdir().unwrap();
        let mypy = preset("mypy").unwrap();
        let path = || {
            let env =
                environment(Some(&mypy), &[], OsStr::new(""), &Places::new(dir.path(), Path::new("/t")));
            env.into_iter().find(|(name, _)| name == "MYPYPATH").map(|(_, value)| value)
        };
        assert_eq!(path().map(PathBuf::from), Some(dir.path().join("src")));
        fs::create_dir(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("src/__init__.py"), "").unwrap();
        assert_eq!(path(), None);
    }

    #[test]
    fn the_script_that_a_command_starts_is_found_and_nothing_else() {
        let files = ["check.sh", "sub/check.sh", "tools/lint.py", "tests/test_a.py"];
        let find = |text: &str, subdir: &str| {
            script(&words(text), subdir, &|path| files.contains(&path))
                .map(|(index, path)| format!("{index}:{path}"))
        };
        assert_eq!(find("./check.sh", "").as_deref(), Some("0:check.sh"));
        assert_eq!(find("./check.sh", "sub").as_deref(), Some("0:sub/check.sh"));
        assert_eq!(find("../check.sh", "sub").as_deref(), Some("0:check.sh"));
        assert_eq!(find("bash -e check.sh", "").as_deref(), Some("2:check.sh"));
        assert_eq!(find("node -e check.sh", ""), None);
        assert_eq!(find("sh -ec check.sh", ""), None);
        assert_eq!(find("bash -eu check.sh x.sh", "").as_deref(), Some("2:check.sh"));
        assert_eq!(find("python3.11 -W error tools/lint.py", "").as_deref(), Some("3:tools/lint.py"));
        for none in [
            "pytest tests/test_a.py",
            "sh -c check.sh",
            "python -m check.sh",
            "/bin/check.sh",
            "../../check.sh",
            "make",
        ] {
            assert_eq!(find(none, ""), None, "{none}");
        }
    }

    #[test]
    fn a_list_variable_keeps_the_persons_part() {
        let person = [
            ("GIT_DIR".into(), "/r".into()),
            ("PYTEST_ADDOPTS".into(), "-q".into()),
            ("PYTHONPATH".into(), "/mine".into()),
        ];
        let pytest = preset("pytest").unwrap();
        let env = environment(Some(&pytest), &person, OsStr::new("/bin"), &places());
        let of = |name: &str| {
            env.iter().filter(|(n, _)| n == name).map(|(_, v)| v.to_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of("PYTHONPATH"), ["/t mp/kit:/w:/w/src:/mine"]);
        assert!(of("PYTEST_ADDOPTS")[0].starts_with("--"), "the person's `-q` is not the gate's");
        assert!(of("PYTEST_ADDOPTS")[0].contains("--junitxml='/t mp/report'"), "{env:?}");
        assert_eq!(of("PYTHONDONTWRITEBYTECODE"), ["1"]);
        assert!(of("GIT_DIR").is_empty() && of("VIRTUAL_ENV").is_empty());
    }

    #[test]
    fn a_rerun_names_the_tests_and_not_the_whole_directory() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tests")).unwrap();
        let rerun =
            |text: &str| only_tests(&words(text), dir.path(), &["t.py::a".into()]).map(|w| w.join(" "));
        assert_eq!(rerun("pytest").as_deref(), Some("pytest t.py::a"));
        assert_eq!(rerun("pytest -q tests").as_deref(), Some("pytest -q t.py::a"));
        assert_eq!(
            rerun("python -m pytest -c tests tests -x").as_deref(),
            Some("python -m pytest -c tests -x t.py::a")
        );
        assert_eq!(rerun("make test"), None);
        assert_eq!(rerun("sh -c pytest"), None);
    }
}
