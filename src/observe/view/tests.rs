//! What an operator reads, as a table: what each store says, and the result.

use super::*;
use crate::protocol::{Memory, MemoryId, Orders, Record, TimingConfig};
use crate::store::SeenCandidate;

/// What one store says, in a few characters:
/// `a7` held by a under term 7, `a7?` the same with a memory that is young, `a7!` with one that was begun when
/// it was held already, `-7` vacant after term 7, `.` absent,
/// `f` foreign, `down`, `denied`, `garbled`.
fn store(index: usize, said: &str) -> StoreView {
    let label: Arc<str> = format!("s{index}").into();
    let store = Arc::clone(&label);
    let inspection = match said {
        "down" => Err(StoreError::Unreachable {
            store,
            source: Arc::new(std::io::Error::other("connection refused")),
        }),
        "denied" => Err(StoreError::Denied {
            store,
            message: "NOPERM".to_owned(),
        }),
        "garbled" => Err(StoreError::Garbled {
            store,
            key: "k".to_owned(),
            field: "term".to_owned(),
            value: "x".to_owned(),
            expected: "a number".to_owned(),
        }),
        record => Ok(inspection(record)),
    };
    StoreView {
        store: label,
        inspection,
    }
}

fn inspection(said: &str) -> Inspection {
    let holder = said.trim_end_matches(['?', '!']);
    // Before the record was claimed, or since.
    let made = WallMillis::new(if said.ends_with('!') { 5_000 } else { 3_000 });
    let memory = MemoryId {
        made: made.unwrap(),
        nonce: 1,
    };
    let term = holder.get(1..).and_then(|term| term.parse().ok());
    let term = FencingToken::new(term.unwrap_or(0)).unwrap();
    let (occupancy, identity) = match holder.chars().next() {
        Some('.') => (Occupancy::Absent, None),
        Some('-') => (Occupancy::Vacant, None),
        Some('f') => (
            Occupancy::Foreign {
                counter: Some(Beat::new(3)),
                window: Duration::ZERO,
            },
            None,
        ),
        Some(name) => (
            Occupancy::Held {
                holder: name.to_string().parse().unwrap(),
                window: Duration::from_secs(5),
            },
            Some(someone(&name.to_string())),
        ),
        None => unreachable!("a test names a record"),
    };
    let record = Record {
        floor: term,
        term,
        beat: Beat::new(10),
        occupancy,
        orders: Orders::NONE,
    };
    Inspection {
        memory: Some(match said.ends_with(['?', '!']) {
            true => Memory::young(memory),
            false => Memory::mature(memory),
        }),
        holder: identity,
        since: WallMillis::new(4_000),
        changed: WallMillis::new(9_000),
        ..Inspection::new(record, WallMillis::new(10_000).unwrap())
    }
}

fn someone(name: &str) -> Identity {
    Identity::new(name.parse().unwrap(), "host", 1, "0.1.0").unwrap()
}

fn view(said: &str) -> ElectionView {
    let stores: Vec<StoreView> = said
        .split_whitespace()
        .enumerate()
        .map(|(index, said)| store(index, said))
        .collect();
    let electorate = Electorate::new(stores.len()).unwrap();
    ElectionView::merge("billing".parse().unwrap(), electorate, stores)
}

fn check(said: &str, expected: &str) {
    let state = view(said).state;
    let found = match &state {
        State::Held(holding) => format!(
            "held by {} term {} on {}{}",
            holding.holder,
            holding.term,
            holding.stores,
            if holding.unproven { ", unproven" } else { "" }
        ),
        State::Vacant { term, .. } => format!("vacant after {term}"),
        other => other.word().to_owned(),
    };
    assert_eq!(found, expected, "the stores said {said:?}");
}

#[test]
fn what_a_majority_says_is_what_an_operator_reads() {
    for (said, expected) in [
        ("a7", "held by a term 7 on 1"),
        ("-7", "vacant after 7"),
        (".", "absent"),
        ("f", "foreign"),
        ("down", "unreachable"),
        ("denied", "forbidden"),
        ("garbled", "garbled"),
        ("a7 a7 a7", "held by a term 7 on 3"),
        ("a7 a7 b6", "held by a term 7 on 2"),
        ("a7 a7 down", "held by a term 7 on 2"),
        ("a7 a7? a7?", "held by a term 7 on 3, unproven"),
        ("a7 a7 a7?", "held by a term 7 on 3"),
        ("a7 a7! a7!", "held by a term 7 on 3"),
        ("a7 b8 .", "divided"),
        ("a7 a6 .", "divided"),
        ("a7 -6 down", "divided"),
        ("a7 down down", "unreachable"),
        ("-7 down down", "unreachable"),
        ("-7 -6 down", "vacant after 7"),
        ("-7 . down", "vacant after 7"),
        (". . a7", "absent"),
        ("f f a7", "foreign"),
        ("denied denied a7", "forbidden"),
        ("denied down a7", "unreachable"),
        ("garbled garbled a7", "garbled"),
        ("denied garbled a7", "forbidden"),
        ("garbled a7 a7", "held by a term 7 on 2"),
        ("a7 a7 b8 down down", "divided"),
        ("a7 a7 a7 down denied", "held by a term 7 on 3"),
        ("a7 a7 down down denied", "unreachable"),
    ] {
        check(said, expected);
    }
}

#[test]
fn the_age_of_a_beat_is_told_by_the_clock_of_the_store_that_heard_it_last() {
    let mut stores = vec![store(0, "a7"), store(1, "a7"), store(2, "down")];
    if let Ok(inspection) = &mut stores[1].inspection {
        // This server's clock is far ahead, and it heard the beat later.
        inspection.clock = WallMillis::new(1_000_400).unwrap();
        inspection.changed = WallMillis::new(1_000_000);
    }
    let merged = ElectionView::merge(
        "billing".parse().unwrap(),
        Electorate::new(3).unwrap(),
        stores,
    );
    let holding = merged.leader().unwrap();
    assert_eq!(holding.beat_age, Some(Duration::from_millis(400)));
    assert_eq!(holding.tenure_left(), Some(Duration::from_millis(4500)));
    assert!(!holding.is_stalled());
}

#[test]
fn a_counter_that_stood_for_longer_than_its_window_is_stalled() {
    let mut stores = vec![store(0, "a7")];
    if let Ok(inspection) = &mut stores[0].inspection {
        inspection.changed = WallMillis::new(10_000 - 5_001);
    }
    let merged = ElectionView::merge(
        "billing".parse().unwrap(),
        Electorate::new(1).unwrap(),
        stores,
    );
    assert!(merged.leader().unwrap().is_stalled());
}

#[test]
fn a_candidate_seen_by_two_stores_is_listed_once_with_its_latest_sight_and_the_leader_first() {
    let mut stores = vec![store(0, "b7"), store(1, "b7"), store(2, "down")];
    if let Ok(inspection) = &mut stores[0].inspection {
        inspection.clock = WallMillis::new(30_000).unwrap();
        inspection.changed = WallMillis::new(29_000);
    }
    for (index, seen) in [(0, 29_000), (1, 9_900)] {
        if let Ok(inspection) = &mut stores[index].inspection {
            let last_seen = WallMillis::new(seen).unwrap();
            inspection.candidates = ["a", "b", "c"]
                .map(|name| SeenCandidate {
                    identity: someone(name),
                    last_seen,
                })
                .into();
        }
    }
    let merged = ElectionView::merge(
        "billing".parse().unwrap(),
        Electorate::new(3).unwrap(),
        stores,
    );
    // A candidate that was last seen two windows ago or more has left.
    let mut stores = merged.stores.clone();
    if let Ok(inspection) = &mut stores[0].inspection {
        inspection.candidates.push(SeenCandidate {
            identity: someone("gone"),
            last_seen: WallMillis::new(19_999).unwrap(),
        });
    }
    let again = ElectionView::merge(
        "billing".parse().unwrap(),
        Electorate::new(3).unwrap(),
        stores,
    );
    assert_eq!(again.candidates, merged.candidates);
    let listed: Vec<String> = merged
        .candidates
        .iter()
        .map(|one| format!("{} {:?} {}", one.identity.id(), one.age, one.leads))
        .collect();
    assert_eq!(listed, ["b 100ms true", "a 100ms false", "c 100ms false"]);
}

#[test]
fn without_a_leader_too_a_candidate_that_was_not_seen_for_two_of_its_windows_is_listed_no_more() {
    let patient = TimingConfig {
        stall_polls: 9,
        ..TimingConfig::default()
    };
    let timed =
        |name: &str, config: &TimingConfig| someone(name).with_timing(Timing::new(config).unwrap());
    let usual = TimingConfig::default();
    for (record, expected) in [("-7", vec!["patient", "silent"]), ("b7", vec!["patient"])] {
        let mut stores = vec![store(0, record)];
        if let Ok(inspection) = &mut stores[0].inspection {
            inspection.clock = WallMillis::new(30_000).unwrap();
            let all = [
                timed("gone", &usual),
                timed("patient", &patient),
                someone("silent"),
            ];
            inspection.candidates = all
                .map(|identity| SeenCandidate {
                    identity,
                    last_seen: WallMillis::new(19_999).unwrap(),
                })
                .into();
        }
        let one = Electorate::new(1).unwrap();
        let merged = ElectionView::merge("billing".parse().unwrap(), one, stores);
        let listed = merged.candidates.iter();
        let listed: Vec<&str> = listed.map(|one| one.identity.id().as_str()).collect();
        assert_eq!(listed, expected, "{record}");
    }
}

/// A store that lost its data knows a leader only since it joined again.
#[test]
fn a_leader_that_joined_a_store_again_leads_since_it_was_elected() {
    let elected = 1_000_000_000_000;
    let mut one = store(0, &format!("a{}", elected * 1000));
    let inspection = one.inspection.as_mut().unwrap();
    inspection.since = WallMillis::new(elected + 60_000);
    inspection.clock = WallMillis::new(elected + 90_000).unwrap();
    inspection.memory = Some(Memory::young(MemoryId {
        made: WallMillis::new(elected + 50_000).unwrap(),
        nonce: 1,
    }));
    let merged = ElectionView::merge(
        "billing".parse().unwrap(),
        Electorate::new(1).unwrap(),
        vec![one],
    );
    let held = merged.leader().unwrap();
    assert_eq!(held.since, WallMillis::new(elected));
    assert_eq!(held.held_for, Some(Duration::from_secs(90)));
    assert!(!held.unproven, "it acts all the time");
}

#[test]
fn an_election_is_paused_where_too_few_stores_that_answer_are_not() {
    for (said, paused, expected) in [
        ("-7 -7 -7", 1, false),
        ("-7 -7 -7", 2, true),
        ("-7 -7 down", 1, true),
        ("-7 -7 down", 0, false),
        ("-7 down down", 1, true),
    ] {
        let pause = Pause {
            until: None,
            by: "alice".parse().unwrap(),
            reason: None,
        };
        let mut stores = view(said).stores;
        for store in &mut stores[..paused] {
            let shown = store.inspection.as_mut().unwrap();
            shown.record.orders.paused = Some(pause.clone());
        }
        let electorate = Electorate::new(stores.len()).unwrap();
        let view = ElectionView::merge("billing".parse().unwrap(), electorate, stores);
        let expected = expected.then_some(pause);
        assert_eq!(view.paused, expected, "{paused} of {said:?}");
    }
}
