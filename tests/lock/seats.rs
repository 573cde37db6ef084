//! Locks and elections with room for several.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use incumbent::protocol::ElectionName;
use incumbent::store::{Fault, MemoryStore, Store};
use incumbent::{ConfigError, Election};

use super::{PATIENCE, client, lock, patient, steady, stores};

#[tokio::test]
async fn at_most_so_many_hold_a_seat_each_under_a_number_of_its_own() {
    const SEATS: u16 = 3;
    let stores = stores(1);
    let taken = Arc::new(Mutex::new(BTreeSet::new()));
    let most = Arc::new(AtomicU32::new(0));
    let workers: Vec<_> = (0..10)
        .map(|_| {
            let (stores, taken, most) = (stores.clone(), taken.clone(), most.clone());
            tokio::spawn(async move {
                let locks = client(&stores, patient()).await;
                let seats = lock(&locks, "licence").seats(SEATS).unwrap();
                for _ in 0..10 {
                    let seat = seats.acquire_timeout(PATIENCE).await.unwrap();
                    seat.check().unwrap();
                    assert!(seat.number() < SEATS);
                    assert!(taken.lock().unwrap().insert(seat.number()));
                    let now = taken.lock().unwrap().len().try_into().unwrap();
                    most.fetch_max(now, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    assert!(taken.lock().unwrap().remove(&seat.number()));
                    seat.into_inner().release().await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(
        most.load(Ordering::Relaxed) > 1,
        "no two held a seat at a time"
    );
}

#[tokio::test]
async fn the_seat_of_a_holder_that_died_goes_to_one_that_waits_with_a_greater_token() {
    let stores = stores(1);
    let locks = client(&stores, steady()).await;
    let others = client(&stores, steady()).await;
    let seats = lock(&locks, "licence").seats(2).unwrap();
    let kept = seats.acquire().await.unwrap();
    // A holder in another process would have died with all that it holds.
    let dies = seats.acquire().await.unwrap();
    let (number, token) = (dies.number(), dies.fencing_token());
    assert_ne!(number, kept.number());
    let seats = lock(&others, "licence").seats(2).unwrap();
    assert!(seats.try_acquire().await.unwrap_err().is_held());
    let late = seats.acquire_timeout(Duration::from_millis(300)).await;
    assert!(late.unwrap_err().is_held());
    let name = format!("licence#{number}").parse().unwrap();
    stores[0].put(&name, dead(&stores, &name).await);
    let next = seats.acquire_timeout(PATIENCE).await.unwrap();
    assert_eq!(next.number(), number);
    assert!(next.fencing_token() > token);
    kept.check().unwrap();
}

/// The record of an election with a holder that no one is.
async fn dead(
    stores: &[Arc<incumbent::store::MemoryStore>],
    name: &incumbent::protocol::ElectionName,
) -> incumbent::protocol::Record {
    use incumbent::protocol::Occupancy;
    use incumbent::store::Store;

    let mut record = stores[0].inspect(name).await.unwrap().record;
    if let Occupancy::Held { holder, .. } = &mut record.occupancy {
        *holder = "no:one".parse().unwrap();
    }
    record
}

#[tokio::test]
async fn an_election_has_seats_too() {
    let stores = stores(3);
    let election = || {
        let stores = stores.iter().cloned();
        let builder = Election::builder("workers").timing(patient());
        stores
            .fold(builder, incumbent::ElectionBuilder::store_object)
            .build()
            .unwrap()
    };
    for count in [0, 1025] {
        let refused = election().seats(count).unwrap_err();
        assert!(matches!(refused, ConfigError::Seats { .. }), "{refused}");
    }
    let seats = election().seats(2).unwrap();
    let one = seats.campaign().await.unwrap();
    let other = election().seats(2).unwrap().try_campaign().await.unwrap();
    assert_eq!(one.number() + other.number(), 1);
    assert!(seats.try_campaign().await.unwrap_err().is_held());
    let waiting = tokio::spawn(async move { seats.campaign_timeout(PATIENCE).await.unwrap() });
    let (number, token) = (one.number(), one.fencing_token());
    one.into_inner().resign().await;
    let next = waiting.await.unwrap();
    assert_eq!(next.number(), number);
    assert!(next.fencing_token() > token);
}

#[tokio::test]
async fn a_paused_seat_leaves_the_others_free() {
    let stores = stores(1);
    let locks = client(&stores, patient()).await;
    let paused = Election::builder("licence#0").store_object(stores[0].clone());
    let operator = paused.build().unwrap().operator();
    operator.pause(None, None).await.unwrap();
    let licence = lock(&locks, "licence");
    let seats = licence.seats(2).unwrap();
    for _ in 0..20 {
        let seat = seats.try_acquire().await.unwrap();
        assert_eq!(seat.number(), 1);
        seat.into_inner().release().await;
    }
    let only = licence.seats(1).unwrap();
    assert!(only.try_acquire().await.unwrap_err().is_paused());
    let wait = Duration::from_millis(100);
    assert!(only.acquire_timeout(wait).await.unwrap_err().is_paused());
}

#[tokio::test]
async fn who_waits_for_a_seat_waits_out_an_outage() {
    let stores = stores(1);
    let locks = client(&stores, patient()).await;
    let seats = lock(&locks, "licence").seats(2).unwrap();
    stores[0].set_fault(Fault::Unreachable);
    let mut waiting = std::pin::pin!(seats.acquire());
    tokio::select! {
        seat = &mut waiting => panic!("{seat:?}"),
        () = tokio::time::sleep(2 * locks.timing().interval()) => {}
    }
    stores[0].set_fault(None);
    let seat = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    seat.unwrap().into_inner().release().await;
}

#[tokio::test]
async fn who_has_waited_for_a_seat_has_left_the_queue_too_when_all_is_finished() {
    let stores = stores(1);
    let locks = client(&stores, patient()).await;
    let seats = lock(&locks, "licence").seats(1).unwrap();
    let others = client(&stores, patient()).await;
    let others = lock(&others, "licence").seats(1).unwrap();
    let _kept = others.acquire().await.unwrap();
    let mut waiting = std::pin::pin!(seats.acquire());
    let door = "licence#".parse().unwrap();
    tokio::select! {
        seat = &mut waiting => panic!("{seat:?}"),
        () = until_held(&stores[0], &door) => {}
    }
    stores[0].set_fault(Fault::Slow(Duration::from_millis(100)));
    // Drops the one that waits.
    waiting.set(seats.acquire());
    let finished = tokio::time::timeout(PATIENCE, locks.finished());
    finished.await.unwrap();
    stores[0].set_fault(None);
    let record = stores[0].inspect(&door).await.unwrap().record;
    assert!(record.holder().is_none(), "{record:?}");
}

async fn until_held(store: &MemoryStore, name: &ElectionName) {
    while store.inspect(name).await.unwrap().record.holder().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
