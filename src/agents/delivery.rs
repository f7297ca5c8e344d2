//! Brings a text to a program's screen: empty the line, paste, wait until it is there, submit, and
//! see that it was accepted. Pure: times come with the calls, in monotonic milliseconds. Nothing is
//! ever submitted twice: a key that is repeated answers the next dialog.

use std::time::Duration;

use crate::domain::screen::Stand;

/// The screen has to be quiet for so long before something is typed, in milliseconds.
const QUIET_MS: u64 = 150;
/// Between the keys that empty the line and the text, in milliseconds, at most: two things for the
/// program, but neither is long.
const CLEAR_MS: u64 = 10;
/// It takes so long at most to show a text that was pasted, beside what its length takes.
const SHOW_MS: u64 = 10_000;

/// Begins a text that a program takes as one, line ends included.
const PASTE_BEGIN: &[u8] = b"\x1b[200~";
/// Ends it.
const PASTE_END: &[u8] = b"\x1b[201~";

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing before then, in monotonic milliseconds, or before something happens.
    Wait(u64),
    /// Send these bytes, then say that they are sent.
    Send(Vec<u8>),
    /// It was accepted.
    Accepted,
    /// It was not, and will not be tried again; why.
    Lost(String),
}

/// What is seen of the program meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// How it stands.
    pub stand: Stand,
    /// When its screen changed last.
    pub changed_ms: u64,
    /// When it was last seen at work; 0: never.
    pub worked_ms: u64,
    /// Whether it has asked to be told where a pasted text begins and ends.
    pub brackets: bool,
}

/// Keys and times of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// Empties the line.
    pub clear: Vec<u8>,
    /// Submits it.
    pub submit: Vec<u8>,
    /// Between the end of the text and that.
    pub settle: Duration,
    /// From there until it shows that it has accepted.
    pub accept_wait: Duration,
}

/// One text on its way.
#[derive(Debug, Clone)]
pub struct Delivery {
    manner: Manner,
    text: String,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waits for a program that takes a prompt.
    Before,
    Clearing,
    Cleared {
        at: u64,
    },
    Pasting,
    Pasted {
        at: u64,
    },
    Submitting,
    Submitted {
        at: u64,
    },
    Over,
}

impl Delivery {
    /// Of this text; control characters but line ends and tabs are left out of it, so that nothing
    /// in it ends the paste or is a key.
    pub fn new(text: &str, manner: Manner) -> Self {
        Self { manner, text: harmless(text), stage: Stage::Before }
    }

    /// Whether a person's keys have to wait: between them the text would be torn.
    pub fn holds_keys(&self) -> bool {
        !matches!(self.stage, Stage::Before | Stage::Submitted { .. } | Stage::Over)
    }

    /// The bytes of the last step are with the program.
    pub fn sent(&mut self, now: u64) {
        self.stage = match self.stage {
            Stage::Clearing => Stage::Cleared { at: now },
            Stage::Pasting => Stage::Pasted { at: now },
            Stage::Submitting => Stage::Submitted { at: now },
            other => other,
        };
    }

    /// What is to be done now.
    pub fn step(&mut self, view: &View, now: u64) -> Step {
        let lost = match self.stage {
            Stage::Before | Stage::Submitted { .. } | Stage::Over => None,
            _ if view.stand.needs_a_person() => {
                Some(format!("a {} came up while the text was typed", view.stand.word()))
            }
            _ => None,
        };
        if let Some(why) = lost {
            self.stage = Stage::Over;
            return Step::Lost(why);
        }
        match self.stage {
            Stage::Before => self.begin(view, now),
            Stage::Cleared { at } if now < at + self.settle_ms().min(CLEAR_MS) => {
                Step::Wait(at + self.settle_ms().min(CLEAR_MS))
            }
            Stage::Cleared { .. } => self.paste(view),
            Stage::Pasted { at } => self.submit(view, at, now),
            Stage::Submitted { at } => self.confirm(view, at, now),
            Stage::Clearing | Stage::Pasting | Stage::Submitting | Stage::Over => Step::Wait(now + QUIET_MS),
        }
    }

    fn settle_ms(&self) -> u64 {
        u64::try_from(self.manner.settle.as_millis()).unwrap_or(u64::MAX)
    }

    fn begin(&mut self, view: &View, now: u64) -> Step {
        let quiet = view.changed_ms + QUIET_MS;
        if !view.stand.takes_a_prompt() || now < quiet {
            return Step::Wait(quiet.max(now + QUIET_MS));
        }
        if self.manner.clear.is_empty() {
            return self.paste(view);
        }
        self.stage = Stage::Clearing;
        Step::Send(self.manner.clear.clone())
    }

    fn paste(&mut self, view: &View) -> Step {
        self.stage = Stage::Pasting;
        Step::Send(pasted(&self.text, view.brackets))
    }

    /// The text is there when the screen has changed and has become quiet.
    fn submit(&mut self, view: &View, at: u64, now: u64) -> Step {
        let settle = self.settle_ms();
        let shown = view.changed_ms >= at;
        let due = if shown { view.changed_ms.saturating_add(settle) } else { at + SHOW_MS };
        // Something on the screen may move all the time.
        let due = due.min(at + SHOW_MS + settle);
        if now < due {
            return Step::Wait(due);
        }
        if !shown {
            self.stage = Stage::Over;
            return Step::Lost("the program did not show the text that was typed".to_owned());
        }
        self.stage = Stage::Submitting;
        Step::Send(self.manner.submit.clone())
    }

    fn confirm(&mut self, view: &View, at: u64, now: u64) -> Step {
        if view.worked_ms >= at {
            self.stage = Stage::Over;
            return Step::Accepted;
        }
        let wait = u64::try_from(self.manner.accept_wait.as_millis()).unwrap_or(u64::MAX);
        let due = at.saturating_add(wait);
        if now < due {
            return Step::Wait(due);
        }
        self.stage = Stage::Over;
        Step::Lost(format!(
            "it was typed and submitted, and the program did not begin to work within {}",
            crate::config::duration::format(self.manner.accept_wait)
        ))
    }
}

/// What is sent for a text. `brackets`: the program takes what is between two marks as one.
pub fn pasted(text: &str, brackets: bool) -> Vec<u8> {
    if !brackets {
        // Without brackets a line end would submit a half text.
        return text.replace('\n', " ").into_bytes();
    }
    [PASTE_BEGIN, text.as_bytes(), PASTE_END].concat()
}

fn harmless(text: &str) -> String {
    let lines = text.trim_end().split('\n');
    let keep = |c: &char| *c == '\t' || !c.is_control();
    lines.map(|line| line.chars().filter(keep).collect::<String>()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manner() -> Manner {
        Manner {
            clear: b"\x15".to_vec(),
            submit: b"\r".to_vec(),
            settle: Duration::from_millis(400),
            accept_wait: Duration::from_secs(20),
        }
    }

    const READY: View = View { stand: Stand::Ready, changed_ms: 0, worked_ms: 0, brackets: true };

    #[test]
    fn each_key_is_sent_once_and_in_its_time() {
        let mut delivery = Delivery::new("do it\nnow\n", manner());
        assert_eq!(delivery.step(&View { stand: Stand::Busy, ..READY }, 1_000), Step::Wait(1_150));
        assert!(!delivery.holds_keys());
        assert_eq!(delivery.step(&READY, 1_000), Step::Send(b"\x15".to_vec()));
        assert!(delivery.holds_keys());
        delivery.sent(1_010);
        assert_eq!(delivery.step(&READY, 1_015), Step::Wait(1_020));
        assert_eq!(delivery.step(&READY, 1_020), Step::Send(b"\x1b[200~do it\nnow\x1b[201~".to_vec()));
        delivery.sent(1_200);
        let shown = View { changed_ms: 1_300, ..READY };
        assert_eq!(delivery.step(&shown, 1_310), Step::Wait(1_700));
        assert_eq!(delivery.step(&shown, 1_700), Step::Send(b"\r".to_vec()));
        delivery.sent(1_710);
        assert_eq!(delivery.step(&shown, 1_720), Step::Wait(21_710));
        let works = View { worked_ms: 1_800, stand: Stand::Busy, ..shown };
        assert_eq!(delivery.step(&works, 1_800), Step::Accepted);
        assert!(matches!(delivery.step(&works, 1_900), Step::Wait(_)));
    }

    #[test]
    fn what_is_not_shown_is_not_submitted_and_what_is_not_accepted_is_told() {
        let mut delivery = Delivery::new("x", Manner { clear: Vec::new(), ..manner() });
        assert!(matches!(delivery.step(&READY, 1_000), Step::Send(_)));
        delivery.sent(1_001);
        assert_eq!(delivery.clone().step(&READY, 1_002), Step::Wait(11_001));
        assert!(matches!(delivery.clone().step(&READY, 11_001), Step::Lost(_)));
        let shown = View { changed_ms: 1_050, ..READY };
        assert!(matches!(delivery.step(&shown, 1_450), Step::Send(_)));
        delivery.sent(1_451);
        let Step::Lost(why) = delivery.step(&shown, 30_000) else { panic!() };
        insta::assert_snapshot!(why, @"it was typed and submitted, and the program did not begin to work within 20s");
    }

    #[test]
    fn nothing_is_typed_into_a_dialog() {
        let mut delivery = Delivery::new("x", manner());
        let dialog = View { stand: Stand::Dialog, ..READY };
        assert!(matches!(delivery.step(&dialog, 1_000), Step::Wait(_)));
        assert!(matches!(delivery.step(&READY, 2_000), Step::Send(_)));
        delivery.sent(2_001);
        assert!(matches!(delivery.step(&dialog, 3_000), Step::Lost(_)));
        assert!(matches!(delivery.step(&READY, 9_000), Step::Wait(_)));
    }

    proptest! {
        #[test]
        fn no_text_ends_its_own_paste(text in "[ -~\n\t\u{0}\u{1b}\u{9b}é]{0,40}", end in prop::bool::ANY) {
            let text = if end { format!("{text}\u{1b}[201~\rrm -rf /\r") } else { text };
            let bytes = pasted(&harmless(&text), true);
            let inside = &bytes[PASTE_BEGIN.len()..bytes.len() - PASTE_END.len()];
            prop_assert!(!inside.contains(&0x1b) && !inside.contains(&b'\r') && !inside.contains(&0));
            prop_assert!(!pasted(&harmless(&text), false).contains(&b'\n'));
        }
    }
}
