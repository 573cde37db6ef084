//! The candidate, step by step: each rule at the moment at which it decides.

use std::time::Duration;

use incumbent::protocol::{
    Candidate, CandidateConfig, Electorate, Event, Failure, HostName, Input, LossReason, Occupancy,
    Outgoing, Record, Reply, Request, Role, StoreIndex, Term, Timestamp, Timing, Verdict,
    WallMillis,
};

use super::kept::{Durability, Kept};

/// A candidate of the default timing (an interval of 1 s, a window of 5 s, a tenure of 4.9 s) and its
/// stores, whose answers come when the test says so.
pub(crate) struct Stage {
    pub(crate) candidate: Candidate,
    pub(crate) records: Vec<Record>,
    pub(crate) kept: Vec<Kept>,
    /// What is on its way to a store.
    sent: Vec<Outgoing>,
    /// Everything that has happened.
    events: Vec<Event>,
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(1_000_000_000_000 + ms * 1_000_000)
}

const EPOCH_MS: u64 = 1_700_000_000_000;

/// The first term of a moment.
fn first_term(ms: u64) -> u64 {
    (EPOCH_MS + ms) * 1000
}

impl Stage {
    fn new(stores: usize) -> Self {
        Self {
            candidate: Candidate::new(CandidateConfig {
                id: "me".parse().expect("a valid id"),
                host: HostName::new("here").ok(),
                not_before: Timestamp::ZERO,
                timing: Timing::default(),
                electorate: Electorate::new(stores).expect("1, 3 or 5"),
                seed: 1,
                ephemeral: false,
                openings: Vec::new(),
            }),
            records: vec![Record::ABSENT; stores],
            kept: vec![Kept::new(Durability::Forgetful); stores],
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    fn input(&mut self, ms: u64, input: Input) {
        let step = self.candidate.handle(at(ms), input);
        self.sent.extend(step.sends);
        self.events.extend(step.events);
    }

    fn tick(&mut self, ms: u64) {
        self.input(ms, Input::Tick);
    }

    /// A store carries a request out; its answer arrives at `ms`.
    fn answer(&mut self, ms: u64, sent: &Outgoing) {
        let reply = self.carry_out(ms, sent);
        self.hear(ms, sent, Ok(reply));
    }

    fn carry_out(&mut self, ms: u64, sent: &Outgoing) -> Reply {
        let store = sent.store.get();
        let clock = WallMillis::new(EPOCH_MS + ms).expect("a clock");
        self.kept[store].carry_out(&mut self.records[store], &sent.request, clock)
    }

    /// Stores that have forgotten nothing for long.
    fn trusted(stores: usize) -> Self {
        let mut stage = Self::new(stores);
        stage.kept.fill(Kept::new(Durability::Durable));
        stage
    }

    /// A store's word that its record was released.
    fn release(&self, store: usize, called: Option<&str>) -> Input {
        Input::Woken {
            store: StoreIndex(u8::try_from(store).expect("few stores")),
            record: self.records[store].clone(),
            memory: self.kept[store].memory(),
            called: called.map(|id| id.parse().expect("a valid id")),
        }
    }

    fn hear(&mut self, ms: u64, sent: &Outgoing, result: Result<Reply, Failure>) {
        let (store, id) = (sent.store, sent.id);
        self.input(ms, Input::Replied { store, id, result });
    }

    /// Everything under way is answered at `ms`, and what follows from it.
    fn answer_all(&mut self, ms: u64) {
        for sent in std::mem::take(&mut self.sent) {
            self.answer(ms, &sent);
        }
    }

    pub(crate) fn pass(&mut self, from_ms: u64, to_ms: u64) {
        for ms in (from_ms..=to_ms).step_by(50) {
            self.tick(ms);
            self.answer_all(ms);
        }
    }

    fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    /// A leader on stores that were won as vacant, at 0 ms.
    pub(crate) fn leading(stores: usize) -> Self {
        let mut stage = Self::trusted(stores);
        stage.records.fill(Record {
            occupancy: Occupancy::Vacant,
            floor: Term::new(1).expect("a term"),
            term: Term::new(1).expect("a term"),
            ..Record::ABSENT
        });
        stage.tick(0);
        stage.answer_all(0);
        stage.answer_all(0);
        assert_eq!(stage.candidate.role(), Role::Leading);
        stage
    }

    fn held_by_another(&mut self, store: usize) {
        let held = Occupancy::Held {
            holder: "other".parse().expect("a valid id"),
            window: Duration::from_secs(5),
        };
        self.records[store] = Record {
            occupancy: held,
            term: Term::new(7).expect("a term"),
            ..Record::ABSENT
        };
    }

    /// A candidate on one store that has seen a vacant record, and its claim of that.
    fn claiming() -> (Self, Outgoing) {
        let mut stage = Self::trusted(1);
        stage.records[0] = Self::leading(1).records[0].clone();
        stage.records[0].occupancy = Occupancy::Vacant;
        stage.tick(0);
        stage.answer_all(0);
        let claim = stage.sent.pop().expect("a claim");
        assert!(matches!(claim.request, Request::Claim(_)));
        (stage, claim)
    }

    fn deadline_ms(&self) -> u64 {
        let deadline = self.candidate.deadline().expect("a tenure");
        u64::try_from(deadline.since(at(0)).as_millis()).expect("a short time")
    }
}

fn is_release(sent: &Outgoing) -> bool {
    matches!(sent.request, Request::Release { .. })
}

fn term_of(sent: &Outgoing) -> Term {
    match &sent.request {
        Request::Claim(claim) => claim.term,
        other => panic!("a claim was expected, not {other:?}"),
    }
}

/// R5.
#[test]
fn probation_is_counted_from_the_first_sight_of_the_memories_of_a_majority() {
    let mut stage = Stage::new(3);
    stage.tick(0);
    for (sent, arrives) in std::mem::take(&mut stage.sent).iter().zip([100, 400, 700]) {
        stage.answer(arrives, sent);
    }
    stage.answer_all(800);
    stage.answer_all(800);
    let until = at(400) + Duration::from_secs(5);
    assert!(
        stage.has(|event| matches!(event, Event::Probation { until: end, .. } if *end == until))
    );
}

/// R5.
#[test]
fn probation_ends_with_heartbeats_that_were_sent_after_it_by_a_majority() {
    let mut stage = Stage::new(3);
    stage.tick(0);
    stage.answer_all(0);
    stage.answer_all(100);
    stage.pass(150, 3_950);
    stage.tick(4_000);
    let before = std::mem::take(&mut stage.sent);
    assert_eq!(before.len(), 3, "heartbeats, before the end at 5,000 ms");
    for sent in &before {
        stage.answer(5_000, sent);
    }
    assert_eq!(
        stage.candidate.role(),
        Role::Probation,
        "none was sent after the end"
    );
    let after = std::mem::take(&mut stage.sent);
    assert_eq!(after.len(), 3, "all three were claimed");
    stage.answer(5_010, &after[0]);
    assert_eq!(
        stage.candidate.role(),
        Role::Probation,
        "one is no majority"
    );
    stage.answer(5_020, &after[1]);
    assert_eq!(stage.candidate.role(), Role::Leading);
}

/// R5: it does not do that each store was old enough when it granted something: all of them must have granted
/// something since the last of them was.
#[test]
fn a_store_that_was_proven_early_elects_nobody_by_what_it_granted_then() {
    let mut stage = Stage::new(3);
    let memory = |stage: &mut Stage, store: usize, seconds: u64| {
        let record = &mut stage.records[store];
        stage.kept[store].carry_out(record, &Request::Observe, WallMillis::ZERO);
        let memory = stage.kept[store].memory.as_mut().expect("it was used");
        memory.age = Duration::from_secs(seconds);
    };
    // The first has been proven for long, the second will be at 2,000 ms, the third does not answer.
    memory(&mut stage, 0, 500);
    memory(&mut stage, 1, 3);
    stage.tick(0);
    let polls = std::mem::take(&mut stage.sent);
    for sent in polls.iter().take(2) {
        stage.answer(0, sent);
    }
    stage.hear(0, &polls[2], Err(Failure::NotExecuted));
    stage.tick(100);
    let claims = |stage: &mut Stage| std::mem::take(&mut stage.sent).into_iter();
    for sent in claims(&mut stage).filter(|sent| sent.store.get() < 2) {
        stage.answer(100, &sent);
    }
    assert_eq!(stage.candidate.role(), Role::Probation);
    // From now on only the second one answers.
    for ms in (150..5_000).step_by(50) {
        stage.tick(ms);
        for sent in std::mem::take(&mut stage.sent) {
            match sent.store.get() {
                1 => stage.answer(ms, &sent),
                _ => stage.hear(ms, &sent, Err(Failure::NotExecuted)),
            }
        }
        assert_ne!(stage.candidate.role(), Role::Leading, "at {ms} ms");
    }
}

/// R6.
#[test]
fn a_refusal_during_probation_starts_over() {
    let mut stage = Stage::new(1);
    stage.tick(0);
    stage.answer_all(0);
    stage.answer_all(0);
    stage.pass(50, 3_000);
    assert_eq!(stage.candidate.role(), Role::Probation);
    stage.records[0] = Record::ABSENT;
    stage.pass(3_050, 4_100);
    assert!(stage.has(|event| matches!(event, Event::ClaimFailed { .. })));
    stage.pass(4_150, 8_000);
    assert_ne!(
        stage.candidate.role(),
        Role::Leading,
        "5 s have not passed since the store forgot"
    );
}

#[test]
fn a_leader_vouches_for_the_memory_of_a_store_that_forgot_it_from_its_first_sight() {
    let mut stage = Stage::leading(1);
    stage.pass(50, 1_500);
    stage.records[0] = Record::ABSENT;
    stage.pass(1_550, 2_500);
    assert!(stage.has(|event| matches!(event, Event::Joined { .. })));
    for ms in (2_550..8_500).step_by(50) {
        stage.pass(ms, ms);
        let age = stage.kept[0].memory.expect("it was used").age;
        // It was seen by the heartbeat at 2,000 ms.
        assert!(age <= Duration::from_millis(ms - 2_000), "{age:?} at {ms}");
        assert!(age + Duration::from_secs(1) >= Duration::from_millis(ms - 2_000));
    }
    assert_eq!(stage.candidate.role(), Role::Leading);
}

/// `R6`: a store that is asked to vouch for nothing does not look whether it has restarted, and a grant of one that
/// has shows nothing.
#[test]
fn every_heartbeat_of_a_probation_has_the_store_look_at_its_memory() {
    let mut stage = Stage::new(3);
    stage.kept[0] = Kept::new(Durability::Durable);
    stage.tick(0);
    stage.answer_all(0);
    stage.answer_all(0);
    assert_eq!(stage.candidate.role(), Role::Probation);
    let mut heard = 0;
    for ms in (0..=4_900).step_by(50) {
        stage.tick(ms);
        for sent in &stage.sent {
            if let Request::Beat { attested, .. } = &sent.request {
                let memory = attested.map(|word| word.memory);
                assert_eq!(
                    memory,
                    Some(stage.kept[sent.store.get()].memory().id),
                    "{sent:?}"
                );
                heard += 1;
            }
        }
        stage.answer_all(ms);
    }
    assert!(heard >= 12, "{heard} heartbeats");
}

/// A counter that a standby may have seen before a store forgot must not come back after.
#[test]
fn a_store_that_is_joined_again_counts_on() {
    let mut stage = Stage::leading(1);
    stage.pass(50, 3_500);
    let counted = stage.records[0].beat;
    stage.records[0] = Record::ABSENT;
    stage.pass(3_550, 4_500);
    assert!(
        stage.records[0].beat > counted,
        "{} after {counted}",
        stage.records[0].beat
    );
}

#[test]
fn a_lease_runs_from_the_sending_of_what_is_acknowledged() {
    let mut stage = Stage::trusted(1);
    stage.records[0] = Stage::leading(1).records[0].clone();
    stage.records[0].occupancy = Occupancy::Vacant;
    stage.tick(0);
    stage.answer_all(0);
    stage.answer_all(400);
    assert_eq!(stage.deadline_ms(), 4_900, "the claim was sent at 0 ms");
    stage.tick(1_000);
    stage.answer_all(1_700);
    assert_eq!(
        stage.deadline_ms(),
        5_900,
        "the heartbeat was sent at 1,000 ms"
    );
}

/// R4.
#[test]
fn a_grant_that_arrives_late_elects_nobody() {
    let mut stage = Stage::leading(1);
    stage.records[0].occupancy = Occupancy::Vacant;
    let mut stage = Stage {
        records: stage.records,
        ..Stage::trusted(1)
    };
    stage.tick(0);
    stage.answer_all(0);
    let claim = stage.sent.remove(0);
    stage.answer(1_001, &claim);
    assert!(!stage.has(|event| matches!(event, Event::Elected { .. })));
}

/// R3: the number of a term.
#[test]
fn a_term_follows_the_floor_the_clock_and_the_time_since_the_clock_was_read() {
    let claimed = |floor: u64| {
        let mut stage = Stage::new(1);
        stage.records[0].floor = Term::new(floor).expect("a term");
        stage.held_by_another(0);
        stage.records[0].floor = Term::new(floor).expect("a term");
        stage.pass(0, 4_900);
        // The last poll is answered at 5,000 ms, and the window ends at that moment.
        stage.tick(5_000);
        stage.answer_all(5_000);
        term_of(&stage.sent[0]).get()
    };
    assert_eq!(claimed(9), first_term(5_000));
    assert_eq!(claimed(1 << 52), (1 << 52) + 1);
    // Vacant at the first look, and claimed again only after the wait that follows a failed claim.
    let mut stage = Stage::leading(1);
    stage.records[0].occupancy = Occupancy::Vacant;
    let mut stage = Stage {
        records: stage.records,
        ..Stage::trusted(1)
    };
    stage.tick(0);
    stage.answer_all(0);
    let first = stage.sent.remove(0);
    stage.hear(10, &first, Err(Failure::NotExecuted));
    let mut second = None;
    for ms in (20..900).step_by(10) {
        stage.tick(ms);
        let claim = |sent: &&Outgoing| matches!(sent.request, Request::Claim(_));
        let claimed = || Some((ms, term_of(stage.sent.iter().find(claim)?).get()));
        second = second.or_else(claimed);
    }
    let (ms, term) = second.expect("a second claim");
    assert_eq!(term, first_term(ms), "the clock was read at 0 ms");
}

/// R3: an old observation must not number a term in the past.
#[test]
fn a_release_that_is_heard_late_does_not_set_the_clock_back() {
    let mut stage = Stage::new(1);
    stage.held_by_another(0);
    stage.tick(0);
    stage.answer_all(0);
    stage.records[0].occupancy = Occupancy::Vacant;
    let woken = stage.release(0, None);
    stage.input(900, woken);
    let claim = stage
        .sent
        .iter()
        .find(|s| matches!(s.request, Request::Claim(_)));
    let term = term_of(claim.expect("a claim"));
    assert_eq!(term.get(), first_term(900));
}

/// A successor hears of the releases one after the other. If two of them are not proof enough, it waits for
/// the third, which spares everyone a probation, but not for long.
#[test]
fn it_waits_a_moment_for_the_store_that_spares_a_probation_and_no_longer() {
    for told in [true, false] {
        let mut stage = Stage::trusted(3);
        for store in 0..3 {
            stage.held_by_another(store);
        }
        // It has lost its data not long ago.
        stage.kept[2] = Kept::new(Durability::Forgetful);
        stage.pass(0, 0);
        let wake = |stage: &mut Stage, ms, store: usize| {
            stage.records[store].occupancy = Occupancy::Vacant;
            let woken = stage.release(store, None);
            stage.input(ms, woken);
        };
        wake(&mut stage, 10, 0);
        wake(&mut stage, 11, 2);
        assert!(stage.sent.is_empty(), "{:?}", stage.sent);
        if told {
            wake(&mut stage, 12, 1);
            assert_eq!(stage.sent.len(), 3);
            stage.answer_all(13);
            assert_eq!(stage.candidate.role(), Role::Leading);
        } else {
            // It looks at all of them meanwhile.
            let claims = |stage: &Stage| {
                let claim = |sent: &&Outgoing| matches!(sent.request, Request::Claim(_));
                stage.sent.iter().filter(claim).count()
            };
            stage.tick(60);
            assert_eq!((stage.sent.len(), claims(&stage)), (3, 0));
            stage.tick(61);
            assert_eq!(claims(&stage), 2);
            stage.answer_all(62);
            assert_eq!(stage.candidate.role(), Role::Probation);
        }
    }
}

/// Stores that call different standbys, as none of them knows of the others.
#[test]
fn it_claims_at_once_what_a_majority_of_the_stores_calls_it_for() {
    for mine in 0..=3 {
        let mut stage = Stage::trusted(3);
        for store in 0..3 {
            stage.held_by_another(store);
        }
        stage.pass(0, 0);
        assert_eq!(stage.candidate.role(), Role::Standby);
        for store in 0..3 {
            stage.records[store].occupancy = Occupancy::Vacant;
            let called = if store < mine { "me" } else { "another" };
            let woken = stage.release(store, Some(called));
            stage.input(10, woken);
        }
        let claims = |sent: &[Outgoing]| {
            let claim = |sent: &&Outgoing| matches!(sent.request, Request::Claim(_));
            sent.iter().filter(claim).count()
        };
        assert_eq!(claims(&stage.sent) > 0, mine >= 2, "called by {mine}");
        // No one else claims, so the polls that come early find the records vacant.
        let mut claimed = claims(&stage.sent);
        for ms in 11..=110 {
            stage.tick(ms);
            claimed = claimed.max(claims(&stage.sent));
            stage.answer_all(ms);
        }
        assert!(claimed >= 2, "called by {mine}");
    }
}

/// Stores list those who poll, and can call only those.
#[test]
fn a_claimant_that_was_refused_polls_soon_to_be_listed() {
    let mut stage = Stage::trusted(1);
    stage.held_by_another(0);
    stage.pass(0, 0);
    let (held, mut vacant) = (stage.records[0].clone(), stage.records[0].clone());
    vacant.occupancy = Occupancy::Vacant;
    stage.records[0] = vacant;
    let woken = stage.release(0, Some("me"));
    stage.records[0] = held;
    stage.input(10, woken);
    stage.answer_all(11);
    assert!(stage.has(|event| matches!(event, Event::ClaimFailed { .. })));
    assert!(
        stage.sent.is_empty(),
        "not at once: it may be about to leave"
    );
    stage.tick(21);
    let polls = |sent: &Outgoing| matches!(sent.request, Request::Observe);
    assert!(stage.sent.iter().all(polls) && stage.sent.len() == 1);
}

/// The stores may call different standbys.
#[test]
fn told_by_one_store_it_looks_at_the_others_a_little_later() {
    for called in ["me", "another"] {
        let mut stage = Stage::trusted(3);
        for store in 0..3 {
            stage.held_by_another(store);
        }
        stage.pass(0, 0);
        for store in 0..3 {
            stage.records[store].occupancy = Occupancy::Vacant;
        }
        let woken = stage.release(0, Some(called));
        stage.input(10, woken);
        let claims = |sent: &Outgoing| matches!(sent.request, Request::Claim(_));
        let mut claimed = stage.sent.iter().any(claims);
        assert!(!claimed, "one store is no majority");
        for ms in 11..=110 {
            stage.tick(ms);
            claimed |= stage.sent.iter().any(claims);
            stage.answer_all(ms);
        }
        assert!(claimed, "{called}");
    }
}

/// A release that is late must not meet a later claim of the same candidate.
#[test]
fn no_two_claims_of_a_candidate_share_a_term() {
    let mut stage = Stage::new(1);
    stage.records[0].floor = Term::new(1 << 50).expect("a term");
    let mut terms = Vec::new();
    for ms in (0..60_000).step_by(50) {
        stage.tick(ms);
        for sent in std::mem::take(&mut stage.sent) {
            match &sent.request {
                Request::Claim(claim) => {
                    terms.push(claim.term);
                    stage.hear(ms, &sent, Err(Failure::Unknown));
                }
                _ => stage.answer(ms, &sent),
            }
        }
    }
    assert!(terms.len() > 3, "it claims again and again");
    assert!(terms.is_sorted_by(|one, next| one < next), "{terms:?}");
}

/// A claim was granted, and neither that nor its release got through: when the store shows it, it is given
/// up at once. Otherwise everyone outwaits a holder that does not lead.
#[test]
fn a_claim_that_was_granted_unnoticed_is_given_up_when_it_is_seen() {
    let (mut stage, claim) = Stage::claiming();
    assert_eq!(stage.carry_out(0, &claim).verdict, Verdict::Granted);
    stage.hear(10, &claim, Err(Failure::Unknown));
    let release = stage
        .sent
        .pop()
        .expect("what may have been granted is released");
    assert!(is_release(&release));
    stage.hear(20, &release, Err(Failure::Unknown));
    assert_eq!(stage.candidate.role(), Role::Standby);
    // It may try again first: that is refused, and shows whose the record is.
    let mut shown = 20;
    while !stage.sent.iter().any(is_release) {
        shown += 50;
        assert!(shown < 2500, "its own record is left to stall");
        stage.answer_all(shown);
        stage.tick(shown);
    }
    stage.answer_all(shown);
    let another = stage.records[0].term > term_of(&claim);
    assert!(another || stage.records[0].occupancy == Occupancy::Vacant);
}

/// A candidate that leaves while the release of a failed claim is under way sends the same release again.
#[test]
fn a_release_that_is_sent_again_while_leaving_is_of_the_term_that_was_claimed() {
    let (mut stage, claim) = Stage::claiming();
    stage.hear(10, &claim, Err(Failure::Unknown));
    assert!(stage.sent.pop().as_ref().is_some_and(is_release));
    stage.input(20, Input::Resign(LossReason::Resigned));
    // The answer does not come.
    let again = (20..5000).step_by(50).find_map(|ms| {
        stage.tick(ms);
        stage.sent.pop()
    });
    match again.expect("it is sent again").request {
        Request::Release { term, .. } => assert_eq!(term, term_of(&claim)),
        other => panic!("a release was expected, not {other:?}"),
    }
}

/// S4: an outage is no evidence.
#[test]
fn polls_that_fail_never_lead_to_a_claim() {
    let mut stage = Stage::new(1);
    stage.held_by_another(0);
    stage.tick(0);
    stage.answer_all(0);
    for ms in (50..20_000).step_by(50) {
        stage.tick(ms);
        for sent in std::mem::take(&mut stage.sent) {
            assert_eq!(sent.request, Request::Observe, "at {ms} ms");
            stage.hear(ms, &sent, Err(Failure::NotExecuted));
        }
    }
}

#[test]
fn nothing_is_released_before_the_work_has_ended() {
    for (resigns, until) in [(true, 20_000), (false, 20_000)] {
        let mut stage = Stage::leading(1);
        stage.pass(50, 500);
        if resigns {
            stage.input(550, Input::Resign(LossReason::Resigned));
        }
        for ms in (600..until).step_by(50) {
            stage.tick(ms);
            assert!(!stage.sent.iter().any(is_release), "at {ms} ms");
            if resigns {
                stage.answer_all(ms);
            } else {
                // Nothing is answered, so that the tenure ends.
                stage.sent.clear();
            }
        }
        assert!(resigns || stage.has(|event| matches!(event, Event::Expired { .. })));
        stage.input(until, Input::WorkEnded(LossReason::Resigned));
        assert!(stage.sent.iter().any(is_release));
    }
}

/// An order to stop a leader carries a reason for people. Only what the stores show revokes the right to act.
#[test]
fn a_leader_that_is_told_to_stop_acts_until_its_deadline_whatever_the_reason() {
    for reason in [
        LossReason::Resigned,
        LossReason::Deposed,
        LossReason::StoreForgot,
    ] {
        let mut stage = Stage::leading(1);
        let deadline = stage.deadline_ms();
        stage.input(10, Input::Resign(reason));
        assert_eq!(stage.deadline_ms(), deadline, "{reason:?}");
        assert!(stage.candidate.may_act(at(deadline - 1)), "{reason:?}");
        stage.pass(50, 2_500);
        assert!(stage.deadline_ms() > deadline, "{reason:?}");
    }
}

#[test]
fn a_leader_that_uses_other_stores_than_another_candidate_acts_until_its_deadline_which_stays() {
    let mut stage = Stage::leading(1);
    let deadline = stage.deadline_ms();
    stage.input(10, Input::Resign(LossReason::OtherStores));
    stage.pass(50, 2_500);
    assert_eq!(stage.deadline_ms(), deadline);
    assert!(stage.candidate.may_act(at(deadline - 1)));
}

#[test]
fn a_candidate_that_is_held_back_watches_and_claims_at_the_next_input_after_it() {
    let mut stage = Stage::new(1);
    stage.candidate.hold_back(true);
    stage.pass(0, 3_000);
    assert_eq!(stage.candidate.role(), Role::Standby);
    stage.candidate.hold_back(false);
    stage.tick(3_050);
    assert_eq!(stage.candidate.role(), Role::Claiming);
}

#[test]
fn a_reply_after_the_end_of_the_tenure_changes_nothing() {
    let mut stage = Stage::leading(1);
    let mut late = None;
    for ms in (50..4_850).step_by(50) {
        stage.tick(ms);
        late = std::mem::take(&mut stage.sent).pop().or(late);
    }
    let late = late.expect("heartbeats that were not answered");
    let deadline = stage.deadline_ms();
    stage.answer(deadline, &late);
    assert_eq!(stage.deadline_ms(), deadline);
    assert!(!stage.candidate.may_act(at(deadline)));
    stage.pass(deadline + 50, deadline + 3_000);
    assert_eq!(stage.deadline_ms(), deadline);
    assert!(!stage.candidate.may_act(at(deadline + 50)));
}

#[test]
fn who_was_forgotten_and_lost_the_store_to_another_does_not_lead_on() {
    let mut stage = Stage::leading(1);
    stage.pass(50, 1_500);
    stage.held_by_another(0);
    stage.kept[0].begin_again();
    stage.pass(1_550, 2_500);
    let deadline = stage.deadline_ms();
    let forgot = |event: &Event| {
        matches!(
            event,
            Event::Stopping {
                reason: LossReason::StoreForgot,
                ..
            }
        )
    };
    assert!(stage.has(forgot));
    stage.records[0] = Record::ABSENT;
    stage.pass(2_550, 4_500);
    assert_eq!(stage.deadline_ms(), deadline);
}

/// The server was restarted from a state in which another still held the election. A heartbeat that is granted does
/// not look for that, and one that is refused does: the other cannot act yet, so there is time for the work to stop.
#[test]
fn a_leader_that_a_restarted_store_refuses_is_forgotten_and_not_deposed() {
    let mut stage = Stage::leading(1);
    stage.pass(50, 1_500);
    stage.held_by_another(0);
    stage.kept[0].restarted = true;
    stage.pass(1_550, 2_500);
    let reasons = stage.events.iter().filter_map(|event| match event {
        Event::Stopping { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), [LossReason::StoreForgot]);
    assert!(stage.candidate.may_act(at(2_500)));
}

/// It waits on two stores of three while one of them is away, and another candidate could win on the others.
#[test]
fn a_probation_that_no_majority_answers_is_given_up() {
    let mut stage = Stage::new(3);
    let answered = |stage: &mut Stage, ms: u64, up: [usize; 2]| {
        stage.tick(ms);
        for sent in std::mem::take(&mut stage.sent) {
            match up.contains(&sent.store.get()) {
                true => stage.answer(ms, &sent),
                false => stage.hear(ms, &sent, Err(Failure::NotExecuted)),
            }
        }
    };
    for ms in (0..1_000).step_by(50) {
        answered(&mut stage, ms, [0, 1]);
    }
    assert_eq!(stage.candidate.role(), Role::Probation);
    for ms in (1_000..12_000).step_by(50) {
        answered(&mut stage, ms, [0, 2]);
    }
    assert_eq!(stage.candidate.role(), Role::Leading);
}

/// The elections of a process share a timer, a write and a read for what is due together, and no heartbeat is late for
/// that.
#[test]
fn heartbeats_are_due_at_one_of_256_moments_of_an_interval_and_never_late() {
    let (interval, share) = (1_000_000_000, 1_000_000_000 / 256);
    for won in [0, 1, 3, 500, 777] {
        let mut stage = Stage::trusted(1);
        stage.records[0].occupancy = Occupancy::Vacant;
        stage.tick(won);
        let sent = stage.sent.pop().expect("a poll");
        let mut now = at(won);
        let answer = |stage: &mut Stage, now: Timestamp, sent: &Outgoing| {
            let reply = stage.carry_out(won, sent);
            let (store, id) = (sent.store, sent.id);
            let result = Ok(reply);
            stage
                .candidate
                .handle(now, Input::Replied { store, id, result })
        };
        let mut step = answer(&mut stage, now, &sent);
        for beat in 0..6 {
            let sent = step.sends.pop().expect("a claim or a heartbeat");
            let due = answer(&mut stage, now, &sent).wake_at;
            assert!(due <= now + Duration::from_nanos(interval), "late: {beat}");
            assert!(due + Duration::from_nanos(share) > now + Duration::from_nanos(interval));
            if beat > 0 {
                assert_eq!(due.as_nanos() % share, 0, "{beat}");
            }
            now = due;
            step = stage.candidate.handle(now, Input::Tick);
        }
    }
}

#[test]
fn work_that_overruns_polls_a_free_store_once_an_interval() {
    let mut stage = Stage::leading(1);
    for ms in (50..6_000).step_by(50) {
        stage.tick(ms);
        stage.sent.clear();
    }
    assert!(stage.has(|event| matches!(event, Event::Expired { .. })));
    stage.records[0] = Record::ABSENT;
    let mut requests = 0;
    for ms in 6_000..16_000 {
        stage.tick(ms);
        requests += stage.sent.len();
        stage.answer_all(ms);
    }
    assert_eq!(requests, 11, "one at each end of ten intervals");
    assert_eq!(stage.records[0], Record::ABSENT, "nothing was joined");
}
