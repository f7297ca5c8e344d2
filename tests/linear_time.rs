//! Reading a feature, or a tool's report, takes time in proportion to its size, whatever it is made of.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "a test: times are small numbers; its parts share what is public"
)]

#[path = "parsers/grown.rs"]
mod grown;
#[path = "parsers/seeds.rs"]
mod seeds;

use nix::time::{ClockId, clock_gettime};

use grown::{UNITS, grown};
use seeds::{parse, seeds};
use sprint::feature::Feature;
use sprint::gates::parser_names;

fn seconds(read: &dyn Fn(&[u8]), bytes: &[u8]) -> f64 {
    let start = used();
    read(bytes);
    (used() - start).max(0.002)
}

/// Of this thread alone: what else the machine does is no matter.
fn used() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
}

/// Twice the input takes about twice the time; four times would be quadratic. A busy machine is
/// given four more tries, of which the best times count.
fn check(name: &str, large: &[u8], small: &[u8]) {
    check_of(name, &|bytes| drop(std::hint::black_box(Feature::read(bytes, bytes, bytes))), large, small);
}

fn check_of(name: &str, read: &dyn Fn(&[u8]), large: &[u8], small: &[u8]) {
    let (mut long, mut short) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..5 {
        long = long.min(seconds(read, large));
        short = short.min(seconds(read, small));
        if long <= 3.0 * short {
            return;
        }
    }
    panic!("{name:?} takes more than linear time: {short} s, and {long} s for twice the input");
}

fn check_unit(unit: &str, size: usize) {
    let text = unit.repeat(size / unit.len());
    let half = unit.len() * (size / unit.len() / 2);
    check(unit, text.as_bytes(), &text.as_bytes()[..half]);
}

#[test]
fn reading_takes_linear_time() {
    for unit in [
        "<!--",
        "-->",
        "`",
        "```\n",
        "~~~\n<!--\n",
        "(",
        ")",
        "T001-T999 ",
        "T001 before T002-T999 ",
        "- [ ] ",
        "| T001 ",
        "- [ ] T001 after T1-T9999\n",
        "[US1] ",
        "[",
        "[NEEDS CLARIFICATION",
        "src/a.py ",
        "src/",
        "{a,",
        "**",
        "## Phase 1\n",
        "- [ ] T001 x\n  depends on T002\n",
        "依赖",
        "\u{fffd}",
        " ",
        "\n",
        "- ",
        "after ",
        ".",
        "T1.",
        "US1 → ",
        "no ",
        "> ",
        "Given x\n",
    ] {
        check_unit(unit, 160_000);
    }
}

#[test]
fn also_where_the_file_is_large() {
    for unit in ["<!--", "[US1] ", "T001 before T002-T999 ", "- [ ] T001 after T1-T9999\n"] {
        check_unit(unit, 1_200_000);
    }
}

/// Ids that differ, so that every line is a task.
#[test]
fn also_with_many_tasks() {
    let line = |n: usize| format!("- [ ] T{n:05} a `src/f{n}.py` after T{:05}-T{n:05}", n.saturating_sub(5));
    let text = |n: usize| (0..n).map(line).collect::<Vec<_>>().join("\n");
    let ranges = |n: usize| text(n) + "\n- [ ] T99999 x after " + &"T00001-T90000, ".repeat(4 * n);
    check("many ranges", ranges(4_000).as_bytes(), ranges(2_000).as_bytes());
    check("many tasks", text(8_000).as_bytes(), text(4_000).as_bytes());
}

/// Megabytes in a long run (`SPRINT_FUZZ_INPUTS` says that it is one), less in a short one.
fn size() -> usize {
    let inputs = std::env::var("SPRINT_FUZZ_INPUTS").ok().and_then(|text| text.parse::<u64>().ok());
    if inputs.unwrap_or(0) >= 100_000 { 2 << 20 } else { 128 << 10 }
}

fn check_parser(parser: &str, exit: i32, name: &str, large: &[u8], small: &[u8]) {
    for printed in [false, true] {
        let read =
            |bytes: &[u8]| drop(std::hint::black_box(parse(parser, exit, bytes, Some(bytes), printed)));
        check_of(&format!("{parser}, {name}, printed {printed}"), &read, large, small);
    }
}

#[test]
fn parsers_take_linear_time_of_what_repeats() {
    for parser in parser_names() {
        for unit in UNITS {
            let units = size() / 4 / unit.len();
            let text = unit.repeat(units);
            check_parser(parser, 1, &String::from_utf8_lossy(unit), &text, &text[..units / 2 * unit.len()]);
        }
    }
}

/// The longest of each parser's own reports have the most places that can grow.
#[test]
fn parsers_take_linear_time_of_long_reports() {
    let mut seeds = seeds();
    seeds.sort_by_key(|seed| std::cmp::Reverse(seed.bytes.len()));
    for parser in parser_names() {
        for seed in seeds.iter().filter(|seed| seed.parsers.contains(parser)).take(2) {
            let (large, small) = (grown(&seed.bytes, size()), grown(&seed.bytes, size() / 2));
            for ((place, large), (_, small)) in large.iter().zip(&small) {
                let name = format!("{} {place}", seed.name);
                check_parser(parser, seed.exit.unwrap_or(1), &name, large, small);
            }
        }
    }
}
