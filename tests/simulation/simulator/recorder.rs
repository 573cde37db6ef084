//! What a run looks like to the proof: one line of JSON for each thing that happened, in the order of time.
//!
//! `tests/proof/traces.py` reads it, and takes each line for steps of the relation that is proved.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use incumbent::protocol::{
    Attestation, Candidate, ClaimKind, Mark, Memory, MemoryId, Occupancy, Order, Record, Reply,
    Request, Role, Shape, State, Verdict,
};

use super::Nanos;
use super::clock::LocalClock;
use super::incumbent::{Keeping, Player};
use super::party::{Stimulus, Witness};
use super::plan::{Plan, nanos};

/// The lines so far, shared with the world that is recorded.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    lines: Rc<RefCell<Vec<String>>>,
}

/// Who sent a request, and which.
pub(crate) struct Sender {
    pub(crate) slot: usize,
    pub(crate) incarnation: u32,
    pub(crate) id: u64,
}

impl Recorder {
    /// Begins with what the plan says of the stores and the candidates.
    pub(crate) fn new(plan: &Plan) -> Self {
        let timings = plan.timings.iter().map(|timing| {
            let [tenure, window, probation] =
                [timing.tenure(), timing.window(), timing.probation()].map(nanos);
            format!(r#"{{"tenure":{tenure},"window":{window},"probation":{probation}}}"#)
        });
        let stores = plan.durabilities.iter().copied().map(Keeping::new);
        let stores = stores.map(|store| state(store.state()));
        let recorder = Self::default();
        recorder.note(
            0,
            "begins",
            &format!(
                r#""slots":[{}],"stores":[{}]"#,
                timings.collect::<Vec<_>>().join(","),
                stores.collect::<Vec<_>>().join(",")
            ),
        );
        recorder
    }

    pub(crate) fn count(&self) -> usize {
        self.lines.borrow().len()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    fn note(&self, now: Nanos, what: &str, rest: &str) {
        let line = format!(r#"{{"t":{now},"what":"{what}",{rest}}}"#);
        self.lines.borrow_mut().push(line);
    }
}

impl Witness<Player> for Recorder {
    fn sent(&mut self, now: Nanos, sender: &Sender, store: usize, asked: &Request) {
        self.note(
            now,
            "sent",
            &format!("{},{}", from(sender, store), request(asked)),
        );
    }

    fn executed(
        &mut self,
        now: Nanos,
        (sender, store): (&Sender, usize),
        asked: &Request,
        reply: &Reply,
        keeping: &Keeping,
    ) {
        let granted = reply.verdict == Verdict::Granted;
        let (clock, memory) = (reply.clock.get() * 1000, id(reply.memory.id));
        let rest = format!(
            r#"{},{},"granted":{granted},"clock":{clock},"memory":"{memory}","state":{}"#,
            from(sender, store),
            request(asked),
            state(keeping.state())
        );
        self.note(now, "executed", &rest);
    }

    fn struck(&mut self, now: Nanos, store: usize, wall_ms: u64, keeping: &Keeping) {
        let state = state(keeping.state());
        self.note(
            now,
            "lost",
            &format!(r#""store":{store},"clock":{wall_ms}000,"state":{state}"#),
        );
    }

    fn handled(
        &mut self,
        now: Nanos,
        (slot, clock): (usize, &LocalClock),
        stimulus: &Stimulus<Reply>,
        player: &Player,
    ) {
        let heard = match stimulus {
            Stimulus::Replied {
                store,
                result: Ok(reply),
                ..
            }
            | Stimulus::Woken { store, reply, .. } => Some((store, reply)),
            Stimulus::Replied { .. } | Stimulus::Tick | Stimulus::Resign | Stimulus::WorkEnded => {
                None
            }
        };
        if let Some((store, reply)) = heard {
            let (mark, age) = (mark(&reply.mark()), nanos(reply.memory.age));
            self.note(
                now,
                "heard",
                &format!(r#""slot":{slot},"store":{store},{mark},"age":{age}"#),
            );
        }
        if let Some(candidate) = player.candidate() {
            let deadline = candidate
                .deadline()
                .map_or(0, |deadline| clock.when(deadline));
            self.note(now, "phase", &phase(slot, candidate, deadline));
        }
    }

    fn died(&mut self, at: Nanos, player: &Player) {
        if let Some(candidate) = player.candidate() {
            self.note(at, "died", &format!(r#""who":"{}""#, candidate.id()));
        }
    }
}

fn phase(slot: usize, candidate: &Candidate, deadline: Nanos) -> String {
    let role = match candidate.role() {
        Role::Claiming => "claiming",
        Role::Probation => "waiting",
        Role::Leading | Role::Draining => "leading",
        Role::Standby | Role::Releasing | Role::Done => "none",
    };
    let (who, term) = (
        candidate.id(),
        candidate.term().map_or(0, |term| term.get()),
    );
    format!(r#""slot":{slot},"who":"{who}","role":"{role}","term":{term},"deadline":{deadline}"#)
}

fn from(sender: &Sender, store: usize) -> String {
    let Sender {
        slot,
        incarnation,
        id,
    } = sender;
    format!(r#""slot":{slot},"id":"{slot}.{incarnation}.{id}","store":{store}"#)
}

fn request(asked: &Request) -> String {
    match asked {
        Request::Observe => r#""kind":"observe""#.to_owned(),
        Request::Claim(claim) => format!(
            r#""kind":"{}","who":"{}","term":{},{},{}"#,
            match claim.kind {
                ClaimKind::Shared => "claim",
                ClaimKind::Sole => "sole",
                ClaimKind::Join => "join",
            },
            claim.holder,
            claim.term,
            mark(&claim.expected),
            attested(claim.attested),
        ),
        Request::Beat {
            holder,
            term,
            attested: word,
        } => format!(
            r#""kind":"beat","who":"{holder}","term":{term},{}"#,
            attested(*word)
        ),
        Request::Release { holder, term, .. } => {
            format!(r#""kind":"release","who":"{holder}","term":{term}"#)
        }
        Request::Order(order) => match order {
            Order::Depose { expected } => format!(r#""kind":"depose",{}"#, mark(expected)),
            Order::Forget { .. } => r#""kind":"forget""#.to_owned(),
            Order::Pause { .. } | Order::Resume | Order::Resign { .. } => {
                r#""kind":"order""#.to_owned()
            }
        },
    }
}

fn attested(word: Option<Attestation>) -> String {
    match word {
        Some(Attestation { memory, age }) => {
            format!(r#""attests":"{}","attested":{}"#, id(memory), nanos(age))
        }
        None => r#""attests":null"#.to_owned(),
    }
}

fn id(memory: MemoryId) -> String {
    format!("{}.{}", memory.made, memory.nonce)
}

fn mark(mark: &Mark) -> String {
    let (shape, counter, taken) = match mark.shape {
        Shape::Absent { taken } => ("absent", 0, taken),
        Shape::Vacant => ("vacant", 0, 0),
        Shape::Held => ("held", 0, 0),
        Shape::Foreign(counter) => ("foreign", counter.map_or(-1, |counter| counter.get()), 0),
    };
    let (memory, beat) = (id(mark.memory), mark.beat.get());
    format!(
        r#""x_memory":"{memory}","x_shape":"{shape}","x_beat":{beat},"x_counter":{counter},"x_taken":{taken}"#
    )
}

/// All that a store keeps.
fn state(state: &State) -> String {
    let Record {
        floor,
        term,
        beat,
        occupancy,
        orders,
    } = &state.record;
    let (shape, holder) = match occupancy {
        Occupancy::Absent => ("absent", String::new()),
        Occupancy::Vacant => ("vacant", String::new()),
        Occupancy::Held { holder, .. } => ("held", holder.to_string()),
        Occupancy::Foreign { .. } => ("foreign", String::new()),
    };
    let mut text = String::from("{");
    if let Some(Memory {
        id: which,
        age,
        floor,
        taken,
    }) = state.memory
    {
        let (which, age) = (id(which), nanos(age));
        write!(
            text,
            r#""memory":"{which}","age":{age},"memory_floor":{floor},"taken":{taken},"#
        )
        .expect("a string takes all");
    }
    let listed = state.listed.map_or(-1, |floor| floor.get().cast_signed());
    let paused = orders.paused.is_some();
    write!(
        text,
        r#""restarted":{},"listed":{listed},"floor":{floor},"term":{term},"beat":{},"shape":"{shape}","holder":"{holder}","paused":{paused}}}"#,
        state.restarted,
        beat.get(),
    )
    .expect("a string takes all");
    text
}
