//! When a candidate leaves because of another list of stores, look by look.

use super::*;
use crate::election::ElectionBuilder;
use crate::observe::StoreView;
use crate::protocol::{Electorate, Record, TimingConfig};
use crate::store::{Inspection, MemoryStore, SeenCandidate};

const INTERVAL: Duration = Duration::from_secs(1);
/// Five intervals.
const WINDOW: Duration = Duration::from_secs(5);

/// A candidate of the stores a, b and c, and the time.
struct Bed {
    agreement: Agreement,
    now: Timestamp,
    role: Role,
}

/// Another candidate as the stores list it: its stores, those that list it, and when they saw it last.
type Listed<'a> = (&'a str, &'a str, u64);

impl Bed {
    /// One that has compared its stores before, or has not.
    fn new(compared: bool) -> Self {
        Self::of(compared, |builder, store| {
            builder.store_object(Arc::new(MemoryStore::new(store)))
        })
    }

    fn of(compared: bool, add: impl Fn(ElectionBuilder, &'static str) -> ElectionBuilder) -> Self {
        let builder = ["a", "b", "c"].into_iter();
        let builder = builder.fold(Election::builder("billing"), add);
        let election = builder.timing(TimingConfig::default()).build().unwrap();
        let now = Timestamp::from_nanos(1);
        election.shared.compared.set(compared.then_some(now));
        let agreement = Agreement::new(&election.shared, &"me".parse().unwrap(), now);
        assert_eq!(agreement.allows_claims(), compared);
        Self {
            agreement,
            now,
            role: Role::Standby,
        }
    }

    /// Looks once, an interval later.
    fn look(&mut self, others: &[Listed<'_>]) -> Result<(), CampaignError> {
        self.look_at("a b c", others)
    }

    fn look_at(&mut self, answering: &str, others: &[Listed<'_>]) -> Result<(), CampaignError> {
        self.now = self.now + INTERVAL;
        let list = |text: &str| StoreList::new(text.split(' '));
        let clock = WallMillis::new(1_000_000).unwrap();
        let seen = |id: &str, stores: &str, at: u64| SeenCandidate {
            identity: Identity::new(id.parse().unwrap(), "host", 1, "0.1.0")
                .unwrap()
                .with_timing(Timing::default())
                .with_stores(list(stores)),
            last_seen: WallMillis::new(at).unwrap(),
        };
        let stores = answering.split(' ').map(|store| {
            let listed = others.iter().enumerate();
            let listed = listed.filter(|(_, (_, on, _))| on.split(' ').any(|one| one == store));
            let others =
                listed.map(|(at, (stores, _, last))| seen(&format!("other-{at}"), stores, *last));
            let me = seen("me", "memory:a memory:b memory:c", 1_000_000);
            StoreView {
                store: format!("memory:{store}").into(),
                inspection: Ok(Inspection {
                    candidates: others.chain([me]).collect(),
                    ..Inspection::new(Record::ABSENT, clock)
                }),
            }
        });
        let electorate = Electorate::new(3).unwrap();
        let view = ElectionView::merge("billing".parse().unwrap(), electorate, stores.collect());
        self.agreement.compare(self.now, self.role, view)
    }

    /// Whether it would look again within an interval.
    fn looks_soon(&self) -> bool {
        self.agreement.due <= self.now + INTERVAL
    }
}

const OTHER: &str = "memory:c memory:d memory:e";

/// A time that has passed, by the clock of the store, after this many looks.
fn after(looks: u64) -> u64 {
    999_000 + looks
}

#[test]
fn a_candidate_that_is_alone_may_claim_after_one_look() {
    let mut bed = Bed::new(false);
    bed.look(&[]).unwrap();
    assert!(bed.agreement.allows_claims());
}

#[test]
fn a_candidate_that_starts_leaves_at_the_first_sign_of_life_of_another_list() {
    let mut bed = Bed::new(false);
    bed.look(&[(OTHER, "c", after(0))]).unwrap();
    assert!(!bed.agreement.allows_claims());
    assert!(bed.looks_soon());
    let error = bed.look(&[(OTHER, "c", after(1))]).unwrap_err().to_string();
    for words in [
        "host pid 1 does not use memory:a",
        "It uses memory:c, 2 other stores",
        "this candidate uses memory:a, memory:b, memory:c",
        "stop every candidate on every host",
    ] {
        assert!(error.contains(words), "no {words:?} in {error}");
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn a_candidate_that_starts_waits_for_the_next_note_in_a_file() {
    let mut bed = Bed::of(false, |builder, store| {
        builder.store(format!("sqlite:/var/lib/incumbent/{store}.db"))
    });
    let other = ["c", "d", "e"].map(|store| format!("sqlite:/var/lib/incumbent/{store}.db"));
    let other = other.join(" ");
    // A poll just before five seconds have passed writes no note.
    for _ in 0..11 {
        bed.look(&[(&other, "c", after(0))]).unwrap();
        assert!(!bed.agreement.allows_claims());
    }
    bed.look(&[(&other, "c", after(1))]).unwrap_err();
}

#[test]
fn what_is_left_of_another_list_delays_a_candidate_that_starts_by_a_window() {
    // A time in the future is what a forged entry may show, which no store forgets.
    for left in [after(0), 1_000_000_000] {
        let mut bed = Bed::new(false);
        bed.look(&[(OTHER, "c", left)]).unwrap();
        let began = bed.now;
        while bed.now.since(began) < WINDOW {
            assert!(!bed.agreement.allows_claims());
            bed.look(&[(OTHER, "c", left)]).unwrap();
        }
        assert!(bed.agreement.allows_claims());
        for _ in 0..10 {
            bed.look(&[(OTHER, "c", left)]).unwrap();
        }
        assert!(bed.agreement.allows_claims());
        bed.agreement.due = Timestamp::NEVER;
        bed.look(&[(OTHER, "c", left)]).unwrap();
        assert!(!bed.looks_soon());
    }
}

#[test]
fn a_candidate_that_may_lead_outlasts_one_that_is_started_with_another_list() {
    let mut bed = Bed::new(true);
    for look in 0..5 {
        bed.look(&[(OTHER, "c", after(look))]).unwrap();
        // While in doubt no one is elected.
        assert_eq!(bed.agreement.allows_claims(), look == 0);
    }
    // It was killed, so that it stays listed for a while.
    for _ in 0..20 {
        bed.look(&[(OTHER, "c", after(4))]).unwrap();
    }
    assert!(bed.agreement.allows_claims());
}

#[test]
fn two_that_both_lead_both_leave_although_one_of_them_is_first() {
    let mut bed = Bed::new(true);
    let mut look = 0;
    while look <= 5 {
        bed.look(&[(OTHER, "c", after(look))]).unwrap();
        look += 1;
    }
    // It has left.
    while look < 10 {
        bed.look(&[]).unwrap();
        look += 1;
    }
    bed.look(&[]).unwrap_err();
}

#[test]
fn an_outage_of_the_shared_store_does_not_hide_that_both_lead() {
    let mut bed = Bed::new(true);
    for look in 0..10 {
        let answering = if look % 3 == 1 { "a b" } else { "a b c" };
        bed.look_at(answering, &[(OTHER, "c", after(look))])
            .unwrap();
    }
    bed.look(&[(OTHER, "c", after(10))]).unwrap_err();
}

#[test]
fn another_order_of_the_stores_is_no_other_list() {
    let mut bed = Bed::new(false);
    let turned = "memory:c memory:b memory:a";
    bed.look(&[(turned, "a b c", after(0))]).unwrap();
    assert!(bed.agreement.allows_claims());
    assert!(bed.agreement.suspects.is_empty());
}

#[test]
fn other_addresses_of_the_same_stores_stay_the_same_when_one_of_them_is_out_of_reach() {
    let other_words = "memory:a memory:b memory:see";
    let mut bed = Bed::new(true);
    bed.look(&[(other_words, "a b c", after(0))]).unwrap();
    for look in 1..20 {
        bed.look(&[(other_words, "a b", after(look))]).unwrap();
    }
    // Nothing shows that these are the same.
    let mut bed = Bed::new(true);
    for look in 0..10 {
        bed.look(&[(other_words, "a b", after(look))]).unwrap();
    }
    bed.look(&[(other_words, "a b", after(10))]).unwrap_err();
}

#[test]
fn a_leader_looks_again_until_the_others_have_found_a_store_that_is_back() {
    let mut bed = Bed::new(true);
    bed.role = Role::Leading;
    bed.agreement.due = Timestamp::NEVER;
    bed.look(&[]).unwrap();
    assert!(bed.looks_soon());
    bed.now = bed.now + WINDOW;
    bed.agreement.due = Timestamp::NEVER;
    bed.look(&[]).unwrap();
    assert!(!bed.looks_soon());
}
