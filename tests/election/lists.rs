//! Elections with different lists of stores: which errors a program that uses the library gets.

use std::sync::Arc;
use std::time::Duration;

use incumbent::protocol::{LossReason, TimingConfig};
use incumbent::store::{Fault, MemoryStore};
use incumbent::{CampaignError, Election, RunError};

use super::{builder, election, stores};

/// {0, 1, 2} and {2, 3, 4}.
fn both(stores: &[Arc<MemoryStore>]) -> [Election; 2] {
    [&stores[..3], &stores[2..]].map(|stores| {
        let timing = TimingConfig {
            interval: Duration::from_millis(100),
            stall_polls: 15,
            stop_grace: Duration::from_millis(500),
            ..Default::default()
        };
        builder(stores).timing(timing).build().unwrap()
    })
}

fn is_conflict(error: &CampaignError) -> bool {
    matches!(error, CampaignError::OtherStores { .. })
}

#[tokio::test]
async fn a_campaign_with_other_stores_than_the_leader_ends_before_it_is_elected() {
    let stores = stores(5);
    let leadership = election(&stores[..3]).campaign().await.unwrap();
    // A majority of its stores is free to be claimed at once.
    let other = election(&stores[2..]);
    let error = other.campaign().await.unwrap_err();
    assert!(is_conflict(&error), "{error}");
    assert_eq!(other.metrics().elected, 0);
    leadership.check().unwrap();
    leadership.resign().await;
}

#[tokio::test]
async fn two_that_were_elected_by_different_stores_both_end_when_the_shared_one_is_back() {
    let stores = stores(5);
    let [one, other] = both(&stores);
    let events = [one.events(), other.events()];
    let lost = async |lease: incumbent::Lease| {
        lease.lost().await;
    };
    stores[2].set_fault(Fault::Unreachable);
    let first = one.run_until(std::future::pending::<()>(), lost);
    let second = other.run_as_leader(lost);
    let thaw = async {
        for mut events in events {
            super::elected(&mut events).await;
        }
        stores[2].set_fault(None);
    };
    let ends = async { tokio::join!(first, second, thaw) };
    let ends = tokio::time::timeout(Duration::from_secs(60), ends).await;
    let (first, second, ()) = ends.expect("both end");
    let RunError::Campaign(error) = first.unwrap_err() else {
        panic!("it did not end for a conflict");
    };
    assert!(is_conflict(&error), "{error}");
    let RunError::Lost { lost, .. } = second.unwrap_err() else {
        panic!("it was not lost");
    };
    assert_eq!(lost.reason, LossReason::OtherStores);
    assert!(is_conflict(&other.conflict().unwrap()));
}
