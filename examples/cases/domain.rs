//! The small domain: states of one store, and requests to it.

use std::time::Duration;

use incumbent::protocol::{
    Attestation, Beat, CandidateId, Claim, ClaimKind, LossReason, Mark, Memory, MemoryId,
    Occupancy, Order, Pause, Record, Request, Shape, State, Term, WallMillis,
};

pub(crate) const WINDOW: Duration = Duration::from_secs(5);
/// The number of a memory that a store begins.
pub(crate) const FRESH: u64 = 9;

pub(crate) fn id(nonce: u64) -> MemoryId {
    let made = WallMillis::ZERO;
    MemoryId { made, nonce }
}

pub(crate) fn term(number: u64) -> Term {
    Term::new(number).expect("a small number")
}

pub(crate) fn who(number: i64) -> CandidateId {
    CandidateId::new(if number == 1 { "a" } else { "b" }).expect("a valid id")
}

fn held(number: i64) -> Occupancy {
    let holder = who(number);
    let window = WINDOW;
    Occupancy::Held { holder, window }
}

fn foreign(counter: Option<i64>, window: Duration) -> Occupancy {
    let counter = counter.map(Beat::new);
    Occupancy::Foreign { counter, window }
}

/// Each state. Ages are multiples of `unit`, and a term is far ahead of the clock from `far` on.
pub(crate) fn states(unit: Duration, far: Term) -> Vec<State> {
    let mut records = vec![
        Record::ABSENT,
        Record {
            occupancy: foreign(Some(1), Duration::ZERO),
            ..Record::ABSENT
        },
    ];
    for (floor, of, beat) in [(2, 2, 2), (4, 2, 5), (4, 4, 4)] {
        for occupancy in [
            Occupancy::Vacant,
            held(1),
            held(2),
            foreign(Some(1), WINDOW),
            foreign(None, WINDOW),
        ] {
            records.push(Record {
                floor: term(floor),
                term: term(of),
                beat: Beat::new(beat),
                occupancy,
                ..Record::ABSENT
            });
        }
    }
    let paused: Vec<Record> = records
        .iter()
        .map(|record| {
            let mut record = record.clone();
            record.orders.paused = Some(Pause {
                until: None,
                by: who(1),
                reason: None,
            });
            record
        })
        .collect();
    records.extend(paused);
    let mut memories = vec![None];
    for (age, floor, taken) in [(0, 0, 0), (5, 3, 1), (7, 4, 0), (0, 4, 1)] {
        memories.push(Some(Memory {
            age: unit * age,
            floor: term(floor),
            taken,
            ..Memory::young(id(1))
        }));
    }
    let mut states = Vec::new();
    for record in &records {
        for memory in &memories {
            for restarted in [false, true] {
                let own = (record.floor > Term::ZERO).then_some(record.floor);
                for listed in [
                    None,
                    own.or(Some(term(5))),
                    Some(far).filter(|_| own.is_none()),
                ] {
                    states.push(State {
                        memory: *memory,
                        restarted: restarted && memory.is_some(),
                        listed: listed.filter(|_| memory.is_some()),
                        record: record.clone(),
                    });
                }
            }
        }
    }
    states
}

/// Each request with its numbers: its kind, who sends it, its term, what it expects and what it attests.
pub(crate) fn requests(state: &State, unit: Duration) -> Vec<(Request, Vec<i64>)> {
    let word = |memory: u64, age: u32| Attestation {
        memory: id(memory),
        age: unit * age,
    };
    let mut all = vec![(Request::Observe, vec![0; 11])];
    let mut push = |request: Request,
                    kind: i64,
                    by: i64,
                    asked: u64,
                    mark: Option<Mark>,
                    attested: Option<Attestation>| {
        let mut numbers = vec![kind, by, asked.cast_signed()];
        numbers.extend(mark.map_or([0; 6], expected));
        numbers.extend(attested.map_or([0, 0], |word| {
            let age = i64::try_from(word.age.as_nanos()).expect("small");
            [word.memory.nonce.cast_signed(), age]
        }));
        all.push((request, numbers));
    };
    let marks = marks(state);
    for asked in [2, 4, 5, 6] {
        for mark in &marks {
            for (kind, number) in [
                (ClaimKind::Shared, 1),
                (ClaimKind::Sole, 2),
                (ClaimKind::Join, 3),
            ] {
                for attested in [None, Some(word(1, 6))] {
                    let claim = Claim {
                        holder: who(1),
                        term: term(asked),
                        expected: *mark,
                        kind,
                        after: Beat::default(),
                        window: WINDOW,
                        attested,
                        ephemeral: false,
                    };
                    push(
                        Request::Claim(claim),
                        number,
                        1,
                        asked,
                        Some(*mark),
                        attested,
                    );
                }
            }
        }
    }
    for by in [1, 2] {
        for asked in [2, 4] {
            for attested in [None, Some(word(1, 6)), Some(word(2, 8))] {
                let request = Request::Beat {
                    holder: who(by),
                    term: term(asked),
                    attested,
                };
                push(request, 4, by, asked, None, attested);
            }
            for delete in [false, true] {
                let request = Request::Release {
                    holder: who(by),
                    term: term(asked),
                    reason: LossReason::Resigned,
                    delete,
                };
                push(request, 5 + i64::from(delete), by, asked, None, None);
            }
        }
    }
    let pause = Order::Pause {
        lasts: None,
        by: who(1),
        reason: None,
        replaces: true,
    };
    push(Request::Order(pause), 7, 1, 0, None, None);
    push(Request::Order(Order::Resume), 8, 1, 0, None, None);
    push(
        Request::Order(Order::Resign {
            term: term(2),
            to: None,
        }),
        9,
        1,
        2,
        None,
        None,
    );
    for mark in &marks {
        push(
            Request::Order(Order::Depose { expected: *mark }),
            10,
            1,
            0,
            Some(*mark),
            None,
        );
        push(
            Request::Order(Order::Forget { expected: *mark }),
            11,
            1,
            0,
            Some(*mark),
            None,
        );
    }
    all
}

/// What is there, and what differs from it in one thing.
fn marks(state: &State) -> Vec<Mark> {
    let memory = state.memory.unwrap_or(Memory::young(id(1)));
    let there = state.record.mark(&memory);
    let taken = |more: u64| Shape::Absent {
        taken: memory.taken + more,
    };
    vec![
        there,
        Mark {
            memory: id(2),
            ..there
        },
        Mark {
            memory: id(FRESH),
            ..there
        },
        Mark {
            term: term(there.term.get() + 1),
            ..there
        },
        Mark {
            beat: there.beat.next(),
            ..there
        },
        Mark {
            shape: taken(0),
            ..there
        },
        Mark {
            shape: taken(1),
            ..there
        },
        Mark {
            shape: Shape::Vacant,
            ..there
        },
        Mark {
            shape: Shape::Held,
            ..there
        },
        Mark {
            shape: Shape::Foreign(Some(Beat::new(1))),
            ..there
        },
        Mark {
            shape: Shape::Foreign(Some(Beat::new(7))),
            ..there
        },
        Mark {
            shape: Shape::Foreign(None),
            ..there
        },
    ]
}

fn expected(mark: Mark) -> [i64; 6] {
    let (shape, counter, taken) = match mark.shape {
        Shape::Absent { taken } => (0, 0, taken),
        Shape::Vacant => (1, 0, 0),
        Shape::Held => (2, 0, 0),
        Shape::Foreign(counter) => (3, counter.map_or(-1, Beat::get), 0),
    };
    let memory = mark.memory.nonce.cast_signed();
    [
        memory,
        mark.term.get().cast_signed(),
        mark.beat.get(),
        shape,
        counter,
        taken.cast_signed(),
    ]
}
