//! What all stores of this process on one deployment share: its connections, and the tasks that run between requests.

use std::sync::Arc;

use super::dial::Identification;
use super::servers::Servers;
use super::subscription::Subscription;
use super::task;
use super::timers::Timers;
use crate::store::address::{InvalidAddress, RedisPlace};
use crate::store::registry::Registry;

static SHARED: Registry<RedisPlace, Shared> = Registry::new();

pub(super) struct Shared {
    pub(super) servers: Arc<Servers>,
    pub(super) subscription: Subscription,
    pub(super) timers: Timers,
    sentinels: task::Task,
}

impl Shared {
    /// What the stores at `place` share.
    pub(super) fn of(label: &Arc<str>, place: &RedisPlace) -> Result<Arc<Self>, InvalidAddress> {
        SHARED.get_or_open(place.clone(), |place| {
            let label = Arc::clone(label);
            let (required, timers) = (Identification::Required, Timers::Fresh);
            Self::open(label, place, required, timers, None).map(Arc::new)
        })
    }

    /// Connections that no other store uses, beside the `main` ones of this process.
    pub(super) fn open(
        label: Arc<str>,
        place: &RedisPlace,
        identity: Identification,
        timers: Timers,
        main: Option<&Self>,
    ) -> Result<Self, InvalidAddress> {
        let main = main.map(|main| &*main.servers);
        let servers = Arc::new(Servers::open(label, place, identity, main)?);
        Ok(Self {
            subscription: Subscription::new(Arc::clone(&servers)),
            timers,
            sentinels: task::Task::default(),
            servers,
        })
    }

    /// Starts the tasks that run between requests, if they do not run yet.
    pub(super) fn keep_running(&self) {
        self.subscription.keep_running();
        self.sentinels
            .keep_running(|| self.servers.watch_sentinels());
    }
}
