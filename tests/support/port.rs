//! Ports for tests.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

/// A port on which no one listens, and that no server of another test can take while this lives.
pub struct ClosedPort {
    /// Bound, and not listening.
    _socket: OwnedFd,
    port: u16,
}

impl ClosedPort {
    #[must_use]
    pub fn new() -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let bound = SocketAddrV4::try_from(getsockname(&socket).unwrap()).unwrap();
        Self {
            _socket: socket,
            port: bound.port(),
        }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Default for ClosedPort {
    fn default() -> Self {
        Self::new()
    }
}
