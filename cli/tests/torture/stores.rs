//! The stores of the arena: real servers behind a network that can be made to misbehave, with a wall
//! clock that can be made to jump.

use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use crate::field::proxy::Proxy;
use crate::field::wall_clock::WallClock;
use crate::support::redis::RedisServer;

pub(crate) struct Store {
    pub(crate) server: RedisServer,
    /// The way from each candidate to the server.
    pub(crate) ways: Vec<Proxy>,
    /// A fault of the server that must be undone, or that passes without a repair.
    pub(crate) busy: bool,
    /// What it once had on disk: first, from when a leader had released.
    pub(crate) pasts: Vec<Rc<TempDir>>,
}

impl Store {
    pub(crate) fn new(clock: &WallClock, candidates: usize, seed: u64) -> Self {
        // Without a published port: only the proxy is reached from outside. What was acknowledged is
        // with the system before, and so survives the death of the server's process.
        let settings = RedisServer::settings()
            .set("port", &["0"])
            .set("appendonly", &["yes"])
            .set("appendfsync", &["no"])
            .debuggable();
        let server = clock.seen_by(settings).start();
        let socket = server.socket();
        let seeds = (seed..).take(candidates);
        Self {
            ways: seeds.map(|seed| Proxy::to(&socket, seed)).collect(),
            server,
            busy: false,
            pasts: Vec::new(),
        }
    }

    /// `DEBUG SLEEP`, without waiting for it here.
    pub(crate) fn sleep(&self, time: Duration) {
        let mut connection = self.server.connection();
        let seconds = time.as_secs_f64().to_string();
        std::thread::spawn(move || {
            let mut sleep = redis::cmd("DEBUG");
            // A server that is killed in its sleep does not answer.
            drop(sleep.arg("SLEEP").arg(seconds).exec(&mut connection));
        });
    }
}
