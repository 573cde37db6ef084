//! The end of what was started in a folder.

use std::path::Path;
use std::time::Duration;

use super::marked::marked;

/// Waits until the processes that have this folder in their environment are gone. One that lives longer than its
/// parent, as a keeper does, would make files in the folder while it is removed.
pub fn wait_until_gone(folder: &Path) {
    let mark = folder.to_str().unwrap();
    for _ in 0..3_000 {
        if marked(mark).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(
        std::thread::panicking(),
        "{:?} still run in {mark}",
        marked(mark)
    );
}
