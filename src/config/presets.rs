//! The presets that are built in: one TOML file each under `config/gates/`, and the names of
//! the parsers that a gate may use.
//!
//! Only the list and the bytes; the layering over them is the loader's.

use super::gate::GateConfig;

/// Preset files, in the order in which gates run: cheap ones first.
const PRESETS: &[(&str, &str)] = &[
    ("ruff", include_str!("../../config/gates/ruff.toml")),
    ("integrity", include_str!("../../config/gates/integrity.toml")),
    ("radon", include_str!("../../config/gates/radon.toml")),
    ("mypy", include_str!("../../config/gates/mypy.toml")),
    ("cargo-fmt", include_str!("../../config/gates/cargo-fmt.toml")),
    ("go-vet", include_str!("../../config/gates/go-vet.toml")),
    ("eslint", include_str!("../../config/gates/eslint.toml")),
    ("tsc", include_str!("../../config/gates/tsc.toml")),
    ("clippy", include_str!("../../config/gates/clippy.toml")),
    ("golangci-lint", include_str!("../../config/gates/golangci-lint.toml")),
    ("pytest", include_str!("../../config/gates/pytest.toml")),
    ("vitest", include_str!("../../config/gates/vitest.toml")),
    ("go-test", include_str!("../../config/gates/go-test.toml")),
    ("cargo-test", include_str!("../../config/gates/cargo-test.toml")),
    ("llvm-cov", include_str!("../../config/gates/llvm-cov.toml")),
    ("bandit", include_str!("../../config/gates/bandit.toml")),
    ("detect-secrets", include_str!("../../config/gates/detect-secrets.toml")),
    ("gitleaks", include_str!("../../config/gates/gitleaks.toml")),
    ("trufflehog", include_str!("../../config/gates/trufflehog.toml")),
    ("semgrep", include_str!("../../config/gates/semgrep.toml")),
    ("cargo-deny", include_str!("../../config/gates/cargo-deny.toml")),
    ("npm-audit", include_str!("../../config/gates/npm-audit.toml")),
    ("pip-audit", include_str!("../../config/gates/pip-audit.toml")),
    ("trivy", include_str!("../../config/gates/trivy.toml")),
    ("mutmut", include_str!("../../config/gates/mutmut.toml")),
    ("cargo-mutants", include_str!("../../config/gates/cargo-mutants.toml")),
];

pub(super) const PARSERS: &[&str] = &[
    "exit-code",
    "regex",
    "sarif",
    "junit",
    "cobertura",
    "lcov",
    "ruff",
    "mypy",
    "radon",
    "pytest",
    "cargo-fmt",
    "clippy",
    "cargo-test",
    "llvm-cov",
    "cargo-mutants",
    "cargo-deny",
    "eslint",
    "tsc",
    "vitest",
    "npm-audit",
    "go-vet",
    "go-test",
    "golangci-lint",
    "mutmut",
    "semgrep",
    "bandit",
    "detect-secrets",
    "pip-audit",
    "trivy",
    "trufflehog",
    "gitleaks",
];

/// What presets bring along for their tools.
const BROUGHT: &[(&str, &str)] = &[
    ("sprint_coverage.py", include_str!("../../config/gates/sprint_coverage.py")),
    ("mutmut.py", include_str!("../../config/gates/mutmut.py")),
    ("pip_audits.py", include_str!("../../config/gates/pip_audits.py")),
    ("python.yml", include_str!("../../config/semgrep/python.yml")),
];

/// The file of that name that a preset may bring along, with its name as it is kept here.
pub fn brought(name: &str) -> Option<(&'static str, &'static str)> {
    BROUGHT.iter().find(|(file, _)| *file == name).copied()
}

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
            assert!(gate.tool.kit.iter().all(|file| brought(file).is_some()), "{name}");
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
