//! Sizes in bytes as people write them: `512MB`, `2GB`, `1GiB`, `0B`. Refuses bare numbers and
//! unknown units. Serde form: `#[serde(with = "crate::config::size")]` on a `u64`.

use serde::{Deserialize, Deserializer, Serializer};

/// What is wrong with a text that was to be a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: write a whole number and a unit, such as `512MB`, `2GB` or `1GiB`")]
pub struct SizeError(String);

/// The units; the decimal ones first, so that a number is written back in them.
const UNITS: [(&str, u64); 9] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads a size in bytes; the case of the unit does not matter.
///
/// # Errors
/// [`SizeError`] carries the text.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let error = || SizeError(text.chars().take(40).collect());
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let amount: u64 = trimmed[..digits].parse().map_err(|_| error())?;
    let unit = trimmed[digits..].trim_start();
    let (_, scale) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(error)?;
    // SQLite, `statvfs` and JSON readers all think in signed numbers.
    amount.checked_mul(*scale).filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or_else(error)
}

/// Writes a size in its largest exact unit.
pub fn format(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, scale)| bytes.is_multiple_of(*scale))
        .map_or_else(|| format!("{bytes}B"), |(unit, scale)| format!("{}{unit}", bytes / scale))
}

/// Serde: the text form.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*bytes))
}

/// Serde: from the text form.
///
/// # Errors
/// What [`parse`] refuses.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_sizes_and_refuses_the_rest() {
        for (text, bytes) in [("2GB", 2_000_000_000), ("1GiB", 1 << 30), ("5 mb", 5_000_000), ("0B", 0)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for bad in ["", "2", "GB", "-2GB", "2.5GB", "2XB", "99999999999TB", "é"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in 0_u64..(1 << 60)) {
            prop_assert_eq!(parse(&format(bytes)), Ok(bytes));
        }
    }
}
