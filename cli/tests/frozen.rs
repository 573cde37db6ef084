//! What the HTTP server reports about a leader whose campaign is stuck. This is a separate test program:
//! all elections of a process share the thread that is stalled here.

#[path = "http/ask.rs"]
mod ask;
#[path = "../../tests/support/hooked.rs"]
mod hooked;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ask::ask;
use hooked::{Hook, Hooked};
use incumbent::Election;
use incumbent::election::Overrun;
use incumbent::protocol::{Request, TimingConfig};
use incumbent::store::{MemoryStore, StoreError};
use incumbent_cli::http::{Server, ServerOptions};

/// Has the requests of a store block the thread that all campaigns run on.
struct Freezing {
    frozen: Mutex<bool>,
    thawed: Condvar,
    /// Whether the thread is stalled.
    stands: AtomicBool,
}

impl Freezing {
    fn new() -> Self {
        Self {
            frozen: Mutex::new(false),
            thawed: Condvar::new(),
            stands: AtomicBool::new(false),
        }
    }

    fn freeze(&self) {
        *self.frozen.lock().unwrap() = true;
        while !self.stands.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn thaw(&self) {
        *self.frozen.lock().unwrap() = false;
        self.thawed.notify_all();
    }
}

impl Hook for Freezing {
    fn before(&self, _: &str, _: &Request) -> Result<(), StoreError> {
        let frozen = self.frozen.lock().unwrap();
        self.stands.store(*frozen, Ordering::Release);
        drop(self.thawed.wait_while(frozen, |frozen| *frozen).unwrap());
        Ok(())
    }
}

fn status(server: &Server, method: &str, path: &str) -> u16 {
    ask(server, method, path, "").status
}

#[test]
fn a_leader_whose_campaign_stands_still_is_none_from_its_deadline_on() {
    let store = Arc::new(Hooked {
        store: Arc::new(MemoryStore::new("freezing")),
        hook: Freezing::new(),
    });
    let election = Election::builder("billing")
        .store_object(store.clone())
        .timing(TimingConfig {
            stop_grace: Duration::from_millis(100),
            ..Default::default()
        })
        .overrun(Overrun::Report)
        .build()
        .unwrap();
    let options = ServerOptions::new("127.0.0.1:0".parse().unwrap());
    let server = Server::start(election.clone(), options).unwrap();
    let leadership = election.blocking().campaign().unwrap();
    assert_eq!(status(&server, "GET", "/leader"), 200);
    assert_eq!(status(&server, "GET", "/standby"), 503);

    store.hook.freeze();
    // Nothing of the campaign runs after this: no flag is cleared, no event sent.
    let lease = leadership.lease().clone();
    std::thread::sleep(lease.remaining());
    assert!(lease.check().is_err());
    assert_eq!(lease.loss(), None, "the campaign does not know it yet");
    for method in ["GET", "HEAD"] {
        assert_eq!(status(&server, method, "/leader"), 503, "{method}");
        // Its work may still be ending: it does not count as a standby yet.
        assert_eq!(status(&server, method, "/standby"), 503, "{method}");
    }
    let metrics = ask(&server, "GET", "/metrics", "");
    assert!(
        metrics
            .body
            .contains("incumbent_leader{election=\"billing\"} 0.0"),
        "{}\n\n{}",
        metrics.head,
        metrics.body
    );

    store.hook.thaw();
    leadership.resign();
    assert_eq!(status(&server, "GET", "/livez"), 200);
}
