//! A temporary directory of a run's own: what programs leave there (some unpack themselves into it at
//! every start) goes with the run.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Programs put sockets there, and a socket's path has 108 bytes: a person's own directory is used
/// up to this length.
const BASE_MAX: usize = 40;

/// Where it is, below the person's own `TMPDIR`. Short, and told by the run alone, so that whoever
/// clears up after a run finds it without asking the run's directory, which its agent can write.
pub fn of_run(tmpdir: Option<&OsStr>, run: &str) -> PathBuf {
    let own = tmpdir.map(Path::new).filter(|dir| dir.is_absolute() && dir.as_os_str().len() <= BASE_MAX);
    own.unwrap_or(Path::new("/tmp")).join(format!("sprint-{run}"))
}

/// Removes it with all that is in it; links are removed and not followed.
pub fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "a run's temporary directory stays"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_where_a_socket_still_fits() {
        let of = |tmpdir: &str| of_run(Some(OsStr::new(tmpdir)), "01a2");
        assert_eq!(of("/var/tmp"), Path::new("/var/tmp/sprint-01a2"));
        for unusable in ["", "relative", &format!("/{}", "long".repeat(20))] {
            assert_eq!(of(unusable), Path::new("/tmp/sprint-01a2"));
        }
        assert_eq!(of_run(None, "01a2"), Path::new("/tmp/sprint-01a2"));
    }

    #[test]
    fn a_link_in_its_place_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, link) = (dir.path().join("kept"), dir.path().join("link"));
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&kept, &link).unwrap();
        remove(&link);
        remove(&dir.path().join("never there"));
        assert!(kept.join("file").exists());
    }
}
