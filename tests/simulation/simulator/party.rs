//! What the world drives: anything that asks stores for leadership, and the stores it asks.

use std::fmt::Debug;

use incumbent::protocol::{Failure, Timestamp};

use super::Nanos;
use super::clock::LocalClock;
use super::recorder::Sender;

/// One process that wants to lead.
pub(crate) trait Party: Sized {
    type Request: Clone + Debug;
    type Reply: Clone + Debug;
    type Server: Server<Request = Self::Request, Reply = Self::Reply>;

    fn name(&self) -> String;

    fn handle(
        &mut self,
        now: Timestamp,
        stimulus: Stimulus<Self::Reply>,
    ) -> Reaction<Self::Request>;

    /// The permission of its work, as its supervisor knows it.
    fn lease(&self) -> Option<Lease>;

    /// Whether it will do nothing any more.
    fn is_done(&self) -> bool;

    /// What its supervisor sends for it once it has died, and its work is proven dead.
    fn last_will(&self) -> Vec<(usize, Self::Request)>;
}

/// One store.
pub(crate) trait Server {
    type Request;
    type Reply;

    /// Carries out a request, and returns whether the reply wakes those that wait.
    fn execute(&mut self, wall_ms: u64, request: &Self::Request) -> (Self::Reply, bool);

    /// Whether the request changes anything: a store that is full refuses those.
    fn writes(request: &Self::Request) -> bool;

    /// Loses all data.
    fn wipe(&mut self);

    /// Loses the record alone.
    fn evict(&mut self);

    /// Goes back to what it held some writes ago.
    fn roll_back(&mut self, writes: usize);
}

/// Somebody who looks on, for the proof: the world goes on as it would without.
pub(crate) trait Witness<P: Party> {
    fn sent(&mut self, now: Nanos, sender: &Sender, store: usize, request: &P::Request);

    fn executed(
        &mut self,
        now: Nanos,
        asked: (&Sender, usize),
        request: &P::Request,
        reply: &P::Reply,
        server: &P::Server,
    );

    /// A store has lost something.
    fn struck(&mut self, now: Nanos, store: usize, wall_ms: u64, server: &P::Server);

    /// A party has taken in what happened to it.
    fn handled(
        &mut self,
        now: Nanos,
        slot: (usize, &LocalClock),
        stimulus: &Stimulus<P::Reply>,
        party: &P,
    );

    /// The work of a party that crashed is proven dead.
    fn died(&mut self, at: Nanos, party: &P);
}

/// What happens to a party.
#[derive(Clone, Debug)]
pub(crate) enum Stimulus<Reply> {
    Tick,
    Replied {
        store: usize,
        id: u64,
        result: Result<Reply, Failure>,
    },
    Woken {
        store: usize,
        reply: Reply,
        /// The name of the party that is called, which may be gone.
        called: Option<String>,
    },
    Resign,
    WorkEnded,
}

/// What a party wants done.
#[derive(Clone, Debug)]
pub(crate) struct Reaction<Request> {
    pub(crate) sends: Vec<(usize, u64, Request)>,
    pub(crate) wake_at: Timestamp,
    pub(crate) notices: Vec<Notice>,
}

/// What a party reports about itself, for the transcript and the tally.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// What the world does about it.
    pub(crate) turn: Turn,
    /// Under which heading it is counted.
    pub(crate) heading: &'static str,
    /// The whole of it, for people.
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It leads: the work begins.
    Elected,
    /// The work is asked to stop, and must be over at the deadline.
    Stopping { deadline: Timestamp },
    /// The work must be over now.
    Expired,
    /// It releases by itself, and acts no more.
    Ceased,
    /// Nothing that the world has to act upon.
    Other,
}

/// The permission to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) token: Option<u64>,
    /// The first moment, by the party's own clock, at which its work acts no more.
    pub(crate) deadline: Timestamp,
}

/// Tells a new party about itself.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    pub(crate) slot: usize,
    pub(crate) incarnation: u32,
    pub(crate) seed: u64,
}
