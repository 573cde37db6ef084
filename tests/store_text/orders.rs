//! Orders: what is written can be read again, and nothing else is read as one.

use incumbent::protocol::{Handover, Pause, Reason, Successor, Term, WallMillis};
use proptest::prelude::*;

use super::support::seed;

fn orders() -> impl Strategy<Value = (Option<Pause>, Option<Handover>)> {
    let id = "[!#-\\[\\]^-z~]{1,200}";
    let paused = (
        prop::option::of(0..1_u64 << 48),
        id,
        prop::option::of("\\PC{1,50}"),
    )
        .prop_map(|(until, by, reason)| Pause {
            until: until.and_then(WallMillis::new),
            by: by.parse().unwrap(),
            reason: reason.and_then(|text| Reason::new(&text).ok()),
        });
    let to = prop_oneof![
        Just(None),
        id.prop_map(|id| Some(Successor::Candidate(id.parse().unwrap()))),
        id.prop_map(|id| Some(Successor::Host(id.parse().unwrap()))),
    ];
    let handover = (1..1_u64 << 53, to).prop_map(|(term, to)| Handover {
        term: Term::new(term).unwrap(),
        to,
    });
    (prop::option::of(paused), prop::option::of(handover))
}

#[test]
fn orders_are_read_as_they_were_written() {
    seed::check(
        "--test store_text orders_are_read",
        300,
        &orders(),
        |(paused, handover)| {
            if let Some(pause) = paused {
                let text = pause.to_string();
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", text);
                prop_assert_eq!(text.parse::<Pause>().ok(), Some(pause));
            }
            if let Some(handover) = handover {
                prop_assert_eq!(
                    handover.to_string().parse::<Handover>().ok(),
                    Some(handover)
                );
            }
            Ok(())
        },
    );
    for text in [
        "",
        "-",
        "-|a",
        "|a|",
        "01|a|",
        "-||",
        "-|a b|",
        "-|a|b c",
        "1e3|a|",
        "281474976710657|a|",
    ] {
        assert!(text.parse::<Pause>().is_err(), "{text:?}");
    }
    for text in [
        "",
        "1",
        "1|anyone",
        "0|anyone|",
        "1|anyone|b",
        "1|candidate|",
        "1|host|",
        "1|host|a b",
        "1|nobody|",
        "01|anyone|",
        "9007199254740992|anyone|",
    ] {
        assert!(text.parse::<Handover>().is_err(), "{text:?}");
    }
    // What someone else put there is shown as well as it can be, within bounds.
    let odd: Pause = "-|a|%zz%0a%ff%c3%a9%".parse().unwrap();
    assert_eq!(odd.reason.unwrap().as_str(), "%zz\u{fffd}\u{fffd}é%");
    let long: Pause = format!("-|a|{}", "%ff".repeat(200)).parse().unwrap();
    assert!(long.reason.unwrap().as_str().len() <= Reason::MAX_BYTES);
}
