//! One SQLite file under several names, and several files under one: no two act, whatever is done to names,
//! mounts, namespaces and contents.
//!
//! It needs root, for private mounts and namespaces.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::field::Fleet;
use crate::field::candidate::Kind::Wrapper;
use crate::field::candidate::Settings;
use crate::field::fleet::wait_until;
use crate::field::history::Span;
use crate::support::file::long_in_use;

/// A shell that runs a script and becomes the command behind it.
fn shell(namespaces: &[&str], script: &str) -> Vec<String> {
    let script = format!("set -e; {script}; exec \"$@\"");
    let words = ["unshare"].into_iter().chain(namespaces.iter().copied());
    let words = words.chain(["sh", "-c", &script, "sh"]);
    words.map(str::to_owned).collect()
}

struct Bed {
    fleet: Fleet,
    folder: PathBuf,
    file: PathBuf,
}

impl Bed {
    fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "only root may mount: run this test as root"
        );
        let fleet = Fleet::new(Settings::new(&[]));
        let folder = fleet.dir().join("state");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("e.db");
        long_in_use(&file);
        Self {
            fleet,
            folder,
            file,
        }
    }

    /// Starts a candidate on the file at `path`, by a command.
    fn start(&mut self, path: &Path, by: &[String]) -> String {
        let settings = self.fleet.settings();
        settings.stores = vec![format!("sqlite:{}", path.display())];
        settings.by = by.to_vec();
        self.fleet.start(Wrapper)
    }

    /// Has somebody lead on the file.
    fn led(&mut self) -> (String, Span) {
        let file = self.file.clone();
        let leader = self.start(&file, &[]);
        (leader, self.fleet.leader())
    }

    /// The candidate started last is refused, with this in its log.
    fn refused(&mut self, name: &str, said: &str) {
        let candidate = self.fleet.candidate(name);
        let status = candidate.ended(crate::field::fleet::PATIENCE);
        let log = candidate.said();
        assert_eq!(status.code(), Some(78), "{log}");
        assert!(log.contains(said), "{log}");
    }
}

#[test]
fn a_hard_link_is_refused_and_ends_the_leadership() {
    let mut bed = Bed::new();
    let (_, leader) = bed.led();
    let second = bed.folder.join("second.db");
    fs::hard_link(&bed.file, &second).unwrap();
    let other = bed.start(&second, &[]);
    bed.refused(&other, "2 names (hard links)");
    let window = bed.fleet.settings().window();
    bed.fleet.idle(window * 2);
    fs::remove_file(second).unwrap();
    let file = bed.file.clone();
    bed.start(&file, &[]);
    assert!(bed.fleet.next_leader(&leader).token > leader.token);
    bed.fleet.verdict();
}

#[test]
fn a_file_that_is_mounted_by_itself_is_refused() {
    let mut bed = Bed::new();
    let (_, leader) = bed.led();
    let second = bed.folder.join("second.db");
    let mount = format!(
        "touch {second} && mount --bind {file} {second}",
        file = bed.file.display(),
        second = second.display()
    );
    let other = bed.start(&second, &shell(&["--mount"], &mount));
    bed.refused(&other, "mount its folder instead");
    let window = bed.fleet.settings().window();
    bed.fleet.still_led_by(&leader, window);
    bed.fleet.verdict();
}

/// What can be done to a file under a leader: a shell does it, in private namespaces, before the next
/// candidate starts on the file at `second`. Two act if that one takes the new file for a complete one.
fn replaced_under_a_leader(namespaces: &[&str], done: &str, second: &str) {
    let mut bed = Bed::new();
    let (leader, before) = bed.led();
    // As long as it is frozen, it does not find out. Its program acts to the end of its tenure.
    bed.fleet.signal(&leader, Signal::STOP);
    let second = bed.fleet.dir().join(second);
    let done = format!("cd {} && {done}", bed.fleet.dir().display());
    bed.start(&second, &shell(namespaces, &done));
    // The new candidate may lead by then, or waits for the frozen one to let go of the log.
    let window = bed.fleet.settings().window();
    std::thread::sleep(window * 3);
    bed.fleet.signal(&leader, Signal::CONT);
    bed.fleet.next_leader(&before);
    std::thread::sleep(window);
    bed.fleet.verdict();
}

#[test]
fn a_file_deleted_under_its_leader_does_not_make_two() {
    replaced_under_a_leader(&["--mount"], "rm state/e.db*", "state/e.db");
}

/// The leader goes on in the new file, or ends before another acts in it.
#[test]
fn a_file_deleted_or_moved_under_a_live_leader_does_not_make_two() {
    for done in [
        "rm state/e.db*",
        "mv state/e.db state/old.db",
        "mv state old",
    ] {
        let mut bed = Bed::new();
        let (leader, before) = bed.led();
        let second = bed.file.clone();
        let done = format!("cd {} && {done}", bed.fleet.dir().display());
        bed.start(&second, &shell(&["--mount"], &done));
        let window = bed.fleet.settings().window();
        std::thread::sleep(window * 3);
        bed.fleet.leader();
        // One that has found out leads in the new file, which shows it, or has ended.
        bed.fleet.signal(&leader, Signal::KILL);
        assert!(bed.fleet.next_leader(&before).token > before.token);
        bed.fleet.verdict();
    }
}

/// Another name, and so another log, of the inode in which a leader leads.
#[test]
fn a_file_used_under_its_new_name_beside_its_old_log_is_refused() {
    let mut bed = Bed::new();
    let (leader, before) = bed.led();
    bed.fleet.signal(&leader, Signal::STOP);
    let second = bed.folder.join("old.db");
    let done = format!("cd {} && mv e.db old.db", bed.folder.display());
    let other = bed.start(&second, &shell(&["--mount"], &done));
    let said = "another process uses";
    wait_until("it is refused", || {
        bed.fleet.candidate(&other).said().contains(said)
    });
    bed.fleet.signal(&leader, Signal::KILL);
    bed.fleet.next_leader(&before);
    bed.fleet.verdict();
}

#[test]
fn a_file_deleted_by_the_name_of_another_mount_does_not_make_two() {
    let done = "mkdir two && mount --bind state two && rm two/e.db*";
    replaced_under_a_leader(&["--mount"], done, "two/e.db");
}

#[test]
fn a_file_deleted_in_another_network_namespace_does_not_make_two() {
    replaced_under_a_leader(&["--net"], "rm -r state && mkdir state", "state/e.db");
}

#[test]
fn a_file_that_was_moved_away_does_not_make_two() {
    replaced_under_a_leader(&["--net"], "mv state/e.db state/old.db", "state/e.db");
}

#[test]
fn a_folder_that_was_moved_away_does_not_make_two() {
    replaced_under_a_leader(&["--net"], "mv state old", "state/e.db");
}

#[test]
fn a_backup_restored_under_a_leader_does_not_make_two() {
    let mut bed = Bed::new();
    // Before anybody led.
    let vacuum = format!(
        "VACUUM INTO '{}'",
        bed.fleet.dir().join("backup.db").display()
    );
    let database = rusqlite::Connection::open(&bed.file).unwrap();
    database.execute_batch(&vacuum).unwrap();
    drop(database);
    let (leader, before) = bed.led();
    // As often as it is frozen with the database locked, it goes on for a moment.
    let from = rusqlite::Connection::open(bed.fleet.dir().join("backup.db")).unwrap();
    loop {
        use rusqlite::backup::{Backup, StepResult};
        bed.fleet.signal(&leader, Signal::STOP);
        let mut to = rusqlite::Connection::open(&bed.file).unwrap();
        let copying = Backup::new(&from, &mut to).unwrap();
        if copying.step(-1).unwrap() == StepResult::Done {
            break;
        }
        drop(copying);
        bed.fleet.signal(&leader, Signal::CONT);
    }
    let file = bed.file.clone();
    bed.start(&file, &[]);
    bed.fleet.next_leader(&before);
    bed.fleet.verdict();
}

#[test]
fn a_symbolic_link_and_its_target_are_one_file_in_any_namespace() {
    let mut bed = Bed::new();
    let link = bed.fleet.dir().join("link.db");
    std::os::unix::fs::symlink("state/e.db", &link).unwrap();
    let first = bed.start(&link, &shell(&["--net"], "true"));
    let leader = bed.fleet.leader();
    let file = bed.file.clone();
    bed.start(&file, &shell(&["--net"], "true"));
    bed.fleet.campaigning();
    bed.fleet.signal(&first, Signal::KILL);
    assert!(bed.fleet.next_leader(&leader).token > leader.token);
    bed.fleet.verdict();
}

#[test]
fn two_mounts_of_a_shared_file_system_are_refused_before_anything_is_written() {
    let mut bed = Bed::new();
    let shared = bed.fleet.dir().join("shared");
    let mount = bed.fleet.dir().join("mount");
    fs::create_dir(&shared).unwrap();
    fs::create_dir(&mount).unwrap();
    let bindfs = format!("bindfs {} {}", shared.display(), mount.display());
    for path in ["e.db", "new/folder/e.db"] {
        for _ in 0..2 {
            let by = shell(&["--mount", "--net"], &bindfs);
            let other = bed.start(&mount.join(path), &by);
            bed.refused(&other, "several hosts can share (FUSE or virtiofs)");
        }
    }
    // To whoever looks, it is no election that has never been.
    let look = format!(
        "bindfs {} {mount} && exec {} status job --store sqlite:{mount}/e.db",
        shared.display(),
        env!("CARGO_BIN_EXE_incumbent"),
        mount = mount.display()
    );
    let looked = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", &look])
        .output()
        .unwrap();
    assert_eq!(looked.status.code(), Some(78), "{looked:?}");
    let shown = String::from_utf8_lossy(&looked.stdout);
    assert!(shown.contains("several hosts can share"), "{shown}");
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 0);
    // Without its folder a mount ends in every namespace, and the process that serves it too.
    fs::remove_dir(&mount).unwrap();
}

/// As the root of a container is one.
#[test]
fn an_overlay_with_a_local_writable_layer_is_used() {
    let mut bed = Bed::new();
    let script = format!(
        "cd {} && mkdir lower work merged && mount -t tmpfs tmpfs work && mkdir work/upper work/work && \
         mount -t overlay overlay -o lowerdir=lower,upperdir=work/upper,workdir=work/work merged",
        bed.fleet.dir().display()
    );
    let path = bed.fleet.dir().join("merged/e.db");
    bed.start(&path, &shell(&["--mount"], &script));
    bed.fleet.leader();
    bed.fleet.verdict();
}

#[test]
fn a_user_without_rights_to_the_file_blocks_nobody() {
    // It knows the path and all that is looked for, and the folder is no obstacle.
    const BLOCK: &str = r#"import fcntl, socket, struct, sys
path = sys.argv[1]
def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001b3) % 2**64
    return value
name = "\0incumbent-sqlite:%016x:%016x:1:0" % (fnv(path.encode()), 0)
witness = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
witness.bind(name)
F_OFD_SETLK = 37
for suffix in "", "-wal", "-shm", "-wake":
    try:
        file = open(path + suffix, "rb")
    except PermissionError:
        continue
    fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 1 << 62, 0, 0))
print("blocks", flush=True)
sys.stdin.read()"#;
    let mut bed = Bed::new();
    for folder in [bed.fleet.dir(), &bed.folder] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut blocker = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        // Where the system keeps it, anybody may run it.
        .args(["/usr/bin/python3", "-c", BLOCK])
        .arg(&bed.file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = blocker.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    assert_eq!(line, "blocks\n");
    bed.led();
    blocker.kill().unwrap();
    blocker.wait().unwrap();
    bed.fleet.verdict();
}

#[test]
fn a_process_in_a_time_namespace_is_refused() {
    let mut bed = Bed::new();
    let file = bed.file.clone();
    let by = shell(&["--time", "--boottime", "100000", "--fork"], "true");
    let other = bed.start(&file, &by);
    bed.refused(&other, "time namespace");
}
