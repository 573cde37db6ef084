//! A home on a file system that several hosts can share: the default store must not be there.

use std::fs::{File, OpenOptions, create_dir};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use super::home::{Ended, Home};

/// A test file system that `statfs(2)` reports like NFS or FUSE: one folder with nothing in it.
struct Shared(PathBuf);

impl Shared {
    fn mount(at: PathBuf) -> Self {
        create_dir(&at).unwrap();
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
        let device = device.expect("/dev/fuse can be used");
        let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
        let mounted = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o", options, "test"])
            .arg(&at)
            .stdin(Stdio::from(device.try_clone().unwrap()))
            .status();
        assert!(mounted.unwrap().success(), "nothing was mounted");
        thread::spawn(move || serve(device));
        Self(at)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || thread::panicking());
    }
}

/// Answers the kernel until the file system is gone: `linux/fuse.h`.
fn serve(mut device: File) {
    const LOOKUP: u32 = 1;
    const FORGET: u32 = 2;
    const GETATTR: u32 = 3;
    const STATFS: u32 = 17;
    const INIT: u32 = 26;
    let mut request = vec![0; 1 << 20];
    while let Ok(length) = device.read(&mut request) {
        let opcode = u32::from_ne_bytes(request[4..8].try_into().unwrap());
        assert!(length >= 40, "{length} bytes are no request");
        let numbers = |numbers: &[u32]| -> Vec<u8> {
            numbers
                .iter()
                .flat_map(|number| number.to_ne_bytes())
                .collect()
        };
        let (error, body): (i32, Vec<u8>) = match opcode {
            INIT => (
                0,
                numbers(&[7, 31, 0, 0, 0, 4096, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ),
            // Valid for no time; then the inode, 1, and from the 20th number on the mode and the links.
            GETATTR => {
                let mut attributes = [0; 26];
                (attributes[4], attributes[19], attributes[20]) = (1, 0o40755, 2);
                (0, numbers(&attributes))
            }
            STATFS => (0, vec![0; 80]),
            FORGET => continue,
            LOOKUP => (-2, Vec::new()),
            _ => (-38, Vec::new()),
        };
        let length = u32::try_from(16 + body.len()).unwrap();
        let head = [
            &length.to_ne_bytes()[..],
            &error.to_ne_bytes(),
            &request[8..16],
        ]
        .concat();
        if device.write(&[head, body].concat()).is_err() {
            return;
        }
    }
}

#[test]
fn the_default_store_of_a_shared_home_is_refused_and_the_doctor_says_why() {
    let home = Home::new();
    let shared = Shared::mount(home.path("shared"));
    let ask = |home_of: &Path, words: &[&str]| {
        let mut command = home.command(words);
        command.env("HOME", home_of);
        Ended::from(command.output().unwrap())
    };
    let why = "is on a file system that several hosts can share (FUSE";
    let run = ["run", "job", "--", "true"];
    ask(&shared.0, &run).assert(78, why);
    ask(&shared.0, &run).assert(78, "choose a path on a local disk, or a redis:// store");
    let doctor = ask(&shared.0, &["doctor", "job"]);
    assert_eq!(doctor.status, 2, "{doctor:#?}");
    assert!(doctor.stdout.contains(why), "{doctor:#?}");
    let local = home.path("local");
    create_dir(&local).unwrap();
    assert_eq!(ask(&local, &run).status, 0);
}
