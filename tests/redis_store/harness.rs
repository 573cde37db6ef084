//! Every way to reach a Redis, under every fault: it is an error in time, no heartbeat is lost or counted twice,
//! and afterwards the store recovers.

use incumbent::protocol::Verdict;
use incumbent::store::{StoreAddress, StoreError};

use crate::cluster::{address_of, cluster};
use crate::election::{Election, hasty};
use crate::faults::until;
use crate::support::redis::{RedisServer, Settings};

/// Real servers, and the address by which candidates reach them.
struct Topology {
    name: &'static str,
    /// Those that keep elections.
    data: Vec<RedisServer>,
    /// Those that only know where the others are.
    _sentinels: Vec<RedisServer>,
    address: StoreAddress,
}

impl Topology {
    fn of(name: &'static str, data: Vec<RedisServer>, address: &str) -> Self {
        Self {
            name,
            data,
            _sentinels: Vec::new(),
            address: address.parse().unwrap(),
        }
    }

    async fn all() -> Vec<Self> {
        let durable = || RedisServer::settings().durable();
        let direct = durable().start();
        let url = direct.url();
        let unix = durable().start();
        let socket = unix.unix_url();
        let nodes = cluster(durable).await;
        let address = address_of(&nodes).to_string();
        vec![
            Self::of("a server", vec![direct], &url),
            Self::of("a socket", vec![unix], &socket),
            Self::sentinel(durable()).await,
            Self::of("a cluster", nodes.into(), &address),
        ]
    }

    async fn sentinel(settings: Settings) -> Self {
        let master = settings.start();
        let sentinels = [(); 3].map(|()| RedisServer::settings().sentinel("main", &master).start());
        for sentinel in &sentinels {
            until("the sentinel knows the master", async || {
                sentinel.info("master0").contains("status=ok")
            })
            .await;
        }
        let list = sentinels
            .each_ref()
            .map(|one| format!("127.0.0.1:{}", one.port()));
        Self {
            name: "a sentinel deployment",
            data: vec![master],
            _sentinels: sentinels.into(),
            address: format!("redis+sentinel://{}/main", list.join(","))
                .parse()
                .unwrap(),
        }
    }

    /// The server that keeps the election of these tests.
    fn keeper(&self) -> usize {
        let has = |server: &RedisServer| server.try_command(&["GET", "incumbent:billing"]).is_ok();
        self.data.iter().position(has).unwrap()
    }
}

/// What happens to the server that keeps the election, and the required outcome of a heartbeat meanwhile.
type Fault = (&'static str, fn(&mut RedisServer), Meanwhile);

#[derive(Clone, Copy)]
enum Meanwhile {
    /// The client makes up for it within the request, or the next one does.
    Granted,
    /// The server is away until this is done.
    Away(fn(&mut RedisServer)),
}

const FAULTS: [Fault; 5] = [
    (
        "connections are killed",
        |server| {
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        },
        Meanwhile::Granted,
    ),
    (
        "scripts are forgotten",
        |server| {
            server.command(&["SCRIPT", "FLUSH"]);
        },
        Meanwhile::Granted,
    ),
    (
        "it restarts with its data",
        RedisServer::restart,
        Meanwhile::Granted,
    ),
    (
        "it hangs",
        |server| server.freeze(),
        Meanwhile::Away(|server| server.thaw()),
    ),
    (
        "it is killed, and comes back later",
        RedisServer::kill,
        Meanwhile::Away(RedisServer::start_again),
    ),
];

#[tokio::test]
async fn every_deployment_survives_every_fault_without_losing_or_doubling_a_heartbeat() {
    let hasty = hasty();
    for mut topology in Topology::all().await {
        let a = Election::with(&topology.address, &hasty, "billing", "a");
        until("it answers", async || a.observe().await.is_ok()).await;
        a.win(7).await;
        // How many heartbeats were certainly carried out, and how many may have been.
        let (mut certain, mut unknown) = (0, 0);
        for (fault, happens, meanwhile) in FAULTS {
            let about = format!("{}: {fault}", topology.name);
            let keeper = topology.keeper();
            happens(&mut topology.data[keeper]);
            if let Meanwhile::Away(undo) = meanwhile {
                for _ in 0..3 {
                    match a.beat(7).await {
                        Err(StoreError::Unknown { .. }) => unknown += 1,
                        Err(StoreError::Unreachable { .. }) => {}
                        other => panic!("{about}: {other:?}"),
                    }
                }
                undo(&mut topology.data[keeper]);
            }
            until(&about, async || match a.beat(7).await {
                Ok(reply) => {
                    assert_eq!(reply.verdict, Verdict::Granted, "{about}: {reply:?}");
                    certain += 1;
                    true
                }
                Err(StoreError::Unknown { .. }) => {
                    unknown += 1;
                    false
                }
                Err(StoreError::Unreachable { .. } | StoreError::Unwritable { .. }) => false,
                Err(error) => panic!("{about}: {error}"),
            })
            .await;
            let beats = a.inspect().await.unwrap().record.beat.get() - 7;
            assert!(
                (certain..=certain + unknown).contains(&beats),
                "{about}: {beats} of {certain} heartbeats, and {unknown} of which nothing is known"
            );
        }
    }
}
