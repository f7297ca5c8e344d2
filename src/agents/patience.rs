//! How long a program may go on trying a service that does not serve. Some try for ever: their run
//! would hold a worker until it runs out of time, while nobody else learns that the service is down.
//! Pure: times come with the calls.

use std::time::{Duration, Instant};

/// Work of this length between two tries is work again: a try itself looks like work.
const WORK: Duration = Duration::from_secs(30);

/// What was seen of a program's tries.
#[derive(Debug, Clone)]
pub struct Patience {
    limit: Duration,
    since: Option<Instant>,
    works_since: Option<Instant>,
}

impl Patience {
    /// With a program that may try for as long as `limit`.
    pub fn new(limit: Duration) -> Self {
        Self { limit, since: None, works_since: None }
    }

    /// It tries again. Returns whether it has done nothing else for too long.
    pub fn tries(&mut self, now: Instant) -> bool {
        self.works_since = None;
        let since = *self.since.get_or_insert(now);
        now.duration_since(since) >= self.limit
    }

    /// It looks as if it worked.
    pub fn works(&mut self, now: Instant) {
        let works_since = *self.works_since.get_or_insert(now);
        if now.duration_since(works_since) >= WORK {
            self.since = None;
        }
    }

    /// It has done something that it could not do without the service, or waits for a person.
    pub fn is_served(&mut self) {
        self.since = None;
        self.works_since = None;
    }

    /// What is told when it is over.
    pub fn words(&self) -> String {
        format!("its program has tried again for {}", crate::config::duration::format(self.limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    #[test]
    fn tries_without_work_between_them_come_to_an_end() {
        let (mut patience, began) = (Patience::new(Duration::from_mins(5)), Instant::now());
        for second in (0..300).step_by(10) {
            assert!(!patience.tries(at(began, second)));
            patience.works(at(began, second + 5));
        }
        assert!(patience.tries(at(began, 300)));
        assert_eq!(patience.words(), "its program has tried again for 5m");
    }

    #[test]
    fn work_between_them_begins_anew() {
        let (mut patience, began) = (Patience::new(Duration::from_mins(5)), Instant::now());
        patience.tries(began);
        patience.works(at(began, 10));
        patience.works(at(began, 40));
        assert!(!patience.tries(at(began, 301)), "it has worked for half a minute");
        patience.is_served();
        assert!(!patience.tries(at(began, 700)));
    }
}
