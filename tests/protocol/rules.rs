//! Rules and times of the candidate, each on a stage as small as it can be: one store, virtual time.

use std::time::Duration;

use incumbent::protocol::{
    Candidate, CandidateConfig, Electorate, Event, HostName, Input, LossReason, Occupancy,
    Outgoing, Record, Reply, Request, Role, Term, Timestamp, Timing, Verdict, WallMillis,
};

use super::kept::{Durability, Kept};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// One store, and candidates whose requests take effect at once and are answered after a delay.
pub(crate) struct Stage {
    pub(crate) now: Timestamp,
    pub(crate) record: Record,
    pub(crate) kept: Kept,
    pub(crate) clock: WallMillis,
    pub(crate) players: Vec<Player>,
    /// How many requests were sent.
    pub(crate) sent: usize,
    answers: Vec<Answer>,
    pub(crate) delay: fn(&Request) -> Duration,
}

pub(crate) struct Player {
    pub(crate) candidate: Candidate,
    wake_at: Timestamp,
    pub(crate) alive: bool,
    pub(crate) happened: Vec<(Timestamp, Event)>,
}

struct Answer {
    at: Timestamp,
    player: usize,
    sent: Outgoing,
    reply: Reply,
}

impl Stage {
    pub(crate) fn new(durability: Durability) -> Self {
        Self {
            now: Timestamp::from_nanos(1),
            record: Record::ABSENT,
            kept: Kept::new(durability),
            clock: WallMillis::default(),
            players: Vec::new(),
            sent: 0,
            answers: Vec::new(),
            delay: |_| Duration::ZERO,
        }
    }

    pub(crate) fn enter(&mut self, name: &str) -> usize {
        self.enter_after(name, Duration::ZERO)
    }

    /// A candidate that claims nothing before `time` has passed.
    pub(crate) fn enter_after(&mut self, name: &str, time: Duration) -> usize {
        self.enter_as(name, time, false)
    }

    /// A candidate whose releases delete the record.
    pub(crate) fn enter_ephemeral(&mut self, name: &str) -> usize {
        self.enter_as(name, Duration::ZERO, true)
    }

    fn enter_as(&mut self, name: &str, time: Duration, ephemeral: bool) -> usize {
        let candidate = Candidate::new(CandidateConfig {
            id: name.parse().unwrap(),
            host: HostName::new(&format!("host-of-{name}")).ok(),
            not_before: self.now + time,
            timing: Timing::default(),
            electorate: Electorate::new(1).unwrap(),
            seed: self.players.len() as u64,
            ephemeral,
            openings: Vec::new(),
        });
        self.players.push(Player {
            candidate,
            wake_at: self.now,
            alive: true,
            happened: Vec::new(),
        });
        self.players.len() - 1
    }

    /// Lets everything happen that is due within `time`.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let answer = self.answers.iter().map(|answer| answer.at).min();
            let alive = self.players.iter().filter(|player| player.alive);
            let wake = alive.map(|player| player.wake_at).min();
            let Some(next) = answer.into_iter().chain(wake).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if answer == Some(next) {
                let first = self.answers.iter().position(|one| one.at == next).unwrap();
                let Answer {
                    player,
                    sent,
                    reply,
                    ..
                } = self.answers.remove(first);
                let (store, id) = (sent.store, sent.id);
                let result = Ok(reply);
                self.hand_in(player, Input::Replied { store, id, result });
            } else {
                let due = |player: &Player| player.alive && player.wake_at == next;
                let player = self.players.iter().position(due).unwrap();
                self.hand_in(player, Input::Tick);
            }
        }
        self.now = end;
    }

    pub(crate) fn hand_in(&mut self, player: usize, input: Input) {
        let one = &mut self.players[player];
        if !one.alive {
            return;
        }
        let step = one.candidate.handle(self.now, input);
        one.wake_at = step.wake_at;
        one.happened
            .extend(step.events.into_iter().map(|event| (self.now, event)));
        self.sent += step.sends.len();
        for sent in step.sends {
            let reply = self.execute(&sent.request);
            let at = self.now + (self.delay)(&sent.request);
            self.answers.push(Answer {
                at,
                player,
                sent,
                reply,
            });
        }
    }

    pub(crate) fn execute(&mut self, request: &Request) -> Reply {
        self.kept.carry_out(&mut self.record, request, self.clock)
    }

    /// The store's word that its record was released.
    pub(crate) fn release(&self, record: Record, called: Option<&str>) -> Input {
        Input::Woken {
            store: Electorate::new(1).unwrap().stores().next().unwrap(),
            record,
            memory: self.kept.memory(),
            called: called.map(|id| id.parse().unwrap()),
        }
    }

    pub(crate) fn role(&self, player: usize) -> Role {
        self.players[player].candidate.role()
    }

    pub(crate) fn elected(&self, player: usize) -> Option<(Timestamp, Term)> {
        let happened = self.players[player].happened.iter();
        happened.rev().find_map(|(at, event)| match event {
            Event::Elected { term, .. } => Some((*at, *term)),
            _ => None,
        })
    }

    pub(crate) fn failed_claims(&self, player: usize) -> usize {
        let happened = self.players[player].happened.iter();
        happened
            .filter(|(_, event)| matches!(event, Event::ClaimFailed { .. }))
            .count()
    }
}

pub(crate) fn window() -> Duration {
    Timing::default().window()
}

/// `L1`: between the release and the right to act lies nothing but messages.
#[test]
fn a_standby_that_is_woken_leads_after_one_round_trip() {
    let mut stage = Stage::new(Durability::Durable);
    let first = stage.enter("first");
    stage.pass(SECOND);
    let second = stage.enter("second");
    stage.pass(SECOND * 3 / 2);
    assert_eq!(
        (stage.role(first), stage.role(second)),
        (Role::Leading, Role::Standby)
    );
    stage.hand_in(first, Input::WorkEnded(LossReason::Resigned));
    let record = stage.record.clone();
    assert_eq!(record.occupancy, Occupancy::Vacant);
    let woken = stage.release(record, None);
    stage.hand_in(second, woken);
    stage.pass(Duration::ZERO);
    assert_eq!(stage.elected(second).map(|(at, _)| at), Some(stage.now));
}

/// One standby is called, and the others leave the record to it: in a crowd that claims at once most must
/// be refused first. They look soon, so calling a standby that is gone costs a moment.
#[test]
fn a_standby_that_is_not_called_looks_a_little_later_and_claims_what_is_still_vacant() {
    for dead in [false, true] {
        let mut stage = Stage::new(Durability::Durable);
        let first = stage.enter("first");
        stage.pass(SECOND / 3);
        let (second, third) = (stage.enter("second"), stage.enter("third"));
        stage.pass(SECOND * 2);
        stage.players[second].alive = !dead;
        stage.hand_in(first, Input::WorkEnded(LossReason::Resigned));
        stage.pass(Duration::ZERO);
        let released = stage.now;
        let record = stage.record.clone();
        assert_eq!(record.occupancy, Occupancy::Vacant);
        for player in [third, second] {
            let woken = stage.release(record.clone(), Some("second"));
            stage.hand_in(player, woken);
        }
        stage.pass(SECOND / 40 - Duration::from_nanos(1));
        assert_eq!(stage.role(third), Role::Standby);
        let early = stage.elected(second).map(|(at, _)| at);
        assert_eq!(early, (!dead).then_some(released));
        let sent = stage.sent;
        stage.pass(SECOND / 20);
        assert_eq!(stage.failed_claims(third), 0);
        if dead {
            let (at, _) = stage.elected(third).expect("somebody leads");
            assert!(at.since(released) <= SECOND / 20);
        } else {
            assert_eq!(stage.sent, sent + 1, "it has looked once");
            assert_eq!(stage.role(third), Role::Standby);
        }
    }
}

/// `L3`: a leader that dies, at any moment, is replaced within a window and two intervals, and not within
/// a window of its last heartbeat.
#[test]
fn a_leader_that_dies_is_replaced_within_a_window_and_two_intervals() {
    for dies_after in (0..3000).step_by(170).map(Duration::from_millis) {
        let mut stage = Stage::new(Durability::Durable);
        let first = stage.enter("first");
        stage.pass(SECOND / 3);
        let second = stage.enter("second");
        stage.pass(SECOND * 2 + dies_after);
        assert_eq!(stage.role(first), Role::Leading);
        let (died, last_beat) = (stage.now, stage.record.beat);
        stage.players[first].alive = false;
        stage.pass(window() - SECOND);
        assert_eq!(stage.record.beat, last_beat);
        assert_eq!(stage.role(second), Role::Standby, "{dies_after:?}");
        stage.pass(SECOND * 10);
        let (at, _) = stage.elected(second).expect("somebody leads");
        let gap = at.since(died);
        assert!(gap <= window() + 2 * SECOND, "{gap:?} after {dies_after:?}");
    }
}

/// `R2`, for `S2`: after a long freeze a candidate knows a store's clock only as its own clock carries it on, which
/// may run behind by the margin. If the store has lost all its data meanwhile, nothing else is left to
/// number terms by, so it must look again before it claims.
#[test]
fn who_stood_still_for_long_numbers_no_term_by_its_own_clock() {
    let mut stage = Stage::new(Durability::Forgetful);
    stage.clock = WallMillis::new(1_000_000).unwrap();
    let sleeper = stage.enter_after("sleeper", SECOND * 5);
    stage.pass(SECOND);
    assert_eq!(stage.role(sleeper), Role::Standby);
    stage.players[sleeper].alive = false;
    stage.pass(SECOND * 1000);
    // The server's clock has run faster, by the margin.
    stage.clock = WallMillis::new(1_000_000 + 1_021_000).unwrap();
    let leader = stage.enter("leader");
    stage.pass(SECOND * 7);
    let (_, first) = stage.elected(leader).expect("it has waited");
    stage.players[leader].alive = false;
    stage.record = Record::ABSENT;
    stage.clock = WallMillis::new(1_000_000 + 1_028_140).unwrap();
    stage.players[sleeper].alive = true;
    stage.pass(SECOND * 10);
    let (_, second) = stage.elected(sleeper).expect("no one else is there");
    assert!(second > first, "{second} after {first}");
}

/// `R3`: the term rises above the floor, and does not fall behind the store's clock.
#[test]
fn a_term_is_above_the_floor_and_not_behind_the_clock() {
    for (floor, clock, expected) in [
        (0, 0, 1),
        (41, 0, 42),
        (6_999, 7, 7_000),
        (7_000, 7, 7_001),
        (41, 7_000, 7_000_000),
    ] {
        let mut stage = Stage::new(Durability::Durable);
        let term = Term::new(floor).unwrap();
        if floor > 0 {
            stage.record = Record {
                floor: term,
                term,
                occupancy: Occupancy::Vacant,
                ..Record::ABSENT
            };
        }
        stage.clock = WallMillis::new(clock).unwrap();
        let candidate = stage.enter("candidate");
        stage.pass(SECOND);
        let (_, elected) = stage.elected(candidate).expect("the record is free");
        assert_eq!(elected.get(), expected, "floor {floor}, clock {clock}");
    }
}

/// `R4`: a grant that is known too late elects no one.
#[test]
fn a_grant_that_took_longer_than_the_timeout_does_not_count() {
    for (late, counts) in [(Duration::ZERO, true), (Duration::from_millis(1), false)] {
        let mut stage = Stage::new(Durability::Durable);
        stage.delay = match late.is_zero() {
            true => |request| match request {
                Request::Claim(_) => Timing::default().op_timeout(),
                _ => Duration::ZERO,
            },
            false => |request| match request {
                Request::Claim(_) => Timing::default().op_timeout() + Duration::from_millis(1),
                _ => Duration::ZERO,
            },
        };
        let candidate = stage.enter("candidate");
        stage.pass(SECOND + late);
        assert_eq!(stage.elected(candidate).is_some(), counts, "{late:?} late");
        assert_eq!(stage.failed_claims(candidate) > 0, !counts, "{late:?} late");
    }
}

/// `R5`: the wait begins when the memory of the store was first seen, whenever the claim is granted.
#[test]
fn probation_is_counted_from_the_first_sight_of_the_memory() {
    let mut stage = Stage::new(Durability::Forgetful);
    stage.delay = |request| match request {
        Request::Claim(_) => Duration::from_millis(900),
        _ => Duration::ZERO,
    };
    let candidate = stage.enter("candidate");
    stage.pass(SECOND);
    assert_eq!(stage.role(candidate), Role::Probation);
    stage.pass(SECOND * 10);
    let (at, _) = stage.elected(candidate).expect("it has waited");
    let seen = Timestamp::from_nanos(1);
    assert_eq!(at.since(seen), window());
}

/// `R5`: a store for whose memory others have vouched is waited for the rest of the probation, or not at all.
#[test]
fn an_age_that_others_have_attested_counts() {
    for (age, waits) in [(4, 1), (5, 0), (500, 0)] {
        let mut stage = Stage::new(Durability::Forgetful);
        stage.execute(&Request::Observe);
        let memory = stage.kept.memory.as_mut().expect("a request makes one");
        memory.age = SECOND * age;
        let candidate = stage.enter("candidate");
        stage.pass(SECOND * 10);
        let (at, _) = stage.elected(candidate).expect("no one else is there");
        assert_eq!(at.since(Timestamp::from_nanos(1)), SECOND * waits, "{age}");
    }
}

/// `R5`: what it knows of a store counts for the next campaign too, but not for a memory that came later.
#[test]
fn a_memory_that_replaces_another_is_not_older_than_the_last_sight_of_that() {
    for replaced in [false, true] {
        let mut stage = Stage::new(Durability::Durable);
        let candidate = stage.enter_after("candidate", SECOND * 2);
        stage.pass(SECOND);
        assert_eq!(stage.role(candidate), Role::Standby);
        if replaced {
            // The address leads to another server now, which others have used for long.
            let other = stage.kept.memory.as_mut().expect("it has one");
            other.id.nonce += 1000;
        }
        stage.pass(SECOND * 20);
        let (at, _) = stage.elected(candidate).expect("no one else is there");
        let waited = at.since(Timestamp::from_nanos(1));
        assert_eq!(waited >= window() + SECOND, replaced, "{waited:?}");
    }
}

/// `R6`: a memory that begins anew in a probation may have forgotten a leader since.
#[test]
fn a_new_memory_in_a_probation_starts_over_and_leaves_a_leader_alone() {
    let mut stage = Stage::new(Durability::Forgetful);
    let candidate = stage.enter("candidate");
    stage.pass(window() - SECOND / 2);
    assert_eq!(stage.role(candidate), Role::Probation);
    stage.kept.begin_again();
    let restarted = stage.now;
    stage.pass(SECOND * 20);
    assert_eq!(stage.failed_claims(candidate), 1);
    let (at, term) = stage.elected(candidate).expect("it has waited again");
    assert!(at >= restarted + window(), "{:?}", at.since(restarted));

    stage.kept.begin_again();
    stage.pass(SECOND * 20);
    assert_eq!(stage.role(candidate), Role::Leading);
    assert_eq!(stage.elected(candidate), Some((at, term)));
}

/// `R5`: what was sent before the end of the wait shows nothing of its end, however late it is answered.
#[test]
fn only_heartbeats_sent_after_the_probation_end_it() {
    let mut stage = Stage::new(Durability::Forgetful);
    stage.delay = |request| match request {
        Request::Beat { .. } => Duration::from_millis(900),
        _ => Duration::ZERO,
    };
    let candidate = stage.enter("candidate");
    stage.pass(SECOND * 10);
    let (at, _) = stage.elected(candidate).expect("it has waited");
    let granted = Timestamp::from_nanos(1);
    let since = at.since(granted);
    assert!(since >= window() + Duration::from_millis(900), "{since:?}");
}

/// `R6`: a refusal during probation shows that the record was not ours all along: it starts over.
#[test]
fn a_refused_heartbeat_during_probation_starts_over() {
    let mut stage = Stage::new(Durability::Forgetful);
    let candidate = stage.enter("candidate");
    stage.pass(window() - SECOND / 2);
    assert_eq!(stage.role(candidate), Role::Probation);
    stage.record = Record::ABSENT;
    let wiped = stage.now;
    stage.pass(SECOND * 20);
    assert_eq!(stage.failed_claims(candidate), 1);
    let (at, _) = stage.elected(candidate).expect("it has waited again");
    assert!(at >= wiped + window(), "{:?}", at.since(wiped));
}

/// `S3`: a candidate that is not the holder, or is it under another term, can neither beat nor release.
#[test]
fn a_stranger_neither_beats_nor_releases() {
    let mut stage = Stage::new(Durability::Durable);
    let holder = stage.enter("holder");
    stage.pass(SECOND / 2);
    let (_, term) = stage.elected(holder).unwrap();
    let other = Term::new(term.get() + 1).unwrap();
    for (who, term) in [("stranger", term), ("holder", other)] {
        let holder: incumbent::protocol::CandidateId = who.parse().unwrap();
        let beat = Request::Beat {
            holder: holder.clone(),
            term,
            attested: None,
        };
        let release = Request::Release {
            holder,
            term,
            reason: LossReason::Resigned,
            delete: false,
        };
        for request in [beat, release] {
            let before = stage.record.clone();
            let reply = stage.execute(&request);
            assert_eq!((reply.record, reply.verdict), (before, Verdict::Refused));
        }
    }
}
