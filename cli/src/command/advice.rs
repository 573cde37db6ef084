//! What to do about an election without a leader.

use incumbent::observe::{ElectionView, State};

use crate::config::hint;

/// What to do, if anything: an election with a leader needs no action.
pub(super) fn on(view: &ElectionView) -> Option<String> {
    let command = |words| hint::command(words, Some(view.election.as_str()));
    let doctor = command("doctor");
    let standbys = view.candidates.iter().any(|one| !one.leads);
    let resume = format!(
        "no one is elected while it is paused: {}",
        command("resume")
    );
    let otherwise = format!("if it does not, {doctor} may show why");
    // A store that cannot be written, such as a replica, lists no candidates.
    let unlisted = format!("if one runs already, {doctor} shows why it is not listed");
    Some(match &view.state {
        State::Held(holding) if !holding.is_stalled() => return None,
        _ if view.used_up().next().is_some() => format!(
            "no one can be elected: a record has the highest term there is; {doctor} shows how to repair it"
        ),
        State::Foreign { .. } => return None,
        State::Held(_) | State::Vacant { .. } | State::Absent if view.paused.is_some() => resume,
        State::Held(_) if standbys => format!("a standby takes over by itself; {otherwise}"),
        State::Held(_) => format!(
            "no candidate stands by to take over: start one, or vacate the record with {}; {unlisted}",
            command("depose --yes")
        ),
        State::Vacant { .. } | State::Absent if standbys => {
            format!("a candidate claims it by itself; {otherwise}")
        }
        State::Vacant { .. } => format!("no candidate campaigns: start one; {unlisted}"),
        State::Absent => format!(
            "no candidate campaigns: start one, or use the stores and the key prefix that the candidates use; \
             {unlisted}"
        ),
        State::Divided => format!("an election is under way; if that lasts, {doctor} may show why"),
        State::Forbidden => format!(
            "correct the user and the password; {doctor} shows which permission is missing"
        ),
        State::Misconfigured => {
            "correct the addresses of the stores, or what they lead to, as the error below asks".to_owned()
        }
        State::Garbled => "docs/redis.md shows how to repair or delete a record".to_owned(),
        _ => "start the stores, or correct their addresses and the network between; a leader stops at its \
              deadline meanwhile"
            .to_owned(),
    })
}
