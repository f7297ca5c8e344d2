//! For which machine a program's file is made. The system would not run one that is made for another
//! one, and what then reads it as a script exits with a code that means something else.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The kinds of machines by their numbers in a program's file, and the names that people know.
const MACHINES: [(u16, &str); 8] = [
    (3, "x86"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (21, "powerpc64"),
    (22, "s390x"),
    (243, "riscv64"),
    (258, "loongarch64"),
];
/// Where the system keeps what else runs programs: an emulator of other machines, for one.
const EMULATORS: &str = "/proc/sys/fs/binfmt_misc";
/// Bytes at the beginning of a file that tell.
const HEAD: usize = 20;

/// A kind of machine that is not this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Numbered(u16),
    Mac,
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Mac => write!(f, "macOS"),
            Kind::Numbered(number) => match MACHINES.iter().find(|(known, _)| *known == number) {
                Some((_, name)) => write!(f, "{name}"),
                None => write!(f, "the kind of machine {number}"),
            },
        }
    }
}

/// The other machine for which this program is made; none where it may run here, or cannot be read.
pub fn other_machine(program: &Path) -> Option<Other> {
    let mut head = [0u8; HEAD];
    File::open(program).ok()?.read_exact(&mut head).ok()?;
    judge(&head, std::env::consts::ARCH).filter(|_| !is_emulated())
}

fn judge(head: &[u8; HEAD], here: &str) -> Option<Other> {
    if matches!(head[..4], [0xcf | 0xce, 0xfa, 0xed, 0xfe]) {
        return Some(Other(Kind::Mac));
    }
    if head[..4] != *b"\x7fELF" {
        return None;
    }
    let number = [head[18], head[19]];
    let machine = if head[5] == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
    // Where this machine's own number is not known, nothing is.
    let (own, _) = MACHINES.iter().find(|(_, name)| *name == here)?;
    let runs = match (*own, machine) {
        (own, machine) if own == machine => true,
        // Their elder siblings, where the system is made for that.
        (62, 3) | (183, 40) => true,
        _ => false,
    };
    (!runs).then_some(Other(Kind::Numbered(machine)))
}

fn is_emulated() -> bool {
    let Ok(entries) = std::fs::read_dir(EMULATORS) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("qemu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(order: u8, machine: [u8; 2]) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, order]);
        head[18..].copy_from_slice(&machine);
        head
    }

    #[test]
    fn a_program_of_another_machine_is_told_by_its_name() {
        let told = |head: &[u8; HEAD]| judge(head, "x86_64").map(|other| other.to_string());
        assert_eq!(told(&elf(1, [62, 0])), None);
        assert_eq!(told(&elf(1, [3, 0])), None, "32 bits on 64");
        assert_eq!(told(&elf(1, [183, 0])).unwrap(), "aarch64");
        assert_eq!(told(&elf(2, [0, 22])).unwrap(), "s390x");
        assert_eq!(told(&elf(1, [1, 1])).unwrap(), "the kind of machine 257");
        let mut mac = [0; HEAD];
        mac[..4].copy_from_slice(&[0xcf, 0xfa, 0xed, 0xfe]);
        assert_eq!(told(&mac).unwrap(), "macOS");
        assert_eq!(told(b"#!/bin/sh\nexit 0\n#  "), None);
        assert_eq!(judge(&elf(1, [62, 0]), "aarch64").unwrap().to_string(), "x86_64");
        assert_eq!(judge(&elf(1, [62, 0]), "another"), None);
    }

    #[test]
    fn this_program_runs_here() {
        assert_eq!(other_machine(&std::env::current_exe().unwrap()), None);
        assert_eq!(other_machine(Path::new("/nowhere")), None);
    }
}
