//! When a limit ends, as a program or its service tells: "try again in 20s", "resets at 3pm", an
//! ISO time, Unix time. Pure: the moment is an argument.

use regex::Regex;
use serde_json::Value;

use crate::domain::event::Now;

const DAY_MS: i64 = 86_400_000;
/// Numbers from here on are Unix times; from the second one on in milliseconds.
const UNIX_FROM: f64 = 1e9;
const UNIX_MS_FROM: f64 = 1e12;
/// Longer waits are none that anybody means.
const SECONDS_MAX: f64 = 1e9;

/// The end of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After so many milliseconds.
    After(i64),
    /// At this Unix time, in milliseconds.
    At(i64),
    /// At this time of day here, in minutes after midnight.
    Clock(i64),
}

impl Until {
    /// As Unix time in milliseconds. A time of day that is over is tomorrow's.
    pub fn unix_ms(self, now: Now) -> i64 {
        match self {
            Self::After(ms) => now.wall_ms.saturating_add(ms),
            Self::At(at) => at,
            Self::Clock(minutes) => {
                let offset = i64::from(now.utc_offset_s) * 1000;
                let local = now.wall_ms.saturating_add(offset);
                let today = local - local.rem_euclid(DAY_MS) + minutes * 60_000;
                let next = if today > local { today } else { today + DAY_MS };
                next - offset
            }
        }
    }
}

/// What the first pattern tells that tells anything.
pub(super) fn in_text(patterns: &[Regex], text: &str) -> Option<Until> {
    patterns.iter().find_map(|pattern| of_groups(&pattern.captures(text)?))
}

fn of_groups(found: &regex::Captures<'_>) -> Option<Until> {
    let group = |name: &str| found.name(name).map(|group| group.as_str());
    let number = |name: &str| group(name).and_then(|text| text.parse::<f64>().ok());
    let spans = [number("hours").map(|n| n * 3600.0), number("minutes").map(|n| n * 60.0), number("seconds")];
    if spans.iter().any(Option::is_some) {
        return after(spans.iter().flatten().sum());
    }
    let unix = number("unix").and_then(unix);
    unix.or_else(|| group("at").and_then(iso)).or_else(|| group("clock").and_then(clock))
}

/// What an event says in a place that is known to tell it: seconds, Unix time, a date, a time of day.
pub(super) fn in_value(value: &Value) -> Option<Until> {
    match value {
        Value::Number(number) => of_number(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            let number = text.strip_suffix('s').unwrap_or(text).parse::<f64>().ok();
            number.and_then(of_number).or_else(|| iso(text)).or_else(|| clock(text))
        }
        _ => None,
    }
}

fn of_number(number: f64) -> Option<Until> {
    if number >= UNIX_FROM { unix(number) } else { after(number) }
}

#[expect(clippy::cast_possible_truncation, reason = "a number of milliseconds within the bounds")]
fn after(seconds: f64) -> Option<Until> {
    (0.0..SECONDS_MAX).contains(&seconds).then(|| Until::After((seconds * 1000.0).ceil() as i64))
}

#[expect(clippy::cast_possible_truncation, reason = "a Unix time within the bounds")]
fn unix(number: f64) -> Option<Until> {
    let ms = if number >= UNIX_MS_FROM { number } else { number * 1000.0 };
    (UNIX_MS_FROM..1e14).contains(&ms).then(|| Until::At(ms.round() as i64))
}

/// A date with a time; without a zone it is UTC.
fn iso(text: &str) -> Option<Until> {
    let text = text.trim().replacen(' ', "T", 1);
    let at = text.parse::<jiff::Timestamp>().ok();
    let at = at.or_else(|| format!("{text}Z").parse::<jiff::Timestamp>().ok())?;
    Some(Until::At(at.as_millisecond()))
}

/// `3pm`, `3:30 p.m.`, `15:00`.
fn clock(text: &str) -> Option<Until> {
    let text = text.trim().to_ascii_lowercase().replace(['.', ' '], "");
    let (digits, half) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(0)),
        (_, Some(digits)) => (digits, Some(12)),
        (None, None) => (text.as_str(), None),
    };
    let (hour, minute) = match digits.split_once(':') {
        Some((hour, minute)) => (hour.parse::<i64>().ok()?, minute.parse::<i64>().ok()?),
        // A number alone is no time of day.
        None => (half.and(digits.parse::<i64>().ok())?, 0),
    };
    let hour = match half {
        Some(half) => (1..=12).contains(&hour).then_some(hour % 12 + half)?,
        None => hour,
    };
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(Until::Clock(hour * 60 + minute))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, load};
    use serde_json::json;

    /// Those that every adapter has.
    fn common() -> Vec<Regex> {
        let config = load(&[] as &[Layer]).unwrap();
        config.agent["cli"].reset.iter().map(|row| Regex::new(&row.pattern).unwrap()).collect()
    }

    #[test]
    fn what_services_say() {
        let patterns = common();
        let told: Vec<String> = [
            "429 Too Many Requests, retry-after: 17",
            "{\"retry-after\": \"17\"}",
            "Rate limit reached. Please try again in 20s.",
            "Please try again in 1.5s",
            "Please try again in 6m0s.",
            "try again in 500ms",
            "Please retry in 2 hours and 5 minutes",
            "You exceeded your quota. Please retry in 39.5 seconds.",
            "\"retryDelay\": \"32s\"",
            "Your limit will reset at 3pm (America/New_York)",
            "limit reached, resets 3:30 p.m.",
            "resets at 15:00",
            "Usage limit reached|1767225600",
            "limit resets at 2026-01-01T03:00:00Z",
            "try again at 2026-01-01 03:00:00+01:00",
            "rate limit exceeded",
            "HTTP 429 after 3 tries",
            "it took 20s",
        ]
        .iter()
        .map(|text| format!("{text}: {:?}", in_text(&patterns, text)))
        .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        429 Too Many Requests, retry-after: 17: Some(After(17000))
        {"retry-after": "17"}: Some(After(17000))
        Rate limit reached. Please try again in 20s.: Some(After(20000))
        Please try again in 1.5s: Some(After(1500))
        Please try again in 6m0s.: Some(After(360000))
        try again in 500ms: None
        Please retry in 2 hours and 5 minutes: Some(After(7500000))
        You exceeded your quota. Please retry in 39.5 seconds.: Some(After(39500))
        "retryDelay": "32s": Some(After(32000))
        Your limit will reset at 3pm (America/New_York): Some(Clock(900))
        limit reached, resets 3:30 p.m.: Some(Clock(930))
        resets at 15:00: Some(Clock(900))
        Usage limit reached|1767225600: Some(At(1767225600000))
        limit resets at 2026-01-01T03:00:00Z: Some(At(1767236400000))
        try again at 2026-01-01 03:00:00+01:00: Some(At(1767232800000))
        rate limit exceeded: None
        HTTP 429 after 3 tries: None
        it took 20s: None
        "#);
    }

    #[test]
    fn what_a_known_place_of_an_event_holds() {
        assert_eq!(in_value(&json!(20)), Some(Until::After(20_000)));
        assert_eq!(in_value(&json!("1.5")), Some(Until::After(1500)));
        assert_eq!(in_value(&json!("32s")), Some(Until::After(32_000)));
        assert_eq!(in_value(&json!(1_767_225_600)), Some(Until::At(1_767_225_600_000)));
        assert_eq!(in_value(&json!(1_767_225_600_123_u64)), Some(Until::At(1_767_225_600_123)));
        assert_eq!(in_value(&json!("2026-01-01T00:00:00Z")), Some(Until::At(1_767_225_600_000)));
        assert_eq!(in_value(&json!("3pm")), Some(Until::Clock(900)));
        for nothing in [json!(null), json!(-5), json!("soon"), json!("99"), json!("25:00"), json!(1e300)] {
            assert!(matches!(in_value(&nothing), None | Some(Until::After(99_000))), "{nothing}");
        }
    }

    #[test]
    fn a_time_of_day_is_the_next_one_here() {
        // 2026-01-01T00:00:00Z is one o'clock here.
        let now = Now { wall_ms: 1_767_225_600_000, mono_ms: 0, utc_offset_s: 3600 };
        assert_eq!(Until::Clock(2 * 60).unix_ms(now), now.wall_ms + 3_600_000);
        assert_eq!(Until::Clock(0).unix_ms(now), now.wall_ms + 23 * 3_600_000, "tomorrow");
        assert_eq!(Until::Clock(60).unix_ms(now), now.wall_ms + DAY_MS);
        assert_eq!(Until::After(5).unix_ms(now), now.wall_ms + 5);
    }
}
