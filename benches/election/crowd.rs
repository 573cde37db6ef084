//! How many elections one process can lead: on one connection, on one core, a heartbeat a second each.
//!
//! The elections are held by a process of their own that is bound to one core; the server may use the
//! others. They beat in time when no leader's remaining tenure, which is looked at about once a second, falls short
//! of what two intervals leave of it: each then has a heartbeat acknowledged that is at most two intervals old.

use std::process::{Command, Stdio};
use std::time::Duration;

use incumbent::election::clock;
use incumbent::{Election, Leadership, Overrun};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::task::JoinSet;

use crate::report::{figure, heading};
use crate::support::redis::RedisServer;

/// The address of the server, for the process that holds the elections.
const SERVER: &str = "INCUMBENT_BENCH_CROWD";
const STEP: usize = 25_000;
const MOST: usize = 200_000;
/// How many begin their campaign at once.
const BATCH: usize = 50;
/// How long the campaigns of a step may take.
const CAMPAIGNS: Duration = Duration::from_secs(120);
const WATCHED: Duration = Duration::from_secs(10);

pub(crate) fn run() {
    heading("elections led by one process on one core, one connection, a heartbeat a second each");
    let server = RedisServer::start();
    crate::runtime().block_on(crate::prove("crowd", &server.url()));
    age(&server);
    let status = Command::new(std::env::current_exe().expect("this program"))
        .env(SERVER, server.url())
        .stdin(Stdio::null())
        .status()
        .expect("it starts");
    assert!(status.success(), "{status}");
}

/// Makes the memory of the server a day old: its leaders would otherwise vouch for it now and then.
fn age(server: &RedisServer) {
    let key = "{incumbent:}:memory";
    let memory = server.text(&["HGET", key, "memory"]);
    let mut fields: Vec<&str> = memory.split(' ').collect();
    fields[2] = "86400000";
    server.command(&["HSET", key, "memory", &fields.join(" ")]);
}

pub(crate) fn is_crowd() -> Option<String> {
    std::env::var(SERVER).ok()
}

pub(crate) fn hold(server: &str) {
    let mut one = CpuSet::new();
    one.set(0);
    sched_setaffinity(None, &one).expect("a process may keep to one core");
    let runtime = crate::runtime();
    runtime.block_on(async {
        let mut held: Vec<Leadership> = Vec::new();
        let mut kept = 0;
        while held.len() < MOST {
            let entered = tokio::time::timeout(CAMPAIGNS, enter(server, &mut held)).await;
            if entered.is_err() || !watch(&held).await {
                break;
            }
            kept = held.len();
        }
        figure(
            "elections that all beat in time, aim ≥ 100000",
            &kept.to_string(),
        );
    });
    // The elections end with the process: releasing them all is not what is measured.
    std::process::exit(0);
}

/// Wins this many more elections.
async fn enter(server: &str, held: &mut Vec<Leadership>) {
    let goal = held.len() + STEP;
    let mut campaigns = JoinSet::new();
    for number in held.len()..goal {
        let election = Election::builder(format!("crowd-{number}"))
            .store(server)
            // A leader that was lost is counted, and not a reason to end.
            .overrun(Overrun::Report)
            .build()
            .expect("a configuration");
        campaigns.spawn(async move { election.campaign().await });
        if number % BATCH == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    while let Some(won) = campaigns.join_next().await {
        held.push(won.expect("no panic").expect("a leadership"));
    }
}

/// Whether all beat in time for a while, and what it takes.
async fn watch(held: &[Leadership]) -> bool {
    let timing = incumbent::protocol::Timing::default();
    let least = timing.tenure().saturating_sub(2 * timing.interval());
    let (begin, busy) = (clock::now(), cpu_time());
    let (mut shortest, mut turn) = (timing.tenure(), 0);
    while clock::now().since(begin) < WATCHED {
        // Each is looked at about once a second: this is the same core.
        for leadership in held.iter().skip(turn % 4).step_by(4) {
            shortest = shortest.min(leadership.remaining());
        }
        turn += 1;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let share = (cpu_time() - busy).as_secs_f64() / clock::now().since(begin).as_secs_f64();
    let late = timing.tenure().saturating_sub(shortest);
    figure(
        &format!(
            "{} elections: age of the oldest lease, core in use",
            held.len()
        ),
        &format!("{:.2} s, {:.0} %", late.as_secs_f64(), share * 100.0),
    );
    shortest >= least
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}
