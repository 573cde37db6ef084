//! Whether `/proc` shows this process everything that it may have to kill.

use std::fs;

use rustix::process::{getegid, getgroups};
use rustix::thread::{CapabilitySet, capabilities};

/// Whether processes that this one may have started are missing from `/proc`: one of another user, or
/// one that may not be dumped, where it is mounted with `hidepid`.
pub(super) fn hides_processes() -> bool {
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else {
        return true;
    };
    let Some(options) = options_of_proc(&mounts) else {
        return false;
    };
    let sees_all =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE));
    let groups = || {
        let mut groups = getgroups().unwrap_or_default();
        groups.push(getegid());
        groups.into_iter().map(|group| group.as_raw()).collect()
    };
    !sees_all && are_hiding(options, groups)
}

/// The options of what is mounted on `/proc`, from `/proc/self/mountinfo`. What is mounted later covers
/// what was there.
fn options_of_proc(mounts: &str) -> Option<&str> {
    mounts.lines().rev().find_map(|line| {
        // ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS… - TYPE SOURCE SUPEROPTIONS
        let (mount, filesystem) = line.split_once(" - ")?;
        let is_proc = mount.split(' ').nth(4)? == "/proc" && filesystem.starts_with("proc ");
        is_proc.then(|| filesystem.rsplit(' ').next())?
    })
}

fn are_hiding(options: &str, groups: impl FnOnce() -> Vec<u32>) -> bool {
    let value = |name: &str| {
        options
            .split(',')
            .find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    };
    match value("hidepid") {
        None | Some("0" | "off") => false,
        // Nobody is exempt.
        Some("4" | "ptraceable") => true,
        Some(_) => {
            // The group that the kernel takes when none is given.
            const ROOT: u32 = 0;
            let exempt = value("gid").and_then(|group| group.parse().ok());
            !groups().contains(&exempt.unwrap_or(ROOT))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &str, expected: bool) {
        let mounts = format!(
            "57 55 0:21 / /proc rw,relatime - proc proc rw,hidepid=2\n\
             58 57 0:25 / /proc/sys ro - proc proc rw,hidepid=2\n\
             93 57 0:39 / /proc rw,relatime shared:4 - proc proc {options}\n\
             94 57 0:40 / /procession rw - tmpfs tmpfs rw\n"
        );
        let found = options_of_proc(&mounts).unwrap();
        assert_eq!(found, options);
        assert_eq!(are_hiding(found, || vec![7, 20]), expected, "{options}");
    }

    #[test]
    fn what_hides_is_told_from_the_options_of_the_last_mount() {
        check("rw", false);
        check("rw,hidepid=0", false);
        check("rw,hidepid=off", false);
        check("rw,hidepid=invisible", true);
        check("rw,gid=8,hidepid=2", true);
        check("rw,gid=20,hidepid=2", false);
        check("rw,gid=20,hidepid=ptraceable", true);
        assert_eq!(
            options_of_proc("57 55 0:21 / /mnt rw - ext4 /dev/a rw\n- -\n"),
            None
        );
    }
}
