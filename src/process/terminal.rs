//! The size of the terminal that a command writes to.

#![expect(unsafe_code, reason = "nix makes its wrappers of ioctl as unsafe functions")]

use nix::libc;

nix::ioctl_read_bad!(window, libc::TIOCGWINSZ, libc::winsize);

/// Columns of the terminal at standard output; `None` if it is none, or has no size.
pub fn columns() -> Option<usize> {
    let mut found = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize`, which lives until the call returns.
    unsafe { window(libc::STDOUT_FILENO, &raw mut found) }.ok()?;
    (found.ws_col > 0).then_some(usize::from(found.ws_col))
}
