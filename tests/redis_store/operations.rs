//! The four operations as they stand in the keys.

use incumbent::protocol::{Occupancy, Record, Verdict};

use crate::election::Election;
use crate::support::redis::RedisServer;

#[tokio::test]
async fn the_counter_stands_on_the_key_while_the_election_is_held() {
    let server = RedisServer::start();
    let a = Election::new(&server.address(), "a");

    let seen = a.observe().await.unwrap();
    assert_eq!(seen.record, Record::ABSENT);
    let held = a.win(7).await;
    assert_eq!(held.record.holder(), Some(a.who.id()));
    assert!(
        held.memory.age.is_zero(),
        "a Redis may have forgotten a leader"
    );
    assert_eq!(server.text(&["GET", "incumbent:billing"]), "7");

    let beaten = a.beat(7).await.unwrap();
    assert_eq!(beaten.verdict, Verdict::Granted);
    assert_eq!(server.text(&["GET", "incumbent:billing"]), "8");
    assert_eq!(
        server.text(&["HGET", "{incumbent:billing}:record", "beat"]),
        "8"
    );

    let b = a.rival("b");
    assert_eq!(b.beat(7).await.unwrap().verdict, Verdict::Refused);
    assert_eq!(b.release(7).await.unwrap().verdict, Verdict::Refused);
    assert_eq!(
        b.claim(9, held.mark()).await.unwrap().verdict,
        Verdict::Refused
    );

    let vacant = a.release(7).await.unwrap();
    assert_eq!(vacant.verdict, Verdict::Granted);
    assert_eq!(vacant.record.occupancy, Occupancy::Vacant);
    assert_eq!(server.text(&["EXISTS", "incumbent:billing"]), "0");
    b.win(9).await;
    let inspection = b.inspect().await.unwrap();
    assert_eq!(inspection.holder, Some(b.who.clone()));
    // A candidate that has released does not campaign any more.
    assert_eq!(inspection.candidates.len(), 1);
    let history = b.store.history(&b.name, 10).await.unwrap();
    assert_eq!(history.len(), 3, "{history:?}");
}
