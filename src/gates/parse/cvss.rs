//! The base score of a CVSS 3.0 or 3.1 vector, by the formula of its specification.

/// From 0 to 10; `None` for another version, or a vector that lacks something.
pub(super) fn score(vector: &str) -> Option<f64> {
    let mut parts = vector.split('/');
    if !matches!(parts.next()?, "CVSS:3.0" | "CVSS:3.1") {
        return None;
    }
    let parts: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once(':')).collect();
    let of = |name: &str| parts.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let changed = match of("S")? {
        "C" => true,
        "U" => false,
        _ => return None,
    };
    let impact = 1.0 - (1.0 - loss(of("C")?)?) * (1.0 - loss(of("I")?)?) * (1.0 - loss(of("A")?)?);
    let impact =
        if changed { 7.52 * (impact - 0.029) - 3.25 * (impact - 0.02).powi(15) } else { 6.42 * impact };
    let exploitability = 8.22
        * vector_of(of("AV")?)?
        * complexity(of("AC")?)?
        * privileges(of("PR")?, changed)?
        * user(of("UI")?)?;
    if impact <= 0.0 {
        return Some(0.0);
    }
    let sum = impact + exploitability;
    Some(rounded_up(if changed { 1.08 * sum } else { sum }.min(10.0)))
}

fn loss(value: &str) -> Option<f64> {
    Some(match value {
        "H" => 0.56,
        "L" => 0.22,
        "N" => 0.0,
        _ => return None,
    })
}

fn vector_of(value: &str) -> Option<f64> {
    Some(match value {
        "N" => 0.85,
        "A" => 0.62,
        "L" => 0.55,
        "P" => 0.2,
        _ => return None,
    })
}

fn complexity(value: &str) -> Option<f64> {
    Some(match value {
        "L" => 0.77,
        "H" => 0.44,
        _ => return None,
    })
}

fn privileges(value: &str, changed: bool) -> Option<f64> {
    Some(match (value, changed) {
        ("N", _) => 0.85,
        ("L", false) => 0.62,
        ("L", true) => 0.68,
        ("H", false) => 0.27,
        ("H", true) => 0.5,
        _ => return None,
    })
}

fn user(value: &str) -> Option<f64> {
    Some(match value {
        "N" => 0.85,
        "R" => 0.62,
        _ => return None,
    })
}

/// To one digit, upwards, without what binary fractions add.
fn rounded_up(value: f64) -> f64 {
    let scaled = (value * 100_000.0).round() / 10_000.0;
    let up = if (scaled - scaled.round()).abs() < 1e-9 { scaled.round() } else { scaled.ceil() };
    up / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_specifications_examples() {
        let of = |vector: &str| score(vector).map(|score| format!("{score:.1}"));
        let known = [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "9.8"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "6.1"),
            ("CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", "3.1"),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", "6.4"),
            ("CVSS:3.0/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", "4.2"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", "7.5"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "0.0"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "10.0"),
        ];
        for (vector, expected) in known {
            assert_eq!(of(vector).as_deref(), Some(expected), "{vector}");
        }
        for unknown in ["", "CVSS:4.0/AV:N", "CVSS:3.1/AV:N", "AV:N/AC:L/Au:N/C:P/I:P/A:P"] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }
}
