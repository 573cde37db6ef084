//! Locks and elections with room for several.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use incumbent::{ConfigError, Election};

use super::{PATIENCE, client, hasty, lock, patient, stores};

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
    let locks = client(&stores, hasty()).await;
    let others = client(&stores, hasty()).await;
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
