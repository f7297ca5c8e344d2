//! What a program says on its standard output: `BLOCKED: question`, `TASK_COMPLETE`, a review's
//! `EVIDENCE:`, `FINDING:` and `VERDICT:`, and the manager's `PROPOSE:`, each a line of its own. An
//! incremental parser over bytes; what it keeps is bounded, however much is printed.

use super::claim::{AgentVerdict, Claim, ClaimedFinding, FINDINGS_MAX, TEXT_BYTES_MAX};
use crate::domain::gate::Severity;
use crate::domain::triage::{Action, Proposal};

/// Bytes kept of a line, from its beginning; the rest is dropped. A question is no longer.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// What a line meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The program has a question and will not go on without an answer.
    Blocked(String),
    /// The program says that it is done.
    Complete,
}

/// The parser of one stream.
#[derive(Debug, Clone, Default)]
pub struct Protocol {
    line: Vec<u8>,
    question: Option<String>,
    complete: bool,
    verdict: Option<(AgentVerdict, String)>,
    evidence: Vec<String>,
    findings: Vec<ClaimedFinding>,
    proposal: Option<Proposal>,
}

impl Protocol {
    /// Takes what was read, and returns what lines that ended in it meant: at most one `Blocked`
    /// in the life of a run, the first, since that one ends it.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Signal> {
        let mut signals = Vec::new();
        if !bytes.contains(&b'\n') {
            self.keep(bytes);
            return signals;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            self.keep(text);
            if ended {
                signals.extend(self.end_line());
            }
        }
        signals
    }

    /// The stream has ended: a last line without a line break counts.
    pub fn finish(&mut self) -> Option<Signal> {
        self.end_line()
    }

    /// The question, if there is one.
    pub fn question(&self) -> Option<&str> {
        self.question.as_deref()
    }

    /// Whether `TASK_COMPLETE` was said.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The review, if a verdict was said: the last one, with everything that came with it.
    pub fn review(&self) -> Option<Claim> {
        let (verdict, message) = self.verdict.clone()?;
        Some(Claim::Verdict {
            verdict,
            message,
            evidence: self.evidence.clone(),
            findings: self.findings.clone(),
        })
    }

    /// What it proposes, if it does.
    pub fn proposal(&self) -> Option<&Proposal> {
        self.proposal.as_ref()
    }

    /// Whether a line told how it stands.
    pub fn has_spoken(&self) -> bool {
        self.complete || self.question.is_some() || self.verdict.is_some() || self.proposal.is_some()
    }

    /// `PROPOSE: retry: text`. Lines with the same word are one text; another word begins anew, so that
    /// the last proposal counts.
    fn hear_proposal(&mut self, line: &str) {
        let Some(text) = line.strip_prefix("PROPOSE:").map(str::trim) else { return };
        let (word, text) = text.split_once(|c: char| !c.is_alphanumeric()).unwrap_or((text, ""));
        let Some(action) = Action::parse(&word.to_ascii_lowercase()) else { return };
        // A dash may be the beginning of a line for `tasks.md`.
        let text = text.trim_start_matches([' ', ':']).trim();
        match self.proposal.as_mut().filter(|proposal| proposal.action == action) {
            Some(proposal) if proposal.text.lines().any(|line| line == text) => {}
            Some(proposal) if proposal.text.len() + text.len() < TEXT_BYTES_MAX => {
                proposal.text.push('\n');
                proposal.text.push_str(text);
            }
            Some(_) => {}
            None => self.proposal = Some(Proposal { action, text: text.to_owned() }),
        }
    }

    /// A line of a review. A finding that cannot be read is one without a place.
    fn hear_review(&mut self, line: &str) {
        if let Some(text) = line.strip_prefix("EVIDENCE:") {
            if self.evidence.len() < FINDINGS_MAX {
                self.evidence.push(text.trim().to_owned());
            }
        } else if let Some(text) = line.strip_prefix("FINDING:") {
            let text = text.trim();
            let plain = |_| ClaimedFinding {
                path: String::new(),
                line: 0,
                severity: Severity::High,
                message: text.to_owned(),
            };
            if self.findings.len() < FINDINGS_MAX {
                self.findings.push(ClaimedFinding::parse(text).unwrap_or_else(plain));
            }
        } else if let Some(text) = line.strip_prefix("VERDICT:") {
            let text = text.trim();
            let (word, why) = text.split_once(|c: char| !c.is_alphanumeric()).unwrap_or((text, ""));
            let why = why.trim_start_matches([' ', ':', '-', '–', '—']).trim().to_owned();
            match word.to_ascii_lowercase().as_str() {
                "pass" => self.verdict = Some((AgentVerdict::Pass, why)),
                "fail" => self.verdict = Some((AgentVerdict::Fail, why)),
                _ => {}
            }
        }
    }

    fn keep(&mut self, text: &[u8]) {
        // A carriage return begins the line anew, as on a terminal; at its end it is part of CRLF.
        let mut text = text;
        if text.contains(&b'\r')
            && let Some(last) = text.iter().rposition(|byte| *byte != b'\r')
            && let Some(at) = text[..last].iter().rposition(|byte| *byte == b'\r')
        {
            self.line.clear();
            text = &text[at + 1..];
        }
        if self.line.last() == Some(&b'\r') && !text.is_empty() {
            self.line.clear();
        }
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&text[..text.len().min(room)]);
    }

    fn end_line(&mut self) -> Option<Signal> {
        let line = plain(&std::mem::take(&mut self.line));
        let line = line.trim();
        if line == "TASK_COMPLETE" {
            self.complete = true;
            return Some(Signal::Complete);
        }
        self.hear_review(line);
        self.hear_proposal(line);
        let question = line.strip_prefix("BLOCKED:")?.trim();
        if self.question.is_some() {
            return None;
        }
        let question = if question.is_empty() { "(the agent gave no question)" } else { question };
        self.question = Some(question.to_owned());
        Some(Signal::Blocked(question.to_owned()))
    }
}

/// The text without escape sequences and control characters. Escape sequences of a program must
/// not reach a person's terminal through a question.
pub fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\t' => plain.push(' '),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => skip_control_sequence(chars),
        // A string (title, hyperlink, …) ends with BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        // ESC ( B and its like: intermediate characters, then one.
        Some(' '..='/') => {
            while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
            chars.next();
        }
        Some(_) | None => {}
    }
}

fn skip_control_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Vec<Signal> {
        let mut protocol = Protocol::default();
        let mut signals = protocol.push(bytes);
        signals.extend(protocol.finish());
        signals
    }

    fn blocked(question: &str) -> Vec<Signal> {
        vec![Signal::Blocked(question.to_owned())]
    }

    #[test]
    fn lines_of_the_protocol() {
        assert_eq!(all(b"hello\nBLOCKED: which port?\nbye"), blocked("which port?"));
        assert_eq!(all(b"BLOCKED: which port?"), blocked("which port?"));
        assert_eq!(all(b"  BLOCKED:which port?  \r\n"), blocked("which port?"));
        assert_eq!(all(b"BLOCKED:\n"), blocked("(the agent gave no question)"));
        assert_eq!(all(b"BLOCKED: a\nBLOCKED: b\n"), blocked("a"));
        assert_eq!(all(b"TASK_COMPLETE\n"), [Signal::Complete]);
    }

    #[test]
    fn a_review_is_what_came_with_the_last_verdict() {
        let mut protocol = Protocol::default();
        protocol.push(b"EVIDENCE: src/a.py\nVERDICT: fail\nFINDING: src/a.py:3:low:a name\nFINDING: broken\n`VERDICT: pass`\nVERDICT: maybe\nVERDICT: pass - it holds\n");
        let Some(Claim::Verdict { verdict, message, evidence, findings }) = protocol.review() else {
            panic!()
        };
        assert_eq!((verdict, message.as_str()), (AgentVerdict::Pass, "it holds"));
        assert_eq!(evidence, ["src/a.py"]);
        let shown: Vec<String> =
            findings.iter().map(|f| format!("{} {} {}", f.path, f.severity.as_str(), f.message)).collect();
        assert_eq!(shown, ["src/a.py low a name", " high broken"]);
        assert_eq!(Protocol::default().review(), None);
    }

    #[test]
    fn a_proposal_is_the_last_one_and_may_have_lines() {
        let proposed = |text: &str| {
            let mut protocol = Protocol::default();
            protocol.push(text.as_bytes());
            protocol.proposal().map(|proposal| format!("{} {}", proposal.action.as_str(), proposal.text))
        };
        assert_eq!(
            proposed("PROPOSE: answer: port 8080, as plan.md says\n").unwrap(),
            "answer port 8080, as plan.md says"
        );
        assert_eq!(
            proposed("PROPOSE: Retry use round()\nPROPOSE: skip: done by T002\n").unwrap(),
            "skip done by T002"
        );
        let split = "PROPOSE: split: - [ ] T003a one\nIt is too large.\nPROPOSE: split: - [ ] T003b two\nPROPOSE: split - [ ] T003b two\n";
        assert_eq!(proposed(split).unwrap(), "split - [ ] T003a one\n- [ ] T003b two");
        for none in ["PROPOSE: wait: a day\n", "PROPOSE:\n", "I PROPOSE: skip\n", "`PROPOSE: skip`\n"] {
            assert_eq!(proposed(none), None, "{none}");
        }
        let many: String = (0..1000)
            .flat_map(|n| ["PROPOSE: split ".to_owned(), format!("{n} {}\n", "x".repeat(1000))])
            .collect();
        assert!(proposed(&many).unwrap().len() <= TEXT_BYTES_MAX + 10);
    }

    #[test]
    fn what_only_looks_like_it() {
        for text in ["I am BLOCKED: x\n", "blocked: x\n", "TASK_COMPLETE?\n", "NOT TASK_COMPLETE\n", ""] {
            assert_eq!(all(text.as_bytes()), [], "{text:?}");
        }
    }

    #[test]
    fn escapes_and_progress_are_stripped() {
        assert_eq!(all(b"\x1b[1;31mBLOCKED:\x1b[0m why\x1b]0;title\x07?\n"), blocked("why?"));
        assert_eq!(all(b"\x1b]8;;http://x\x1b\\BLOCKED: link\x1b]8;;\x1b\\\n"), blocked("link"));
        assert_eq!(all(b"\x1b(BBLOCKED: a\x08b\x00\xff\n"), blocked("ab\u{fffd}"));
        assert_eq!(all(b" 10%\r 20%\rBLOCKED: why?\n"), blocked("why?"));
    }

    #[test]
    fn a_gigabyte_without_a_line_break_keeps_one_line() {
        let mut protocol = Protocol::default();
        protocol.push(b"BLOCKED: ");
        for _ in 0..1000 {
            protocol.push(&[b'x'; 4096]);
        }
        assert_eq!(protocol.line.len(), LINE_BYTES_MAX);
        assert!(matches!(protocol.finish(), Some(Signal::Blocked(_))));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            lines in proptest::collection::vec("(BLOCKED: [a-z?]{1,9}|TASK_COMPLETE|[ -~\r\u{1b}é]{0,12})\r?\n", 0..6),
            cut in 1_usize..9,
        ) {
            let bytes = lines.concat().into_bytes();
            let mut protocol = Protocol::default();
            let mut signals: Vec<Signal> = bytes.chunks(cut).flat_map(|piece| protocol.push(piece)).collect();
            signals.extend(protocol.finish());
            prop_assert_eq!(signals, all(&bytes));
        }

        #[test]
        fn no_bytes_make_it_panic_and_no_control_character_passes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(all(&bytes));
            prop_assert!(!plain(&bytes).chars().any(char::is_control));
        }
    }
}
