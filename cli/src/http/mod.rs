//! An election over HTTP: health for load balancers, metrics for Prometheus, and a page for people.
//!
//! ```text
//!   Server::start ──▶ its own thread ───────▶ connection ──▶ route ──┬─▶ health   lease, counters: no store
//!                                               bounded              ├─▶ exposition ◀── endings   one look at
//!                                                                    │        the history per change of leader
//!                                                                    ├─▶ documents   stores, on request
//!                                                                    └─▶ page ◀── live   stores, while
//!                                                                                        a page is open
//! ```
//!
//! It reads the election. What it can change, such as making the leader of this process resign, needs a
//! token.

mod address;
mod connection;
mod control;
mod endings;
mod exposition;
mod health;
mod live;
mod negotiation;
mod overview;
mod page;
mod program;
mod response;
mod route;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use secrecy::SecretString;
use tokio::sync::oneshot;

use incumbent::election::Election;

pub use address::{InvalidListenAddress, ListenAddress};
pub(crate) use program::KillCause;
pub use program::ProgramCounters;

/// The options of a [`Server`].
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen.
    pub listen: ListenAddress,
    /// The bearer token without which nothing can be changed. `None` turns control off altogether.
    pub token: Option<SecretString>,
    /// The counters of the program that runs while leading, if there is one.
    pub program: Option<Arc<ProgramCounters>>,
}

impl ServerOptions {
    /// A read-only server at an address.
    #[must_use]
    pub const fn new(listen: ListenAddress) -> Self {
        Self {
            listen,
            token: None,
            program: None,
        }
    }
}

/// An HTTP server for one election, on its own thread: however busy it is, no heartbeat waits for it.
/// Dropping it stops it.
///
/// # Examples
///
/// ```
/// use incumbent::Election;
/// use incumbent_cli::http::{Server, ServerOptions};
/// use incumbent::store::MemoryStore;
///
/// let election = Election::builder("billing")
///     .store_object(MemoryStore::new("example"))
///     .build()?;
/// let server = Server::start(election, ServerOptions::new("127.0.0.1:0".parse()?))?;
/// println!("http://{}/", server.address());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the server ends when it is dropped"]
pub struct Server {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// When the address cannot be used, or the system refuses a thread or an event loop.
    pub fn start(election: Election, options: ServerOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen.socket())?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("incumbent-http".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        served = connection::serve(listener, election, options) => {
                            if let Err(error) = served {
                                tracing::error!(%error, "the HTTP server stopped");
                            }
                        }
                        _ = ended => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Where it listens: the port that the system chose, if that was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has failed is gone already.
        if self.end.take().is_some_and(|end| end.send(()).is_err()) {
            tracing::debug!("the HTTP server had stopped before");
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the HTTP server panicked");
        }
    }
}
