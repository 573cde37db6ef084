//! The locks of this project beside those of rslock, and beside the bare `EVALSHA`s of their own scripts.
//!
//! ```sh
//! cd benches/peers/locks && cargo run --release                          # acquire many crowd
//! cd benches/peers/locks && cargo run --release -- many 1000000          # a part of it, with its size
//! ```
//!
//! Each kind is measured in turn in the same process, on the same server, at its best: a runtime of one thread, one
//! connection that is open already, and a lock that is free. It starts its own redis-server, prints medians and
//! asserts nothing.

mod bare;
mod crowd;
mod server;

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use incumbent::lock::Locks;
use tokio::runtime::{Builder, Runtime};

use self::bare::Bare;
use self::server::Server;

/// Set in a process that measures one setup: the address of its server.
const SETUP: &str = "LOCKS_BENCH_SETUP";
const SETUPS: usize = 9;
/// A setup alternates between the kinds: this many turns, of this many rounds each.
const TURNS: usize = 10;
const ROUNDS: usize = 100;
/// How many locks are in use at a time, of many.
const AT_ONCE: usize = 16;

fn main() {
    if let Ok(url) = std::env::var(SETUP) {
        return runtime().block_on(setup(&url));
    }
    if crowd::is_member() {
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| words.is_empty() || words[0] == part;
    let size = |default: usize| words.get(1).map_or(default, |size| size.parse().unwrap());
    if wanted("acquire") {
        acquire(size(SETUPS));
    }
    if wanted("many") {
        many(size(100_000));
    }
    if wanted("crowd") {
        crowd::run(Duration::from_secs(size(10) as u64));
    }
}

pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A client that has acquired and released before.
pub async fn locks(url: &str) -> Locks {
    let locks = Locks::builder().store(url).build().unwrap();
    for name in ["first", "second"] {
        locks
            .lock(name)
            .unwrap()
            .acquire()
            .await
            .unwrap()
            .release()
            .await;
    }
    locks
}

fn acquire(setups: usize) {
    println!("one lock, free: acquiring and releasing it, in {setups} setups");
    let mut rows: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
    for _ in 0..setups {
        let server = Server::start();
        runtime().block_on(async { drop(locks(&server.url()).await) });
        server.grow_old();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .env(SETUP, server.url())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut floor = None;
        for line in text.lines() {
            let mut fields = line.split('\t');
            let name = fields.next().unwrap().to_owned();
            let micros: f64 = fields.next().unwrap().parse().unwrap();
            let floor = *floor.get_or_insert(micros);
            match rows.iter_mut().find(|row| row.0 == name) {
                Some(row) => {
                    row.1.push(micros);
                    row.2.push(micros / floor);
                }
                None => rows.push((name, vec![micros], vec![micros / floor])),
            }
        }
    }
    println!("{:<48} {:>8} {:>22}", "", "median", "ratio to the first");
    for (name, micros, ratios) in rows {
        let [low, middle, high] = quartiles(ratios);
        let micros = quartiles(micros)[1];
        println!("{name:<48} {micros:>5.1} µs {middle:>8.2} ({low:.2} to {high:.2})");
    }
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

/// The times of one kind: to acquire, and to release.
#[derive(Default)]
pub struct Times {
    acquire: Vec<Duration>,
    release: Vec<Duration>,
}

impl Times {
    fn add(&mut self, begun: Instant, acquired: Instant, released: Instant) {
        self.acquire.push(acquired - begun);
        self.release.push(released - acquired);
    }

    fn print(self, name: &str) {
        for (what, times) in [("acquire", self.acquire), ("release", self.release)] {
            let micros = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
            println!("{name}: {what}\t{}", quartiles(micros)[1]);
        }
    }
}

async fn setup(url: &str) {
    let mut bare = Bare::connect(url).await;
    let locks = locks(url).await;
    let lock = locks.lock("order:42").unwrap();
    let rslock = rslock::LockManager::new(vec![url]);
    let mut times: [Times; 5] = Default::default();
    let mut nothing = Vec::new();
    for _ in 0..TURNS {
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            bare.nothing().await;
            nothing.push(begun.elapsed());
        }
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let token = bare.claim("bare").await;
            let acquired = Instant::now();
            bare.release("bare", &token).await;
            times[0].add(begun, acquired, Instant::now());
        }
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let guard = lock.acquire().await.unwrap();
            let acquired = Instant::now();
            guard.release().await;
            times[1].add(begun, acquired, Instant::now());
        }
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            bare.set("plain").await;
            let acquired = Instant::now();
            bare.unset("plain").await;
            times[2].add(begun, acquired, Instant::now());
        }
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let held = rslock
                .lock(b"rslock", Duration::from_secs(5))
                .await
                .unwrap();
            let acquired = Instant::now();
            rslock.unlock(&held).await;
            times[3].add(begun, acquired, Instant::now());
        }
    }
    let url = url.to_owned();
    // A thread without a runtime.
    let blocking = std::thread::spawn(move || {
        let locks = runtime().block_on(crate::locks(&url));
        let lock = locks.lock("blocking").unwrap().blocking();
        let mut times = Times::default();
        for _ in 0..TURNS * ROUNDS {
            let begun = Instant::now();
            let guard = lock.acquire().unwrap();
            let acquired = Instant::now();
            guard.release();
            times.add(begun, acquired, Instant::now());
        }
        times
    });
    times[4] = blocking.join().unwrap();
    let [ours, lock, set, rslock, blocking] = times;
    ours.print("a bare EVALSHA of our script");
    lock.print("incumbent");
    blocking.print("incumbent, blocking");
    set.print("a bare SET NX PX, and its EVALSHA");
    rslock.print("rslock");
    let micros = nothing
        .iter()
        .map(|time| time.as_secs_f64() * 1e6)
        .collect();
    println!("a bare EVALSHA that does nothing\t{}", quartiles(micros)[1]);
}

fn many(count: usize) {
    println!("{count} locks, each of another name, {AT_ONCE} at a time");
    let server = Server::start();
    runtime().block_on(async {
        drop(locks(&server.url()).await);
        server.grow_old();
        let locks = locks(&server.url()).await;
        let before = server.info("db0");
        let turns = 10;
        let mut took = [Duration::ZERO; 3];
        let rslock = rslock::LockManager::new(vec![server.url()]);
        let bare = Bare::connect(&server.url()).await;
        for turn in 0..turns {
            let numbers = || stream::iter(turn * count / turns..(turn + 1) * count / turns);
            let begun = Instant::now();
            numbers()
                .for_each_concurrent(AT_ONCE, |number| {
                    let mut bare = bare.clone();
                    async move {
                        let name = format!("bare:{number}");
                        let token = bare.claim(&name).await;
                        bare.release(&name, &token).await;
                    }
                })
                .await;
            took[0] += begun.elapsed();
            let begun = Instant::now();
            numbers()
                .for_each_concurrent(AT_ONCE, async |number| {
                    let lock = locks.lock(format!("order:{number}")).unwrap();
                    lock.acquire().await.unwrap().release().await;
                })
                .await;
            took[1] += begun.elapsed();
            let begun = Instant::now();
            numbers()
                .for_each_concurrent(AT_ONCE, async |number| {
                    let name = format!("rslock:{number}");
                    let held = rslock.lock(name.as_bytes(), Duration::from_secs(5)).await;
                    rslock.unlock(&held.unwrap()).await;
                })
                .await;
            took[2] += begun.elapsed();
        }
        let names = ["bare EVALSHAs of our scripts", "incumbent", "rslock"];
        for (name, took) in names.into_iter().zip(took) {
            let rate = count as f64 / took.as_secs_f64();
            println!(
                "{name:<48} {:>8.2} s {rate:>8.0} a second",
                took.as_secs_f64()
            );
        }
        println!("keys before and after: {before} {}", server.info("db0"));
    });
}
