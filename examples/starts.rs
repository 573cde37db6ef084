//! Starts the candidate from every small state, reachable or not, gives it every input that a small world has, and
//! prints what it does, for the proof (`tests/proof/starts.py`): a line of names, and numbers of 32 bits after it.
//! A moment is in milliseconds, and a memory is the number of its loss.

use std::io::{BufWriter, Result, Write, stdout};
use std::time::Duration;

use incumbent::protocol::planted::{Planted, PlantedView};
use incumbent::protocol::{
    Beat, Candidate, CandidateConfig, CandidateId, ClaimKind, Electorate, Failure, Input,
    Knowledge, LossReason, Mark, Memory, MemoryId, Occupancy, Outgoing, Record, Reply, Request,
    RequestId, Role, Step, StoreIndex, Term, Timestamp, Timing, TimingConfig, Verdict, WallMillis,
    Watch,
};

const NOW: u64 = 100_000;
const INTERVAL: u64 = 1000;
const WINDOW: u64 = 5000;
const PROBATION: u64 = 10_000;
const TIMEOUT: u64 = 800;
/// The term that it claims or leads under, or claimed last.
const OURS: u64 = 4000;
/// What the clock of a store shows: a claim has at least this term, in microseconds.
const CLOCK: u64 = 5;

const WHOLE: &str = "stores other_window role term deadline ending expired input";
const VIEW: &str =
    "w_mem w_record w_since k_mem k_born h_mem h_record p_kind p_sent claimed hold a_sent a_mem";
const REPLY: &str = "r_granted r_mem r_record r_age";
const AFTER: &str = "role_after term_after deadline_after expired_after acts_after last_after";
const VIEW_AFTER: &str = "w_mem_after w_record_after w_since_after k_mem_after k_born_after p_kind_after claimed_after hold_after a_sent_after a_mem_after sent sent_term x_mem x_record attests attested released";

/// The records, in the order in which a store shows them under one memory.
const RECORDS: [Seen; 10] = [
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
enum Seen {
    Absent,
    /// Held by us, by another, or by an earlier claim of ours; under this term, with this counter.
    Held(usize, u64, i64),
    /// By another, whose counter was touched.
    Foreign,
    Vacant(u64, i64),
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn number(moment: Timestamp) -> i32 {
    match moment {
        Timestamp::NEVER => -1,
        _ => i32::try_from(moment.as_nanos() / 1_000_000).expect("a small moment"),
    }
}

fn term(number: u64) -> Term {
    Term::new(number).expect("a small number")
}

fn us(place: usize) -> CandidateId {
    CandidateId::new(["a", "b", "a"][place]).expect("a valid id")
}

fn memory(number: u64, age: u64, record: usize) -> Memory {
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
struct Printer<W> {
    out: W,
    other_window: u64,
    electorate: Electorate,
    timing: Timing,
    count: u64,
}

impl<W: Write> Printer<W> {
    fn record(&self, place: usize) -> Record {
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
    fn expected(&self, mark: Mark) -> [i32; 2] {
        let fits = |place: &usize| {
            self.record(*place)
                .mark(&memory(mark.memory.nonce, 0, *place))
                == mark
        };
        let place = (0..RECORDS.len()).find(fits);
        let place = place.map_or(-1, |place| i32::try_from(place).expect("few records"));
        [i32::try_from(mark.memory.nonce).expect("small"), place]
    }

    /// What was seen of a store: a record under a memory, since a moment, last at another, in so many polls more.
    fn watch(&self, place: usize, mem: u64, (since, until, polls): (u64, u64, u32)) -> Watch {
        let (record, memory) = (self.record(place), memory(mem, 0, place));
        let mut watch = Watch::NEW;
        watch.observe(&record, &memory, at(since), at(since));
        for _ in 0..polls {
            watch.observe(&record, &memory, at(until), at(until));
        }
        watch
    }

    fn config(&self) -> CandidateConfig {
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
    fn start(&mut self, state: &Planted) -> Result<()> {
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

    fn print(
        &mut self,
        state: &Planted,
        input: i32,
        reply: [i32; 4],
        candidate: &Candidate,
        step: &Step,
    ) -> Result<()> {
        let after = candidate.planted();
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

    fn whole(&self, state: &Planted) -> [i32; 5] {
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

    fn view(&self, view: &PlantedView) -> [i32; 13] {
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
    fn sends<'a>(&self, sends: impl Iterator<Item = &'a Outgoing>) -> [i32; 7] {
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

/// What may be known of a store, one choice for each part.
struct Choices {
    watches: Vec<Watch>,
    known: Vec<Option<Knowledge>>,
    hints: Vec<Option<(Record, Mark, Timestamp)>>,
    pending: Vec<Option<(usize, Timestamp)>>,
    /// Whether something is claimed there, what is held, and what was acknowledged.
    holds: Vec<(bool, Option<u64>, Option<(u64, u64)>)>,
}

impl Choices {
    fn views(&self) -> Vec<PlantedView> {
        let mut views = Vec::new();
        for watch in &self.watches {
            for known in &self.known {
                for hint in &self.hints {
                    for pending in &self.pending {
                        for (claimed, hold, acknowledged) in &self.holds {
                            let id = |number: u64| memory(number, 0, 0).id;
                            views.push(PlantedView {
                                watch: watch.clone(),
                                known: *known,
                                hint: hint.clone(),
                                pending: *pending,
                                claimed: *claimed,
                                hold: hold.map(id),
                                acknowledged: acknowledged.map(|(sent, mem)| (at(sent), id(mem))),
                            });
                        }
                    }
                }
            }
        }
        views
    }
}

fn known(mem: u64, born: u64) -> Option<Knowledge> {
    let seen = born.max(NOW - INTERVAL);
    let memory = memory(mem, seen - born, 0);
    let seen = at(seen);
    let clock = WallMillis::new(CLOCK).expect("a small number");
    Some(Knowledge::learnt(None, (memory, clock), seen, seen))
}

/// Nothing, or one of the kinds that is answered in time, at the last moment, or no more.
fn pending(kinds: &[usize]) -> Vec<Option<(usize, Timestamp)>> {
    let sent = [100, TIMEOUT, TIMEOUT + 1].map(|ago| at(NOW - ago));
    let each = kinds
        .iter()
        .flat_map(|kind| sent.map(|sent| Some((*kind, sent))));
    std::iter::once(None).chain(each).collect()
}

impl<W: Write> Printer<W> {
    /// What was seen of these records: fresh and stale, or for long enough, not quite, and just now.
    fn watches(&self, mems: &[u64], places: &[usize]) -> Vec<Watch> {
        let mut watches = Vec::new();
        for mem in mems {
            for place in places {
                let window = match RECORDS[*place] {
                    Seen::Held(1, ..) | Seen::Foreign => self.other_window.max(WINDOW),
                    _ => WINDOW,
                };
                let recent = NOW - INTERVAL;
                let ages: &[(u64, u64, u32)] = match RECORDS[*place] {
                    Seen::Absent | Seen::Vacant(..) => {
                        &[(recent, recent, 1), (recent - 501, recent - 501, 0)]
                    }
                    _ => &[
                        (NOW - window, recent, 5),
                        (NOW - window + 1, recent, 5),
                        (recent, recent, 0),
                    ],
                };
                watches.extend(ages.iter().map(|age| self.watch(*place, *mem, *age)));
            }
        }
        watches
    }

    /// Every state of one store, and those of three that differ in what counts for a majority.
    fn all(&mut self) -> Result<()> {
        let sole = self.electorate.size() == 1;
        let tenure = u64::try_from(self.timing.tenure().as_millis()).expect("small");
        let [exact, short, earlier] = [0, -1, 2 * 1000].map(|more: i64| {
            let born = (NOW - PROBATION).cast_signed() - more;
            born.cast_unsigned()
        });
        let ages: Vec<Option<Knowledge>> = [1, 2]
            .iter()
            .flat_map(|mem| [exact, short, earlier].map(|born| known(*mem, born)))
            .chain([None])
            .collect();
        let few_ages = vec![known(1, exact), known(1, short), known(2, short)];
        let hint = |mem: u64, place: usize| {
            let record = self.record(place);
            let mark = record.mark(&memory(mem, 0, place));
            Some((record, mark, at(NOW - 100)))
        };
        let none = vec![(false, None, None)];
        let claimed = (true, None, None);

        let standby = Choices {
            watches: match sole {
                true => self.watches(&[1, 2], &[0, 1, 2, 3, 4, 5, 6, 8]),
                false => self.watches(&[1], &[0, 2, 4]),
            },
            known: if sole {
                [few_ages.clone(), vec![None]].concat()
            } else {
                few_ages[1..].to_vec()
            },
            hints: if sole {
                vec![None, hint(1, 4), hint(2, 5)]
            } else {
                vec![None]
            },
            pending: if sole { pending(&[0, 3]) } else { vec![None] },
            holds: if sole {
                vec![none[0], claimed]
            } else {
                none.clone()
            },
        };
        let standby_first = Choices {
            pending: pending(&[0]),
            hints: vec![None, hint(1, 4)],
            ..Choices {
                watches: standby.watches.clone(),
                known: standby.known.clone(),
                hints: Vec::new(),
                pending: Vec::new(),
                holds: standby.holds.clone(),
            }
        };
        self.product(
            Role::Standby,
            &standby,
            if sole { &standby } else { &standby_first },
            tenure,
        )?;

        let granted = |sents: &[u64], mems: &[u64]| -> Vec<_> {
            let each = mems.iter().flat_map(|mem| {
                sents
                    .iter()
                    .map(|sent| (true, Some(*mem), Some((*sent, *mem))))
            });
            each.collect()
        };
        let sent = [NOW - 100, NOW - TIMEOUT];
        if self.other_window == WINDOW {
            return Ok(());
        }
        let claiming = |first: bool| Choices {
            watches: if sole {
                self.watches(&[1, 2], &[0, 2, 4, 6])
            } else {
                self.watches(&[1], &[6])[2..].to_vec()
            },
            known: if sole { ages.clone() } else { few_ages.clone() },
            hints: vec![None],
            pending: if first {
                pending(&[1])[1..].to_vec()
            } else {
                vec![None, Some((1, at(sent[0])))]
            },
            holds: if first {
                vec![claimed]
            } else {
                [vec![claimed, none[0]], granted(&sent[..1], &[1])].concat()
            },
        };
        self.product(Role::Claiming, &claiming(false), &claiming(true), tenure)?;

        let sents = [NOW - 1000, NOW - 2000, NOW - 2001];
        let proving = |first: bool| Choices {
            watches: if sole {
                self.watches(&[1, 2], &[2, 6, 8])
            } else {
                self.watches(&[1], &[6])[2..].to_vec()
            },
            known: if sole {
                ages.clone()
            } else {
                vec![
                    known(1, exact),
                    known(1, short),
                    known(1, earlier),
                    known(1, NOW - PROBATION - 500),
                ]
            },
            hints: vec![None],
            pending: if first { pending(&[2]) } else { vec![None] },
            holds: match sole {
                true => granted(&sents, &[1, 2]),
                false => [vec![none[0]], granted(&sents[..3], &[1])].concat(),
            },
        };
        self.product(Role::Probation, &proving(false), &proving(true), tenure)?;

        let leading = |first: bool| {
            let mut holds = granted(&[NOW - 1000, NOW - 2000], &[1]);
            holds.extend([(false, None, None), (true, None, Some((NOW - 1000, 1)))]);
            if sole || first {
                holds.extend([
                    (true, Some(2), Some((NOW - 1000, 2))),
                    (true, Some(1), Some((NOW - tenure, 1))),
                    claimed,
                ]);
            }
            Choices {
                watches: match sole || first {
                    true => [self.watches(&[2], &[0]), self.watches(&[1], &[2, 8])].concat(),
                    false => self.watches(&[1], &[6])[2..].to_vec(),
                },
                known: match first {
                    true => vec![known(1, short), known(2, NOW - 900)],
                    false if sole => vec![known(1, short), known(2, NOW - 900), known(2, short)],
                    false => vec![known(1, short)],
                },
                hints: vec![None],
                pending: if sole {
                    pending(&[0, 1, 2])
                } else if first {
                    pending(&[1, 2])
                } else {
                    vec![None]
                },
                holds,
            }
        };
        let (rest, first) = (leading(false), leading(true));
        for role in [Role::Leading, Role::Draining] {
            self.product(role, &rest, &first, tenure)?;
        }
        let releasing = |first: bool| Choices {
            watches: self.watches(&[1, 2], &[0, 2, 6, 8]),
            known: few_ages.clone(),
            hints: vec![None],
            pending: if first { pending(&[3]) } else { vec![None] },
            holds: vec![none[0], claimed],
        };
        if sole {
            self.product(Role::Releasing, &releasing(false), &releasing(true), tenure)?;
        }
        Ok(())
    }

    /// The candidates in `role`, with each choice for the first store, and each other one for the rest.
    fn product(&mut self, role: Role, rest: &Choices, first: &Choices, tenure: u64) -> Result<()> {
        let (first, rest) = (first.views(), rest.views());
        let others = self.electorate.size() - 1;
        for view in &first {
            for place in 0..rest.len().pow(u32::try_from(others).expect("few")) {
                let mut views = vec![view.clone()];
                let mut left = place;
                for _ in 0..others {
                    views.push(rest[left % rest.len()].clone());
                    left /= rest.len();
                }
                // Two stores that are alike are looked at in one order.
                if others == 2 && place / rest.len() > place % rest.len() {
                    continue;
                }
                self.leads(role, views, tenure)?;
            }
        }
        Ok(())
    }

    fn leads(&mut self, role: Role, views: Vec<PlantedView>, tenure: u64) -> Result<()> {
        let majority = self.electorate.majority();
        let holds = views.iter().filter(|view| view.hold.is_some()).count();
        let mut sent: Vec<Timestamp> = views
            .iter()
            .filter_map(|view| Some(view.acknowledged?.0))
            .collect();
        sent.sort_unstable();
        let acknowledged = sent.iter().rev().nth(majority - 1);
        let state = Planted {
            role,
            term: (role != Role::Standby).then(|| term(OURS)),
            deadline: None,
            ending: None,
            expired: false,
            last_claimed: (role == Role::Standby).then(|| term(OURS)),
            views,
        };
        match role {
            Role::Probation if holds < majority => Ok(()),
            Role::Leading | Role::Draining => {
                let Some(acknowledged) = acknowledged else {
                    return Ok(());
                };
                let endings: &[Option<LossReason>] = match role {
                    Role::Leading => &[None],
                    _ if majority > 1 => &[Some(LossReason::Resigned)],
                    _ => &[
                        Some(LossReason::Resigned),
                        Some(LossReason::StoreForgot),
                        Some(LossReason::Deposed),
                    ],
                };
                for ending in endings {
                    let latest = *acknowledged + Duration::from_millis(tenure);
                    let earlier = latest.before(Duration::from_millis(700));
                    for deadline in
                        [latest, earlier]
                            .into_iter()
                            .take(if majority > 1 { 1 } else { 2 })
                    {
                        let expired = deadline <= at(NOW - 1);
                        let deadline = Some(deadline);
                        self.start(&Planted {
                            deadline,
                            ending: *ending,
                            expired,
                            ..state.clone()
                        })?;
                    }
                }
                Ok(())
            }
            _ => self.start(&state),
        }
    }
}

fn main() -> Result<()> {
    let size: usize = std::env::args()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(1);
    let mut out = BufWriter::new(stdout().lock());
    let mut names = format!("{WHOLE} {REPLY}");
    for (part, each) in [("", VIEW), (AFTER, VIEW_AFTER)] {
        names = format!("{names} {part}");
        for store in 0..size {
            for name in each.split(' ') {
                names = format!("{names} {name}_{store}");
            }
        }
    }
    let names: Vec<&str> = names.split_whitespace().collect();
    writeln!(out, "{}", names.join(" "))?;
    for other_window in [WINDOW, PROBATION] {
        let timing = TimingConfig {
            interval: Duration::from_millis(INTERVAL),
            stall_polls: 5,
            stop_grace: Duration::from_millis(500),
            op_timeout: Some(Duration::from_millis(TIMEOUT)),
            probation: Some(Duration::from_millis(PROBATION)),
            ..TimingConfig::default()
        };
        let mut printer = Printer {
            out: &mut out,
            other_window,
            electorate: Electorate::new(size).expect("one, three or five stores"),
            timing: Timing::new(&timing).expect("a valid timing"),
            count: 0,
        };
        if size == 1 || other_window > WINDOW {
            printer.all()?;
        }
        eprintln!("{} steps", printer.count);
    }
    out.flush()
}
