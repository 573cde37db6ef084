//! The stores of an election, by address. `memory:NAME` is a store of this process, for tests.

use std::sync::{Arc, Mutex, PoisonError};

use incumbent::ElectionBuilder;
use incumbent::store::MemoryStore;

/// The memory stores that this process has used, for as long as it lives.
static MEMORIES: Mutex<Vec<(String, Arc<MemoryStore>)>> = Mutex::new(Vec::new());

pub(crate) fn add(builder: ElectionBuilder, address: &str) -> ElectionBuilder {
    match address.strip_prefix("memory:") {
        Some(name) => builder.store_object(memory(name)),
        None => builder.store(address),
    }
}

fn memory(name: &str) -> Arc<MemoryStore> {
    let mut memories = MEMORIES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, store)) = memories.iter().find(|(known, _)| known == name) {
        return Arc::clone(store);
    }
    let store = Arc::new(MemoryStore::new(name));
    memories.push((name.to_owned(), Arc::clone(&store)));
    store
}
