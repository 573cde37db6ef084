//! The listen address: this host only, unless another address is given.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Where an HTTP server listens: `PORT` or `localhost:PORT` for this host only, or `IP:PORT`.
///
/// # Examples
///
/// ```
/// use incumbent_cli::http::ListenAddress;
///
/// assert_eq!("9187".parse::<ListenAddress>()?.to_string(), "127.0.0.1:9187");
/// assert_eq!("0.0.0.0:80".parse::<ListenAddress>()?.to_string(), "0.0.0.0:80");
/// assert!("example.com:80".parse::<ListenAddress>().is_err());
/// # Ok::<(), incumbent_cli::http::InvalidListenAddress>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress(SocketAddr);

impl ListenAddress {
    /// The address and port.
    #[must_use]
    pub const fn socket(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, InvalidListenAddress> {
        let port = text.strip_prefix("localhost:").unwrap_or(text);
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        if digits && let Ok(port) = port.parse() {
            let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
            return Ok(Self(SocketAddr::new(loopback, port)));
        }
        match text.parse() {
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(InvalidListenAddress {
                text: text.chars().take(100).collect(),
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An invalid listen address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an address to listen on: give a port such as 9187 for this host only, or IP:PORT such as 0.0.0.0:9187 or [::]:9187"
)]
pub struct InvalidListenAddress {
    /// Its first characters.
    pub text: String,
}
