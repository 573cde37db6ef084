//! Sharing one key with programs that speak only the bare protocol.
//!
//! `SETNX k 1`; a standby polls `GET` and takes a stalled counter over with `GETSET k 1`; a leader sends
//! `INCR`, and `DEL` at its exit: that is what `interop/bare.py` does, and what candidates under
//! `--key-prefix ""` meet on the same key. The windows of both sides are honest, and so no two act.

#[path = "../field/mod.rs"]
mod field;
#[path = "../../../tests/support/mod.rs"]
mod support;

use field::candidate::Kind::{self, Bare, Library, Wrapper};
use field::fleet::wait_until;
use field::history::Span;
use field::{Fleet, Settings};
use rustix::process::Signal;
use support::redis::RedisServer;

struct Shared {
    fleet: Fleet,
    server: RedisServer,
}

impl Shared {
    fn key() -> Self {
        let server = RedisServer::start();
        let mut settings = Settings::new(&[server.url()]);
        settings.key_prefix = String::new();
        Self {
            fleet: Fleet::new(settings),
            server,
        }
    }

    /// Starts the first candidate, waits until it acts, and starts the second.
    fn led_by(first: Kind, second: Kind) -> (Self, Span) {
        let mut shared = Self::key();
        shared.fleet.start(first);
        let leader = shared.fleet.leader();
        shared.fleet.start(second);
        // For a window side by side: no one takes over from a leader that beats.
        let window = shared.fleet.settings().window();
        shared.fleet.still_led_by(&leader, window * 2);
        (shared, leader)
    }

    fn counter(&self) -> String {
        self.server.text(&["GET", "billing"])
    }
}

#[test]
fn a_bare_leader_that_dies_is_replaced_by_an_incumbent() {
    for kind in [Library, Wrapper] {
        let (mut shared, bare) = Shared::led_by(Bare, kind);
        shared.fleet.signal(&bare.who, Signal::KILL);
        let next = shared.fleet.next_leader(&bare);
        assert!(next.token.is_some(), "{next}");
        // The counter had to stall for a window first.
        let gap = shared.fleet.gap(&bare, &next);
        assert!(gap >= shared.fleet.settings().window() / 2, "{gap:?}");
        shared.fleet.verdict();
    }
}

#[test]
fn a_bare_leader_that_exits_is_replaced_by_an_incumbent() {
    for kind in [Library, Wrapper] {
        let (mut shared, bare) = Shared::led_by(Bare, kind);
        shared.fleet.signal(&bare.who, Signal::TERM);
        assert!(shared.fleet.ended(&bare.who).success());
        let next = shared.fleet.next_leader(&bare);
        assert!(next.token.is_some(), "{next}");
        shared.fleet.verdict();
    }
}

#[test]
fn an_incumbent_that_dies_is_replaced_by_a_bare_program() {
    let (mut shared, incumbent) = Shared::led_by(Library, Bare);
    shared.fleet.signal(&incumbent.who, Signal::KILL);
    let next = shared.fleet.next_leader(&incumbent);
    assert_eq!(next.token, None, "{next}");
    assert_eq!(shared.counter().len(), 1, "the bare program counts from 1");
    shared.fleet.verdict();
}

#[test]
fn an_incumbent_that_ends_leaves_the_key_to_a_bare_program() {
    for kind in [Library, Wrapper] {
        let (mut shared, incumbent) = Shared::led_by(kind, Bare);
        shared.fleet.signal(&incumbent.who, Signal::TERM);
        let next = shared.fleet.next_leader(&incumbent);
        assert_eq!(next.token, None, "{next}");
        let gap = shared.fleet.gap(&incumbent, &next);
        let window = shared.fleet.settings().window();
        assert!(gap < window, "a release: {gap:?}: {}", shared.fleet.story());
        shared.fleet.verdict();
    }
}

/// An incumbent's counter begins at its term, so a candidate that watched a stalled 1 does not mistake the
/// new holder's counter for it.
#[test]
fn a_bare_program_loses_a_counter_that_stalled_at_one() {
    let mut shared = Shared::key();
    shared.server.command(&["SET", "billing", "1"]);
    shared.fleet.start(Library);
    let incumbent = shared.fleet.leader();
    // On a busy machine a deposed leader may be late to stop, and its process is killed: another is left.
    shared.fleet.start(Library);
    shared.fleet.campaigning();
    let before: i64 = shared.counter().parse().unwrap();
    assert!(
        before > 1_000_000_000_000,
        "a term in milliseconds: {before}"
    );
    // What a bare standby does that has seen a 1 for all of its polls.
    let seen = shared.server.text(&["GETSET", "billing", "1"]);
    assert_ne!(seen, "1", "it must learn that it has lost");
    // The leader whose counter was overwritten is deposed, and the key is led again after a window.
    let next = shared.fleet.next_leader(&incumbent);
    assert!(next.token > incumbent.token);
    shared.fleet.verdict();
}

/// The leader is ended in turns, by every means, and replaced by the other kind.
#[test]
fn a_mixed_fleet_never_has_two_leaders() {
    let mut shared = Shared::key();
    for kind in [Library, Bare, Wrapper, Bare] {
        shared.fleet.start(kind);
    }
    for signal in [
        Signal::KILL,
        Signal::TERM,
        Signal::KILL,
        Signal::TERM,
        Signal::KILL,
    ] {
        // A counter that stalls at 1 is one that two bare programs may both win.
        wait_until("it counts", || {
            shared
                .counter()
                .parse()
                .is_ok_and(|counter: u64| counter > 1)
        });
        let leader = shared.fleet.leader();
        shared.fleet.signal(&leader.who, signal);
        shared.fleet.ended(&leader.who);
        let another = if leader.token.is_none() {
            Bare
        } else {
            Library
        };
        shared.fleet.next_leader(&leader);
        shared.fleet.start(another);
    }
    shared.fleet.leader();
    let spans = shared.fleet.verdict();
    assert!(spans.len() > 5, "{spans:?}");
}
