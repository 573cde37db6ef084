//! `incumbent status NAME`: shows the holder of an election.

use std::time::Duration;

use incumbent::election::Observer;
use incumbent::observe::document::{self, Document};
use incumbent::observe::{ElectionView, Holding, State, pause_in_words};
use incumbent::protocol::{ElectionName, Handover, Timing, WallMillis};
use serde::Serialize;

use super::advice;
use super::electorate;
use super::list;
use super::report;
use super::runtime;
use crate::config::args::{Format, Look};
use crate::config::keys::MOST_SEATS;
use crate::exit::{Exit, Failure};
use crate::output::{self, Tone, duration, moment, one_line, table};
use crate::supervise;

/// The election, and each of its seats, which is an election too.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    election: Document<document::Status>,
    seats: Vec<document::Status>,
}

/// Shows one election.
///
/// # Errors
///
/// A configuration that cannot be used. A store that cannot be used is shown, not returned.
pub(crate) fn status(look: &Look) -> Result<Exit, Failure> {
    let (name, settings) = super::reading(look)?;
    let observer = electorate::observe(&settings)?;
    let (view, seats) = runtime()?.block_on(async {
        let view = observer.view(&name).await;
        let seats = match report::exit(&view.state) {
            Exit::NotHeld => seats(&observer, &name, &view).await,
            _ => Vec::new(),
        };
        (view, seats)
    });
    for store in &view.stores {
        let inspection = store.inspection.as_ref();
        if let Some(caveat) = inspection.ok().and_then(|one| one.caveat.as_ref()) {
            super::warn_of(&format!("{}: {caveat}", store.store));
        }
    }
    let document = Document::<document::Status>::from(&view);
    match look.output.output {
        Format::Json => output::print_json(&Shown {
            election: document,
            seats: seats.iter().map(document::Status::new).collect(),
        })?,
        Format::Text if !seats.is_empty() => output::print(&list::fitted(&seats, usize::MAX))?,
        Format::Text => output::print(&text(&view, &document.content))?,
    }
    Ok(match is_led(&seats) {
        true => Exit::Success,
        false => report::exit(&view.state),
    })
}

/// The seats of an election that the stores have a record of. If it is or was held without seats, they count only
/// while someone leads in them.
async fn seats(observer: &Observer, name: &ElectionName, view: &ElectionView) -> Vec<ElectionView> {
    let names = (0..MOST_SEATS).filter_map(|seat| name.seat(seat).ok());
    let mut seats = observer.views(&names.collect::<Vec<_>>()).await;
    seats.retain(|seat| !matches!(seat.state, State::Absent));
    if !matches!(view.state, State::Absent) && !is_led(&seats) {
        seats.clear();
    }
    seats
}

fn is_led(seats: &[ElectionView]) -> bool {
    let mut seats = seats.iter();
    seats.any(|seat| report::exit(&seat.state) == Exit::Success)
}

fn text(view: &ElectionView, election: &document::Status) -> String {
    let state = report::tone(&view.state).paint(&sentence(view));
    let mut text = format!("{}: {state}\n", election.election);
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<9}  {value}\n"));
        }
    };
    if let Some(holder) = &election.holder {
        line("holder", Some(holder.id.clone()));
        line("host", holder.host.clone());
        line("pid", holder.pid.map(|pid| pid.to_string()));
        line("version", holder.version.clone());
    }
    let term = if election.holder.is_some() {
        "term"
    } else {
        "last term"
    };
    line(term, election.term.map(|term| term.to_string()));
    line("beat", election.beat.map(|beat| beat.to_string()));
    let leader = election.candidates.iter().find(|one| one.leads);
    line("contained", leader.and_then(contained));
    line("window", election.window_ms.map(ms));
    line("tenure", view.leader().and_then(tenure));
    line("since", since(election.since_ms, election.held_for_ms));
    line(
        "changed",
        election
            .changed_ago_ms
            .map(|ago| format!("{} ago", ms(ago))),
    );
    line(
        "paused",
        view.paused
            .as_ref()
            .map(|pause| one_line(&pause_in_words(pause))),
    );
    line("handover", view.handover.as_ref().map(handover));
    line("fix", advice::on(view));
    if !election.candidates.is_empty() {
        text.push_str("\ncandidates\n");
        text.push_str(&indented(&candidates(view, election)));
    }
    if election.stores.len() > 1 || election.stores.iter().any(|store| store.error.is_some()) {
        text.push_str("\nstores");
        if election.stores.len() > 1 {
            text.push_str(&format!(", of which {} decide", election.majority));
        }
        text.push('\n');
        text.push_str(&indented(&stores(election)));
        let troubles = troubles(election);
        if !troubles.is_empty() {
            text.push_str(&format!("\n{troubles}"));
        }
    }
    text
}

fn sentence(view: &ElectionView) -> String {
    let text = match &view.state {
        State::Held(holding) if holding.is_stalled() => {
            "held, but no one leads: the heartbeat has stalled for longer than the window"
        }
        State::Held(holding) if holding.unproven => {
            "held, without acting until the probation of its store is over"
        }
        State::Held(_) => "held",
        State::Foreign { .. } => "held by a program that speaks only the bare protocol",
        State::Vacant { .. } => "not held: the last holder has released it, or was deposed",
        State::Absent => "not held: the stores have no record of it",
        State::Divided => "not held by a majority: the stores do not agree",
        State::Unreachable => "not known: too few stores answer",
        State::Forbidden => "not known: the stores refuse access",
        State::Misconfigured => "not known: the stores cannot be reached as they are configured",
        State::Garbled => "not known: the record cannot be read",
        other => other.word(),
    };
    text.to_owned()
}

/// How its program is kept together, and what that covers.
fn contained(candidate: &document::Candidate) -> Option<String> {
    let level = candidate.containment.as_deref()?;
    Some(match supervise::covers(level) {
        Some(covers) => format!("{level}: {covers}"),
        None => level.to_owned(),
    })
}

/// What is left of a tenure, estimated from outside: the leader counts from when it sent its last heartbeat,
/// but a store knows only when that arrived.
fn tenure(leader: &Holding) -> Option<String> {
    let tenure = duration(Timing::tenure_of(leader.window));
    Some(match leader.tenure_left()? {
        Duration::ZERO => format!("{tenure}, and over: the leader may not act any more"),
        left => format!(
            "{tenure}, of which {} are left at most unless it beats again",
            duration(left)
        ),
    })
}

fn handover(handover: &Handover) -> String {
    match &handover.to {
        Some(to) => format!("to {to}, after term {}", handover.term),
        None => format!(
            "to the first standby to claim it, after term {}",
            handover.term
        ),
    }
}

fn candidates(view: &ElectionView, election: &document::Status) -> String {
    let both = view.candidates.iter().zip(&election.candidates);
    let rows = both.map(|(one, candidate)| {
        let identity = &candidate.identity;
        let (tone, role) = match candidate.leads {
            true => (Tone::Good, "leader"),
            false => (Tone::Plain, "standby"),
        };
        let row = [
            identity.id.clone(),
            one.identity.given_label().unwrap_or_default().to_owned(),
            identity.host.clone().unwrap_or_default(),
            identity.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            role.to_owned(),
            candidate.containment.clone().unwrap_or_default(),
            format!("{} ago", ms(candidate.seen_ago_ms)),
        ];
        (tone, row)
    });
    table(
        [
            "ID",
            output::LABEL,
            "HOST",
            "PID",
            "ROLE",
            "CONTAINED",
            "SEEN",
        ],
        rows.collect(),
    )
}

fn stores(election: &document::Status) -> String {
    let rows = election.stores.iter().map(|store| {
        let row = [
            store.store.clone(),
            store.state.to_owned(),
            store.term.map(|term| term.to_string()).unwrap_or_default(),
            store.beat.map(|beat| beat.to_string()).unwrap_or_default(),
            store
                .changed_ago_ms
                .map(|ago| format!("{} ago", ms(ago)))
                .unwrap_or_default(),
            store.holder.clone().unwrap_or_default(),
        ];
        (report::store_tone(store), row)
    });
    table(
        ["STORE", "STATE", "TERM", "BEAT", "CHANGED", "HOLDER"],
        rows.collect(),
    )
}

/// Why stores did not answer, which does not fit in the table.
fn troubles(election: &document::Status) -> String {
    let stores = election.stores.iter();
    let lines = stores.filter_map(|store| {
        let line = format!("{}: {}", store.state, one_line(store.error.as_deref()?));
        Some(format!("{}\n", Tone::Bad.paint(&line)))
    });
    lines.collect()
}

fn since(at_ms: Option<u64>, ago_ms: Option<u64>) -> Option<String> {
    let at = WallMillis::new(at_ms?)?;
    Some(format!("{} ({} ago)", moment(at), ms(ago_ms?)))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Milliseconds for people.
pub(crate) fn ms(millis: u64) -> String {
    duration(Duration::from_millis(millis))
}
