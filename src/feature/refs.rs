//! Task ids and story ids as they stand in a text: `T007.1`, `T021–T031`, `US2`, "User Story 2".

use crate::domain::ids::TaskId;

/// A range longer than this is a slip of the pen, not a list.
const RANGE_MAX: u32 = 1000;

/// A task id at the beginning of `text`, and what follows it. Digits as many as there are, parts
/// (`.1`) and a letter (`a`); nothing that would go on as a word.
pub(super) fn task_id(text: &str) -> Option<(TaskId, &str)> {
    let digits = text.strip_prefix('T')?;
    let mut end = 1 + leading_digits(digits);
    if end == 1 {
        return None;
    }
    while let Some(part) = text[end..].strip_prefix('.').map(leading_digits).filter(|&n| n > 0) {
        end += 1 + part;
    }
    let letter = text[end..].chars().next().filter(char::is_ascii_alphabetic).map_or(0, char::len_utf8);
    let rest = &text[end + letter..];
    if rest.starts_with(|c: char| c.is_alphanumeric() && c.is_ascii() || c == '_') {
        return None;
    }
    Some((TaskId::parse(&text[..end + letter]).ok()?, rest))
}

/// A story id at the beginning of `text`, as `US2`, and what follows it.
pub(super) fn story_id(text: &str) -> Option<(String, &str)> {
    let rest = ["US-", "US", "User Story ", "user story ", "User story ", "Story ", "story ", "用户故事"]
        .iter()
        .find_map(|name| text.strip_prefix(name))?
        .trim_start_matches(' ');
    let mut end = leading_digits(rest);
    if end == 0 {
        return None;
    }
    if let Some(part) = rest[end..].strip_prefix('.').map(leading_digits).filter(|&n| n > 0) {
        end += 1 + part;
    }
    let (number, rest) = rest.split_at(end);
    (!rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        .then(|| (format!("US{number}"), rest))
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// What separates the ends of a range: `T021-T031`, `T021 – T031`, `T021 to T031`.
pub(super) fn after_range_mark(text: &str) -> Option<&str> {
    let marks = ["-", "–", "—", "~", "…", "...", "..", "‑", "至", "到"];
    let text = text.trim_start_matches([' ', '*', '`', '_']);
    let rest = marks.iter().find_map(|m| text.strip_prefix(m).filter(|r| !r.starts_with('>')));
    let rest =
        rest.or_else(|| ["to ", "through ", "thru ", "bis "].iter().find_map(|m| text.strip_prefix(m)))?;
    let rest = rest.trim_start_matches([' ', '*', '`', '_']);
    rest.starts_with(|c: char| c == 'T' || c.is_ascii_digit()).then_some(rest)
}

/// The ids from `first` to `last`, both included. None if they are not the ends of a range.
pub(super) fn range(first: &TaskId, last: &TaskId) -> Option<Vec<TaskId>> {
    let (from, to) = (number(first)?, number(last)?);
    let width = first.as_str().len() - 1;
    if to <= from || to - from > RANGE_MAX {
        return None;
    }
    (from..=to).map(|n| TaskId::parse(&format!("T{n:0width$}")).ok()).collect()
}

/// The number of a plain id: `T012` → 12.
fn number(id: &TaskId) -> Option<u32> {
    id.as_str()[1..].parse().ok()
}

/// What orders ids as people number them: T007 < T007.1 < T007a < T008.
pub(super) fn sort_key(id: &TaskId) -> (Vec<u64>, String) {
    let text = &id.as_str()[1..];
    let letter = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let parts = text[..text.len() - letter.len()].split('.');
    (parts.map(|p| p.parse().unwrap_or(u64::MAX)).collect(), letter.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for (text, id, rest) in [
            ("T001 x", "T001", " x"),
            ("T007.1.", "T007.1", "."),
            ("T005a)", "T005a", ")"),
            ("T1234", "T1234", ""),
        ] {
            assert_eq!(task_id(text), Some((TaskId::parse(id).unwrap(), rest)));
        }
        for text in ["TXXX", "T", "T001ab", "T01_x", "t001", ""] {
            assert_eq!(task_id(text), None, "{text}");
        }
        assert_eq!(story_id("US1.2]"), Some(("US1.2".into(), "]")));
        assert_eq!(story_id("User Story 12 -"), Some(("US12".into(), " -")));
        assert_eq!(story_id("USB3"), None);
    }

    #[test]
    fn ranges_keep_the_width_and_have_a_bound() {
        let id = |t: &str| TaskId::parse(t).unwrap();
        let names = |r: Option<Vec<TaskId>>| r.map(|r| r.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            names(range(&id("T009"), &id("T011"))),
            Some(vec!["T009".into(), "T010".into(), "T011".into()])
        );
        assert_eq!(range(&id("T011"), &id("T009")), None);
        assert_eq!(range(&id("T1"), &id("T99999999")), None);
        assert!(sort_key(&id("T007")) < sort_key(&id("T007.1")));
        assert!(sort_key(&id("T007a")) < sort_key(&id("T0010")));
    }
}
