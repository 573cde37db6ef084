//! The server, or servers, of one deployment, and how a request reaches the right one.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::PubSub;
use redis::{RedisError, RedisResult};
use tokio::runtime::Handle;
use tokio::time::error::Elapsed;

use super::awaited::Awaited;
use super::cluster::{Cluster, Redirection};
use super::connection::{Connection, logged_in};
use super::dial::{ConnectError, Dialed, Dialer, Identification};
use super::failure::{self, Stage};
use super::link::{Dial, LeadsTo, Link, Looks, is_timeout};
use super::names;
use super::sentinel::{self, Sentinels};
use super::timers::Timers;
use crate::store::StoreError;
use crate::store::address::{
    Credentials, Deployment, Endpoint, InvalidAddress, PasswordError, RedisPlace,
};

/// How many redirections of a cluster one request follows.
const REDIRECTIONS: usize = 3;

/// The servers of one deployment.
pub(super) enum Servers {
    /// One at a time: the only one, or the current master.
    One {
        route: Arc<Route>,
        link: Arc<Link>,
    },
    Cluster(Cluster),
}

/// The way to the one server of a deployment.
pub(super) struct Route {
    dialer: Dialer,
    to: Goal,
}

enum Goal {
    Endpoint(Endpoint),
    Socket(PathBuf),
    Master(Sentinels),
}

/// The server that a request is for.
#[derive(Clone, Copy)]
pub(super) enum To<'a> {
    /// The one that has this key.
    Key(&'a str),
    /// This one.
    Node(&'a Arc<Link>),
}

/// Why a request failed.
enum Trouble {
    NotConnected(ConnectError),
    Failed(RedisError),
}

impl Servers {
    /// Reads files, to find mistakes in them early. It does not connect. What is used beside the `main` servers of a
    /// process never is another server than these.
    pub(super) fn open(
        label: Arc<str>,
        place: &RedisPlace,
        identity: Identification,
        main: Option<&Self>,
    ) -> Result<Self, InvalidAddress> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &place.tls {
            super::tls::config(tls)?;
        }
        // Sentinels and servers are waited for in turn.
        let awaited = Arc::<Awaited>::default();
        let dialer = |credentials: &Credentials, database, identity| Dialer {
            credentials: credentials.clone(),
            database,
            tls: place.tls.clone(),
            identity,
            awaited: Arc::clone(&awaited),
        };
        let unusable = |error| {
            let (path, reason) = match error {
                PasswordError::File { name, reason } => (name, reason),
                PasswordError::Command { reason } => (String::new(), reason),
            };
            InvalidAddress::File {
                what: "password file of the sentinels",
                path,
                reason,
            }
        };
        let servers = dialer(&place.credentials, place.database, identity);
        let to = match &place.deployment {
            Deployment::Cluster(seeds) => {
                let cluster = Cluster::new(label, Arc::new(servers), seeds.clone());
                return Ok(Self::Cluster(cluster));
            }
            Deployment::Direct(endpoint) => Goal::Endpoint(endpoint.clone()),
            Deployment::Unix(path) => Goal::Socket(path.clone()),
            Deployment::Sentinel {
                sentinels,
                service,
                credentials,
            } => {
                if let Some(password) = &credentials.password {
                    password.check().map_err(unusable)?;
                }
                Goal::Master(Sentinels {
                    endpoints: sentinels.clone(),
                    service: service.clone(),
                    dialer: dialer(credentials, 0, Identification::Optional),
                })
            }
        };
        let route = Arc::new(Route {
            dialer: servers,
            to,
        });
        let way = Arc::clone(&route);
        let dial: Dial = Box::new(move |looks| {
            let way = Arc::clone(&way);
            Box::pin(async move { way.dial(looks).await })
        });
        let leads_to = match &route.to {
            Goal::Endpoint(_) | Goal::Socket(_) => LeadsTo::OneServer,
            Goal::Master(_) => LeadsTo::CurrentRole,
        };
        let main = main.and_then(|main| match main {
            Self::One { link, .. } => Some(Arc::clone(link)),
            Self::Cluster(_) => None,
        });
        Ok(Self::One {
            link: Arc::new(Link::new(label, leads_to, main, dial)),
            route,
        })
    }

    /// Watches the sentinels for a new master, where there are any.
    pub(super) fn watch_sentinels(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let Self::One { route, link } = self else {
            return None;
        };
        let (route, link) = (Arc::clone(route), Arc::clone(link));
        matches!(route.to, Goal::Master(_)).then(|| async move {
            if let Goal::Master(sentinels) = &route.to {
                let switched = || link.move_on();
                let listening = || link.look(&Handle::current(), sentinel::TIMEOUT);
                sentinel::watch(sentinels, switched, listening).await;
            }
        })
    }

    /// Waits until the only server is another one than before.
    pub(super) async fn elsewhere(&self) {
        match self {
            Self::One { link, .. } => link.elsewhere.notified().await,
            Self::Cluster(_) => pending().await,
        }
    }

    pub(super) const fn is_cluster(&self) -> bool {
        self.cluster().is_some()
    }

    const fn cluster(&self) -> Option<&Cluster> {
        match self {
            Self::One { .. } => None,
            Self::Cluster(cluster) => Some(cluster),
        }
    }

    /// A connection used only for messages.
    pub(super) async fn subscriber(&self) -> Result<PubSub, ConnectError> {
        let connection = PubSub::new(&logged_in(), self.dial().await?.stream).await;
        connection.map_err(ConnectError::Answered)
    }

    /// A separate connection, to try what such a connection needs.
    pub(super) async fn listener(&self) -> Result<Connection, ConnectError> {
        Connection::new(self.dial().await?).await
    }

    async fn dial(&self) -> Result<Dialed, ConnectError> {
        match self {
            Self::One { route, .. } => route.dial(Looks::ONE).await,
            Self::Cluster(cluster) => cluster.any_node().await,
        }
    }

    /// The only server, or the masters of a cluster.
    pub(super) async fn masters(
        &self,
        store: &Arc<str>,
        timeout: Duration,
    ) -> Result<Vec<Arc<Link>>, StoreError> {
        match self {
            Self::One { link, .. } => Ok(vec![Arc::clone(link)]),
            Self::Cluster(cluster) => {
                match tokio::time::timeout(timeout, cluster.masters(timeout)).await {
                    Ok(masters) => masters.map_err(|error| failure::not_connected(store, error)),
                    Err(_elapsed) => Err(failure::timed_out(store, Stage::Connecting)),
                }
            }
        }
    }

    /// Carries out one request within `timeout`, connecting included.
    pub(super) async fn request<T, F>(
        &self,
        (store, timers): (&Arc<str>, &Timers),
        timeout: Duration,
        to: To<'_>,
        request: impl Fn(Connection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (mut used, mut asked) = (None, None);
        let attempt = self.attempt(timeout, to, &mut used, &mut asked, request);
        let outcome = timers.run(timeout, attempt).await;
        let settled = self.settle(store, timeout, used, outcome);
        let node = asked.and_then(|link| self.cluster()?.node_of(&link));
        settled.map_err(|error| match node {
            Some(node) => failure::at_node(error, &node),
            None => error,
        })
    }

    /// The outcome of a request, and what it means for the connection that it `used`.
    fn settle<T>(
        &self,
        store: &Arc<str>,
        timeout: Duration,
        used: Option<(Arc<Link>, Connection)>,
        outcome: Result<Result<T, Trouble>, Elapsed>,
    ) -> Result<T, StoreError> {
        let give_up = |used: Option<(Arc<Link>, Connection)>| {
            if let Some((link, connection)) = used {
                link.drop_connection(&connection);
            }
            if let Self::Cluster(cluster) = self {
                cluster.forget_slots();
            }
        };
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Trouble::NotConnected(error))) => {
                give_up(None);
                let error = match (error, self.awaited()) {
                    (ConnectError::Unreachable(error), Some(awaited)) if is_timeout(&*error) => {
                        ConnectError::unreachable(format!("{error}: {awaited}"))
                    }
                    (error, _) => error,
                };
                Err(failure::not_connected(store, error))
            }
            Ok(Err(Trouble::Failed(error)))
                if self.is_cluster() && failure::is_redirection(&error) =>
            {
                give_up(None);
                Err(StoreError::Unwritable {
                    store: Arc::clone(store),
                    message: format!(
                        "its nodes redirect the request back and forth: {}",
                        failure::words(&error)
                    ),
                })
            }
            Ok(Err(Trouble::Failed(error))) => {
                if failure::spoils_connection(&error) {
                    give_up(used);
                }
                Err(failure::store_error(store, error, Stage::Sent))
            }
            Err(_elapsed) => {
                let stage = match used {
                    Some(_) => Stage::Sent,
                    None => Stage::Connecting,
                };
                give_up(used);
                match (stage, self.awaited()) {
                    (Stage::Connecting, Some(awaited)) => {
                        let error = format!("no connection within {timeout:?}: {awaited}");
                        let error = ConnectError::unreachable(error);
                        Err(failure::not_connected(store, error))
                    }
                    (Stage::Connecting | Stage::Sent, _) => Err(failure::timed_out(store, stage)),
                }
            }
        }
    }

    /// What an attempt to connect waits for, or waited for when it was given up.
    fn awaited(&self) -> Option<String> {
        let dialer = match self {
            Self::One { route, .. } => &route.dialer,
            Self::Cluster(cluster) => cluster.dialer(),
        };
        dialer.awaited.list()
    }

    async fn attempt<T, F>(
        &self,
        timeout: Duration,
        to: To<'_>,
        used: &mut Option<(Arc<Link>, Connection)>,
        asked: &mut Option<Arc<Link>>,
        request: impl Fn(Connection) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (cluster, key) = match (self, to) {
            (Self::Cluster(cluster), To::Key(key)) => (cluster, key),
            (Self::One { link, .. }, To::Key(_)) | (_, To::Node(link)) => {
                *asked = Some(Arc::clone(link));
                let connection = link.connection(timeout).await;
                let connection = connection.map_err(Trouble::NotConnected)?;
                let (_, connection) = used.insert((Arc::clone(link), connection));
                return request(connection.clone()).await.map_err(Trouble::Failed);
            }
        };
        let mut redirection: Option<Redirection> = None;
        let mut followed = 0;
        loop {
            let link = cluster.link(key, redirection.as_ref(), timeout).await;
            let link = link.map_err(Trouble::NotConnected)?;
            *asked = Some(Arc::clone(&link));
            let connection = link.connection(timeout).await;
            let mut connection = connection.map_err(Trouble::NotConnected)?;
            if let Some(redirection) = &redirection {
                connection = redirection.through(connection);
            }
            let (_, connection) = used.insert((link, connection));
            match request(connection.clone()).await {
                Err(error) if followed < REDIRECTIONS && failure::is_redirection(&error) => {
                    *used = None;
                    followed += 1;
                    redirection = Redirection::of(&error);
                    if redirection.is_none() {
                        cluster.forget_slots();
                    }
                }
                outcome => return outcome.map_err(Trouble::Failed),
            }
        }
    }
}

impl Route {
    async fn dial(&self, looks: Looks) -> Result<Dialed, ConnectError> {
        let dialed = match &self.to {
            Goal::Endpoint(endpoint) => names::only(&self.dialer, endpoint, looks).await?,
            Goal::Socket(path) => self.dialer.unix(path).await?,
            Goal::Master(sentinels) => sentinels.master(&self.dialer).await?,
        };
        if dialed.server.is_sentinel {
            return Err(ConnectError::Misconfigured(
                "it is a sentinel, which keeps no elections: use redis+sentinel:// and the name of a service"
                    .to_owned(),
            ));
        }
        Ok(dialed)
    }
}
