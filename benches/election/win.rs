//! Winning a vacant election, and resigning: one round trip each.

use std::time::Duration;

use incumbent::Election;
use incumbent::election::clock;
use incumbent::protocol::{Beat, CandidateId, Claim, Identity, LossReason, Request, Verdict};
use incumbent::store::{self, Store, StoreOptions};

use crate::raw::{self, Pair};
use crate::report::{heading, median, ratio, time};
use crate::support::redis::RedisServer;

/// The floors and what is measured take turns, so many times, so many rounds each.
const TURNS: usize = 30;
const ROUNDS: u64 = 100;

pub(crate) fn run() {
    heading("winning a vacant election on Redis, and resigning");
    let server = RedisServer::start();
    let mut nothing = Vec::new();
    let (mut bare, mut handed_over) = (Pair::default(), Pair::default());
    let (mut store, mut library) = (Pair::default(), Pair::default());
    crate::runtime().block_on(async {
        let elsewhere = raw::connect_on_another_thread(&server);
        // Options that differ keep its connection apart from that of the elections, on this thread.
        let options = StoreOptions {
            username: Some("default".to_owned()),
            password: Some("unused".into()),
            ..StoreOptions::default()
        };
        let opened = store::open(&server.address(), &options).expect("a store");
        let election = Election::builder("win")
            .store(&server.url())
            .build()
            .expect("a configuration");
        // The first leadership on a new Redis waits out a window.
        let first = election.campaign().await.expect("a leadership");
        first.resign().await;
        for _ in 0..TURNS {
            nothing.extend(raw::evalsha(&server, ROUNDS).await);
            let here = raw::connect(&server, None).await;
            raw::claim_and_release(here, ROUNDS, &mut bare).await;
            operations(opened.as_ref(), &mut store).await;
            raw::claim_and_release(elsewhere.clone(), ROUNDS, &mut handed_over).await;
            elections(&election, &mut library).await;
        }
    });
    time("an EVALSHA that does next to nothing", median(nothing));
    let [claim, release] = bare.medians();
    time("floor: a bare EVALSHA of the claim", claim);
    time("floor: a bare EVALSHA of the release", release);
    let [claimed, released] = store.medians();
    ratio(
        "the store's claim, on the thread of the caller",
        claimed,
        claim,
        1.3,
    );
    ratio(
        "the store's release, on the thread of the caller",
        released,
        release,
        1.3,
    );
    // What leads beats on a thread of its own, and whoever asks it for something is on another.
    let [claim, release] = handed_over.medians();
    time(
        "floor: the claim over a connection of another thread",
        claim,
    );
    time(
        "floor: the release over a connection of another thread",
        release,
    );
    let [won, resigned] = library.medians();
    ratio("campaign() to the leadership", won, claim, 1.3);
    ratio("resign() to its end", resigned, release, 1.3);
}

async fn operations(store: &dyn Store, times: &mut Pair) {
    let election = "store".parse().expect("a name");
    let id = CandidateId::new("bench").expect("an id");
    let who = Identity::new(id.clone(), "host", 1, "0").expect("an identity");
    let observed = store.execute(&election, &who, &Request::Observe).await;
    let mut record = observed.expect("an answer").record;
    for _ in 0..ROUNDS {
        let term = incumbent::protocol::Term::new(record.floor.get() + 1).expect("a term");
        let claim = Request::Claim(Claim {
            holder: id.clone(),
            term,
            expected: record.mark(),
            join: false,
            after: Beat::default(),
            window: Duration::from_secs(5),
        });
        let release = Request::Release {
            holder: id.clone(),
            term,
            reason: LossReason::Resigned,
        };
        for (request, times) in [(claim, &mut times.wins), (release, &mut times.ends)] {
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
}

async fn elections(election: &Election, times: &mut Pair) {
    for _ in 0..ROUNDS {
        let begin = clock::now();
        let leadership = election.campaign().await.expect("a leadership");
        times.wins.push(clock::now().since(begin));
        let begin = clock::now();
        leadership.resign().await;
        times.ends.push(clock::now().since(begin));
    }
}
