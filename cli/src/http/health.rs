//! Health, for load balancers and for Kubernetes. Nothing here asks a store: an outage of the store is
//! not a reason to restart a standby.

use std::time::Duration;

use hyper::StatusCode;

use super::response::{self, Answer};
use incumbent::election::Election;

/// The shortest time without a turn of its loop after which a campaign counts as stuck.
const STUCK: Duration = Duration::from_secs(10);

/// Whether the loop of the campaigns turns: on a leader, on a standby, and during an outage alike.
pub(super) fn alive(election: &Election) -> Answer {
    match stuck(election) {
        None => response::line(StatusCode::OK, "alive"),
        Some(since) => unavailable(&format!("the campaign has been stuck for {since:.1?}")),
    }
}

/// Whether this process is ready: it campaigns, and a majority of the stores answers.
pub(super) fn ready(election: &Election) -> Answer {
    let metrics = election.metrics();
    if let Some(since) = stuck(election) {
        return unavailable(&format!("the campaign has been stuck for {since:.1?}"));
    }
    if metrics.campaigns == 0 {
        return unavailable("not campaigning");
    }
    let up = metrics.stores.iter().filter(|store| store.up == Some(true));
    let (up, all) = (up.count(), metrics.stores.len());
    if up <= all / 2 {
        return unavailable(&format!("{up} of {all} stores answer"));
    }
    let paused = if metrics.paused {
        ", and an operator has paused the election"
    } else {
        ""
    };
    response::line(
        StatusCode::OK,
        &format!("ready: {up} of {all} stores answer{paused}"),
    )
}

/// Whether the leader is here, judged by the deadline now.
pub(super) fn leader(election: &Election) -> Answer {
    match election.metrics().leading {
        Some(term) => response::line(StatusCode::OK, &format!("leading, token {term}")),
        None => unavailable("not leading"),
    }
}

/// Whether this process is standing by now.
pub(super) fn standby(election: &Election) -> Answer {
    let metrics = election.metrics();
    if metrics.leading.is_some() {
        unavailable("leading")
    } else if metrics.campaigns == 0 {
        unavailable("not campaigning")
    } else if metrics.standing_by == 0 {
        unavailable("the work of the last leadership is still ending")
    } else {
        response::line(StatusCode::OK, "standing by")
    }
}

fn stuck(election: &Election) -> Option<Duration> {
    let metrics = election.metrics();
    let patience = (election.timing().interval() * 3).max(STUCK);
    metrics
        .turned
        .filter(|since| metrics.campaigns > 0 && *since > patience)
}

fn unavailable(why: &str) -> Answer {
    response::line(StatusCode::SERVICE_UNAVAILABLE, why)
}
