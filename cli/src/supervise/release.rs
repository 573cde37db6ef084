//! What a keeper does after its elector has died: it releases the term that the elector held.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};

use super::keeper::Orphan;
use super::wire::{self, Malformed};
use incumbent::protocol::{ElectionName, LossReason, Request};
use incumbent::store::{self, Password, Store, StoreOptions};

/// What a keeper needs to release the term of its elector: the election and its stores.
///
/// It is sent over the private pipe between the two, because it holds secrets that must not be in an
/// argument or an environment.
#[derive(Clone)]
pub struct ReleaseContext {
    /// The election.
    pub election: ElectionName,
    /// The addresses of the stores, as they were given.
    pub addresses: Vec<SecretString>,
    /// How to connect to them.
    pub options: StoreOptions,
}

/// The same on the wire, with its secrets.
#[derive(Serialize, Deserialize)]
struct Form {
    #[serde(with = "wire::election")]
    election: ElectionName,
    #[serde(deserialize_with = "addresses")]
    addresses: Vec<String>,
    key_prefix: String,
    op_timeout: Duration,
    username: Option<String>,
    password: Option<PasswordForm>,
}

#[derive(Serialize, Deserialize)]
enum PasswordForm {
    Text(String),
    File(#[serde(with = "wire::path")] PathBuf),
    Command(String),
}

fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    /// What an electorate has at most.
    const MOST_STORES: usize = 5;
    wire::checked(from, "stores", |stores: &Vec<_>| {
        stores.len() <= MOST_STORES
    })
}

impl ReleaseContext {
    /// How often to try a store that does not answer.
    const ATTEMPTS: u32 = 3;
    /// The pause between two attempts.
    const PAUSE: Duration = Duration::from_millis(50);

    /// The form in which [`Keeper::set_context`](super::Keeper::set_context) takes it. It is empty for a password
    /// that cannot be passed on: the keeper logs that, and releases nothing.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let addresses = self.addresses.iter();
        let options = self.options.clone();
        let password = match options.password {
            None => None,
            Some(Password::Text(text)) => Some(PasswordForm::Text(text.expose_secret().to_owned())),
            Some(Password::File(path)) => Some(PasswordForm::File(path)),
            Some(Password::Command(command)) => Some(PasswordForm::Command(command)),
            Some(_) => return Vec::new(),
        };
        let form = Form {
            election: self.election.clone(),
            addresses: addresses.map(|it| it.expose_secret().to_owned()).collect(),
            key_prefix: options.key_prefix,
            op_timeout: options.op_timeout,
            username: options.username,
            password,
        };
        postcard::to_stdvec(&form).unwrap_or_default()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let form: Form = wire::read(bytes)?;
        let password = form.password.map(|password| match password {
            PasswordForm::Text(text) => Password::from(text),
            PasswordForm::File(path) => Password::File(path),
            PasswordForm::Command(command) => Password::Command(command),
        });
        let mut options = StoreOptions::default();
        (options.key_prefix, options.op_timeout) = (form.key_prefix, form.op_timeout);
        (options.username, options.password) = (form.username, password);
        Ok(Self {
            election: form.election,
            addresses: form.addresses.into_iter().map(SecretString::from).collect(),
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
        let who = &orphan.who;
        let request = Request::Release {
            holder: who.id().clone(),
            term: orphan.term,
            reason,
            delete: false,
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
impl std::fmt::Debug for ReleaseContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReleaseContext")
            .field("election", &self.election)
            .field("stores", &self.addresses.len())
            .finish_non_exhaustive()
    }
}

/// Releases the term of an elector that left a [`ReleaseContext`] as its context: the hook for
/// [`keep`](super::keep). It starts the runtime that the stores need, which a keeper does not have. The
/// `reason` goes into the history.
pub fn release(orphan: &Orphan, reason: LossReason) {
    let context = match ReleaseContext::from_bytes(&orphan.context) {
        Ok(context) => context,
        Err(error) => {
            tracing::error!(term = %orphan.term, %error, "the term cannot be released");
            return;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(context.release(orphan, reason)),
        Err(error) => {
            tracing::error!(term = %orphan.term, %error, "the term cannot be released");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn context() -> ReleaseContext {
        ReleaseContext {
            election: "billing".parse().unwrap(),
            addresses: vec!["redis://:secret@a/".into(), "sqlite:/b".into()],
            options: StoreOptions::default()
                .key_prefix("")
                .op_timeout(Duration::from_millis(300))
                .username("app"),
        }
    }

    #[test]
    fn a_context_arrives_as_it_was_left() {
        let bytes = context().to_bytes();
        let read = ReleaseContext::from_bytes(&bytes).unwrap();
        assert_eq!(read.to_bytes(), bytes);
        assert_eq!(read.options.username.as_deref(), Some("app"));
        assert!(read.options.password.is_none());
        assert_eq!(read.options.op_timeout, Duration::from_millis(300));
        assert_eq!(read.addresses[0].expose_secret(), "redis://:secret@a/");
        assert_eq!(read.election, context().election);
    }

    #[test]
    fn a_password_file_of_any_name_arrives_and_too_many_stores_are_refused() {
        let path = PathBuf::from(OsString::from_vec(b"/a\xff".to_vec()));
        let mut context = context();
        context.options.password = Some(Password::File(path));
        let read = ReleaseContext::from_bytes(&context.to_bytes()).unwrap();
        assert_eq!(read.options, context.options);
        context.addresses = vec!["sqlite:/b".into(); 6];
        assert!(ReleaseContext::from_bytes(&context.to_bytes()).is_err());
    }

    #[test]
    fn a_context_that_is_cut_short_is_refused() {
        let bytes = context().to_bytes();
        for end in 0..bytes.len() {
            assert!(ReleaseContext::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_context_never_shows_its_secrets() {
        assert!(!format!("{:?}", context()).contains("secret"));
    }
}
