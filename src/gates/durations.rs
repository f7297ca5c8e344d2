//! How long each gate took when it last ran in a repository, for people who wait; and whether it failed
//! at the base too, for people who ask which gates there are.

use std::path::Path;

use super::cache::Cache;
use crate::domain::gate::{GateResult, Verdict};
use crate::domain::ids::GateName;

/// Keeps the time of each gate that ran to its end; what came out of the cache took none.
pub fn remember(cache: &Cache, repository: &Path, results: &[GateResult]) {
    let ran = |result: &&GateResult| {
        !result.cached && matches!(result.verdict, Verdict::Pass | Verdict::Fail) && result.seconds > 0.0
    };
    for result in results.iter().filter(ran) {
        cache.put(&key(repository, &result.name), &result.seconds);
    }
    let judged = |result: &&GateResult| matches!(result.verdict, Verdict::Pass | Verdict::Fail);
    for result in results.iter().filter(judged) {
        let key = excused_key(repository, &result.name);
        if result.is_excused() || cache.get::<bool>(&key) == Some(true) {
            cache.put(&key, &result.is_excused());
        }
    }
}

/// Seconds that the gate took last.
pub fn recall(cache: &Cache, repository: &Path, gate: &GateName) -> Option<f64> {
    cache.get(&key(repository, gate))
}

/// Whether the gate passed when it last ran only because it fails at the base too.
pub fn was_excused(cache: &Cache, repository: &Path, gate: &GateName) -> bool {
    cache.get(&excused_key(repository, gate)).unwrap_or(false)
}

fn excused_key(repository: &Path, gate: &GateName) -> String {
    Cache::key(&["excused", &repository.to_string_lossy(), gate.as_str()])
}

fn key(repository: &Path, gate: &GateName) -> String {
    Cache::key(&["duration", &repository.to_string_lossy(), gate.as_str()])
}
