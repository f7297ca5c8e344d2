//! What the supervisor itself needs of the configuration: that of the feature being built, else
//! the built-in one. What is the machine's and not the feature's is as the last `start` found it.

use std::time::Duration;

use super::engine::Engine;
use crate::config::{Config, load};

/// The settings of the moment.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// A busy worker without heartbeat and CPU for so long is ended.
    pub(super) hung: Duration,
    /// Whether the machine is kept awake while runs are active.
    pub(super) inhibit_sleep: bool,
    /// Below so many free bytes nothing new is begun.
    pub(super) disk_free_min: u64,
    /// Of the configurations that they are of: the feature's, and the one found last.
    fingerprints: [Option<String>; 2],
}

impl Settings {
    /// Those of the moment. Read again only when they are of other configurations: an idle sprint
    /// asks the store nothing.
    pub(super) fn renew(known: &mut Option<Self>, engine: &Engine) -> Self {
        let feature = engine.state().current().map(|feature| feature.frozen.policy.config.clone());
        let fingerprints = [feature, engine.state().sprint.config.clone()];
        if let Some(settings) = known.as_ref().filter(|settings| settings.fingerprints == fingerprints) {
            return settings.clone();
        }
        let settings = Self::read(engine, fingerprints);
        *known = Some(settings.clone());
        settings
    }

    fn read(engine: &Engine, fingerprints: [Option<String>; 2]) -> Self {
        let config = |fingerprint: &Option<String>| -> Option<Config> {
            let text = engine.store().config(fingerprint.as_ref()?).ok().flatten()?;
            serde_json::from_str(&text).ok()
        };
        let [feature, found] = &fingerprints;
        let frozen =
            config(feature).unwrap_or_else(|| load(&[]).expect("the built-in configuration is valid"));
        let disk_free_min = config(found).as_ref().unwrap_or(&frozen).general.disk_free_min;
        Self {
            hung: frozen.timeouts.hung.max(frozen.timeouts.heartbeat),
            inhibit_sleep: frozen.general.inhibit_sleep,
            disk_free_min,
            fingerprints,
        }
    }
}
