//! Faults of the only server: what ends within the tenure costs nothing, what lasts longer costs the
//! leadership, and afterwards there is a leader again without a restart of any candidate.

use rustix::process::Signal;

use crate::field::Settings;
use crate::field::bed::{Bed, ONE_REDIS, ONE_SAVED_REDIS};
use crate::field::candidate::Kind::{Library, Wrapper};
use crate::field::fleet::wait_until;
use crate::support::redis::RedisServer;

/// A window of six seconds: the machine may stall for longer than the harm lasts.
const LONG: u32 = 40;

/// Both orders side by side, so that each kind leads once. A machine may be so slow that a leadership ends before its
/// program acts: then there is another.
fn led_by_each(stall_polls: u32, story: impl Fn(&mut Bed) + Sync) {
    std::thread::scope(|scope| {
        for kinds in [[Library, Wrapper], [Wrapper, Library]] {
            let story = &story;
            scope.spawn(move || {
                let mut bed = Bed::new(ONE_REDIS, &[]);
                bed.fleet.settings().restart = true;
                bed.fleet.settings().stall_polls = stall_polls;
                bed.fleet.start(kinds[0]);
                bed.fleet.leader();
                bed.fleet.start(kinds[1]);
                bed.fleet.campaigning();
                story(&mut bed);
                bed.verdict();
            });
        }
    });
}

/// Waits until the counter has risen.
fn wait_for_a_heartbeat(server: &RedisServer) {
    let counter = || server.text(&["GET", "incumbent:billing"]);
    let before = counter();
    wait_until("the leader beats on", || counter() != before);
}

/// Does something to the server that must not cost the leadership.
fn survives(harm: impl Fn(&mut Bed) + Sync) {
    led_by_each(LONG, |bed| {
        let leader = bed.fleet.leader();
        harm(bed);
        let window = bed.window();
        bed.fleet.still_led_by(&leader, window);
    });
}

/// Does something to the server, for longer than any tenure: no one acts until it is undone.
fn recovers(harm: impl Fn(&mut Bed) + Sync, undo: impl Fn(&mut Bed) + Sync) {
    led_by_each(Settings::STALL_POLLS, |bed| {
        let before = bed.fleet.leader();
        harm(bed);
        let window = bed.window();
        bed.fleet.idle(window * 2);
        undo(bed);
        let after = bed.fleet.leader();
        let story = bed.fleet.story();
        assert!(after.token > before.token, "{before}, {after}: {story}");
    });
}

#[test]
fn a_server_that_restarts_with_its_data_does_not_cost_the_leadership() {
    survives(|bed| bed.servers[0].restart());
}

#[test]
fn a_server_that_stays_away_costs_the_leadership_and_nobody_acts_until_it_is_back() {
    recovers(
        |bed| bed.servers[0].kill(),
        |bed| bed.servers[0].start_again(),
    );
}

#[test]
fn a_server_that_hangs_for_less_than_the_tenure_does_not_cost_the_leadership() {
    survives(|bed| {
        bed.servers[0].freeze();
        std::thread::sleep(bed.window() / 4);
        bed.servers[0].thaw();
    });
}

#[test]
fn a_server_that_hangs_for_more_than_the_tenure_makes_nobody_a_leader() {
    recovers(|bed| bed.servers[0].freeze(), |bed| bed.servers[0].thaw());
}

#[test]
fn connections_that_are_dropped_do_not_cost_the_leadership() {
    survives(|bed| {
        for _ in 0..5 {
            bed.servers[0].command(&["CLIENT", "KILL", "TYPE", "normal"]);
            bed.servers[0].command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            wait_for_a_heartbeat(&bed.servers[0]);
        }
    });
}

#[test]
fn scripts_that_are_flushed_do_not_cost_the_leadership() {
    survives(|bed| {
        for _ in 0..5 {
            bed.servers[0].command(&["SCRIPT", "FLUSH"]);
            wait_for_a_heartbeat(&bed.servers[0]);
        }
    });
}

#[test]
fn writes_that_pause_for_less_than_the_tenure_do_not_cost_the_leadership() {
    survives(|bed| {
        let millis = (bed.window() / 4).as_millis().to_string();
        bed.servers[0].command(&["CLIENT", "PAUSE", &millis, "ALL"]);
    });
}

#[test]
fn a_server_that_becomes_read_only_makes_nobody_a_leader() {
    recovers(
        |bed| {
            bed.servers[0].command(&["REPLICAOF", "127.0.0.1", "1"]);
        },
        |bed| {
            bed.servers[0].command(&["REPLICAOF", "NO", "ONE"]);
        },
    );
}

#[test]
fn a_server_that_is_out_of_memory_makes_nobody_a_leader() {
    recovers(
        |bed| {
            bed.servers[0].command(&["CONFIG", "SET", "maxmemory", "1"]);
        },
        |bed| {
            bed.servers[0].command(&["CONFIG", "SET", "maxmemory", "0"]);
        },
    );
}

#[test]
fn a_record_that_somebody_wrote_garbage_into_makes_nobody_a_leader_and_says_where_it_stands() {
    recovers(
        |bed| {
            let record = "{incumbent:billing}:record";
            bed.servers[0].command(&["HSET", record, "term", "a dozen"]);
        },
        |bed| {
            for name in bed.fleet.names() {
                let said = bed.fleet.candidate(&name).said();
                assert!(
                    said.contains("term of {incumbent:billing}:record"),
                    "{said}"
                );
                assert!(said.contains("a dozen"), "{said}");
            }
            let (record, counter) = ("{incumbent:billing}:record", "incumbent:billing");
            bed.servers[0].command(&["DEL", record, counter]);
        },
    );
}

/// Whether the leader is first to the wiped server or a standby is, no two act, and someone leads.
fn forgets(harm: impl Fn(&mut Bed) + Sync) {
    led_by_each(Settings::STALL_POLLS, |bed| {
        for _ in 0..3 {
            bed.fleet.leader();
            harm(bed);
            let window = bed.window();
            std::thread::sleep(window);
            bed.fleet.leader();
        }
    });
}

#[test]
fn a_server_that_restarts_empty_never_lets_two_act() {
    forgets(|bed| bed.servers[0].restart_empty());
}

#[test]
fn a_server_that_is_wiped_never_lets_two_act() {
    forgets(|bed| {
        bed.servers[0].command(&["FLUSHALL"]);
    });
}

/// A standby may be the first to see that the data is gone, and leaves the store to the leader that it has
/// just seen.
#[test]
fn a_server_that_is_wiped_does_not_cost_the_leadership_of_a_live_leader() {
    led_by_each(Settings::STALL_POLLS, |bed| {
        let leader = bed.fleet.leader();
        let window = bed.window();
        for round in 0..8 {
            wait_for_a_heartbeat(&bed.servers[0]);
            std::thread::sleep(window * round / 40);
            bed.servers[0].command(&["FLUSHALL"]);
            bed.fleet.still_led_by(&leader, window);
        }
    });
}

#[test]
fn a_server_that_is_wiped_while_its_leader_is_paused_never_lets_two_act() {
    let mut bed = Bed::new(ONE_REDIS, &[Wrapper, Library]);
    let first = bed.fleet.leader();
    bed.fleet.signal(&first.who, Signal::STOP);
    bed.servers[0].command(&["FLUSHALL"]);
    let second = bed.fleet.next_leader(&first);
    bed.fleet.signal(&first.who, Signal::CONT);
    let window = bed.window();
    bed.fleet.still_led_by(&second, window);
    bed.verdict();
}

/// The snapshot has the record as it was before the leader claimed it, free to be claimed.
#[test]
fn a_server_that_goes_back_to_an_older_snapshot_never_lets_two_act() {
    let mut bed = Bed::new(ONE_SAVED_REDIS, &[Wrapper]);
    let first = bed.fleet.leader();
    // By then its memory is old enough for anyone.
    let window = bed.window();
    bed.fleet.still_led_by(&first, window * 2);
    bed.fleet.signal(&first.who, Signal::TERM);
    bed.fleet.ended(&first.who);
    bed.servers[0].command(&["SAVE"]);
    bed.fleet.start(Wrapper);
    let lost = bed.fleet.next_leader(&first);
    bed.fleet.start(Library);
    bed.fleet.campaigning();
    // Its program acts until its deadline, and its heartbeats do not find the loss first.
    bed.fleet.signal(&lost.who, Signal::STOP);
    bed.servers[0].restart();
    let next = bed.fleet.next_leader(&lost);
    bed.fleet.signal(&lost.who, Signal::CONT);
    bed.fleet.still_led_by(&next, window);
    bed.verdict();
}
