//! Configuring an election: everything is checked here, once.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

use super::guard::KillHook;
use super::observer::Observer;
use super::setup::Setup;
use super::slot::Slot;
use super::{ConfigError, Election, Lease, TimingChoices};
use crate::observe::Counters;
use crate::protocol::{CandidateId, ElectionName, Timing};
use crate::store::{self, Password, Store, StoreAddress, StoreOptions};

/// What happens when the work has not ended by its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overrun {
    /// The process kills itself with SIGKILL: nothing else ends a thread that does not return, and a SIGABRT
    /// handler would let it continue. This is the default, and the only choice with which no two act however
    /// the work behaves.
    #[default]
    Kill,
    /// It is only reported, as an event and in the log. For callers whose work ends by other means, and for
    /// those whose resource checks the fencing token.
    Report,
}

/// The configuration of an [`Election`].
pub type ElectionBuilder = Builder<Election>;

/// The configuration of what is elected on some stores: an [`Election`], or the locks of a
/// [`Locks`](crate::lock::Locks).
#[must_use]
pub struct Builder<Target> {
    name: String,
    target: PhantomData<fn() -> Target>,
    sources: Vec<Source>,
    options: StoreOptions,
    timing: TimingChoices,
    ephemeral: bool,
    label: Option<String>,
    overrun: Overrun,
    before_kill: KillHook,
}

#[derive(Clone)]
enum Source {
    Address(String),
    Object(Arc<dyn Store>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An address may hold a password.
            Self::Address(_) => f.write_str("an address"),
            Self::Object(store) => f.write_str(store.label()),
        }
    }
}

impl<Target> Builder<Target> {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            target: PhantomData,
            sources: Vec::new(),
            options: StoreOptions::default(),
            timing: TimingChoices::default(),
            ephemeral: false,
            label: None,
            overrun: Overrun::default(),
            before_kill: KillHook::default(),
        }
    }

    /// Adds a store by its address, such as `redis://127.0.0.1/`. Several stores form a quorum: give
    /// 1, 3 or 5 independent ones.
    pub fn store(mut self, address: impl Into<String>) -> Self {
        self.sources.push(Source::Address(address.into()));
        self
    }

    /// Adds a store of your own, a [`MemoryStore`](crate::store::MemoryStore), or an `Arc` of a store that others
    /// use too. Its operations have its own timeout, which should not be longer than the timing's `op_timeout`.
    pub fn store_object(mut self, store: impl Store) -> Self {
        self.sources.push(Source::Object(Arc::new(store)));
        self
    }

    /// The prefix of all keys on a Redis: [`StoreOptions::key_prefix`]. It applies to stores given by address.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.options = self.options.key_prefix(prefix);
        self
    }

    /// The user name for the stores whose address has none.
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.options = self.options.username(name);
        self
    }

    /// Where the password comes from for the stores whose address has none.
    pub fn password(mut self, password: impl Into<Password>) -> Self {
        self.options = self.options.password(password);
        self
    }

    /// The whole timing at once. The setters below change one value of it each.
    pub fn timing(mut self, timing: impl Into<TimingChoices>) -> Self {
        self.timing = timing.into();
        self
    }

    /// The time within which a dead host is replaced: the whole timing follows from it, except for values that are
    /// set separately. See [`TimingChoices`].
    pub fn failover(mut self, failover: Duration) -> Self {
        self.timing.failover = Some(failover);
        self
    }

    /// The time between two heartbeats: [`TimingConfig::interval`](crate::protocol::TimingConfig::interval).
    pub fn interval(mut self, interval: Duration) -> Self {
        self.timing.interval = Some(interval);
        self
    }

    /// How many polls a counter must stall: [`TimingConfig::stall_polls`](crate::protocol::TimingConfig::stall_polls).
    pub fn stall_polls(mut self, polls: u32) -> Self {
        self.timing.stall_polls = Some(polls);
        self
    }

    /// How long before the end of its tenure the work is asked to stop: [`TimingConfig::stop_grace`](crate::protocol::TimingConfig::stop_grace).
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.timing.stop_grace = Some(grace);
        self
    }

    /// How long one request to a store may take: [`TimingConfig::op_timeout`](crate::protocol::TimingConfig::op_timeout).
    pub fn op_timeout(mut self, timeout: Duration) -> Self {
        self.timing.op_timeout = Some(timeout);
        self
    }

    /// How long to wait before acting on stores that may have lost a leader's record:
    /// [`TimingConfig::probation`](crate::protocol::TimingConfig::probation).
    pub fn probation(mut self, probation: Duration) -> Self {
        self.timing.probation = Some(probation);
        self
    }

    /// Whether the stores keep nothing of the election once it is released: no record and no history. For names that
    /// are many and short-lived, such as one for each order. Fencing tokens rise all the same. Default: false.
    ///
    /// A record stays behind if its leader dies without a release, until someone campaigns for that name and
    /// releases it, and while an operator's pause stands. All candidates of an election should agree on this; if they
    /// do not, each of them does what it says.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::Election;
    /// use incumbent::store::{MemoryStore, Store};
    /// use std::sync::Arc;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let store: Arc<dyn Store> = Arc::new(MemoryStore::new("example"));
    /// let order = Election::builder("order:42")
    ///     .store_object(store.clone())
    ///     .ephemeral(true)
    ///     .build()?;
    /// order.campaign().await?.resign().await;
    /// assert!(store.elections().await?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ephemeral(mut self, ephemeral: bool) -> Self {
        self.ephemeral = ephemeral;
        self
    }

    /// The first part of the ids of this program's candidacies. Default: host and process id. A random part
    /// keeps programs with the same label apart.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What happens when the work has not ended by its deadline.
    pub fn overrun(mut self, overrun: Overrun) -> Self {
        self.overrun = overrun;
        self
    }

    /// Calls `hook` on a separate thread right before [`Overrun::Kill`] kills the process, for example to save a
    /// trace. The process is killed when it returns, and 5 ms later at the latest.
    pub fn before_kill(mut self, hook: impl Fn(&Lease) + Send + Sync + 'static) -> Self {
        self.before_kill = KillHook(Arc::new(hook));
        self
    }

    /// All of it but the name, checked.
    pub(crate) fn setup(self, is_quiet: bool) -> Result<Setup, ConfigError> {
        let timing = Timing::new(&self.timing.config()?)?;
        let options = self.options.op_timeout(timing.op_timeout());
        let mut stores: Vec<Arc<dyn Store>> = Vec::with_capacity(self.sources.len());
        for source in self.sources {
            stores.push(match source {
                Source::Object(store) => store,
                Source::Address(text) => {
                    let address: StoreAddress = text.parse()?;
                    store::open(&address, &options)?
                }
            });
        }
        let electorate = Observer::check(&stores)?;
        let counters = Counters::new(stores.len());
        let host = host();
        let label = match self.label {
            Some(label) => checked(label)?,
            None => format!("{host}:{}", std::process::id()),
        };
        Ok(Setup {
            stores,
            electorate,
            timing,
            ephemeral: self.ephemeral,
            label: label.into(),
            host: host.into(),
            overrun: self.overrun,
            before_kill: self.before_kill,
            is_quiet,
            events: OnceLock::new(),
            counters,
            containment: OnceLock::new(),
            compared: Slot::default(),
            conflict: Slot::default(),
            candidacies: watch::Sender::new(0),
        })
    }
}

impl ElectionBuilder {
    /// Checks the configuration. It does not connect yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the part that is invalid.
    pub fn build(self) -> Result<Election, ConfigError> {
        let name = ElectionName::new(&self.name)?;
        let setup = Arc::new(self.setup(false)?);
        Ok(Election::of(name, setup))
    }
}

impl<Target> Clone for Builder<Target> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            target: PhantomData,
            sources: self.sources.clone(),
            options: self.options.clone(),
            timing: self.timing.clone(),
            ephemeral: self.ephemeral,
            label: self.label.clone(),
            overrun: self.overrun,
            before_kill: self.before_kill.clone(),
        }
    }
}

impl<Target> fmt::Debug for Builder<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("sources", &self.sources)
            .field("timing", &self.timing)
            .field("overrun", &self.overrun)
            .finish_non_exhaustive()
    }
}

/// A label must leave room for the random part of an id.
fn checked(label: String) -> Result<String, ConfigError> {
    match CandidateId::new(&format!("{label}:{}", "0".repeat(16))) {
        Ok(_) => Ok(label),
        Err(source) => Err(ConfigError::Label { label, source }),
    }
}

/// The host's name, with characters replaced that an id cannot hold.
fn host() -> String {
    let name: String = gethostname::gethostname()
        .to_string_lossy()
        .chars()
        .take(100)
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '-'
            }
        })
        .collect();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}
