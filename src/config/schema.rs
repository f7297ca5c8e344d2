//! Every key of the configuration, and what its value may be. The only list of keys: what is not
//! here is an unknown key. Holds no defaults (they are in `config/default.toml`) and knows no file.

use super::cli_agent::TROUBLES;
use super::values::{self, TextRule};
use super::{model, presets};

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Bool,
    /// A whole number within the bounds, both included.
    Int(i64, i64),
    /// Any number within the bounds, both included.
    Number(f64, f64),
    /// A text that keeps a rule.
    Text(TextRule),
    /// A text with a number and a unit, such as the example.
    Quantity(TextRule, &'static str),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of texts that each keep a rule.
    Texts(TextRule),
    /// A list of at least one whole number within the bounds, both included.
    Ints(i64, i64),
    /// A program and its arguments: a list with at least one text, the first not empty.
    Command(TextRule),
    /// A word, or a list of texts.
    WordOrTexts(&'static str, TextRule),
    /// A table of texts by free names: variables of the environment.
    Env,
    /// A table of anything, whose texts keep a rule.
    Free(TextRule),
    /// A section with fixed keys.
    Table(&'static [Field]),
    /// Sections by free names: `[gate.NAME]`.
    Named(NameRule, &'static [Field]),
    /// Fixed keys, and sections by free names beside them: `[prices]`.
    Mixed(&'static [Field], NameRule, &'static [Field]),
    /// `[[pipeline.stage]]`.
    Tables(&'static [Field]),
}

/// What the free names of a section may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameRule {
    pub(super) what: &'static str,
    pub(super) check: TextRule,
}

/// A key and its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) kind: Kind,
}

const fn field(key: &'static str, kind: Kind) -> Field {
    Field { key, kind }
}

const ANY: Kind = Kind::Text(values::any);
const DURATION: Kind = Kind::Quantity(values::duration, "5m");
const TIMEOUT: Kind = Kind::Quantity(values::positive_duration, "5m");
const PATHS: Kind = Kind::Texts(values::relative_path);
const GLOBS: Kind = Kind::Texts(values::glob);
const SELECTOR: Kind = Kind::Text(values::selector);
const PERCENT: Kind = Kind::Number(0.0, 100.0);
/// More workers than this on one host is a typing error.
pub(super) const WORKERS_MAX: i64 = 1_000;

/// The whole configuration.
pub(super) const ROOT: &[Field] = &[
    field("general", Kind::Table(GENERAL)),
    field("planner", Kind::Table(PLANNER)),
    field("pipeline", Kind::Table(&[field("stage", Kind::Tables(STAGE))])),
    field("agents", Kind::Table(AGENTS)),
    field("roles", Kind::Table(ROLES)),
    field("agent", Kind::Named(NameRule { what: "agent", check: values::name }, AGENT)),
    field("label", Kind::Named(NameRule { what: "label", check: values::name }, LABEL)),
    field("timeouts", Kind::Table(TIMEOUTS)),
    field("limits", Kind::Table(LIMITS)),
    field("quality", Kind::Table(QUALITY)),
    field("security", Kind::Table(SECURITY)),
    field(
        "gates",
        Kind::Table(&[field("presets", Kind::WordOrTexts("auto", values::name)), field("all", Kind::Bool)]),
    ),
    field("gate", Kind::Named(NameRule { what: "gate", check: values::name }, GATE)),
    field("worktree", Kind::Table(WORKTREE)),
    field("merge", Kind::Table(&[field("finish", Kind::OneOf(&["none", "ff", "pr"]))])),
    field("budget", Kind::Table(BUDGET)),
    field(
        "prices",
        Kind::Mixed(
            &[field("as_of", Kind::Text(values::date))],
            NameRule { what: "model", check: values::model },
            PRICE,
        ),
    ),
];

const GENERAL: &[Field] = &[
    field("state_dir", Kind::Text(values::no_nul)),
    field("log_level", Kind::OneOf(&["error", "warn", "info", "debug", "trace"])),
    field("answer_wait", DURATION),
    field("disk_free_min", Kind::Quantity(values::size, "2GB")),
    field("inhibit_sleep", Kind::Bool),
    field("root", Kind::Text(values::relative_path_or_none)),
];

const PLANNER: &[Field] = &[
    field("order", Kind::OneOf(&["spec-kit", "files"])),
    field("stories", Kind::OneOf(&["sequential", "parallel"])),
    field("parked", Kind::OneOf(&["hold", "continue"])),
];

const STAGE: &[Field] = &[
    field("name", Kind::Text(values::name)),
    field("kind", Kind::OneOf(&["work", "check", "land", "wait"])),
    field("role", Kind::OneOf(model::ROLE_NAMES)),
    field("prompt", Kind::Text(values::relative_path_or_none)),
    field("proof", Kind::OneOf(&["commit", "file", "verdict", "none"])),
    field("writes", GLOBS),
    field("members", Kind::Int(1, 100)),
    field("timeout", TIMEOUT),
    field("attempts", Kind::Int(1, 100)),
    field("on_pass", ANY),
    field("on_fail", ANY),
    field("on_skip", ANY),
    field("on_error", ANY),
];

const AGENTS: &[Field] = &[
    field("max_developers", Kind::Int(1, WORKERS_MAX)),
    field("max_testers", Kind::Int(1, WORKERS_MAX)),
    field("max_in_flight", Kind::Int(0, WORKERS_MAX)),
    field("mcp", Kind::Bool),
];

const ROLES: &[Field] = &[
    field("manager", Kind::Table(MANAGER)),
    field("reviewer", Kind::Table(ROLE)),
    field("tester", Kind::Table(ROLE)),
    field("librarian", Kind::Table(ROLE)),
    field("merger", Kind::Table(ROLE)),
    field("developer", Kind::Table(ROLE)),
];

const LABEL: &[Field] = &[
    field("agent", Kind::Text(values::name)),
    field("model", Kind::Text(values::no_nul)),
    field("effort", Kind::Text(values::no_nul)),
    field("roles", Kind::Texts(values::role)),
];

const MODELS: &[Field] = &[
    field("manager", Kind::Text(values::no_nul)),
    field("reviewer", Kind::Text(values::no_nul)),
    field("tester", Kind::Text(values::no_nul)),
    field("librarian", Kind::Text(values::no_nul)),
    field("merger", Kind::Text(values::no_nul)),
    field("developer", Kind::Text(values::no_nul)),
];

const ROLE: &[Field] = &[
    field("agent", Kind::Text(values::name)),
    field("model", Kind::Text(values::no_nul)),
    field("effort", Kind::Text(values::no_nul)),
    field("max", Kind::Int(1, WORKERS_MAX)),
    field("permanent", Kind::Bool),
];

const MANAGER: &[Field] = &[
    field("agent", Kind::Text(values::name)),
    field("model", Kind::Text(values::no_nul)),
    field("effort", Kind::Text(values::no_nul)),
    field("max", Kind::Int(1, WORKERS_MAX)),
    field("permanent", Kind::Bool),
    field("auto", Kind::Bool),
];

const AGENT: &[Field] = &[
    field("kind", Kind::OneOf(&["command", "cli", "scripted"])),
    field("extends", Kind::Text(values::name)),
    field("command", Kind::Command(values::template)),
    field("args", Kind::Texts(values::template)),
    field("env", Kind::Env),
    field("commit", Kind::OneOf(&["agent", "supervisor"])),
    field("retry", Kind::OneOf(&["fresh", "continue"])),
    field("stall", TIMEOUT),
    field("home", Kind::OneOf(&["person", "own"])),
    field("models", Kind::Table(MODELS)),
    // Of the kind `cli`; what they mean is in `cli_agent` and `interactive`.
    field("mode", Kind::OneOf(&["headless", "interactive"])),
    field("headless", Kind::Table(HEADLESS)),
    field("interactive", Kind::Table(INTERACTIVE)),
    field("hooks", Kind::Table(HOOKS)),
    field("ready", Kind::Table(SIGNAL)),
    field("busy", Kind::Table(SIGNAL)),
    field("blocked", Kind::Table(SIGNAL)),
    field("question", Kind::Table(SIGNAL)),
    field("retrying", Kind::Table(SIGNAL)),
    field("idle", Kind::Table(SIGNAL)),
    field("stopped", Kind::Table(STOPPED)),
    field("dialogs", Kind::Tables(DIALOG)),
    field("session", Kind::Table(SESSION)),
    field("show", Kind::Tables(SHOW)),
    field("done", Kind::Table(DONE)),
    field("fail", Kind::Tables(FAIL)),
    field("class", Kind::Tables(CLASS)),
    field("reset", Kind::Tables(&[field("pattern", Kind::Text(values::reset))])),
    field("usage", Kind::Table(USAGE)),
    field("version", Kind::Table(VERSION)),
    field("login", Kind::Table(LOGIN)),
    field("install", Kind::Text(values::no_nul)),
    field("escape", Kind::Text(values::signs)),
    field("mcp", Kind::Table(MCP)),
];

const MCP: &[Field] = &[
    field("args", Kind::Texts(values::template)),
    field("file", Kind::Text(values::file_name_or_none)),
    field("variable", Kind::Text(values::variable_or_none)),
    field("content", Kind::Free(values::template)),
];

const HEADLESS: &[Field] = &[
    field("args", Kind::Texts(values::template)),
    field("resume", Kind::Texts(values::template)),
    field("model", Kind::Texts(values::template)),
    field("effort", Kind::Texts(values::template)),
    field("budget", Kind::Texts(values::template)),
    field("prompt", Kind::OneOf(&["argument", "stdin"])),
    field("stream", Kind::OneOf(&["jsonl", "json", "text"])),
    field("remarks", Kind::Bool),
    field("result", Kind::Text(values::relative_path_or_none)),
];

const INTERACTIVE: &[Field] = &[
    field("args", Kind::Texts(values::template)),
    field("resume", Kind::Texts(values::template)),
    field("clear", Kind::Texts(values::key)),
    field("submit", Kind::Texts(values::key)),
    field("exit", Kind::Texts(values::key)),
    field("settle", DURATION),
    field("ready_wait", TIMEOUT),
    field("accept_wait", TIMEOUT),
    field("said", Kind::Text(values::regex)),
];

const HOOKS: &[Field] = &[
    field("file", Kind::Text(values::file_name_or_none)),
    field("content", Kind::Text(values::no_nul)),
    field("stream", Kind::Text(values::file_name_or_none)),
    field("when", SELECTOR),
    field("session", Kind::Text(values::event_path)),
    field("said", Kind::Text(values::event_path)),
];

const SIGNAL: &[Field] = &[
    field("events", Kind::Texts(values::selector)),
    field("title", Kind::Text(values::regex)),
    field("screen", Kind::Text(values::regex)),
    field("reads", Kind::Bool),
    field("text", Kind::Text(values::event_path)),
    field("tool", Kind::Text(values::event_path)),
    field("wants", Kind::Texts(values::event_path)),
    field("shown", Kind::Text(values::regex)),
];

const STOPPED: &[Field] = &[field("screen", Kind::Text(values::regex))];

const DIALOG: &[Field] = &[
    field("match", Kind::Text(values::regex)),
    field("what", Kind::Text(values::no_nul)),
    field("answer", Kind::Texts(values::key)),
];

const SESSION: &[Field] = &[
    field("assign", Kind::Bool),
    field("when", SELECTOR),
    field("at", Kind::Text(values::event_path)),
    field("model", Kind::Text(values::event_path)),
    field("screen", Kind::Text(values::regex)),
];

const SHOW: &[Field] = &[
    field("when", SELECTOR),
    field("each", Kind::Text(values::event_path)),
    field("item", SELECTOR),
    field("text", Kind::Text(values::event_path)),
    field("pieces", Kind::Bool),
    field("as", Kind::OneOf(&["text", "thought", "tool", "result", "note", "retry"])),
];

const DONE: &[Field] = &[field("when", SELECTOR), field("pattern", Kind::Text(values::regex))];

const FAIL: &[Field] = &[
    field("when", SELECTOR),
    field("pattern", Kind::Text(values::regex)),
    field("screen", Kind::Text(values::regex)),
    field("text", Kind::Text(values::event_path)),
    field("class", Kind::OneOf(TROUBLES)),
    field("weak", Kind::Bool),
    field("until", Kind::Text(values::event_path)),
];

const CLASS: &[Field] = &[field("pattern", Kind::Text(values::regex)), field("is", Kind::OneOf(TROUBLES))];

const USAGE: &[Field] = &[
    field("when", SELECTOR),
    field("pattern", Kind::Text(values::regex)),
    field("each", Kind::Text(values::event_path)),
    field("mode", Kind::OneOf(&["last", "sum", "cumulative"])),
    field("input", Kind::Text(values::event_path)),
    field("output", Kind::Text(values::event_path)),
    field("cached", Kind::Text(values::event_path)),
    field("cost", Kind::Text(values::event_path)),
];

const VERSION: &[Field] = &[
    field("args", Kind::Texts(values::no_nul)),
    field("pattern", Kind::Text(values::regex)),
    field("tested", Kind::Texts(values::no_nul)),
];

const LOGIN: &[Field] = &[
    field("env", Kind::Texts(values::variable)),
    field("files", Kind::Texts(values::no_nul)),
    field("hint", Kind::Text(values::no_nul)),
];

const TIMEOUTS: &[Field] =
    &[field("heartbeat", TIMEOUT), field("hung", TIMEOUT), field("task", TIMEOUT), field("merge", TIMEOUT)];

const LIMITS: &[Field] = &[
    // Fewer than this no shell with a pipe gets by with.
    field("processes", Kind::Int(8, 4_000_000)),
    field("memory", Kind::Quantity(values::size, "8GB")),
    field("output", Kind::Quantity(values::positive_size, "10GB")),
    field("cgroups", Kind::Bool),
];

const QUALITY: &[Field] = &[
    field("coverage", PERCENT),
    field("mutation", PERCENT),
    field("complexity_flag", Kind::Int(1, 1_000)),
    field("complexity_max", Kind::Int(1, 1_000)),
];

const SECURITY: &[Field] = &[
    field("critical_cve_max", Kind::Int(0, 1_000_000)),
    field("high_cve_max", Kind::Int(0, 1_000_000)),
    field("medium_cve_max", Kind::Int(0, 1_000_000)),
];

const GATE: &[Field] = &[
    field("stage", Kind::Text(values::name)),
    field("enabled", Kind::Bool),
    field("required", Kind::Bool),
    field("at_merge", Kind::Bool),
    field("command", Kind::Command(values::gate_template)),
    field("parser", Kind::OneOf(presets::PARSERS)),
    field("mode", Kind::OneOf(&["new", "absolute", "report"])),
    field("timeout", TIMEOUT),
    field("weight", Kind::Int(1, 1_024)),
    field("network", Kind::Bool),
    field("paths", GLOBS),
    field("allow", GLOBS),
    field("pattern", Kind::Text(values::regex)),
    // 126 and 127 are a shell's word for a command that cannot be run, more is a signal.
    field("clean", Kind::Ints(0, 125)),
    field("output", Kind::Text(values::relative_path_or_none)),
];

const WORKTREE: &[Field] = &[
    field("setup", Kind::Text(values::no_nul)),
    field("setup_inputs", GLOBS),
    field("copy", PATHS),
    field("link", PATHS),
];

/// More US dollars than this are a typing error.
const USD_MAX: f64 = 1_000_000.0;

const BUDGET: &[Field] = &[
    field("run", Kind::Table(LIMIT)),
    field("task", Kind::Table(LIMIT)),
    field("feature", Kind::Table(LIMIT)),
    field("day", Kind::Table(LIMIT)),
];

const LIMIT: &[Field] =
    &[field("usd", Kind::Number(0.001, USD_MAX)), field("tokens", Kind::Int(1, i64::MAX))];

const PRICE: &[Field] = &[
    field("input", Kind::Number(0.0, USD_MAX)),
    field("output", Kind::Number(0.0, USD_MAX)),
    field("cached", Kind::Number(0.0, USD_MAX)),
];

/// The names of the keys of a section.
pub(super) fn keys(fields: &'static [Field]) -> impl Iterator<Item = &'static str> {
    fields.iter().map(|field| field.key)
}

/// The kind of the value at a dotted path; None for an unknown key.
pub(super) fn find(path: &[String]) -> Option<Kind> {
    let (first, mut rest) = path.split_first()?;
    let mut kind = ROOT.iter().find(|field| field.key == first)?.kind;
    while let Some((key, tail)) = rest.split_first() {
        kind = match kind {
            Kind::Table(fields) => fields.iter().find(|field| field.key == key)?.kind,
            Kind::Named(_, fields) => Kind::Table(fields),
            Kind::Mixed(fixed, _, named) => {
                fixed.iter().find(|field| field.key == key).map_or(Kind::Table(named), |field| field.kind)
            }
            Kind::Env => Kind::Text(values::no_nul),
            _ => return None,
        };
        rest = tail;
    }
    Some(kind)
}

/// Every fixed key, dotted, for suggestions: `quality.coverage`.
pub(super) fn dotted_keys() -> Vec<String> {
    let mut all = Vec::new();
    collect(ROOT, "", &mut all);
    all
}

fn collect(fields: &'static [Field], prefix: &str, all: &mut Vec<String>) {
    for field in fields {
        let dotted = format!("{prefix}{}", field.key);
        if let Kind::Table(inner) | Kind::Mixed(inner, ..) = field.kind {
            collect(inner, &format!("{dotted}."), all);
        }
        all.push(dotted);
    }
}
