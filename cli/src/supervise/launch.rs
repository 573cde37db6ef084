//! Starts the keeper: this binary again, with one end of a socket pair.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{Pid, getpid, set_child_subreaper};

use super::children;
use super::contain::Contain;
use super::fence::Fence;

/// The hidden first argument that makes this binary a keeper.
const ROLE: &str = "__keeper";

/// How to start a keeper.
#[derive(Clone, Debug)]
pub struct Launch {
    executable: PathBuf,
    contain: Contain,
    fence: bool,
    environment: Vec<(&'static str, &'static str)>,
}

impl Default for Launch {
    fn default() -> Self {
        Self::new()
    }
}

impl Launch {
    /// A keeper that runs this executable, even if the file was replaced or deleted since, and that contains the
    /// program by what is permitted and not noticed.
    #[must_use]
    pub fn new() -> Self {
        Self {
            executable: "/proc/self/exe".into(),
            contain: Contain::Auto,
            fence: true,
            environment: Vec::new(),
        }
    }

    /// Uses another executable. It must be one that calls [`Entry::take`].
    #[must_use]
    pub fn executable(mut self, executable: impl Into<PathBuf>) -> Self {
        self.executable = executable.into();
        self
    }

    /// What the keeper contains the program by.
    #[must_use]
    pub const fn contain(mut self, contain: Contain) -> Self {
        self.contain = contain;
        self
    }

    /// Whether the program may send no packet after its deadline, where that can be enforced.
    #[must_use]
    pub const fn fence(mut self, fence: bool) -> Self {
        self.fence = fence;
        self
    }

    /// Sets a variable of the keeper's environment. The program does not see it.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// Starts the keeper, and makes this process the reaper of whatever the keeper could leave behind.
    ///
    /// Call it early, while this process is small and has no open files.
    ///
    /// # Errors
    ///
    /// When the system refuses a process, or `/proc` is not mounted.
    pub fn start(self) -> io::Result<Launched> {
        set_child_subreaper(Some(getpid()))?;
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        let mut command = Command::new(&self.executable);
        command
            .envs(self.environment)
            .arg0("incumbent: keeper")
            .arg(ROLE)
            .arg(theirs.as_raw_fd().to_string())
            .arg(self.contain.word());
        pass(&mut command, theirs);
        let fence = if self.fence {
            Fence::new()
        } else {
            Err(Errno::CANCELED.into())
        };
        let fence = match fence {
            Ok((fence, map)) => {
                command.arg(map.as_raw_fd().to_string());
                pass(&mut command, map);
                Some(fence)
            }
            Err(error) => {
                // Instead of a descriptor the keeper gets the reason.
                command.arg((-error.raw_os_error().unwrap_or(0)).to_string());
                None
            }
        };
        let pid = children::spawn(&mut command)?;
        Ok(Launched {
            pid,
            pipe: ours,
            fence,
        })
    }
}

/// Lets the child, and no other child that another thread starts meanwhile, inherit a descriptor.
#[expect(unsafe_code, reason = "the child runs a closure between fork and exec")]
fn pass(command: &mut Command, descriptor: OwnedFd) {
    // SAFETY: the closure makes one system call on a descriptor it owns, and allocates nothing.
    unsafe {
        command.pre_exec(move || Ok(fcntl_setfd(&descriptor, FdFlags::empty())?));
    }
}

/// A keeper that was started and not yet attached to a runtime.
#[derive(Debug)]
pub struct Launched {
    pub(super) pid: Pid,
    pub(super) pipe: UnixStream,
    /// What is to fence the program in.
    pub(super) fence: Option<Fence>,
}

/// What this process was started with, when it was started to be a keeper.
#[derive(Debug)]
pub struct Entry {
    pub(super) pipe: UnixStream,
    pub(super) contain: Contain,
    /// The map of the fence, or why there is none.
    pub(super) fence: io::Result<OwnedFd>,
}

impl Entry {
    /// Looks whether this process was started to be a keeper. If so, closes every descriptor it
    /// inherited besides standard input, output and error, and its pipe.
    ///
    /// Call it first thing in `main`.
    ///
    /// # Errors
    ///
    /// When the hidden role was not started by [`Launch::start`].
    #[must_use]
    pub fn take() -> Option<io::Result<Self>> {
        let mut arguments = std::env::args_os().skip(1);
        (arguments.next()? == ROLE).then(|| Self::parse(arguments))
    }

    fn parse(mut arguments: impl Iterator<Item = OsString>) -> io::Result<Self> {
        let misused = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the keeper cannot be started by hand: use `incumbent run`",
            )
        };
        let number = arguments
            .next()
            .and_then(|text| text.to_str()?.parse::<RawFd>().ok())
            .filter(|number| *number > 2)
            .ok_or_else(misused)?;
        let word = arguments.next().ok_or_else(misused)?;
        let mut known = Contain::ALL.into_iter();
        let contain = known.find(|one| word == one.word()).ok_or_else(misused)?;
        let map = arguments
            .next()
            .and_then(|text| text.to_str()?.parse::<RawFd>().ok())
            .ok_or_else(misused)?;
        let is_a = |kind: &str, number| {
            let target = fs::read_link(format!("/proc/self/fd/{number}"));
            target.is_ok_and(|target| {
                target
                    .as_os_str()
                    .as_encoded_bytes()
                    .starts_with(kind.as_bytes())
            })
        };
        if !is_a("socket:", number) || (map > 0 && !is_a("anon_inode:bpf-map", map)) {
            return Err(misused());
        }
        let pipe = adopt(number)?.into();
        let fence = match map {
            1.. => adopt(map),
            reason => Err(io::Error::from_raw_os_error(-reason)),
        };
        close_all_but([number, map])?;
        Ok(Self {
            pipe,
            contain,
            fence,
        })
    }
}

/// Takes ownership of a descriptor inherited from our parent.
#[expect(
    unsafe_code,
    reason = "a descriptor that was inherited has only a number"
)]
fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: our parent opened it for us, and at this point nothing else in this process owns a descriptor above 2.
    let inherited = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&inherited, FdFlags::CLOEXEC)?;
    Ok(inherited)
}

/// Closes inherited descriptors: they must not reach the program, nor stay open in the keeper.
#[expect(
    unsafe_code,
    reason = "a descriptor that was inherited has only a number"
)]
fn close_all_but(kept: [RawFd; 2]) -> io::Result<()> {
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        open.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    // The listing's own descriptor is among them, and is closed by now.
    open.retain(|number| {
        *number > 2
            && !kept.contains(number)
            && fs::read_link(format!("/proc/self/fd/{number}")).is_ok()
    });
    for number in open {
        // SAFETY: it is open, and nothing in this process owns it, as above.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}
