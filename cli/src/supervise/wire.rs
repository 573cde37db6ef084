//! How messages travel between elector and keeper: each is a frame, its length in four bytes and then the
//! message in the form of `postcard`.
//!
//! Both ends are the same binary, so there is no version. Both ends check what they get all the same: a wedged
//! or damaged process must not be able to wedge the other.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};

/// The longest frame. A command line and an environment have at most 6 MiB on Linux.
const LONGEST_FRAME: usize = 8 << 20;
const LONGEST_CONTEXT: usize = 1 << 20;
/// The most processes that an event names.
pub(super) const MOST_PIDS: usize = 8;

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// A frame announces more than any message has.
    #[error("a message announces {0} bytes: at most {LONGEST_FRAME} are allowed")]
    TooLong(usize),
    /// A field is cut short, or holds something impossible.
    #[error("a message of {length} bytes cannot be read: {error}")]
    Unreadable {
        length: usize,
        error: postcard::Error,
    },
    /// There is more in the frame than in the message.
    #[error("a message is followed by {0} bytes that do not belong to it")]
    Trailing(usize),
}

/// Reads a message, and nothing after it.
pub(super) fn read<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, Malformed> {
    let length = bytes.len();
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(Malformed::Trailing(rest.len())),
        Err(error) => Err(Malformed::Unreadable { length, error }),
    }
}

/// The messages of the other side, as they arrive.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: VecDeque<u8>,
}

impl Inbox {
    /// Takes in what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// The next message, once all of it is there.
    pub(super) fn next<M: DeserializeOwned>(&mut self) -> Result<Option<M>, Malformed> {
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
        read(&frame).map(Some)
    }
}

/// The messages that the other side has not read yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
}

impl Outbox {
    /// How much the other side may leave unread before news is dropped.
    const MOST: usize = 64 << 10;

    /// Adds a message. One that could not be written, which none is, becomes an empty frame: the other side
    /// takes that for nonsense, and ends the program.
    pub(super) fn push(&mut self, message: &impl Serialize) {
        let body = postcard::to_stdvec(message).unwrap_or_default();
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(body);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether the other side reads so little that it may be frozen.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes.len() >= Self::MOST
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Writes as much as fits. The other side may be gone: reading finds that out, after what it had still to say.
    pub(super) fn flush(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) {
        while !self.bytes.is_empty() {
            match write(&self.bytes) {
                Ok(written) => {
                    self.bytes.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.bytes.clear(),
            }
        }
        // A command line and an environment may have been large.
        self.bytes.shrink_to(1024);
    }
}

/// Reads a value that must have a property besides its type.
pub(super) fn checked<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
    what: &str,
    is_valid: impl Fn(&T) -> bool,
) -> Result<T, D::Error> {
    let value = T::deserialize(from)?;
    is_valid(&value)
        .then_some(value)
        .ok_or_else(|| D::Error::custom(what))
}

pub(super) fn context<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    checked(from, "context", |it: &Vec<u8>| it.len() <= LONGEST_CONTEXT)
}

pub(super) fn pid<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    checked(from, "process id", |pid| *pid > 0)
}

pub(super) fn pids<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<i32>, D::Error> {
    checked(from, "process ids", |pids: &Vec<i32>| {
        pids.len() <= MOST_PIDS && pids.iter().all(|pid| *pid > 0)
    })
}

/// A command without the byte that no command line can hold.
pub(super) fn command<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<OsString>, D::Error> {
    checked(from, "command", |words: &Vec<OsString>| {
        !words.is_empty() && words.iter().all(is_word)
    })
}

/// The same for an environment.
pub(super) fn environment<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<OsString, OsString>, D::Error> {
    checked(
        from,
        "environment",
        |variables: &BTreeMap<OsString, OsString>| {
            let words = variables.iter().flat_map(|(name, value)| [name, value]);
            words.into_iter().all(is_word)
        },
    )
}

fn is_word(word: &OsString) -> bool {
    !word.as_bytes().contains(&0)
}

/// The form of a type that is not ours, in a module for serde's `with`. A form that is none of its values is
/// refused.
macro_rules! form {
    ($name:ident: $type:ty as $form:ty, $to:expr, $from:expr) => {
        pub(super) mod $name {
            use serde::de::Error;
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            pub(in super::super) fn serialize<S: Serializer>(
                value: &$type,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                let form: fn(&$type) -> $form = $to;
                form(value).serialize(to)
            }

            pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$type, D::Error> {
                let value: fn($form) -> Option<$type> = $from;
                value(<$form>::deserialize(from)?)
                    .ok_or_else(|| D::Error::custom(stringify!($name)))
            }
        }
    };
}

form!(identity: incumbent::store::Identity as String, ToString::to_string, |text| text.parse().ok());
form!(election: incumbent::protocol::ElectionName as String, ToString::to_string, |text| text.parse().ok());
form!(timestamp: incumbent::protocol::Timestamp as u64, |at| at.as_nanos(),
    |nanos| Some(incumbent::protocol::Timestamp::from_nanos(nanos)));
form!(signal: rustix::process::Signal as i32, |signal| signal.as_raw(),
    rustix::process::Signal::from_named_raw);
form!(path: std::path::PathBuf as std::ffi::OsString, |path| path.into(), |text| Some(text.into()));
form!(place: Option<std::path::PathBuf> as Option<std::ffi::OsString>, |path| path.clone().map(Into::into),
    |text| Some(text.map(Into::into)));
