//! A text that a stream brings in pieces: shown line by line, as soon as a line is whole, so that
//! what stands on a line of its own is found whatever the pieces are.

use super::{EVENT_BYTES_MAX, Shown};
use crate::config::cli_agent::ShowAs;

/// What has no end of a line yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces(Option<Shown>);

impl Pieces {
    /// Takes pieces, and returns the lines that they end.
    pub(super) fn add(&mut self, pieces: Vec<Shown>) -> Vec<Shown> {
        let mut lines = Vec::new();
        for Shown { kind, text } in pieces {
            if self.0.as_ref().is_some_and(|rest| rest.kind != kind) {
                lines.extend(self.end());
            }
            let rest = self.0.get_or_insert(Shown { kind, text: String::new() });
            rest.text.push_str(&text);
            if let Some((whole, open)) = rest.text.rsplit_once('\n') {
                lines.extend(shown(kind, whole));
                rest.text = open.to_owned();
            }
            if rest.text.len() > EVENT_BYTES_MAX {
                lines.extend(self.end());
            }
        }
        lines
    }

    /// What is left when the text is over.
    pub(super) fn end(&mut self) -> Vec<Shown> {
        self.0.take().and_then(|rest| shown(rest.kind, &rest.text)).into_iter().collect()
    }
}

fn shown(kind: ShowAs, text: &str) -> Option<Shown> {
    (!text.trim().is_empty()).then(|| Shown { kind, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_are_cut() {
        let mut pieces = Pieces::default();
        let piece = |kind, text: &str| vec![Shown { kind, text: text.to_owned() }];
        assert_eq!(pieces.add(piece(ShowAs::Text, "I ask.\nBLO")), piece(ShowAs::Text, "I ask."));
        assert_eq!(pieces.add(piece(ShowAs::Text, "CKED: which")), []);
        let other = pieces.add(piece(ShowAs::Thought, "hm"));
        assert_eq!(other, piece(ShowAs::Text, "BLOCKED: which"));
        assert_eq!(pieces.end(), piece(ShowAs::Thought, "hm"));
        assert_eq!(pieces.end(), []);
        pieces.add(piece(ShowAs::Text, " \n"));
        assert_eq!(pieces.end(), []);
    }
}
