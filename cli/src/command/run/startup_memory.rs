//! Releases memory that only startup needed.
//!
//! With each piece of code that runs, the kernel also loads the surrounding part of the file, and keeps it
//! until memory is short. Parsing the command line and the settings loads nearly half of the binary this
//! way, once; after that the elector mostly sleeps.

use std::fs;
use std::io;
use std::ops::Range;
use std::ptr;

use rustix::mm::{Advice, madvise};

/// Drops the pages that are unchanged from their files, and returns how many KiB that was. The kernel reads
/// them again from its page cache when they are used.
///
/// Call it while this process has one thread: with more it does nothing.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub(super) fn release() -> io::Result<u64> {
    if fs::read_dir("/proc/self/task")?.count() > 1 {
        return Ok(0);
    }
    let before = resident()?;
    for pages in unchanged(&fs::read_to_string("/proc/self/smaps")?) {
        drop_pages(pages)?;
    }
    Ok(before.saturating_sub(resident()?))
}

#[expect(unsafe_code, reason = "it is about memory that has only an address")]
fn drop_pages(pages: Range<usize>) -> io::Result<()> {
    let start = ptr::with_exposed_provenance_mut(pages.start);
    // SAFETY: the pages read the same afterwards. They are of a private read-only mapping that has no
    // private page, neither in memory nor swapped out, so all of it is in the file.
    // There is no other thread that could have changed that since `/proc` was read.
    unsafe { madvise(start, pages.len(), Advice::LinuxDontNeed) }?;
    Ok(())
}

/// The parts of the memory that are as they stand in their files and stay so, by the text of
/// `/proc/self/smaps`. What was relocated when it was loaded is not: it was written to, although it cannot
/// be any more.
fn unchanged(smaps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut mapped, mut unwritten) = (None, None);
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["Anonymous:", "0", "kB"] => unwritten = mapped.take(),
            ["Swap:", "0", "kB"] => found.extend(unwritten.take()),
            [addresses, permissions, _, _, inode, ..] if addresses.contains('-') => {
                let of_a_file = matches!(permissions, "r--p" | "r-xp") && inode != "0";
                mapped = range(addresses).filter(|_| of_a_file);
                unwritten = None;
            }
            _ => {}
        }
    }
    found
}

fn range(addresses: &str) -> Option<Range<usize>> {
    let (start, end) = addresses.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(address(start)?..address(end)?).filter(|range| !range.is_empty())
}

/// How much of this process is in memory, in KiB.
fn resident() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    size.ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS in kB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mapping as `/proc/self/smaps` shows it.
    fn mapping(permissions: &str, inode: u32, anonymous: u32, swap: u32) -> String {
        format!(
            "1000-3000 {permissions} 00000000 fe:00 {inode}    /usr/bin/a name\n\
             Size:                  8 kB\n\
             Rss:                   8 kB\n\
             Anonymous:             {anonymous} kB\n\
             AnonHugePages:         0 kB\n\
             Swap:                  {swap} kB\n\
             SwapPss:               {swap} kB\n\
             VmFlags: rd mr mw me\n"
        )
    }

    #[test]
    fn only_what_stands_in_a_file_as_it_is_can_be_dropped() {
        for (text, is_dropped) in [
            (mapping("r-xp", 7, 0, 0), true),
            (mapping("r--p", 7, 0, 0), true),
            // Relocated, and then made read-only; the second was swapped out since.
            (mapping("r--p", 7, 4, 0), false),
            (mapping("r--p", 7, 0, 4), false),
            (mapping("rw-p", 7, 0, 0), false),
            (mapping("r--s", 7, 0, 0), false),
            (mapping("---p", 7, 0, 0), false),
            // No file: what the kernel maps, and what was asked of it.
            (mapping("r-xp", 0, 0, 0), false),
            // Incomplete input.
            ("1000-3000 r-xp 00000000 fe:00 7\n".to_owned(), false),
            ("Swap: 0 kB\n".to_owned(), false),
            ("1000-3000 r-xp 0 0 7\nSwap: 0 kB\n".to_owned(), false),
            (mapping("r-xp", 7, 0, 0).replace("1000-", "4000-"), false),
            (mapping("r-xp", 7, 0, 0).replace("1000-", "x-"), false),
        ] {
            let found = unchanged(&text);
            let expected = is_dropped.then_some(0x1000..0x3000);
            assert_eq!(found, Vec::from_iter(expected), "{text}");
        }
    }

    #[test]
    fn a_mapping_without_sizes_does_not_take_those_of_the_next() {
        let text = format!(
            "5000-6000 r-xp 00000000 fe:00 7\n{}",
            mapping("rw-p", 7, 0, 0)
        );
        assert_eq!(unchanged(&text), Vec::<std::ops::Range<usize>>::new());
    }

    #[test]
    fn beside_other_threads_nothing_is_dropped() {
        // The test harness has its own thread.
        assert_eq!(release().unwrap(), 0);
    }
}
