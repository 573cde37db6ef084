//! The way to a state, as people read it.

use std::fmt::Write;

use super::choice::Action;
use super::state::{Body, State};

/// All steps to a state in which `property` does not hold.
pub(crate) fn of(property: &str, path: Vec<(State, Option<Action>)>) -> String {
    let last = path.last().and_then(|(state, _)| state.broken);
    let mut text = last.unwrap_or(property).to_owned();
    for ((before, action), (after, _)) in path.iter().zip(path.iter().skip(1)) {
        if let Some(action) = action {
            let _ = write!(text, "\n{}", tell(before, *action, after));
        }
    }
    text
}

/// One step: what happened, and what came of it.
fn tell(before: &State, action: Action, after: &State) -> String {
    let Some(place) = action.letter() else {
        return format!("{:>4} {action:?}{}", before.time, news(before, after));
    };
    let letter = &before.letters[place];
    let kind = format!("{action:?}");
    let kind = kind.split('(').next().unwrap_or_default();
    let body = match &letter.body {
        Body::Request(_, request) => format!("{request:?}"),
        Body::Reply(_, reply) => format!("{:?}", reply.verdict),
        Body::Push(_) => "the push of a release".into(),
    };
    format!(
        "{:>4} {kind} c{}.{} store {}, sent at {}: {body}{}",
        before.time,
        letter.node,
        letter.incarnation,
        letter.store,
        letter.sent,
        news(before, after)
    )
}

/// What has changed, of what matters.
fn news(before: &State, after: &State) -> String {
    let mut news = String::new();
    for (old, new) in before.nodes.iter().zip(&after.nodes) {
        let (old, new) = (&old.inner, &new.inner);
        let role = |node: &super::state::Inner| (node.candidate.role(), node.candidate.term());
        if role(old) != role(new) {
            let term = new.candidate.term().map(|term| format!(" of term {term}"));
            let _ = write!(
                news,
                "\n         {} is {:?}{}",
                new.candidate.id(),
                new.candidate.role(),
                term.unwrap_or_default()
            );
        }
    }
    for (place, (old, new)) in before.stores.iter().zip(&after.stores).enumerate() {
        if old.state != new.state {
            let record = &new.state.record;
            let _ = write!(
                news,
                "\n         store {place}: term {}, beat {}, {:?}, {:?}",
                record.term, record.beat, record.occupancy, new.state.memory
            );
        }
    }
    news
}
