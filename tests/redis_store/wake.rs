//! Wake-ups: a standby hears of a release at once, whatever happened to the connection before.

use std::time::Duration;

use incumbent::EventKind;
use incumbent::protocol::{
    Attestation, CandidateId, FencingToken, LossReason, Occupancy, Order, Request, Successor,
    Timing, TimingConfig, Verdict,
};
use incumbent::store::{WakeUp, WakeUps};

use crate::election::{Election, identity};
use crate::faults::{subscribed, until};
use crate::support::redis::RedisServer;

const CANDIDATES: &str = "{incumbent:billing}:candidates";

/// The next release, which must come.
async fn heard(wake_ups: &mut WakeUps) -> WakeUp {
    tokio::time::timeout(Duration::from_secs(20), wake_ups.next())
        .await
        .expect("no wake-up")
        .expect("the wake-ups ended")
}

#[tokio::test]
async fn a_release_wakes_with_all_that_a_claim_needs() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let b = a.rival("b");
    let mut first = b.store.wake_ups(&b.name, b.who.id());
    let mut second = b.store.wake_ups(&b.name, b.who.id());
    let mut other = b.store.wake_ups(&"other".parse().unwrap(), b.who.id());
    subscribed(&server, 4).await;

    a.win(7).await;
    a.beat(7).await.unwrap();
    let released = a.release(7).await.unwrap();
    let WakeUp { record, memory, .. } = heard(&mut first).await;
    assert_eq!((&record, memory.id), (&released.record, released.memory.id));
    assert_eq!(record.occupancy, Occupancy::Vacant);
    assert_eq!(heard(&mut second).await.record, released.record);
    // Claimed as it was heard, without another look.
    let mark = record.mark(&memory);
    b.claim(9, mark).await.unwrap();
    assert!(b.inspect().await.unwrap().holder.is_some());

    assert!(other.0.try_recv().is_err(), "another election is not woken");
}

/// The next release under this term, which must come. An older one may be reported again before it.
async fn heard_of(wake_ups: &mut WakeUps, term: u64) -> WakeUp {
    loop {
        let wake_up = heard(wake_ups).await;
        if wake_up.record.term.get() == term {
            return wake_up;
        }
    }
}

#[tokio::test]
async fn a_release_just_before_the_subscription_stands_is_not_missed() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let b = a.rival("b");
    for term in 1..4 {
        a.win(term).await;
        b.observe().await.unwrap();
        // It takes some round trips until the server knows who listens.
        let mut wake_ups = b.store.wake_ups(&b.name, b.who.id());
        a.release(term).await.unwrap();
        heard_of(&mut wake_ups, term).await;
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }
}

/// Which standby is called: the one seen last that did not just leave, unless an operator named one.
#[tokio::test]
async fn a_release_calls_the_standby_that_was_seen_last() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let (b, c) = (a.rival("b"), a.rival("c"));
    let mut wake_ups = b.store.wake_ups(&b.name, b.who.id());
    subscribed(&server, 2).await;
    let mut called = async |term| {
        let called = heard_of(&mut wake_ups, term).await.called;
        called.map(|id| id.as_str().to_owned())
    };

    a.win(1).await;
    a.release(1).await.unwrap();
    assert_eq!(called(1).await, None, "there is no standby");

    for (term, last, other) in [(2, &b, &c), (3, &c, &b)] {
        a.win(term).await;
        other.observe().await.unwrap();
        later(&server).await;
        last.observe().await.unwrap();
        later(&server).await;
        a.observe().await.unwrap();
        a.release(term).await.unwrap();
        assert_eq!(called(term).await.as_deref(), Some(last.who.id().as_str()));
    }

    // A holder that is deposed may be the one that was seen last.
    let held = a.win(4).await;
    a.beat(4).await.unwrap();
    let expected = a.observe().await.unwrap().mark();
    assert_eq!(held.record.term, expected.term);
    let operator = a.rival("operator");
    let depose = Request::Order(Order::Depose { expected });
    let reply = operator.execute(&depose).await.unwrap();
    assert_eq!(reply.verdict, Verdict::Granted);
    assert_eq!(called(4).await.as_deref(), Some("c"));

    // A standby that an operator named needs no call, and no one else gets one.
    for (term, to, expected) in [
        (5, None, Some("c")),
        (6, Some(Successor::Candidate("b".parse().unwrap())), None),
    ] {
        a.win(term).await;
        let resign = Request::Order(Order::Resign {
            term: FencingToken::new(term).unwrap(),
            to,
        });
        assert_eq!(
            operator.execute(&resign).await.unwrap().verdict,
            Verdict::Granted
        );
        a.release(term).await.unwrap();
        assert_eq!(called(term).await.as_deref(), expected, "term {term}");
    }
}

/// One that died is still listed: the next one that listens is called in the same step, and all are woken if none of
/// those listed does.
#[tokio::test]
async fn a_release_passes_over_a_standby_that_does_not_listen() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let (dead, dying, live) = (a.rival("dead"), a.rival("dying"), a.rival("live"));
    let mut wake_ups = live.store.wake_ups(&a.name, live.who.id());
    subscribed(&server, 2).await;
    for (term, listed, expected) in [
        (1, vec![&live, &dying, &dead], Some("live")),
        (2, vec![&dying, &dead], None),
    ] {
        server.command(&["DEL", CANDIDATES]);
        a.win(term).await;
        for standby in listed {
            later(&server).await;
            standby.observe().await.unwrap();
        }
        a.release(term).await.unwrap();
        let called = heard_of(&mut wake_ups, term).await.called;
        assert_eq!(called.as_ref().map(CandidateId::as_str), expected);
    }
}

/// A standby that is frozen hears that it is called. Another one looks in its place, long before its next poll.
#[tokio::test]
async fn a_release_that_calls_a_frozen_standby_is_claimed_by_another_one() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let (frozen, hour) = (a.rival("frozen"), Duration::from_secs(3600));
    let held = a.win(1).await;
    // The memory is old enough to lead at once.
    let attested = Request::Beat {
        holder: a.who.id().clone(),
        term: FencingToken::new(1).unwrap(),
        attested: Some(Attestation {
            memory: held.memory.id,
            age: Duration::from_secs(86_400),
        }),
    };
    assert_eq!(
        a.execute(&attested).await.unwrap().verdict,
        Verdict::Granted
    );
    let timing = TimingConfig {
        interval: hour,
        ..TimingConfig::default()
    };
    let builder = incumbent::Election::builder("billing").store(server.url());
    let standby = builder.timing(timing).build().unwrap();
    let mut events = standby.events();
    let campaign = tokio::spawn(async move { standby.campaign().await.unwrap() });
    while !matches!(
        events.recv().await.unwrap().kind,
        EventKind::Following { .. }
    ) {}
    let _unheard = frozen.store.wake_ups(&a.name, frozen.who.id());
    subscribed(&server, 3).await;
    later(&server).await;
    frozen.observe().await.unwrap();
    a.release(1).await.unwrap();
    let leadership = tokio::time::timeout(hour / 60, campaign).await;
    leadership.expect("no one claimed").unwrap().resign().await;
}

/// Releases a lock.
async fn give_up(leaver: &Election, term: FencingToken) {
    let (holder, reason) = (leaver.who.id().clone(), LossReason::Resigned);
    let release = Request::Release {
        holder,
        term,
        reason,
        delete: true,
    };
    let reply = leaver.execute(&release).await.unwrap();
    assert_eq!(reply.verdict, Verdict::Granted);
}

/// Which standby the release of a lock under this term calls. An earlier release may still arrive before it.
async fn called_after(wake_ups: &mut WakeUps, term: FencingToken) -> Option<CandidateId> {
    loop {
        let wake_up = heard(wake_ups).await;
        if wake_up.memory.floor == term {
            return wake_up.called;
        }
    }
}

/// Those that wait for a lock again and again get it in turn: after each holder the one with the next id.
#[tokio::test]
async fn the_release_of_a_lock_calls_the_standby_after_its_holder_in_the_order_of_their_ids() {
    let server = RedisServer::start();
    let timing = Timing::new(&TimingConfig::default()).unwrap();
    let waits = |who| {
        let mut one = Election::new(&server.address(), who);
        one.who = one.who.with_timing(timing);
        one
    };
    let ring = ["b", "c", "d", "e"].map(waits);
    let listen = |one: &Election| one.store.wake_ups(&one.name, one.who.id());
    let mut wake_ups: Vec<_> = ring.iter().map(listen).collect();
    subscribed(&server, 5).await;
    // It does not matter which was seen last.
    for one in [&ring[2], &ring[0], &ring[3], &ring[1]] {
        one.observe().await.unwrap();
        later(&server).await;
    }
    // One that is late is passed over.
    let late = (ring[0].observe().await.unwrap().clock.get() - 2000).to_string();
    let dead = identity("c-late").with_timing(timing).to_string();
    server.command(&["ZADD", CANDIDATES, &late, &dead]);
    for (term, leaver, next) in [(1, 2, 3), (2, 3, 0), (3, 0, 1), (4, 1, 2), (5, 2, 3)] {
        let leaver = &ring[leaver];
        let term = leaver.win(term).await.record.term;
        give_up(leaver, term).await;
        let called = called_after(&mut wake_ups[next], term).await;
        assert_eq!(called.as_ref(), Some(ring[next].who.id()));
        // It wants the lock again.
        leaver.observe().await.unwrap();
    }

    // Where all are late, as on a slow machine, the one seen last is called.
    server.command(&["DEL", CANDIDATES]);
    ring[0].win(6).await;
    for (one, seen) in [(&ring[3], 2000), (&ring[1], 3000)] {
        let seen = (ring[0].observe().await.unwrap().clock.get() - seen).to_string();
        server.command(&["ZADD", CANDIDATES, &seen, &one.who.to_string()]);
    }
    give_up(&ring[0], FencingToken::new(6).unwrap()).await;
    let called = called_after(&mut wake_ups[3], FencingToken::new(6).unwrap()).await;
    assert_eq!(called.as_ref(), Some(ring[3].who.id()));
}

/// Waits until the server's clock shows another millisecond, by which the list of candidates is sorted.
async fn later(server: &RedisServer) {
    let millis = || server.text(&["EVAL", NOW, "0"]);
    let before = millis();
    until("a millisecond has passed", async || millis() != before).await;
}

const NOW: &str = "local t = redis.call('TIME') return t[1] .. '.' .. math.floor(t[2] / 1000)";

#[tokio::test]
async fn garbage_in_the_list_of_candidates_calls_nobody_and_keeps_nobody_from_being_woken() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    subscribed(&server, 2).await;
    let list = CANDIDATES;
    for (term, garbage) in (1..).zip(["", "|", "a b|host", "a\n1.1 1 1 1 -", &"x".repeat(201)]) {
        a.win(term).await;
        server.command(&["DEL", list]);
        server.command(&["ZADD", list, "1e300", garbage]);
        a.release(term).await.unwrap();
        assert_eq!(heard_of(&mut wake_ups, term).await.called, None);
    }
    a.win(9).await;
    server.command(&["DEL", list]);
    server.command(&["SET", list, "no list"]);
    a.release(9).await.unwrap();
    assert_eq!(heard_of(&mut wake_ups, 9).await.called, None);
}

#[tokio::test]
async fn a_restart_of_the_server_does_not_end_the_wake_ups() {
    let mut server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    subscribed(&server, 2).await;
    for term in 1..4 {
        server.restart();
        subscribed(&server, 2).await;
        until("it is there again", async || a.observe().await.is_ok()).await;
        a.win(term).await;
        a.release(term).await.unwrap();
        heard_of(&mut wake_ups, term).await;
    }
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    subscribed(&server, 2).await;
    a.win(9).await;
    a.release(9).await.unwrap();
    heard_of(&mut wake_ups, 9).await;
}

#[tokio::test]
async fn a_server_that_comes_up_late_is_subscribed_to() {
    let mut server = RedisServer::start();
    server.kill();
    // The first attempts find no server.
    let nobody = tokio::net::TcpListener::bind(("127.0.0.1", server.port()));
    let nobody = nobody.await.unwrap();
    let a = Election::new(&server.address(), "a");
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    let asked = tokio::time::timeout(Duration::from_secs(20), nobody.accept()).await;
    drop(asked.expect("it is asked for").unwrap());
    drop(nobody);
    server.start_again();
    subscribed(&server, 2).await;
    until("it is there", async || a.observe().await.is_ok()).await;
    a.win(1).await;
    a.release(1).await.unwrap();
    heard(&mut wake_ups).await;
}

#[tokio::test]
async fn a_message_that_is_no_release_wakes_nobody() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    subscribed(&server, 2).await;
    let max = (1_u64 << 53).to_string();
    for message in [
        "",
        "released",
        "7.7 7 7 7 7",
        "7.7 7 7 7 7 7",
        "7.7 7 7 7 7 7 0",
        "7.7 7 7 7 8 7 -",
        "7.7 7 7 7 7 -7 -",
        "7.7 7 7 7 7 07 -",
        "7.7 7 7 7 7 7 7|anyone",
        "7.7 7 7 7  7 7 -",
        "7.7 7 7 7 7 4611686018427387905 -",
        "7.7 7 7 7 7 7 - ",
        "7.7 7 7 7 7 7 - a|b",
        "7.7 7 7 7 7 7 - a b",
        "7.7 7 7 7 7 7 - \u{7f}",
        &format!("7.7 7 7 7 7 7 - {}", "a".repeat(201)),
        &format!("7.7 7 7 {max} 7 7 -"),
        "7 7 7 7 7 7 -",
        "7. 7 7 7 7 7 -",
        "7.07 7 7 7 7 7 -",
        "7.7.7 7 7 7 7 7 -",
        "281474976710657.7 7 7 7 7 7 -",
        "7.18446744073709551616 7 7 7 7 7 -",
        "7.7 7 7",
        "7.7 7 7 7 -",
        "7.7 07 7 -",
        &"9".repeat(1_000_000),
    ] {
        server.command(&["PUBLISH", "{incumbent:billing}:events", message]);
    }
    server.command(&["PUBLISH", "{incumbent:billing}:events", "3.4 6 5 9 8 7 - a"]);
    let WakeUp {
        record,
        memory,
        called,
        ..
    } = heard(&mut wake_ups).await;
    assert_eq!(
        (record.floor.get(), record.term.get(), record.beat.get()),
        (9, 8, 7)
    );
    assert_eq!((memory.id.made.get(), memory.id.nonce), (3, 4));
    assert_eq!((memory.floor.get(), memory.taken), (6, 5));
    assert_eq!(called.unwrap().as_str(), "a");
}

#[tokio::test]
async fn a_standby_that_does_not_listen_holds_up_nobody_and_memory_is_bounded() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    let mut deaf = a.store.wake_ups(&a.name, a.who.id());
    let mut keen = a.store.wake_ups(&a.name, a.who.id());
    subscribed(&server, 2).await;
    let releases = 3 * u64::try_from(WakeUps::CAPACITY).unwrap();
    for term in 1..=releases {
        a.win(term).await;
        a.release(term).await.unwrap();
        assert_eq!(heard(&mut keen).await.record.term.get(), term);
    }
    let mut waiting = 0;
    while deaf.0.try_recv().is_ok() {
        waiting += 1;
    }
    assert_eq!(waiting, WakeUps::CAPACITY);
}

/// A store outlives the runtime that used it first: the next one opens new connections.
#[test]
fn a_store_goes_on_after_its_runtime_has_ended() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");
    // Asked for outside of any runtime: the first request starts the subscription.
    let mut wake_ups = a.store.wake_ups(&a.name, a.who.id());
    for term in 1..4 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            a.win(term).await;
            subscribed(&server, 2).await;
            a.release(term).await.unwrap();
            heard_of(&mut wake_ups, term).await;
        });
    }
}
