//! How a connection to the right server of a deployment is made.

use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2};
use redis::{
    Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisResult,
};
use secrecy::ExposeSecret;

use super::connection::{Connection, PushSender};
use super::script;
#[cfg(feature = "sentinel")]
use super::sentinel::{self, Sentinels};
use crate::store::address::{Deployment, Endpoint, InvalidAddress, RedisPlace};

/// Where the server of a store is, and how it wants to be spoken to.
pub(super) struct Topology {
    route: Route,
    settings: RedisConnectionInfo,
}

enum Route {
    Server(ConnectionAddr),
    #[cfg(feature = "sentinel")]
    Sentinel(Sentinels),
    #[cfg(feature = "cluster")]
    Cluster(Vec<ConnectionAddr>),
}

/// How many requests may wait to be written before callers wait.
const PIPELINE: usize = 1024;
/// How long sent data may stay unacknowledged before the kernel breaks the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(1);
/// How often a silent connection is probed, so that one whose other end has vanished is found out.
const PROBE: Duration = Duration::from_secs(5);
/// Longer than any request may take.
#[cfg(feature = "cluster")]
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

impl Topology {
    /// Prepares the way. Certificates are read; nothing is connected.
    pub(super) fn open(place: &RedisPlace) -> Result<Self, InvalidAddress> {
        let mut settings = RedisConnectionInfo::default()
            // The third version of the protocol tells when a connection ends.
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name("incumbent", env!("CARGO_PKG_VERSION"))
            .set_db(place.database.into());
        if let Some(username) = &place.credentials.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &place.credentials.password {
            settings = settings.set_password(password.expose_secret());
        }
        let route = match &place.deployment {
            Deployment::Direct(endpoint) => Route::Server(address(endpoint)),
            Deployment::Unix(path) => Route::Server(ConnectionAddr::Unix(path.clone())),
            #[cfg(feature = "tls")]
            Deployment::Tls(endpoint, files) => {
                Route::Server(super::tls::address(endpoint, files)?)
            }
            #[cfg(feature = "sentinel")]
            Deployment::Sentinel {
                sentinels,
                service,
                login,
            } => Route::Sentinel(Sentinels::open(sentinels, service, login)?),
            #[cfg(feature = "cluster")]
            Deployment::Cluster(nodes) => Route::Cluster(nodes.iter().map(address).collect()),
            #[cfg(not(feature = "tls"))]
            Deployment::Tls(..) => return Err(lacking("rediss://", "tls")),
            #[cfg(not(feature = "sentinel"))]
            Deployment::Sentinel { .. } => return Err(lacking("redis+sentinel://", "sentinel")),
            #[cfg(not(feature = "cluster"))]
            Deployment::Cluster(_) => return Err(lacking("redis+cluster://", "cluster")),
        };
        Ok(Self { route, settings })
    }

    /// The sentinels that know the master.
    #[cfg(feature = "sentinel")]
    pub(super) const fn sentinels(&self) -> Option<&Sentinels> {
        match &self.route {
            Route::Sentinel(sentinels) => Some(sentinels),
            Route::Server(_) => None,
            #[cfg(feature = "cluster")]
            Route::Cluster(_) => None,
        }
    }

    /// Connects for requests. A Sentinel deployment is asked for its master anew each time.
    ///
    /// A server that has restarted has lost its scripts. It is taught them here, once, or else every
    /// election would send them along. A cluster learns them as they are called.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        let mut connection = self.connect_bare().await?;
        if let Some(server) = connection.server() {
            script::load_all(server).await?;
        }
        Ok(connection)
    }

    async fn connect_bare(&self) -> RedisResult<Connection> {
        match &self.route {
            Route::Server(address) => self.server(address, PushSender::new(|_| {})).await,
            #[cfg(feature = "sentinel")]
            Route::Sentinel(sentinels) => self.master(sentinels, PushSender::new(|_| {})).await,
            #[cfg(feature = "cluster")]
            Route::Cluster(nodes) => self.cluster(nodes).await,
        }
    }

    /// Connects for messages, which `push` receives. In a cluster every node passes on every message,
    /// so each attempt takes the next of the nodes that the address names.
    #[cfg_attr(not(feature = "cluster"), expect(unused_variables))]
    pub(super) async fn connect_subscriber(
        &self,
        push: PushSender,
        attempt: u32,
    ) -> RedisResult<Connection> {
        match &self.route {
            Route::Server(address) => self.server(address, push).await,
            #[cfg(feature = "sentinel")]
            Route::Sentinel(sentinels) => self.master(sentinels, push).await,
            #[cfg(feature = "cluster")]
            Route::Cluster(nodes) => {
                let next = usize::try_from(attempt).unwrap_or_default() % nodes.len();
                self.server(&nodes[next], push).await
            }
        }
    }

    async fn server(&self, address: &ConnectionAddr, push: PushSender) -> RedisResult<Connection> {
        let info = address
            .clone()
            .into_connection_info()?
            .set_tcp_settings(tcp_settings())
            .set_redis_settings(self.settings.clone());
        let alive = push.alive();
        let wire = Client::open(info)?
            .get_multiplexed_async_connection_with_config(&push.into_config(PIPELINE))
            .await?;
        Ok(Connection::to_server(wire, alive))
    }

    #[cfg(feature = "sentinel")]
    async fn master(&self, sentinels: &Sentinels, push: PushSender) -> RedisResult<Connection> {
        let alive = push.alive();
        let wire = sentinels
            .builder(&self.settings, tcp_settings())?
            .build()?
            .get_async_connection_with_config(&push.into_config(PIPELINE))
            .await
            .map_err(sentinel::named)?;
        Ok(Connection::to_server(wire, alive))
    }

    #[cfg(feature = "cluster")]
    async fn cluster(&self, nodes: &[ConnectionAddr]) -> RedisResult<Connection> {
        let nodes = nodes
            .iter()
            .map(|node| {
                Ok(node
                    .clone()
                    .into_connection_info()?
                    .set_tcp_settings(tcp_settings()))
            })
            .collect::<RedisResult<Vec<_>>>()?;
        let push = PushSender::new(|_| {});
        let alive = push.alive();
        let mut builder = redis::cluster::ClusterClientBuilder::new(nodes)
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(tcp_settings())
            // One, to follow a slot that has moved. The client may use it after a broken connection too, once
            // it has read its slots anew: a claim that is carried out twice then tells its claimant that it
            // lost to itself, which costs an interval. None would leave moved slots unfollowed.
            .retries(1)
            // The caller's timeout is the one that counts.
            .overall_response_timeout(None)
            .response_timeout(NEVER)
            .push_sender(push.into_sender());
        if let Some(username) = self.settings.username() {
            builder = builder.username(username);
        }
        if let Some(password) = self.settings.password() {
            builder = builder.password(password);
        }
        let wire = builder.build()?.get_async_connection().await?;
        Ok(Connection::to_cluster(wire, alive))
    }
}

/// The error of a build that cannot reach a deployment.
#[cfg(not(all(feature = "tls", feature = "sentinel", feature = "cluster")))]
const fn lacking(scheme: &'static str, feature: &'static str) -> InvalidAddress {
    InvalidAddress::Feature { scheme, feature }
}

pub(super) fn address(endpoint: &Endpoint) -> ConnectionAddr {
    ConnectionAddr::Tcp(endpoint.host.clone(), endpoint.port)
}

pub(super) fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(
        socket2::TcpKeepalive::new()
            .with_time(PROBE)
            .with_interval(PROBE),
    );
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    settings
}
