//! Dependencies in prose: "depends on T012, T013", "blocks T009", "T003 → T004", "US2 after US1".
//!
//! A word alone says nothing: only an id after it does, so "(requires a browser)" is none.

use super::refs::{after_range_mark, story_id, task_id};
use crate::domain::ids::TaskId;

/// So many words may stand between a key word and its ids: "after the schema of T012".
const WORDS_BETWEEN: usize = 5;
/// So many tokens back a negation is looked for: "no dependency on T003".
const NEGATION_REACH: usize = 3;

/// So many tokens back the beginning of a bracket is looked for.
const BRACKET_REACH: usize = 16;

/// Tasks as a text names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ref {
    One(TaskId),
    Range(TaskId, TaskId),
}

/// What the text of a task says about that task.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OwnLinks {
    pub(super) needs: Vec<Ref>,
    pub(super) blocks: Vec<Ref>,
}

/// The left ones come before the right ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pair {
    Tasks(Vec<Ref>, Vec<Ref>),
    Stories(Vec<String>, Vec<String>),
}

/// Reads the text of a task; the subject of "depends on" is the task.
pub(super) fn of_task(text: &str) -> (OwnLinks, Vec<Pair>) {
    let tokens = tokens(text);
    let mut own = OwnLinks::default();
    let mut pairs = Vec::new();
    for at in 0..tokens.len() {
        match (&tokens[at], left_neighbour(&tokens, at)) {
            (Token::Needs, _) if !is_denied(&tokens, at) => own.needs.extend(tasks_after(&tokens, at)),
            (Token::Blocks, _) if !is_denied(&tokens, at) => own.blocks.extend(tasks_after(&tokens, at)),
            (Token::NeedsLeft, Some(Token::Tasks(before))) => own.needs.extend(before.iter().cloned()),
            (Token::BlocksLeft, Some(Token::Tasks(after))) => own.blocks.extend(after.iter().cloned()),
            (Token::Right, Some(Token::Tasks(_))) => pairs.extend(arrow(&tokens, at)),
            (Token::Right, _) => own.blocks.extend(tasks_after(&tokens, at)),
            (Token::Left, _) => own.needs.extend(tasks_after(&tokens, at)),
            _ => {}
        }
    }
    (own, pairs)
}

/// Reads a line of other text; its subject must be named.
pub(super) fn of_prose(text: &str) -> Vec<Pair> {
    let tokens = tokens(text);
    let mut pairs = Vec::new();
    for at in 0..tokens.len() {
        let is_needs = match tokens[at] {
            Token::Needs => true,
            Token::Blocks => false,
            Token::Right | Token::Left => {
                pairs.extend(arrow(&tokens, at));
                continue;
            }
            _ => continue,
        };
        let Some((list, list_at)) = list_after(&tokens, at).filter(|_| !is_denied(&tokens, at)) else {
            continue;
        };
        let Some(subject) = list_before(&tokens, at).or_else(|| later_subject(&tokens, list_at)) else {
            continue;
        };
        let (before, after) = if is_needs { (list, subject) } else { (subject, list) };
        pairs.extend(pair(before, after));
    }
    pairs
}

fn pair(before: &Token, after: &Token) -> Option<Pair> {
    match (before, after) {
        (Token::Tasks(b), Token::Tasks(a)) => Some(Pair::Tasks(b.clone(), a.clone())),
        (Token::Stories(b), Token::Stories(a)) => Some(Pair::Stories(b.clone(), a.clone())),
        _ => None,
    }
}

fn arrow(tokens: &[Token], at: usize) -> Option<Pair> {
    let (left, right) = (left_neighbour(tokens, at)?, list_after(tokens, at)?.0);
    if tokens[at] == Token::Left { pair(right, left) } else { pair(left, right) }
}

/// The list right before a token, brackets aside.
fn left_neighbour(tokens: &[Token], at: usize) -> Option<&Token> {
    let token = tokens[..at].iter().rev().take(WORDS_BETWEEN).find(|t| **t != Token::Close)?;
    token.is_list().then_some(token)
}

/// The list that a key word speaks of, with its place.
fn list_after(tokens: &[Token], at: usize) -> Option<(&Token, usize)> {
    for (place, token) in tokens.iter().enumerate().skip(at + 1).take(WORDS_BETWEEN + 1) {
        match token {
            Token::Word | Token::Open => {}
            list if list.is_list() => return Some((list, place)),
            _ => return None,
        }
    }
    None
}

fn tasks_after(tokens: &[Token], at: usize) -> Vec<Ref> {
    match list_after(tokens, at) {
        Some((Token::Tasks(tasks), _)) => tasks.clone(),
        _ => Vec::new(),
    }
}

/// The subject in front of a key word; what stands in brackets with a key word of its own is none.
fn list_before(tokens: &[Token], at: usize) -> Option<&Token> {
    let mut place = at;
    for _ in 0..2 * WORDS_BETWEEN {
        place = place.checked_sub(1)?;
        match &tokens[place] {
            Token::Word | Token::Open | Token::Not => {}
            Token::Close => {
                let from = place.saturating_sub(BRACKET_REACH);
                let open = tokens[from..place].iter().rposition(|t| *t == Token::Open).map(|o| from + o);
                let has_key = |open: usize| tokens[open..place].iter().any(Token::is_key);
                place = open.filter(|&o| has_key(o)).unwrap_or(place);
            }
            list if list.is_list() => return Some(list),
            _ => return None,
        }
    }
    None
}

/// "Once T003 is done, T004 can start".
fn later_subject(tokens: &[Token], list_at: usize) -> Option<&Token> {
    for token in tokens.iter().skip(list_at + 1).take(WORDS_BETWEEN + 2) {
        match token {
            Token::Word | Token::Comma | Token::Close => {}
            list if list.is_list() => return Some(list),
            _ => return None,
        }
    }
    None
}

fn is_denied(tokens: &[Token], at: usize) -> bool {
    let near = tokens[..at].iter().rev().take(NEGATION_REACH);
    near.take_while(|t| matches!(t, Token::Word | Token::Not)).any(|t| *t == Token::Not)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Tasks(Vec<Ref>),
    Stories(Vec<String>),
    /// The following ones come first.
    Needs,
    /// The following ones come later.
    Blocks,
    /// The same, behind the ids: "T012 之后".
    NeedsLeft,
    BlocksLeft,
    Right,
    Left,
    Word,
    Not,
    Comma,
    Open,
    Close,
    Stop,
}

impl Token {
    fn is_list(&self) -> bool {
        matches!(self, Self::Tasks(_) | Self::Stories(_))
    }

    fn is_key(&self) -> bool {
        matches!(
            self,
            Self::Needs | Self::Blocks | Self::NeedsLeft | Self::BlocksLeft | Self::Right | Self::Left
        )
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut all = Vec::new();
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let (token, next) = if after_word { (None, rest) } else { list(rest) };
        let (token, next) = if token.is_some() { (token, next) } else { other(rest, first) };
        let consumed = &rest[..rest.len() - next.len()];
        after_word = consumed.ends_with(is_word) && token.as_ref().is_none_or(|t| !t.is_list());
        rest = next;
        if let Some(token) = token {
            push(&mut all, token);
        }
    }
    all
}

/// Adds a token; a list after a comma after a list goes on with that.
fn push(all: &mut Vec<Token>, token: Token) {
    let goes_on = all.last() == Some(&Token::Comma);
    let before = if goes_on { all.len().checked_sub(2) } else { None };
    match (before.map(|b| &mut all[b]), token) {
        (Some(Token::Tasks(list)), Token::Tasks(more)) => list.extend(more),
        (Some(Token::Stories(list)), Token::Stories(more)) => list.extend(more),
        // "T001, and T002": one comma.
        (Some(_), Token::Comma) => return,
        (_, token) => return all.push(token),
    }
    all.pop();
}

/// An id, or a range of ids.
fn list(text: &str) -> (Option<Token>, &str) {
    if let Some((id, rest)) = task_id(text) {
        let range = after_range_mark(rest).and_then(|end| range_end(&id, end));
        return match range {
            Some((last, rest)) => (Some(Token::Tasks(vec![Ref::Range(id, last)])), rest),
            None => (Some(Token::Tasks(vec![Ref::One(id)])), rest),
        };
    }
    match story_id(text) {
        Some((story, rest)) => (Some(Token::Stories(vec![story])), rest),
        None => (None, text),
    }
}

/// The end of a range: `T031`, or `031` with as many digits as the first has.
fn range_end<'a>(first: &TaskId, text: &'a str) -> Option<(TaskId, &'a str)> {
    if let Some(end) = task_id(text) {
        return Some(end);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_alike =
        digits + 1 == first.as_str().len() && !text[digits..].starts_with(|c: char| c.is_alphanumeric());
    is_alike.then(|| Some((TaskId::parse(&format!("T{}", &text[..digits])).ok()?, &text[digits..])))?
}

/// Anything but a list; always takes at least one character.
fn other(text: &str, first: char) -> (Option<Token>, &str) {
    if let Some((token, rest)) = sign(text) {
        return (Some(token), rest);
    }
    let one = &text[first.len_utf8()..];
    match first {
        ',' | '、' | '，' | '&' | '+' | '/' => (Some(Token::Comma), one),
        '(' | '[' | '（' => (Some(Token::Open), one),
        ')' | ']' | '）' => (Some(Token::Close), one),
        '.' | '!' | '?' if one.starts_with(char::is_whitespace) || one.is_empty() => (Some(Token::Stop), one),
        ';' | '|' | '。' | '；' => (Some(Token::Stop), one),
        c if is_word(c) => {
            let end = text.find(|c: char| !is_word(c) && !matches!(c, '\'' | '’')).unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            (Some(word_token(&word.to_lowercase(), rest)), rest)
        }
        c if is_cjk(c) => (Some(Token::Word), one),
        _ => (None, one),
    }
}

/// Arrows, and the words of languages that put no blanks between words.
fn sign(text: &str) -> Option<(Token, &str)> {
    const SIGNS: [(&str, Token); 24] = [
        ("-->", Token::Right),
        ("->", Token::Right),
        ("=>", Token::Right),
        ("→", Token::Right),
        ("⇒", Token::Right),
        ("⟶", Token::Right),
        ("➜", Token::Right),
        ("<-", Token::Left),
        ("←", Token::Left),
        ("不依赖", Token::Not),
        ("依赖", Token::Needs),
        ("依賴", Token::Needs),
        ("取决于", Token::Needs),
        ("阻塞", Token::Blocks),
        ("先于", Token::Blocks),
        ("完成后", Token::NeedsLeft),
        ("之后", Token::NeedsLeft),
        ("以后", Token::NeedsLeft),
        ("之前", Token::BlocksLeft),
        ("以前", Token::BlocksLeft),
        ("に依存", Token::NeedsLeft),
        ("和", Token::Comma),
        ("及", Token::Comma),
        ("与", Token::Comma),
    ];
    // Only characters that begin a sign pay for the search.
    let first = text.chars().next()?;
    if first.is_ascii() && !matches!(first, '-' | '=' | '<') {
        return None;
    }
    SIGNS.iter().find_map(|(sign, token)| Some((token.clone(), text.strip_prefix(sign)?)))
}

fn word_token(word: &str, rest: &str) -> Token {
    let next = rest.trim_start_matches([' ', '*', '_', '`', ':']).get(..4).unwrap_or("").to_ascii_lowercase();
    let (by, of) = (next.starts_with("by "), next.starts_with("for ") || next.starts_with("of "));
    match word {
        "blocked" if by => Token::Needs,
        "required" | "needed" if by => Token::Blocks,
        "prerequisite" | "prerequisites" if of => Token::Blocks,
        "depends" | "depend" | "dependent" | "depending" | "dependency" | "dependencies" | "deps"
        | "requires" | "require" | "needs" | "need" | "after" | "once" | "until" | "waits" | "wait"
        | "waiting" | "prerequisite" | "prerequisites" | "dépend" | "dépendent" | "après" | "nécessite"
        | "depende" | "dependen" | "después" | "tras" | "requiere" | "nach" | "benötigt" => Token::Needs,
        "blocks" | "block" | "blocking" | "unblocks" | "unblock" | "before" | "precedes" | "precede"
        | "avant" | "bloque" | "antes" | "bloquea" | "vor" | "blockiert" => Token::Blocks,
        "and" | "or" | "et" | "y" | "und" => Token::Comma,
        "no" | "not" | "without" | "never" | "nothing" | "independent" | "pas" | "sin" | "ohne" => Token::Not,
        _ if word.ends_with("n't") || word.ends_with("n’t") => Token::Not,
        _ => Token::Word,
    }
}

fn is_word(c: char) -> bool {
    (c.is_alphanumeric() || c == '_') && !is_cjk(c)
}

fn is_cjk(c: char) -> bool {
    matches!(u32::from(c), 0x2E80..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0xFF00..=0xFFEF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(refs: &[Ref]) -> String {
        let one = |r: &Ref| match r {
            Ref::One(id) => id.to_string(),
            Ref::Range(a, b) => format!("{a}..{b}"),
        };
        refs.iter().map(one).collect::<Vec<_>>().join(",")
    }

    fn shown(pairs: &[Pair]) -> String {
        let one = |p: &Pair| match p {
            Pair::Tasks(b, a) => format!("{}>{}", refs(b), refs(a)),
            Pair::Stories(b, a) => format!("{}>{}", b.join(","), a.join(",")),
        };
        pairs.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_a_task_says_about_itself() {
        for (text, needs, blocks) in [
            ("x (depends on T012, T013)", "T012,T013", ""),
            ("x; depends on: T012 and T013.", "T012,T013", ""),
            ("x after T003", "T003", ""),
            ("x after the schema of `T003`", "T003", ""),
            ("**Depends on**: T001-T003, T005", "T001..T003,T005", ""),
            ("Dependencies: T021–T031", "T021..T031", ""),
            ("needs T001 through T004", "T001..T004", ""),
            ("x (blocks T009, T015)", "", "T009,T015"),
            ("write it before T012", "", "T012"),
            ("write tests before implementing T012", "", "T012"),
            ("x (blocked by T004) before T007.1", "T004", "T007.1"),
            ("required by T005a", "", "T005a"),
            ("(requires browser verification)", "", ""),
            ("x (after lunch). See T012", "", ""),
            ("no dependency on T003", "", ""),
            ("doesn't depend on T003", "", ""),
            ("can run in parallel with T003", "", ""),
            ("extend T005 after T007", "T007", ""),
            ("x (→ T012)", "", "T012"),
            ("x ← T012", "T012", ""),
            ("实现（依赖T012和T013）", "T012,T013", ""),
            ("在 T012 之后", "T012", ""),
            ("dépend de T002 et T003", "T002,T003", ""),
            ("depende de T002 y T003", "T002,T003", ""),
            ("depends on USER_T012 and FT001", "", ""),
        ] {
            let (own, _) = of_task(text);
            assert_eq!(
                (refs(&own.needs), refs(&own.blocks)),
                (needs.to_owned(), blocks.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_other_text_says() {
        for (text, pairs) in [
            ("- T008 blocks T009, T015", "T008>T009,T015"),
            ("- Tests (T004-T007) before implementation (T008-T014)", "T004..T007>T008..T014"),
            ("- T003 and T004 depend on T002", "T002>T003,T004"),
            ("T001 → T002 -> T003, T004", "T001>T002 T002>T003,T004"),
            ("T005 must be complete before T006", "T005>T006"),
            ("T005 (depends on T003) before T006", "T003>T005 T005>T006"),
            ("Once T003 is complete, T004 can start", "T003>T004"),
            ("T005 <- T001", "T001>T005"),
            ("US2 depends on US1", "US1>US2"),
            ("- **User Story 3 (P3)**: Depends on User Story 1 and US2", "US1,US2>US3"),
            ("- **User Story 2 (P2)**: Can start after Foundational (Phase 2) - May integrate with US1", ""),
            ("- **User Story 1 (P1)**: after Phase 2 - No dependencies on other stories", ""),
            ("US2 does not depend on US1", ""),
            ("All tasks (T001-T004) can run in parallel", ""),
            ("T001-T003 before anything else. T005 is last", ""),
        ] {
            assert_eq!(shown(&of_prose(text)), pairs, "{text}");
        }
    }
}
