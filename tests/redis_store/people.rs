//! What people see of an election: its candidates, its history, and the list of elections.

use std::time::Duration;

use incumbent::protocol::{ElectionName, LossReason, Timing, TimingConfig, Verdict};
use incumbent::store::{Change, Note};

use crate::election::{Election, identity, options};
use crate::support::redis::RedisServer;

const CANDIDATES: &str = "{incumbent:billing}:candidates";

#[tokio::test]
async fn looking_at_an_election_leaves_no_trace_and_is_one_request() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let nothing = a.inspect().await.unwrap();
    assert_eq!(nothing.candidates, []);
    assert_eq!(server.text(&["DBSIZE"]), "0");

    a.win(7).await;
    let before = calls(&server, "evalsha") + calls(&server, "eval");
    let writes = server.info("rdb_changes_since_last_save");
    let seen = a.inspect().await.unwrap();
    let again = a.inspect().await.unwrap();
    assert_eq!(
        calls(&server, "evalsha") + calls(&server, "eval"),
        before + 2
    );
    assert_eq!(server.info("rdb_changes_since_last_save"), writes);
    assert_eq!(seen.candidates, again.candidates);
    assert_eq!(seen.holder, Some(a.who.clone()));
    assert_eq!(seen.since, seen.changed);
    assert!(seen.since.is_some());
    a.release(7).await.unwrap();
    let seen = a.inspect().await.unwrap();
    assert_eq!((seen.holder, seen.since), (None, None));
}

#[tokio::test]
async fn every_operation_is_one_request() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    // The connection itself has taught the server the scripts.
    a.win(7).await;
    a.beat(7).await.unwrap();
    a.release(7).await.unwrap();
    let before = calls(&server, "evalsha");
    let vacant = a.observe().await.unwrap().mark();
    a.claim(9, vacant).await.unwrap();
    a.beat(9).await.unwrap();
    a.release(9).await.unwrap();
    assert_eq!(calls(&server, "evalsha"), before + 4);
    assert_eq!(calls(&server, "eval"), 0);
}

/// How often clients and scripts have called a command.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.text(&["INFO", "commandstats"]);
    let prefix = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&prefix));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn the_history_tells_what_happened_newest_first_and_is_capped() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let b = a.rival("b");
    a.win(1).await;
    a.release(1).await.unwrap();
    b.win(2).await;
    a.win(3).await;
    server.command(&["SET", "incumbent:billing", "77"]);
    b.win(4).await;
    let history = a.store.history(&a.name, 100).await.unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|entry| (entry.term.get(), entry.holder.id().as_str(), entry.change))
        .collect();
    assert_eq!(
        told,
        [
            (4, "b", Change::ClaimedForeign),
            (3, "a", Change::ClaimedStalled),
            (2, "b", Change::ClaimedVacant),
            (1, "a", Change::Released),
            (1, "a", Change::ClaimedAbsent),
        ]
    );
    assert!(history.windows(2).all(|pair| pair[0].at >= pair[1].at));
    let latest = a.store.history(&a.name, 2).await.unwrap();
    assert_eq!(latest, history[..2]);

    for term in 5..1100 {
        a.win(term).await;
    }
    // It is cut by nodes of a hundred entries.
    let length: usize = server
        .text(&["XLEN", "{incumbent:billing}:history"])
        .parse()
        .unwrap();
    assert!((1000..1100).contains(&length), "{length} entries");
    let history = a.store.history(&a.name, usize::MAX).await.unwrap();
    assert_eq!(history.len(), 1000);
    assert_eq!(history[0].term.get(), 1099);
}

#[tokio::test]
async fn what_an_entry_tells_besides_is_never_trusted_and_never_an_error() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let holder = identity("a").to_string();
    let long = "9".repeat(100_000);
    let notes: [&[&str]; 6] = [
        &[],
        &["note", "abdicated"],
        &["note", &long],
        &["note", "\u{1}\u{fffd}|\n"],
        &["later", "unknown"],
        &["note", "resigned", "later", "unknown"],
    ];
    for change in ["released", "claimed-stalled", "paused", "asked-to-resign"] {
        server.command(&["DEL", "{incumbent:billing}:history"]);
        for note in notes {
            let entry = ["at", "1", "term", "1", "holder", &holder, "change", change];
            let add = ["XADD", "{incumbent:billing}:history", "*"];
            server.command(&[&add, &entry[..], note].concat());
        }
        let history = a.store.history(&a.name, 100).await.unwrap();
        let told: Vec<_> = history
            .iter()
            .rev()
            .map(|entry| entry.note.clone())
            .collect();
        let resigned = (change == "released").then_some(Note::Reason(LossReason::Resigned));
        assert_eq!(told, [None, None, None, None, None, resigned], "{change}");
    }
}

#[tokio::test]
async fn a_takeover_of_a_record_without_a_readable_time_tells_no_heartbeat() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let long = "9".repeat(100_000);
    for (term, change) in [(1, "HDEL"), (2, "HSET")] {
        a.win(term).await;
        let mut command = vec![change, "{incumbent:billing}:record", "changed"];
        command.extend((change == "HSET").then_some(long.as_str()));
        server.command(&command);
    }
    a.win(3).await;
    let history = a.store.history(&a.name, 100).await.unwrap();
    assert_eq!(history.len(), 3);
    assert!(
        history.iter().all(|entry| entry.note.is_none()),
        "{history:?}"
    );
    let kept = server.command(&["XRANGE", "{incumbent:billing}:history", "-", "+"]);
    assert!(
        format!("{kept:?}").len() < 10_000,
        "what cannot be read is kept"
    );
}

#[tokio::test]
async fn candidates_are_listed_while_they_are_seen_and_never_more_than_a_thousand() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let b = a.rival("b");
    b.observe().await.unwrap();
    a.win(7).await;
    let seen = a.inspect().await.unwrap();
    let listed: Vec<_> = seen
        .candidates
        .iter()
        .map(|seen| seen.identity.clone())
        .collect();
    assert_eq!(listed, [identity("a"), identity("b")]);
    assert!(
        seen.candidates
            .iter()
            .all(|candidate| candidate.last_seen <= seen.clock)
    );

    // One that was last seen a minute and more ago is not shown any more.
    let old = (seen.clock.get() - 61_000).to_string();
    server.command(&["ZADD", CANDIDATES, &old, &identity("b").to_string()]);
    let seen = a.inspect().await.unwrap();
    assert_eq!(seen.candidates.len(), 1);

    // One that polls seldom is shown for longer.
    let patient = TimingConfig {
        interval: Duration::from_secs(300),
        ..TimingConfig::default()
    };
    let patient = identity("b").with_timing(Timing::new(&patient).unwrap());
    server.command(&["ZADD", CANDIDATES, &old, &patient.to_string()]);
    assert_eq!(a.inspect().await.unwrap().candidates.len(), 2);

    // A leader is seen by its heartbeats, whatever the list says.
    let ahead = (seen.clock.get() + 3_600_000).to_string();
    server.command(&["ZADD", CANDIDATES, &ahead, &a.who.to_string()]);
    let seen = a.inspect().await.unwrap();
    assert!(seen.candidates[0].last_seen <= seen.clock);
    server.command(&["DEL", CANDIDATES]);
    assert_eq!(a.beat(7).await.unwrap().verdict, Verdict::Granted);
    let seen = a.inspect().await.unwrap();
    let [leader] = &seen.candidates[..] else {
        panic!("{:?}", seen.candidates)
    };
    assert_eq!(leader.identity, a.who);
    assert_eq!(Some(leader.last_seen), seen.changed);
    assert_eq!(server.text(&["ZCARD", CANDIDATES]), "0");

    // More than fit: those seen longest ago go.
    let now = seen.clock.get();
    for n in 0..1500_u64 {
        let score = (now - 2000 + n).to_string();
        server.command(&["ZADD", CANDIDATES, &score, &format!("c{n}|host|1|0")]);
    }
    b.observe().await.unwrap();
    assert_eq!(server.text(&["ZCARD", CANDIDATES]), "1000");
    let seen = a.inspect().await.unwrap();
    assert_eq!(seen.candidates.len(), 1001, "and the leader");
    assert!(
        seen.candidates
            .iter()
            .any(|seen| seen.identity == identity("b"))
    );
}

#[tokio::test]
async fn every_election_is_listed_whatever_its_name_and_prefix() {
    let names = [
        "a", "a*", "a?b", "[a-z]", "\\", "\\*", "^x", "a:record", "ä ö", "x y", "{", "null",
    ];
    let names: Vec<ElectionName> = names.iter().filter_map(|name| name.parse().ok()).collect();
    assert_eq!(names.len(), 11, "only the brace is refused");
    for prefix in ["incumbent:", "", "a*[b]?\\", "p-q^"] {
        let server = RedisServer::start();
        let options = options().key_prefix(prefix);
        // Enough to need more than one step, and keys that look alike.
        for n in 0..3000 {
            server.command(&["SET", &format!("noise:{n}"), "x"]);
        }
        server.command(&["SET", "{aXbc}:record", "x"]);
        server.command(&["SET", "record", "x"]);
        let mut expected = names.clone();
        for name in &names {
            Election::with(&server.address(), &options, name.as_str(), "a")
                .win(1)
                .await;
        }
        if prefix.is_empty() {
            expected.push("aXbc".parse().unwrap());
        }
        expected.sort();
        let a = Election::with(&server.address(), &options, "a", "a");
        assert_eq!(a.store.elections().await.unwrap(), expected, "{prefix:?}");
    }
}

#[tokio::test]
async fn a_counter_without_a_record_is_listed_when_a_candidate_would_take_it_for_an_election() {
    let server = RedisServer::start();
    let listed = async |prefix: &str| {
        let options = options().key_prefix(prefix);
        let a = Election::with(&server.address(), &options, "a", "a");
        let names = a.store.elections().await.unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let held = Election::with(&server.address(), &options(), "held", "a");
    held.win(1).await;
    server.command(&["SET", "incumbent:garbled", "what"]);
    server.command(&["SET", "incumbent:foreign", "7"]);
    // None of these is the counter of an election of this prefix.
    server.command(&["HSET", "incumbent:other", "a", "b"]);
    server.command(&["SET", "incumbent:a{b", "7"]);
    server.command(&["SET", &format!("incumbent:{}", "x".repeat(201)), "7"]);
    let long = format!("incumbent:{}", "x".repeat(200));
    server.command(&["RPUSH", &long, "7"]);
    server.command(&["SET", "xincumbent:foreign", "7"]);
    server.command(&["SET", "incumbent:", "7"]);
    server.command(&["SET", "foreign", "7"]);
    assert_eq!(listed("incumbent:").await, ["foreign", "garbled", "held"]);
    // Under no prefix every key might be one: what has a record is.
    assert_eq!(listed("").await, ["incumbent:held"]);
    // Where there are more than a hundred without a record, the prefix is not ours alone.
    for n in 0..96 {
        server.command(&["SET", &format!("incumbent:cache:{n}"), "{}"]);
    }
    assert_eq!(listed("incumbent:").await.len(), 3 + 96);
    server.command(&["SET", "incumbent:cache:96", "{}"]);
    assert_eq!(listed("incumbent:").await, ["held"]);
}
