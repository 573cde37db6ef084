//! `--watchdog`: the program sends `WATCHDOG=1` to our notify socket, as it would to systemd.
//!
//! The socket has an abstract address: no file can stay behind or be out of reach of a program that
//! runs as another user. So every process on the host can write to it, and every message is checked: it
//! counts only if the kernel names a process below the keeper as its sender.

use std::io;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::time::Duration;

use crate::supervise::{Program, descends};
use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use rustix::net::sockopt::set_socket_passcred;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::datagram::{Datagram, receive};

/// Listens for the program's watchdog messages.
pub(super) struct Watchdog {
    socket: UnixDatagram,
    /// Its address, as the program finds it in `NOTIFY_SOCKET`.
    address: String,
    period: Duration,
    /// Until when the program may be silent.
    until: Timestamp,
}

/// What was received, or not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// The program is alive, or sent another message.
    Alive,
    /// This process, which is not the program, sent a message.
    Stranger(i32),
    /// The program reports that it is unhealthy.
    Trouble,
    /// Nothing, for this long.
    Silent(Duration),
}

impl Watchdog {
    pub(super) fn listen(period: Duration) -> io::Result<Self> {
        let name = format!(
            "incumbent/{}/{:016x}",
            std::process::id(),
            fastrand::u64(..)
        );
        let socket = StdDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        set_socket_passcred(&socket, true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UnixDatagram::from_std(socket)?,
            address: format!("@{name}"),
            period,
            until: Timestamp::NEVER,
        })
    }

    pub(super) fn introduce(&self, program: Program) -> Program {
        program
            .env("NOTIFY_SOCKET", &self.address)
            .env("WATCHDOG_USEC", self.period.as_micros().to_string())
    }

    /// A program has been started, and may be silent for one period after `start`.
    pub(super) fn begin(&mut self, start: Timestamp) {
        self.until = start + self.period;
    }

    /// Waits for the next message, or for the end of the program's time.
    pub(super) async fn sign(&mut self, keeper: i32) -> Sign {
        loop {
            let now = clock::now();
            if now >= self.until {
                // However late we run, every message the program has sent counts.
                return match receive(self.socket.as_fd()) {
                    Ok(message) => self.take_in(&message, keeper),
                    Err(_) => Sign::Silent(self.period),
                };
            }
            let pause = tokio::time::sleep(self.until.since(now));
            tokio::select! {
                ready = self.socket.readable() => {
                    if let Ok(message) = ready.and_then(|()| self.receive()) {
                        return self.take_in(&message, keeper);
                    }
                }
                () = pause => {}
            }
        }
    }

    /// Reads what is sent, and drops it: a program that is being stopped may wait until it was read, as
    /// `systemd-notify` does. Cancel safe.
    pub(super) async fn discard(&self) -> ! {
        loop {
            let read = self.socket.readable().await.and_then(|()| self.receive());
            if let Ok(message) = read {
                tracing::debug!(
                    sender = message.sender,
                    "a message on the notify socket has no effect any more"
                );
            }
        }
    }

    /// Reads a message, if there is one.
    fn receive(&self) -> io::Result<Datagram> {
        let socket = self.socket.as_fd();
        self.socket.try_io(Interest::READABLE, || receive(socket))
    }

    fn take_in(&mut self, message: &Datagram, keeper: i32) -> Sign {
        if !descends(message.sender, keeper) {
            return Sign::Stranger(message.sender);
        }
        for line in message.bytes.split(|byte| *byte == b'\n') {
            match line {
                b"WATCHDOG=1" => self.until = clock::now() + self.period,
                b"WATCHDOG=trigger" => return Sign::Trouble,
                _ => {}
            }
        }
        Sign::Alive
    }
}
