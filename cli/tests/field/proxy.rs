//! A network that misbehaves on demand: a TCP proxy in front of a server's unix socket.
//!
//! Each connection is delayed independently, so what two connections carry arrives in any order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// What the network does to everything that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Nothing.
    Clear,
    /// Delays each piece by up to so much.
    Slow(Duration),
    /// Resets every connection, and every new one.
    Cut,
    /// The server's side is gone, and the client does not know.
    HalfOpen,
    /// Swallows everything; a connection that lost something never works again.
    BlackHole,
    /// Holds everything back, and delivers it when the weather changes.
    Stalled,
    /// Cuts one answer in three in the middle, and the connection with it.
    Truncated,
}

/// How a connection ends.
enum End {
    /// One side closed it.
    Closed,
    /// Both sides see a reset.
    Reset,
    /// The server's side ends; the client hears nothing more.
    HalfOpen,
    /// Neither side hears anything more.
    Silent,
}

/// How long a client may hold a connection on which nothing will ever come.
const SILENCE: Duration = Duration::from_secs(30);

pub(crate) struct Proxy {
    address: SocketAddr,
    /// The socket that new connections are led to.
    target: Arc<Mutex<PathBuf>>,
    weather: watch::Sender<Weather>,
    accepting: tokio::task::AbortHandle,
}

impl Proxy {
    pub(crate) fn to(socket: &Path, seed: u64) -> Self {
        let (weather, seen) = watch::channel(Weather::Clear);
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(socket.to_owned()));
        let current = Arc::clone(&target);
        let task = handle().spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let mut random = fastrand::Rng::with_seed(seed);
            while let Ok((client, _)) = listener.accept().await {
                let random = fastrand::Rng::with_seed(random.u64(..));
                let socket = current.lock().unwrap().clone();
                tokio::spawn(serve(client, socket, seen.clone(), random));
            }
        });
        Self {
            address,
            target,
            weather,
            accepting: task.abort_handle(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn weather(&self) -> Weather {
        *self.weather.borrow()
    }

    /// Leads new connections to another server; those there are stay.
    pub(crate) fn move_to(&self, socket: &Path) {
        socket.clone_into(&mut self.target.lock().unwrap());
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        handle
    })
}

async fn serve(
    mut client: TcpStream,
    socket: PathBuf,
    weather: watch::Receiver<Weather>,
    mut random: fastrand::Rng,
) {
    // Without this option a connection is only slower.
    drop(client.set_nodelay(true));
    let end = match UnixStream::connect(socket).await {
        Ok(mut server) => {
            let end = {
                let (up, down) = (client.split(), server.split());
                let other = random.fork();
                tokio::select! {
                    end = pump(up.0, down.1, weather.clone(), false, random) => end,
                    end = pump(down.0, up.1, weather, true, other) => end,
                }
            };
            if matches!(end, End::Silent) {
                discard(&mut client).await;
            }
            end
        }
        Err(_) => End::Reset,
    };
    match end {
        End::Closed | End::Silent => {}
        End::Reset => drop(client.set_zero_linger()),
        End::HalfOpen => discard(&mut client).await,
    }
}

/// Reads and discards the client's further data until the client closes.
async fn discard(client: &mut TcpStream) {
    let mut buffer = [0; 4096];
    let reading = async { while matches!(client.read(&mut buffer).await, Ok(1..)) {} };
    // A client that holds the connection for longer loses it.
    drop(tokio::time::timeout(SILENCE, reading).await);
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
    answers: bool,
    mut random: fastrand::Rng,
) -> End {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let now = *weather.borrow_and_update();
        match now {
            Weather::Cut => return End::Reset,
            Weather::HalfOpen => return End::HalfOpen,
            Weather::Clear
            | Weather::Slow(_)
            | Weather::BlackHole
            | Weather::Stalled
            | Weather::Truncated => {}
        }
        let length = tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(length @ 1..) => length,
                Ok(0) | Err(_) => return End::Closed,
            },
            // The proxy is gone, or the weather has changed: look again.
            changed = weather.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return End::Closed,
            },
        };
        while *weather.borrow_and_update() == Weather::Stalled {
            if weather.changed().await.is_err() {
                return End::Closed;
            }
        }
        let now = *weather.borrow();
        match now {
            Weather::Cut => return End::Reset,
            Weather::HalfOpen => return End::HalfOpen,
            Weather::BlackHole => return End::Silent,
            Weather::Slow(most) => tokio::time::sleep(most.mul_f64(random.f64())).await,
            Weather::Clear | Weather::Stalled | Weather::Truncated => {}
        }
        let torn = now == Weather::Truncated && answers && random.u8(..3) == 0;
        let passes = if torn { length / 2 } else { length };
        if to.write_all(&buffer[..passes]).await.is_err() {
            return End::Closed;
        }
        if torn {
            return End::Reset;
        }
    }
}
