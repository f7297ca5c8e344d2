//! `sprint gates list`: every gate, whether it takes part here and why, and how its tool stands.

use serde::Serialize;

use super::choice::contents;
use super::{Call, base, cache_directory, unborn_or};
use crate::cli::args::JsonArgs;
use crate::cli::context::Context as Place;
use crate::cli::environment::Environment;
use crate::cli::gate_trees::Head;
use crate::cli::out::Out;
use crate::cli::text::{Cell, Table, Tone, plain};
use crate::config::GateConfig;
use crate::error::{CliError, exit};
use crate::gates::{Cache, Choice, Present, choice, deeper, look, recall, was_excused};
use crate::git::export;

/// A version takes no more columns of the table.
const VERSION_MAX: usize = 24;

/// One gate in JSON; keys are added, never renamed or removed.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    stage: String,
    mode: &'static str,
    required: bool,
    takes_part: bool,
    why: String,
    preset: Option<String>,
    parser: String,
    program: String,
    path: Option<String>,
    tool_version: Option<String>,
    missing: Option<String>,
    install: String,
    /// How a person gets it.
    #[serde(skip)]
    how: String,
    /// What to tell people of a tool that does not say its version.
    #[serde(skip)]
    silent: Option<String>,
    last_seconds: Option<f64>,
    /// Whether it failed at the base too when it last ran.
    #[serde(skip)]
    excused: bool,
}

/// Runs it.
///
/// # Errors
/// The configuration is wrong (exit 2), or there is no commit yet (exit 4).
pub(super) fn run(args: JsonArgs, env: &Environment, out: &mut Out<'_>) -> Result<u8, CliError> {
    let place = Place::find(env)?;
    let config = place.config(env)?;
    let repo = &place.repo;
    let base = base(None, repo)?.commit;
    let head =
        export::snapshot(repo).map_err(|error| unborn_or("the worktree cannot be read", error))?.commit;
    let contents = contents(&config, repo, &[&head, &base])?;
    let cache = Cache::new(&cache_directory(env));
    let call = Call {
        env,
        config: &config,
        repo,
        head: Head::Checkout(head),
        base: Some(base),
        fresh: false,
        cancel: &|| false,
        watch: None,
        all: true,
    };
    let row = |gate: &GateConfig, found: Option<Present>| {
        let Choice { takes_part, reason } = choice(gate, &config.gates.presets, &contents);
        let missing = found.as_ref().and_then(|found| found.missing.as_ref());
        let reason = match deeper(gate, &contents).filter(|_| !takes_part) {
            Some(directory) => format!("{reason}, but in `{}`: `general.root`", plain(directory, 100)),
            None => reason,
        };
        Row {
            name: gate.name.to_string(),
            stage: gate.stage.to_string(),
            mode: gate.mode.as_str(),
            required: gate.required,
            takes_part,
            why: reason,
            preset: gate.preset.clone(),
            parser: gate.parser.clone(),
            program: gate.command.first().cloned().unwrap_or_default(),
            missing: missing.map(|missing| missing.program.clone()),
            path: found.as_ref().and_then(|f| f.path.as_ref()).map(|p| p.to_string_lossy().into_owned()),
            tool_version: found.as_ref().and_then(|found| found.version.clone()),
            install: gate.tool.install.clone(),
            how: gate.tool.how_to_get(),
            silent: found.and_then(|found| found.silent),
            last_seconds: recall(&cache, &repo.common_dir, &gate.name),
            excused: takes_part && was_excused(&cache, &repo.common_dir, &gate.name),
        }
    };
    let rows = call.within(|context| {
        // Whoever takes no part is not asked: that would be a dozen processes for nothing.
        let takes_part = |gate: &&GateConfig| choice(gate, &config.gates.presets, &contents).takes_part;
        let asked: Vec<&GateConfig> = config.gate.iter().filter(takes_part).collect();
        let mut found = look(&asked, context, &repo.top).into_iter();
        let of = |gate: &GateConfig| row(gate, takes_part(&gate).then(|| found.next()).flatten());
        config.gate.iter().map(of).collect::<Vec<Row>>()
    })?;
    if args.json {
        out.json(&serde_json::json!({ "gates": rows }));
    } else {
        show(&rows, out);
    }
    Ok(exit::DONE)
}

fn show(rows: &[Row], out: &mut Out<'_>) {
    let mut table = Table::new(&["GATE", "STAGE", "MODE", "TOOL", "LAST", "HERE"]);
    let (here, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.takes_part);
    for row in here.iter().chain(&others) {
        let (tool, tone) = match (&row.tool_version, &row.missing) {
            (_, Some(_)) => ("missing".to_owned(), if row.required { Tone::Bad } else { Tone::Warn }),
            (Some(version), None) => (plain(version, VERSION_MAX), Tone::Normal),
            (None, None) => (String::new(), Tone::Normal),
        };
        let last = row.last_seconds.map_or(String::new(), |seconds| format!("{seconds:.1} s"));
        let optional = if row.takes_part && !row.required { ", optional" } else { "" };
        let part = if row.takes_part { "yes" } else { "no" };
        let rest = if row.takes_part { Tone::Normal } else { Tone::Dim };
        table.row(vec![
            Cell::new(&row.name).tone(rest),
            Cell::new(&row.stage).tone(rest),
            Cell::new(row.mode).tone(rest),
            Cell::new(&tool).tone(tone),
            Cell::new(&last).tone(rest),
            Cell::new(&format!("{part}: {}{optional}", row.why)).tone(rest),
        ]);
    }
    table.lines(out.colour, out.columns).iter().for_each(|line| out.line(line));
    for row in rows {
        row.silent.iter().for_each(|said| out.line(format!("{}: {said}", row.name)));
    }
    for row in rows.iter().filter(|row| row.excused) {
        out.line(format!("{} failed at the base too when it last ran: see `sprint gates run {0}`", row.name));
    }
    let missing: Vec<&Row> = rows.iter().filter(|row| row.missing.is_some()).collect();
    for row in missing {
        let program = row.missing.as_deref().unwrap_or_default();
        let how = if row.how.is_empty() { String::new() } else { format!(": {}", row.how) };
        out.line(format!("{} needs `{}`, which is not installed{how}", row.name, plain(program, 100)));
    }
}
