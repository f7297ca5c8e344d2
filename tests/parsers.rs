//! Parsers on changed reports: none panics, whatever a tool prints.
//!
//! `SPRINT_FUZZ_INPUTS` says how many are tried (4,000 where nothing is said); `SPRINT_FUZZ_FIRST` the number of the
//! first one, to try one again. Each is determined by its number.

#![expect(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test: it panics, and says what it did; its parts share what is public"
)]

#[path = "parsers/mutate.rs"]
mod mutate;
#[path = "parsers/seeds.rs"]
mod seeds;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use mutate::{Numbers, mutated};
use seeds::{Seed, parse, seeds};
use sprint::gates::parser_names;

/// Exit codes that some tool gives a meaning to, and some that none does.
const EXITS: [i32; 10] = [0, 1, 2, 3, 4, 5, 77, 101, 183, -1];

/// What was fed: by parser, how often, and how often it was believed.
type Fed = BTreeMap<&'static str, (u64, u64)>;

fn of(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Input number `number`: which parser, and what it is given.
fn feed(number: u64, seeds: &[Seed], all: &[&'static str], fed: &mut Fed) {
    let mut numbers = Numbers::new(number);
    let seed = numbers.one_of(seeds);
    let others: Vec<&[u8]> = (0..4).map(|_| numbers.one_of(seeds).bytes.as_slice()).collect();
    let bytes = mutated(&mut numbers, &seed.bytes, &others);
    // Most of the time its own parser, which understands enough of it to go on.
    let parser = match seed.parsers.as_slice() {
        own @ [_, ..] if numbers.below(8) > 0 => *numbers.one_of(own),
        _ => *numbers.one_of(all),
    };
    let exit = *numbers.one_of(&EXITS);
    let exit = seed.exit.filter(|_| numbers.below(4) > 0).unwrap_or(exit);
    let also = match numbers.below(3) {
        0 => None,
        1 => Some(bytes.as_slice()),
        _ => Some(others[0]),
    };
    let printed = numbers.below(2) == 0;
    let tried = catch_unwind(AssertUnwindSafe(|| parse(parser, exit, &bytes, also, printed)));
    let Ok(read) = tried else {
        let words = String::from_utf8_lossy(&bytes).into_owned();
        panic!(
            "{parser} panics at input {number} (SPRINT_FUZZ_FIRST={number} SPRINT_FUZZ_INPUTS=1), exit {exit}, of {}:\n{words}",
            seed.name
        );
    };
    let count = fed.entry(parser).or_default();
    count.0 += 1;
    count.1 += u64::from(read.is_ok());
}

#[test]
fn no_input_makes_a_parser_panic() {
    let (first, count) = (of("SPRINT_FUZZ_FIRST").unwrap_or(0), of("SPRINT_FUZZ_INPUTS").unwrap_or(4_000));
    let (seeds, all) = (seeds(), parser_names());
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let parts: Vec<Fed> = std::thread::scope(|scope| {
        let (seeds, all) = (&seeds, &all);
        let part = |thread| {
            move || {
                let mut fed = Fed::new();
                (first + thread..first + count)
                    .step_by(usize::try_from(threads).unwrap())
                    .for_each(|number| feed(number, seeds, all, &mut fed));
                fed
            }
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(part(thread))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut fed = Fed::new();
    for (parser, (tried, believed)) in parts.into_iter().flatten() {
        let count = fed.entry(parser).or_default();
        *count = (count.0 + tried, count.1 + believed);
    }
    println!("{count} inputs in {:.1} s; tried and believed: {fed:?}", began.elapsed().as_secs_f64());
    // Parsers that refuse all at its first byte would show nothing.
    if count >= 100_000 {
        let idle: Vec<_> =
            all.iter().filter(|parser| fed.get(*parser).is_none_or(|(_, ok)| *ok == 0)).collect();
        assert!(idle.is_empty(), "never believed anything: {idle:?}");
    }
}

#[test]
fn every_parser_has_something_of_its_own_to_read() {
    let seeds = seeds();
    let without: Vec<_> = parser_names()
        .iter()
        .filter(|parser| seeds.iter().all(|seed| !seed.parsers.contains(parser)))
        .collect();
    assert!(without.is_empty(), "no recorded report for {without:?}");
}
