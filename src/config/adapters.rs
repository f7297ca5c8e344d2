//! The adapters that are built in beside `command` and `scripted`: one TOML file each under
//! `config/agents/`, with the keys of `[agent.NAME]`. A person's keys lie over them.

/// The files, by name. `cli` is what all others extend, and no program itself.
const ADAPTERS: [(&str, &str); 3] = [
    ("cli", include_str!("../../config/agents/cli.toml")),
    ("codex", include_str!("../../config/agents/codex.toml")),
    ("pi", include_str!("../../config/agents/pi.toml")),
];

/// Their names and texts.
pub fn built_in() -> impl Iterator<Item = (&'static str, &'static str)> {
    ADAPTERS.into_iter()
}
