//! A moment that moves, for who follows it.

use tokio::sync::watch;

use crate::protocol::Timestamp;

/// A moment that moves, as a deadline does with each heartbeat: where it is, and each change of it.
///
/// It hands out copies. Who looks at it never holds up who moves it, which a heartbeat must not wait for.
#[derive(Clone, Debug)]
pub struct Moments(watch::Receiver<Timestamp>);

impl Moments {
    pub(super) const fn new(receiver: watch::Receiver<Timestamp>) -> Self {
        Self(receiver)
    }

    /// Where it is now. What changed before this call is not told by [`Moments::changed`] any more.
    pub fn current(&mut self) -> Timestamp {
        *self.0.borrow_and_update()
    }

    /// Waits until it has moved since it was last looked at, and tells where to. `None` when nobody will move
    /// it any more.
    ///
    /// It may be dropped before it is ready without anything being missed.
    pub async fn changed(&mut self) -> Option<Timestamp> {
        self.0.changed().await.ok()?;
        Some(self.current())
    }
}
