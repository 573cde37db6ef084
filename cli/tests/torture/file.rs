//! The file that candidates of one host are elected on, and what is done to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rustix::process::Signal;

use super::arena::{Arena, nanos};
use super::plan::{Fault, Planned};
use super::strike::Undo;
use crate::field::candidate::Kind;
use crate::field::witness::boot_nanos;
use crate::support::file::long_in_use;

/// A file, old enough that no one waits for a leader in an earlier one.
pub(crate) struct StoreFile {
    path: PathBuf,
    /// A copy of it, as it once was.
    backup: Option<PathBuf>,
}

impl StoreFile {
    pub(crate) fn new(dir: &Path) -> Self {
        let folder = dir.join("state");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("e.db");
        long_in_use(&path);
        Self { path, backup: None }
    }

    pub(crate) fn url(&self) -> String {
        url(&self.path)
    }

    /// A connection to the file, if it is there.
    fn open(&self) -> Option<Connection> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
        Connection::open_with_flags(&self.path, flags).ok()
    }
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

impl Arena {
    pub(super) fn strike_file(&mut self, planned: Planned) -> bool {
        let Some(file) = &mut self.file else {
            return false;
        };
        let until = boot_nanos() + nanos(planned.lasts);
        let undo = match planned.fault {
            Fault::SecondName => {
                let undo = self.second_name(planned.pick);
                undo.map(|undo| (until + nanos(Duration::from_secs(1)), undo))
            }
            Fault::LockFile => {
                let locked = |database: &Connection| database.execute_batch("BEGIN IMMEDIATE");
                let database = file.open().filter(|database| locked(database).is_ok());
                database.map(|database| (until, Undo::Unlock(database)))
            }
            Fault::RestoreFile => match file.backup.take() {
                // From long before.
                Some(backup) if planned.pick.is_multiple_of(2) => {
                    Some((0, Undo::RestoreFile(backup)))
                }
                _ => {
                    let backup = self.fleet.dir().join(format!("{}.backup", boot_nanos()));
                    let into = format!("VACUUM INTO '{}'", backup.display());
                    let copied = |database: &Connection| database.execute_batch(&into);
                    let copied = file.open().filter(|database| copied(database).is_ok());
                    copied.map(|_| (until, Undo::RestoreFile(backup)))
                }
            },
            _ => {
                // Under a second name the old file would go on, as another one: both would be complete.
                let named = |(_, undo): &(u64, Undo)| matches!(undo, Undo::SecondName(..));
                if self.undo.iter().any(named) {
                    return false;
                }
                for entry in fs::read_dir(file.path.parent().unwrap()).unwrap() {
                    fs::remove_file(entry.unwrap().path()).unwrap();
                }
                return true;
            }
        };
        let struck = undo.is_some();
        self.undo.extend(undo);
        struck
    }

    /// Starts a candidate on the file by another name: a hard link, or a mount that only it sees.
    fn second_name(&mut self, pick: usize) -> Option<Undo> {
        let first = &self.file.as_ref()?.path;
        let second = self.fleet.dir().join(format!("{}.db", boot_nanos()));
        let by = if pick.is_multiple_of(2) {
            fs::hard_link(first, &second).ok()?;
            Vec::new()
        } else {
            fs::File::create_new(&second).unwrap();
            let mount = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
            let (first, second) = (first.to_str()?, second.to_str()?);
            ["unshare", "--mount", "sh", "-c", mount, first, second]
                .map(str::to_owned)
                .into()
        };
        self.prepare(0);
        let settings = self.fleet.settings();
        settings.stores = vec![url(&second)];
        settings.by = by;
        let name = self.fleet.start(Kind::Wrapper);
        self.fleet.settings().by.clear();
        self.note(&format!("{name} starts by the name {}", second.display()));
        Some(Undo::SecondName(name, second))
    }

    pub(super) fn end_of_file(&mut self, undo: Undo) {
        match undo {
            Undo::SecondName(name, second) => {
                self.fleet.signal(&name, Signal::KILL);
                self.fleet.ended(&name);
                fs::remove_file(second).unwrap();
                let spans = self.fleet.witness().read();
                let acted = spans.iter().any(|span| span.who == name);
                assert!(!acted, "{name} was not refused: {}", self.fleet.story());
            }
            Undo::RestoreFile(backup) => {
                let Some(file) = &mut self.file else { return };
                let from = Connection::open(&backup).unwrap();
                let restore = |mut to: Connection| Backup::new(&from, &mut to)?.step(-1);
                let what = match file.open().map(restore) {
                    Some(Ok(StepResult::Done)) => "restored",
                    _ => "not restored: the file is gone or in use",
                };
                file.backup = Some(backup);
                self.note(what);
            }
            Undo::Unlock(database) => drop(database),
            other => panic!("{other:?} is not of a file"),
        }
    }
}
