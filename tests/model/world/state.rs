//! One state of the world: the candidates, the records, what is on its way, and what was seen so far.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use incumbent::protocol::{
    self, Candidate, Mark, Reply, Request, RequestId, StoreIndex, Timestamp,
};

use super::bounds::Budget;

/// One step of time is one interval.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// What every candidate's clock shows at a step.
pub(crate) fn clock(time: u8) -> Timestamp {
    Timestamp::from_nanos(1_000_000_000_000) + INTERVAL * u32::from(time)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) time: u8,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) stores: Vec<Store>,
    /// What is on its way: by candidate, the oldest first.
    pub(crate) letters: Vec<Letter>,
    /// Whose letters arrive now, and how many of them, where they arrive together.
    pub(crate) turn: Option<(u8, usize)>,
    pub(crate) left: Budget,
    /// How many stores, of several, have been struck by a fault of their own: always the first ones.
    pub(crate) struck: usize,
    /// The highest term that has led.
    pub(crate) highest: u64,
    /// The first thing that must not be and was, apart from two that act, which any state shows.
    pub(crate) broken: Option<&'static str>,
}

/// One store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) state: protocol::State,
    /// How many memories it has had.
    pub(crate) ids: u64,
    pub(crate) cut: bool,
    /// How far its clock is ahead of the others', for the time that losing its data took.
    pub(crate) ahead_ms: u8,
    /// What it held before, where it may go back to that.
    pub(crate) past: Vec<protocol::State>,
}

/// One place where a candidate runs.
///
/// It is hashed once, when it has changed, for most steps change one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) inner: Inner,
    digest: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inner {
    pub(crate) candidate: Candidate,
    pub(crate) incarnation: u8,
    pub(crate) paused: bool,
    /// The stores that do not hear it, as bits.
    pub(crate) parted: u8,
    pub(crate) wake_at: Timestamp,
    /// Until when its work acts, as its keeper knows it.
    pub(crate) acts_until: Option<Timestamp>,
    /// What the stores have shown it: the witness of `S4`, which knows nothing of the candidate's own
    /// evidence.
    pub(crate) shown: Vec<Vec<Shown>>,
}

/// A record that a store has shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shown {
    pub(crate) mark: Mark,
    pub(crate) first: u8,
    pub(crate) times: u8,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Letter {
    pub(crate) node: u8,
    pub(crate) incarnation: u8,
    pub(crate) store: StoreIndex,
    pub(crate) sent: u8,
    /// Held back: it arrives whenever you like.
    pub(crate) held: bool,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Body {
    Request(RequestId, Request),
    Reply(RequestId, Reply),
    /// A release that the store reports.
    Push(Reply),
}

impl Node {
    pub(crate) fn new(inner: Inner) -> Arc<Self> {
        let digest = digest(&inner);
        Arc::new(Self { inner, digest })
    }

    pub(crate) fn change<T>(node: &mut Arc<Self>, how: impl FnOnce(&mut Inner) -> T) -> T {
        let node = Arc::make_mut(node);
        let result = how(&mut node.inner);
        node.digest = digest(&node.inner);
        result
    }
}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

fn digest(inner: &Inner) -> u64 {
    let mut hasher = DefaultHasher::new();
    inner.hash(&mut hasher);
    hasher.finish()
}

impl Inner {
    /// Notes that a store has shown a record. Of the marks only that of an absent record comes back, so the few
    /// that were shown last are enough.
    pub(crate) fn show(&mut self, store: StoreIndex, mark: Mark, time: u8) {
        let shown = &mut self.shown[store.get()];
        if let Some(known) = shown.iter().position(|shown| shown.mark == mark) {
            let mut known = shown.remove(known);
            known.times = known.times.saturating_add(1);
            shown.push(known);
            return;
        }
        if shown.len() > 2 {
            shown.remove(0);
        }
        shown.push(Shown {
            mark,
            first: time,
            times: 1,
        });
    }
}

impl Letter {
    pub(crate) const fn is_request(&self) -> bool {
        matches!(self.body, Body::Request(..))
    }
}

impl State {
    /// How many act at this moment (`S1`).
    pub(crate) fn acting(&self) -> usize {
        let now = clock(self.time);
        let acts = |node: &&Arc<Node>| node.inner.acts_until.is_some_and(|end| now < end);
        self.nodes.iter().filter(acts).count()
    }

    /// Puts a letter behind the others of its candidate.
    pub(crate) fn post(&mut self, letter: Letter) {
        let place = self
            .letters
            .partition_point(|other| other.node <= letter.node);
        self.letters.insert(place, letter);
    }

    /// Notes what must not be.
    pub(crate) fn complain(&mut self, what: &'static str) {
        self.broken = self.broken.or(Some(what));
    }
}
