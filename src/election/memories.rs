//! What this process knows of the memory of each store: its campaigns come and go, and the age that one has seen
//! pass counts for all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::once::Once;
use crate::protocol::{ElectionName, Knowledge};
use crate::store::Store;

static MEMORIES: Once<Mutex<Memories>> = Once::new();

/// What is known of the memory by which a store decides on an election.
pub(super) fn of(store: &Arc<dyn Store>, election: &ElectionName) -> Option<Knowledge> {
    memories().of(store, election)
}

/// Keeps what a candidate has learnt of it.
pub(super) fn keep(store: &Arc<dyn Store>, election: &ElectionName, knowledge: Knowledge) {
    memories().keep(store, election, knowledge);
}

fn memories() -> MutexGuard<'static, Memories> {
    let memories = MEMORIES.get_or_init(Mutex::default);
    memories.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memories of the stores that are open.
#[derive(Default)]
struct Memories(Vec<Known>);

struct Known {
    store: Weak<dyn Store>,
    /// The election whose memory it is, where each has its own.
    election: Option<ElectionName>,
    knowledge: Knowledge,
}

impl Known {
    fn is_of(&self, store: &Arc<dyn Store>, election: &ElectionName) -> bool {
        let same = std::ptr::addr_eq(self.store.as_ptr(), Arc::as_ptr(store));
        same && self.election.as_ref().is_none_or(|own| own == election)
    }
}

impl Memories {
    /// How many are kept. A process opens a handful of stores, so this is for those that have a memory for each
    /// election. The one that was not seen for the longest time is forgotten first: it is polled again.
    const KEPT: usize = 1024;

    fn of(&self, store: &Arc<dyn Store>, election: &ElectionName) -> Option<Knowledge> {
        let found = self.0.iter().find(|known| known.is_of(store, election));
        found.map(|known| known.knowledge)
    }

    fn keep(&mut self, store: &Arc<dyn Store>, election: &ElectionName, knowledge: Knowledge) {
        let same = |known: &&mut Known| known.is_of(store, election);
        if let Some(known) = self.0.iter_mut().find(same) {
            known.knowledge = known.knowledge.merged(knowledge);
            return;
        }
        self.0.retain(|known| known.store.strong_count() > 0);
        let by_sight = |&index: &usize| self.0[index].knowledge.seen;
        if self.0.len() >= Self::KEPT
            && let Some(oldest) = (0..self.0.len()).min_by_key(by_sight)
        {
            self.0.swap_remove(oldest);
        }
        self.0.push(Known {
            store: Arc::downgrade(store),
            election: store.has_memory_per_election().then(|| election.clone()),
            knowledge,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Memory, MemoryId, Timestamp, WallMillis};
    use crate::store::{self, StoreOptions};

    /// A store at an address where nothing is asked. Tests that count what is open have different addresses, because
    /// a process opens each once.
    fn open(address: &str) -> Arc<dyn Store> {
        store::open(&address.parse().unwrap(), &StoreOptions::default()).unwrap()
    }

    fn knowledge(nonce: u64) -> Knowledge {
        let made = WallMillis::default();
        let memory = Memory::young(MemoryId { made, nonce });
        let seen = Timestamp::from_nanos(nonce);
        Knowledge::learnt(None, (memory, made), seen, seen)
    }

    fn nonce(knowledge: Option<Knowledge>) -> Option<u64> {
        knowledge.map(|known| known.memory.id.nonce)
    }

    #[test]
    fn a_memory_is_known_by_its_store_and_by_its_election_where_each_has_its_own() {
        for (address, known) in [
            ("redis://127.0.0.1:1", [Some(2), Some(2)]),
            ("redis+cluster://127.0.0.1:1", [Some(1), Some(2)]),
        ] {
            let mut memories = Memories(Vec::new());
            let (store, other) = (open(address), open("redis://127.0.0.1:2"));
            let [one, two] = ["one", "two"].map(|name| name.parse().unwrap());
            memories.keep(&store, &one, knowledge(1));
            memories.keep(&store, &two, knowledge(2));
            assert_eq!(
                [&one, &two].map(|name| nonce(memories.of(&store, name))),
                known
            );
            assert_eq!(memories.of(&other, &one), None);
            drop(store);
            memories.keep(&other, &one, knowledge(3));
            assert_eq!(memories.0.len(), 1, "those of a closed store are forgotten");
        }
    }

    #[test]
    fn the_memory_that_was_not_seen_for_the_longest_time_is_forgotten_first() {
        let mut memories = Memories(Vec::new());
        let store = open("redis+cluster://127.0.0.1:3");
        let name = |n: u64| -> ElectionName { format!("e{n}").parse().unwrap() };
        let most = Memories::KEPT as u64;
        for n in (0..most).rev() {
            memories.keep(&store, &name(n), knowledge(n));
        }
        memories.keep(&store, &name(most), knowledge(most));
        let forgotten = (0..=most).filter(|n| memories.of(&store, &name(*n)).is_none());
        assert_eq!(forgotten.collect::<Vec<_>>(), [0]);
    }
}
