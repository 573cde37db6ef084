//! Accepting connections, so many at a time and each for so long.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::ServerOptions;
use super::route::Router;
use crate::election::Election;

/// How many connections are served at a time. The next ones wait in the queue of the system.
const CONNECTIONS: usize = 128;

/// How long a client may take to send the head of a request, and an idle connection is kept.
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
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::spawn(router.live().keep_current());
    let telling = Arc::clone(&router);
    tokio::spawn(async move { telling.keep_endings().await });
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the HTTP server could not be accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        let router = Arc::clone(&router);
        tokio::spawn(async move {
            if let Err(error) = converse(stream, router).await {
                tracing::debug!(%error, "an HTTP connection has failed");
            }
            drop(place);
        });
    }
}

async fn converse(
    stream: TcpStream,
    router: Arc<Router>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED_MS)?;
    let service = service_fn(move |request| {
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
