//! The adapters that are built in beside `command` and `scripted`: one TOML file each under
//! `config/agents/`, with the keys of `[agent.NAME]`. A person's keys lie over them.

/// The files, by name. `cli` is what all others extend, and no program itself.
const ADAPTERS: [(&str, &str); 9] = [
    ("aider", include_str!("../../config/agents/aider.toml")),
    ("claude", include_str!("../../config/agents/claude.toml")),
    ("cli", include_str!("../../config/agents/cli.toml")),
    ("codex", include_str!("../../config/agents/codex.toml")),
    ("gemini", include_str!("../../config/agents/gemini.toml")),
    ("mini-swe-agent", include_str!("../../config/agents/mini-swe-agent.toml")),
    ("opencode", include_str!("../../config/agents/opencode.toml")),
    ("pi", include_str!("../../config/agents/pi.toml")),
    ("qwen", include_str!("../../config/agents/qwen.toml")),
];

/// Their names and texts.
pub fn built_in() -> impl Iterator<Item = (&'static str, &'static str)> {
    ADAPTERS.into_iter()
}
