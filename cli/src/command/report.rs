//! What the state of an election means for a command: the exit status, and the colour.

use incumbent::election::Observer;
use incumbent::observe::{Answers, State, document};
use incumbent::store::StoreError;

use crate::exit::Exit;
use crate::output::Tone;

/// The exit status of `status`. A holder whose record has stalled for its window may not act any more, so a
/// script must see that no one leads.
pub(crate) fn exit(state: &State) -> Exit {
    match state {
        State::Held(holding) if holding.is_stalled() => Exit::NotHeld,
        State::Held(_) | State::Foreign { .. } => Exit::Success,
        State::Vacant { .. } | State::Absent | State::Divided => Exit::NotHeld,
        State::Forbidden => Exit::Refused,
        State::Misconfigured => Exit::Configuration,
        _ => Exit::Unreachable,
    }
}

/// How a state is shown.
pub(crate) fn tone(state: &State) -> Tone {
    match state {
        State::Held(holding) if !holding.is_stalled() => Tone::Good,
        State::Held(_)
        | State::Foreign { .. }
        | State::Vacant { .. }
        | State::Absent
        | State::Divided => Tone::Odd,
        _ => Tone::Bad,
    }
}

/// The exit status of a command that asked each store for something.
pub(crate) fn answered<T>(observer: &Observer, told: &Answers<T>) -> Exit {
    let electorate = observer.electorate();
    let count = |is: fn(&StoreError) -> bool| {
        let errors = told.iter().filter_map(|(_, told)| told.as_ref().err());
        errors.filter(|error| is(error)).count()
    };
    let refused = count(StoreError::is_denied);
    let misconfigured = count(StoreError::is_misconfigured);
    let other = count(|error| !error.is_hopeless());
    if electorate.size() - refused - misconfigured - other >= electorate.majority() {
        Exit::Success
    } else if other >= refused.max(misconfigured) {
        Exit::Unreachable
    } else if refused >= misconfigured {
        Exit::Refused
    } else {
        Exit::Configuration
    }
}

/// How a store's record is shown.
pub(crate) fn store_tone(store: &document::Store) -> Tone {
    match store.state {
        _ if store.error.is_some() => Tone::Bad,
        "held" => Tone::Good,
        _ => Tone::Odd,
    }
}
