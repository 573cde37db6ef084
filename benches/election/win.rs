//! Winning a vacant election, and resigning: one round trip each.

use incumbent::Election;
use incumbent::election::clock;
use incumbent::protocol::{Beat, CandidateId, Claim, Identity, Request, Verdict};
use incumbent::store::{self, Store, StoreOptions};

use crate::raw;
use crate::report::{heading, median, ratio, time};
use crate::support::redis::RedisServer;

const ROUNDS: usize = 3000;

pub(crate) fn run() {
    heading("winning a vacant election on Redis, and resigning");
    let server = RedisServer::start();
    let runtime = crate::runtime();
    let least = runtime.block_on(raw::evalsha(&server, ROUNDS));
    time("an EVALSHA that does next to nothing", least);
    let floor = runtime.block_on(raw::claim(&server, ROUNDS));
    time("floor: EVALSHA of the claim through the same client", floor);
    runtime.block_on(async {
        let options = StoreOptions::default();
        let address = server.address();
        let store = store::open(&address, &options).expect("a store");
        let (claim, release) = operations(store.as_ref()).await;
        ratio("the store alone: claim", claim, floor, 1.3);
        ratio("the store alone: release", release, floor, 1.3);
    });
    let (win, resign) = runtime.block_on(elections(&server));
    ratio("campaign() beside that EVALSHA", win, least, 1.3);
    ratio("resign() beside that EVALSHA", resign, least, 1.3);
    ratio("campaign() to the leadership", win, floor, 1.3);
    ratio("resign() to its end", resign, floor, 1.3);
    let floor = runtime.block_on(raw::claim(&server, ROUNDS));
    time("floor, measured again", floor);
}

async fn operations(store: &dyn Store) -> (std::time::Duration, std::time::Duration) {
    let election = "store".parse().expect("a name");
    let id = CandidateId::new("bench").expect("an id");
    let who = Identity::new(id.clone(), "host", 1, "0").expect("an identity");
    let observed = store.execute(&election, &who, &Request::Observe).await;
    let mut record = observed.expect("an answer").record;
    let (mut claims, mut releases) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let term = incumbent::protocol::Term::new(record.floor.get() + 1).expect("a term");
        let claim = Request::Claim(Claim {
            holder: id.clone(),
            term,
            expected: record.mark(),
            join: false,
            after: Beat::default(),
            window: std::time::Duration::from_secs(5),
        });
        let release = Request::Release {
            holder: id.clone(),
            term,
        };
        for (request, times) in [(claim, &mut claims), (release, &mut releases)] {
            let begin = clock::now();
            let reply = store
                .execute(&election, &who, &request)
                .await
                .expect("an answer");
            times.push(clock::now().since(begin));
            assert_eq!(reply.verdict, Verdict::Granted);
            record = reply.record;
        }
    }
    (median(claims), median(releases))
}

async fn elections(server: &RedisServer) -> (std::time::Duration, std::time::Duration) {
    let election = Election::builder("win")
        .store(&server.url())
        .build()
        .expect("a configuration");
    // The first leadership on a new Redis waits out a window.
    let first = election.campaign().await.expect("a leadership");
    first.resign().await;
    let (mut wins, mut resignations) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = clock::now();
        let leadership = election.campaign().await.expect("a leadership");
        wins.push(clock::now().since(begin));
        let begin = clock::now();
        leadership.resign().await;
        resignations.push(clock::now().since(begin));
    }
    (median(wins), median(resignations))
}
