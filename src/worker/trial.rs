//! A program at its own screen without a run, a pane and a person: to measure how texts come to it.

use std::time::{Duration, Instant};

use super::pane::Pane;
use super::typist::{Refused, Typist};
use crate::agents::delivery::pasted;
use crate::config::CliKeys;
use crate::process::child::Spec;
use crate::process::clock::monotonic_ms;

/// Between two looks while something is waited for, in milliseconds.
const LOOK_MS: u64 = 20;

/// The program.
pub struct Trial(Typist);

impl Trial {
    /// Starts it, with a terminal of its own.
    ///
    /// # Errors
    /// In words, why there is none.
    pub fn start(spec: &Spec, cli: &CliKeys) -> Result<Self, String> {
        Typist::start(spec, cli, Pane::unseen()).map(Self).map_err(|refused| match refused {
            Refused::Rules(why) | Refused::Start(why) => why,
        })
    }

    /// Waits until it takes a prompt; false if it does not within that time.
    pub fn is_ready(&mut self, within: Duration) -> bool {
        self.until(within, |typist| typist.look().stand.takes_a_prompt().then_some(())).is_some()
    }

    /// Brings it a text as sprint does, until it has accepted it.
    ///
    /// # Errors
    /// Why it is lost.
    pub fn deliver(&mut self, text: &str, within: Duration) -> Result<Duration, String> {
        let began = Instant::now();
        self.0.type_in(text);
        let over = self.until(within, |typist| {
            let sight = typist.look();
            typist.step(&sight)
        });
        over.unwrap_or_else(|| Err("it was not over in time".to_owned())).map(|()| began.elapsed())
    }

    /// The least that brings it a text: paste, see that the screen changes, submit, see that it works.
    ///
    /// # Errors
    /// It does not come so far in time.
    pub fn paste(&mut self, text: &str, within: Duration) -> Result<Duration, String> {
        let late = || "the bare paste was not over in time".to_owned();
        let began = Instant::now();
        let brackets = self.0.port.glass.brackets();
        self.0.port.send(&pasted(text, brackets));
        self.until(within, |typist| typist.port.is_sent().then_some(())).ok_or_else(late)?;
        let sent = self.0.port.sent_ms;
        self.until(within, |typist| (typist.port.changed_ms >= sent).then_some(())).ok_or_else(late)?;
        let submit = self.0.manner.submit.clone();
        self.0.port.send(&submit);
        let worked = |typist: &mut Typist| (!typist.look().stand.takes_a_prompt()).then_some(());
        self.until(within, worked).ok_or_else(late)?;
        Ok(began.elapsed())
    }

    fn until<T>(&mut self, within: Duration, mut over: impl FnMut(&mut Typist) -> Option<T>) -> Option<T> {
        let end = Instant::now() + within;
        while Instant::now() < end {
            if let Some(done) = over(&mut self.0) {
                return Some(done);
            }
            self.0.wait(&[], monotonic_ms() + LOOK_MS);
            self.0.exchange();
        }
        None
    }
}
