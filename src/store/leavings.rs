//! What programs leave in a run's directory: chats, streams and results of their own. They write as they like, so
//! secrets are taken out when the run is over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::reports;
use crate::redact;

/// Files above this are removed: nobody reads them, and a secret may be in them.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Takes secrets out of every file of the directory, below it too, but for the report, which was written without.
/// What cannot be cleaned is removed.
pub fn clean(run_directory: &Path) {
    clean_all(run_directory, &reports::path(run_directory));
}

fn clean_all(directory: &Path, report: &Path) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return tracing::debug!(%error, "a run's directory is not there to be cleaned"),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            clean_all(&path, report);
        } else if kind.is_file()
            && path != report
            && let Err(error) = clean_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "what a program left is removed: it cannot be cleaned");
            if let Err(error) = fs::remove_file(&path) {
                tracing::error!(path = %path.display(), %error, "it stays");
            }
        }
    }
}

fn clean_file(path: &Path) -> io::Result<()> {
    let mut bytes = Vec::new();
    // A link put in its place meanwhile is not followed, and a pipe holds nobody up.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    File::take(file, FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(io::Error::other("it is too large"));
    }
    let clean = redact::bytes(&bytes);
    if clean == bytes {
        return Ok(());
    }
    let mut file = OpenOptions::new().write(true).truncate(true).custom_flags(flags).open(path)?;
    file.write_all(&clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_everything_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let token = format!("ghp_{}", "abcdefghij".repeat(4).split_at(36).0);
        let (chat, plain, below) =
            (dir.path().join("chat.md"), dir.path().join("plain"), dir.path().join("sub/more.json"));
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(&chat, format!("# chat\nthe token is {token}, take it\n")).unwrap();
        fs::write(&below, format!("{{\"said\": \"{token}\"}}")).unwrap();
        fs::write(&plain, [0, 159, 146, 150]).unwrap();
        let outside = dir.path().parent().unwrap().join(format!("outside-{}", std::process::id()));
        fs::write(&outside, &token).unwrap();
        std::os::unix::fs::symlink(&outside, dir.path().join("link")).unwrap();
        let report = reports::path(dir.path());
        fs::write(&report, &token).unwrap();
        clean(dir.path());
        assert_eq!(
            fs::read_to_string(&report).unwrap(),
            token,
            "it is written whole or not at all, and not here"
        );
        assert!(!fs::read_to_string(&chat).unwrap().contains(&token));
        assert!(fs::read_to_string(&chat).unwrap().starts_with("# chat\nthe token is "));
        assert!(!fs::read_to_string(&below).unwrap().contains(&token));
        assert_eq!(fs::read(&plain).unwrap(), [0, 159, 146, 150], "no text, no secret");
        assert_eq!(fs::read_to_string(&outside).unwrap(), token, "a link is not followed");
        fs::remove_file(outside).unwrap();
    }
}
