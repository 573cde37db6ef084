//! One state: each input to it, and what the candidate does.

use std::io::{Result, Write};
use std::time::Duration;

use incumbent::protocol::{
    Beat, Candidate, CandidateConfig, CandidateId, ClaimKind, Electorate, Failure, Input,
    LossReason, Mark, Memory, MemoryId, Occupancy, Outgoing, Record, Reply, Request, RequestId,
    Role, Step, StoreIndex, Term, Timestamp, Timing, Verdict, WallMillis, Watch,
};

use crate::planted::{Planted, PlantedView};

pub(crate) const NOW: u64 = 100_000;
pub(crate) const INTERVAL: u64 = 1000;
pub(crate) const WINDOW: u64 = 5000;
pub(crate) const PROBATION: u64 = 10_000;
pub(crate) const TIMEOUT: u64 = 800;
/// The term that it claims or leads under, or claimed last.
pub(crate) const OURS: u64 = 4000;
/// What the clock of a store shows: a claim has at least this term, in microseconds.
pub(crate) const CLOCK: u64 = 5;

pub(crate) const WHOLE: &str = "stores other_window role term deadline ending expired input";
pub(crate) const VIEW: &str =
    "w_mem w_record w_since k_mem k_born h_mem h_record p_kind p_sent claimed hold a_sent a_mem";
pub(crate) const REPLY: &str = "r_granted r_mem r_record r_age";
pub(crate) const AFTER: &str =
    "role_after term_after deadline_after expired_after acts_after last_after";
pub(crate) const VIEW_AFTER: &str = "w_mem_after w_record_after w_since_after k_mem_after k_born_after p_kind_after claimed_after hold_after a_sent_after a_mem_after sent sent_term x_mem x_record attests attested released";

/// The records, in the order in which a store shows them under one memory.
pub(crate) const RECORDS: [Seen; 10] = [
    Seen::Absent,
    Seen::Held(2, 2000, 15),
    Seen::Held(1, 3000, 20),
    Seen::Foreign,
    Seen::Vacant(3000, 20),
    Seen::Absent,
    Seen::Held(0, OURS, 30),
    Seen::Held(0, OURS, 32),
    Seen::Vacant(OURS, 33),
    Seen::Held(1, 6000, 40),
];

#[derive(Clone, Copy)]
pub(crate) enum Seen {
    Absent,
    /// Held by us, by another, or by an earlier claim of ours; under this term, with this counter.
    Held(usize, u64, i64),
    /// By another, whose counter was touched.
    Foreign,
    Vacant(u64, i64),
}

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

pub(crate) fn number(moment: Timestamp) -> i32 {
    match moment {
        Timestamp::NEVER => -1,
        _ => i32::try_from(moment.as_nanos() / 1_000_000).expect("a small moment"),
    }
}

pub(crate) fn term(number: u64) -> Term {
    Term::new(number).expect("a small number")
}

pub(crate) fn us(place: usize) -> CandidateId {
    CandidateId::new(["a", "b", "a"][place]).expect("a valid id")
}

pub(crate) fn memory(number: u64, age: u64, record: usize) -> Memory {
    let id = MemoryId {
        made: WallMillis::ZERO,
        nonce: number,
    };
    Memory {
        age: Duration::from_millis(age),
        taken: [0, 0, 0, 0, 0, 1, 1, 1, 1, 2][record],
        ..Memory::young(id)
    }
}

/// Every state, and every input to each.
pub(crate) struct Printer<W> {
    pub(crate) out: W,
    pub(crate) other_window: u64,
    pub(crate) electorate: Electorate,
    pub(crate) timing: Timing,
    pub(crate) count: u64,
}

impl<W: Write> Printer<W> {
    pub(crate) fn record(&self, place: usize) -> Record {
        let other_window = Duration::from_millis(self.other_window);
        let (number, counter, occupancy) = match RECORDS[place] {
            Seen::Absent => return Record::ABSENT,
            Seen::Held(who, number, counter) => {
                let window = match who {
                    1 => other_window,
                    _ => self.timing.window(),
                };
                let holder = us(who);
                (number, counter, Occupancy::Held { holder, window })
            }
            Seen::Foreign => {
                let counter = Some(Beat::new(7));
                let window = other_window;
                (3000, 20, Occupancy::Foreign { counter, window })
            }
            Seen::Vacant(number, counter) => (number, counter, Occupancy::Vacant),
        };
        Record {
            floor: term(number),
            term: term(number),
            beat: Beat::new(counter),
            occupancy,
            ..Record::ABSENT
        }
    }

    /// Which record a claim expects, and under which memory.
    pub(crate) fn expected(&self, mark: Mark) -> [i32; 2] {
        let fits = |place: &usize| {
            self.record(*place)
                .mark(&memory(mark.memory.nonce, 0, *place))
                == mark
        };
        let place = (0..RECORDS.len()).find(fits);
        let place = place.map_or(-1, |place| i32::try_from(place).expect("few records"));
        [i32::try_from(mark.memory.nonce).expect("small"), place]
    }

    /// What was seen of a store: a record under a memory, since a moment, last at another, in some polls more.
    pub(crate) fn watch(
        &self,
        place: usize,
        mem: u64,
        (since, until, polls): (u64, u64, u32),
    ) -> Watch {
        let (record, memory) = (self.record(place), memory(mem, 0, place));
        let mut watch = Watch::NEW;
        watch.observe(&record, &memory, at(since), at(since));
        for _ in 0..polls {
            watch.observe(&record, &memory, at(until), at(until));
        }
        watch
    }

    pub(crate) fn config(&self) -> CandidateConfig {
        CandidateConfig {
            id: us(0),
            host: None,
            not_before: Timestamp::ZERO,
            timing: self.timing,
            electorate: self.electorate,
            seed: 1,
            ephemeral: false,
            openings: Vec::new(),
        }
    }

    /// Every input to one state.
    pub(crate) fn start(&mut self, state: &Planted) -> Result<()> {
        let mut inputs = vec![
            (0, Input::Tick, [0; 4]),
            (4, Input::Resign(LossReason::Resigned), [0; 4]),
            (5, Input::Resign(LossReason::OtherStores), [0; 4]),
        ];
        if matches!(state.role, Role::Leading | Role::Draining) {
            inputs.push((6, Input::WorkEnded(LossReason::Resigned), [0; 4]));
        }
        if let Some((kind, _)) = state.views[0].pending {
            let failed = |failure| Input::Replied {
                store: StoreIndex(0),
                id: RequestId(0),
                result: Err(failure),
            };
            inputs.push((2, failed(Failure::NotExecuted), [0; 4]));
            inputs.push((3, failed(Failure::Unknown), [0; 4]));
            let granted: &[usize] = [&[][..], &[7], &[7], &[8, 5]][kind];
            let refused: &[usize] = [
                &[0, 1, 2, 3, 4, 5, 6, 8, 9][..],
                &[2, 4, 6, 9],
                &[0, 2, 5, 8, 9],
                &[2, 6],
            ][kind];
            let verdicts = [(Verdict::Granted, granted), (Verdict::Refused, refused)];
            for (verdict, places) in verdicts {
                for place in places {
                    for mem in [1, 2] {
                        // Only what is granted shows by itself how old a memory is.
                        let ages: &[u64] = match kind {
                            1 | 2 => &[PROBATION, 0],
                            _ => &[PROBATION],
                        };
                        for &age in ages {
                            let reply = Reply {
                                verdict: if kind == 0 { Verdict::Granted } else { verdict },
                                record: self.record(*place),
                                memory: memory(mem, age, *place),
                                clock: WallMillis::new(CLOCK).expect("a small number"),
                            };
                            let input = Input::Replied {
                                store: StoreIndex(0),
                                id: RequestId(0),
                                result: Ok(reply),
                            };
                            let small = |number: u64| i32::try_from(number).expect("small");
                            let numbers = [
                                i32::from(verdict == Verdict::Granted && kind != 0),
                                small(mem),
                                small(*place as u64),
                                small(age),
                            ];
                            inputs.push((1, input, numbers));
                        }
                    }
                }
            }
        }
        for mem in [1, 2] {
            for place in [4, 5] {
                let input = Input::Woken {
                    store: StoreIndex(0),
                    record: self.record(place),
                    memory: memory(mem, 0, place),
                    called: None,
                };
                let numbers = [
                    0,
                    i32::try_from(mem).expect("small"),
                    i32::try_from(place).expect("small"),
                    0,
                ];
                inputs.push((7, input, numbers));
            }
        }
        for (kind, input, reply) in inputs {
            let mut candidate = state.candidate(self.config(), at(NOW - 1));
            let step = candidate.handle(at(NOW), input);
            self.print(state, kind, reply, &candidate, &step)?;
        }
        Ok(())
    }

    pub(crate) fn print(
        &mut self,
        state: &Planted,
        input: i32,
        reply: [i32; 4],
        candidate: &Candidate,
        step: &Step,
    ) -> Result<()> {
        let after = Planted::of(candidate);
        let size = self.electorate.size();
        let mut numbers = vec![
            i32::try_from(size).expect("few"),
            i32::try_from(self.other_window).expect("small"),
        ];
        numbers.extend(self.whole(state));
        numbers.push(input);
        numbers.extend(reply);
        for view in &state.views {
            numbers.extend(self.view(view));
        }
        let whole = self.whole(&after);
        numbers.extend([whole[0], whole[1], whole[2], whole[4]]);
        numbers.push(i32::from(candidate.may_act(at(NOW))));
        numbers.push(after.last_claimed.map_or(0, |term| term.get() as i32));
        for (store, view) in (0..).zip(&after.views) {
            let seen = self.view(view);
            numbers.extend(&seen[..5]);
            numbers.push(seen[7]);
            numbers.extend(&seen[9..]);
            let sends = step
                .sends
                .iter()
                .filter(|sent| sent.store == StoreIndex(store));
            numbers.extend(self.sends(sends));
        }
        self.count += 1;
        for number in numbers {
            self.out.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    }

    pub(crate) fn whole(&self, state: &Planted) -> [i32; 5] {
        [
            state.role as i32,
            state.term.map_or(0, |term| term.get() as i32),
            state.deadline.map_or(-1, number),
            state.ending.map_or(0, |reason| match reason {
                LossReason::StoreForgot => 2,
                LossReason::Deposed => 3,
                _ => 1,
            }),
            i32::from(state.expired),
        ]
    }

    pub(crate) fn view(&self, view: &PlantedView) -> [i32; 13] {
        let [w_mem, w_record] = view
            .watch
            .mark()
            .map_or([0, -1], |mark| self.expected(mark));
        let since = view.watch.unchanged_since().map_or(-1, number);
        let id = |memory: MemoryId| i32::try_from(memory.nonce).expect("small");
        let (k_mem, k_born) = view
            .known
            .map_or((0, -1), |known| (id(known.memory.id), number(known.born())));
        let hint = view.hint.as_ref();
        let [h_mem, h_record] = hint.map_or([0, -1], |(_, mark, _)| self.expected(*mark));
        let (p_kind, p_sent) = view
            .pending
            .map_or((0, -1), |(kind, sent)| (1 + kind as i32, number(sent)));
        let hold = view.hold.map_or(0, id);
        let (a_sent, a_mem) = view
            .acknowledged
            .map_or((-1, 0), |(sent, memory)| (number(sent), id(memory)));
        [
            w_mem,
            w_record,
            since,
            k_mem,
            k_born,
            h_mem,
            h_record,
            p_kind,
            p_sent,
            i32::from(view.claimed),
            hold,
            a_sent,
            a_mem,
        ]
    }

    /// The claim or heartbeat among what is sent to a store, and the term of what is released there.
    pub(crate) fn sends<'a>(&self, sends: impl Iterator<Item = &'a Outgoing>) -> [i32; 7] {
        let mut found = [0; 7];
        for sent in sends {
            let mut tell =
                |kind: i32,
                 term: Term,
                 [mem, place]: [i32; 2],
                 attested: Option<incumbent::protocol::Attestation>| {
                    assert_eq!(found[0], 0, "one claim or heartbeat to a store at a time");
                    let (attests, age) = attested.map_or((0, 0), |word| {
                        (word.memory.nonce as i32, word.age.as_millis() as i32)
                    });
                    let released = found[6];
                    found = [kind, term.get() as i32, mem, place, attests, age, released];
                };
            match &sent.request {
                Request::Claim(claim) => {
                    let kind = match claim.kind {
                        ClaimKind::Shared => 1,
                        ClaimKind::Sole => 2,
                        ClaimKind::Join => 3,
                    };
                    tell(
                        kind,
                        claim.term,
                        self.expected(claim.expected),
                        claim.attested,
                    );
                }
                Request::Beat { term, attested, .. } => tell(4, *term, [0, -1], *attested),
                Request::Release { term, .. } => found[6] = term.get() as i32,
                _ => {}
            }
        }
        found
    }
}
