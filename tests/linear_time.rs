//! Reading a feature takes time in proportion to its size, whatever it is made of.

#![expect(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test: times are small numbers")]

use nix::time::{ClockId, clock_gettime};

use sprint::feature::Feature;

fn seconds(bytes: &[u8]) -> f64 {
    let start = used();
    std::hint::black_box(Feature::read(bytes, bytes, bytes));
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
    let (mut long, mut short) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..5 {
        long = long.min(seconds(large));
        short = short.min(seconds(small));
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
