//! What an action does to the world.

use incumbent::protocol::{
    self, Candidate, CandidateConfig, CandidateId, Claim, ClaimKind, Electorate, Event, Input,
    LossReason, Memory, MemoryId, Occupancy, Outgoing, Record, Reply, Request, Role, Shape, Step,
    StoreIndex, Term, Timestamp, Verdict, WallMillis, apply,
};

use super::bounds::Fault;
use super::choice::Action;
use super::sight::Sight;
use super::state::{Body, Inner, Letter, Node, State, Store, clock};
use super::{World, timing};

/// The servers' clocks run as much faster as the margin of the timing allows.
const MS_PER_INTERVAL: u64 = 1020;
const EPOCH_MS: u64 = 1_700_000_000_000;

/// What a store's clock shows.
fn wall(state: &State, store: usize) -> WallMillis {
    let ahead = u64::from(state.stores[store].ahead_ms);
    let now = EPOCH_MS + u64::from(state.time) * MS_PER_INTERVAL;
    WallMillis::new(now + ahead).expect("a moment that milliseconds count")
}

/// A memory that is older than a probation is as good as any.
fn cut(memory: Memory) -> Memory {
    Memory {
        age: memory.age.min(timing().probation()),
        ..memory
    }
}

impl Store {
    /// The id of its next memory.
    fn fresh(&self) -> MemoryId {
        MemoryId {
            made: WallMillis::ZERO,
            nonce: self.ids,
        }
    }
}

impl World {
    pub(crate) fn node(&self, place: usize, incarnation: u8) -> Inner {
        Inner {
            candidate: Candidate::new(CandidateConfig {
                id: format!("c{place}.{incarnation}")
                    .parse()
                    .expect("a valid id"),
                host: None,
                not_before: Timestamp::ZERO,
                timing: timing(),
                electorate: Electorate::new(self.bounds.stores.into()).expect("1, 3 or 5"),
                seed: place as u64,
                ephemeral: self.bounds.ephemeral,
                openings: Vec::new(),
            }),
            incarnation,
            paused: false,
            parted: 0,
            wake_at: Timestamp::ZERO,
            acts_until: None,
            shown: vec![Vec::new(); self.bounds.stores.into()],
        }
    }

    pub(crate) fn perform(&self, state: &mut State, action: Action) {
        self.take_turns(state, action);
        if let Action::Forget(store)
        | Action::Evict(store)
        | Action::RollBack { store, .. }
        | Action::Cut(store)
        | Action::Part { store, .. } = action
            && self.bounds.stores > 1
        {
            state.struck = state.struck.max(store + 1);
        }
        match action {
            Action::Deliver(place) => {
                let letter = state.letters.remove(place);
                self.deliver(state, letter);
            }
            Action::Lose(place) => {
                state.left.spend(Fault::Lose);
                state.letters.remove(place);
            }
            Action::LoseReply(place) => {
                state.left.spend(Fault::LoseReply);
                let letter = state.letters.remove(place);
                self.carry_out(state, &letter);
            }
            Action::Delay(place) => {
                state.left.spend(Fault::Delay);
                state.letters[place].held = true;
            }
            Action::DelayReply(place) => {
                state.left.spend(Fault::DelayReply);
                let letter = state.letters.remove(place);
                if let Some(body) = self.carry_out(state, &letter) {
                    let held = true;
                    state.post(Letter {
                        body,
                        held,
                        ..letter
                    });
                }
            }
            Action::Double(place) => {
                state.left.spend(Fault::Double);
                let letter = state.letters[place].clone();
                state.letters[place].held = true;
                self.deliver(state, letter);
            }
            Action::Pause(place) => {
                state.left.spend(Fault::Pause);
                Node::change(&mut state.nodes[place], |node| node.paused = true);
            }
            Action::Crash(place) => {
                state.left.spend(Fault::Crash);
                self.born_again(state, place);
            }
            Action::Resign(place) => {
                state.left.spend(Fault::Resign);
                self.input(state, place, Input::Resign(LossReason::Resigned));
            }
            Action::EndWork(place) => self.end_work(state, place),
            Action::Forget(place) => {
                state.left.spend(Fault::Forget);
                self.lose(state, place, protocol::State::EMPTY);
            }
            Action::Evict(place) => {
                state.left.spend(Fault::Evict);
                let left = protocol::State {
                    record: Record::ABSENT,
                    ..state.stores[place].state.clone()
                };
                self.lose(state, place, left);
            }
            Action::RollBack { store, to } => {
                state.left.spend(Fault::RollBack);
                self.roll_back(state, store, to);
            }
            Action::Cut(place) => {
                state.left.spend(Fault::Cut);
                state.stores[place].cut = true;
            }
            Action::Part { node, store } => {
                state.left.spend(Fault::Part);
                Node::change(&mut state.nodes[node], |node| node.parted |= 1 << store);
            }
            Action::Advance { resume, restore } => self.advance(state, resume, restore),
        }
    }

    /// Counts the letters of the candidate whose turn it is.
    fn take_turns(&self, state: &mut State, action: Action) {
        let Some(place) = action.letter() else {
            return;
        };
        let letter = &state.letters[place];
        if self.bounds.stores == 1 || letter.held {
            return;
        }
        let node = letter.node;
        let waiting = |letter: &&Letter| letter.node == node && !letter.held;
        let count = match state.turn {
            Some((whose, count)) if whose == node => count,
            _ => state.letters.iter().filter(waiting).count(),
        };
        state.turn = (count > 1).then(|| (node, count - 1));
    }

    pub(crate) fn advance(&self, state: &mut State, resume: u8, restore: u8) {
        state.time += 1;
        for (place, store) in state.stores.iter_mut().enumerate() {
            store.cut &= restore >> place & 1 == 0;
        }
        for place in 0..state.nodes.len() {
            let node = &mut state.nodes[place];
            let resumes = resume >> place & 1 == 1;
            if resumes {
                Node::change(node, |node| (node.paused, node.parted) = (false, 0));
            }
            let wakes = node.inner.wake_at <= clock(state.time);
            if !node.inner.paused && (resumes || wakes) {
                self.input(state, place, Input::Tick);
            }
        }
    }

    fn born_again(&self, state: &mut State, place: usize) {
        let incarnation = state.nodes[place].inner.incarnation + 1;
        // What was to be heard by the dead is heard by no one.
        state.letters.retain(|letter| {
            usize::from(letter.node) != place || matches!(letter.body, Body::Request(..))
        });
        state.nodes[place] = Node::new(self.node(place, incarnation));
        self.input(state, place, Input::Tick);
    }

    /// Hands a letter to its store and the reply to its candidate, unless that is frozen.
    pub(crate) fn deliver(&self, state: &mut State, letter: Letter) {
        let body = if letter.is_request() {
            match self.carry_out(state, &letter) {
                Some(body) => body,
                None => return,
            }
        } else {
            letter.body
        };
        let place = usize::from(letter.node);
        let node = &state.nodes[place].inner;
        if node.incarnation != letter.incarnation {
            return;
        }
        if node.paused {
            let held = false;
            return state.post(Letter {
                body,
                held,
                ..letter
            });
        }
        let store = letter.store;
        let (Body::Reply(_, reply) | Body::Push(reply)) = &body else {
            unreachable!("a request was carried out")
        };
        let (mark, time) = (reply.mark(), state.time);
        Node::change(&mut state.nodes[place], |node| node.show(store, mark, time));
        let input = match body {
            Body::Push(reply) => Input::Woken {
                store,
                memory: reply.memory,
                record: reply.record,
                // Everyone is called, so that all claim at once.
                called: None,
            },
            Body::Reply(id, reply) => Input::Replied {
                store,
                id,
                result: Ok(reply),
            },
            Body::Request(..) => unreachable!("a request was carried out"),
        };
        self.input(state, place, input);
    }

    /// What a store does with a request, if it hears it: the shipped function, and `S3`.
    fn carry_out(&self, state: &mut State, letter: &Letter) -> Option<Body> {
        let Body::Request(id, request) = &letter.body else {
            return Some(letter.body.clone());
        };
        let clock = wall(state, letter.store.get());
        let sender = &state.nodes[usize::from(letter.node)].inner;
        let parted = sender.parted >> letter.store.get() & 1 == 1;
        let store = &mut state.stores[letter.store.get()];
        if store.cut || parted {
            return None;
        }
        let fresh = store.fresh();
        let (mut after, verdict) = apply(&store.state, request, fresh, clock);
        let memory = after.memory.insert(cut(after.memory.expect("a memory")));
        store.ids += u64::from(memory.id == fresh);
        let reply = Reply {
            verdict,
            record: after.record.clone(),
            memory: *memory,
            clock,
        };
        let before = store.state.record.clone();
        if state.left.allows(Fault::RollBack) && store.state != after {
            store.past.push(store.state.clone());
        }
        store.state = after;
        if verdict == Verdict::Granted {
            match request {
                Request::Observe | Request::Order(_) => {}
                Request::Claim(_) if matches!(before.occupancy, Occupancy::Held { .. }) => {
                    self.sights.saw(Sight::Takeover);
                }
                Request::Claim(_) => {}
                Request::Beat { holder, term, .. } => self.owned(state, &before, holder, *term),
                Request::Release { holder, term, .. } => {
                    self.owned(state, &before, holder, *term);
                    if reply.record == Record::ABSENT {
                        self.sights.saw(Sight::Deletion);
                    }
                    self.push(state, letter, &reply);
                }
            }
        }
        Some(Body::Reply(*id, reply))
    }

    /// A store loses what it held. It takes it as long as its terms are ahead of its clock, which is a
    /// millisecond for each claim that was made within this one: `S2` rests on that.
    fn lose(&self, state: &mut State, place: usize, left: protocol::State) {
        let first_term = wall(state, place).get() * 1000;
        let store = &mut state.stores[place];
        let kept = store.state.memory.map(|memory| memory.floor);
        let floor = store.state.record.floor.max(kept.unwrap_or_default());
        let ahead = (floor.get() + 1).saturating_sub(first_term).div_ceil(1000);
        store.ahead_ms += u8::try_from(ahead).expect("few claims within an interval");
        store.state = left;
    }

    /// A store goes back to what it held before. It notices when it looks.
    fn roll_back(&self, state: &mut State, place: usize, to: usize) {
        let store = &mut state.stores[place];
        let mut left = store.past[to].clone();
        store.past.truncate(to);
        left.restarted = true;
        self.lose(state, place, left);
    }

    fn owned(&self, state: &mut State, before: &Record, holder: &CandidateId, term: Term) {
        if before.holder() != Some(holder) || before.term != term {
            state.complain("S3: somebody else's record was beaten or released");
        }
    }

    /// Tells everyone else that a record is free.
    fn push(&self, state: &mut State, letter: &Letter, reply: &Reply) {
        for place in 0..self.bounds.candidates {
            if place != letter.node {
                let incarnation = state.nodes[usize::from(place)].inner.incarnation;
                state.post(Letter {
                    node: place,
                    incarnation,
                    store: letter.store,
                    sent: state.time,
                    held: false,
                    body: Body::Push(reply.clone()),
                });
            }
        }
    }

    pub(crate) fn input(&self, state: &mut State, place: usize, input: Input) {
        let now = clock(state.time);
        let granted = matches!(&input, Input::Replied { result: Ok(reply), .. }
            if reply.verdict == Verdict::Granted);
        let role = state.nodes[place].inner.candidate.role();
        let step = Node::change(&mut state.nodes[place], |node| {
            let step = node.candidate.handle(now, input);
            node.wake_at = step.wake_at;
            let deadline = node.candidate.deadline();
            node.acts_until = deadline.filter(|_| node.candidate.may_act(now));
            step
        });
        self.judge_claims(state, place, &step);
        let incarnation = state.nodes[place].inner.incarnation;
        for Outgoing { store, id, request } in step.sends {
            state.post(Letter {
                node: u8::try_from(place).expect("few candidates"),
                incarnation,
                store,
                sent: state.time,
                held: false,
                body: Body::Request(id, request),
            });
        }
        let mut expired = false;
        for event in &step.events {
            self.sights.note(event, role);
            match event {
                Event::Elected { term, .. } => {
                    if !granted {
                        state.complain("S4: somebody was elected by something else than a grant");
                    }
                    if term.get() <= state.highest {
                        state.complain("S2: a term does not rise");
                    }
                    state.highest = state.highest.max(term.get());
                }
                Event::Expired { .. } => expired = true,
                _ => {}
            }
        }
        if expired {
            self.end_work(state, place);
        } else if state.nodes[place].inner.candidate.role() == Role::Done {
            self.born_again(state, place);
        }
    }

    pub(crate) fn end_work(&self, state: &mut State, place: usize) {
        self.input(state, place, Input::WorkEnded(LossReason::Resigned));
    }

    /// `S4`: a majority showed the claimant records that are free or stalled for a window.
    fn judge_claims(&self, state: &mut State, place: usize, step: &Step) {
        let node = &state.nodes[place].inner;
        let time = state.time;
        let founded = |store: StoreIndex, claim: &Claim| {
            let shown = node.shown[store.get()]
                .iter()
                .find(|shown| shown.mark == claim.expected);
            let seen = shown.is_some_and(|shown| {
                let stood = clock(time).since(clock(shown.first));
                let polls = u32::from(shown.times) > timing().stall_polls();
                claim.expected.shape != Shape::Held || (polls && stood >= timing().window())
            });
            // An only store is asked for what is absent, whatever was seen.
            let blind = claim.kind == ClaimKind::Sole;
            seen || blind && matches!(claim.expected.shape, Shape::Absent { .. })
        };
        let mut claims = 0;
        let mut all_founded = true;
        let mut joins = false;
        for sent in &step.sends {
            if let Request::Claim(claim) = &sent.request {
                claims += 1;
                joins |= claim.kind == ClaimKind::Join;
                all_founded &= founded(sent.store, claim);
            }
        }
        let majority = usize::from(self.bounds.stores / 2 + 1);
        if !all_founded || (claims > 0 && !joins && claims < majority) {
            state.complain("S4: somebody claimed what it was not shown to be free");
        }
    }
}
