//! Names of keys, as tmux has them, and the bytes that a terminal sends for them.

/// The bytes of a key: `Enter`, `Escape`, `Tab`, `Space`, `BSpace`, `Up`, `Down`, `Left`, `Right`,
/// `C-` with a letter, or one printable character. `None`: no key of that name.
pub fn bytes(name: &str) -> Option<Vec<u8>> {
    let named: &[u8] = match name {
        "Enter" => b"\r",
        "Escape" => b"\x1b",
        "Tab" => b"\t",
        "Space" => b" ",
        "BSpace" => b"\x7f",
        "Up" => b"\x1b[A",
        "Down" => b"\x1b[B",
        "Right" => b"\x1b[C",
        "Left" => b"\x1b[D",
        _ => return control(name).or_else(|| character(name)),
    };
    Some(named.to_vec())
}

/// `C-a` to `C-z`.
fn control(name: &str) -> Option<Vec<u8>> {
    let letter = name.strip_prefix("C-")?.as_bytes();
    match letter {
        [letter] if letter.is_ascii_lowercase() => Some(vec![letter - b'a' + 1]),
        _ => None,
    }
}

fn character(name: &str) -> Option<Vec<u8>> {
    let mut chars = name.chars();
    let alone = chars.next().filter(|c| !c.is_control() && !c.is_whitespace())?;
    chars.next().is_none().then(|| alone.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_bytes_and_words_have_none() {
        assert_eq!(bytes("Enter").unwrap(), b"\r");
        assert_eq!(bytes("C-u").unwrap(), b"\x15");
        assert_eq!(bytes("y").unwrap(), b"y");
        assert_eq!(bytes("é").unwrap(), "é".as_bytes());
        for name in ["", "C-", "C-U", "C-uu", "enter", "yes", " ", "\u{1b}"] {
            assert_eq!(bytes(name), None, "{name:?}");
        }
    }
}
