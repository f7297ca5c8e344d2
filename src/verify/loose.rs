//! Objects in files of their own: a header and the content, deflated
//! (<https://git-scm.com/book/en/v2/Git-Internals-Git-Objects>).
//!
//! libgit2 reads for ever in one that is cut off, as a power cut leaves it. So they are looked at before.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use flate2::bufread::ZlibDecoder;

/// So many of them are named.
const NAMED_MAX: usize = 20;
/// `commit 18446744073709551615` and its end.
const HEADER_MAX: u64 = 32;

/// The ids of those that end before their header says, in order, and no more than a message can name.
///
/// # Errors
/// The directory of objects cannot be read.
pub(super) fn cut_off(common_dir: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for directory in fs::read_dir(common_dir.join("objects"))? {
        let directory = directory?;
        let start = directory.file_name().to_string_lossy().into_owned();
        if !is_hex(&start, 2) || !directory.path().is_dir() {
            continue;
        }
        for object in fs::read_dir(directory.path())? {
            let object = object?;
            let rest = object.file_name().to_string_lossy().into_owned();
            // What git is writing, or has put aside, is called otherwise.
            if (is_hex(&rest, 38) || is_hex(&rest, 62)) && !is_whole(&object.path())? {
                found.push(format!("{start}{rest}"));
            }
        }
    }
    found.sort();
    found.truncate(NAMED_MAX);
    Ok(found)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether the file has all that its header promises.
fn is_whole(file: &Path) -> io::Result<bool> {
    let file = match File::open(file) {
        // git has packed it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    let mut content = BufReader::new(ZlibDecoder::new(BufReader::new(file)));
    let Some(size) = size(&mut content) else { return Ok(false) };
    // One byte more than was promised is damage too.
    let read = io::copy(&mut content.take(size.saturating_add(1)), &mut io::sink());
    Ok(read.is_ok_and(|read| read == size))
}

/// How long the content is, by the header.
fn size(content: &mut impl BufRead) -> Option<u64> {
    let mut header = Vec::new();
    content.by_ref().take(HEADER_MAX).read_until(0, &mut header).ok()?;
    let header = std::str::from_utf8(header.strip_suffix(&[0])?).ok()?;
    header.split_once(' ')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_cut_off_anywhere_is_named_and_a_whole_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let repo = git2::Repository::init_bare(dir.path()).unwrap();
        let text: Vec<u8> = (0..5000_u32).flat_map(u32::to_le_bytes).collect();
        let id = repo.blob(&text).unwrap().to_string();
        repo.blob(b"").unwrap();
        assert_eq!(cut_off(dir.path()).unwrap(), Vec::<String>::new());
        let file = dir.path().join("objects").join(&id[..2]).join(&id[2..]);
        let whole = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        for length in [0, 1, 5, whole.len() / 2, whole.len() - 6] {
            fs::write(&file, &whole[..length]).unwrap();
            assert_eq!(cut_off(dir.path()).unwrap(), std::slice::from_ref(&id), "{length} bytes");
        }
        fs::write(&file, &whole).unwrap();
        assert!(cut_off(dir.path()).unwrap().is_empty());
    }
}
