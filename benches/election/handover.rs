//! A clean handover: from the resign call to the work of a standby. No poll is in its path.
//!
//! The floor is the same by hand: a script deletes a key and publishes, and each of the waiting clients
//! answers the message with `SETNX`, until one has the key. Every candidate and every client is a process of
//! its own. They take turns on one server with as many subscribers each, so that whatever else the machine
//! does affects all of them equally. A second floor uses a separate thread for the connections, as the elections do for
//! their heartbeats: requests and results cross threads.

use std::io::{BufRead, BufReader, PipeReader, Write, pipe};
use std::process::{Child, ChildStdin};
use std::thread::sleep;
use std::time::Duration;

use crate::candidate::{self, CAMPAIGN, Kind, RESIGN};
use crate::report::{heading, median};
use crate::setups::{self, Setups};
use crate::support::redis::RedisServer;

const SETUPS: usize = 12;
/// How often each hands over in a setup.
const ROUNDS: usize = 30;
/// How long a new leader works, so that all others are standbys again.
const TURN: Duration = Duration::from_millis(20);
/// How long it takes until all are standbys for the first time.
const BEGINNING: Duration = Duration::from_secs(1);

const FLOOR: &str = "floor: PUBLISH to SETNX";
const ASKED: &str = "floor: the same by a thread that is asked";
const HANDOVER: &str = "resign() to the work of the next";

pub(crate) fn run() {
    for standbys in ["1", "50"] {
        heading(&format!("clean handover on Redis, {standbys} standing by"));
        let setups = Setups::run(standbys, SETUPS);
        setups.time(FLOOR);
        setups.ratio(HANDOVER, FLOOR, 2.0);
        setups.time(ASKED);
        setups.ratio(HANDOVER, ASKED, 2.0);
    }
}

/// Measures with this many standbys.
pub(crate) fn measure(standbys: &str) {
    let standbys = standbys.parse().expect("a number");
    let server = RedisServer::start();
    crate::runtime().block_on(crate::prove("handover", &server.url()));
    let kinds = [Kind::ByHand, Kind::ByThread, Kind::Elected];
    let mut companies = kinds.map(|kind| Company::start(kind, standbys, &server));
    sleep(BEGINNING);
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (company, times) in companies.iter_mut().zip(&mut times) {
            times.push(company.hand_over());
            sleep(TURN);
        }
    }
    let [floor, asked, handover] = times.map(median);
    setups::hand_back(&[(FLOOR, floor), (ASKED, asked), (HANDOVER, handover)]);
}

/// The processes among which something is handed over.
struct Company {
    members: Vec<Member>,
    said: BufReader<PipeReader>,
    leader: usize,
}

struct Member {
    process: Child,
    orders: ChildStdin,
}

impl Company {
    fn start(kind: Kind, standbys: usize, server: &RedisServer) -> Self {
        let (said, says) = pipe().expect("a pipe");
        let member = |number| {
            let says = says.try_clone().expect("a pipe");
            let mut command = candidate::command(kind, number, &server.url());
            let mut process = command.stdout(says).spawn().expect("it starts");
            let orders = process.stdin.take().expect("its input");
            Member { process, orders }
        };
        let mut company = Self {
            members: (0..=standbys).map(member).collect(),
            said: BufReader::new(said),
            leader: 0,
        };
        for number in 0..=standbys {
            company.order(number, CAMPAIGN);
        }
        (_, company.leader, _) = company.next();
        company
    }

    fn hand_over(&mut self) -> Duration {
        let last = self.leader;
        self.order(last, RESIGN);
        let mut said = [self.next(), self.next()];
        said.sort_unstable();
        let [(gave, _, begin), (won, next, began)] = said;
        assert_eq!([gave.as_str(), won.as_str()], ["gave", "won"]);
        self.leader = next;
        // The one that resigned stands by again only now, or it would win its own election.
        self.order(last, CAMPAIGN);
        Duration::from_nanos(began - begin)
    }

    fn order(&mut self, number: usize, order: u8) {
        let told = self.members[number].orders.write_all(&[order]);
        told.expect("it runs");
    }

    /// The next line that any of them prints, which one it was, and the moment it was printed.
    fn next(&mut self) -> (String, usize, u64) {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line of text");
        let mut words = line.split_whitespace();
        let mut next = || words.next().expect("what, who and when");
        let (what, number, when) = (next(), next(), next());
        (
            what.to_owned(),
            number.parse().expect("a number"),
            when.parse().expect("nanoseconds"),
        )
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        for Member { process, .. } in &mut self.members {
            process.kill().expect("it was started");
            process.wait().expect("it ends");
        }
    }
}
