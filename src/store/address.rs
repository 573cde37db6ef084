//! Where a store is: parsed once, and never shown with its secrets.
//!
//! ```text
//!   "redis://user:pw@host/2" ──▶ parse ──▶ StoreAddress { label, Place }      the secret is in Place only
//!                                  │             └─▶ Display, Debug, errors: "redis://user@host:6379/2"
//!                                  └─▶ InvalidAddress: which part is wrong
//! ```

mod invalid;
mod parse;
mod password;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

pub use invalid::InvalidAddress;
pub use password::Password;
pub(super) use password::PasswordError;

/// The address of a store.
///
/// | text | store |
/// | --- | --- |
/// | `redis://[user[:password]@]host[:port][/db]` | one Redis |
/// | `redis+unix://[user:password@]/path[?db=N]` | one Redis by its Unix socket |
/// | `redis+sentinel://[user:password@]host[:port],…/service[/db]` | the current master of a service |
/// | `redis+cluster://[user:password@]host[:port],…` | a Redis Cluster |
/// | `rediss://`, `rediss+sentinel://`, `rediss+cluster://` | the same over TLS |
/// | `sqlite:PATH` | a file of this host |
///
/// `valkey` in place of `redis` means the same.
///
/// An address over TLS takes `?ca=FILE` (trust these certificates and no others), `&cert=FILE&key=FILE` (a
/// client certificate) and `&server-name=NAME` (the name that the server's certificate must have, instead of
/// the host). A Sentinel address takes `?sentinel-password-file=FILE` and `&sentinel-username=NAME`; without
/// them the sentinels are asked without a password.
///
/// A user name, a password or a path that contains `/`, `?`, `#`, `@`, `:` or `%` writes it as `%2F` and so
/// on. The password can be given in [`StoreOptions`](super::StoreOptions) instead. It is never part of
/// what this type displays. A user without a password logs in with an empty one.
///
/// # Examples
///
/// ```
/// use incumbent::store::StoreAddress;
///
/// let address: StoreAddress = "redis://app:secret@db.example/2".parse()?;
/// assert_eq!(address.to_string(), "redis://app@db.example:6379/2");
///
/// let error = "redis://db.example:port/".parse::<StoreAddress>().unwrap_err();
/// assert!(error.to_string().starts_with("the port of db.example is not a number from 1 to 65535"));
/// # Ok::<(), incumbent::store::InvalidAddress>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoreAddress {
    label: Arc<str>,
    place: Place,
}

impl StoreAddress {
    /// The address of a file of this host, which is created when it is first used.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::store::StoreAddress;
    ///
    /// assert_eq!(StoreAddress::sqlite("/run/elections.db").to_string(), "sqlite:/run/elections.db");
    /// ```
    #[must_use]
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::of(Place::Sqlite(path.into()))
    }

    /// The address without any secret, as [`Display`](fmt::Display) shows it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The file, when the store is one of this host.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    /// use incumbent::store::StoreAddress;
    ///
    /// let address: StoreAddress = "sqlite:elections.db".parse()?;
    /// assert_eq!(address.file(), Some(Path::new("elections.db")));
    /// # Ok::<(), incumbent::store::InvalidAddress>(())
    /// ```
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::Sqlite(path) => Some(path),
            Place::Redis(_) => None,
        }
    }

    /// Whether a password stands in the address.
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::store::StoreAddress;
    ///
    /// let address: StoreAddress = "redis://app:secret@db.example/2".parse()?;
    /// assert!(address.has_password());
    /// # Ok::<(), incumbent::store::InvalidAddress>(())
    /// ```
    #[must_use]
    pub const fn has_password(&self) -> bool {
        match &self.place {
            Place::Redis(place) => place.credentials.password.is_some(),
            Place::Sqlite(_) => false,
        }
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn shared_label(&self) -> Arc<str> {
        Arc::clone(&self.label)
    }

    fn of(place: Place) -> Self {
        Self {
            label: place.to_string().into(),
            place,
        }
    }
}

impl FromStr for StoreAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let mut address = Self::of(parse::place(text)?);
        // It is shown under the name that it was given.
        let is_valkey = text
            .get(..6)
            .is_some_and(|start| start.eq_ignore_ascii_case("valkey"));
        if let Some(rest) = address.label.strip_prefix("redis").filter(|_| is_valkey) {
            address.label = format!("valkey{rest}").into();
        }
        Ok(address)
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.label.fmt(f)
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreAddress({})", self.label)
    }
}

/// What an address means.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Redis(Box<RedisPlace>),
    Sqlite(PathBuf),
}

/// A Redis deployment: which database to use, and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RedisPlace {
    pub(super) deployment: Deployment,
    pub(super) database: u16,
    pub(super) credentials: Credentials,
    /// Present when the servers, and the sentinels, are spoken to over TLS.
    pub(super) tls: Option<TlsSettings>,
}

/// How the servers of a Redis deployment are found.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Deployment {
    Direct(Endpoint),
    Unix(PathBuf),
    Sentinel {
        sentinels: Vec<Endpoint>,
        service: String,
        /// The sentinels have credentials of their own.
        credentials: Credentials,
    },
    Cluster(Vec<Endpoint>),
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Where a TLS connection differs from the system's defaults.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct TlsSettings {
    /// The certificates to trust.
    pub(super) ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must have.
    pub(super) server_name: Option<String>,
}

/// The user that a server is asked as.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<Password>,
}

/// The characters that end a user name or a service in an address.
const SPECIAL: &[char] = &['/', '?', '#', '@', ':', '%'];

/// Writes the address without its password, its TLS settings and the sentinels' credentials. The result parses again.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Two slashes at the front would be read as a part of the scheme.
            Self::Sqlite(path) if path.as_os_str().as_encoded_bytes().starts_with(b"//") => {
                write!(f, "sqlite://{}", path.display())
            }
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Redis(place) => place.fmt(f),
        }
    }
}

impl fmt::Display for RedisPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.deployment {
            Deployment::Direct(_) => "",
            Deployment::Unix(_) => "+unix",
            Deployment::Sentinel { .. } => "+sentinel",
            Deployment::Cluster(_) => "+cluster",
        };
        let tls = if self.tls.is_some() { "s" } else { "" };
        write!(f, "redis{tls}{kind}://")?;
        if let Some(username) = &self.credentials.username {
            write!(f, "{}@", parse::encoded(username, SPECIAL))?;
        }
        match &self.deployment {
            Deployment::Direct(endpoint) => endpoint.fmt(f)?,
            Deployment::Unix(path) => {
                f.write_str(&parse::encoded(&path.to_string_lossy(), &['?', '%']))?;
            }
            Deployment::Sentinel {
                sentinels, service, ..
            } => {
                list(f, sentinels)?;
                write!(f, "/{}", parse::encoded(service, SPECIAL))?;
            }
            Deployment::Cluster(nodes) => list(f, nodes)?,
        }
        match (&self.deployment, self.database) {
            (_, 0) => Ok(()),
            (Deployment::Unix(_), database) => write!(f, "?db={database}"),
            (_, database) => write!(f, "/{database}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, endpoints: &[Endpoint]) -> fmt::Result {
    for (index, endpoint) in endpoints.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        write!(f, "{endpoint}")?;
    }
    Ok(())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests;
