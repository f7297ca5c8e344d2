//! The clocks: monotonic for every timer, wall for people and records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

pub use super::identity::boot_id;
use crate::domain::event::Now;

/// Milliseconds on `CLOCK_MONOTONIC`: the same for all processes of one boot, stands still during
/// sleep, never jumps.
pub fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on every Linux");
    let millis = now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000;
    u64::try_from(millis).unwrap_or(0)
}

/// How long until the next moment that is a multiple of `every` on `CLOCK_MONOTONIC`; never zero.
/// Everybody who looks now and then does so at these: an idle machine wakes once for all of them.
pub fn until_common(every: Duration) -> Duration {
    let every = every.as_millis().max(1);
    let left = every - u128::from(monotonic_ms()) % every;
    Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX))
}

/// The moment, for an event: both clocks, and how far the local time is ahead of UTC.
pub fn now() -> Now {
    let wall_ms = wall_ms();
    Now { wall_ms, mono_ms: monotonic_ms(), utc_offset_s: utc_offset_s(wall_ms) }
}

/// Seconds that the local time is ahead of UTC at that moment.
fn utc_offset_s(wall_ms: i64) -> i32 {
    let at = jiff::Timestamp::from_millisecond(wall_ms);
    at.map_or(0, |at| jiff::tz::TimeZone::system().to_offset(at).seconds())
}

/// Milliseconds since 1970 as the machine believes; may jump.
pub fn wall_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_moments_are_at_most_one_period_away() {
        let every = Duration::from_millis(250);
        let (before, left) = (monotonic_ms(), until_common(every));
        assert!(left > Duration::ZERO && left <= every);
        // The clock went on a little between the two calls.
        let moment = before + u64::try_from(left.as_millis()).unwrap();
        assert!((moment + 20) % 250 <= 20, "{moment}");
        assert_eq!(until_common(Duration::ZERO), Duration::from_millis(1));
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = monotonic_ms();
        assert!(first > 0 && monotonic_ms() >= first && wall_ms() > 1_700_000_000_000);
    }
}
