//! Orders that an operator gives while the leader leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use incumbent::Election;
use incumbent::election::OrderError;
use incumbent::protocol::{Beat, FencingToken, Occupancy, Record, Request};
use incumbent::store::{MemoryStore, StoreError};

use super::fast;
use super::hooked::{Hook, Hooked};

/// The holder of the record of `billing` releases it before this look, long before a window is over.
const RELEASES_BEFORE: usize = 6;

struct Leaving {
    store: Arc<MemoryStore>,
    looks: AtomicUsize,
}

impl Hook for Leaving {
    fn before(&self, _: &str, _: &Request) -> Result<(), StoreError> {
        Ok(())
    }

    fn before_look(&self) {
        if self.looks.fetch_add(1, Ordering::Relaxed) + 1 == RELEASES_BEFORE {
            let billing = "billing".parse().unwrap();
            self.store.put(&billing, record(Occupancy::Vacant));
        }
    }
}

fn record(occupancy: Occupancy) -> Record {
    let term = FencingToken::new(1).unwrap();
    Record {
        floor: term,
        term,
        beat: Beat::new(1),
        occupancy,
        ..Record::ABSENT
    }
}

#[tokio::test]
async fn a_leader_that_releases_while_it_is_being_deposed_is_not_held_to_be_alive() {
    let store = Arc::new(MemoryStore::new("left"));
    let held = Occupancy::Held {
        holder: "a".parse().unwrap(),
        window: fast().interval * fast().stall_polls,
    };
    store.put(&"billing".parse().unwrap(), record(held));
    let hook = Leaving {
        store: Arc::clone(&store),
        looks: AtomicUsize::new(0),
    };
    let builder = Election::builder("billing").store_object(Hooked { store, hook });
    let operator = builder.timing(fast()).build().unwrap().operator();
    let refused = operator.depose().await.unwrap_err();
    assert!(matches!(refused, OrderError::NotHeld { .. }), "{refused}");
}
