//! What a keeper does after its elector has died: it releases the term that the elector held.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};

use super::keeper::Orphan;
use super::message::{Malformed, Reader, Writer};
use incumbent::protocol::{ElectionName, LossReason, Request};
use incumbent::store::Identity;
use incumbent::store::{self, Password, Store, StoreOptions};

/// The election and its stores, as the elector leaves them to its keeper.
///
/// It is sent over the private pipe between the two, because it holds secrets that must not be in an
/// argument or an environment.
#[derive(Clone)]
pub struct Estate {
    /// The election.
    pub election: ElectionName,
    /// The addresses of the stores, as they were given.
    pub addresses: Vec<SecretString>,
    /// How to connect to them.
    pub options: StoreOptions,
}

impl Estate {
    /// How often to try a store that does not answer.
    const ATTEMPTS: u32 = 3;
    /// The pause between two attempts.
    const PAUSE: Duration = Duration::from_millis(50);
    /// An electorate has at most five stores.
    const MOST_STORES: usize = 5;

    /// The form in which [`Keeper::set_context`](super::Keeper::set_context) takes it.
    #[must_use]
    pub fn to_context(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut fields = Writer::unframed(&mut bytes);
        fields.bytes(self.election.as_str().as_bytes());
        let op_timeout = self.options.op_timeout.as_nanos();
        fields.number(u64::try_from(op_timeout).unwrap_or(u64::MAX));
        fields.bytes(self.options.key_prefix.as_bytes());
        fields.optional(self.options.username.as_deref());
        let (kind, password) = match &self.options.password {
            None => (None, None),
            Some(Password::Text(text)) => (Some("text"), Some(text.expose_secret())),
            Some(Password::File(path)) => (Some("file"), path.to_str()),
            Some(Password::Command(command)) => (Some("command"), Some(command.as_str())),
            // A keeper that cannot read it says so, and releases nothing.
            Some(_) => (Some("unknown"), None),
        };
        fields.optional(kind);
        fields.optional(password);
        fields.number(self.addresses.len() as u64);
        for address in &self.addresses {
            fields.bytes(address.expose_secret().as_bytes());
        }
        drop(fields);
        bytes
    }

    pub(super) fn from_context(context: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Reader::new(context);
        let election = fields.text("election")?;
        let election = ElectionName::new(&election).map_err(|_| Malformed::Field("election"))?;
        let op_timeout = Duration::from_nanos(fields.number("timeout")?);
        let key_prefix = fields.text("key prefix")?;
        let username = fields.optional("user name")?;
        let kind = fields.optional("kind of password")?;
        let password = match (kind.as_deref(), fields.optional("password")?) {
            (Some("text"), Some(text)) => Some(Password::from(text)),
            (Some("file"), Some(path)) => Some(Password::File(path.into())),
            (Some("command"), Some(command)) => Some(Password::Command(command)),
            (None, None) => None,
            _ => return Err(Malformed::Field("password")),
        };
        let mut options = StoreOptions::default();
        (options.key_prefix, options.op_timeout) = (key_prefix, op_timeout);
        (options.username, options.password) = (username, password);
        let stores = fields.count("number of stores", Self::MOST_STORES)?;
        let addresses = (0..stores)
            .map(|_| fields.text("address").map(SecretString::from))
            .collect::<Result<_, _>>()?;
        fields.end()?;
        Ok(Self {
            election,
            addresses,
            options,
        })
    }

    /// Opens the stores and releases the orphan's term on each, all at once. It ends after a few
    /// `op_timeout`s at the latest, and logs failures: the record then stalls, and a standby takes over after
    /// the window.
    async fn release(&self, orphan: &Orphan, reason: LossReason) {
        let stores = self.addresses.iter().filter_map(|address| {
            let opened = address
                .expose_secret()
                .parse()
                .and_then(|address| store::open(&address, &self.options));
            opened
                .inspect_err(|error| tracing::error!(%error, "a store cannot be released"))
                .ok()
        });
        let releases = stores.map(|store| self.release_on(store, orphan, reason));
        join_all(releases).await;
    }

    async fn release_on(&self, store: Arc<dyn Store>, orphan: &Orphan, reason: LossReason) {
        let who: &Identity = &orphan.who;
        let request = Request::Release {
            holder: who.id().clone(),
            term: orphan.term,
            reason,
        };
        let (election, term, label) = (&self.election, orphan.term, store.label());
        for attempt in 1..=Self::ATTEMPTS {
            // If the first release was executed but its answer lost, the retry is refused, which is as good.
            match store.execute(election, who, &request).await {
                Ok(_) => {
                    tracing::warn!(%election, %term, store = label, "released for an elector that died");
                    return;
                }
                Err(error) => {
                    tracing::warn!(
                        %election, %term, attempt, %error,
                        "not released on this store: the election is free after the window"
                    );
                }
            }
            if attempt < Self::ATTEMPTS {
                tokio::time::sleep(Self::PAUSE).await;
            }
        }
    }
}

/// Shows no address and no secret.
impl std::fmt::Debug for Estate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Estate")
            .field("election", &self.election)
            .field("stores", &self.addresses.len())
            .finish_non_exhaustive()
    }
}

/// Releases the term of an elector that left an [`Estate`] as its context: the hook for
/// [`keep`](super::keep). It starts the runtime that the stores need, which a keeper does not have. The
/// `reason` goes into the history.
pub fn release(orphan: &Orphan, reason: LossReason) {
    let estate = match Estate::from_context(&orphan.context) {
        Ok(estate) => estate,
        Err(error) => {
            tracing::error!(term = %orphan.term, %error, "the term cannot be released");
            return;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(estate.release(orphan, reason)),
        Err(error) => {
            tracing::error!(term = %orphan.term, %error, "the term cannot be released");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estate() -> Estate {
        Estate {
            election: "billing".parse().unwrap(),
            addresses: vec!["redis://:secret@a/".into(), "sqlite:/b".into()],
            options: StoreOptions::default()
                .key_prefix("")
                .op_timeout(Duration::from_millis(300))
                .username("app"),
        }
    }

    #[test]
    fn an_estate_arrives_as_it_was_left() {
        let context = estate().to_context();
        let read = Estate::from_context(&context).unwrap();
        assert_eq!(read.to_context(), context);
        assert_eq!(read.options.username.as_deref(), Some("app"));
        assert!(read.options.password.is_none());
        assert_eq!(read.options.op_timeout, Duration::from_millis(300));
        assert_eq!(read.addresses[0].expose_secret(), "redis://:secret@a/");
        assert_eq!(read.election, estate().election);
    }

    #[test]
    fn an_estate_that_is_cut_short_is_refused() {
        let context = estate().to_context();
        for end in 0..context.len() {
            assert!(Estate::from_context(&context[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn an_estate_never_shows_its_secrets() {
        assert!(!format!("{:?}", estate()).contains("secret"));
    }
}
