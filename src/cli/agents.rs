//! `sprint agents`: the adapters, which program each would run, and whether that can work. Nothing
//! here costs a token: a version is asked for, and a sign-in is read off variables and files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use camino::Utf8PathBuf;
use serde::Serialize;

use super::args::{AgentsCommand, AgentsListArgs, AgentsShowArgs};
use super::context::sources;
use super::environment::Environment;
use super::out::Out;
use super::text::{Cell, Table, Tone, plain};
use crate::agents::program;
use crate::agents::version::{self, Untold};
use crate::config::cli_agent::LoginKeys;
use crate::config::{AdapterKind, AgentConfig, AgentMode, Config, Role, load, nearest};
use crate::error::{CliError, chain, exit};
use crate::git::Repo;

/// An adapter and its program, as `--json` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct AgentRow {
    /// Its name in the configuration.
    pub name: String,
    /// `command`, `cli` or `scripted`.
    pub kind: AdapterKind,
    /// The program, as configured; empty for a script.
    pub program: String,
    /// Where it was found.
    pub path: Option<PathBuf>,
    /// What it says its version is; only of `check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The versions that the adapter was tried with.
    pub tested: Vec<String>,
    /// Whether there are signs of a sign-in; none where there is nothing to look at. Only of `check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<bool>,
    /// The roles that use it.
    pub used_by: Vec<Role>,
    /// What to do first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// A configuration that is wrong, or an unknown name.
pub fn run(command: &AgentsCommand, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    // Outside of a repository there are the built-in adapters and the person's own.
    let top = Repo::discover(&env.cwd).ok().map(|repo| repo.top);
    let config = load(&sources(env, top.as_deref()).read()?)?;
    let look = Look { env, top: top.as_deref().unwrap_or(&env.cwd), config: &config };
    match command {
        AgentsCommand::List(args) => Ok(list(&look, args, out)),
        AgentsCommand::Show(args) => show(&look, args, out),
        AgentsCommand::Check(args) => check(&look, args, out),
    }
}

struct Look<'a> {
    env: &'a Environment,
    top: &'a Path,
    config: &'a Config,
}

impl Look<'_> {
    fn agent(&self, name: &str) -> Result<&AgentConfig, CliError> {
        self.config.agent.get(name).ok_or_else(|| {
            let near = nearest(name, self.config.agent.keys().map(String::as_str));
            let error = CliError::usage(format!("there is no agent `{}`", plain(name, 100)));
            match near {
                Some(near) => error.hint(format!("the nearest is `{near}`; all of them: sprint agents list")),
                None => error.hint("all of them: sprint agents list"),
            }
        })
    }

    fn row(&self, name: &str, agent: &AgentConfig) -> AgentRow {
        let program = agent.command.first().cloned().unwrap_or_default();
        let path = self.find(&program).ok().flatten();
        let used_by = Role::ALL.into_iter().filter(|role| self.config.names_agent(*role, name)).collect();
        let kind = agent.kind.unwrap_or(AdapterKind::Command);
        let tested = agent.version.tested.clone();
        let (name, problems) = (name.to_owned(), Vec::new());
        AgentRow { name, kind, program, path, version: None, tested, signed_in: None, used_by, problems }
    }

    /// Where a program is; none for one that lies in the worktree, or where there is none.
    fn find(&self, program: &str) -> Result<Option<PathBuf>, String> {
        if program.is_empty() {
            return Ok(None);
        }
        let top = Utf8PathBuf::from_path_buf(self.top.to_owned())
            .map_err(|path| format!("the path `{}` is not UTF-8", path.display()))?;
        let path = self.env.get("PATH").unwrap_or_default();
        program::find(program, &top, path).map_err(|error| error.to_string())
    }

    fn examined(&self, name: &str, agent: &AgentConfig) -> AgentRow {
        let mut row = self.row(name, agent);
        if let Err(problem) = self.find(&row.program) {
            let install =
                if agent.install.is_empty() { "install it, or correct `command`" } else { &agent.install };
            row.problems.push(format!("{problem}: {install}"));
            return row;
        }
        if let Some(path) = &row.path {
            match version::ask(path.as_os_str(), &agent.version, &self.env.variables, self.top) {
                Ok(version) => row.version = Some(version),
                Err(Untold::NotAsked) => {}
                Err(error) => row.problems.push(chain(&error)),
            }
        }
        let remark = row.version.as_ref().and_then(|version| version::remark(version, &row.tested));
        row.problems.extend(remark);
        row.signed_in = signed_in(&agent.login, self.env);
        if row.signed_in == Some(false) {
            row.problems.push(format!("no sign of a sign-in; {}", agent.login.hint));
        }
        row
    }
}

fn list(look: &Look<'_>, args: &AgentsListArgs, out: &mut Out<'_>) -> u8 {
    let rows: Vec<AgentRow> = programs(look.config).map(|(name, agent)| look.row(name, agent)).collect();
    if args.json {
        out.json(&rows);
    } else {
        table(&rows, out);
    }
    exit::DONE
}

/// All but what is there to be extended only.
fn programs(config: &Config) -> impl Iterator<Item = (&String, &AgentConfig)> {
    config
        .agent
        .iter()
        .filter(|(_, agent)| agent.kind == Some(AdapterKind::Scripted) || !agent.command.is_empty())
}

fn table(rows: &[AgentRow], out: &mut Out<'_>) {
    let mut table = Table::new(&["AGENT", "KIND", "PROGRAM", "VERSION", "USED BY"]);
    for row in rows {
        let (place, tone) = match (&row.path, row.kind) {
            (Some(path), _) => (path.display().to_string(), Tone::Normal),
            (None, AdapterKind::Scripted) => ("a script, not a model".to_owned(), Tone::Dim),
            (None, AdapterKind::Command | AdapterKind::Cli) => {
                (format!("`{}` is not there", row.program), Tone::Dim)
            }
        };
        let used_by = row.used_by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        table.row(vec![
            Cell::new(&row.name),
            Cell::new(kind_word(row.kind)),
            Cell::new(&place).tone(tone),
            Cell::new(row.version.as_deref().unwrap_or("")),
            Cell::new(&used_by),
        ]);
    }
    for line in table.lines(out.colour, out.columns) {
        out.line(line);
    }
}

fn kind_word(kind: AdapterKind) -> &'static str {
    match kind {
        AdapterKind::Command => "command",
        AdapterKind::Cli => "cli",
        AdapterKind::Scripted => "scripted",
    }
}

fn show(look: &Look<'_>, args: &AgentsShowArgs, out: &mut Out<'_>) -> Result<u8, CliError> {
    let agent = look.agent(&args.name)?;
    if args.print_command {
        let words = agent.command.iter().chain(&agent.args).chain(first_words(agent));
        out.line(words.map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        return Ok(exit::DONE);
    }
    if args.json {
        out.json(agent);
        return Ok(exit::DONE);
    }
    let named = BTreeMap::from([("agent", BTreeMap::from([(&args.name, agent)]))]);
    let text = toml::to_string_pretty(&named)
        .map_err(|error| CliError::internal(format!("an adapter cannot be written as TOML: {error}")))?;
    text.lines().for_each(|line| out.line(plain(line, 2_000)));
    Ok(exit::DONE)
}

/// The words of a conversation's first prompt, with its screen or without it.
fn first_words(agent: &AgentConfig) -> &[String] {
    match agent.mode {
        AgentMode::Headless => &agent.headless.args,
        AgentMode::Interactive => &agent.interactive.args,
    }
}

/// As one would type it.
fn quoted(word: &str) -> String {
    let plain_word =
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,{}".contains(c));
    if plain_word { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn check(look: &Look<'_>, args: &super::args::AgentsCheckArgs, out: &mut Out<'_>) -> Result<u8, CliError> {
    let used = |name: &str| Role::ALL.iter().any(|role| look.config.names_agent(*role, name));
    let rows: Vec<AgentRow> = if args.names.is_empty() {
        let all = programs(look.config).filter(|(name, _)| used(name));
        all.map(|(name, agent)| look.examined(name, agent)).collect()
    } else {
        let named = args.names.iter().map(|name| Ok((name, look.agent(name)?)));
        // Nothing is asked before all names are known.
        let named = named.collect::<Result<Vec<_>, CliError>>()?;
        named.into_iter().map(|(name, agent)| look.examined(name, agent)).collect()
    };
    if args.json {
        out.json(&rows);
    } else {
        table(&rows, out);
        for (row, problem) in
            rows.iter().flat_map(|row| row.problems.iter().map(move |problem| (row, problem)))
        {
            out.line(format!("{}: {}", row.name, plain(problem, 500)));
        }
    }
    // What is not there cannot run; everything else is the person's to judge.
    let missing = rows
        .iter()
        .any(|row| row.kind != AdapterKind::Scripted && row.path.is_none() && !row.problems.is_empty());
    Ok(if missing { exit::ENVIRONMENT } else { exit::DONE })
}

/// Agents that a role uses and that show no sign of a sign-in, each with what to type.
pub(super) fn signed_out<'c>(config: &'c Config, env: &Environment) -> Vec<(&'c str, &'c str)> {
    let used = |name: &str| Role::ALL.iter().any(|role| config.names_agent(*role, name));
    programs(config)
        .filter(|(name, agent)| used(name) && signed_in(&agent.login, env) == Some(false))
        .map(|(name, agent)| (name.as_str(), agent.login.hint.as_str()))
        .collect()
}

/// Whether one of the signs is there; none where the adapter knows no sign.
fn signed_in(keys: &LoginKeys, env: &Environment) -> Option<bool> {
    if keys.env.is_empty() && keys.files.is_empty() {
        return None;
    }
    let set = keys.env.iter().any(|name| env.get(name).is_some());
    Some(set || keys.files.iter().filter_map(|file| place(file, env)).any(|file| file.is_file()))
}

/// A path of an adapter file: `~/x` below the home directory, `$NAME/x` below what NAME says.
fn place(file: &str, env: &Environment) -> Option<PathBuf> {
    let (first, rest) = file.split_once('/')?;
    let base = match first.strip_prefix('$') {
        Some(name) => env.path(name)?,
        None if first == "~" => env.path("HOME")?,
        None => PathBuf::from("/").join(first),
    };
    Some(base.join(rest))
}

/// The programs of models that roles use here, with their versions and what is odd about these.
pub(super) fn versions(
    config: &Config,
    env: &Environment,
    top: &Path,
) -> Vec<(String, String, Option<String>)> {
    let look = Look { env, top, config };
    let used =
        programs(config).filter(|(name, _)| Role::ALL.into_iter().any(|role| config.names_agent(role, name)));
    used.filter_map(|(name, agent)| {
        let path = look.find(agent.command.first()?).ok()??;
        match version::ask(path.as_os_str(), &agent.version, &env.variables, top) {
            Ok(found) => {
                let remark = version::remark(&found, &agent.version.tested);
                Some((name.clone(), found, remark))
            }
            Err(Untold::NotAsked) => None,
            Err(error) => Some((name.clone(), "does not tell its version".to_owned(), Some(chain(&error)))),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment {
            cwd: "/".into(),
            variables: pairs.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            columns: None,
        }
    }

    #[test]
    fn signs_of_a_sign_in_are_variables_or_files() {
        let home = tempfile::tempdir().unwrap();
        let home_text = home.path().to_str().unwrap();
        let keys = LoginKeys {
            env: vec!["A_KEY".to_owned()],
            files: vec!["$OWN_HOME/auth.json".to_owned(), "~/.x/auth.json".to_owned()],
            hint: String::new(),
        };
        assert_eq!(signed_in(&LoginKeys::default(), &environment(&[])), None);
        assert_eq!(signed_in(&keys, &environment(&[("HOME", home_text)])), Some(false));
        assert_eq!(signed_in(&keys, &environment(&[("A_KEY", "x")])), Some(true));
        assert_eq!(signed_in(&keys, &environment(&[("A_KEY", "")])), Some(false), "empty is not set");
        std::fs::create_dir(home.path().join(".x")).unwrap();
        std::fs::write(home.path().join(".x/auth.json"), "{}").unwrap();
        assert_eq!(signed_in(&keys, &environment(&[("HOME", home_text)])), Some(true));
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let words = ["codex", "{prompt}", "a b", "", "it's"].map(quoted);
        assert_eq!(words.join(" "), r"codex {prompt} 'a b' '' 'it'\''s'");
    }
}
