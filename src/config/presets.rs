//! The presets that are built in: one TOML file each under `config/gates/`, and the names of
//! the parsers that a gate may use.
//!
//! Only the list and the bytes; the layering over them is the loader's.

use super::gate::GateConfig;

/// Preset files, in the order in which gates run: cheap ones first.
const PRESETS: [(&str, &str); 5] = [
    ("ruff", include_str!("../../config/gates/ruff.toml")),
    ("integrity", include_str!("../../config/gates/integrity.toml")),
    ("radon", include_str!("../../config/gates/radon.toml")),
    ("mypy", include_str!("../../config/gates/mypy.toml")),
    ("pytest", include_str!("../../config/gates/pytest.toml")),
];

pub(super) const PARSERS: &[&str] =
    &["exit-code", "regex", "sarif", "junit", "ruff", "mypy", "radon", "pytest"];

/// The names of the presets, in the order in which their gates run.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The names that `parser` may have.
pub fn parser_names() -> &'static [&'static str] {
    PARSERS
}

/// The TOML of a preset: keys of `[gate.X]`, and `[tool]`.
pub fn preset_toml(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(preset, _)| *preset == name).map(|(_, text)| *text)
}

/// The preset as a table with `name` and `preset` set, for a loader to lay a person's keys over
/// before it becomes a [`GateConfig`].
///
/// # Panics
/// Never for a release: a test reads every embedded file.
pub fn preset_table(name: &str) -> Option<toml::Table> {
    let mut table: toml::Table = preset_toml(name)?.parse().expect("embedded presets are read in a test");
    table.insert("name".to_owned(), name.into());
    table.insert("preset".to_owned(), name.into());
    Some(table)
}

/// The preset as it is without a person's keys.
///
/// # Panics
/// Never for a release: a test reads every embedded file.
pub fn preset(name: &str) -> Option<GateConfig> {
    Some(preset_table(name)?.try_into().expect("embedded presets are read in a test"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::gate::{Evidence, Mode};

    #[test]
    fn every_preset_is_a_gate_with_a_known_parser() {
        for name in preset_names() {
            let gate = preset(name).unwrap();
            assert_eq!(gate.name.as_str(), name);
            assert_eq!(gate.preset.as_deref(), Some(name));
            assert!(parser_names().contains(&gate.parser.as_str()), "{name}: {}", gate.parser);
            assert!(!gate.command.is_empty(), "{name}");
            assert!(gate.tool.builtin || !gate.tool.version.is_empty(), "{name}");
            assert!(gate.tool.builtin || !gate.tool.inputs.is_empty(), "{name}");
            assert!(gate.tool.builtin || !gate.tool.expected.is_empty(), "{name}");
            assert_ne!(gate.tool.evidence, Evidence::None, "{name}");
        }
        assert_eq!(preset("nonsense"), None);
    }

    #[test]
    fn a_persons_keys_lie_over_a_preset() {
        let mut table = preset_table("ruff").unwrap();
        table.insert("timeout".to_owned(), "90s".into());
        table.insert("mode".to_owned(), "absolute".into());
        let gate: GateConfig = table.try_into().unwrap();
        assert_eq!(gate.mode, Mode::Absolute);
        assert_eq!(gate.timeout.as_secs(), 90);
        assert_eq!(gate.parser, "ruff");
    }

    #[test]
    fn a_users_gate_needs_a_stage_and_a_command_only() {
        let gate: GateConfig =
            toml::from_str("name = 'mine'\nstage = 'InTests'\ncommand = ['./check.sh']").unwrap();
        assert_eq!((gate.parser.as_str(), gate.mode, gate.weight), ("exit-code", Mode::New, 1));
        assert!(gate.enabled && gate.required && gate.at_merge);
        assert!(toml::from_str::<GateConfig>("name = 'mine'\nstage = 'InTests'").is_err());
    }
}
