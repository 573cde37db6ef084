//! What follows when nothing goes wrong any more: somebody leads, within a bound.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use incumbent::protocol::{Role, Timestamp};

use super::World;
use super::state::{Node, State};

/// How many intervals after the last fault somebody must lead: a window until a leader that died is
/// found dead, a probation, and claims that meet each other and are tried again after random waits.
pub(crate) const PATIENCE: u8 = 24;
/// How many messages an interval may see before the candidates count as talking without end.
const TALK: usize = 400;

impl World {
    /// Follows a state without faults, everything in the order of its sending, until one leads.
    ///
    /// It does not lean on a search for cycles: the path is one, and its length is bounded.
    pub(crate) fn settles(&self, from: &State) -> bool {
        let mut state = from.clone();
        for store in &mut state.stores {
            store.cut = false;
        }
        for node in &mut state.nodes {
            if node.inner.paused || node.inner.parted != 0 {
                Node::change(node, |node| {
                    (node.paused, node.parted) = (false, 0);
                    node.wake_at = Timestamp::ZERO;
                });
            }
        }
        for waited in 0..=PATIENCE {
            self.end_all_work(&mut state);
            let mut talk = TALK;
            while !state.letters.is_empty() {
                if talk == 0 {
                    return false;
                }
                talk -= 1;
                let letter = state.letters.remove(0);
                self.deliver(&mut state, letter);
            }
            if state.broken.is_some() || state.acting() > 1 {
                return false;
            }
            let leads = |node: &Arc<Node>| node.inner.candidate.role() == Role::Leading;
            if waited > 0 && state.nodes.iter().any(leads) {
                self.longest_wait
                    .fetch_max(waited.into(), Ordering::Relaxed);
                return true;
            }
            self.advance(&mut state, u8::MAX, u8::MAX);
        }
        false
    }

    /// Work that was asked to stop ends.
    fn end_all_work(&self, state: &mut State) {
        for place in 0..state.nodes.len() {
            if state.nodes[place].inner.candidate.role() == Role::Draining {
                self.end_work(state, place);
            }
        }
    }
}
