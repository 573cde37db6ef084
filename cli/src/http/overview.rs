//! A snapshot of everything the page shows.

use std::sync::Arc;

use incumbent::observe::{Answers, ElectionView, HistoryView};
use incumbent::protocol::WallMillis;

/// The elections of the stores, and the stores.
#[derive(Debug)]
pub(super) struct Overview {
    pub(super) taken: WallMillis,
    pub(super) elections: Vec<Entry>,
    /// How many elections there are beyond those shown.
    pub(super) more: usize,
    pub(super) stores: Answers<()>,
}

/// One election and its last terms.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) view: ElectionView,
    pub(super) history: Arc<HistoryView>,
}
