//! Winning a vacant election, and resigning: one round trip each.

use std::time::Duration;

use incumbent::Election;
use incumbent::election::clock;
use incumbent::protocol::{Beat, CandidateId, Claim, ClaimKind, LossReason, Request, Verdict};
use incumbent::store::Identity;
use incumbent::store::{self, Store, StoreOptions};

use crate::raw::{self, Pair};
use crate::report::{heading, median};
use crate::setups::{self, Setups};
use crate::support::redis::RedisServer;

/// What a setup gets as instructions to measure this.
pub(crate) const PART: &str = "win";
const SETUPS: usize = 15;
/// A setup alternates between the floors and the measurement: this many turns, of this many rounds each.
const TURNS: usize = 10;
const ROUNDS: u64 = 50;

const NOTHING: &str = "an EVALSHA that does next to nothing";
const BARE: [&str; 2] = [
    "floor: a bare EVALSHA of the claim",
    "floor: a bare EVALSHA of the release",
];
const STORE: [&str; 2] = [
    "the store's claim, on the thread of the caller",
    "the store's release, on the thread of the caller",
];
const ELSEWHERE: [&str; 2] = [
    "floor: the claim over a connection of another thread",
    "floor: the release over a connection of another thread",
];
const LIBRARY: [&str; 2] = ["campaign() to the leadership", "resign() to its end"];

pub(crate) fn run() {
    heading("winning a vacant election on Redis, and resigning");
    let setups = Setups::run(PART, SETUPS);
    setups.time(NOTHING);
    BARE.into_iter().for_each(|name| setups.time(name));
    for (name, floor) in STORE.into_iter().zip(BARE) {
        setups.ratio(name, floor, 1.3);
    }
    // The leader beats on one thread, and its caller is on another.
    ELSEWHERE.into_iter().for_each(|name| setups.time(name));
    for (name, floor) in LIBRARY.into_iter().zip(ELSEWHERE) {
        setups.ratio(name, floor, 1.3);
    }
}

pub(crate) fn measure() {
    let server = RedisServer::start();
    let mut nothing = Vec::new();
    let (mut bare, mut elsewhere) = (Pair::default(), Pair::default());
    let (mut store, mut library) = (Pair::default(), Pair::default());
    crate::runtime().block_on(async {
        let here = raw::connect(&server.url(), None).await;
        let there = raw::connect_on_another_thread(&server);
        // Options that differ keep its connection apart from that of the elections, on this thread.
        let options = StoreOptions::default()
            .username("default")
            .password("unused");
        let opened = store::open(&server.address(), &options).expect("a store");
        crate::prove("win", &server.url()).await;
        let election = Election::builder("win").store(server.url()).build();
        let election = election.expect("a configuration");
        for _ in 0..TURNS {
            nothing.extend(raw::evalsha(here.clone(), ROUNDS).await);
            raw::claim_and_release(here.clone(), ROUNDS, &mut bare).await;
            operations(opened.as_ref(), &mut store).await;
            raw::claim_and_release(there.clone(), ROUNDS, &mut elsewhere).await;
            elections(&election, &mut library).await;
        }
    });
    let mut measured = vec![(NOTHING, median(nothing))];
    for (names, pair) in [
        (BARE, bare),
        (STORE, store),
        (ELSEWHERE, elsewhere),
        (LIBRARY, library),
    ] {
        measured.extend(names.into_iter().zip(pair.medians()));
    }
    setups::hand_back(&measured);
}

async fn operations(store: &dyn Store, times: &mut Pair) {
    let election = "store".parse().expect("a name");
    let id = CandidateId::new("bench").expect("an id");
    let who = Identity::new(id.clone(), "host", 1, "0").expect("an identity");
    let observed = store.execute(&election, &who, &Request::Observe).await;
    let mut seen = observed.expect("an answer");
    for _ in 0..ROUNDS {
        let term =
            incumbent::protocol::FencingToken::new(seen.record.floor.get() + 1).expect("a term");
        let claim = Request::Claim(Claim {
            holder: id.clone(),
            term,
            expected: seen.mark(),
            kind: ClaimKind::Shared,
            after: Beat::default(),
            window: Duration::from_secs(5),
            attested: None,
            ephemeral: false,
        });
        let release = Request::Release {
            holder: id.clone(),
            term,
            reason: LossReason::Resigned,
            delete: false,
        };
        for (request, times) in [(claim, &mut times.wins), (release, &mut times.ends)] {
            let begin = clock::now();
            let reply = store
                .execute(&election, &who, &request)
                .await
                .expect("an answer");
            times.push(clock::now().since(begin));
            assert_eq!(reply.verdict, Verdict::Granted);
            seen = reply;
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
