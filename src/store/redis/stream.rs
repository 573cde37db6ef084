//! The bytes to and from one server, and whether the connection has ended.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection to a server.
pub(super) struct Stream {
    io: Io,
    alive: Alive,
}

/// The transport.
pub(super) enum Io {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// Whether a connection is still open. Its end shows at the next read or write.
#[derive(Clone, Debug)]
pub(super) struct Alive(Arc<AtomicBool>);

impl Alive {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Stream {
    pub(super) fn new(io: Io) -> Self {
        Self {
            io,
            alive: Alive(Arc::new(AtomicBool::new(true))),
        }
    }

    pub(super) fn alive(&self) -> Alive {
        self.alive.clone()
    }

    fn noted<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(outcome, Poll::Ready(Err(_))) {
            self.alive.end();
        }
        outcome
    }
}

/// The driver of a connection owns its stream, and drops it even when its runtime goes away.
impl Drop for Stream {
    fn drop(&mut self) {
        self.alive.end();
    }
}

/// Calls the method of the stream that there is.
macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match &mut $stream.io {
            Io::Tcp($inner) => $call,
            #[cfg(feature = "tls")]
            Io::Tls($inner) => $call,
            Io::Unix($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = each!(self, inner => Pin::new(inner).poll_read(cx, buf));
        if matches!(read, Poll::Ready(Ok(())))
            && buf.filled().len() == before
            && buf.remaining() > 0
        {
            self.alive.end();
        }
        self.noted(read)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = each!(self, inner => Pin::new(inner).poll_write(cx, bytes));
        self.noted(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = each!(self, inner => Pin::new(inner).poll_flush(cx));
        self.noted(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
