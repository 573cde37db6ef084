//! What elector and keeper say to each other over their socket pair.
//!
//! Each message is a frame: its length as four bytes, one byte for its kind, and its fields.
//! Both ends are the same binary, so there is no version; both ends parse what they get as untrusted
//! all the same, for a wedged or damaged process must not be able to wedge the other.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::contain::Containment;
use super::inherited::Inherited;
use super::plan::Cause;
use super::program::{Program, ProgramExit, StartFailure};
use incumbent::protocol::{Term, Timestamp};
use incumbent::store::Identity;

/// A message from the elector to the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ToKeeper {
    /// What the release hook needs to know, in its own form.
    Context(Vec<u8>),
    /// This candidate holds this term from now on.
    Hold {
        /// The holder.
        who: Identity,
        /// The term.
        term: Term,
    },
    /// The term is released, or lost: there is nothing to release any more.
    Released,
    /// Start a program.
    Start {
        /// What to start.
        program: Program,
        /// When all of it must be dead.
        deadline: Timestamp,
        /// How long before that it is asked to end.
        grace: Duration,
    },
    /// A newer deadline.
    Deadline(Timestamp),
    /// A signal for the program.
    Signal(Signal),
    /// Ask the program to end.
    Stop {
        /// When to kill it if it has not.
        by: Timestamp,
    },
    /// Kill the tree now.
    Kill,
}

/// A message from the keeper to the elector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FromKeeper {
    /// The keeper is up.
    Ready {
        /// How it contains the program.
        containment: Containment,
        /// Whether its memory is locked.
        memory_locked: bool,
        /// Whether it runs before every other process.
        real_time: bool,
    },
    /// The keeper is up, and cannot contain a program as it was asked to: why.
    Uncontained(String),
    /// The program runs.
    Started(Pid),
    /// The program could not be started.
    NotStarted(StartFailure),
    /// The program was asked to end.
    Stopping(Cause),
    /// The tree was killed.
    Killing(Cause),
    /// The program itself has ended.
    Exited(ProgramExit),
    /// The program has left these behind.
    LeftBehind(Vec<Pid>),
    /// These survive SIGKILL.
    Surviving(Vec<Pid>),
    /// Nothing of the program is left.
    Dead,
}

/// A message that can be put on the wire and taken off it.
pub(super) trait Message: Sized {
    /// Appends the frame of this message.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes the fields of a frame apart.
    fn read(frame: &[u8]) -> Result<Self, Malformed>;
}

/// The longest frame. A command line and an environment have at most 6 MiB on Linux.
pub(super) const LONGEST_FRAME: usize = 8 << 20;
/// The most survivors that are named.
pub(super) const MOST_SURVIVORS: usize = 8;
const LONGEST_CONTEXT: usize = 1 << 20;

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// A frame announces more than any message has.
    #[error("a message announces {0} bytes: at most {LONGEST_FRAME} are allowed")]
    TooLong(usize),
    /// A frame ends in the middle of a field.
    #[error("a message ends in the middle of its {0}")]
    Truncated(&'static str),
    /// A field holds something impossible.
    #[error("a message holds an impossible {0}")]
    Field(&'static str),
    /// There is more in the frame than in the message.
    #[error("a message is followed by {0} bytes that do not belong to it")]
    Trailing(usize),
}

/// The frames in a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: VecDeque<u8>,
}

impl Frames {
    /// Takes in what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// The next message, once all of it is there.
    pub(super) fn next<M: Message>(&mut self) -> Result<Option<M>, Malformed> {
        let mut length = [0; 4];
        if self.bytes.len() < length.len() {
            return Ok(None);
        }
        for (to, from) in length.iter_mut().zip(&self.bytes) {
            *to = *from;
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST_FRAME {
            return Err(Malformed::TooLong(length));
        }
        if self.bytes.len() < 4 + length {
            return Ok(None);
        }
        let frame: Vec<u8> = self.bytes.drain(..4 + length).skip(4).collect();
        if self.bytes.is_empty() {
            // A command line and an environment may have been large.
            self.bytes.shrink_to(1024);
        }
        M::read(&frame).map(Some)
    }
}

impl Message for ToKeeper {
    fn write(&self, out: &mut Vec<u8>) {
        let mut frame = Writer::new(out);
        match self {
            Self::Context(context) => {
                frame.kind(1);
                frame.bytes(context);
            }
            Self::Hold { who, term } => {
                frame.kind(2);
                frame.bytes(who.to_string().as_bytes());
                frame.number(term.get());
            }
            Self::Released => frame.kind(3),
            Self::Start {
                program,
                deadline,
                grace,
            } => {
                frame.kind(4);
                frame.number(deadline.as_nanos());
                frame.number(u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX));
                frame.number(u64::from(program.stdin));
                frame.signal(program.stop_signal);
                frame.number(program.inherited.blocked);
                frame.number(program.inherited.ignored);
                frame.number(program.command.len() as u64);
                for word in &program.command {
                    frame.bytes(word.as_bytes());
                }
                frame.number(program.environment.len() as u64);
                for (name, value) in &program.environment {
                    frame.bytes(name.as_bytes());
                    frame.bytes(value.as_bytes());
                }
            }
            Self::Deadline(deadline) => {
                frame.kind(5);
                frame.number(deadline.as_nanos());
            }
            Self::Signal(signal) => {
                frame.kind(6);
                frame.signal(*signal);
            }
            Self::Stop { by } => {
                frame.kind(7);
                frame.number(by.as_nanos());
            }
            Self::Kill => frame.kind(8),
        }
    }

    fn read(frame: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Reader::new(frame);
        let message = match fields.kind()? {
            1 => Self::Context(fields.bytes("context", LONGEST_CONTEXT)?.to_vec()),
            2 => Self::Hold {
                who: fields.identity()?,
                term: Term::new(fields.number("term")?).ok_or(Malformed::Field("term"))?,
            },
            3 => Self::Released,
            4 => {
                let deadline = fields.timestamp("deadline")?;
                let grace = Duration::from_nanos(fields.number("grace")?);
                Self::Start {
                    program: fields.program()?,
                    deadline,
                    grace,
                }
            }
            5 => Self::Deadline(fields.timestamp("deadline")?),
            6 => Self::Signal(fields.signal()?),
            7 => Self::Stop {
                by: fields.timestamp("end of patience")?,
            },
            8 => Self::Kill,
            _ => return Err(Malformed::Field("kind")),
        };
        fields.end()?;
        Ok(message)
    }
}

impl Message for FromKeeper {
    fn write(&self, out: &mut Vec<u8>) {
        let mut frame = Writer::new(out);
        match self {
            Self::Ready {
                containment,
                memory_locked,
                real_time,
            } => {
                frame.kind(1);
                let path = containment.cgroup.as_deref().unwrap_or(Path::new(""));
                frame.bytes(path.as_os_str().as_bytes());
                frame.number(u64::from(containment.pid_namespace));
                frame.number(u64::from(containment.hidden));
                frame.optional(containment.unfenced.as_deref());
                frame.number(u64::from(*memory_locked));
                frame.number(u64::from(*real_time));
            }
            Self::Uncontained(why) => {
                frame.kind(10);
                frame.bytes(why.as_bytes());
            }
            Self::Started(pid) => {
                frame.kind(2);
                frame.pid(*pid);
            }
            Self::NotStarted(failure) => {
                frame.kind(3);
                let (kind, errno) = match failure {
                    StartFailure::NotFound => (0, 0),
                    StartFailure::NotExecutable { errno } => (1, *errno),
                    StartFailure::System { errno } => (2, *errno),
                    StartFailure::TooLate => (3, 0),
                };
                frame.number(kind);
                frame.number(u64::from(errno.unsigned_abs()));
            }
            Self::Stopping(cause) => {
                frame.kind(4);
                frame.cause(*cause);
            }
            Self::Killing(cause) => {
                frame.kind(5);
                frame.cause(*cause);
            }
            Self::Exited(exit) => {
                frame.kind(6);
                let (kind, number) = match exit {
                    ProgramExit::Code(code) => (0, *code),
                    ProgramExit::Signal(signal) => (1, *signal),
                };
                frame.number(kind);
                frame.number(u64::from(number));
            }
            Self::Surviving(pids) => {
                frame.kind(7);
                frame.pids(pids);
            }
            Self::Dead => frame.kind(8),
            Self::LeftBehind(pids) => {
                frame.kind(9);
                frame.pids(pids);
            }
        }
    }

    fn read(frame: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Reader::new(frame);
        let message = match fields.kind()? {
            1 => {
                let path = fields.bytes("path of a cgroup", 4096)?.to_vec();
                Self::Ready {
                    containment: Containment {
                        cgroup: (!path.is_empty()).then(|| OsString::from_vec(path).into()),
                        pid_namespace: fields.flag()?,
                        hidden: fields.flag()?,
                        unfenced: fields.optional("reason")?,
                    },
                    memory_locked: fields.flag()?,
                    real_time: fields.flag()?,
                }
            }
            2 => Self::Started(fields.pid()?),
            3 => {
                let kind = fields.number("kind of failure")?;
                let errno = i32::try_from(fields.number("error number")?)
                    .map_err(|_| Malformed::Field("error number"))?;
                Self::NotStarted(match kind {
                    0 => StartFailure::NotFound,
                    1 => StartFailure::NotExecutable { errno },
                    2 => StartFailure::System { errno },
                    3 => StartFailure::TooLate,
                    _ => return Err(Malformed::Field("kind of failure")),
                })
            }
            4 => Self::Stopping(fields.cause()?),
            5 => Self::Killing(fields.cause()?),
            6 => {
                let kind = fields.number("kind of exit")?;
                let number = u8::try_from(fields.number("exit status")?)
                    .map_err(|_| Malformed::Field("exit status"))?;
                Self::Exited(match kind {
                    0 => ProgramExit::Code(number),
                    1 => ProgramExit::Signal(number),
                    _ => return Err(Malformed::Field("kind of exit")),
                })
            }
            7 => Self::Surviving(fields.pids()?),
            8 => Self::Dead,
            9 => Self::LeftBehind(fields.pids()?),
            10 => {
                let why = fields.bytes("refusal", 4096)?.to_vec();
                Self::Uncontained(String::from_utf8(why).map_err(|_| Malformed::Field("refusal"))?)
            }
            _ => return Err(Malformed::Field("kind")),
        };
        fields.end()?;
        Ok(message)
    }
}

/// Fields being written. The length of a frame is filled in when it is dropped.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    frame: Option<usize>,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend([0; 4]);
        Self {
            out,
            frame: Some(start),
        }
    }

    /// Fields without a frame around them.
    pub(super) const fn unframed(out: &'a mut Vec<u8>) -> Self {
        Self { out, frame: None }
    }

    fn kind(&mut self, kind: u8) {
        self.out.push(kind);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.out.extend(number.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend(bytes);
    }

    pub(super) fn optional(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        if let Some(text) = text {
            self.bytes(text.as_bytes());
        }
    }

    fn pid(&mut self, pid: Pid) {
        self.number(u64::from(pid.as_raw_nonzero().get().unsigned_abs()));
    }

    fn pids(&mut self, pids: &[Pid]) {
        let pids = &pids[..pids.len().min(MOST_SURVIVORS)];
        self.number(pids.len() as u64);
        for pid in pids {
            self.pid(*pid);
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.number(u64::from(signal.as_raw().unsigned_abs()));
    }

    fn cause(&mut self, cause: Cause) {
        self.number(match cause {
            Cause::Asked => 0,
            Cause::Deadline => 1,
            Cause::StopTimeout => 2,
            Cause::Orphaned => 3,
        });
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if let Some(start) = self.frame {
            let length = u32::try_from(self.out.len() - start - 4).unwrap_or(u32::MAX);
            self.out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Fields being read, none of them trusted.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Malformed::Truncated(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn kind(&mut self) -> Result<u8, Malformed> {
        self.take(1, "kind").map(|bytes| bytes[0])
    }

    pub(super) fn number(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut number = [0; 8];
        number.copy_from_slice(self.take(8, what)?);
        Ok(u64::from_le_bytes(number))
    }

    pub(super) fn count(&mut self, what: &'static str, most: usize) -> Result<usize, Malformed> {
        match usize::try_from(self.number(what)?) {
            Ok(count) if count <= most => Ok(count),
            Ok(_) | Err(_) => Err(Malformed::Field(what)),
        }
    }

    fn bytes(&mut self, what: &'static str, most: usize) -> Result<&'a [u8], Malformed> {
        let length = self.count(what, most)?;
        self.take(length, what)
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<String, Malformed> {
        let bytes = self.bytes(what, LONGEST_CONTEXT)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::Field(what))
    }

    pub(super) fn optional(&mut self, what: &'static str) -> Result<Option<String>, Malformed> {
        self.flag()?.then(|| self.text(what)).transpose()
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.number("flag")? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Field("flag")),
        }
    }

    fn timestamp(&mut self, what: &'static str) -> Result<Timestamp, Malformed> {
        self.number(what).map(Timestamp::from_nanos)
    }

    fn signal(&mut self) -> Result<Signal, Malformed> {
        i32::try_from(self.number("signal")?)
            .ok()
            .and_then(Signal::from_named_raw)
            .ok_or(Malformed::Field("signal"))
    }

    fn pid(&mut self) -> Result<Pid, Malformed> {
        i32::try_from(self.number("process id")?)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(Malformed::Field("process id"))
    }

    fn pids(&mut self) -> Result<Vec<Pid>, Malformed> {
        let count = self.count("number of processes", MOST_SURVIVORS)?;
        (0..count).map(|_| self.pid()).collect()
    }

    fn cause(&mut self) -> Result<Cause, Malformed> {
        Ok(match self.number("cause")? {
            0 => Cause::Asked,
            1 => Cause::Deadline,
            2 => Cause::StopTimeout,
            3 => Cause::Orphaned,
            _ => return Err(Malformed::Field("cause")),
        })
    }

    fn identity(&mut self) -> Result<Identity, Malformed> {
        let text = self.bytes("identity", 4096)?;
        std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(Malformed::Field("identity"))
    }

    /// A word without the byte that no command line and no environment can hold.
    fn word(&mut self, what: &'static str) -> Result<OsString, Malformed> {
        let word = self.bytes(what, LONGEST_FRAME)?;
        if word.contains(&0) {
            return Err(Malformed::Field(what));
        }
        Ok(OsString::from_vec(word.to_vec()))
    }

    fn program(&mut self) -> Result<Program, Malformed> {
        let stdin = self.flag()?;
        let stop_signal = self.signal()?;
        let inherited = Inherited {
            blocked: self.number("blocked signals")?,
            ignored: self.number("ignored signals")?,
        };
        let words = self.count("command", LONGEST_FRAME)?;
        let command = (0..words)
            .map(|_| self.word("command"))
            .collect::<Result<Vec<_>, _>>()?;
        if command.is_empty() {
            return Err(Malformed::Field("command"));
        }
        let variables = self.count("environment", LONGEST_FRAME)?;
        let environment = (0..variables)
            .map(|_| Ok((self.word("environment")?, self.word("environment")?)))
            .collect::<Result<BTreeMap<_, _>, Malformed>>()?;
        Ok(Program {
            command,
            environment,
            stdin,
            stop_signal,
            inherited,
        })
    }

    pub(super) fn end(self) -> Result<(), Malformed> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(Malformed::Trailing(left)),
        }
    }
}

#[cfg(test)]
mod tests;
