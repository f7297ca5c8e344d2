//! How long each gate took when it last ran in a repository, for people who wait.

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
}

/// Seconds that the gate took last.
pub fn recall(cache: &Cache, repository: &Path, gate: &GateName) -> Option<f64> {
    cache.get(&key(repository, gate))
}

fn key(repository: &Path, gate: &GateName) -> String {
    Cache::key(&["duration", &repository.to_string_lossy(), gate.as_str()])
}
