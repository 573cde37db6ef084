//! Wake-ups: a release touches the file `PATH-wake`, and inotify notifies the others.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, UTIME_NOW, mknodat, utimensat,
};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::database::LastChange;
use crate::protocol::{ElectionName, Memory, Record};
use crate::store::{WakeUp, WakeUps, beside, is_free};

type Sender = mpsc::Sender<WakeUp>;

/// Who in this process waits for releases of which election.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Mutex<BTreeMap<ElectionName, Vec<Sender>>>);

impl Subscribers {
    pub(super) fn add(&self, election: &ElectionName) -> WakeUps {
        let (sender, receiver) = mpsc::channel(WakeUps::CAPACITY);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.entry(election.clone()).or_default();
        waiting.retain(|sender| !sender.is_closed());
        waiting.push(sender);
        WakeUps(receiver)
    }

    pub(super) fn is_empty(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.is_empty()
    }

    pub(super) fn elections(&self) -> Vec<ElectionName> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().cloned().collect()
    }

    /// Passes a record that is free to claim on to the waiting candidates.
    pub(super) fn tell(&self, election: &ElectionName, record: &Record, memory: Memory) {
        if !is_free(record) {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = all.get_mut(election) else {
            return;
        };
        // Each process reads the list of candidates at its own time: they would call different ones.
        let wake_up = WakeUp {
            record: record.clone(),
            memory,
            called: None,
        };
        // A full queue holds a release already; a closed one has no one waiting.
        waiting.retain(|sender| {
            let sent = sender.try_send(wake_up.clone());
            !matches!(sent, Err(mpsc::error::TrySendError::Closed(_)))
        });
        if waiting.is_empty() {
            all.remove(election);
        }
    }
}

/// The watch of the file that every release touches.
#[derive(Debug)]
pub(super) struct WakeFile {
    events: OwnedFd,
    /// What was passed on.
    pub(super) seen: LastChange,
}

impl WakeFile {
    /// How long a wake-up may take the thread's time.
    pub(super) const PATIENCE: Duration = Duration::from_millis(100);

    /// Begins to watch the file of the database at `path`, making it if it is missing. What happened up to `seen`
    /// is known.
    pub(super) fn watch(path: &Path, seen: LastChange) -> io::Result<Self> {
        let file = beside(path, "-wake");
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        make(&file)?;
        let changes = WatchFlags::ATTRIB | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        inotify::add_watch(&events, &file, changes)?;
        Ok(Self { events, seen })
    }

    pub(super) const fn events(&self) -> &OwnedFd {
        &self.events
    }

    /// Takes in what has happened to the file; false when it is no longer the one to watch.
    pub(super) fn drain(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut reader = inotify::Reader::new(&self.events, &mut buffer);
        let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED;
        loop {
            match reader.next() {
                Ok(event) if event.events().intersects(gone) => return false,
                Ok(_) => {}
                Err(Errno::WOULDBLOCK) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Wakes everyone who watches the file of the database at `path`.
    pub(super) fn touch(path: &Path) -> io::Result<()> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now,
            last_modification: now,
        };
        match utimensat(CWD, beside(path, "-wake"), &times, AtFlags::empty()) {
            // No one watches it yet.
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Makes an empty file, unless it is there, without opening it. Whether it was made. In a process that has the same file
/// open elsewhere, closing it would drop the locks of SQLite (`fcntl(2)`, "Record locking").
pub(super) fn make(file: &Path) -> io::Result<bool> {
    match mknodat(CWD, file, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
