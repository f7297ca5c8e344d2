//! Files that sprint brings along for a preset's tool: rules, and scripts that drive it.
//!
//! They lie at a place that stays, so that the line to repeat a gate by hand works; it is named by
//! their content, so that two versions of sprint do not disturb each other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fingerprint::hash;
use crate::config::gate::GateConfig;
use crate::config::presets::brought;

/// The files of a preset, and where they belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kit {
    /// `{kit}`
    pub(super) dir: PathBuf,
    files: Vec<(&'static str, &'static str)>,
}

impl Kit {
    /// The kit of the gate, below `place`.
    pub(super) fn of(gate: &GateConfig, place: &Path) -> Self {
        let files: Vec<_> = gate.tool.kit.iter().filter_map(|name| brought(name)).collect();
        let texts: Vec<&str> = files.iter().flat_map(|(name, text)| [*name, *text]).collect();
        Self { dir: place.join(&hash(&texts)[..16]), files }
    }

    /// Nothing in cache keys where nothing is brought; else what tells this kit from others.
    pub(super) fn identity(&self) -> String {
        if self.files.is_empty() {
            return String::new();
        }
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Writes what is not there as it should be.
    ///
    /// # Errors
    /// If it cannot be written: the gate cannot run.
    pub(super) fn place(&self) -> io::Result<()> {
        for (name, text) in &self.files {
            let file = self.dir.join(name);
            if fs::read(&file).is_ok_and(|there| there == text.as_bytes()) {
                continue;
            }
            fs::create_dir_all(&self.dir)?;
            // Another gate may read it at this moment: it is replaced at once or not at all.
            let temporary = self.dir.join(format!("{name}.{}.tmp", uuid::Uuid::new_v4().simple()));
            fs::write(&temporary, text)?;
            fs::rename(&temporary, &file)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::preset;

    #[test]
    fn what_is_brought_is_there_as_it_was_made_whatever_lay_there() {
        let dir = tempfile::tempdir().unwrap();
        let kit = Kit::of(&preset("mutmut").unwrap(), dir.path());
        assert!(kit.dir.ends_with(kit.identity()) && kit.identity().len() == 16);
        kit.place().unwrap();
        let script = kit.dir.join("mutmut.py");
        let text = fs::read_to_string(&script).unwrap();
        fs::write(&script, "raise SystemExit(0)").unwrap();
        kit.place().unwrap();
        assert_eq!(fs::read_to_string(&script).unwrap(), text);
        assert_eq!(fs::read_dir(&kit.dir).unwrap().count(), 1);
    }

    #[test]
    fn most_presets_bring_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let kit = Kit::of(&preset("ruff").unwrap(), dir.path());
        kit.place().unwrap();
        assert_eq!((kit.identity().as_str(), fs::read_dir(dir.path()).unwrap().count()), ("", 0));
    }
}
