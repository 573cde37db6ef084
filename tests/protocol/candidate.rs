//! The candidate, step by step: each rule at the moment at which it decides.

mod probation;
mod tenure;

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
fn a_candidate_that_is_held_back_watches_and_claims_at_the_next_input_after_it() {
    let mut stage = Stage::new(1);
    stage.candidate.hold_back(true);
    stage.pass(0, 3_000);
    assert_eq!(stage.candidate.role(), Role::Standby);
    stage.candidate.hold_back(false);
    stage.tick(3_050);
    assert_eq!(stage.candidate.role(), Role::Claiming);
}
