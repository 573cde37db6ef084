//! `incumbent list`: every election that the stores know.

use incumbent::election::{Listing, Observer};
use incumbent::observe::ElectionView;
use serde::Serialize;

use super::args::{Format, List};
use super::electorate;
use super::exit::{Exit, Failure};
use super::output::{self, Tone, one_line, table};
use super::report::{self, Report};
use super::runtime;
use super::settings::{Settings, Typed};
use super::status::ms;

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    majority: usize,
    elections: Vec<Report>,
    stores: Vec<Answered>,
}

/// Whether a store told its elections.
#[derive(Serialize)]
struct Answered {
    store: String,
    /// `ok`, or why it did not tell, as in the report of an election.
    state: &'static str,
    error: Option<String>,
}

/// Shows all elections.
///
/// # Errors
///
/// A configuration that cannot be used. A store that cannot be used is shown, not returned.
pub(crate) fn list(arguments: &List) -> Result<Exit, Failure> {
    let mut typed = Typed::general(&arguments.general)?;
    typed.stores(&arguments.stores)?;
    let settings = Settings::load(typed, None)?;
    super::warn(&settings);
    let observer = electorate::observe(&settings)?;
    let (listing, views) = runtime()?.block_on(async {
        let listing = observer.elections().await;
        let views = observer.views(&listing.elections).await;
        (listing, views)
    });
    let exit = exit(&observer, &listing);
    let stores = answered(&listing);
    match arguments.output.output {
        Format::Json => output::print_json(&Document {
            schema: "incumbent.list.v1",
            majority: observer.electorate().majority(),
            elections: views.iter().map(Report::new).collect(),
            stores,
        })?,
        Format::Text => output::print(&text(&views, &stores, exit))?,
    }
    Ok(exit)
}

fn answered(listing: &Listing) -> Vec<Answered> {
    let stores = listing.stores.iter().map(|(store, told)| Answered {
        store: store.to_string(),
        state: told.as_ref().err().map_or("ok", report::trouble),
        error: told.as_ref().err().map(ToString::to_string),
    });
    stores.collect()
}

fn exit(observer: &Observer, listing: &Listing) -> Exit {
    let electorate = observer.electorate();
    let errors = listing
        .stores
        .iter()
        .filter_map(|(_, told)| told.as_ref().err());
    let (refused, other): (Vec<_>, Vec<_>) = errors.partition(|error| error.is_denied());
    if electorate.size() - refused.len() - other.len() >= electorate.majority() {
        Exit::Success
    } else if refused.len() > other.len() {
        Exit::Refused
    } else {
        Exit::Unreachable
    }
}

fn text(views: &[ElectionView], stores: &[Answered], exit: Exit) -> String {
    const HEADER: [&str; 8] = [
        "ELECTION",
        "STATE",
        "TERM",
        "HOST",
        "PID",
        "HELD FOR",
        "CHANGED",
        "CANDIDATES",
    ];
    let mut text = String::new();
    if !views.is_empty() {
        text.push_str(&table(HEADER, views.iter().map(row).collect()));
    } else if exit == Exit::Success {
        text.push_str("there is no election yet\n");
    }
    for store in stores {
        if let Some(error) = &store.error {
            let line = format!("{}: {}", store.state, one_line(error));
            text.push_str(&Tone::Bad.paint(&line));
            text.push('\n');
        }
    }
    text
}

fn row(view: &ElectionView) -> (Tone, [String; 8]) {
    let election = Report::new(view);
    let holder = election.holder.as_ref();
    let row = [
        election.election.clone(),
        election.state.to_owned(),
        election
            .term
            .map(|term| term.to_string())
            .unwrap_or_default(),
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
