//! Moments that others may follow: each new one, as a copy, so that a slow reader never holds up who passes them on.

use std::sync::OnceLock;

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::watch;

use crate::protocol::Timestamp;

/// It costs next to nothing until someone follows it: a process may have many.
#[derive(Debug, Default)]
pub(super) struct Moments(OnceLock<watch::Sender<Timestamp>>);

impl Moments {
    /// Each moment from now on. A slow reader gets only the latest.
    pub(super) fn follow(&self) -> impl Stream<Item = Timestamp> + Send + Unpin + use<> {
        let receiver = self.channel().subscribe();
        let moments = stream::unfold(receiver, async |mut receiver| {
            receiver.changed().await.ok()?;
            let at = *receiver.borrow_and_update();
            Some((at, receiver))
        });
        moments.fuse().boxed()
    }

    /// Passes on the next one. Who begins to follow meanwhile may miss it.
    pub(super) fn pass_on(&self, at: Timestamp) {
        if let Some(channel) = self.0.get() {
            channel.send_replace(at);
        }
    }

    /// The same, ordered with who begins to follow meanwhile: they get it, or see whatever was stored before this.
    pub(super) fn pass_on_to_newcomers_too(&self, at: Timestamp) {
        self.channel().send_replace(at);
    }

    fn channel(&self) -> &watch::Sender<Timestamp> {
        // What it begins with is never read.
        self.0.get_or_init(|| watch::Sender::new(Timestamp::ZERO))
    }
}
