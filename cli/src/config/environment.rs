//! The variables of this command. Some hold secrets, and `/proc/PID/environ` shows a process's initial
//! environment to every process of its user, including the program, so they are erased there at startup.

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::OnceLock;

/// Their common prefix.
const PREFIX: &[u8] = b"INCUMBENT_";

static TAKEN: OnceLock<Vec<(OsString, OsString)>> = OnceLock::new();

/// Erases them. Call it first in `main`, before any thread exists.
#[expect(
    unsafe_code,
    reason = "what a process was started with has only an address"
)]
pub(crate) fn take() {
    let ours = std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(PREFIX));
    if TAKEN.set(ours.collect()).is_err() {
        return;
    }
    // SAFETY: the kernel has put an array of pointers there that ends with a null, each to a text that ends with
    // a zero byte and that this process may change. No other thread exists that could read it meanwhile.
    unsafe {
        let mut entry = libc::environ;
        while !entry.is_null() && !(*entry).is_null() {
            let length = CStr::from_ptr(*entry).count_bytes();
            if CStr::from_ptr(*entry).to_bytes().starts_with(PREFIX) {
                ptr::write_bytes(*entry, 0, length);
            }
            entry = entry.add(1);
        }
    }
}

/// All variables that this process was started with and that begin with `INCUMBENT_`.
pub(crate) fn ours() -> impl Iterator<Item = (OsString, OsString)> {
    TAKEN.get().into_iter().flatten().cloned()
}

/// One variable, whether it was taken out or not.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    let taken = ours().find(|(taken, _)| taken == OsStr::new(name));
    taken
        .map(|(_, value)| value)
        .or_else(|| std::env::var_os(name))
}
