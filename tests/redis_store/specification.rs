//! The scripts against the record function, on random sequences in which programs of the bare protocol
//! take part.

use std::time::Duration;

use incumbent::protocol::{
    Beat, CandidateId, Claim, Durability, LossReason, Mark, Occupancy, Record, Request, Term,
    WallMillis, apply,
};
use proptest::prelude::*;

use crate::election::{Election, options};
use crate::support::redis::RedisServer;

const COUNTER: &str = "incumbent:billing";

/// One step of a sequence. Numbers are small, so that steps meet.
#[derive(Clone, Debug)]
enum Step {
    Observe,
    Claim {
        who: usize,
        term: u64,
        /// Which of the marks seen so far is expected, counted from the last.
        expected: usize,
        join: bool,
        window_ms: u64,
    },
    Beat {
        who: usize,
        term: u64,
        proven: bool,
    },
    Release {
        who: usize,
        term: u64,
    },
    /// A program of the bare protocol writes the counter, or deletes it.
    Foreign(Option<i64>),
    /// ... or increments it.
    ForeignIncrement,
    /// The server forgets everything.
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..3_usize;
    let term =
        prop_oneof![4 => 1..12_u64, 1 => Just(Term::MAX.get()), 1 => Just(Term::MAX.get() - 1)];
    let counter = prop_oneof![
        4 => 0..14_i64,
        1 => any::<i64>(),
        1 => Just((1 << 60) - 1),
        1 => Just(i64::MAX),
    ];
    prop_oneof![
        2 => Just(Step::Observe),
        6 => (who.clone(), term.clone(), prop_oneof![4 => Just(0_usize), 1 => 1..4_usize], any::<bool>(), 0..10_000_u64)
            .prop_map(|(who, term, expected, join, window_ms)| Step::Claim {
                who, term, expected, join, window_ms,
            }),
        4 => (who.clone(), term.clone(), any::<bool>())
            .prop_map(|(who, term, proven)| Step::Beat { who, term, proven }),
        2 => (who, term).prop_map(|(who, term)| Step::Release { who, term }),
        1 => proptest::option::of(counter).prop_map(Step::Foreign),
        1 => Just(Step::ForeignIncrement),
        1 => Just(Step::Forget),
    ]
}

/// What the keys hold, as the record function sees it.
struct Model {
    record: Record,
    /// Whom the record names, whether or not the counter is still that holder's.
    named: Option<(CandidateId, Duration)>,
    counter: Option<Beat>,
}

impl Model {
    const fn new() -> Self {
        Self {
            record: Record::ABSENT,
            named: None,
            counter: None,
        }
    }

    fn execute(
        &mut self,
        request: &Request,
        clock: WallMillis,
    ) -> (Record, incumbent::protocol::Verdict) {
        let (record, verdict) = apply(&self.record, request, Durability::Forgetful, clock);
        if record != self.record {
            self.named = match &record.occupancy {
                Occupancy::Held { holder, window } => Some((holder.clone(), *window)),
                _ => None,
            };
            self.counter = record.holder().map(|_| record.beat);
            self.record = record.clone();
        }
        (record, verdict)
    }

    fn touch(&mut self, counter: Option<Beat>) {
        self.counter = counter;
        let beat = self.record.beat;
        self.record.occupancy = match (&self.named, counter) {
            (None, None) if self.record.term == Term::ZERO => Occupancy::Absent,
            (None, None) => Occupancy::Vacant,
            (Some((holder, window)), Some(counter)) if counter == beat => Occupancy::Held {
                holder: holder.clone(),
                window: *window,
            },
            (named, counter) => Occupancy::Foreign {
                counter,
                window: named.as_ref().map_or(Duration::ZERO, |(_, window)| *window),
            },
        };
    }
}

#[test]
fn the_scripts_do_what_the_record_function_does() {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // Keeps the connection open from case to case.
    let _open = Election::new(&server.address(), "a");
    proptest!(ProptestConfig::with_cases(200), |(steps in proptest::collection::vec(step(), 1..40))| {
        server.command(&["FLUSHALL"]);
        let candidates = ["a", "b", "c"].map(|who| {
            Election::with(&server.address(), &options(), "billing", who)
        });
        let mut model = Model::new();
        let mut marks: Vec<Mark> = vec![Record::ABSENT.mark()];
        for step in steps {
            let (who, request) = match step {
                Step::Foreign(counter) => {
                    let counter = counter.map(Beat::new);
                    match counter {
                        Some(counter) => server.command(&["SET", COUNTER, &counter.to_string()]),
                        None => server.command(&["DEL", COUNTER]),
                    };
                    model.touch(counter);
                    continue;
                }
                Step::ForeignIncrement => {
                    if model.counter == Some(Beat::new(i64::MAX)) {
                        continue;
                    }
                    server.command(&["INCR", COUNTER]);
                    let counter = server.text(&["GET", COUNTER]).parse().unwrap();
                    model.touch(Some(Beat::new(counter)));
                    continue;
                }
                Step::Forget => {
                    server.command(&["FLUSHALL"]);
                    model = Model::new();
                    continue;
                }
                Step::Observe => (0, Request::Observe),
                Step::Claim { who, term, expected, join, window_ms } => {
                    let holder = candidates[who].who.id().clone();
                    let expected = marks[marks.len().saturating_sub(1 + expected)];
                    let window = Duration::from_millis(window_ms);
                    let term = Term::new(term).unwrap();
                    (who, Request::Claim(Claim { holder, term, expected, join, after: Beat::default(), window }))
                }
                Step::Beat { who, term, proven } => {
                    let holder = candidates[who].who.id().clone();
                    (who, Request::Beat { holder, term: Term::new(term).unwrap(), proven })
                }
                Step::Release { who, term } => {
                    let holder = candidates[who].who.id().clone();
                    (who, Request::Release { holder, term: Term::new(term).unwrap(), reason: LossReason::Resigned })
                }
            };
            let reply = runtime.block_on(candidates[who].execute(&request)).unwrap();
            let (record, verdict) = model.execute(&request, reply.clock);
            prop_assert_eq!(&reply.record, &record, "after {:?}", request);
            prop_assert_eq!(reply.verdict, verdict, "after {:?}", request);
            marks.push(record.mark());
        }
    });
}
