//! Who holds a lock on bytes of a file, as the kernel tells it for the whole machine.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::identity::ProcId;

/// The processes with a lock on one of these bytes, each once. In another namespace of processes than the
/// holder's its number is not known, and it is left out.
///
/// # Errors
/// The file is not there, or `/proc/locks` cannot be read.
pub fn holders(file: &Path, bytes: &RangeInclusive<u64>) -> io::Result<Vec<ProcId>> {
    let meta = fs::metadata(file)?;
    let mut pids = pids(&fs::read_to_string("/proc/locks")?, meta.ino(), bytes);
    pids.sort_unstable();
    pids.dedup();
    Ok(pids.into_iter().filter_map(|pid| ProcId::of(pid).ok()).filter(ProcId::alive).collect())
}

/// `3: POSIX  ADVISORY  READ  1234 fe:00:5678 124 124`. Who waits for a lock (`->`) has none. The device
/// is not compared: on some file systems the kernel writes another one than `stat` tells.
fn pids(locks: &str, inode: u64, bytes: &RangeInclusive<u64>) -> Vec<i32> {
    let holder = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, _, pid, place, begin, end] = words[..] else { return None };
        let of: u64 = place.rsplit(':').next()?.parse().ok()?;
        let begin: u64 = begin.parse().ok()?;
        let end: u64 = if end == "EOF" { u64::MAX } else { end.parse().ok()? };
        let pid: i32 = pid.parse().ok()?;
        (of == inode && begin <= *bytes.end() && end >= *bytes.start() && pid > 0).then_some(pid)
    };
    locks.lines().filter(|line| !line.contains("->")).filter_map(holder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_read_as_the_kernel_writes_them() {
        let text = "1: POSIX  ADVISORY  READ  11 fe:00:77 124 124\n\
                    1: -> POSIX  ADVISORY  WRITE 12 fe:00:77 124 124\n\
                    2: POSIX  ADVISORY  READ  13 fe:00:77 128 128\n\
                    3: POSIX  ADVISORY  WRITE 14 fe:00:78 124 124\n\
                    4: FLOCK  ADVISORY  WRITE 15 fe:00:77 0 EOF\n\
                    5: POSIX  ADVISORY  READ  0 fe:00:77 125 125\n";
        assert_eq!(pids(text, 77, &(123..=127)), [11, 15]);
        assert_eq!(pids("", 77, &(0..=9)), [0; 0]);
    }
}
