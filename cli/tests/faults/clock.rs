//! Clocks that NTP slews, as chrony does by 8 %: more than the margin (`S1`).

use std::time::Duration;

use rustix::process::Signal;

use crate::field::bed::durable;
use crate::field::candidate::Kind::{self, Library, Wrapper};
use crate::field::history::Span;
use crate::field::proxy::{Proxy, Weather};
use crate::field::slewed_clock::SlewedClock;
use crate::field::{Fleet, Settings};

/// The host of the leader is slewed to run slow, that of the standby to run fast, by thousandths. By these clocks
/// the leader would still have time left when the standby may lead.
const SLEW: i64 = 83;

/// A leader on a slow host and a standby on a fast one. Each has its own way to the store.
fn slewed(kind: Kind) -> (Fleet, [Proxy; 2], impl Sized) {
    let server = durable();
    let ways = [1, 2].map(|seed| Proxy::to(&server.socket(), seed));
    let mut settings = Settings::new(&[]);
    // A sixth of the window is several intervals.
    (settings.interval, settings.stall_polls) = (Duration::from_millis(100), 20);
    settings.stop_grace = Duration::from_millis(20);
    let mut fleet = Fleet::new(settings);
    for (way, faster) in ways.iter().zip([-SLEW, SLEW]) {
        let mut clock = SlewedClock::new(fleet.dir(), &format!("host-{faster}"));
        clock.slew(faster);
        fleet.settings().stores = vec![way.url()];
        fleet.settings().variables = clock.variables();
        fleet.start(kind);
        // The first leads.
        fleet.leader();
    }
    fleet.campaigning();
    (fleet, ways, server)
}

#[test]
fn a_slow_leader_that_is_frozen_has_ended_before_a_fast_standby_leads() {
    let (mut fleet, _ways, _server) = slewed(Wrapper);
    let first = fleet.leader();
    fleet.signal(&first.who, Signal::STOP);
    no_overlap_with_the_next(fleet, &first);
}

#[test]
fn a_slow_leader_that_loses_its_store_has_ended_before_a_fast_standby_leads() {
    for kind in [Library, Wrapper] {
        let (mut fleet, ways, _server) = slewed(kind);
        let first = fleet.leader();
        ways[0].set(Weather::BlackHole);
        no_overlap_with_the_next(fleet, &first);
    }
}

/// A leader that believes that it has time left would act beside the next one.
fn no_overlap_with_the_next(mut fleet: Fleet, first: &Span) {
    let next = fleet.next_leader(first);
    let window = fleet.settings().window();
    fleet.still_led_by(&next, window / 4);
    fleet.verdict();
}
