//! The line that repeats a gate by hand: typed in the worktree, it says what the gate said.
//!
//! It names nothing that is gone when the gate is over: the worktree is where it is typed, and
//! temporary files go to a directory that may stay.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::command::{self, Places};
use crate::config::gate::{GateConfig, StartIn};

/// Stands for the worktree until the shell's own word for it takes its place. In no path of ours.
const HERE: &str = "\u{1}";

/// What the line depends on besides the gate.
pub(super) struct Surroundings<'a> {
    /// `general.root`; may be empty.
    pub(super) subdir: &'a str,
    /// The person's environment.
    pub(super) person: &'a [(OsString, OsString)],
    /// Whether the worktree has a virtual environment.
    pub(super) has_venv: bool,
    /// Directories of it that come first in the gate's PATH.
    pub(super) programs: &'a [String],
    /// sprint's tools, last in the gate's PATH.
    pub(super) tools: Option<&'a Path>,
    /// What else the command's placeholders stand for.
    pub(super) like: &'a Places,
}

/// The line for a POSIX shell.
pub(super) fn line(gate: &GateConfig, around: &Surroundings<'_>) -> String {
    let start = match gate.tool.start_in {
        StartIn::Root => around.subdir.to_owned(),
        StartIn::Tmp => directory(gate),
    };
    let here = if start.is_empty() { "\"$PWD\"" } else { "\"$OLDPWD\"" };
    let places = places(gate, around);
    let mut words = surrounded(gate, around, &places, here);
    words.extend(command::argv(gate, &places).iter().map(|word| quoted(word, here)));
    let line = words.join(" ");
    let writes = line.contains(&directory(gate)) || gate.tool.start_in == StartIn::Tmp;
    let made = if writes { format!("mkdir -p {} && ", directory(gate)) } else { String::new() };
    if start.is_empty() {
        format!("{made}{line}")
    } else {
        format!("{made}(cd {} && {line})", quoted(&start, here))
    }
}

/// For what the gate writes besides its verdict.
fn directory(gate: &GateConfig) -> String {
    format!("/tmp/sprint-by-hand-{}/{}", nix::unistd::getuid(), gate.name)
}

fn places(gate: &GateConfig, around: &Surroundings<'_>) -> Places {
    let worktree = PathBuf::from(HERE);
    // Joining nothing would leave a slash at the end.
    let root = if around.subdir.is_empty() { worktree.clone() } else { worktree.join(around.subdir) };
    let tmp = PathBuf::from(directory(gate));
    let out = tmp.join("report");
    // Who types it has no file with the candidate's lines: everything is looked at.
    let venv = around.has_venv.then(|| worktree.join(".venv"));
    let like = around.like;
    let own = |python: &PathBuf| python.strip_prefix(like.venv.as_deref()?).ok().map(ToOwned::to_owned);
    let python = like.python.as_ref().map(|python| match own(python) {
        Some(inside) => worktree.join(".venv").join(inside),
        None => python.clone(),
    });
    let sources = like.sources.as_ref().map(|_| root.join("src"));
    // Who types it does so in a worktree whose packages are what is installed.
    let editable = Vec::new();
    Places {
        keep: tmp.join("keep"),
        root,
        tmp,
        out,
        venv,
        python,
        sources,
        editable,
        diff: None,
        ..like.clone()
    }
}

/// `env …` with what is not as in the person's own shell; nothing where all is.
fn surrounded(gate: &GateConfig, around: &Surroundings<'_>, places: &Places, here: &str) -> Vec<String> {
    let persons = |name: &OsStr| around.person.iter().find(|(n, _)| n == name).map(|(_, value)| value);
    let env = command::environment(Some(gate), around.person, OsStr::new(""), places);
    let gone = around.person.iter().map(|(name, _)| name).filter(|name| {
        // The shell sets these two by itself.
        *name != "PWD" && *name != "OLDPWD" && env.iter().all(|(n, _)| n != *name)
    });
    let mut words: Vec<String> = gone.map(|name| format!("-u {}", name.to_string_lossy())).collect();
    words.extend(search_path(around, here).map(|path| format!("PATH={path}")));
    for (name, value) in &env {
        if name != "PATH" && name != "TMPDIR" && persons(name) != Some(value) {
            words.push(format!("{}={}", name.to_string_lossy(), quoted(&value.to_string_lossy(), here)));
        }
    }
    if !words.is_empty() {
        words.insert(0, "env".to_owned());
    }
    words
}

/// The person's PATH with what the gate has besides it.
fn search_path(around: &Surroundings<'_>, here: &str) -> Option<String> {
    let person = around.person.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
    let has = |tools: &Path| person.is_some_and(|path| std::env::split_paths(path).any(|dir| dir == tools));
    let tools = around.tools.filter(|tools| tools.is_dir() && !has(tools));
    if around.programs.is_empty() && tools.is_none() {
        return None;
    }
    let own: Vec<String> =
        around.programs.iter().map(|dir| quoted(&format!("{HERE}/{dir}:"), here)).collect();
    let own = own.concat();
    let tools = tools.map_or(String::new(), |dir| format!(":{}", quoted(&dir.to_string_lossy(), here)));
    Some(format!("{own}\"$PATH\"{tools}"))
}

/// A word as a POSIX shell reads it.
pub fn shell_word(word: &str) -> String {
    quoted(word, "")
}

/// A word as a POSIX shell reads it, with its own word `here` for the worktree.
fn quoted(word: &str, here: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@%+".contains(c);
    if word.is_empty() {
        return "''".to_owned();
    }
    let part = |part: &str| {
        if part.chars().all(plain) { part.to_owned() } else { format!("'{}'", part.replace('\'', r"'\''")) }
    };
    word.split(HERE).map(part).collect::<Vec<_>>().join(here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::preset;

    static PLACES: std::sync::LazyLock<Places> = std::sync::LazyLock::new(|| Places {
        kit: "/kit".into(),
        ..Places::new(Path::new("/w"), Path::new("/t"))
    });

    fn nothing() -> Surroundings<'static> {
        Surroundings { subdir: "", person: &[], has_venv: false, programs: &[], tools: None, like: &PLACES }
    }

    fn shown(name: &str, around: &Surroundings<'_>) -> String {
        let line = line(&preset(name).unwrap(), around);
        line.replace(&format!("-{}/", nix::unistd::getuid()), "-UID/")
    }

    fn own(command: &[&str]) -> GateConfig {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        GateConfig { command, tool: crate::config::gate::Tool::default(), ..preset("ruff").unwrap() }
    }

    #[test]
    fn a_preset_brings_its_environment_and_its_places() {
        insta::assert_snapshot!(
            ["ruff", "mypy", "radon", "pytest"].map(|name| shown(name, &nothing())).join("\n")
        );
    }

    #[test]
    fn what_the_persons_shell_has_is_not_said_again_and_what_the_gate_lacks_is_taken_away() {
        let person: [(OsString, OsString); 6] = [
            ("PATH", "/bin"),
            ("GIT_DIR", "/r"),
            ("PWD", "/x"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTEST_ADDOPTS", "-k 'a b'"),
            ("LANG", "C"),
        ]
        .map(|(name, value)| (name.into(), value.into()));
        let dir = tempfile::tempdir().unwrap();
        let around = Surroundings {
            subdir: "back end",
            person: &person,
            has_venv: true,
            programs: &[".venv/bin".to_owned()],
            tools: Some(dir.path()),
            like: &PLACES,
        };
        insta::assert_snapshot!(
            shown("pytest", &around).replace(&dir.path().to_string_lossy().into_owned(), "/tools")
        );
    }

    #[test]
    fn a_command_of_ones_own_is_what_was_written() {
        assert_eq!(
            line(&own(&["make", "check", "", "it's", "{root}/a b"]), &nothing()),
            r#"env PYTHONDONTWRITEBYTECODE=1 make check '' 'it'\''s' "$PWD"'/a b'"#
        );
    }

    /// The shell that it is made for says what it means.
    #[test]
    fn a_shell_reads_it_as_it_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub dir")).unwrap();
        let mut gate =
            own(&["sh", "-c", "pwd; printf '%s|' \"$A\" \"$B_OPTS\" \"$@\"", "sh", "{root}", "$x `y`"]);
        gate.tool.env = [("A", "{root}/a"), ("B_OPTS", "-x {root}")]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let around = Surroundings { subdir: "sub dir", ..nothing() };
        let said = std::process::Command::new("sh")
            .args(["-c", &line(&gate, &around)])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let at = dir.path().canonicalize().unwrap().join("sub dir").to_string_lossy().into_owned();
        assert_eq!(
            String::from_utf8(said.stdout).unwrap(),
            format!("{at}\n{at}/a|-x '{at}'|{at}|$x `y`|"),
            "{}",
            line(&gate, &around)
        );
    }
}
