//! What may happen next.
//!
//! Choices that lead to the same states are made once:
//!
//! - A reply is delivered in the same step as its request is carried out, unless it is delayed or lost:
//!   what another candidate or another store does in between does not touch either.
//! - The letters of one candidate arrive in the order of their sending, unless one is held back; whose
//!   letter is next is open. So every order of requests at a store is explored.
//! - Stores are alike until one of them is struck, so the next one to be struck is the first that was not. That
//!   leaves out in which order the others answer afterwards, so it is a bound too.
//! - With several stores, what one candidate sent at one moment arrives together, unless one is held back:
//!   that is a bound, not an equivalence. Which of it arrives late costs one fault for each letter.
//! - A pause and a crash happen before a letter of that candidate, or at the end of a step of time: what
//!   others do in between does not touch it. For the same reason a candidate goes on, and a store is
//!   back, at the beginning of a step, and a store forgets before a letter arrives, held back or not.

use incumbent::protocol::{self, Role};

use super::World;
use super::bounds::Fault;
use super::state::State;

/// What happens next. A letter is named by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Deliver(usize),
    Lose(usize),
    LoseReply(usize),
    Delay(usize),
    DelayReply(usize),
    Double(usize),
    Pause(usize),
    Crash(usize),
    Resign(usize),
    /// The work of a leader that was asked to stop has ended.
    EndWork(usize),
    Forget(usize),
    Evict(usize),
    RollBack {
        store: usize,
        to: usize,
    },
    Cut(usize),
    Part {
        node: usize,
        store: usize,
    },
    /// An interval passes. Then some candidates and stores go on, and hear each other again: bits.
    Advance {
        resume: u8,
        restore: u8,
    },
}

impl Action {
    /// The place of the letter that it happens to.
    pub(crate) const fn letter(self) -> Option<usize> {
        match self {
            Self::Deliver(place)
            | Self::Lose(place)
            | Self::LoseReply(place)
            | Self::Delay(place)
            | Self::DelayReply(place)
            | Self::Double(place) => Some(place),
            Self::Pause(_)
            | Self::Crash(_)
            | Self::Resign(_)
            | Self::EndWork(_)
            | Self::Forget(_)
            | Self::Evict(_)
            | Self::RollBack { .. }
            | Self::Cut(_)
            | Self::Part { .. }
            | Self::Advance { .. } => None,
        }
    }
}

impl World {
    pub(crate) fn choices(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        let mut waits = vec![false; state.nodes.len()];
        let mut overdue = false;
        for (place, letter) in state.letters.iter().enumerate() {
            let node = usize::from(letter.node);
            let heard = letter.is_request() || !state.nodes[node].inner.paused;
            if !heard {
                continue;
            }
            if letter.held {
                // A reply that comes after its timeout is stale, and stays so.
                overdue |= !letter.is_request() && letter.sent + 2 <= state.time;
                actions.push(Action::Deliver(place));
            } else if !std::mem::replace(&mut waits[node], true)
                && state.turn.is_none_or(|(whose, _)| whose == letter.node)
            {
                actions.push(Action::Deliver(place));
                self.letter_faults(state, place, actions);
            }
        }
        let calm = !waits.contains(&true);
        self.node_choices(state, &waits, actions);
        // What strikes a store while the letters of one candidate arrive might as well have come before.
        let strikes = !calm && state.turn.is_none();
        let forgets = state.turn.is_none() && (!calm || state.letters.iter().any(|one| one.held));
        for (place, store) in state.stores.iter().enumerate().take(state.struck + 1) {
            if forgets && state.left.allows(Fault::Forget) && store.state != protocol::State::EMPTY
            {
                actions.push(Action::Forget(place));
            }
            if forgets && state.left.allows(Fault::Evict) && store.state.listed.is_some() {
                actions.push(Action::Evict(place));
            }
            if forgets && state.left.allows(Fault::RollBack) {
                let past = 0..store.past.len();
                actions.extend(past.map(|to| Action::RollBack { store: place, to }));
            }
            if strikes && state.left.allows(Fault::Cut) && !store.cut {
                actions.push(Action::Cut(place));
            }
            for node in 0..state.nodes.len() {
                let heard = state.nodes[node].inner.parted >> place & 1 == 0;
                if strikes && heard && state.left.allows(Fault::Part) {
                    actions.push(Action::Part { node, store: place });
                }
            }
        }
        if calm && !overdue && state.time < self.horizon {
            advances(state, actions);
        }
    }

    fn letter_faults(&self, state: &State, place: usize, actions: &mut Vec<Action>) {
        let letter = &state.letters[place];
        let request = letter.is_request();
        let kinds = [
            (Fault::Lose, true, Action::Lose(place)),
            (Fault::LoseReply, request, Action::LoseReply(place)),
            (Fault::Delay, true, Action::Delay(place)),
            (Fault::DelayReply, request, Action::DelayReply(place)),
            (Fault::Double, request, Action::Double(place)),
        ];
        for (fault, possible, action) in kinds {
            if possible && state.left.allows(fault) {
                actions.push(action);
            }
        }
    }

    fn node_choices(&self, state: &State, waits: &[bool], actions: &mut Vec<Action>) {
        let calm = !waits.contains(&true);
        for (place, node) in state.nodes.iter().enumerate() {
            if node.inner.paused {
                continue;
            }
            let mine = waits[place] || calm;
            if mine && state.left.allows(Fault::Pause) {
                actions.push(Action::Pause(place));
            }
            if mine && state.left.allows(Fault::Crash) {
                actions.push(Action::Crash(place));
            }
            let role = node.inner.candidate.role();
            if role == Role::Leading && !waits[place] && state.left.allows(Fault::Resign) {
                actions.push(Action::Resign(place));
            }
            if role == Role::Draining && !waits[place] {
                actions.push(Action::EndWork(place));
            }
        }
    }
}

fn advances(state: &State, actions: &mut Vec<Action>) {
    let bits = |stands: &mut dyn Iterator<Item = bool>| {
        let set = |(place, stands): (usize, bool)| if stands { 1 << place } else { 0 };
        stands.enumerate().map(set).fold(0_u8, |all, bit| all | bit)
    };
    let paused = bits(
        &mut state
            .nodes
            .iter()
            .map(|node| node.inner.paused || node.inner.parted != 0),
    );
    let cut = bits(&mut state.stores.iter().map(|store| store.cut));
    for resume in (0..=paused).filter(|some| some & !paused == 0) {
        for restore in (0..=cut).filter(|some| some & !cut == 0) {
            actions.push(Action::Advance { resume, restore });
        }
    }
}
