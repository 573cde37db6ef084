//! A process that takes part in handovers: a candidate, or a client that does the same by hand.
//!
//! It takes orders as single bytes on its standard input, and prints on its standard output what came
//! of it and when: `won NUMBER NANOSECONDS` or `gave NUMBER NANOSECONDS`, on the clock that all processes
//! of the machine share.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use incumbent::Election;
use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, PushKind, Script};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::raw;

/// Set for such a process: its kind, its number, and the address of the server.
const ROLE: &str = "ELECTION_BENCH_CANDIDATE";

/// Stand by, and win.
pub(crate) const CAMPAIGN: u8 = b'c';
/// Give up what was won.
pub(crate) const RESIGN: u8 = b'r';

/// How a process takes part.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Elected,
    ByHand,
    /// By hand as well, by a thread that the caller asks, as it asks that of the elections.
    ByThread,
}

pub(crate) fn command(kind: Kind, number: usize, server: &str) -> Command {
    let kind = match kind {
        Kind::Elected => "elected",
        Kind::ByHand => "by-hand",
        Kind::ByThread => "by-thread",
    };
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .env(ROLE, format!("{kind} {number} {server}"))
        .stdin(Stdio::piped());
    command
}

/// The role that this process was started for, if it was for one.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

pub(crate) fn play(role: &str) {
    let mut words = role.split(' ');
    let mut next = || words.next().expect("a kind, a number and an address");
    let (kind, number, server) = (next(), next(), next());
    crate::runtime().block_on(async {
        let input = std::io::stdin().as_fd().try_clone_to_owned();
        let orders = pipe::Receiver::from_owned_fd(input.expect("an input")).expect("a pipe");
        match kind {
            "elected" => elected(number, server, orders).await,
            "by-thread" => ask_a_thread(number, server, orders).await,
            _ => {
                let asked = Asked::ByItself { number, orders };
                ByHand::start(kind, server).await.play(asked).await;
            }
        }
    });
}

fn say(what: &str, number: &str, when: Timestamp) {
    println!("{what} {number} {}", when.as_nanos());
}

async fn elected(number: &str, server: &str, mut orders: pipe::Receiver) {
    let election = Election::builder("handover").store(server).build();
    let election = election.expect("a configuration");
    while let Ok(CAMPAIGN) = orders.read_u8().await {
        let leadership = election.campaign().await.expect("a leadership");
        say("won", number, clock::now());
        let Ok(RESIGN) = orders.read_u8().await else {
            return;
        };
        let begin = clock::now();
        leadership.resign().await;
        say("gave", number, begin);
    }
}

/// Hands each order to a thread that has the connections, and waits for its result.
async fn ask_a_thread(number: &str, server: &str, mut orders: pipe::Receiver) {
    let (order, asked) = mpsc::unbounded_channel();
    let (tells, mut told) = mpsc::unbounded_channel();
    let server = server.to_owned();
    std::thread::spawn(move || {
        crate::runtime().block_on(async {
            let client = ByHand::start("by-thread", &server).await;
            let (orders, tells) = (asked, tells);
            client.play(Asked::ByAnother { orders, tells }).await;
        });
    });
    while let Ok(wanted) = orders.read_u8().await {
        let begin = clock::now();
        order.send(wanted).expect("the thread runs");
        let what = told.recv().await.expect("the thread runs");
        let when = if wanted == RESIGN {
            begin
        } else {
            clock::now()
        };
        say(what, number, when);
    }
}

// The client's side.
enum Asked<'a> {
    ByItself {
        number: &'a str,
        orders: pipe::Receiver,
    },
    ByAnother {
        orders: mpsc::UnboundedReceiver<u8>,
        tells: mpsc::UnboundedSender<&'static str>,
    },
}

impl Asked<'_> {
    /// The next order, or `None` after the last.
    async fn order(&mut self) -> Option<u8> {
        match self {
            Self::ByItself { orders, .. } => orders.read_u8().await.ok(),
            Self::ByAnother { orders, .. } => orders.recv().await,
        }
    }

    fn say(&self, what: &'static str, when: Timestamp) {
        match self {
            Self::ByItself { number, .. } => say(what, number, when),
            Self::ByAnother { tells, .. } => tells.send(what).expect("it is waited for"),
        }
    }
}

/// The same without an election: a script deletes a key and publishes, and each subscriber answers with
/// `SETNX`.
struct ByHand {
    key: String,
    channel: String,
    release: Script,
    connection: MultiplexedConnection,
    /// Keeps the subscription.
    _subscribed: MultiplexedConnection,
    pushed: mpsc::UnboundedReceiver<redis::PushInfo>,
}

impl ByHand {
    /// Of the clients of this `kind`.
    async fn start(kind: &str, server: &str) -> Self {
        let (key, channel) = (format!("{kind}:lock"), format!("{kind}:events"));
        let (pushes, pushed) = mpsc::unbounded_channel();
        let mut subscribed = raw::connect(server, Some(pushes)).await;
        let subscription = subscribed.subscribe(&channel).await;
        subscription.expect("a subscription");
        Self {
            key,
            channel,
            release: Script::new(
                "redis.call('DEL', KEYS[1]) redis.call('PUBLISH', ARGV[1], 'released') return 1",
            ),
            connection: raw::connect(server, None).await,
            _subscribed: subscribed,
            pushed,
        }
    }

    async fn play(mut self, mut asked: Asked<'_>) {
        let mut waits = false;
        loop {
            let looks = tokio::select! {
                order = asked.order() => match order {
                    Some(CAMPAIGN) => true,
                    Some(RESIGN) => {
                        let begin = clock::now();
                        self.release().await;
                        asked.say("gave", begin);
                        false
                    }
                    _ => return,
                },
                Some(push) = self.pushed.recv() => waits && push.kind == PushKind::Message,
            };
            if looks {
                let taken = self.connection.set_nx(&self.key, std::process::id()).await;
                let taken = taken.expect("an answer");
                if taken {
                    asked.say("won", clock::now());
                }
                waits = !taken;
            }
        }
    }

    async fn release(&mut self) {
        let mut call = self.release.key(&self.key);
        let released = call.arg(&self.channel).invoke_async(&mut self.connection);
        let _one: i64 = released.await.expect("an answer");
    }
}
