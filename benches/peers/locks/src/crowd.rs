//! Many processes that want one lock, each for a millisecond of work.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use incumbent::election::clock;

use crate::server::Server;

/// Set in such a process: the kind of its lock, the address of its server, and for how many milliseconds it goes on.
const MEMBER: &str = "LOCKS_BENCH_MEMBER";
const MEMBERS: usize = 20;
const WORK: Duration = Duration::from_millis(1);

pub fn run(time: Duration) {
    println!("{MEMBERS} processes on one lock, {WORK:?} of work each, for {time:?}");
    let server = Server::start();
    crate::runtime().block_on(async { drop(crate::locks(&server.url()).await) });
    server.grow_old();
    for kind in ["incumbent", "rslock"] {
        let members: Vec<Child> = (0..MEMBERS)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .env(
                        MEMBER,
                        format!("{kind} {} {}", server.url(), time.as_millis()),
                    )
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        // When a turn began, whose it was, and how long that member had waited.
        let mut turns: Vec<(u64, usize, f64)> = Vec::new();
        let mut fewest = usize::MAX;
        for (number, mut member) in members.into_iter().enumerate() {
            let lines = BufReader::new(member.stdout.take().unwrap()).lines();
            let before = turns.len();
            turns.extend(lines.map(|line| {
                let line = line.unwrap();
                let (at, wait) = line.split_once(' ').unwrap();
                (at.parse().unwrap(), number, wait.parse().unwrap())
            }));
            fewest = fewest.min(turns.len() - before);
            assert!(member.wait().unwrap().success());
        }
        turns.sort_by_key(|(at, ..)| *at);
        let handovers = turns.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        let handovers = handovers.count();
        let mut waits: Vec<f64> = turns.iter().map(|(.., wait)| *wait).collect();
        waits.sort_by(f64::total_cmp);
        let median = waits[waits.len() / 2];
        let longest = waits[waits.len() - 1];
        println!(
            "{kind:<16} {:>7.0} turns a second, {:.0} of them after another process; wait: median {median:.1} ms, \
             longest {longest:.1} ms, {:.1} times as long; the unluckiest got {fewest} turns of {}",
            waits.len() as f64 / time.as_secs_f64(),
            handovers as f64 / time.as_secs_f64(),
            longest / median,
            waits.len(),
        );
    }
}

/// Takes part, if this process was started for that.
pub fn is_member() -> bool {
    let Ok(role) = std::env::var(MEMBER) else {
        return false;
    };
    let words: Vec<&str> = role.split(' ').collect();
    let (kind, url) = (words[0], words[1]);
    let time = Duration::from_millis(words[2].parse().unwrap());
    let mut waits = Vec::new();
    crate::runtime().block_on(async {
        match kind {
            "incumbent" => {
                let locks = crate::locks(url).await;
                let lock = locks.lock("crowd").unwrap();
                let begun = Instant::now();
                while begun.elapsed() < time {
                    let asked = Instant::now();
                    let guard = lock.acquire().await.unwrap();
                    waits.push((clock::now(), asked.elapsed()));
                    std::thread::sleep(WORK);
                    guard.release().await;
                }
            }
            _ => {
                let rslock = rslock::LockManager::new(vec![url]);
                let begun = Instant::now();
                while begun.elapsed() < time {
                    let asked = Instant::now();
                    let Ok(held) = rslock.lock(b"rslock:crowd", Duration::from_secs(5)).await
                    else {
                        continue;
                    };
                    waits.push((clock::now(), asked.elapsed()));
                    std::thread::sleep(WORK);
                    rslock.unlock(&held).await;
                }
            }
        }
    });
    for (at, wait) in waits {
        println!("{} {}", at.as_nanos(), wait.as_secs_f64() * 1e3);
    }
    true
}
