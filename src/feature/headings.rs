//! Headings of `tasks.md`: which begin a phase, and which a part that has no tasks.

use super::refs::story_id;

/// A heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heading<'a> {
    pub(super) level: usize,
    pub(super) text: &'a str,
}

/// What a heading is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// "Phase 3.1: Setup".
    Phase,
    /// "Dependencies & Execution Order": read for dependencies.
    Dependencies,
    /// "Notes", "Parallel example", "Summary": ids in there are talk.
    Talk,
    Other,
}

/// `# x` to `###### x`; a back-tick or number sign at the end goes.
pub(super) fn heading(text: &str) -> Option<Heading<'_>> {
    let rest = text.trim_start_matches('#');
    let level = text.len() - rest.len();
    let is_heading = (1..=6).contains(&level) && rest.starts_with([' ', '\t']);
    is_heading.then(|| Heading { level, text: rest.trim().trim_end_matches('#').trim_end() })
}

/// Words for "phase", in lower case.
const PHASE_WORDS: [&str; 8] = ["phase", "fase", "etapa", "étape", "этап", "фаза", "フェーズ", "단계"];

pub(super) fn topic(text: &str) -> Topic {
    let lower = text.to_lowercase();
    let contains = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    if is_phase(&lower) {
        Topic::Phase
    } else if contains(&[
        "dependenc",
        "dépendance",
        "dependencia",
        "execution order",
        "abhängigkeit",
        "依赖",
        "依賴",
        "依存",
        "执行顺序",
    ]) {
        Topic::Dependencies
    } else if contains(&[
        "parallel",
        "notes",
        "summary",
        "strategy",
        "example",
        "checklist",
        "legend",
        "format",
        "path conventions",
        "validation",
        "coverage",
        "overview",
        "总结",
        "并行",
        "备注",
        "说明",
        "résumé",
        "resumen",
        "notas",
    ]) {
        Topic::Talk
    } else {
        Topic::Other
    }
}

/// "phase" and a number, a letter or `N` after it, whatever sign or number stands in front; or 第1阶段.
fn is_phase(lower: &str) -> bool {
    let text = lower.trim_start_matches(|c: char| !c.is_alphabetic());
    let text = text.strip_prefix("completed ").unwrap_or(text);
    if let Some(rest) = PHASE_WORDS.iter().find_map(|w| text.strip_prefix(w)) {
        let rest = rest.trim_start_matches([' ', '#', '-', '_', '№']);
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric()).take(5).collect();
        return word.starts_with(|c: char| c.is_ascii_digit())
            || word.chars().count() == 1
            || matches!(word.as_str(), "ii" | "iii" | "iv" | "vi" | "vii" | "viii");
    }
    text.starts_with("阶段")
        || text.starts_with("階段")
        || text.starts_with('第') && (text.contains("阶段") || text.contains("階段"))
}

/// The stories that a heading names: "Phase 3: User Story 1 - Title".
pub(super) fn stories(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let starts = text.char_indices().map(|(at, _)| at);
    let mut after_word = false;
    for at in starts {
        let is_start = !after_word;
        after_word = text[at..].starts_with(|c: char| c.is_ascii_alphanumeric());
        if let Some((story, _)) = story_id(&text[at..]).filter(|(s, _)| is_start && !found.contains(s)) {
            found.push(story);
        }
    }
    // "User Story 1" is also "Story 1": the same story, found once.
    found
}
