//! An operator: a command that gives one order over the same network, and ends.

use incumbent::election::StallWatch;
use incumbent::protocol::{
    CandidateId, Electorate, HostName, Order, Reply, Request, StoreIndex, Successor, Term,
    Timestamp, Timing, Verdict,
};

use super::party::{Birth, Notice, Reaction, Stimulus, Turn};
use super::random::Random;

/// What it was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    Pause,
    Resume,
    Resign,
    Depose,
    /// Nothing any more: there have been orders enough.
    Rest,
}

pub(crate) struct Operator {
    errand: Errand,
    /// From when on it gives no order any more.
    rests_from: Timestamp,
    electorate: Electorate,
    timing: Timing,
    random: Random,
    stalls: StallWatch,
    /// The requests under way, by store: their number, when each was sent, whether it is the order.
    pending: Vec<Option<(u64, Timestamp, bool)>>,
    next_id: u64,
    began: Option<Timestamp>,
    /// When it asks the stores next.
    due: Timestamp,
    /// Until when it waits for the replies to its order.
    ordered: Option<Timestamp>,
    done: bool,
}

impl Operator {
    /// How many orders each of them gives.
    const ORDERS: u32 = 6;

    pub(crate) fn new(
        birth: &Birth,
        rests_from: Timestamp,
        timing: Timing,
        electorate: Electorate,
    ) -> Self {
        let mut random = Random::new(birth.seed);
        let errand = match random.within(0..7) {
            _ if birth.incarnation > Self::ORDERS => Errand::Rest,
            0 => Errand::Pause,
            1 => Errand::Resume,
            2..5 => Errand::Resign,
            _ => Errand::Depose,
        };
        Self {
            errand,
            rests_from,
            electorate,
            timing,
            random,
            stalls: StallWatch::new(electorate, timing),
            pending: vec![None; electorate.size()],
            next_id: 0,
            began: None,
            due: Timestamp::ZERO,
            ordered: None,
            done: false,
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    pub(crate) fn handle(
        &mut self,
        now: Timestamp,
        stimulus: Stimulus<Reply>,
    ) -> Reaction<Request> {
        let mut reaction = Reaction {
            sends: Vec::new(),
            wake_at: Timestamp::NEVER,
            notices: Vec::new(),
        };
        if now >= self.rests_from && self.ordered.is_none() {
            self.errand = Errand::Rest;
        }
        if self.errand == Errand::Rest {
            return reaction;
        }
        if let Stimulus::Replied { store, id, result } = stimulus {
            self.replied(now, store, id, result.ok(), &mut reaction);
        }
        let began = *self.began.get_or_insert(now);
        match self.ordered {
            None => match self.orders(now) {
                Some(orders) => {
                    let until = now + self.timing.op_timeout() * 2;
                    self.ordered = Some(until);
                    for (store, order) in orders {
                        self.send(now, store, Request::Order(order), true, &mut reaction);
                    }
                    reaction.wake_at = until;
                }
                None if now.since(began) > self.timing.window() * 4 => self.done = true,
                None => self.look(now, &mut reaction),
            },
            Some(until) => {
                self.done = now >= until || self.pending.iter().all(Option::is_none);
                reaction.wake_at = until;
            }
        }
        reaction
    }

    fn replied(
        &mut self,
        now: Timestamp,
        store: usize,
        id: u64,
        reply: Option<Reply>,
        reaction: &mut Reaction<Request>,
    ) {
        let Some((_, sent, is_order)) = self.pending[store].take_if(|(asked, ..)| *asked == id)
        else {
            return;
        };
        let Some(reply) = reply else { return };
        if !is_order {
            let store = StoreIndex(u8::try_from(store).expect("few stores"));
            let shown = (&reply.record, &reply.memory);
            self.stalls.observe(store, shown, sent, now);
        } else if reply.verdict == Verdict::Granted {
            reaction.notices.push(Notice {
                turn: Turn::Other,
                heading: match self.errand {
                    Errand::Pause => "orders: pause",
                    Errand::Resume => "orders: resume",
                    Errand::Resign => "orders: resign",
                    Errand::Depose => "orders: depose",
                    Errand::Rest => "orders: none",
                },
                text: format!("{:?} was carried out", self.errand),
            });
        }
    }

    /// What to order now, once that is known.
    fn orders(&mut self, now: Timestamp) -> Option<Vec<(usize, Order)>> {
        let order = match self.errand {
            Errand::Pause => Order::Pause {
                lasts: Some(self.timing.window() * self.random.below(30) as u32 / 10)
                    .filter(|_| self.random.chance(900)),
                by: "operator".parse().expect("a valid id"),
                reason: None,
                replaces: true,
            },
            Errand::Resume => Order::Resume,
            Errand::Resign => Order::Resign {
                term: self.term_of_a_majority()?,
                to: self.successor(),
            },
            Errand::Depose => {
                let abandoned = self.stalls.abandoned(now)?.into_iter();
                let depose =
                    |(store, expected): (StoreIndex, _)| (store.get(), Order::Depose { expected });
                return Some(abandoned.map(depose).collect());
            }
            Errand::Rest => return None,
        };
        let stores = 0..self.electorate.size();
        Some(stores.map(|store| (store, order.clone())).collect())
    }

    fn term_of_a_majority(&self) -> Option<Term> {
        let records = self.electorate.stores();
        let terms: Vec<Term> = records
            .filter_map(|store| self.stalls.record(store))
            .filter(|record| record.holder().is_some())
            .map(|record| record.term)
            .collect();
        let count = |term: &Term| terms.iter().filter(|other| *other == term).count();
        let mut led = terms.iter().copied();
        led.find(|term| count(term) >= self.electorate.majority())
    }

    /// A candidate by name or by host, present or not, or the first to come.
    fn successor(&mut self) -> Option<Successor> {
        let slot = self.random.below(8);
        let incarnation = self.random.below(6);
        match self.random.within(0..3) {
            0 => None,
            1 => {
                let id = CandidateId::new(&format!("c{slot}.{incarnation}"));
                Some(Successor::Candidate(id.expect("a valid id")))
            }
            _ => {
                let host = HostName::new(&format!("h{slot}"));
                Some(Successor::Host(host.expect("a valid name")))
            }
        }
    }

    fn look(&mut self, now: Timestamp, reaction: &mut Reaction<Request>) {
        if now >= self.due {
            self.due = now + self.timing.interval();
            for store in 0..self.electorate.size() {
                self.send(now, store, Request::Observe, false, reaction);
            }
        }
        reaction.wake_at = self.due;
    }

    fn send(
        &mut self,
        now: Timestamp,
        store: usize,
        request: Request,
        is_order: bool,
        reaction: &mut Reaction<Request>,
    ) {
        self.pending[store] = Some((self.next_id, now, is_order));
        reaction.sends.push((store, self.next_id, request));
        self.next_id += 1;
    }
}
