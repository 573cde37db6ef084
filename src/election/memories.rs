//! What this process knows of the memory of each store: its campaigns come and go, and the age that one has seen
//! pass counts for all of them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::protocol::Knowledge;
use crate::store::Store;

/// The stores that are open. A process opens a handful of them, so a list does.
static KNOWN: Mutex<Vec<(Weak<dyn Store>, Knowledge)>> = Mutex::new(Vec::new());

/// What is known of a store.
pub(super) fn of(store: &Arc<dyn Store>) -> Option<Knowledge> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known.iter().find(|(one, _)| is(one, store));
    found.map(|(_, knowledge)| *knowledge)
}

/// Keeps what a campaign has learnt of a store.
pub(super) fn keep(store: &Arc<dyn Store>, knowledge: Knowledge) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(one, _)| one.strong_count() > 0);
    match known.iter_mut().find(|(one, _)| is(one, store)) {
        Some((_, before)) => *before = before.merged(knowledge),
        None => known.push((Arc::downgrade(store), knowledge)),
    }
}

fn is(one: &Weak<dyn Store>, store: &Arc<dyn Store>) -> bool {
    std::ptr::addr_eq(one.as_ptr(), Arc::as_ptr(store))
}
