//! Programs of a name that work in a directory, as far as `/proc` tells: for the question whether
//! somebody else is at work there. It rather says yes than no.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::identity::ProcId;
use super::tree::{Member, Table};

/// Living programs called `name` or `name-…` that stand in one of these directories, or name one in their
/// arguments or environment. One that may not be looked at counts: it is another user's.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn working_in(name: &str, places: &[&Path]) -> io::Result<Vec<Member>> {
    let begins = format!("{name}-");
    let mut found = Table::scan()?.living()?;
    found.retain(|member| {
        (member.name == name || member.name.starts_with(&begins)) && stands_in(&member.id, places)
    });
    Ok(found)
}

fn stands_in(id: &ProcId, places: &[&Path]) -> bool {
    let file = |name: &str| format!("/proc/{}/{name}", id.pid);
    let cwd = match fs::read_link(file("cwd")) {
        Ok(cwd) => cwd,
        Err(error) => return error.kind() == io::ErrorKind::PermissionDenied,
    };
    let said = ["cmdline", "environ"].map(|name| fs::read(file(name)).unwrap_or_default());
    places.iter().any(|place| {
        let place_bytes = place.as_os_str().as_bytes();
        let names = |bytes: &Vec<u8>| bytes.windows(place_bytes.len()).any(|window| window == place_bytes);
        cwd.starts_with(place) || said.iter().any(names)
    })
}
