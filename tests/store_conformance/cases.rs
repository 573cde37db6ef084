//! Every case of the small domain on which the proof judges `apply` (`tests/proof/cases.py`): the scripts of a real
//! server answer as `apply` does, and leave the same behind.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use incumbent::protocol::{
    ElectionName, MemoryId, Occupancy, Reply, Request, State, Term, Verdict, apply,
};
use incumbent::store::{self, Identity, Store, StoreOptions};

use super::fixtures::OP_TIMEOUT;
use super::support::redis::RedisServer;

#[path = "../../examples/cases/domain.rs"]
mod domain;

/// How many cases are in flight together.
const TOGETHER: usize = 500;
/// A server counts the age of a memory in milliseconds.
const UNIT: Duration = Duration::from_millis(1);

/// An election, under a prefix and with its own memory.
struct Place {
    prefix: String,
    store: Arc<dyn Store>,
}

impl Place {
    fn new(server: &RedisServer, number: usize) -> Self {
        let prefix = format!("{number}:");
        let options = StoreOptions::default()
            .op_timeout(OP_TIMEOUT)
            .key_prefix(&prefix);
        let store = store::open(&server.address(), &options).unwrap();
        Self { prefix, store }
    }

    /// The counter, the record and the memory.
    fn keys(&self) -> [String; 3] {
        let Self { prefix, .. } = self;
        [
            format!("{prefix}e"),
            format!("{{{prefix}e}}:record"),
            format!("{{{prefix}}}:memory"),
        ]
    }

    fn write(&self, pipeline: &mut redis::Pipeline, kept: &Kept) {
        let [counter, record, memory] = self.keys();
        if let Some(number) = kept.counter {
            pipeline.set(counter, number).ignore();
        }
        for (key, fields) in [(record, &kept.record), (memory, &kept.memory)] {
            if !fields.is_empty() {
                let fields: Vec<_> = fields.iter().collect();
                pipeline.hset_multiple(key, &fields).ignore();
            }
        }
    }

    fn read(&self, pipeline: &mut redis::Pipeline) {
        let [counter, record, memory] = self.keys();
        pipeline.get(counter).hgetall(record).hgetall(memory);
    }
}

/// What a server keeps of a state (docs/redis.md).
#[derive(Debug, Default, PartialEq, Eq)]
struct Kept {
    counter: Option<i64>,
    record: HashMap<String, String>,
    memory: HashMap<String, String>,
}

impl Kept {
    fn of(state: &State, place: &Place, server: &str) -> Self {
        let record = &state.record;
        let (counter, holder, window) = match &record.occupancy {
            Occupancy::Absent | Occupancy::Vacant => (None, String::new(), Duration::ZERO),
            Occupancy::Held { holder, window } => {
                (Some(record.beat.get()), holder.to_string(), *window)
            }
            Occupancy::Foreign { counter, window } => {
                (counter.map(|it| it.get()), "b".to_owned(), *window)
            }
        };
        let mut kept = Self {
            counter,
            ..Self::default()
        };
        let mut put = |name: &str, value: String| kept.record.insert(name.to_owned(), value);
        let vacant = record.occupancy == Occupancy::Vacant;
        if record.floor > Term::ZERO || vacant {
            put("floor", record.floor.to_string());
            put("term", record.term.to_string());
            put("beat", record.beat.get().to_string());
            put("holder", holder);
            put("window_ns", window.as_nanos().to_string());
        }
        if record.orders.paused.is_some() {
            put("paused", "-|a|".to_owned());
        }
        if let Some(handover) = &record.orders.handover {
            put("handover", format!("{}|anyone|", handover.term));
        }
        if let Some(memory) = state.memory {
            let MemoryId { made, nonce } = memory.id;
            let server = if state.restarted { "0" } else { server };
            let (age, floor, taken) = (memory.age.as_millis(), memory.floor, memory.taken);
            let text = format!("1 {}.{nonce} {age} {floor} {taken} {server}", made.get());
            kept.memory.insert("memory".to_owned(), text);
            if let Some(floor) = state.listed {
                let name = format!("@{}", place.keys()[0]);
                kept.memory.insert(name, floor.to_string());
            }
        }
        kept
    }
}

/// The cases that differ on a server, whose clock shows `now` in microseconds, and no one sets it.
fn cases(now: u64) -> Vec<(State, Request)> {
    let far = domain::term(now + 3_600_000_000);
    let mut states: Vec<State> = Vec::new();
    let mut known = HashSet::new();
    for state in domain::states(UNIT, far) {
        if known.insert(state.clone()) {
            states.push(state);
        }
    }
    let of = |state: &State| {
        let mut known = HashSet::new();
        let requests = domain::requests(state, UNIT).into_iter();
        let state = state.clone();
        requests
            .filter_map(move |(request, _)| {
                known
                    .insert(request.clone())
                    .then(|| (state.clone(), request))
            })
            .collect::<Vec<_>>()
    };
    states.iter().flat_map(of).collect()
}

/// What a case should have left behind, and what it did; `None` if they are the same.
fn judged(
    (state, request): &(State, Request),
    place: &Place,
    reply: &Reply,
    mut left: Kept,
    server: &str,
) -> Option<String> {
    let before = state.memory.map(|memory| memory.id);
    let fresh = match before {
        Some(id) if id == reply.memory.id => domain::id(domain::FRESH),
        _ => reply.memory.id,
    };
    let (after, verdict) = apply(state, request, fresh, reply.clock);
    let mut expected = Kept::of(&after, place, server);
    // No state shows whose counter a foreign program touched.
    expected.record.remove("holder");
    let holder = left.record.remove("holder");
    // What people read of a record is none of this.
    left.record
        .retain(|name, _| !["changed", "identity", "since"].contains(&name.as_str()));
    let same_holder = match after.record.holder() {
        Some(id) => holder.as_deref() == Some(id.as_str()),
        None => true,
    };
    let answered = verdict == reply.verdict
        && after.record == reply.record
        && after.memory == Some(reply.memory);
    (!answered || expected != left || !same_holder).then(|| {
        format!(
            "{request:?}\n on {state:?}\n is {verdict:?}, and leaves {expected:?}\n by the script {reply:?}, {left:?}"
        )
    })
}

#[tokio::test]
async fn the_scripts_do_what_the_record_function_does_in_every_small_case() {
    let server = RedisServer::start();
    let places: Vec<Place> = (0..TOGETHER).map(|it| Place::new(&server, it)).collect();
    let mut connection = server.connection();
    let id = server.info("master_replid");
    let election: ElectionName = "e".parse().unwrap();
    let who = Identity::new("case".parse().unwrap(), "host", 1, "0").unwrap();
    let time = redis::cmd("TIME").query(&mut connection);
    let (seconds, micros): (u64, u64) = time.unwrap();
    let cases = cases(seconds * 1_000_000 + micros);
    let mut verdicts = HashMap::new();
    for cases in cases.chunks(TOGETHER) {
        let mut pipeline = redis::pipe();
        pipeline.cmd("FLUSHALL").ignore();
        for ((state, _), place) in cases.iter().zip(&places) {
            place.write(&mut pipeline, &Kept::of(state, place, &id));
        }
        pipeline.query::<()>(&mut connection).unwrap();
        let asked = cases.iter().zip(&places);
        let asked =
            asked.map(|((_, request), place)| place.store.execute(&election, &who, request));
        let replies = join_all(asked).await;
        let mut pipeline = redis::pipe();
        for (_, place) in cases.iter().zip(&places) {
            place.read(&mut pipeline);
        }
        let left: Vec<redis::Value> = pipeline.query(&mut connection).unwrap();
        let left = left.chunks(3).map(|kept| Kept {
            counter: redis::from_redis_value(kept[0].clone()).unwrap(),
            record: redis::from_redis_value(kept[1].clone()).unwrap(),
            memory: redis::from_redis_value(kept[2].clone()).unwrap(),
        });
        for (((case, place), reply), left) in cases.iter().zip(&places).zip(replies).zip(left) {
            let reply = reply.unwrap();
            *verdicts
                .entry(reply.verdict == Verdict::Granted)
                .or_insert(0) += 1;
            let differs = judged(case, place, &reply, left, &id);
            assert!(differs.is_none(), "{}", differs.unwrap_or_default());
        }
    }
    println!("{} cases, granted and refused: {verdicts:?}", cases.len());
    assert!(cases.len() > 50_000 && verdicts.len() == 2, "{verdicts:?}");
}
