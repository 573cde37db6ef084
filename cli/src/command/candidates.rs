//! `incumbent candidates NAME`: lists the candidates and marks the leader.

use incumbent::observe::document::{self, Document};
use incumbent::observe::{CandidateView, ElectionView};
use incumbent::protocol::Timing;
use incumbent::store::StoreList;

use super::history::troubles;
use super::runtime;
use super::{electorate, report};
use crate::config::args::{Format, Look};
use crate::exit::{Exit, Failure};
use crate::output::{self, Tone, duration, table};

/// Shows who campaigns for an election.
///
/// # Errors
///
/// A configuration that cannot be used. A store that cannot be used is shown, not returned.
pub(crate) fn candidates(look: &Look) -> Result<Exit, Failure> {
    let (name, settings) = super::reading(look)?;
    let observer = electorate::observe(&settings)?;
    let view = runtime()?.block_on(observer.view(&name));
    let told = view.stores.iter().map(|store| {
        let told = store.inspection.as_ref().map(drop).map_err(Clone::clone);
        (store.store.clone(), told)
    });
    let exit = match report::answered(&observer, &told.collect()) {
        Exit::Success if view.candidates.is_empty() => Exit::NotHeld,
        exit => exit,
    };
    match look.output.output {
        Format::Json => output::print_json(&Document::<document::Candidates>::from(&view))?,
        Format::Text => output::print(&text(&view, exit))?,
    }
    Ok(exit)
}

fn text(view: &ElectionView, exit: Exit) -> String {
    const HEADER: [&str; 9] = [
        "ROLE",
        output::LABEL,
        "HOST",
        "PID",
        "VERSION",
        "TIMING",
        "CONTAINED",
        "SEEN",
        "ID",
    ];
    let mut text = String::new();
    if !view.candidates.is_empty() {
        text.push_str(&table(HEADER, view.candidates.iter().map(row).collect()));
    } else if exit == Exit::NotHeld {
        text.push_str(&format!("{}: no one campaigns\n", view.election));
    }
    let ours = StoreList::new(view.stores.iter().map(|store| &*store.store));
    for (one, difference) in view.other_stores(&ours) {
        let (host, pid) = (one.identity.host(), one.identity.pid());
        let line = format!("{host} pid {pid} {difference}");
        text.push_str(&Tone::Odd.paint(&line));
        text.push('\n');
    }
    text.push_str(&troubles(
        view.errors()
            .map(|error| (document::trouble(error), error.to_string())),
    ));
    text
}

/// A timing as the others see it: its interval times the polls it may stall.
pub(super) fn rhythm(timing: &Timing) -> String {
    format!("{} × {}", duration(timing.interval()), timing.stall_polls())
}

fn row(one: &CandidateView) -> (Tone, [String; 9]) {
    let (tone, role) = match one.leads {
        true => (Tone::Good, "leader"),
        false => (Tone::Plain, "standby"),
    };
    let identity = &one.identity;
    let row = [
        role.to_owned(),
        identity.given_label().unwrap_or_default().to_owned(),
        identity.host().to_owned(),
        identity.pid().to_string(),
        identity.version().to_owned(),
        identity.timing().map(rhythm).unwrap_or_default(),
        identity.containment().unwrap_or_default().to_owned(),
        format!("{} ago", duration(one.age)),
        identity.id().as_str().to_owned(),
    ];
    (tone, row)
}
