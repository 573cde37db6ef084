//! The election as a program holds it: its leader, its events, and the way to a campaign.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::Stream;
use tokio::sync::broadcast;

use super::setup::Setup;
use super::standing::Command;
use super::{BlockingElection, ElectionBuilder, Lease, Observer, Operator, Shared, clock};
use crate::observe::{CandidateView, ElectionEvent, ElectionView, HistoryView, Metrics};
use crate::protocol::{ElectionName, InvalidText, LossReason, Timestamp, Timing};
use crate::store::Store;

/// An election, ready to campaign in. Cheap to clone; every campaign is a new candidacy.
///
/// # Examples
///
/// ```
/// use incumbent::Election;
/// use incumbent::store::MemoryStore;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let election = Election::builder("billing")
///     .store_object(MemoryStore::new("example"))
///     .build()?;
/// let leadership = election.campaign().await?;
/// leadership.check()?;
/// println!("leading, token {}", leadership.fencing_token());
/// leadership.resign().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Election {
    pub(super) shared: Arc<Shared>,
}

impl Election {
    /// How many events a slow subscriber may fall behind before it misses some.
    pub const EVENTS_KEPT: usize = 256;

    pub(crate) fn of(name: ElectionName, setup: Arc<Setup>) -> Self {
        Self {
            shared: Arc::new(Shared::new(name, setup)),
        }
    }

    /// Begins the configuration of an election.
    pub fn builder(name: impl Into<String>) -> ElectionBuilder {
        ElectionBuilder::new(name.into())
    }

    /// Makes later campaigns publish, in one word, what holds the processes of the supervised program together,
    /// so that it shows in the status of the election. Only the first call counts.
    ///
    /// # Errors
    ///
    /// [`InvalidText`] when it is not such a word: see [`Identity::with_containment`](crate::store::Identity::with_containment).
    pub fn tell_containment(&self, containment: &str) -> Result<(), InvalidText> {
        self.operator_identity().with_containment(containment)?;
        self.shared.containment.get_or_init(|| containment.into());
        Ok(())
    }

    /// The name of the election.
    #[must_use]
    pub fn name(&self) -> &ElectionName {
        &self.shared.name
    }

    /// Its timing.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.shared.timing
    }

    /// Its stores, in configuration order.
    #[must_use]
    pub fn stores(&self) -> &[Arc<dyn Store>] {
        &self.shared.stores
    }

    /// The events of all campaigns from now on. A receiver that falls behind by more than
    /// [`Election::EVENTS_KEPT`] misses the oldest, and gets an error that says so.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::Election;
    /// use incumbent::observe::EventKind;
    /// use incumbent::store::MemoryStore;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let election = Election::builder("billing")
    ///     .store_object(MemoryStore::new("example"))
    ///     .build()?;
    /// let mut events = election.events();
    /// let seen = tokio::spawn(async move {
    ///     let mut seen = Vec::new();
    ///     // Called for whatever happens here.
    ///     while let Ok(event) = events.recv().await {
    ///         match event.kind {
    ///             EventKind::Elected { .. } => seen.push("elected"),
    ///             EventKind::Released { .. } => {
    ///                 seen.push("released");
    ///                 break;
    ///             }
    ///             _ => {}
    ///         }
    ///     }
    ///     seen
    /// });
    /// election.campaign().await?.resign().await;
    /// assert_eq!(seen.await?, ["elected", "released"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<ElectionEvent> {
        let new = || broadcast::Sender::new(Self::EVENTS_KEPT);
        self.shared.events.get_or_init(new).subscribe()
    }

    /// The election as a majority of its stores shows it now: its leader, its candidates, and what each store
    /// says. It takes one round trip. Like the methods below, it needs no campaign.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::Election;
    /// use incumbent::store::MemoryStore;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let election = Election::builder("billing")
    ///     .store_object(MemoryStore::new("example"))
    ///     .build()?;
    /// let leadership = election.campaign().await?;
    /// let status = election.status().await;
    /// let leader = status.leader().expect("there is a leader");
    /// assert_eq!(leader.term, leadership.fencing_token());
    /// assert!(!leader.is_stalled());
    /// assert!(status.paused.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn status(&self) -> ElectionView {
        self.observer().view(self.name()).await
    }

    /// The candidates, the leader first.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::Election;
    /// use incumbent::store::MemoryStore;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let election = Election::builder("billing")
    ///     .store_object(MemoryStore::new("example"))
    ///     .build()?;
    /// let leadership = election.campaign().await?;
    /// let candidates = election.candidates().await;
    /// assert!(candidates[0].leads);
    /// assert_eq!(candidates[0].identity.pid(), std::process::id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn candidates(&self) -> Vec<CandidateView> {
        self.status().await.candidates
    }

    /// The last `terms` leaderships, newest first.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::Election;
    /// use incumbent::observe::Ending;
    /// use incumbent::store::MemoryStore;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let election = Election::builder("billing")
    ///     .store_object(MemoryStore::new("example"))
    ///     .build()?;
    /// election.campaign().await?.resign().await;
    /// let leadership = election.campaign().await?;
    /// let history = election.history(10).await;
    /// let before = &history.terms[1];
    /// assert_eq!(before.ended, Some(Ending::Released));
    /// assert_eq!(before.why().as_deref(), Some("resigned"));
    /// println!("no one led for {:?}", before.gap);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn history(&self, terms: usize) -> HistoryView {
        self.observer().history(self.name(), terms).await
    }

    /// The election now, and then once per interval, for as long as the stream is kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// use incumbent::Election;
    /// use incumbent::store::MemoryStore;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let election = Election::builder("billing")
    ///     .store_object(MemoryStore::new("example"))
    ///     .build()?;
    /// let mut views = election.watch();
    /// let view = views.next().await.expect("the stream goes on until it is dropped");
    /// assert!(view.leader().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch(&self) -> impl Stream<Item = ElectionView> + Send + Unpin + use<> {
        let every = self.timing().interval();
        self.observer().watch(self.name(), every)
    }

    /// An observer of the same stores, which can read their other elections too.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer::of(&self.shared.stores, self.shared.electorate)
    }

    /// Operator orders for this election, given in the name of this process.
    #[must_use]
    pub fn operator(&self) -> Operator {
        let who = self.operator_identity();
        Operator::new(self.observer(), self.name().clone(), who, *self.timing())
    }

    /// What the campaigns of this process have counted so far. It queries no store.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::Election;
    /// use incumbent::store::MemoryStore;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let election = Election::builder("billing")
    ///     .store_object(MemoryStore::new("example"))
    ///     .build()?;
    /// let leadership = election.campaign().await?;
    /// let metrics = election.metrics();
    /// assert_eq!(metrics.leading, Some(leadership.fencing_token()));
    /// assert!(!metrics.tenure_remaining.is_zero());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let labels = self.shared.stores.iter().map(|store| store.label());
        let mut metrics = self.shared.counters.snapshot(clock::now(), labels);
        if let Some((lease, commands)) = self.shared.leading.get() {
            let holds = commands.strong_count() > 0 && !lease.has_work_ended();
            metrics.standing_by = metrics.campaigns.saturating_sub(holds.into());
            metrics.tenure_remaining = lease.remaining();
            metrics.leading = lease.check().is_ok().then(|| lease.fencing_token());
        }
        metrics
    }

    /// The last leadership that a campaign of this process won, whether or not it is over: ask it whether it
    /// may still act.
    #[must_use]
    pub fn lease(&self) -> Option<Lease> {
        let leading = self.shared.leading.get();
        leading.map(|(lease, _)| lease)
    }

    /// Whether a campaign of this process leads at this moment: whether its work may act.
    ///
    /// # Examples
    ///
    /// ```
    /// # use incumbent::{Election, store::MemoryStore};
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let store = MemoryStore::new("example");
    /// let election = Election::builder("billing").store_object(store).build()?;
    /// assert!(!election.is_leader());
    /// let leadership = election.campaign().await?;
    /// assert!(election.is_leader() && leadership.is_leader());
    /// leadership.resign().await;
    /// assert!(!election.is_leader());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.lease().is_some_and(|lease| lease.is_leader())
    }

    /// Asks the work of the leader in this process to stop, as [`Leadership::stop`](super::Leadership::stop) does, and
    /// returns whether there is one.
    pub fn stop_leading(&self, reason: LossReason) -> bool {
        let Some((lease, commands)) = self.shared.leading.get() else {
            return false;
        };
        let sent = commands
            .upgrade()
            .filter(|_| lease.check().is_ok())
            .map(|commands| commands.try_send(Command::Resign(reason)));
        matches!(sent, Some(Ok(())))
    }

    /// Waits until every abandoned candidacy of this process is over: until what a dropped campaign held is
    /// released, or twice `op_timeout` has passed without confirmation. Call it before the process exits. It
    /// never returns while a campaign or a leadership continues.
    pub async fn finished(&self) {
        self.shared.setup().finished().await;
    }

    /// Each turn of the loop that heartbeats and polls depend on, from now on: about one per interval while this
    /// process campaigns. Feed a watchdog with it, such as the `WatchdogSec=` of your service.
    pub fn turns(&self) -> impl Stream<Item = Timestamp> + Send + Unpin + use<> {
        self.shared.turns.follow()
    }

    /// The same election for programs without an async runtime.
    #[must_use]
    pub fn blocking(&self) -> BlockingElection {
        BlockingElection::new(self.clone())
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<&str> = self.shared.stores.iter().map(|s| s.label()).collect();
        f.debug_struct("Election")
            .field("name", &self.shared.name.as_str())
            .field("stores", &labels)
            .field("timing", &self.shared.timing)
            .finish_non_exhaustive()
    }
}
