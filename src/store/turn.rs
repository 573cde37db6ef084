//! Letting others go first.

use std::future::poll_fn;
use std::task::Poll;

/// Lets the tasks of this thread that are ready go first, above all a connection that was just given
/// something to write. A task comes back behind them, without a look at sockets and timers in between.
pub(crate) async fn let_others_go_first() {
    let mut passed = false;
    poll_fn(|context| {
        if std::mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
