//! What may be deposed, and what is left of it.

use incumbent::election::StallWatch;
use incumbent::protocol::{
    Beat, Electorate, Memory, MemoryId, Occupancy, Order, Record, Request, StoreIndex, Term,
    Timestamp, Timing, Verdict, WallMillis, Watch,
};

use super::kept::{Durability, Kept};
use super::rules::{SECOND, window};

const MEMORY: Memory = Memory::young(MemoryId {
    made: WallMillis::ZERO,
    nonce: 1,
});

fn record(occupancy: Occupancy) -> Record {
    Record {
        floor: Term::new(7).unwrap(),
        term: Term::new(7).unwrap(),
        beat: Beat::new(30),
        occupancy,
        ..Record::ABSENT
    }
}

fn held() -> Record {
    record(Occupancy::Held {
        holder: "leader".parse().unwrap(),
        window: window(),
    })
}

#[test]
fn the_counter_of_a_stranger_that_is_deposed_does_not_come_again() {
    let counter = Beat::new(77);
    let foreign = record(Occupancy::Foreign {
        counter: Some(counter),
        window: window(),
    });
    let mut kept = Kept::new(Durability::Durable);
    let expected = foreign.mark(&kept.memory.expect("it has one"));
    let order = Request::Order(Order::Depose { expected });
    let mut after = foreign;
    let reply = kept.carry_out(&mut after, &order, WallMillis::default());
    assert_eq!(reply.verdict, Verdict::Granted);
    assert_eq!(after.occupancy, Occupancy::Vacant);
    assert!(after.beat >= counter, "{:?}", after.beat);
}

#[test]
fn a_holder_counts_as_gone_when_a_majority_of_the_stores_has_stood_still() {
    let electorate = Electorate::new(3).unwrap();
    let mut stalls = StallWatch::new(electorate, Timing::default());
    let start = Timestamp::from_nanos(1);
    for second in 0..=6 {
        let now = start + SECOND * second;
        stalls.observe(StoreIndex(0), (&held(), &MEMORY), now, now);
    }
    let now = start + SECOND * 6;
    assert_eq!(stalls.abandoned(now), None, "one of three");
    for second in 7..=13 {
        let now = start + SECOND * second;
        stalls.observe(StoreIndex(0), (&held(), &MEMORY), now, now);
        stalls.observe(StoreIndex(2), (&held(), &MEMORY), now, now);
    }
    let now = start + SECOND * 13;
    assert_eq!(stalls.abandoned(now).map(|stores| stores.len()), Some(2));
}

#[test]
fn what_nobody_holds_is_not_abandoned() {
    let timing = Timing::default();
    for (record, abandoned) in [(held(), true), (record(Occupancy::Vacant), false)] {
        let mut watch = Watch::NEW;
        let start = Timestamp::from_nanos(1);
        for second in 0..=6 {
            let now = start + SECOND * second;
            watch.observe(&record, &MEMORY, now, now);
        }
        let now = start + SECOND * 6;
        assert!(watch.claimable(now, &timing).is_some());
        assert_eq!(watch.abandoned(now, &timing).is_some(), abandoned);
    }
}
