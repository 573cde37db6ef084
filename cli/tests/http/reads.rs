//! Requests that read the stores, from clients that do not wait for the answer.

use std::future::Future;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use incumbent::Election;
use incumbent::protocol::{CandidateId, ElectionName, Reply, Request};
use incumbent::store::{
    HistoryEntry, Identity, Inspection, MemoryStore, Store, StoreFuture, WakeUps,
};
use incumbent_cli::http::Server;
use tokio::sync::watch;

use super::{serve, status};

/// How many requests read the stores at a time, as docs/http.md says.
const READERS: usize = 2;

/// A store whose reads end only while it is open.
struct Gated {
    inner: MemoryStore,
    /// Whether it can be closed for the state of an election too.
    holds_all: bool,
    open: watch::Sender<bool>,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Gated {
    fn under_way(&self) -> usize {
        let ended = self.ended.load(Ordering::SeqCst);
        self.begun.load(Ordering::SeqCst) - ended
    }

    async fn read<T>(&self, reading: impl Future<Output = T>) -> T {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let opened = self.open.subscribe().wait_for(|open| *open).await.is_ok();
        assert!(opened, "the store outlives its reads");
        let read = reading.await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        read
    }
}

impl Store for Gated {
    fn label(&self) -> &str {
        self.inner.label()
    }

    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply> {
        self.inner.execute(election, who, request)
    }

    fn wake_ups(&self, election: &ElectionName, who: &CandidateId) -> WakeUps {
        self.inner.wake_ups(election, who)
    }

    fn inspect<'a>(&'a self, election: &'a ElectionName) -> StoreFuture<'a, Inspection> {
        match self.holds_all {
            true => Box::pin(self.read(self.inner.inspect(election))),
            false => self.inner.inspect(election),
        }
    }

    fn elections(&self) -> StoreFuture<'_, Vec<ElectionName>> {
        Box::pin(self.read(self.inner.elections()))
    }

    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> StoreFuture<'a, Vec<HistoryEntry>> {
        Box::pin(self.read(self.inner.history(election, limit)))
    }
}

/// Waits for something that is bound to happen.
fn wait_until(what: &str, happened: impl Fn() -> bool) {
    for _ in 0..3000 {
        if happened() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("timed out waiting until {what}");
}

/// A server of an election on such a store, which is open.
fn gated(holds_all: bool) -> (Arc<Gated>, Server) {
    let store = Arc::new(Gated {
        inner: MemoryStore::new("s"),
        holds_all,
        open: watch::Sender::new(true),
        begun: AtomicUsize::new(0),
        ended: AtomicUsize::new(0),
    });
    let election = Election::builder("billing").store_object(store.clone());
    let server = serve(&election.build().unwrap(), None);
    // The server reads the history once for its metrics.
    wait_until("the history was read", || {
        store.ended.load(Ordering::SeqCst) > 0
    });
    (store, server)
}

/// A client that has sent its request.
fn ask(server: &Server, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(server.address()).unwrap();
    write!(client, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    client
}

#[test]
fn a_page_that_takes_long_holds_up_no_document() {
    let (store, server) = gated(false);
    store.open.send_replace(false);
    let _clients: Vec<TcpStream> = (0..2 * READERS).map(|_| ask(&server, "/")).collect();
    wait_until("a page is being made", || store.under_way() > 0);
    // Whoever came before has been heard by now.
    for _ in 0..4 {
        assert_eq!(status(&server, "/livez"), 200);
    }
    assert_eq!(status(&server, "/status"), 200);
    store.open.send_replace(true);
    wait_until("all reads have ended", || store.under_way() == 0);
}

#[test]
fn clients_that_leave_do_not_pile_up_reads_of_the_stores() {
    let (store, server) = gated(true);
    for path in ["/status", "/history?terms=300", "/"] {
        store.open.send_replace(false);
        for _ in 0..4 {
            let clients: Vec<TcpStream> = (0..READERS).map(|_| ask(&server, path)).collect();
            wait_until("a read has begun", || store.under_way() > 0);
            drop(clients);
            // Whoever came before has been heard by now.
            for _ in 0..4 {
                assert_eq!(status(&server, "/livez"), 200);
            }
        }
        let under_way = store.under_way();
        assert!(under_way <= READERS, "{path}: {under_way} at a time");
        store.open.send_replace(true);
        wait_until("all reads have ended", || store.under_way() == 0);
        assert_eq!(status(&server, path), 200);
    }
}
