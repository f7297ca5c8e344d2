//! Who sends, who asks and who reads, in every order that chance finds: [`sprint::process::letterbox`] itself, on a
//! box, bells and an end of which `shuttle` decides when each step is made. A ring is all that wakes anybody here:
//! the looks that sprint takes by itself now and then would hide one that is lost.
//!
//! `SPRINT_TEST_INTERLEAVINGS` says how many orders of each kind (2,000; `scripts/test --full` 10,000,
//! `--exhaustive` 100,000). shuttle prints the order that fails; `SPRINT_INTERLEAVING` repeats it.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use shuttle::sync::{Condvar, Mutex};
use shuttle::{future, thread};
use sprint::process::letterbox::{self, Asked, Asker, Reader, Sender};

/// Of each: workers that tell, and commands that ask.
const TELLERS: usize = 2;
const ASKERS: usize = 2;
/// So often one is overtaken in an order that is not all chance.
const OVERTAKEN: usize = 4;

/// A letter: who sends it, and whether it asks for the end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Letter {
    from: usize,
    stop: bool,
}

/// What an asker is told: as `Stop` lets the supervisor refuse what comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Done,
    Refused,
}

/// A datagram socket: rings that nobody has taken, and who waits for one.
#[derive(Default)]
struct Bell {
    rings: Mutex<u32>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rings.lock().unwrap() += 1;
        self.rung.notify_all();
    }

    fn take(&self) {
        *self.rings.lock().unwrap() = 0;
    }

    /// Until there is one.
    fn wait(&self) {
        let mut rings = self.rings.lock().unwrap();
        while *rings == 0 {
            rings = self.rung.wait(rings).unwrap();
        }
    }
}

/// The database: each method is one transaction.
#[derive(Default)]
struct Box {
    next: i64,
    inbox: Vec<(i64, Letter)>,
    answers: Vec<(i64, Told)>,
    /// How often each row was taken.
    taken: Vec<i64>,
}

/// What everybody sees.
struct Station {
    inbox: Mutex<Box>,
    supervisor: Bell,
    followers: Vec<Bell>,
    lives: Mutex<bool>,
}

impl Station {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inbox: Mutex::default(),
            supervisor: Bell::default(),
            followers: (0..ASKERS).map(|_| Bell::default()).collect(),
            lives: Mutex::new(true),
        })
    }
}

/// One that sends.
struct Person {
    number: usize,
    station: Arc<Station>,
}

impl Sender for Person {
    type Error = Infallible;
    type Letter = Letter;
    type Receipt = i64;

    fn put(&self, letter: &Letter) -> Result<i64, Infallible> {
        let mut inbox = self.station.inbox.lock().unwrap();
        inbox.next += 1;
        let number = inbox.next;
        inbox.inbox.push((number, letter.clone()));
        Ok(number)
    }

    fn ring(&self) {
        self.station.supervisor.ring();
    }
}

impl Asker for Person {
    type Answer = Told;

    fn answer(&self, letter: &i64) -> Result<Option<Told>, Infallible> {
        let inbox = self.station.inbox.lock().unwrap();
        Ok(inbox.answers.iter().find(|(number, _)| number == letter).map(|(_, told)| *told))
    }

    fn has_reader(&self) -> bool {
        *self.station.lives.lock().unwrap()
    }

    fn wait(&mut self) -> bool {
        self.station.followers[self.number].wait();
        self.station.followers[self.number].take();
        true
    }
}

/// One that reads: a supervisor, or the one after it.
struct Supervisor {
    station: Arc<Station>,
    stopping: bool,
    read: usize,
}

impl Supervisor {
    fn new(station: &Arc<Station>) -> Self {
        Self { station: Arc::clone(station), stopping: false, read: 0 }
    }

    /// The transaction of a batch.
    fn apply(&mut self) {
        let mut inbox = self.station.inbox.lock().unwrap();
        for (number, letter) in std::mem::take(&mut inbox.inbox) {
            let told = if self.stopping { Told::Refused } else { Told::Done };
            inbox.answers.push((number, told));
            inbox.taken.push(number);
            self.stopping |= letter.stop;
            self.read += 1;
        }
        drop(inbox);
        self.station.followers.iter().for_each(Bell::ring);
    }

    fn end(&self) {
        *self.station.lives.lock().unwrap() = false;
        // Its death wakes whoever waits, as the look now and then does.
        self.station.followers.iter().for_each(Bell::ring);
    }
}

impl Reader for Supervisor {
    type Error = Infallible;

    fn take_rings(&mut self) {
        self.station.supervisor.take();
    }

    async fn read(&mut self) -> Result<(), Infallible> {
        self.apply();
        Ok(())
    }
}

/// The three parts, so that one of them can be wrong on purpose.
#[derive(Clone, Copy)]
struct Protocol {
    send: fn(&Person, &Letter) -> i64,
    wait_for: fn(&mut Person, i64) -> Asked<Told>,
    look: fn(&mut Supervisor),
}

const SOUND: Protocol = Protocol {
    send: |person, letter| letterbox::send(person, letter).unwrap(),
    wait_for: |person, number| letterbox::wait_for(person, &number).unwrap(),
    look: |supervisor| future::block_on(letterbox::look(supervisor)).unwrap(),
};

/// Everybody sends and is answered; the supervisor ends when it has read everything.
fn all_is_read(protocol: Protocol) {
    let station = Station::new();
    let mut threads = Vec::new();
    for from in 0..TELLERS + ASKERS {
        let mut person = Person { number: from, station: Arc::clone(&station) };
        threads.push(thread::spawn(move || {
            let number = (protocol.send)(&person, &Letter { from, stop: false });
            if from < ASKERS {
                assert_eq!((protocol.wait_for)(&mut person, number), Asked::Answered(Told::Done));
            }
        }));
    }
    let mut supervisor = Supervisor::new(&station);
    while supervisor.read < TELLERS + ASKERS {
        station.supervisor.wait();
        (protocol.look)(&mut supervisor);
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(station.inbox.lock().unwrap().inbox, []);
}

/// One asks for the end while others send. Each who asks is answered, refused, or told that it is kept; what is
/// kept, and nothing else, is what the next supervisor finds.
fn the_end_loses_nothing(protocol: Protocol) {
    let station = Station::new();
    let mut threads = Vec::new();
    for from in 0..ASKERS + TELLERS {
        let mut person = Person { number: from, station: Arc::clone(&station) };
        threads.push(thread::spawn(move || {
            let number = (protocol.send)(&person, &Letter { from, stop: from == 0 });
            let asks = from < ASKERS;
            (number, asks.then(|| (protocol.wait_for)(&mut person, number)))
        }));
    }
    let mut supervisor = Supervisor::new(&station);
    while !supervisor.stopping {
        station.supervisor.wait();
        (protocol.look)(&mut supervisor);
    }
    // As `shutdown::end`: what has come until now is still read.
    supervisor.apply();
    supervisor.end();
    let told: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let mut inbox = station.inbox.lock().unwrap();
    for (number, came) in &told {
        let answer = inbox.answers.iter().find(|(answered, _)| answered == number).map(|(_, told)| *told);
        let kept = inbox.inbox.iter().any(|(row, _)| row == number);
        assert_eq!(answer.is_none(), kept, "either answered or still there");
        match came {
            Some(Asked::Answered(told)) => assert_eq!(Some(*told), answer),
            Some(Asked::Kept) => assert!(kept, "told that it is kept, and it was answered"),
            Some(Asked::TooLong) => panic!("nobody is told so here"),
            None => {}
        }
    }
    // The next one reads before it decides anything.
    let rest = std::mem::take(&mut inbox.inbox);
    inbox.taken.extend(rest.into_iter().map(|(number, _)| number));
    inbox.taken.sort_unstable();
    let once: Vec<i64> = (1..=inbox.next).collect();
    assert_eq!(inbox.taken, once, "each letter is read once");
}

fn orders() -> usize {
    std::env::var("SPRINT_TEST_INTERLEAVINGS").map_or(2_000, |text| text.parse().unwrap())
}

/// In as many orders as are wanted, or in the one that is to be repeated. Half of them by chance at each step; in the
/// others somebody goes on as long as he can, and is overtaken in few places, as a slow machine does it.
fn in_every_order(of: fn(Protocol)) {
    if let Ok(order) = std::env::var("SPRINT_INTERLEAVING") {
        return shuttle::replay(move || of(SOUND), &order);
    }
    shuttle::check_random(move || of(SOUND), orders().div_ceil(2));
    shuttle::check_pct(move || of(SOUND), orders() / 2, OVERTAKEN);
}

/// A protocol that is wrong is seen, in far fewer orders.
fn is_seen(what: &str, wrong: Protocol, by: fn(Protocol)) {
    let tried = catch_unwind(AssertUnwindSafe(|| shuttle::check_pct(move || by(wrong), 2_000, OVERTAKEN)));
    assert!(tried.is_err(), "{what}: not seen");
}

#[test]
fn no_letter_and_no_ring_is_lost() {
    in_every_order(all_is_read);
}

#[test]
fn the_end_answers_refuses_or_keeps() {
    in_every_order(the_end_loses_nothing);
}

#[test]
fn a_ring_before_its_letter_is_seen() {
    let wrong = |person: &Person, letter: &Letter| {
        person.ring();
        person.put(letter).unwrap()
    };
    is_seen("a ring before its letter", Protocol { send: wrong, ..SOUND }, all_is_read);
}

#[test]
fn rings_that_are_taken_after_the_box_was_read_are_seen() {
    let wrong = |supervisor: &mut Supervisor| {
        supervisor.apply();
        supervisor.take_rings();
    };
    is_seen("rings taken too late", Protocol { look: wrong, ..SOUND }, all_is_read);
}

#[test]
fn nobody_who_looks_for_the_last_answer_is_seen() {
    let wrong = |person: &mut Person, number: i64| {
        loop {
            if let Some(told) = person.answer(&number).unwrap() {
                return Asked::Answered(told);
            }
            if !person.has_reader() {
                return Asked::Kept;
            }
            person.wait();
        }
    };
    is_seen("no last look", Protocol { wait_for: wrong, ..SOUND }, the_end_loses_nothing);
}
