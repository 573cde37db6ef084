//! `Watch`: what may be claimed, and on which evidence.

use std::time::Duration;

use incumbent::protocol::{
    Beat, Mark, Memory, MemoryId, Occupancy, Orders, Record, Term, Timestamp, Timing, TimingConfig,
    WallMillis, Watch,
};
use proptest::prelude::*;

use super::support::seed;

const MEMORY: Memory = Memory::young(MemoryId {
    made: WallMillis::ZERO,
    nonce: 1,
});

const NS: Duration = Duration::from_nanos(1);

/// 1 s × 5.
fn timing() -> Timing {
    Timing::default()
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

fn record(beat: i64, occupancy: Occupancy) -> Record {
    Record {
        floor: Term::new(7).expect("a term"),
        term: Term::new(7).expect("a term"),
        beat: Beat::new(beat),
        occupancy,
        orders: Orders::NONE,
    }
}

fn held(beat: i64, window: Duration) -> Record {
    let holder = "a".parse().expect("a valid id");
    record(beat, Occupancy::Held { holder, window })
}

fn foreign(counter: i64) -> Record {
    record(
        1,
        Occupancy::Foreign {
            counter: Some(Beat::new(counter)),
            window: Duration::ZERO,
        },
    )
}

/// A watch that has polled `record` so often, once a second from 0 on, each answered after 10 ms.
fn watched(record: &Record, polls: u64) -> Watch {
    let mut watch = Watch::NEW;
    for poll in 0..polls {
        watch.observe(record, &MEMORY, at(poll * 1000), at(poll * 1000 + 10));
    }
    watch
}

/// S4.
#[test]
fn what_was_never_seen_is_not_claimable() {
    assert_eq!(Watch::NEW.claimable(at(1_000_000), &timing()), None);
    assert_eq!(Watch::NEW.record(), None);
    assert_eq!(Watch::NEW.unchanged_since(), None);
}

#[test]
fn a_free_record_is_claimable_at_first_sight_as_what_it_is() {
    for free in [Record::ABSENT, record(9, Occupancy::Vacant)] {
        assert_eq!(
            watched(&free, 1).claimable(at(10), &timing()),
            Some(free.mark(&MEMORY))
        );
    }
}

/// R1: the polls.
#[test]
fn a_held_record_needs_stall_polls_after_the_first_sight() {
    for record in [held(4, Duration::ZERO), foreign(99)] {
        for polls in 1..9 {
            let watch = watched(&record, polls);
            // Long after the window, but with evidence that is still fresh.
            let mut late = watch.clone();
            late.observe(&record, &MEMORY, at(60_000), at(60_010));
            let enough = polls >= 5;
            assert_eq!(
                late.claimable(at(60_010), &timing()).is_some(),
                enough,
                "{polls} polls"
            );
        }
    }
}

/// R1: the time, from when the first reply was received, to the nanosecond.
#[test]
fn a_held_record_needs_a_window_since_its_first_reply() {
    let watch = watched(&held(4, Duration::from_secs(1)), 6);
    let ripe = at(10) + timing().window();
    assert_eq!(watch.unchanged_since(), Some(at(10)));
    assert_eq!(watch.claimable(ripe.before(NS), &timing()), None);
    assert!(watch.claimable(ripe, &timing()).is_some());
}

/// R1: the larger of both windows.
#[test]
fn a_holder_with_a_longer_window_is_waited_for_as_long_as_it_was_promised() {
    let watch = watched(&held(4, Duration::from_secs(8)), 9);
    let ripe = at(10) + Duration::from_secs(8);
    assert_eq!(watch.claimable(ripe.before(NS), &timing()), None);
    assert!(watch.claimable(ripe, &timing()).is_some());
}

/// R2: evidence counts from when its poll was sent.
#[test]
fn evidence_older_than_one_and_a_half_intervals_must_be_renewed() {
    let vacant = record(9, Occupancy::Vacant);
    let mut watch = watched(&vacant, 1);
    let stale = at(1500) + NS;
    assert!(watch.claimable(at(1500), &timing()).is_some());
    assert_eq!(watch.claimable(stale, &timing()), None);
    watch.observe(&vacant, &MEMORY, at(1600), at(1700));
    assert!(watch.claimable(at(1700), &timing()).is_some());

    let mut watch = watched(&held(4, Duration::ZERO), 6);
    assert!(watch.claimable(at(6500), &timing()).is_some());
    assert_eq!(watch.claimable(at(6500) + NS, &timing()), None);
    // Renewing it does not start the wait over: the record was stalled all the while.
    watch.observe(&held(4, Duration::ZERO), &MEMORY, at(60_000), at(60_001));
    assert!(watch.claimable(at(60_001), &timing()).is_some());
}

#[test]
fn any_change_of_the_mark_starts_the_wait_over() {
    let changes = [
        held(5, Duration::ZERO),
        record(4, Occupancy::Vacant),
        foreign(4),
        Record {
            term: Term::new(8).expect("a term"),
            ..held(4, Duration::ZERO)
        },
        Record::ABSENT,
    ];
    for change in changes {
        let mut watch = watched(&held(4, Duration::ZERO), 20);
        watch.observe(&change, &MEMORY, at(20_000), at(20_010));
        watch.observe(&held(4, Duration::ZERO), &MEMORY, at(20_100), at(20_110));
        assert_eq!(watch.claimable(at(20_110), &timing()), None, "{change:?}");
        assert_eq!(watch.unchanged_since(), Some(at(20_110)));
    }
}

/// A record that looks the same under another memory may have changed in between and back.
#[test]
fn another_memory_starts_the_wait_over() {
    let record = held(4, Duration::ZERO);
    let mut watch = watched(&record, 20);
    let again = MemoryId {
        nonce: 2,
        ..MEMORY.id
    };
    watch.observe(&record, &MEMORY.begun_again(again), at(20_000), at(20_010));
    assert_eq!(watch.claimable(at(20_010), &timing()), None);
    assert_eq!(watch.unchanged_since(), Some(at(20_010)));
    // What is claimed later is claimed under the new one.
    for poll in 21..27 {
        watch.observe(
            &record,
            &MEMORY.begun_again(again),
            at(poll * 1000),
            at(poll * 1000),
        );
    }
    let claimable = watch.claimable(at(26_000), &timing());
    assert_eq!(claimable.map(|mark| mark.memory), Some(again));
}

/// What was observed, one poll after another.
#[derive(Clone, Debug)]
struct Poll {
    pause_ms: u64,
    trip_ms: u64,
    changed: bool,
    window_ms: u64,
}

fn polls() -> impl Strategy<Value = Vec<Poll>> {
    let poll = (
        0..3000_u64,
        0..500_u64,
        prop::bool::weighted(0.1),
        0..9000_u64,
    )
        .prop_map(|(pause_ms, trip_ms, changed, window_ms)| Poll {
            pause_ms,
            trip_ms,
            changed,
            window_ms,
        });
    prop::collection::vec(poll, 1..25)
}

/// R1 and R2 as they are worded, over the whole list of what was seen.
fn allowed(
    seen: &[(Mark, Duration, Timestamp, Timestamp)],
    now: Timestamp,
    timing: &Timing,
) -> bool {
    let Some(&(mark, window, last_sent, _)) = seen.last() else {
        return false;
    };
    let same: Vec<_> = seen
        .iter()
        .rev()
        .take_while(|poll| poll.0 == mark)
        .collect();
    let first_received = same[same.len() - 1].3;
    let renewals = u32::try_from(same.len() - 1).expect("few polls");
    renewals >= timing.stall_polls()
        && now.since(first_received) >= window.max(timing.window())
        && now.since(last_sent) * 2 <= timing.interval() * 3
}

#[test]
fn claimable_is_what_the_rules_allow_on_random_observations() {
    let place = "--test protocol claimable_is_what_the_rules_allow";
    let timings = (50..2000_u64, 3..8_u32).prop_filter_map("impossible", |(ms, stall_polls)| {
        let config = TimingConfig {
            interval: Duration::from_millis(ms),
            stall_polls,
            stop_grace: Duration::ZERO,
            ..TimingConfig::default()
        };
        Timing::new(&config).ok()
    });
    seed::check(
        place,
        2000,
        &(timings, polls(), 0..4000_u64),
        |(timing, polls, wait)| {
            let mut watch = Watch::NEW;
            let mut seen = Vec::new();
            let (mut now, mut beat, mut window) = (0, 1, Duration::ZERO);
            for poll in polls {
                if poll.changed {
                    beat += 1;
                    window = Duration::from_millis(poll.window_ms);
                }
                let (sent, received) = (
                    at(now + poll.pause_ms),
                    at(now + poll.pause_ms + poll.trip_ms),
                );
                now += poll.pause_ms + poll.trip_ms;
                let record = held(beat, window);
                watch.observe(&record, &MEMORY, sent, received);
                seen.push((record.mark(&MEMORY), window, sent, received));
                for later in [0, wait] {
                    let asked = at(now + later);
                    let claimable = watch.claimable(asked, &timing);
                    let expected = allowed(&seen, asked, &timing).then_some(record.mark(&MEMORY));
                    prop_assert_eq!(claimable, expected);
                }
            }
            Ok(())
        },
    );
}
