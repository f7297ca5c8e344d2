//! What the process holds of the machine's memory.

#![expect(unsafe_code, reason = "malloc_trim has no safe wrapper")]

/// Gives back to the system what this process has freed. glibc keeps it for the thread that had it, so that each
/// thread that has ever done something large stays as large; elsewhere nothing is done.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number, and locks what it looks at by itself.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

#[cfg(test)]
#[cfg(target_env = "gnu")]
mod tests {
    use std::fs;

    /// Kilobytes of its own, which lie in no file.
    fn own() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    #[test]
    fn what_a_thread_has_freed_is_given_back() {
        // Small pieces, and one above them that stays: otherwise the allocator gives them back itself.
        let (many, last): (Vec<_>, _) =
            ((0..100_000).map(|_| vec![1_u8; 1_000]).collect(), vec![1_u8; 1_000]);
        let full = own();
        drop(many);
        super::give_back();
        assert!(own() + 50_000 < full, "{} of {full} kB", own());
        assert_eq!(last.len(), 1_000);
    }
}
