//! Histories of stores as text, and the terms they merge into.

use super::*;

/// Reads one store's history, oldest first: `10 a7 vacant` is a claim at 10 s, `20 a7 released resigned` a
/// release with its reason, and `30 b8 stalled 24` a takeover from a holder that last beat at 24 s.
fn entries(text: &str) -> Vec<HistoryEntry> {
    let mut entries: Vec<HistoryEntry> = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let words: Vec<&str> = entry.split_whitespace().collect();
            let seconds: u64 = words[0].parse().unwrap();
            let (name, term) = words[1].split_at(1);
            HistoryEntry {
                at: at(seconds),
                term: FencingToken::new(term.parse().unwrap()).unwrap(),
                holder: Identity::new(name.parse().unwrap(), "host", 1, "0.1.0").unwrap(),
                note: words.get(3).map(|word| match word.parse() {
                    Ok(seconds) => Note::LastBeat(at(seconds)),
                    Err(_) => Note::Reason(LossReason::of_word(word).unwrap()),
                }),
                change: match words[2] {
                    "absent" => Change::ClaimedAbsent,
                    "vacant" => Change::ClaimedVacant,
                    "stalled" => Change::ClaimedStalled,
                    "foreign" => Change::ClaimedForeign,
                    "joined" => Change::Joined,
                    "released" => Change::Released,
                    "asked" => Change::AskedToResign,
                    "deposed" => Change::Deposed,
                    "paused" => Change::Paused,
                    "resumed" => Change::Resumed,
                    other => panic!("no change is called {other}"),
                },
            }
        })
        .collect();
    entries.reverse();
    entries
}

fn at(seconds: u64) -> WallMillis {
    WallMillis::new(seconds * 1000).unwrap()
}

fn merged(terms: usize, stores: &[Option<&str>]) -> HistoryView {
    let answers = stores
        .iter()
        .enumerate()
        .map(|(index, history)| {
            let store: Arc<str> = format!("s{index}").into();
            let answer = match history {
                Some(text) => Ok(entries(text)),
                None => Err(StoreError::Denied {
                    store: store.clone(),
                    message: "NOPERM".to_owned(),
                }),
            };
            (store, answer)
        })
        .collect();
    let electorate = Electorate::new(stores.len()).unwrap();
    HistoryView::merge("billing".parse().unwrap(), electorate, terms, answers)
}

fn check(stores: &[Option<&str>], expected: &[&str]) {
    let found: Vec<String> = merged(100, stores)
        .terms
        .iter()
        .map(|term| {
            let to = term
                .to
                .map_or("…".to_owned(), |to| (to.get() / 1000).to_string());
            let ended = term.ended.map_or("leads", Ending::word);
            let reason = term
                .reason
                .map_or(String::new(), |reason| format!(" ({})", reason.word()));
            let most = term.last_heartbeat.map_or("", |last| {
                assert_eq!(Some(last), term.to);
                " up to"
            });
            let gap = term
                .gap
                .map_or(String::new(), |gap| format!(" gap{most} {gap:?}"));
            let (who, from) = (term.holder.id(), term.from.get() / 1000);
            format!("{who}{} {from}-{to} {ended}{reason}{gap}", term.term)
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn claims_and_releases_become_terms_with_the_gap_between_them() {
    check(
        &[Some(
            "1 a1 absent, 5 a1 released, 7 b2 vacant, 20 c3 stalled, 30 c3 released, 31 a4 foreign",
        )],
        &[
            "a4 31-… leads",
            "c3 20-30 released",
            "b2 7-… stalled",
            "a1 1-5 released gap 2s",
        ],
    );
}

#[test]
fn a_leader_whose_counter_a_foreign_program_took_was_displaced() {
    check(
        &[Some("1 a1 absent, 9 b2 foreign")],
        &["b2 9-… leads", "a1 1-… displaced"],
    );
}

#[test]
fn a_claim_after_the_data_was_lost_says_so_of_the_term_before() {
    check(
        &[Some("1 a1 absent, 9 b2 absent")],
        &["b2 9-… leads", "a1 1-… forgotten"],
    );
}

#[test]
fn a_term_begins_and_ends_with_the_majority_of_the_stores() {
    check(
        &[
            Some("1 a1 absent, 10 a1 released"),
            Some("2 a1 absent, 11 a1 released"),
            Some("5 a1 joined, 13 a1 released"),
        ],
        &["a1 2-11 released"],
    );
}

#[test]
fn a_claim_that_got_no_majority_is_no_term() {
    check(
        &[
            Some("1 a1 absent, 5 a1 released, 6 b2 vacant, 7 b2 released, 8 c3 vacant"),
            Some("1 a1 absent, 5 a1 released, 8 c3 vacant"),
            Some("1 a1 absent, 5 a1 released, 8 c3 vacant"),
        ],
        &["c3 8-… leads", "a1 1-5 released gap 3s"],
    );
}

#[test]
fn a_store_that_is_down_leaves_the_others_to_tell() {
    check(
        &[Some("1 a1 absent"), None, Some("1 a1 absent")],
        &["a1 1-… leads"],
    );
    let view = merged(1, &[None]);
    assert!(view.terms.is_empty());
    assert!(view.stores[0].1.is_err());
}

#[test]
fn the_oldest_terms_are_cut_off() {
    let view = merged(1, &[Some("1 a1 absent, 5 a1 released, 7 b2 vacant")]);
    assert_eq!(view.terms.len(), 1);
    assert_eq!(view.terms[0].term.get(), 2);
}

#[test]
fn orders_end_terms_for_their_own_reasons_and_are_told_once_however_many_stores_tell() {
    let first = "1 a1 absent, 4 o1 asked, 5 a1 released, 7 b2 vacant, 8 o2 paused, 9 o2 resumed, \
                 12 o2 paused, 30 p2 deposed, 31 c3 vacant";
    let second = "1 a1 absent, 4 o1 asked, 5 a1 released, 7 b2 vacant, 8 o2 paused, 9 o2 resumed, \
                  13 o2 paused, 30 p2 deposed, 31 c3 vacant";
    let third = "1 a1 absent, 5 a1 released, 7 b2 vacant, 14 o2 paused, 31 c3 stalled";
    let stores = [Some(first), Some(second), Some(third)];
    check(
        &stores,
        &[
            "c3 31-… leads",
            "b2 7-30 deposed gap 1s",
            "a1 1-5 requested gap 2s",
        ],
    );
    let orders: Vec<String> = merged(100, &stores)
        .orders
        .iter()
        .map(|order| {
            let (word, by) = (order_word(order.change).unwrap(), order.by.id());
            format!("{} {by} {word} on {}", order.at.get() / 1000, order.stores)
        })
        .collect();
    assert_eq!(
        orders,
        [
            "30 p deposed on 2",
            "12 o paused on 3",
            "9 o resumed on 2",
            "8 o paused on 2",
            "4 o asked-to-resign on 2",
        ]
    );
}

#[test]
fn a_release_tells_why_and_one_that_does_not_is_a_release_all_the_same() {
    check(
        &[Some(
            "1 a1 absent, 5 a1 released work-ended, 6 b2 vacant, 7 b2 released, 8 c3 vacant, \
             9 c3 released requested, 10 d4 vacant, 11 d4 released elector-died",
        )],
        &[
            "d4 10-11 released (elector-died)",
            "c3 8-9 requested (requested) gap 1s",
            "b2 6-7 released gap 1s",
            "a1 1-5 released (work-ended) gap 1s",
        ],
    );
}

#[test]
fn an_order_that_was_not_what_ended_a_term_is_not_told_as_its_end() {
    check(
        &[Some("1 a1 absent, 4 o1 asked, 5 a1 released panicked")],
        &["a1 1-5 released (panicked)"],
    );
}

#[test]
fn what_the_holder_said_first_is_told_not_what_its_keeper_had_to_add() {
    check(
        &[
            Some("1 a1 absent, 6 a1 released elector-died"),
            Some("1 a1 absent, 5 a1 released resigned"),
            Some("1 a1 absent, 6 a1 released elector-died"),
        ],
        &["a1 1-6 released (resigned)"],
    );
}

#[test]
fn a_term_that_was_taken_over_lasted_until_its_last_heartbeat_and_the_gap_runs_from_it() {
    check(
        &[Some(
            "1 a1 absent, 20 b2 stalled 14, 30 c3 stalled 24, 31 o3 deposed 29, 33 d4 vacant",
        )],
        &[
            "d4 33-… leads",
            "c3 30-29 deposed gap up to 4s",
            "b2 20-24 stalled gap up to 6s",
            "a1 1-14 stalled gap up to 6s",
        ],
    );
}

#[test]
fn the_last_heartbeat_is_the_one_that_a_majority_knows() {
    // The third store had lost sight of its leader long before.
    check(
        &[
            Some("1 a1 absent, 20 b2 stalled 14"),
            Some("1 a1 absent, 21 b2 stalled 15"),
            Some("1 a1 absent, 20 b2 stalled 3"),
        ],
        &["b2 20-… leads", "a1 1-14 stalled gap up to 6s"],
    );
    check(
        &[
            Some("1 a1 absent, 20 b2 stalled 14"),
            Some("1 a1 absent, 20 b2 stalled 10"),
            None,
        ],
        &["b2 20-… leads", "a1 1-10 stalled gap up to 10s"],
    );
    // A failed claim took one store first, and released it: that is no release of the term before.
    check(
        &[
            Some("1 a1 absent, 19 x2 stalled 15, 19 x2 released withdrawn, 20 b3 vacant"),
            Some("1 a1 absent, 20 b3 stalled 14"),
            Some("1 a1 absent, 20 b3 stalled 14"),
        ],
        &["b3 20-… leads", "a1 1-14 stalled gap up to 6s"],
    );
}

#[test]
fn a_minority_that_was_taken_over_ends_no_term() {
    let joined_again = "1 a1 absent, 9 x2 stalled 3, 10 x2 released withdrawn, 11 a1 joined";
    check(
        &[Some(joined_again), Some("1 a1 absent"), Some("1 a1 absent")],
        &["a1 1-… leads"],
    );
    let joined_later = "1 a1 absent, 19 x5 stalled 3, 20 x5 released withdrawn, 21 a1 joined";
    check(
        &[Some(joined_again), Some(joined_later), Some("1 a1 absent")],
        &["a1 1-… leads"],
    );
    // Twice the same store is one store.
    let twice = "1 a1 absent, 9 x2 stalled 3, 11 a1 joined 9, 19 y3 stalled 13";
    check(
        &[Some(twice), Some("1 a1 absent"), Some("1 a1 absent")],
        &["a1 1-… leads"],
    );
}

#[test]
fn nobody_led_in_a_claim_that_was_given_up_so_it_is_a_part_of_the_gap() {
    check(
        &[Some(
            "1 a1 absent, 5 a1 released resigned, 6 x2 vacant, 9 x2 released withdrawn, 10 b3 vacant",
        )],
        &[
            "b3 10-… leads",
            "x2 6-9 released (withdrawn)",
            "a1 1-5 released (resigned) gap 5s",
        ],
    );
}

#[test]
fn what_is_said_to_people_of_an_end_tells_the_reason_where_it_is_known() {
    let stores = [Some(
        "1 a1 absent, 5 a1 released work-ended, 6 b2 vacant, 7 b2 released, 20 c3 vacant, \
         30 d4 stalled 24, 31 d4 released unhealthy, 32 e5 vacant",
    )];
    let view = merged(100, &stores);
    let said: Vec<_> = view
        .terms
        .iter()
        .map(|term| (term.why(), term.ended_as_planned()))
        .collect();
    let said: Vec<_> = said
        .iter()
        .map(|(why, planned)| (why.as_deref(), *planned))
        .collect();
    assert_eq!(
        said,
        [
            (None, false),
            (Some("the work is not healthy"), false),
            (Some("its heartbeat stalled for a window"), false),
            (Some("released by its leader"), true),
            (Some("the work has ended"), true),
        ]
    );
}

#[test]
fn a_leader_that_joined_its_stores_again_leads_since_it_was_elected() {
    let year = 1_000_000_000;
    let (first, again) = (year + 10, year + 500);
    let term = first * 1_000_000;
    let wiped = format!("{again} a{term} joined");
    let kept = format!("{first} a{term} absent");
    for stores in [[&wiped, &kept, &wiped], [&wiped, &wiped, &wiped]] {
        let stores = stores.map(|store| Some(store.as_str()));
        let view = merged(100, &stores);
        assert_eq!(view.terms[0].from, at(first));
    }
    check(&[Some(&wiped)], &[&format!("a{term} {first}-… leads")]);
}

#[test]
fn a_release_that_one_store_was_told_ends_the_term_whatever_the_others_tell() {
    check(
        &[
            Some("1 a1 absent, 10 a1 released elector-died"),
            Some("1 a1 absent"),
            Some("1 a1 absent"),
        ],
        &["a1 1-10 released (elector-died)"],
    );
    // A server that was frozen took a heartbeat long after the leader was gone.
    check(
        &[
            Some("1 a1 absent, 10 a1 released tenure-ended, 20 b2 vacant"),
            Some("1 a1 absent, 20 b2 stalled 5"),
            Some("1 a1 absent, 20 b2 stalled 18"),
        ],
        &["b2 20-… leads", "a1 1-10 released (tenure-ended) gap 10s"],
    );
}

#[test]
fn a_claim_that_failed_under_the_number_of_a_term_is_not_taken_for_it() {
    check(
        &[
            Some("1 a1 absent"),
            Some("1 a1 absent"),
            Some("1 b1 absent, 2 b1 released withdrawn, 3 a1 joined"),
        ],
        &["a1 1-… leads"],
    );
    check(
        &[
            Some("1 a1 absent, 2 a1 released withdrawn"),
            Some("1 b1 absent, 2 b1 released withdrawn"),
            None,
        ],
        &[],
    );
}
