//! The numbers: terms, beats, instants and majorities.

use std::collections::BTreeSet;
use std::time::Duration;

use incumbent::protocol::{Beat, Electorate, FencingToken, Term, Timestamp, WallMillis};
use proptest::prelude::*;

use super::support::seed;

#[test]
fn a_term_is_exact_in_a_double() {
    let most = Term::MAX.get();
    assert_eq!(most, 9_007_199_254_740_991);
    assert_eq!(Term::new(most), Some(Term::MAX));
    assert_eq!(Term::new(most + 1), None);
    assert_eq!(Term::new(u64::MAX), None);
    assert_eq!(WallMillis::new(WallMillis::MAX.get() + 1), None);
    let last = WallMillis::MAX.get() * 1000;
    assert!(last < most / 2, "no clock uses the terms up");
}

#[test]
fn a_fencing_token_is_read_from_plain_digits_only() {
    let most = FencingToken::MAX.to_string();
    for (text, token) in [("0", 0), ("007", 7), (&*most, FencingToken::MAX.get())] {
        assert_eq!(text.parse(), Ok(FencingToken::new(token).unwrap()));
    }
    for text in [
        "",
        "-1",
        "+1",
        " 1",
        "1\n",
        "1.0",
        "0x1",
        "seven",
        "9007199254740992",
    ] {
        let error = text.parse::<FencingToken>().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{text:?} is no fencing token")),
            "{error}"
        );
    }
    assert!(FencingToken::try_from(FencingToken::MAX.get() + 1).is_err());
}

/// What a claim writes differs from what stood there, and it rises as long as numbers last.
#[test]
fn the_first_beat_of_a_term_is_another_than_the_last_one_and_rises() {
    let lasts = prop_oneof![
        any::<i64>(),
        -5..5_i64,
        (-5..5_i64).prop_map(|near| (1 << 60) + near),
        (0..5_i64).prop_map(|near| i64::MAX - near),
    ];
    let terms = prop_oneof![1..10_u64, 1..=Term::MAX.get()];
    let place = "--test protocol the_first_beat";
    seed::check(place, 2000, &(terms, lasts), |(term, last)| {
        let term = Term::new(term).expect("a term");
        let first = Beat::first(term, Beat::new(last));
        prop_assert_ne!(first, Beat::new(last));
        prop_assert!(first.get() >= i64::try_from(term.get()).expect("it fits"));
        prop_assert!(first.get() > last || last >= 1 << 60);
        prop_assert_ne!(first.next(), first);
        Ok(())
    });
}

#[test]
fn instants_saturate_and_never_wrap() {
    let late = Timestamp::from_nanos(u64::MAX - 1);
    assert_eq!(late + Duration::MAX, Timestamp::NEVER);
    assert_eq!(late + Duration::from_nanos(1), Timestamp::NEVER);
    assert_eq!(Timestamp::ZERO.since(late), Duration::ZERO);
    assert_eq!(
        Timestamp::from_nanos(5).before(Duration::MAX),
        Timestamp::ZERO
    );
    assert_eq!(
        late.before(Duration::from_nanos(1)).as_nanos(),
        u64::MAX - 2
    );
    assert_eq!(
        late.since(Timestamp::ZERO).as_nanos(),
        u128::from(u64::MAX - 1)
    );
}

#[test]
fn only_1_3_and_5_stores_form_an_electorate_and_any_two_majorities_share_one() {
    for stores in (0..300).chain([usize::MAX]) {
        match Electorate::new(stores) {
            Ok(electorate) => {
                assert!([1, 3, 5].contains(&stores));
                assert_eq!(electorate.size(), stores);
                assert!(
                    2 * electorate.majority() > stores,
                    "two majorities share a store"
                );
                assert!(
                    2 * (electorate.majority() - 1) <= stores,
                    "no more than a majority"
                );
                let indices: BTreeSet<_> = electorate.stores().map(|store| store.get()).collect();
                assert_eq!(indices, (0..stores).collect());
            }
            Err(error) => {
                assert!(![1, 3, 5].contains(&stores));
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!("{stores} stores")) && text.contains("1, 3 or 5")
                );
            }
        }
    }
}
