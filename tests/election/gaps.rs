//! The time without a leader, and a wait that ends without a leadership.

use super::*;

#[tokio::test]
async fn the_time_without_a_leader_goes_on_from_one_campaign_to_the_next() {
    const PAUSE: Duration = Duration::from_millis(300);
    let stores = stores(1);
    let one = election(&stores);
    let mut events = one.events();
    let first = one.campaign().await.unwrap();
    elected(&mut events).await;
    let ending = clock::now();
    first.resign().await;
    let ended = clock::now();
    tokio::time::sleep(PAUSE).await;
    let waited = clock::now().since(ended);
    let second = one.campaign().await.unwrap();
    let at_most = clock::now().since(ending);
    let gap = one.metrics().leaderless;
    assert!(
        gap >= waited && gap <= at_most,
        "{waited:?} {gap:?} {at_most:?}"
    );
    let told = loop {
        if let EventKind::Elected { leaderless, .. } = events.recv().await.unwrap().kind {
            break leaderless;
        }
    };
    assert_eq!(told, Some(gap), "the log reports it too");

    // While someone else led it did not go on, however long that was.
    second.resign().await;
    let other = election(&stores);
    let elsewhere = other.campaign().await.unwrap();
    let led = clock::now();
    tokio::time::sleep(PAUSE).await;
    let waiting = tokio::spawn(async move {
        let third = one.campaign().await.unwrap();
        (one, third)
    });
    let standby = |view: incumbent::observe::ElectionView| view.candidates.len() == 2;
    while !standby(other.status().await) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let led = clock::now().since(led);
    elsewhere.resign().await;
    let (one, third) = waiting.await.unwrap();
    let gap = one.metrics().leaderless - gap;
    assert!(gap < led, "{gap:?} of {led:?}");
    third.resign().await;
}

#[tokio::test]
async fn a_campaign_that_ends_before_anybody_leads_leaves_its_gap_to_the_next() {
    let stores = stores(1);
    let (leading, waiting) = (election(&stores), election(&stores));
    let leadership = leading.campaign().await.unwrap();
    let mut events = waiting.events();
    let mut happens = async |wanted: fn(&EventKind) -> bool| {
        while !wanted(&events.recv().await.unwrap().kind) {}
    };
    let campaigning = waiting.clone();
    let campaign = tokio::spawn(async move { campaigning.campaign().await });
    happens(|it| matches!(it, EventKind::Following { .. })).await;
    // So that no one can be elected when the leader has gone.
    leading.operator().pause(None, None).await.unwrap();
    leadership.resign().await;
    happens(|it| matches!(it, EventKind::Leaderless { .. })).await;
    let seen = clock::now();
    campaign.abort();
    assert!(campaign.await.unwrap_err().is_cancelled());
    waiting.finished().await;
    assert_eq!(
        waiting.metrics().leaderless,
        Duration::ZERO,
        "it is not over"
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    let unled = clock::now().since(seen);
    leading.operator().resume().await.unwrap();
    let leadership = waiting.campaign().await.unwrap();
    let gap = waiting.metrics().leaderless;
    assert!(gap >= unled, "{gap:?}, and no one led for {unled:?}");
    leadership.resign().await;
}

#[tokio::test]
async fn a_wait_that_is_shorter_than_the_probation_says_so_and_names_no_holder() {
    let store = Arc::new(MemoryStore::forgetful("new"));
    let election = builder(std::slice::from_ref(&store)).build().unwrap();
    let wait = Duration::from_millis(500);
    let error = election.campaign_timeout(wait).await.unwrap_err();
    assert!(!error.is_held(), "{error}");
    let window = election.timing().window();
    assert!(
        matches!(error, CampaignError::NotYet { probation: Some(it), .. } if it == window),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("no other candidate holds it"),
        "{error}"
    );
}

/// The last thing that a candidate on probation needs is a store that answers, so what keeps that from it shows.
#[tokio::test]
async fn a_wait_that_ends_in_a_probation_names_the_store_that_failed_meanwhile() {
    let store = Arc::new(MemoryStore::forgetful("new"));
    let election = builder(std::slice::from_ref(&store)).build().unwrap();
    let mut events = election.events();
    let wait = Duration::from_millis(2500);
    let (outcome, ()) = tokio::join!(election.campaign_timeout(wait), async {
        while !matches!(
            events.recv().await.unwrap().kind,
            EventKind::Probation { .. }
        ) {}
        store.set_fault(Fault::Unreachable);
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, CampaignError::NotYet { .. }), "{error:?}");
    assert!(
        error.to_string().contains("a test has made it unreachable"),
        "{error}"
    );
}

/// A standby sees the end of an outage, and not the end of the leader in it.
#[tokio::test]
async fn the_time_without_a_leader_includes_the_outage_that_ended_the_last_one() {
    for forgets in [false, true] {
        let store = Arc::new(MemoryStore::new("away"));
        let enter = || {
            let builder = Election::builder("billing").store_object(store.clone());
            builder.timing(fast()).build().unwrap()
        };
        let (leading, waiting) = (enter(), enter());
        let leadership = leading.campaign().await.unwrap();
        let mut events = waiting.events();
        let campaigning = waiting.clone();
        let campaign = tokio::spawn(async move { campaigning.campaign().await.unwrap() });
        while !matches!(
            events.recv().await.unwrap().kind,
            EventKind::Following { .. }
        ) {}
        store.set_fault(Some(Fault::Unreachable));
        let away = clock::now();
        leadership.lease().lost().await;
        leadership.resign().await;
        tokio::time::sleep(waiting.timing().window()).await;
        if forgets {
            store.put(waiting.name(), Record::ABSENT);
        }
        let away = clock::now().since(away);
        store.set_fault(None);
        let successor = campaign.await.unwrap();
        let gap = waiting.metrics().leaderless;
        assert!(gap >= away, "{gap:?}, and the store was away for {away:?}");
        successor.resign().await;
    }
}
