//! Operating an election: pausing it, moving its leader, deposing a dead one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::clock;
use super::observer::{Observer, answers, on_the_runtime, unasked};
use super::order_error::{Obstacle, OrderError, granted};
use crate::election::StallWatch;
use crate::observe::{Answers, ElectionView, HistoryView, State};
use crate::protocol::{
    ElectionName, FencingToken, HostName, Mark, Order, Reason, Request, StoreIndex, Successor,
    Timing, Verdict,
};
use crate::store::Identity;

/// Gives operator orders to every store of one election.
///
/// An order counts when a majority of the stores has carried it out. Orders delay or end a leadership;
/// none of them makes a leader, and fencing always continues.
///
/// # Examples
///
/// ```
/// use incumbent::Election;
/// use incumbent::protocol::Reason;
/// use incumbent::store::MemoryStore;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let election = Election::builder("billing")
///     .store_object(MemoryStore::new("example"))
///     .build()?;
/// let operator = election.operator();
/// operator.pause(None, Some(Reason::new("new disks")?)).await?;
/// assert!(election.try_campaign().await.unwrap_err().is_paused());
/// operator.resume().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Operator {
    observer: Observer,
    election: ElectionName,
    who: Identity,
    timing: Timing,
}

/// An order that a majority of the stores has carried out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompletedOrder {
    /// The outcome at each store asked, in configuration order.
    pub stores: Answers<Verdict>,
}

impl CompletedOrder {
    /// How many stores have carried it out.
    #[must_use]
    pub fn granted(&self) -> usize {
        granted(&self.stores)
    }
}

/// A request that a leader resigns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResignRequest {
    /// The term of that leader, which ends.
    pub term: FencingToken,
    /// The preferred successor; `None` for the first candidate to claim.
    pub to: Option<Successor>,
    /// The order.
    pub order: CompletedOrder,
}

impl Operator {
    /// An operator of `election` on the stores of `observer`. The history names `who` beside each order. The
    /// timing sets how often to poll and for how long a holder must stall.
    #[must_use]
    pub const fn new(
        observer: Observer,
        election: ElectionName,
        who: Identity,
        timing: Timing,
    ) -> Self {
        Self {
            observer,
            election,
            who,
            timing,
        }
    }

    /// Pauses elections for `lasts` by the clock of each store, or until [`Operator::resume`]. The current
    /// leader keeps leading; if it dies, no one takes over.
    ///
    /// # Errors
    ///
    /// [`OrderError::NoMajority`] when fewer than a majority of the stores has carried it out.
    pub async fn pause(
        &self,
        lasts: Option<Duration>,
        reason: Option<Reason>,
    ) -> Result<CompletedOrder, OrderError> {
        self.order_pause(lasts, reason, true).await
    }

    /// Pauses elections, unless another has paused them: then the stores refuse.
    pub(super) async fn pause_unpaused(
        &self,
        lasts: Duration,
        reason: Reason,
    ) -> Result<CompletedOrder, OrderError> {
        self.order_pause(Some(lasts), Some(reason), false).await
    }

    async fn order_pause(
        &self,
        lasts: Option<Duration>,
        reason: Option<Reason>,
        replaces: bool,
    ) -> Result<CompletedOrder, OrderError> {
        let by = self.who.id().clone();
        self.order_all(&Order::Pause {
            lasts,
            by,
            reason,
            replaces,
        })
        .await
    }

    /// Lifts a pause: a standby claims a vacant election at once.
    ///
    /// # Errors
    ///
    /// As [`Operator::pause`].
    pub async fn resume(&self) -> Result<CompletedOrder, OrderError> {
        self.order_all(&Order::Resume).await
    }

    /// Asks the leader to resign. It sees the order within one interval, stops its work, and releases once
    /// that has ended. With `to`, all other candidates wait for a window before claiming; the one that
    /// resigned always waits.
    ///
    /// # Errors
    ///
    /// [`OrderError::NotHeld`] when no one leads, [`OrderError::UnknownSuccessor`] when `to` is no other
    /// candidate, and as [`Operator::pause`].
    pub async fn resign_leader(&self, to: Option<Successor>) -> Result<ResignRequest, OrderError> {
        let view = self.observer.view(&self.election).await;
        self.resign_seen(&view, to).await
    }

    /// As [`Operator::resign_leader`], with a successor named by its candidate id, its host or its label.
    ///
    /// # Errors
    ///
    /// As [`Operator::resign_leader`], and [`OrderError::AmbiguousSuccessor`] when several standbys have the
    /// label, or it is also the name of a host of others.
    pub async fn resign_leader_to(&self, name: &str) -> Result<ResignRequest, OrderError> {
        let view = self.observer.view(&self.election).await;
        // Without a leader there is no handover, whatever the name.
        self.held_term(&view)?;
        let to = self.successor(name, &view)?;
        self.resign_seen(&view, Some(to)).await
    }

    /// The standby, or the host of standbys, that `name` refers to.
    fn successor(&self, name: &str, view: &ElectionView) -> Result<Successor, OrderError> {
        let standbys = view.candidates.iter().filter(|one| !one.leads);
        let standbys: Vec<&Identity> = standbys.map(|one| &one.identity).collect();
        if let Some(one) = standbys.iter().find(|one| one.id().as_str() == name) {
            return Ok(Successor::Candidate(one.id().clone()));
        }
        let (here, elsewhere): (Vec<&Identity>, _) =
            standbys.into_iter().partition(|one| one.host() == name);
        let mut labelled = elsewhere;
        labelled.retain(|one| one.id().label() == name);
        match (here.first(), &labelled[..]) {
            (None, []) => Err(self.unknown(name, view)),
            (None, [one]) => Ok(Successor::Candidate(one.id().clone())),
            // It was checked when the identity was made.
            (Some(_), []) => HostName::new(name)
                .map(Successor::Host)
                .map_err(|_| self.unknown(name, view)),
            _ => Err(OrderError::AmbiguousSuccessor {
                election: self.election.to_string(),
                name: name.to_owned(),
                candidates: here.into_iter().chain(labelled).cloned().collect(),
            }),
        }
    }

    /// Treats the holder as gone and vacates the election, once a majority of the stores has stalled for as
    /// long as a takeover needs. It polls once per interval, and stops when a counter moves.
    ///
    /// # Errors
    ///
    /// [`OrderError::Alive`] when the holder's counter moves, [`OrderError::NotHeld`] when no one holds the
    /// election, [`OrderError::Unread`] when the stores cannot be read, and as [`Operator::pause`].
    pub async fn depose(&self) -> Result<CompletedOrder, OrderError> {
        self.look_before_order().await;
        let operator = self.clone();
        let outwaited = on_the_runtime(async move { operator.outwait().await }).await;
        let abandoned = outwaited.unwrap_or_else(|refused| {
            let store = self.observer.stores()[0].label().into();
            Err(OrderError::Unread {
                election: self.election.to_string(),
                source: Box::new(unasked(store, &refused)),
            })
        })?;
        self.order_each(depositions(abandoned)).await
    }

    /// Vacates the election at once, whatever its holder does. **A leader that is alive keeps acting beside
    /// its successor** until it finds out, within an interval if it can reach the stores; only the fencing
    /// token keeps the two apart. Call it for a holder that is known to be dead.
    ///
    /// # Errors
    ///
    /// As [`Operator::depose`], except for [`OrderError::Alive`].
    pub async fn depose_now(&self) -> Result<CompletedOrder, OrderError> {
        let view = self.look_before_order().await;
        let held = view.stores.iter().enumerate().filter_map(|(index, store)| {
            let mark = store.inspection.as_ref().ok()?.mark()?;
            (!mark.shape.is_free()).then_some((index_of(index), mark))
        });
        let held: Vec<(StoreIndex, Mark)> = held.collect();
        if held.len() < self.observer.electorate().majority() {
            return Err(self.not_held(&view));
        }
        self.order_each(depositions(held)).await
    }

    /// Deletes all that the stores keep of an election that no one holds: its record, its history and its
    /// candidates. Tokens rise all the same if the name is used again. Nothing happens to a store that has no record.
    ///
    /// # Errors
    ///
    /// [`OrderError::InUse`] when a store shows it held or under an order, [`OrderError::Unread`] when the stores
    /// cannot be read, and as [`Operator::pause`]: a store that did not answer keeps its record.
    pub async fn forget(&self) -> Result<CompletedOrder, OrderError> {
        let view = self.look_before_order().await;
        if view.errors().count() + self.observer.electorate().majority() > view.stores.len() {
            return Err(self.not_held(&view));
        }
        let (mut orders, mut stores) = (Vec::new(), Answers::new());
        for (index, store) in view.stores.iter().enumerate() {
            let seen = match &store.inspection {
                Ok(seen) => seen,
                Err(error) => {
                    stores.push((Arc::clone(&store.store), Err(error.clone())));
                    continue;
                }
            };
            if let Some(obstacle) = Obstacle::of(seen) {
                return Err(OrderError::InUse {
                    election: self.election.to_string(),
                    store: Arc::clone(&store.store),
                    obstacle,
                });
            }
            if seen.record.is_missing() {
                stores.push((Arc::clone(&store.store), Ok(Verdict::Granted)));
                continue;
            }
            // A store that still shows no memory answers why it begins none.
            let expected = seen.mark().unwrap_or(Mark::UNKNOWN);
            orders.push((index_of(index), Order::Forget { expected }));
        }
        stores.extend(self.give(orders).await);
        self.counted(stores)
    }

    /// The election as its stores show it now.
    pub async fn view(&self) -> ElectionView {
        self.observer.view(&self.election).await
    }

    /// The last `terms` leaderships, newest first.
    pub async fn history(&self, terms: usize) -> HistoryView {
        self.observer.history(&self.election, terms).await
    }

    /// The election, once each store that has a record of it has the memory that an order must name. A server that
    /// was restarted, or a store that has lost its memory, begins one with the next request that may write, so it is
    /// given an order that no store carries out.
    async fn look_before_order(&self) -> ElectionView {
        let view = self.observer.view(&self.election).await;
        let recorded = view.stores.iter().enumerate().filter_map(|(index, store)| {
            let record = &store.inspection.as_ref().ok()?.record;
            let order = Order::Forget {
                expected: Mark::UNKNOWN,
            };
            (!record.is_missing() || !record.is_free()).then_some((index_of(index), order))
        });
        let recorded: Vec<(StoreIndex, Order)> = recorded.collect();
        if recorded.is_empty() {
            return view;
        }
        // A store that fails fails again when it is looked at, or given the order that counts.
        drop(self.give(recorded).await);
        self.observer.view(&self.election).await
    }

    async fn resign_seen(
        &self,
        view: &ElectionView,
        to: Option<Successor>,
    ) -> Result<ResignRequest, OrderError> {
        let term = self.held_term(view)?;
        if let Some(to) = to.as_ref().filter(|to| !is_standby(view, to)) {
            return Err(self.unknown(&to.to_string(), view));
        }
        let order = Order::Resign {
            term,
            to: to.clone(),
        };
        let order = self.order_all(&order).await?;
        Ok(ResignRequest { term, to, order })
    }

    fn held_term(&self, view: &ElectionView) -> Result<FencingToken, OrderError> {
        let leader = view.leader().map(|leader| leader.term);
        leader.ok_or_else(|| self.not_held(view))
    }

    fn not_held(&self, view: &ElectionView) -> OrderError {
        let election = self.election.to_string();
        match (&view.state, view.errors().next()) {
            (
                State::Unreachable | State::Forbidden | State::Misconfigured | State::Garbled,
                Some(error),
            ) => OrderError::Unread {
                election,
                source: Box::new(error.clone()),
            },
            (state, _) => OrderError::NotHeld {
                election,
                state: state.word(),
            },
        }
    }

    fn unknown(&self, name: &str, view: &ElectionView) -> OrderError {
        let others = view.candidates.iter().filter(|one| !one.leads);
        OrderError::UnknownSuccessor {
            election: self.election.to_string(),
            name: name.to_owned(),
            candidates: others.map(|one| one.identity.clone()).collect(),
        }
    }

    /// Watches until a majority of the stores has stalled for as long as a takeover needs.
    async fn outwait(&self) -> Result<Vec<(StoreIndex, Mark)>, OrderError> {
        let electorate = self.observer.electorate();
        let mut stalls = StallWatch::new(electorate, self.timing);
        let mut moved = BTreeSet::new();
        let began = clock::now();
        loop {
            let sent = clock::now();
            let view = self.observer.look(self.election.clone()).await;
            let received = clock::now();
            for (index, store) in view.stores.iter().enumerate() {
                let (index, Ok(seen)) = (index_of(index), &store.inspection) else {
                    continue;
                };
                // Nothing can be deposed on a store that has just lost everything.
                let Some(memory) = &seen.memory else {
                    continue;
                };
                let mark = seen.record.mark(memory);
                let before = stalls
                    .mark(index)
                    .filter(|before| before.memory == mark.memory);
                if before.is_some_and(|before| before != mark) {
                    moved.insert(index);
                }
                stalls.observe(index, (&seen.record, memory), sent, received);
            }
            if let Some(abandoned) = stalls.abandoned(clock::now()) {
                return Ok(abandoned);
            }
            let held = |index: &StoreIndex| {
                let record = stalls.record(*index);
                record.is_some_and(|record| !record.is_free())
            };
            let answered = view.errors().count() + electorate.majority() <= electorate.size();
            let free = electorate.stores().filter(held).count() < electorate.majority();
            // Before the counter is judged: a release changes the record as well.
            if answered && free {
                return Err(self.not_held(&view));
            }
            if electorate.size() - moved.len() < electorate.majority() {
                return Err(OrderError::Alive {
                    election: self.election.to_string(),
                    holder: view.leader().map(|leader| leader.holder.clone()),
                });
            }
            // Stores that cannot be read for longer than a window are not worth waiting for.
            let windows = electorate.stores().filter_map(|one| stalls.record(one));
            let window = windows.map(crate::protocol::Record::window).max();
            let patience = window.unwrap_or_default().max(self.timing.window()) * 2;
            let overdue = clock::now().since(began) > patience + self.timing.interval() * 3;
            if overdue {
                return Err(self.not_held(&view));
            }
            tokio::time::sleep(self.timing.interval()).await;
        }
    }

    async fn order_all(&self, order: &Order) -> Result<CompletedOrder, OrderError> {
        let stores = self.observer.electorate().stores();
        self.order_each(stores.map(|store| (store, order.clone())).collect())
            .await
    }

    async fn order_each(
        &self,
        orders: Vec<(StoreIndex, Order)>,
    ) -> Result<CompletedOrder, OrderError> {
        let stores = self.give(orders).await;
        self.counted(stores)
    }

    async fn give(&self, orders: Vec<(StoreIndex, Order)>) -> Answers<Verdict> {
        let asked = orders.into_iter().map(|(index, order)| {
            let store = Arc::clone(&self.observer.stores()[index.get()]);
            let operator = self.clone();
            (Arc::from(store.label()), async move {
                let (election, request) = (&operator.election, Request::Order(order));
                let reply = store.execute(election, &operator.who, &request).await?;
                Ok(reply.verdict)
            })
        });
        answers(asked.collect()).await
    }

    fn counted(&self, stores: Answers<Verdict>) -> Result<CompletedOrder, OrderError> {
        let majority = self.observer.electorate().majority();
        if granted(&stores) >= majority {
            return Ok(CompletedOrder { stores });
        }
        Err(OrderError::NoMajority {
            election: self.election.to_string(),
            majority,
            stores,
        })
    }
}

fn depositions(marks: Vec<(StoreIndex, Mark)>) -> Vec<(StoreIndex, Order)> {
    let depose = |(store, expected)| (store, Order::Depose { expected });
    marks.into_iter().map(depose).collect()
}

fn is_standby(view: &ElectionView, successor: &Successor) -> bool {
    let mut others = view.candidates.iter().filter(|one| !one.leads);
    others.any(|one| successor.is(one.identity.id(), Some(one.identity.host())))
}

fn index_of(index: usize) -> StoreIndex {
    StoreIndex(u8::try_from(index).unwrap_or(u8::MAX))
}
