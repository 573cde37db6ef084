//! The limits of this process on open files, on memory and the stack, on the size of files, and on processes.

use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use incumbent::election;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::exit::Failure;

/// How many open files a process may need: five stores with two connections each and their wakers, the event
/// loops, and the keeper.
const OPEN_FILES: u64 = 64;

/// How much memory a process may need, in bytes: its code, and the stacks of its threads.
const MEMORY: u64 = 128 << 20;

/// How much the main thread may need, in bytes.
const STACK: u64 = 512 << 10;

/// How large the files of an SQLite store may become, in bytes: SQLite lets its log grow to 4 MiB and more.
const FILE: u64 = 8 << 20;

/// How many threads and processes are started later: for a store, for its name, for HTTP, and the program.
const LATER: usize = 4;

/// Checks the limits that can be known in advance.
///
/// # Errors
///
/// When too few files may be open at a time, or there may be too little memory.
pub(crate) fn check() -> Result<(), Failure> {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < OPEN_FILES => Err(Failure::internal(format_args!(
            "the limit on open files (ulimit -n) is {limit}: raise it to {OPEN_FILES} or more"
        ))),
        Some(_) | None => {
            enough(Resource::As, MEMORY, "memory (ulimit -v)")?;
            enough(Resource::Data, MEMORY, "memory (ulimit -d)")
        }
    }
}

/// Checks that the main thread has room.
///
/// # Errors
///
/// When it has not.
pub(crate) fn check_stack() -> Result<(), Failure> {
    enough(Resource::Stack, STACK, "the stack (ulimit -s)")
}

/// Checks that the files of an SQLite store may grow as large as it needs.
///
/// # Errors
///
/// When they may not.
pub(crate) fn check_file_size() -> Result<(), Failure> {
    enough(
        Resource::Fsize,
        FILE,
        "the size of files (ulimit -f), which an SQLite store needs,",
    )
}

/// Checks a limit in bytes, which shells show in KiB.
fn enough(resource: Resource, needed: u64, what: &str) -> Result<(), Failure> {
    match getrlimit(resource).current {
        Some(limit) if limit < needed => Err(Failure::internal(format_args!(
            "the limit on {what} is {} KiB: raise it to {} or more",
            limit >> 10,
            needed >> 10
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Starts the threads of the elections, and checks that later ones can be started too: otherwise
/// a candidate would wait forever for a store that needs one.
///
/// # Errors
///
/// When there may be no more of them.
pub(crate) fn start_threads() -> Result<(), Failure> {
    let (ends, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let later = |_| {
        let wait = Arc::clone(&wait);
        // It ends when the sender is dropped.
        let until_dropped = move || wait.lock().is_ok_and(|wait| wait.recv().is_ok());
        thread::Builder::new().spawn(until_dropped)
    };
    let started = election::start().and_then(|()| {
        let tried: io::Result<Vec<_>> = (0..LATER).map(later).collect();
        tried
    });
    drop(ends);
    let tried = started.map_err(|error| refused("a thread cannot be started", &error))?;
    for one in tried {
        one.join()
            .map_err(|_| Failure::internal("a thread has panicked"))?;
    }
    Ok(())
}

/// An operation that the system refused, and the limit that caused it.
pub(crate) fn refused(what: &str, error: &io::Error) -> Failure {
    let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    let limit = |resource| match getrlimit(resource).current {
        Some(limit) => limit.to_string(),
        None => "unlimited".to_owned(),
    };
    if is(Errno::AGAIN) {
        let limit = limit(Resource::Nproc);
        return Failure::internal(format_args!(
            "{what}: the limit on processes and threads of this user (ulimit -u, or TasksMax= of the unit) is \
             reached; ulimit -u is {limit}"
        ));
    }
    if is(Errno::MFILE) {
        let limit = limit(Resource::Nofile);
        return Failure::internal(format_args!(
            "{what}: the limit on open files (ulimit -n) of {limit} is reached"
        ));
    }
    Failure::internal(format_args!("{what}: {error}"))
}
