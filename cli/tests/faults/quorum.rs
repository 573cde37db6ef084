//! Faults of one of three stores: a minority may be down, and lose its data, without a change of
//! leader (`L4`).

use crate::field::bed::{Bed, Made, THREE_REDIS};
use crate::field::candidate::Kind::{self, Library, Wrapper};
use crate::field::fleet::wait_until;
use crate::support::redis::RedisServer;

fn led_by(stores: &[Made], kind: Kind) -> Bed {
    let mut bed = Bed::new(stores, &[kind, kind]);
    bed.fleet.leader();
    bed.fleet.campaigning();
    bed
}

/// Waits until a store that had forgotten everything has a record again.
fn wait_until_joined(server: &RedisServer) {
    let counter = ["EXISTS", "incumbent:billing"];
    wait_until("it is joined", || server.text(&counter) == "1");
}

#[test]
fn one_of_three_that_is_cut_does_not_cost_the_leadership() {
    for (stores, kind) in [(THREE_REDIS, Library), (THREE_REDIS, Wrapper)] {
        let mut bed = led_by(stores, kind);
        let leader = bed.fleet.leader();
        let window = bed.window();
        bed.servers[0].kill();
        bed.fleet.still_led_by(&leader, window * 2);
        bed.servers[0].start_again();
        bed.fleet.still_led_by(&leader, window);
        bed.verdict();
    }
}

#[test]
fn one_of_three_that_comes_back_empty_is_joined_so_that_another_may_go_down() {
    for kind in [Library, Wrapper] {
        let mut bed = led_by(THREE_REDIS, kind);
        let leader = bed.fleet.leader();
        let window = bed.window();
        bed.servers[0].restart_empty();
        wait_until_joined(&bed.servers[0]);
        bed.servers[1].kill();
        bed.fleet.still_led_by(&leader, window * 2);
        bed.verdict();
    }
}

#[test]
fn two_of_three_that_hang_make_nobody_a_leader_until_one_is_back() {
    let mut bed = led_by(THREE_REDIS, Library);
    let before = bed.fleet.leader();
    let window = bed.window();
    bed.servers[0].freeze();
    bed.servers[1].freeze();
    bed.fleet.idle(window * 2);
    bed.servers[1].thaw();
    let after = bed.fleet.leader();
    assert!(after.token > before.token);
    bed.verdict();
}

#[test]
fn stores_that_are_wiped_one_after_the_other_do_not_cost_the_leadership() {
    let mut bed = led_by(THREE_REDIS, Library);
    let leader = bed.fleet.leader();
    let window = bed.window();
    for server in &bed.servers {
        server.command(&["FLUSHALL"]);
        wait_until_joined(server);
    }
    bed.fleet.still_led_by(&leader, window);
    bed.verdict();
}
