//! What an agent remarks (`sprint agent comment`), on its way into the history.

use super::deliver;
use super::life::Desk;
use crate::agents::claim::Claim;
use crate::domain::event::Event;

/// Remarks of one run that go into the history; an agent that comments in a loop must not fill it.
const REMARKS_MAX: usize = 50;
/// Characters of a remark in the history; the whole text stays in the run's directory.
const CHARS_MAX: usize = 2_000;

/// What the supervisor was told already.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    told: usize,
}

impl Remarks {
    /// Tells the supervisor what is new. What cannot be told now is told at the next look.
    pub(super) fn tell(&mut self, desk: &Desk<'_>, claims: &[Claim]) {
        for text in self.news(claims) {
            let run = &desk.run;
            let event = Event::Comment { run: run.id.clone(), token: run.token.clone(), text };
            if !deliver::remark(desk.place, desk.interrupts.client(), event) {
                return;
            }
            self.told += 1;
        }
    }

    /// The texts that were not told, in their order; after the bound one that says so.
    fn news(&self, claims: &[Claim]) -> Vec<String> {
        let remarks = claims.iter().filter_map(|claim| match claim {
            Claim::Comment { text } if !text.trim().is_empty() => Some(text),
            Claim::Comment { .. }
            | Claim::Done { .. }
            | Claim::Fail { .. }
            | Claim::Blocked { .. }
            | Claim::Propose { .. }
            | Claim::Verdict { .. } => None,
        });
        let shown = |(place, text): (usize, &String)| match place {
            REMARKS_MAX => {
                format!("more than {REMARKS_MAX} remarks in a run: the rest is not in the history")
            }
            _ => cut(text),
        };
        remarks.take(REMARKS_MAX + 1).enumerate().skip(self.told).map(shown).collect()
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(text: &str) -> Claim {
        Claim::Comment { text: text.to_owned() }
    }

    #[test]
    fn each_remark_is_news_once_and_other_claims_are_none() {
        let claims =
            [comment("one"), Claim::Done { message: "two".to_owned() }, comment(" "), comment("three")];
        assert_eq!(Remarks::default().news(&claims), ["one", "three"]);
        assert_eq!(Remarks { told: 1 }.news(&claims), ["three"]);
        assert!(Remarks { told: 2 }.news(&claims).is_empty());
    }

    #[test]
    fn number_and_length_are_bounded_and_the_history_says_so() {
        let claims: Vec<Claim> = (0..REMARKS_MAX + 9).map(|n| comment(&format!("remark {n}"))).collect();
        let news = Remarks::default().news(&claims);
        assert_eq!(news.len(), REMARKS_MAX + 1);
        assert_eq!(news[REMARKS_MAX], "more than 50 remarks in a run: the rest is not in the history");
        assert!(Remarks { told: REMARKS_MAX + 1 }.news(&claims).is_empty());
        let long = Remarks::default().news(&[comment(&"ä".repeat(CHARS_MAX + 1))]);
        assert_eq!(long[0].chars().count(), CHARS_MAX + 1);
    }
}
