//! What the supervisor itself needs of the configuration: that of the feature being built, else
//! the built-in one.

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
    fingerprint: Option<String>,
}

impl Settings {
    /// Those of the feature that is being built. Read again only when that is another one: an
    /// idle sprint asks the store nothing.
    pub(super) fn renew(known: &mut Option<Self>, engine: &Engine) -> Self {
        let fingerprint = engine.state().current().map(|feature| feature.frozen.policy.config.clone());
        if let Some(settings) = known.as_ref().filter(|settings| settings.fingerprint == fingerprint) {
            return settings.clone();
        }
        let settings = Self::read(engine, fingerprint);
        *known = Some(settings.clone());
        settings
    }

    fn read(engine: &Engine, fingerprint: Option<String>) -> Self {
        let frozen =
            fingerprint.as_ref().and_then(|fingerprint| engine.store().config(fingerprint).ok().flatten());
        let config: Option<Config> = frozen.and_then(|text| serde_json::from_str(&text).ok());
        let config = config.unwrap_or_else(|| load(&[]).expect("the built-in configuration is valid"));
        Self {
            hung: config.timeouts.hung.max(config.timeouts.heartbeat),
            inhibit_sleep: config.general.inhibit_sleep,
            disk_free_min: config.general.disk_free_min,
            fingerprint,
        }
    }
}
