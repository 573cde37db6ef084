//! Records that someone wrote garbage into: unusable, untouched, and said where.

use std::collections::BTreeMap;

use incumbent::protocol::{FencingToken, Mark, Shape, Verdict};
use incumbent::store::StoreError;
use proptest::prelude::*;

use crate::election::{Election, nothing, options};
use crate::support::redis::RedisServer;

const COUNTER: &str = "incumbent:billing";
const RECORD: &str = "{incumbent:billing}:record";
const CANDIDATES: &str = "{incumbent:billing}:candidates";
const HISTORY: &str = "{incumbent:billing}:history";
const MEMORY: &str = "{incumbent:}:memory";

/// Everything that stands in the keys. The order of a hash is the server's business.
fn contents(server: &RedisServer) -> [Result<BTreeMap<String, Vec<u8>>, redis::Value>; 5] {
    [COUNTER, RECORD, CANDIDATES, HISTORY, MEMORY].map(|key| {
        match server.text(&["TYPE", key]).as_str() {
            "hash" => Ok(redis::from_redis_value(server.command(&["HGETALL", key])).unwrap()),
            _ => Err(server.command(&["DUMP", key])),
        }
    })
}

/// Runs every operation against an unreadable record, and returns the error that all of them gave.
async fn all_refuse(server: &RedisServer, a: &Election, seen: Mark) -> (String, String, String) {
    let before = contents(server);
    let mut errors = vec![
        a.observe().await.unwrap_err(),
        a.claim(900, seen).await.unwrap_err(),
        a.beat(7).await.unwrap_err(),
        a.release(7).await.unwrap_err(),
        a.inspect().await.unwrap_err(),
    ];
    assert!(contents(server) == before, "something was written");
    let garbled = |error: &StoreError| match error {
        StoreError::Garbled {
            key, field, value, ..
        } => (key.clone(), field.clone(), value.clone()),
        other => panic!("{other}"),
    };
    let first = garbled(&errors.remove(0));
    for error in &errors {
        assert_eq!(garbled(error), first);
        assert!(error.is_garbled());
    }
    first
}

#[tokio::test]
async fn garbage_in_any_field_makes_the_record_unusable_and_is_named() {
    let server = RedisServer::start();
    let long = "9".repeat(5_000_000);
    let term = [
        "",
        "x",
        "-1",
        "007",
        "1e3",
        " 7",
        "7 ",
        "9007199254740992",
        &long,
    ];
    let beat = [
        "",
        "x",
        "-1",
        "007",
        "4611686018427387905",
        "99999999999999999999",
        &long,
    ];
    let long_name = "n".repeat(201);
    let holder = [
        "a b", "a|b", "{a}", "a\\b", "\"a\"", "a\u{7f}", "ä", "\n", &long_name, &long,
    ];
    let window = ["", "x", "-1", "07", "86400000000001", "1e9", &long];
    let counter = [
        "",
        "x",
        "-0",
        "+7",
        "07",
        " 7",
        "7\n",
        "1.0",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
        &long,
    ];
    let long_pause = format!("-|a|{}", "x".repeat(601));
    let paused = [
        "",
        "-",
        "-|a",
        "-||",
        "|a|",
        "01|a|",
        "281474976710657|a|",
        "-|a b|",
        "-|a|b c",
        "-|a|\u{e9}",
        "-|a|\n",
        &long_pause,
        &long,
    ];
    let long_host = format!("1|host|{}", "x".repeat(254));
    let handover = [
        "",
        "1|anyone",
        "0|anyone|",
        "1|anyone|b",
        "1|candidate|",
        "1|host|a b",
        "1|nobody|b",
        "9007199254740992|anyone|",
        &long_host,
        &long,
    ];
    let fields: [(&str, &[&str]); 7] = [
        ("floor", &term),
        ("term", &term),
        ("beat", &beat),
        ("holder", &holder),
        ("window_ns", &window),
        ("paused", &paused),
        ("handover", &handover),
    ];
    for (field, values) in fields {
        for value in values {
            server.command(&["FLUSHALL"]);
            let a = Election::new(&server.address(), "a");
            let seen = a.win(7).await.mark();
            server.command(&["HSET", RECORD, field, value]);
            let (key, named, shown) = all_refuse(&server, &a, seen).await;
            assert_eq!(
                (key.as_str(), named.as_str()),
                (RECORD, field),
                "{value:.30?}"
            );
            assert!(shown.len() < 300, "{} bytes are shown", shown.len());
        }
        if matches!(field, "paused" | "handover") {
            continue;
        }
        server.command(&["FLUSHALL"]);
        let a = Election::new(&server.address(), "a");
        let seen = a.win(7).await.mark();
        server.command(&["HDEL", RECORD, field]);
        let (key, named, shown) = all_refuse(&server, &a, seen).await;
        assert_eq!((key.as_str(), named.as_str()), (RECORD, field));
        assert_eq!(shown, "(missing)");
    }
    for value in counter {
        server.command(&["FLUSHALL"]);
        let a = Election::new(&server.address(), "a");
        let seen = a.win(7).await.mark();
        server.command(&["SET", COUNTER, value]);
        let (key, named, _) = all_refuse(&server, &a, seen).await;
        assert_eq!(
            (key.as_str(), named.as_str()),
            (COUNTER, "the value"),
            "{value:.30?}"
        );
        // The same without any record.
        server.command(&["DEL", RECORD]);
        let (key, _, _) = all_refuse(&server, &a, nothing()).await;
        assert_eq!(key, COUNTER);
    }
}

#[tokio::test]
async fn a_term_above_the_floor_is_garbage() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let seen = a.win(7).await.mark();
    server.command(&["HSET", RECORD, "term", "8"]);
    let (key, field, value) = all_refuse(&server, &a, seen).await;
    assert_eq!(
        (key.as_str(), field.as_str(), value.as_str()),
        (RECORD, "term", "8")
    );
}

#[tokio::test]
async fn a_key_of_the_wrong_type_makes_the_record_unusable_and_is_named() {
    let server = RedisServer::start();
    for (key, expected) in [
        (COUNTER, "a string"),
        (RECORD, "a hash"),
        (MEMORY, "a hash"),
    ] {
        let a = Election::new(&server.address(), "a");
        server.command(&["FLUSHALL"]);
        let seen = a.win(7).await.mark();
        server.command(&["DEL", key]);
        server.command(&["LPUSH", key, "surprise"]);
        let (named, field, value) = all_refuse(&server, &a, seen).await;
        assert_eq!(
            (named.as_str(), field.as_str(), value.as_str()),
            (key, "the type", "list")
        );
        let error = a.observe().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn an_election_goes_on_without_its_candidates_and_history() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    server.command(&["SET", CANDIDATES, "x"]);
    server.command(&["SET", HISTORY, "x"]);
    a.win(7).await;
    assert_eq!(a.beat(7).await.unwrap().verdict, Verdict::Granted);
    for (error, named) in [
        (a.inspect().await.unwrap_err(), CANDIDATES),
        (a.store.history(&a.name, 10).await.unwrap_err(), HISTORY),
    ] {
        let StoreError::Garbled { key, field, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(
            (key.as_str(), field.as_str()),
            (named, "the type"),
            "{error}"
        );
    }
    assert_eq!(a.release(7).await.unwrap().verdict, Verdict::Granted);
}

#[tokio::test]
async fn what_is_only_shown_to_people_is_checked_when_it_is_shown() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    for (field, value) in [
        ("identity", "somebody"),
        ("identity", "b|host|1|0.1.0"),
        ("since", "yesterday"),
        ("changed", "281474976710657"),
    ] {
        server.command(&["FLUSHALL"]);
        a.win(7).await;
        server.command(&["HSET", RECORD, field, value]);
        let error = a.inspect().await.unwrap_err();
        let StoreError::Garbled { field: named, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(named, field);
        assert_eq!(
            a.beat(7).await.unwrap().verdict,
            Verdict::Granted,
            "it decides nothing"
        );
    }
    server.command(&["FLUSHALL"]);
    server.command(&["ZADD", CANDIDATES, "1", "somebody"]);
    assert!(a.inspect().await.unwrap_err().is_garbled());
    server.command(&["FLUSHALL"]);
    server.command(&["ZADD", CANDIDATES, "-inf", "a|host|1|0.1.0"]);
    assert!(a.inspect().await.unwrap_err().is_garbled());
    server.command(&[
        "XADD", HISTORY, "1-1", "at", "1", "term", "1", "holder", "?", "change", "released",
    ]);
    let error = a.store.history(&a.name, 10).await.unwrap_err();
    assert!(error.to_string().contains("holder of entry 1-1"), "{error}");
}

#[tokio::test]
async fn a_counter_of_a_program_of_the_bare_protocol_is_a_foreign_holder() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    server.command(&["SETNX", COUNTER, "1"]);
    let seen = a.observe().await.unwrap().mark();
    assert!(matches!(seen.shape, Shape::Foreign(Some(_))));
    assert_eq!(seen.term, FencingToken::ZERO);

    server.command(&["INCR", COUNTER]);
    assert_eq!(
        a.claim(7, seen).await.unwrap().verdict,
        Verdict::Refused,
        "it moved"
    );
    assert_eq!(server.text(&["GET", COUNTER]), "2");
    a.win(7).await;
    assert_eq!(server.text(&["GET", COUNTER]), "7");

    server.command(&["GETSET", COUNTER, "1"]);
    assert_eq!(
        a.beat(7).await.unwrap().verdict,
        Verdict::Refused,
        "it is deposed"
    );
    assert_eq!(a.release(7).await.unwrap().verdict, Verdict::Refused);
    assert_eq!(
        server.text(&["GET", COUNTER]),
        "1",
        "it left the counter alone"
    );
    server.command(&["DEL", COUNTER]);
    let seen = a.observe().await.unwrap().mark();
    assert_eq!(seen.shape, Shape::Foreign(None), "deleted under a holder");
    a.win(8).await;
}

fn nearly_a_number() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,20}",
        "-?[0-9]{0,20}",
        "[ -~]{0,6}",
        any::<i64>().prop_map(|n| n.to_string()),
        (0..3_i64).prop_map(|n| n.to_string()),
        ((1_i64 << 53) - 2..(1 << 53) + 2).prop_map(|n| n.to_string()),
        ((1_i64 << 62) - 2..(1 << 62) + 2).prop_map(|n| n.to_string()),
        (86_399_999_999_999_i64..86_400_000_000_002).prop_map(|n| n.to_string()),
    ]
}

fn nearly_an_order() -> impl Strategy<Value = String> {
    let first = prop_oneof![Just("-".to_owned()), nearly_a_number()];
    let second = prop_oneof!["anyone|candidate|host", "[ -~é\n]{0,3}"];
    let third = prop_oneof![Just(String::new()), "[!-~]{1,3}", "[ -~é\n%]{0,9}"];
    (first, second, third).prop_map(|(first, second, third)| format!("{first}|{second}|{third}"))
}

/// Whether the scripts and the parser draw the line between garbage and a record at the same place.
#[test]
fn the_scripts_and_the_parser_agree_on_what_is_garbage() {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let fields = (
        proptest::option::of(nearly_a_number()),
        nearly_a_number(),
        nearly_a_number(),
        nearly_a_number(),
        prop_oneof!["[ -~]{0,3}", Just("a".to_owned()), Just(String::new())],
        nearly_a_number(),
        proptest::option::of(nearly_an_order()),
        proptest::option::of(nearly_an_order()),
    );
    let a = Election::with(&server.address(), &options(), "billing", "a");
    proptest!(ProptestConfig::with_cases(2000), |(fields in fields)| {
        let (counter, floor, term, beat, holder, window, paused, handover) = fields;
        server.command(&["FLUSHALL"]);
        if let Some(counter) = &counter {
            server.command(&["SET", COUNTER, counter]);
        }
        server.command(&[
            "HSET", RECORD, "floor", &floor, "term", &term, "beat", &beat,
            "holder", &holder, "window_ns", &window,
        ]);
        for (field, order) in [("paused", paused), ("handover", handover)] {
            if let Some(order) = order {
                server.command(&["HSET", RECORD, field, &order]);
            }
        }
        let before = contents(&server);
        match runtime.block_on(a.observe()) {
            Ok(_) => {}
            Err(error) => {
                prop_assert!(error.is_garbled(), "{}", error);
                prop_assert_eq!(contents(&server), before);
            }
        }
    });
}
