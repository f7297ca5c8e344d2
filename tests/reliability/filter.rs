//! Stops for the tracer: at the calls that may change something, and at no other. A filter of the kernel's,
//! seccomp(2), picks them, so that reading and waiting cost a traced process nothing.
//!
//! A filter that is there before somebody traces lets no call through, and a process can put one only upon
//! itself. So whoever is traced becomes this test binary for a moment, which does so, and then becomes what
//! was asked for.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use crate::call;

/// The words that are to be run.
const WORDS: &str = "SPRINT_FILTERED";

/// Between two of them.
const SEPARATOR: char = '\u{1f}';

/// The shell's words for: as soon as a line comes, become what follows. What that prints by itself, which is
/// the test runner's, goes nowhere, and where it belongs is kept as descriptor 3.
const BEGIN: &str = "read -r begin; exec \"$@\" 3>&1 >/dev/null";

/// What prints where it belongs again.
const GO_ON: &str = "exec \"$@\" >&3 3>&-";

/// `command`, which begins when it reads a line, under the filter.
pub(crate) fn gate(command: &Command) -> Command {
    let mut words = vec![command.get_program()];
    words.extend(command.get_args());
    let words: Vec<&str> = words.into_iter().map(|word| word.to_str().unwrap()).collect();
    let mut gate = Command::new("sh");
    gate.args(["-c", BEGIN, "sh"]).arg(std::env::current_exe().unwrap());
    gate.args(["--exact", "filter::becomes_what_was_asked_for", "--nocapture"]);
    gate.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    gate.env(WORDS, words.join(&SEPARATOR.to_string()));
    if let Some(directory) = command.get_current_dir() {
        gate.current_dir(directory);
    }
    gate
}

/// Each call of the table asks the tracer; opening only where it may make or empty a file.
fn filter() -> BpfProgram {
    let rules = call::numbers().map(|number| (number, rules(number))).collect();
    let ask = SeccompAction::Trace(0);
    SeccompFilter::new(rules, SeccompAction::Allow, ask, TargetArch::x86_64).unwrap().try_into().unwrap()
}

fn rules(number: i64) -> Vec<SeccompRule> {
    let Some(argument) = call::flags_at(number) else { return Vec::new() };
    let argument = u8::try_from(argument).unwrap();
    let has = |flag: libc::c_int| {
        let flag = u64::try_from(flag).unwrap();
        let set = SeccompCmpOp::MaskedEq(flag);
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, set, flag).unwrap();
        SeccompRule::new(vec![condition]).unwrap()
    };
    call::CHANGING.map(has).into()
}

/// See the module: a test only where nobody is traced.
#[test]
fn becomes_what_was_asked_for() {
    let Ok(words) = std::env::var(WORDS) else {
        assert!(!filter().is_empty());
        return;
    };
    let mut shell = Command::new("sh");
    shell.args(["-c", GO_ON, "sh"]).args(words.split(SEPARATOR)).env_remove(WORDS);
    seccompiler::apply_filter(&filter()).unwrap();
    panic!("{}", shell.exec());
}
