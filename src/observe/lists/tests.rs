//! Which differences between two lists of stores are reported, as a table.

use std::time::Duration;

use super::*;
use crate::protocol::{Electorate, Record, WallMillis};
use crate::store::{Inspection, SeenCandidate};

/// What `ours` finds out about a candidate that uses the stores `theirs` and is seen on `seen`.
fn check(ours: &str, theirs: &str, seen: &str, expected: &str) {
    let list = |text: &str| StoreList::new(text.split(' '));
    let who = Identity::new("x".parse().unwrap(), "host", 1, "0.1.0").unwrap();
    let who = who.with_stores(list(theirs));
    let at = WallMillis::new(1).unwrap();
    let present = |store: &str| match seen.split(' ').any(|one| one == store) {
        true => vec![SeenCandidate::new(who.clone(), at)],
        false => Vec::new(),
    };
    let stores = ours.split(' ').map(|store| StoreView {
        store: store.into(),
        inspection: Ok(Inspection {
            candidates: present(store),
            ..Inspection::new(Record::ABSENT, at)
        }),
    });
    let stores: Vec<StoreView> = stores.collect();
    let electorate = Electorate::new(stores.len()).unwrap();
    let view = ElectionView::merge("billing".parse().unwrap(), electorate, stores);
    assert_eq!(view.candidates[0].age, Duration::ZERO);
    let found = view.other_stores(&list(ours));
    let found: Vec<String> = found.iter().map(|(_, how)| how.to_string()).collect();
    assert_eq!(found.join(", "), expected, "{theirs:?} seen on {seen:?}");
}

#[test]
fn other_stores_are_told_from_other_addresses_of_the_same() {
    let written = "writes the addresses of the stores differently";
    check("a b c", "c b a", "a b c", "");
    check("a b c", "c b a", "a", "");
    check("a b c", "a", "a", "uses 1 store and not 3");
    check("a", "a b c", "a", "uses 3 stores and not 1");
    check("b c d", "a b c", "b c", "does not use d");
    check("c d e", "a b c", "c", "does not use d");
    // The same servers under other names.
    check("a b c", "x b c", "a b c", written);
    check("a b c", "x y z", "a b c", written);
    // It may not be able to reach the third at the moment.
    check("a b c", "x y z", "a b", written);
}

#[test]
fn the_user_name_and_the_order_are_no_part_of_a_list() {
    let list = |text: &str| StoreList::new(text.split(' '));
    assert_eq!(
        list("redis://a:1 redis://b:2"),
        list("redis://u@b:2 redis://v@a:1")
    );
    assert_ne!(list("redis://a:1"), list("rediss://a:1"));
    assert_ne!(list("redis://a:1"), list("redis://a:1/2"));
    let one = list("redis://a:1 redis://b:2 redis://c:3");
    assert_eq!(one.to_string().parse(), Ok(one));
    for wrong in [
        "",
        "1",
        "0000000g",
        "00000000.",
        "+0000000",
        "00000000,00000000",
    ] {
        assert!(wrong.parse::<StoreList>().is_err(), "{wrong}");
    }
}
