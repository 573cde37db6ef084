//! A schedule that random tests do not find: a store is absent, joined, stalled, taken over, deleted and absent
//! again, and a slow claim has seen the first absence.
//!
//! ```text
//!   O leads on b and c. b loses all, and O joins a. N claims a, which it saw absent before, and b; its claim of a
//!   is slow. b loses all again, and O joins it. V takes a over from O, which does not reach it any more, finds b
//!   held, and deletes what it has of a. Now the claim of N arrives at a: O still acts.
//! ```

use std::time::Duration;

use incumbent::protocol::{
    Candidate, CandidateConfig, Claim, Electorate, Failure, Input, Memory, Occupancy, Outgoing,
    Record, Reply, Request, Role, Shape, StoreIndex, Timestamp, Timing, TimingConfig, Verdict,
    WallMillis,
};

use super::kept::{Durability, Kept};

/// All times are multiples of this. An interval has 100, a window 200, a tenure 196 and a timeout 80.
const UNIT: Duration = Duration::from_millis(100);
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn at(time: u64) -> Timestamp {
    Timestamp::from_nanos(0) + UNIT * u32::try_from(time).expect("a short time")
}

struct Player {
    name: &'static str,
    candidate: Candidate,
    wake_at: Timestamp,
}

/// What is to happen at a time: a request is executed, or a result arrives.
enum Due {
    Execute(Outgoing),
    Hear(Outgoing, Box<Result<Reply, Failure>>),
}

struct Stage {
    now: u64,
    records: [Record; 3],
    kept: [Kept; 3],
    players: Vec<Player>,
    due: Vec<(u64, usize, Due)>,
    /// What was asked, of which store, when it was executed, and what it brought.
    done: Vec<(u64, &'static str, usize, Request, Reply)>,
}

/// Whether a store hears a candidate at a time, and how long a request to it is on its way.
fn hears(name: &str, store: usize, now: u64, request: &Request) -> Option<u64> {
    let claims = matches!(request, Request::Claim(_));
    let hears = match (name, store) {
        // Its join is slow.
        ("O", A) if claims => return Some(9),
        ("O", A) => (1840..1844).contains(&now),
        ("O", B) => !(1790..=2011).contains(&now),
        // Its claim is slow.
        ("N", A) if claims => return Some(60),
        ("N", A) => now == 1850,
        ("N", _) => true,
        ("V", B) => now < 2000 || claims,
        ("V", C) => false,
        _ => true,
    };
    hears.then_some(0)
}

impl Stage {
    fn enter(&mut self, name: &'static str) {
        let timing = TimingConfig {
            interval: 100 * UNIT,
            stall_polls: 2,
            stop_grace: 10 * UNIT,
            op_timeout: Some(80 * UNIT),
            probation: None,
        };
        self.players.push(Player {
            name,
            candidate: Candidate::new(CandidateConfig {
                id: name.parse().expect("a valid id"),
                host: None,
                not_before: Timestamp::ZERO,
                timing: Timing::new(&timing).expect("a valid timing"),
                electorate: Electorate::new(3).expect("three stores"),
                seed: 1,
                ephemeral: true,
                openings: Vec::new(),
            }),
            wake_at: at(self.now),
        });
    }

    fn input(&mut self, player: usize, input: Input) {
        let one = &mut self.players[player];
        let step = one.candidate.handle(at(self.now), input);
        one.wake_at = step.wake_at;
        for sent in step.sends {
            let delay = hears(one.name, sent.store.get(), self.now, &sent.request);
            let due = match delay {
                Some(delay) => (self.now + delay, player, Due::Execute(sent)),
                None => {
                    let lost = Due::Hear(sent, Box::new(Err(Failure::NotExecuted)));
                    (self.now, player, lost)
                }
            };
            self.due.push(due);
        }
    }

    fn execute(&mut self, sent: &Outgoing, name: &'static str) -> Reply {
        let store = sent.store.get();
        // The clock of c is ahead.
        let ahead = if store == C { 100 } else { 0 };
        let clock = (self.now + ahead) * u64::try_from(UNIT.as_millis()).expect("short");
        let clock = WallMillis::new(clock).expect("a clock");
        let record = &mut self.records[store];
        let reply = self.kept[store].carry_out(record, &sent.request, clock);
        let done = (self.now, name, store, sent.request.clone(), reply.clone());
        self.done.push(done);
        reply
    }

    fn pass(&mut self, until: u64) {
        while self.now < until {
            loop {
                let next = self.due.iter().position(|(when, ..)| *when <= self.now);
                let ticks = self.players.iter();
                let tick = ticks
                    .enumerate()
                    .find(|(_, one)| one.wake_at <= at(self.now));
                if let Some(next) = next {
                    let (_, player, due) = self.due.remove(next);
                    match due {
                        Due::Execute(sent) => {
                            let reply = self.execute(&sent, self.players[player].name);
                            let heard = Due::Hear(sent, Box::new(Ok(reply)));
                            self.due.push((self.now + 1, player, heard));
                        }
                        Due::Hear(sent, result) => {
                            let (store, id, result) = (sent.store, sent.id, *result);
                            self.input(player, Input::Replied { store, id, result });
                        }
                    }
                } else if let Some((player, _)) = tick {
                    self.input(player, Input::Tick);
                } else {
                    break;
                }
            }
            let acting = self.acting();
            assert!(acting.len() < 2, "{acting:?} act at {}", self.now);
            self.now += 1;
        }
    }

    fn acting(&self) -> Vec<&'static str> {
        let act = |one: &&Player| one.candidate.may_act(at(self.now));
        self.players
            .iter()
            .filter(act)
            .map(|one| one.name)
            .collect()
    }

    fn lose(&mut self, store: usize) {
        self.records[store] = Record::ABSENT;
        self.kept[store].lose();
    }

    /// The claims of a candidate that a store has executed.
    fn claims(&self, of: &str, on: usize) -> Vec<(u64, &Claim, &Reply)> {
        let done = self
            .done
            .iter()
            .filter(|(_, name, store, ..)| (*name, *store) == (of, on));
        let claims = done.filter_map(|(when, _, _, request, reply)| match request {
            Request::Claim(claim) => Some((*when, claim, reply)),
            _ => None,
        });
        claims.collect()
    }
}

#[test]
fn a_claim_that_saw_a_record_absent_does_not_take_it_when_it_is_absent_again() {
    let mut stage = Stage {
        now: 940,
        records: [Record::ABSENT; 3],
        kept: [const { Durability::Durable }; 3].map(Kept::new),
        players: Vec::new(),
        due: Vec::new(),
        done: Vec::new(),
    };
    stage.enter("O");
    stage.pass(1791);
    assert_eq!(stage.acting(), ["O"]);
    stage.lose(B);
    stage.pass(1792);
    stage.enter("N");
    stage.players[1].candidate.hold_back(true);
    stage.pass(1850);
    // Anything that has it look at a, by itself.
    let hint = Input::Woken {
        store: StoreIndex(0),
        record: Record {
            occupancy: Occupancy::Vacant,
            ..Record::ABSENT
        },
        memory: Memory::young(stage.kept[A].memory().id),
        called: None,
    };
    stage.input(1, hint);
    stage.pass(1853);
    stage.enter("V");
    stage.pass(2000);
    stage.players[1].candidate.hold_back(false);
    stage.input(1, Input::Tick);
    stage.pass(2010);
    stage.lose(B);
    stage.pass(2060);

    let joined = stage.claims("O", A)[0].2;
    assert_eq!(
        (joined.verdict, stage.claims("O", A)[0].0),
        (Verdict::Granted, 1852)
    );
    assert!(
        stage
            .claims("O", B)
            .last()
            .is_some_and(|(when, _, joined)| {
                *when > 2010 && joined.verdict == Verdict::Granted
            })
    );
    let (when, _, taken) = stage.claims("V", A)[0];
    assert_eq!((when, taken.verdict), (2054, Verdict::Granted));
    assert_eq!(stage.claims("V", B)[0].2.verdict, Verdict::Refused);
    assert_eq!(stage.claims("N", B)[0].2.verdict, Verdict::Granted);
    assert_eq!(stage.records[A], Record::ABSENT, "V has left nothing of a");

    stage.pass(2100);
    // The two absences differ in nothing but the count.
    let (when, claim, reply) = stage.claims("N", A)[0];
    assert_eq!((when, reply.verdict), (2060, Verdict::Refused));
    let now = reply.mark();
    assert_eq!(
        (now.memory, now.term),
        (claim.expected.memory, claim.expected.term)
    );
    assert!(claim.term > reply.memory.floor);
    let (Shape::Absent { taken: then }, Shape::Absent { taken: now }) =
        (claim.expected.shape, now.shape)
    else {
        panic!("absent twice: {:?}, {now:?}", claim.expected);
    };
    assert_eq!(now, then + 1);
    assert_eq!(stage.acting(), ["O"]);
    assert_eq!(stage.players[1].candidate.role(), Role::Standby);
}
