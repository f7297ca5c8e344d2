//! Whether a person has stopped a program's turn at its own screen: with the keys that do so everywhere,
//! Escape and C-c, or in a way of the program's, which its screen tells. Pure: times come with the calls, in monotonic milliseconds.
//!
//! A turn that was stopped looks like one that is over. What follows is the person's to say, so that
//! nothing is typed and nothing is judged before the program works again.

use super::signals::Sight;
use crate::domain::screen::Stand;

/// A turn that goes on for so long after the key was not stopped by it, in milliseconds: it has closed a
/// list, or left another mode of the line.
const GOES_ON_MS: u64 = 15_000;

/// For the person.
const WHAT: &str = "you have stopped it: type there what it is to do instead";

/// What is known of one program's turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stopped {
    /// The last key that was looked at.
    seen_ms: u64,
    /// When the turn was stopped that has not gone on.
    at: Option<u64>,
    /// Since when the program waits after that.
    rests_since: Option<u64>,
    /// Whether it had a turn when it was seen last.
    in_turn: bool,
}

impl Stopped {
    /// How the program stands, with that in mind. `pressed_ms`: when a person last pressed such a key
    /// or the screen told of it, 0 for never; `worked_ms`: when the program was last seen at work.
    pub fn look(&mut self, sight: Sight, pressed_ms: u64, worked_ms: u64, now: u64) -> Sight {
        if pressed_ms > self.seen_ms {
            self.seen_ms = pressed_ms;
            if self.in_turn {
                (self.at, self.rests_since) = (Some(pressed_ms), None);
            }
        }
        let works = matches!(sight.stand, Stand::Busy | Stand::Retrying);
        self.in_turn = works || sight.stand.needs_a_person();
        let Some(at) = self.at else { return sight };
        let again = self.rests_since.is_some_and(|since| self.in_turn || worked_ms > since);
        if again || (works && now > at + GOES_ON_MS) {
            (self.at, self.rests_since) = (None, None);
            return sight;
        }
        if !sight.stand.takes_a_prompt() {
            return sight;
        }
        self.rests_since = self.rests_since.or(Some(now));
        Sight { stand: Stand::Question, source: "screen", text: WHAT.to_owned() }
    }

    /// Whether it waits because it was stopped.
    pub fn holds(&self) -> bool {
        self.rests_since.is_some()
    }
}

/// A line that is gone for less than this, in milliseconds, was drawn again: a screen is looked at in between.
const DRAWN_MS: u64 = 2_000;

/// What a screen tells of turns that were stopped. The line stays there for a while: only one more is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    lines: usize,
    /// Since when there are fewer, and how many.
    fewer: Option<(u64, usize)>,
    /// When one more came last; 0: never.
    pub at_ms: u64,
}

impl Shown {
    /// So many such lines are on the screen now.
    pub fn look(&mut self, lines: usize, now: u64) {
        if let Some((since, fewer)) = self.fewer
            && now.saturating_sub(since) >= DRAWN_MS
        {
            (self.lines, self.fewer) = (fewer, None);
        }
        if lines > self.lines {
            self.at_ms = now;
        }
        if lines < self.lines {
            let since = self.fewer.map_or(now, |(since, _)| since);
            self.fewer = Some((since, lines));
        } else {
            (self.lines, self.fewer) = (lines, None);
        }
    }
}

/// Whether these keys stop a turn: Escape alone (what begins with it and goes on is another key), or C-c,
/// also in the two longer forms that a program may ask its terminal for. What is pasted is no key.
pub fn stops(keys: &[u8]) -> bool {
    const ESCAPE: u8 = 0x1b;
    const LONG: [&[u8]; 6] =
        [b"\x1b[27u", b"\x1b[27;1u", b"\x1b[27;1:1u", b"\x1b[99;5u", b"\x1b[99;5:1u", b"\x1b[27;5;99~"];
    let alone = !keys.is_empty() && keys.iter().all(|key| *key == ESCAPE);
    let is_pasted = keys.starts_with(b"\x1b[200~");
    alone || LONG.contains(&keys) || (keys.contains(&0x03) && !is_pasted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(stand: Stand) -> Sight {
        Sight { stand, source: "hook", text: String::new() }
    }

    #[test]
    fn a_turn_that_was_stopped_waits_for_the_person_until_it_works_again() {
        for turn in [Stand::Busy, Stand::Permission, Stand::Question, Stand::Retrying] {
            let mut stopped = Stopped::default();
            let mut look =
                |stand, pressed, worked, now| stopped.look(sight(stand), pressed, worked, now).stand;
            assert_eq!(look(turn, 0, 900, 1_000), turn);
            assert_eq!(look(turn, 2_000, 900, 2_000), turn, "until it shows it");
            assert_eq!(
                look(Stand::Busy, 2_000, 3_500, 3_500),
                Stand::Busy,
                "a screen is believed only when it is calm"
            );
            assert_eq!(look(Stand::Idle, 2_000, 3_500, 4_000), Stand::Question);
            assert_eq!(look(Stand::Idle, 2_000, 3_500, 900_000), Stand::Question);
            assert_eq!(look(Stand::Busy, 2_000, 901_000, 901_000), Stand::Busy);
            assert_eq!(look(Stand::Idle, 2_000, 901_000, 902_000), Stand::Idle);
        }
    }

    #[test]
    fn a_turn_between_two_looks_counts_too() {
        let mut stopped = Stopped::default();
        stopped.look(sight(Stand::Busy), 0, 1_000, 1_000);
        assert_eq!(stopped.look(sight(Stand::Idle), 1_500, 1_000, 2_000).stand, Stand::Question);
        assert!(stopped.holds());
        assert_eq!(stopped.look(sight(Stand::Idle), 1_500, 2_500, 3_000).stand, Stand::Idle);
        assert!(!stopped.holds());
    }

    #[test]
    fn a_key_at_its_prompt_or_in_a_turn_that_goes_on_stops_nothing() {
        let mut stopped = Stopped::default();
        stopped.look(sight(Stand::Ready), 0, 0, 1_000);
        assert_eq!(stopped.look(sight(Stand::Ready), 1_500, 0, 1_600).stand, Stand::Ready);
        stopped.look(sight(Stand::Busy), 1_500, 2_000, 2_000);
        stopped.look(sight(Stand::Busy), 3_000, 3_000, 3_000);
        stopped.look(sight(Stand::Busy), 3_000, 20_000, 20_000);
        assert_eq!(stopped.look(sight(Stand::Idle), 3_000, 20_000, 21_000).stand, Stand::Idle);
    }

    #[test]
    fn a_line_that_stays_on_the_screen_is_told_once() {
        let mut shown = Shown::default();
        let looks = [
            (0, 10),
            (1, 11),
            (1, 12),
            (0, 13),
            (1, 500),
            (2, 600),
            (1, 700),
            (1, 2_700),
            (2, 2_800),
            (0, 3_000),
            (1, 9_000),
        ];
        let seen: Vec<u64> = looks
            .into_iter()
            .map(|(lines, now)| {
                shown.look(lines, now);
                shown.at_ms
            })
            .collect();
        assert_eq!(
            seen,
            [0, 11, 11, 11, 11, 600, 600, 600, 2_800, 2_800, 9_000],
            "drawn again it is no news"
        );
    }

    #[test]
    fn keys_that_stop() {
        for keys in [&b"\x1b"[..], b"\x1b\x1b", b"\x03", b"abc\x03", b"\x1b[27u", b"\x1b[27;5;99~"] {
            assert!(stops(keys), "{keys:?}");
        }
        for keys in [&b""[..], b"\x1b[A", b"\x1bb", b"\r", b"y", b"\x1b[200~x\x03\x1b[201~"] {
            assert!(!stops(keys), "{keys:?}");
        }
    }
}
