//! `incumbent list`: every election in the stores.

use std::collections::BTreeSet;

use incumbent::observe::ElectionView;
use incumbent::observe::document::{self, Document, List as Listed, Status, StoreAnswer};

use super::electorate;
use super::history::troubles;
use super::report;
use super::runtime;
use super::status::ms;
use crate::config::args::{Format, List};
use crate::exit::{Exit, Failure};
use crate::output::{self, Tone, fitted_table, table};

/// Shows all elections.
///
/// # Errors
///
/// A configuration that cannot be used. A store that cannot be used is shown, not returned.
pub(crate) fn list(arguments: &List) -> Result<Exit, Failure> {
    let settings = super::settings(&arguments.flags.0, None)?;
    let observer = electorate::observe(&settings)?;
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let (listing, views) = runtime()?.block_on(async {
        let listing = observer.elections().await;
        let shown = listing.elections.iter().take(limit).cloned();
        let views = observer.views(&shown.collect::<Vec<_>>()).await;
        (listing, views)
    });
    let omitted = listing.elections.len() - views.len();
    if omitted > 0 {
        super::warn_of(&format!(
            "{omitted} more elections are not shown: these are the first {limit} by name (--limit)"
        ));
    }
    let exit = report::answered(&observer, &listing.stores);
    for (store, told) in &listing.stores {
        // Where nothing is listed, the error itself is all that is shown.
        if told.is_err() && !views.is_empty() {
            super::warn_of(&format!(
                "the list is incomplete: elections that only {store} has may be missing"
            ));
        }
    }
    let document =
        Document::<Listed>::list(observer.electorate(), &views, omitted, &listing.stores);
    match arguments.output.output {
        Format::Json => output::print_json(&document)?,
        Format::Text => output::print(&text(&views, &document.content.stores, exit))?,
    }
    Ok(exit)
}

fn text(views: &[ElectionView], stores: &[StoreAnswer], exit: Exit) -> String {
    let mut text = String::new();
    if !views.is_empty() {
        text.push_str(&table(HEADER, rows(views)));
    } else if exit == Exit::Success {
        text.push_str("no elections yet\n");
    }
    let away = stores.iter().filter_map(|store| {
        let error = store.error.clone()?;
        Some((store.state, error))
    });
    let told = troubles(away.chain(untold(views)));
    if !told.is_empty() && !views.is_empty() {
        text.push('\n');
    }
    text + &told
}

/// Unreadable and invalid records, by key and field: the table has no room for them, and hides a store that is
/// outvoted. Duplicates are printed once.
fn untold(views: &[ElectionView]) -> impl Iterator<Item = (&'static str, String)> {
    let errors = views.iter().flat_map(ElectionView::errors);
    let told = errors.filter(|error| error.is_garbled() || error.is_hopeless());
    let told: BTreeSet<_> = told
        .map(|error| (document::trouble(error), error.to_string()))
        .collect();
    told.into_iter()
}

const HEADER: [&str; 9] = [
    "ELECTION",
    "STATE",
    "TERM",
    output::LABEL,
    "HOST",
    "PID",
    "HELD FOR",
    "CHANGED",
    "CANDIDATES",
];

/// The columns dropped on a narrow terminal, in this order: the election, its state and the leader's host always
/// remain.
const DISPENSABLE: [&str; 6] = [
    "CHANGED",
    "PID",
    "TERM",
    "CANDIDATES",
    output::LABEL,
    "HELD FOR",
];

/// The table of elections, for a terminal this wide.
pub(super) fn fitted(views: &[ElectionView], width: usize) -> String {
    fitted_table(HEADER, rows(views), width, &DISPENSABLE)
}

fn rows(views: &[ElectionView]) -> Vec<(Tone, [String; 9])> {
    views.iter().map(row).collect()
}

/// Its state, and anything unusual about it.
fn standing(view: &ElectionView, election: &Status) -> String {
    let mut words = vec![election.state];
    if election.stalled {
        words.push("stalled");
    }
    if view.paused.is_some() {
        words.push("paused");
    }
    words.join(", ")
}

fn row(view: &ElectionView) -> (Tone, [String; 9]) {
    let election = Status::new(view);
    let holder = election.holder.as_ref();
    let row = [
        election.election.clone(),
        standing(view, &election),
        election
            .term
            .map(|term| term.to_string())
            .unwrap_or_default(),
        view.leader()
            .and_then(|leader| leader.identity.as_ref()?.given_label())
            .unwrap_or_default()
            .to_owned(),
        holder
            .and_then(|holder| holder.host.clone())
            .unwrap_or_default(),
        holder
            .and_then(|holder| holder.pid)
            .map(|pid| pid.to_string())
            .unwrap_or_default(),
        election.held_for_ms.map(ms).unwrap_or_default(),
        election
            .changed_ago_ms
            .map(|ago| format!("{} ago", ms(ago)))
            .unwrap_or_default(),
        election.candidates.len().to_string(),
    ];
    (report::tone(&view.state), row)
}
