//! Accepts connections, limited in number and duration. A new one over the limit replaces the one that has been
//! idle longest, so a client that reads slowly, or not at all, blocks no other.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::ServerOptions;
use super::route::Router;
use incumbent::election::Election;

/// How many connections are served at a time.
const CONNECTIONS: usize = 128;

/// How long a client may take to send the head of a request, and how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a request's head is read, and how many headers of it.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;

/// How long the other side may leave what was sent to it unacknowledged.
const UNACKNOWLEDGED_MS: u32 = 30_000;

/// How long to wait after a connection could not be accepted: file descriptors may be short.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

pub(super) async fn serve(
    listener: TcpListener,
    election: Election,
    options: ServerOptions,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = Arc::new(Router::new(election, options));
    let requests = Arc::new(AtomicU64::new(0));
    let mut places: Vec<Place> = Vec::new();
    tokio::spawn(router.live().keep_current());
    let telling = Arc::clone(&router);
    tokio::spawn(async move { telling.keep_endings().await });
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        places.retain(|place| !place.conversation.is_finished());
        if places.len() >= CONNECTIONS {
            let asked = |(_, place): &(usize, &Place)| place.asked.load(Ordering::Relaxed);
            let longest = places.iter().enumerate().min_by_key(asked);
            if let Some(longest) = longest.map(|(index, _)| index) {
                places.swap_remove(longest).end().await;
            }
        }
        let router = Arc::clone(&router);
        let turns = Turns {
            requests: Arc::clone(&requests),
            asked: Arc::default(),
        };
        turns.ask();
        let asked = Arc::clone(&turns.asked);
        let conversation = tokio::spawn(async move {
            if let Err(error) = converse(stream, router, turns).await {
                tracing::debug!(%error, "an HTTP connection has failed");
            }
        });
        places.push(Place {
            conversation,
            asked,
        });
    }
}

/// An open connection.
struct Place {
    conversation: JoinHandle<()>,
    /// The number of its last request.
    asked: Arc<AtomicU64>,
}

impl Place {
    /// Closes the connection.
    async fn end(self) {
        self.conversation.abort();
        if self.conversation.await.is_err() {
            tracing::debug!("an idle HTTP connection was closed for a new one");
        }
    }
}

/// Numbers the requests of all connections, in order, and keeps the number of the last one of this.
struct Turns {
    requests: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Turns {
    fn ask(&self) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        self.asked.store(number, Ordering::Relaxed);
    }
}

async fn converse(
    stream: TcpStream,
    router: Arc<Router>,
    turns: Turns,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED_MS)?;
    let service = service_fn(move |request| {
        turns.ask();
        let router = Arc::clone(&router);
        async move { Ok::<_, Infallible>(router.answer(&request.into_parts().0).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}
