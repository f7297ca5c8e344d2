//! Durations as people write them: `90s`, `5m`, `2h`, `250ms`, `1h30m`.
//!
//! For `#[serde(with = "crate::config::duration")]` too. Refuses a bare number: nobody can tell
//! whether `timeout = 5` means seconds or minutes.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// The longest duration that is taken: ten years. Longer ones overflow clocks somewhere.
const MAX_SECONDS: u64 = 10 * 365 * 24 * 3600;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: write a number and a unit, as in `90s`, `5m`, `2h` or `1h30m`")]
pub struct InvalidDuration {
    /// The text, shortened to 40 characters.
    pub text: String,
}

/// Reads `90s`, `5m`, `1h30m`.
///
/// # Errors
/// [`InvalidDuration`] for a text without a unit, with an unknown one, or beyond ten years.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration { text: text.chars().take(40).collect() };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let part = of_unit(number, &rest[..unit]).ok_or_else(invalid)?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = &rest[unit..];
    }
    if total.as_secs() > MAX_SECONDS { Err(invalid()) } else { Ok(total) }
}

fn of_unit(number: u64, unit: &str) -> Option<Duration> {
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        "d" => number.checked_mul(86_400).map(Duration::from_secs),
        _ => None,
    }
}

/// Writes a duration so that [`parse`] reads it back, in the largest unit that divides it.
pub fn format(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (size, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    if millis == 0 { "0s".to_owned() } else { format!("{millis}ms") }
}

/// For serde's `with`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// For serde's `with`.
///
/// # Errors
/// A text that [`parse`] refuses.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_and_written_back() {
        for (text, millis, back) in [
            ("90s", 90_000, "90s"),
            ("5m", 300_000, "5m"),
            ("2h", 7_200_000, "2h"),
            ("1h30m", 5_400_000, "90m"),
            ("250ms", 250, "250ms"),
            ("0s", 0, "0s"),
            (" 1d ", 86_400_000, "1d"),
        ] {
            let read = parse(text).unwrap();
            assert_eq!(read, Duration::from_millis(millis), "{text}");
            assert_eq!(format(read), back);
            assert_eq!(parse(&format(read)).unwrap(), read);
        }
    }

    #[test]
    fn a_bare_number_and_nonsense_are_refused() {
        for text in ["", "5", "m", "5 m", "-5m", "5x", "5m3", "1.5h", "99999999999999999999s", "4000d"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
