//! Writes log lines without ever blocking.
//!
//! The reader of the log may block (a pager, a stopped terminal, a full disk, a collector that hangs). A
//! process that waited for it could neither stop its program nor release its election, and one that exited
//! because of it would lose a healthy leadership. So a line that cannot be written at once is dropped and
//! counted; the count is logged before the next line that can be written.

use std::io::{self, Write};
use std::mem::take;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::LogFormat;
use crate::output::hidden::escaped_as;

/// What a writable pipe takes without blocking: `PIPE_BUF` of pipe(7).
const AT_ONCE: usize = 4096;

/// A file for lines that may be dropped.
#[derive(Debug)]
pub(crate) struct Outlet {
    way: Way,
    format: LogFormat,
    backlog: Mutex<Backlog>,
}

/// How to write without waiting.
#[derive(Debug)]
enum Way {
    /// To our own non-blocking file description: the program has the other one, and may rely on it blocking.
    Opened(OwnedFd),
    /// To a socket, with a flag on each call not to block.
    Socket(OwnedFd),
    /// To a file, which never waits for a reader.
    File(OwnedFd),
    /// To what cannot be opened again: polled before each write.
    Asked(OwnedFd),
}

#[derive(Debug, Default)]
struct Backlog {
    /// The rest of a partly written line.
    rest: Vec<u8>,
    /// How many lines were dropped since.
    lost: u64,
}

impl Outlet {
    /// Writes to the standard error of this process.
    ///
    /// # Errors
    ///
    /// When it is closed.
    pub(super) fn stderr(format: LogFormat) -> io::Result<Self> {
        Self::over(io::stderr().as_fd(), format)
    }

    fn over(file: BorrowedFd<'_>, format: LogFormat) -> io::Result<Self> {
        let kind = FileType::from_raw_mode(fstat(file)?.st_mode);
        let own = || file.try_clone_to_owned();
        let way = match kind {
            FileType::Socket => Way::Socket(own()?),
            FileType::Fifo | FileType::CharacterDevice => match opened_again(file) {
                Ok(opened) => Way::Opened(opened),
                Err(_) => Way::Asked(own()?),
            },
            _ => Way::File(own()?),
        };
        Ok(Self {
            way,
            format,
            backlog: Mutex::default(),
        })
    }

    /// Writes a line, newline included, if that is possible without blocking.
    pub(super) fn write_line(&self, line: &[u8]) {
        let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        if !backlog.rest.is_empty() {
            let rest = take(&mut backlog.rest);
            backlog.rest = self.put(&rest).to_vec();
        }
        if backlog.rest.is_empty() && backlog.lost > 0 {
            let notice = self.notice(backlog.lost);
            let rest = self.put(notice.as_bytes());
            if rest.len() < notice.len() {
                backlog.lost = 0;
                backlog.rest = rest.to_vec();
            }
        }
        if !backlog.rest.is_empty() || backlog.lost > 0 {
            backlog.lost += 1;
            return;
        }
        let rest = self.put(line);
        if rest.len() == line.len() {
            backlog.lost += 1;
        } else {
            backlog.rest = rest.to_vec();
        }
    }

    fn notice(&self, lost: u64) -> String {
        match self.format {
            LogFormat::Text => format!("log lines dropped: {lost}\n"),
            LogFormat::Json => format!(
                "{{\"level\":\"WARN\",\"message\":\"log lines dropped\",\"lost\":{lost}}}\n"
            ),
        }
    }

    /// Writes what can be written at once, and returns the rest.
    fn put<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = match &self.way {
                Way::Opened(file) | Way::File(file) => rustix::io::write(file, rest),
                Way::Socket(socket) => {
                    send(socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
                }
                Way::Asked(file) if !takes_something(file) => Err(Errno::AGAIN),
                Way::Asked(file) => {
                    let (part, _) = rest.split_at(rest.len().min(AT_ONCE));
                    rustix::io::write(file, part)
                }
            };
            match written {
                Ok(0) => break,
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                // There is nowhere to report the error.
                Err(_) => break,
            }
        }
        rest
    }
}

/// The same file in our own non-blocking description: the flag on the shared one would affect the program too.
fn opened_again(file: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
}

fn takes_something(file: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(file, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let [asked] = match poll(&mut asked, Some(&at_once)) {
        Ok(1..) => asked,
        Ok(0) | Err(_) => return false,
    };
    asked.revents().contains(PollFlags::OUT)
}

/// The writer of one line, which the formatter passes as a whole.
impl Write for &Outlet {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) => self.write_line(escaped_as(self.format, text).as_bytes()),
            Err(_) => self.write_line(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    const LINE: &[u8] = b"elected leader, in a line of a log that is as long as this one is\n";

    fn outlets() -> [(Outlet, Box<dyn Read>); 3] {
        let (reader, writer) = io::pipe().expect("a pipe");
        let (other, asked) = io::pipe().expect("a pipe");
        let (stream, socket) = UnixStream::pair().expect("sockets");
        let outlet = |file: BorrowedFd<'_>| Outlet::over(file, LogFormat::Json).expect("an outlet");
        let way = Way::Asked(asked.into());
        let backlog = Mutex::default();
        let format = LogFormat::Json;
        [
            (outlet(writer.as_fd()), Box::new(reader)),
            (
                Outlet {
                    way,
                    format,
                    backlog,
                },
                Box::new(other),
            ),
            (outlet(socket.as_fd()), Box::new(stream)),
        ]
    }

    #[test]
    fn who_does_not_read_makes_nobody_wait_and_learns_how_much_was_lost() {
        for (outlet, mut reader) in outlets() {
            let sent = 20_000;
            for _ in 0..sent {
                outlet.write_line(LINE);
            }
            let backlog = |outlet: &Outlet| {
                let backlog = outlet.backlog.lock().expect("no panic");
                (backlog.lost, backlog.rest.len())
            };
            let (lost, _) = backlog(&outlet);
            assert!(lost > 0 && lost < sent, "{outlet:?}");
            // A reader that continues gets whole lines, the number of dropped ones, and all that follow.
            let mut read = Vec::new();
            let mut part = vec![0; 1 << 20];
            let mut take = |read: &mut Vec<u8>| {
                let count = reader.read(&mut part).expect("it reads");
                read.extend(part.get(..count).expect("what was read"));
            };
            take(&mut read);
            let mut late = 0;
            while backlog(&outlet) != (0, 0) {
                outlet.write_line(LINE);
                late += 1;
                take(&mut read);
            }
            drop(outlet);
            reader.read_to_end(&mut read).expect("it reads");
            let text = String::from_utf8(read).expect("text");
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let whole = lines.iter().filter(|line| line.as_bytes() == LINE).count();
            let numbers = lines.iter().filter(|line| line.as_bytes() != LINE);
            let told: Vec<u64> = numbers
                .map(|line| {
                    let line: serde_json::Value =
                        serde_json::from_str(line).expect("a line of JSON");
                    line["lost"].as_u64().expect("a number")
                })
                .collect();
            let told: u64 = told.iter().sum();
            assert_eq!(whole as u64 + told, sent + late);
            assert!(told >= lost);
        }
    }

    #[test]
    fn a_reader_that_is_gone_ends_nobody() {
        for (outlet, reader) in outlets() {
            drop(reader);
            outlet.write_line(LINE);
            assert_eq!(outlet.backlog.lock().expect("no panic").lost, 1);
        }
    }
}
