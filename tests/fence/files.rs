//! The fences around files: what a crash, a link or a stranger does to them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use incumbent::fence::{FenceError, FencedFile, FencedLog};
use tempfile::TempDir;

use super::term;

#[test]
fn a_replaced_file_is_the_one_of_the_newest_leader() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("routes");
    let file = FencedFile::new(&path);
    file.replace(term(1), b"first").unwrap();
    file.replace(term(1), b"second").unwrap();
    file.raise(term(3)).unwrap();
    assert!(file.replace(term(2), b"late").unwrap_err().is_stale());
    assert_eq!(fs::read(&path).unwrap(), b"second");
    file.replace(term(3), b"third").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"third");
    // What a crash in the middle of a replacement leaves behind is in no one's way.
    fs::write(directory.path().join("routes.new"), "torn").unwrap();
    file.replace(term(3), b"fourth").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"fourth");
}

#[test]
fn a_replaced_file_keeps_its_mode_and_its_owner() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("routes");
    fs::write(&path, "by hand").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    // Only root may choose another owner.
    let root = fs::metadata(&path).unwrap().uid() == 0;
    if root {
        std::os::unix::fs::chown(&path, Some(1), Some(2)).unwrap();
    }
    // What a crash left behind is not written to: someone may have it open.
    fs::write(directory.path().join("routes.new"), "torn").unwrap();
    let before = fs::metadata(&path).unwrap();
    FencedFile::new(&path).replace(term(1), b"first").unwrap();
    let after = fs::metadata(&path).unwrap();
    let kept = |of: &fs::Metadata| (of.mode(), of.uid(), of.gid());
    assert_eq!(kept(&after), kept(&before));
    assert_ne!(after.ino(), before.ino());
}

/// A crash may leave any part of the guard's new slot on disk, and any part of the entry.
#[test]
fn an_append_torn_at_any_byte_by_a_crash_is_undone_or_whole() {
    let directory = TempDir::new().unwrap();
    let (path, guard) = (
        directory.path().join("log"),
        directory.path().join("log.fence"),
    );
    let log = FencedLog::new(&path);
    log.append(term(1), b"one\n").unwrap();
    log.append(term(2), b"two\n").unwrap();
    let (text_before, guard_before) = (fs::read(&path).unwrap(), fs::read(&guard).unwrap());
    log.append(term(3), b"three\n").unwrap();
    let (text_after, guard_after) = (fs::read(&path).unwrap(), fs::read(&guard).unwrap());

    // Where the bytes are the same it makes no difference that they are torn apart.
    let differs =
        |torn: usize| torn == 0 || guard_before.get(torn - 1) != guard_after.get(torn - 1);
    let mut outcomes = Vec::new();
    for torn in (0..=guard_after.len()).filter(|torn| differs(*torn)) {
        // The entry is on disk before the guard is touched; the guard's bytes are the old and the new.
        let mut mixed = guard_after[..torn].to_vec();
        mixed.extend(guard_before.iter().skip(torn));
        fs::write(&guard, &mixed).unwrap();
        fs::write(&path, &text_after).unwrap();
        outcomes.push(read(&log));
        log.append(term(4), b"four\n").unwrap();
        let told = if outcomes.last().unwrap() == "one\ntwo\n" {
            "one\ntwo\nfour\n"
        } else {
            "one\ntwo\nthree\nfour\n"
        };
        assert_eq!(read(&log), told, "torn at byte {torn}");
    }
    outcomes.dedup();
    assert_eq!(outcomes, ["one\ntwo\n", "one\ntwo\nthree\n"]);

    for torn in text_before.len()..text_after.len() {
        fs::write(&guard, &guard_before).unwrap();
        fs::write(&path, &text_after[..torn]).unwrap();
        assert_eq!(read(&log), "one\ntwo\n", "torn at byte {torn}");
    }
}

#[test]
fn a_log_that_was_cut_from_outside_is_not_appended_to() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    let log = FencedLog::new(&path);
    log.append(term(1), b"one\n").unwrap();
    fs::write(&path, "on").unwrap();
    let refused = log.append(term(1), b"two\n");
    assert!(
        matches!(
            refused,
            Err(FenceError::Cut {
                expected: 4,
                found: 2,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn a_log_that_is_there_already_is_kept() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, "before\n").unwrap();
    let log = FencedLog::new(&path);
    log.append(term(1), b"one\n").unwrap();
    assert_eq!(read(&log), "before\none\n");
    assert_eq!(names(directory.path()), ["log", "log.fence"]);
}

fn read(log: &FencedLog) -> String {
    use std::io::Read;

    let mut text = String::new();
    log.reader().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Tokens of one name count under every other.
#[test]
fn a_file_has_one_fence_whatever_links_lead_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().join("real");
    std::fs::create_dir(&real).unwrap();
    // Nothing is behind the link at first.
    std::os::unix::fs::symlink("real/data", directory.path().join("link")).unwrap();
    std::os::unix::fs::symlink(&real, directory.path().join("folder")).unwrap();
    let names = ["link", "real/data", "folder/data", "real/../folder/../link"];
    for log in [true, false] {
        for (token, name) in (10..).zip(names) {
            let path = directory.path().join(name);
            let write = |token| match log {
                true => FencedLog::new(&path).append(term(token), b"a line\n"),
                false => FencedFile::new(&path).replace(term(token), b"a line\n"),
            };
            write(token).unwrap();
            for other in names {
                let other = directory.path().join(other);
                let outdated = match log {
                    true => FencedLog::new(&other).append(term(token - 1), b"late\n"),
                    false => FencedFile::new(&other).replace(term(token - 1), b"late\n"),
                };
                assert!(outdated.unwrap_err().is_stale(), "{other:?} after {name}");
            }
        }
        assert!(real.join("data.fence").exists());
        assert!(!directory.path().join("link.fence").exists());
        assert!(directory.path().join("link").is_symlink());
        std::fs::remove_file(real.join("data")).unwrap();
        std::fs::remove_file(real.join("data.fence")).unwrap();
    }
    std::fs::write(real.join("data"), "").unwrap();
    std::fs::hard_link(real.join("data"), real.join("second")).unwrap();
    for name in ["link", "real/second"] {
        let refused = FencedLog::new(directory.path().join(name)).append(term(20), b"a line\n");
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("several names (hard links)"), "{refused}");
    }
}
