//! A disk that is nearly full: what is said about it, and by which value it is judged.

use std::path::Path;

use super::context::Context;
use super::text::bytes;
use crate::config::Config;
use crate::domain::state::State;
use crate::process::system::Disk;
use crate::store::Client;

/// What to do about it before a sprint runs.
pub(super) const MEND: &str = "make room, or lower general.disk_free_min";
/// What to do about it while a sprint runs: the supervisor goes by what it was told last.
pub(super) const MEND_RUNNING: &str = "make room, or lower general.disk_free_min and: sprint reload";

/// Less room than the configuration wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowDisk {
    /// Bytes that are free.
    pub free: u64,
    /// `general.disk_free_min`.
    pub least: u64,
}

impl LowDisk {
    /// If `free` is less than `least`.
    pub fn judge(free: Option<u64>, least: u64) -> Option<Self> {
        free.filter(|free| *free < least).map(|free| Self { free, least })
    }

    /// As a person reads it.
    pub fn text(self) -> String {
        let Self { free, least } = self;
        format!("{} free, less than general.disk_free_min = {}", bytes(free), bytes(least))
    }

    /// The same, with what follows from it.
    pub fn consequence(self) -> String {
        format!("the disk is nearly full: {}: nothing new is begun until there is room", self.text())
    }
}

/// Free space where the state lives, or will live.
pub(super) fn free(context: &Context) -> Option<u64> {
    let of = |path: &Path| Disk::of(path).ok().map(|disk| disk.free);
    context.layout().and_then(|layout| of(&layout.state)).or_else(|| of(&context.repo.common_dir))
}

/// The value that the supervisor goes by; `None` where the store does not say.
pub(super) fn least(client: &Client, state: &State) -> Option<u64> {
    let frozen = || state.current().map(|feature| &feature.frozen.policy.config);
    let text = client.config(state.sprint.config.as_ref().or_else(frozen)?).ok().flatten()?;
    let config: Config = serde_json::from_str(&text).ok()?;
    Some(config.general.disk_free_min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_less_is_low() {
        assert_eq!(LowDisk::judge(Some(2), 2), None);
        assert_eq!(LowDisk::judge(None, 2), None);
        assert_eq!(
            LowDisk::judge(Some(1_000), 2_000_000_000).unwrap().consequence(),
            "the disk is nearly full: 1.0 kB free, less than general.disk_free_min = 2.0 GB: nothing new is begun until there is room"
        );
    }
}
