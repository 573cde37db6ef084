//! A candidate as a store lists it, and the text by which it does.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::StoreList;
use crate::protocol::{CandidateId, HostName, InvalidText, Timing, TimingConfig};
use crate::values::check_word;

/// A candidate as people look for it: which process on which host.
///
/// Its fields obey the same character rule as [`CandidateId`], so the text form
/// `id|host|pid|version`, with `|timing`, `|containment` and `|stores` behind it when they are known, can
/// always be taken apart again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    id: CandidateId,
    host: Arc<str>,
    pid: u32,
    version: Arc<str>,
    timing: Option<Arc<Timing>>,
    containment: Option<Arc<str>>,
    stores: Option<StoreList>,
}

impl Identity {
    /// The longest version, in bytes.
    pub const MAX_BYTES: usize = 253;

    /// The longest word for how a program is contained, in bytes.
    pub const MAX_CONTAINMENT_BYTES: usize = 40;

    /// Checks and assembles an identity.
    ///
    /// # Errors
    ///
    /// [`InvalidText`] when `host` or `version` breaks the character rule.
    pub fn new(id: CandidateId, host: &str, pid: u32, version: &str) -> Result<Self, InvalidText> {
        check_word("host name", host, HostName::MAX_BYTES)?;
        check_word("version", version, Self::MAX_BYTES)?;
        Ok(Self {
            id,
            host: host.into(),
            pid,
            version: version.into(),
            timing: None,
            containment: None,
            stores: None,
        })
    }

    /// The same candidate, with the timing by which it campaigns.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self {
            timing: Some(Arc::new(timing)),
            ..self
        }
    }

    /// The same candidate, with what holds the processes of its program together.
    ///
    /// # Errors
    ///
    /// [`InvalidText`] when `containment` breaks the character rule.
    pub fn with_containment(self, containment: &str) -> Result<Self, InvalidText> {
        check_word("containment", containment, Self::MAX_CONTAINMENT_BYTES)?;
        Ok(Self {
            containment: Some(containment.into()),
            ..self
        })
    }

    /// The same candidate, which publishes the stores that it uses.
    #[must_use]
    pub fn with_stores(self, stores: StoreList) -> Self {
        Self {
            stores: Some(stores),
            ..self
        }
    }

    /// Another candidate of the same process.
    pub(crate) fn with_id(self, id: CandidateId) -> Self {
        Self { id, ..self }
    }

    /// The id of the candidacy.
    #[must_use]
    pub const fn id(&self) -> &CandidateId {
        &self.id
    }

    /// The host it runs on.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its process id on that host.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// The version of `incumbent` it runs.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The timing by which it campaigns, if known.
    #[must_use]
    pub fn timing(&self) -> Option<&Timing> {
        self.timing.as_deref()
    }

    /// The label that somebody gave it; nothing if it is the default, host and process id.
    #[must_use]
    pub fn given_label(&self) -> Option<&str> {
        let label = self.id.label();
        let own = label
            .strip_prefix(&*self.host)
            .and_then(|rest| rest.strip_prefix(':'));
        let is_default = own.is_some_and(|pid| pid == self.pid.to_string());
        (!is_default && label != self.id.as_str()).then_some(label)
    }

    /// What holds the processes of its program together, if it has a program and this is known.
    #[must_use]
    pub fn containment(&self) -> Option<&str> {
        self.containment.as_deref()
    }

    /// The stores that it uses, if known.
    #[must_use]
    pub const fn stores(&self) -> Option<&StoreList> {
        self.stores.as_ref()
    }
}

/// Writes `id|host|pid|version`, and behind it `|interval/stall_polls/op_timeout/stop_grace/probation`,
/// in nanoseconds, `|containment` and `|stores`, up to the last one that is known. Those before it that are
/// not known are empty.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}|{}", self.id, self.host, self.pid, self.version)?;
        match &self.timing {
            Some(timing) => write!(
                f,
                "|{}/{}/{}/{}/{}",
                timing.interval().as_nanos(),
                timing.stall_polls(),
                timing.op_timeout().as_nanos(),
                timing.stop_grace().as_nanos(),
                timing.probation().as_nanos()
            )?,
            None if self.containment.is_some() || self.stores.is_some() => f.write_str("|")?,
            None => {}
        }
        match (&self.containment, &self.stores) {
            (None, None) => Ok(()),
            (Some(containment), None) => write!(f, "|{containment}"),
            (None, Some(stores)) => write!(f, "||{stores}"),
            (Some(containment), Some(stores)) => write!(f, "|{containment}|{stores}"),
        }
    }
}

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let mut parts = text.splitn(7, '|');
        let mut next = || parts.next().ok_or(InvalidIdentity::Incomplete);
        let (id, host, pid, version) = (next()?, next()?, next()?, next()?);
        let pid = pid.parse().map_err(|_| InvalidIdentity::Pid {
            text: pid.chars().take(20).collect(),
        })?;
        let identity = Self::new(CandidateId::new(id)?, host, pid, version)?;
        let [timing, containment, stores] = [parts.next(), parts.next(), parts.next()];
        let identity = match timing {
            None => identity,
            Some("") if containment.is_some() => identity,
            Some(timing) => identity.with_timing(timing_of(timing)?),
        };
        let identity = match containment {
            None => identity,
            Some("") if stores.is_some() => identity,
            Some(containment) => identity.with_containment(containment)?,
        };
        Ok(match stores {
            None => identity,
            Some(stores) => identity.with_stores(stores.parse()?),
        })
    }
}

fn timing_of(text: &str) -> Result<Timing, InvalidIdentity> {
    let wrong = |reason: String| InvalidIdentity::Timing { reason };
    let mut parts = text.splitn(5, '/').map(str::parse::<u64>);
    let mut next = || match parts.next() {
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) | None => Err(wrong("it is not five numbers".to_owned())),
    };
    let (interval, stall_polls) = (next()?, next()?);
    let (op_timeout, stop_grace, probation) = (next()?, next()?, next()?);
    Timing::new(&TimingConfig {
        interval: Duration::from_nanos(interval),
        // More polls than that make a window that is refused anyway.
        stall_polls: u32::try_from(stall_polls).unwrap_or(u32::MAX),
        op_timeout: Some(Duration::from_nanos(op_timeout)),
        stop_grace: Duration::from_nanos(stop_grace),
        probation: Some(Duration::from_nanos(probation)),
    })
    .map_err(|error| wrong(error.to_string()))
}

/// Why a text does not identify a candidate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentity {
    /// A part of it.
    #[error(transparent)]
    Part(#[from] InvalidText),
    /// It has fewer than four parts.
    #[error("a candidate is written id|host|pid|version, and a part is missing")]
    Incomplete,
    /// The process id is not a number.
    #[error("the process id {text:?} is not a number")]
    Pid {
        /// Its first characters.
        text: String,
    },
    /// The stores are not digests of addresses.
    #[error("the stores of a candidate are written as one to {max} digests of 8 digits, and {text:?} is not", max = StoreList::MAX)]
    Stores {
        /// Its first characters.
        text: String,
    },
    /// The timing is not five numbers, or one that is not valid.
    #[error(
        "the timing of a candidate is written interval/stall_polls/op_timeout/stop_grace/probation, in \
         nanoseconds: {reason}"
    )]
    Timing {
        /// What is wrong with it.
        reason: String,
    },
}
