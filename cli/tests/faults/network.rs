//! What lies between the candidates and their server: slow answers, late ones, and the wall clock of
//! another machine.

use std::time::Duration;

use rustix::process::Signal;

use crate::field::bed::durable;
use crate::field::candidate::Kind::{Library, Wrapper};
use crate::field::fleet::wait_until;
use crate::field::proxy::{Proxy, Weather};
use crate::field::wall_clock::WallClock;
use crate::field::{Fleet, Settings};
use crate::support::redis::RedisServer;

#[test]
fn slow_answers_do_not_cost_the_leadership_and_answers_that_are_too_slow_make_nobody_a_leader() {
    let server = durable();
    let network = Proxy::to(&server.socket(), 1);
    let settings = Settings::new(&[network.url()]);
    let window = settings.window();
    let mut fleet = Fleet::of(settings, &[Library, Wrapper]);
    fleet.leader();
    fleet.campaigning();
    let before = fleet.leader();
    network.set(Weather::Slow(Duration::from_millis(50)));
    fleet.still_led_by(&before, window * 2);
    network.set(Weather::Stalled);
    fleet.idle(window * 2);
    // What was held back arrives now, long after it was given up.
    network.set(Weather::Clear);
    let after = fleet.leader();
    assert!(after.token > before.token);
    fleet.verdict();
}

#[test]
fn a_wall_clock_that_jumps_either_way_costs_nothing_and_no_token_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut clock = WallClock::new(dir.path());
    let server = clock.seen_by(RedisServer::settings()).start();
    let settings = Settings::new(&[server.url()]);
    let window = settings.window();
    let mut fleet = Fleet::of(settings, &[Library, Wrapper]);
    fleet.leader();
    fleet.campaigning();
    for seconds in [3600, -7200, 86_400, -86_400] {
        let before = fleet.leader();
        clock.jump(seconds);
        fleet.still_led_by(&before, window);
        fleet.signal(&before.who, Signal::TERM);
        fleet.ended(&before.who);
        let after = fleet.next_leader(&before);
        assert!(after.token > before.token, "after a jump of {seconds} s");
        fleet.start(Library);
        fleet.campaigning();
    }
    fleet.verdict();
}

/// How long a candidate uses a connection before it finds out that a new one would lead elsewhere.
const REHEARSAL: Duration = Duration::from_secs(5);

#[test]
fn an_address_that_is_moved_to_another_server_makes_no_two_of_those_who_run() {
    let (one, other) = (durable(), durable());
    let network = Proxy::to(&one.socket(), 1);
    let settings = Settings::new(&[network.url()]);
    let window = settings.window();
    let mut fleet = Fleet::of(settings, &[Library]);
    let first = fleet.leader();
    fleet.still_led_by(&first, REHEARSAL - window);
    // The leader finds out before the standbys, who then see it stalled on the old server: every open connection
    // still reaches that.
    fleet.start(Wrapper);
    fleet.start(Library);
    fleet.campaigning();
    network.move_to(&other.socket());
    wait_until("somebody leads on the other server", || {
        other.text(&["EXISTS", "incumbent:billing"]) == "1"
    });
    // A candidate on the old server still sees its leader gone by then.
    let leader = fleet.leader();
    fleet.still_led_by(&leader, window * 2);
    fleet.verdict();
}
