//! What a campaign knows from the ones before it.

use super::{election, stores};
use incumbent::{CampaignError, EventKind};

/// A campaign that follows another knows the store's memory well enough to claim at once a name that was never used,
/// or was left free. One that this process saw held a moment ago, or holds itself, is no such name.
#[tokio::test]
async fn a_name_that_was_just_seen_held_is_looked_at_before_it_is_claimed() {
    let stores = stores(1);
    let (leader, other) = (election(&stores), election(&stores));
    for election in [&other, &leader] {
        election.campaign().await.unwrap().resign().await;
    }
    let leadership = leader.campaign().await.unwrap();
    // It has seen the name free, and sees now that it is not.
    other.try_campaign().await.unwrap_err();
    let mut events = other.events();
    let mut own_events = leader.events();
    for _ in 0..3 {
        for election in [&other, &leader] {
            let error = election.try_campaign().await.unwrap_err();
            assert!(matches!(error, CampaignError::Held { .. }), "{error}");
        }
    }
    for events in [&mut events, &mut own_events] {
        let mut campaigns = 0;
        while let Ok(event) = events.try_recv() {
            let claims = matches!(event.kind, EventKind::Claiming { .. });
            assert!(!claims, "{:?}", event.kind);
            campaigns += usize::from(matches!(event.kind, EventKind::Campaigning));
        }
        assert_eq!(campaigns, 3);
    }
    leadership.resign().await;
    other.try_campaign().await.unwrap().resign().await;
}
