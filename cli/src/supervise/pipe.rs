//! The elector's end of the pipe to its keeper.
//!
//! It is watched for what can be read; that it can be written to is asked of the system only when it could
//! not. A socket that is watched for both wakes its owner each time the other side has read something.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

#[derive(Debug)]
pub(super) struct Pipe {
    socket: AsyncFd<UnixStream>,
    /// Whether it was full when it was last written to.
    is_full: bool,
    /// The same socket again, while it is full, unless the system has no room for that.
    full: Option<AsyncFd<UnixStream>>,
    runtime: Handle,
}

impl Pipe {
    /// How long to wait before a full pipe that cannot be watched is tried again.
    const PAUSE: Duration = Duration::from_millis(5);

    /// The end of a pipe, watched by the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch the socket.
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: watched(socket, Interest::READABLE)?,
            is_full: false,
            full: None,
            runtime: Handle::current(),
        })
    }

    /// Reads what is there, however long ago the runtime has looked.
    pub(super) fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.get_ref().read(bytes)
    }

    /// Writes as much as fits.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.socket.get_ref().write(bytes);
        self.is_full = matches!(&written, Err(error) if error.kind() == ErrorKind::WouldBlock);
        if !self.is_full {
            self.full = None;
        } else if self.full.is_none() {
            let _runtime = self.runtime.enter();
            let again = self.socket.get_ref().try_clone();
            self.full = again
                .and_then(|again| watched(again, Interest::WRITABLE))
                .ok();
        }
        written
    }

    /// Waits until something can be read, or until a pipe that was full has room. It may come too early.
    pub(super) async fn ready(&self) -> io::Result<()> {
        let room = async {
            match &self.full {
                Some(full) => full.writable().await.map(drop),
                None if self.is_full => {
                    tokio::time::sleep(Self::PAUSE).await;
                    Ok(())
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            readable = self.readable() => readable,
            room = room => room,
        }
    }

    async fn readable(&self) -> io::Result<()> {
        let at_once = Timespec::default();
        loop {
            let mut ready = self.socket.readable().await?;
            // What was read meanwhile, without asking the runtime, may have been all there was.
            let looked = ready.try_io(|socket| {
                let mut sources = [PollFd::new(socket.get_ref(), PollFlags::IN)];
                match poll(&mut sources, Some(&at_once))? {
                    0 => Err(ErrorKind::WouldBlock.into()),
                    _ => Ok(()),
                }
            });
            if let Ok(looked) = looked {
                return looked;
            }
        }
    }

    /// Whether the other side has left something unread. An error counts as no.
    #[expect(unsafe_code, reason = "the library wraps the request for no socket")]
    pub(super) fn has_unread(&self) -> bool {
        let mut unread: libc::c_int = 0;
        let socket = self.socket.get_ref().as_raw_fd();
        // SAFETY: the socket is open, and the request (unix(7), SIOCOUTQ) writes one integer.
        let asked = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut unread) };
        asked == 0 && unread > 0
    }
}

#[allow(
    deprecated,
    reason = "what replaces it is unsafe and newer; the socket lives as long as the watch, so this is sound"
)]
fn watched(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_unread_is_told_and_a_full_pipe_is_ready_once_it_has_room() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut pipe = Pipe::new(ours).unwrap();
        assert!(!pipe.has_unread());
        assert_eq!(pipe.write(b"ab").unwrap(), 2);
        assert!(pipe.has_unread());
        let mut bytes = [0; 1 << 16];
        assert_eq!(theirs.read(&mut bytes).unwrap(), 2);
        assert!(!pipe.has_unread());

        while pipe.write(&bytes).is_ok() {}
        let pause = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(pause, pipe.ready()).await.is_err());
        theirs.set_nonblocking(true).unwrap();
        while theirs.read(&mut bytes).is_ok() {}
        pipe.ready().await.unwrap();
        assert!(pipe.write(b"c").is_ok());

        theirs.write_all(b"d").unwrap();
        pipe.ready().await.unwrap();
        assert_eq!(pipe.read(&mut bytes).unwrap(), 1);
        assert!(tokio::time::timeout(pause, pipe.ready()).await.is_err());
        drop(theirs);
        pipe.ready().await.unwrap();
    }
}
