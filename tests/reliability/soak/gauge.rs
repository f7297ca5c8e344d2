//! What supervisors use: memory, descriptors, and the log of the database, looked at once a second.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use crate::common::World;

const SECOND: Duration = Duration::from_secs(1);
/// A process that comes up is not looked at yet.
const WARM: Duration = Duration::from_secs(30);
/// Looks at a supervisor of which something can be said.
const LIFE_MIN: usize = 60;
const MB: f64 = 1024.0 * 1024.0;

/// One look at one supervisor.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Duration,
    bytes: f64,
    descriptors: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Gauge {
    began: Instant,
    last: Option<Instant>,
    /// By the number of the process.
    looks: BTreeMap<u32, Vec<Look>>,
    log_max: u64,
}

impl Default for Gauge {
    fn default() -> Self {
        Self { began: Instant::now(), last: None, looks: BTreeMap::new(), log_max: 0 }
    }
}

impl Gauge {
    /// At most once a second.
    pub(super) fn look(&mut self, world: &World) {
        if self.last.is_some_and(|last| last.elapsed() < SECOND) {
            return;
        }
        self.last = Some(Instant::now());
        let log = fs::metadata(world.state().join("sprint.db-wal")).map_or(0, |meta| meta.len());
        self.log_max = self.log_max.max(log);
        let Some(pid) = world.supervisor() else { return };
        let Some(bytes) = resident(pid) else { return };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let look = Look { at: self.began.elapsed(), bytes, descriptors };
        self.looks.entry(pid).or_default().push(look);
    }

    /// The most bytes that the log of the database has had.
    pub(super) fn log_max(&self) -> u64 {
        self.log_max
    }

    /// Looks at each supervisor once it was warm.
    fn warm(&self) -> impl Iterator<Item = &[Look]> {
        self.looks.values().map(|looks| {
            let from = looks.first().map_or(Duration::ZERO, |first| first.at + WARM);
            &looks[looks.partition_point(|look| look.at < from)..]
        })
    }

    /// By a line through what each supervisor used, all of them with one slope; `None` if none lived for long
    /// enough.
    pub(super) fn slope_mb_an_hour(&self) -> Option<f64> {
        let (mut above, mut below) = (0.0, 0.0);
        for looks in self.warm().filter(|looks| looks.len() > 2) {
            #[expect(clippy::cast_precision_loss, reason = "thousands")]
            let count = looks.len() as f64;
            let hours = |look: &Look| look.at.as_secs_f64() / 3600.0;
            let middle = looks.iter().map(hours).sum::<f64>() / count;
            let mean = looks.iter().map(|look| look.bytes).sum::<f64>() / count;
            for look in looks {
                above += (hours(look) - middle) * (look.bytes - mean);
                below += (hours(look) - middle).powi(2);
            }
        }
        (below > 0.0).then(|| above / below / MB)
    }

    /// By how many the fewest descriptors of a supervisor's last third are more than those of its first: what is
    /// open for a child comes and goes, what leaks stays. Of lives that were long enough.
    pub(super) fn descriptors_growth(&self) -> usize {
        self.growths().map(|(_, growth)| growth).max().unwrap_or_default()
    }

    /// The same of each life, with how often it was looked at.
    fn growths(&self) -> impl Iterator<Item = (usize, usize)> {
        let fewest = |looks: &[Look]| looks.iter().map(|look| look.descriptors).min();
        self.warm().filter(|looks| looks.len() >= LIFE_MIN).filter_map(move |looks| {
            let third = looks.len() / 3;
            let growth = fewest(&looks[2 * third..])?.saturating_sub(fewest(&looks[..third])?);
            Some((looks.len(), growth))
        })
    }

    /// Between the fewest and the most that one supervisor had open.
    pub(super) fn descriptors_spread(&self) -> usize {
        let of_one = |looks: &[Look]| {
            let counts = looks.iter().map(|look| look.descriptors);
            Some(counts.clone().max()? - counts.min()?)
        };
        self.warm().filter_map(of_one).max().unwrap_or_default()
    }
}

fn resident(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.looks.values().max_by_key(|looks| looks.len());
        let (first, last) = longest.map_or((0.0, 0.0), |looks| {
            let bytes = |look: Option<&Look>| look.map_or(0.0, |look| look.bytes / MB);
            (bytes(looks.first()), bytes(looks.last()))
        });
        let slope =
            self.slope_mb_an_hour().map_or("too short for a slope".to_owned(), |mb| format!("{mb:.2} MB/h"));
        let lives: Vec<String> =
            self.growths().map(|(looks, growth)| format!("{looks} s +{growth}")).collect();
        write!(
            f,
            "{} supervisors; the longest lived {} s, {first:.1} to {last:.1} MB; {slope}; descriptors grow by {} ({}) \
             and vary by {}; the database's log had {} kB at most",
            self.looks.len(),
            longest.map_or(0, Vec::len),
            self.descriptors_growth(),
            lives.join(", "),
            self.descriptors_spread(),
            self.log_max >> 10,
        )
    }
}
