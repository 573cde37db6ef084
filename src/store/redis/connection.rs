//! One connection that many requests share at once, and that tells when it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::{ConnectionLike, MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, PushInfo, PushKind, RedisFuture, Value};

/// A connection to a server, or to the servers of a cluster.
#[derive(Clone)]
pub(super) struct Connection {
    wire: Wire,
    alive: Alive,
}

#[derive(Clone)]
enum Wire {
    Server(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Connection {
    pub(super) const fn to_server(wire: MultiplexedConnection, alive: Alive) -> Self {
        Self {
            wire: Wire::Server(wire),
            alive,
        }
    }

    #[cfg(feature = "cluster")]
    pub(super) const fn to_cluster(
        wire: redis::cluster_async::ClusterConnection,
        alive: Alive,
    ) -> Self {
        Self {
            wire: Wire::Cluster(wire),
            alive,
        }
    }

    /// Whether it has not ended, as far as is known.
    pub(super) fn is_alive(&self) -> bool {
        self.alive.0.load(Ordering::Acquire)
    }

    /// Whether two are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.alive.0, &other.alive.0)
    }

    /// Whether a cluster is behind it.
    pub(super) const fn is_cluster(&self) -> bool {
        !matches!(self.wire, Wire::Server(_))
    }

    /// The cluster behind it, when there is one.
    #[cfg(feature = "cluster")]
    pub(super) const fn cluster(&mut self) -> Option<&mut redis::cluster_async::ClusterConnection> {
        match &mut self.wire {
            Wire::Server(_) => None,
            Wire::Cluster(cluster) => Some(cluster),
        }
    }

    /// The single server behind it, when there is one.
    pub(super) const fn server(&mut self) -> Option<&mut MultiplexedConnection> {
        match &mut self.wire {
            Wire::Server(server) => Some(server),
            #[cfg(feature = "cluster")]
            Wire::Cluster(_) => None,
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.wire {
            Wire::Server(server) => server.req_packed_command(cmd),
            #[cfg(feature = "cluster")]
            Wire::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.wire {
            Wire::Server(server) => server.req_packed_commands(pipeline, offset, count),
            #[cfg(feature = "cluster")]
            Wire::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.wire {
            Wire::Server(server) => server.get_db(),
            #[cfg(feature = "cluster")]
            Wire::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Whether a connection has not ended.
#[derive(Clone)]
pub(super) struct Alive(Arc<AtomicBool>);

/// Receives what a server sends unasked, and the end of the connection.
pub(super) struct PushSender {
    receive: Box<dyn Fn(PushInfo) + Send + Sync>,
    end: End,
}

/// The connection owns it, so it is dropped when the connection ends, however that comes about: even
/// when the runtime that drives it goes away.
struct End(Alive);

impl Drop for End {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

impl PushSender {
    pub(super) fn new(receive: impl Fn(PushInfo) + Send + Sync + 'static) -> Self {
        Self {
            receive: Box::new(receive),
            end: End(Alive(Arc::new(AtomicBool::new(true)))),
        }
    }

    pub(super) fn alive(&self) -> Alive {
        self.end.0.clone()
    }

    /// The settings of a connection to one server. Time is kept by whoever uses it.
    pub(super) fn into_config(self, pipeline: usize) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(pipeline)
            .set_push_sender(move |info: PushInfo| {
                // Named whole, so that the closure owns it whole.
                let push: &Self = &self;
                if info.kind == PushKind::Disconnection {
                    push.end.0.0.store(false, Ordering::Release);
                }
                (push.receive)(info);
                Ok::<(), SendError>(())
            })
    }

    /// The same for a cluster, which replaces the connection to a single node by itself.
    #[cfg(feature = "cluster")]
    pub(super) fn into_sender(self) -> impl redis::aio::AsyncPushSender {
        move |info: PushInfo| {
            let push: &Self = &self;
            (push.receive)(info);
            Ok::<(), SendError>(())
        }
    }
}
