//! `incumbent history NAME`: each term with its leader, why it ended, and the gap before the next.

use std::time::Duration;

use incumbent::observe::document::{self, Document};
use incumbent::observe::{HistoryView, PastOrder, PastTerm, order_word, until_in_words};
use incumbent::protocol::FencingToken;
use incumbent::store::Note;

use super::electorate;
use super::report;
use super::runtime;
use crate::config::args::{Format, History};
use crate::config::hint;
use crate::exit::{Exit, Failure};
use crate::output::{self, Tone, duration, moment, one_line, table};

/// Shows the last terms of an election.
///
/// # Errors
///
/// A configuration that cannot be used. A store that cannot be used is shown, not returned.
pub(crate) fn history(arguments: &History) -> Result<Exit, Failure> {
    let (name, settings) = super::reading(&arguments.look)?;
    let observer = electorate::observe(&settings)?;
    let terms = usize::from(arguments.terms);
    let history = runtime()?.block_on(observer.history(&name, terms));
    let exit = report::answered(&observer, &history.stores);
    match arguments.look.output.output {
        Format::Json => output::print_json(&Document::<document::History>::from(&history))?,
        Format::Text => output::print(&text(&history, exit))?,
    }
    Ok(exit)
}

fn text(history: &HistoryView, exit: Exit) -> String {
    const HEADER: [&str; 8] = [
        "FROM",
        "UNTIL",
        "HELD FOR",
        "HOST",
        "PID",
        "TOKEN",
        "GAP AFTER",
        "WHY IT ENDED",
    ];
    let mut text = String::new();
    if !history.terms.is_empty() {
        text.push_str(&table(HEADER, history.terms.iter().map(row).collect()));
    } else if exit == Exit::Success {
        text.push_str(&format!("{}: no leader in its history\n", history.election));
    }
    if !history.orders.is_empty() {
        const HEADER: [&str; 5] = ["AT", "ORDER", "BY", "TERM", "DETAILS"];
        text.push('\n');
        text.push_str(&table(HEADER, history.orders.iter().map(order).collect()));
    }
    text.push_str(&troubles(history.stores.iter().filter_map(|(_, told)| {
        let error = told.as_ref().err()?;
        Some((document::trouble(error), error.to_string()))
    })));
    text
}

/// One line for each store that did not answer.
pub(super) fn troubles(troubles: impl Iterator<Item = (&'static str, String)>) -> String {
    let mut forbidden = false;
    let mut text: String = troubles
        .map(|(state, error)| {
            forbidden |= state == "forbidden";
            Tone::Bad.paint(&format!("{state}: {}", one_line(&error))) + "\n"
        })
        .collect();
    if forbidden {
        text.push_str(&format!(
            "correct the user and the password; {} shows which permission is missing\n",
            hint::command("doctor", None)
        ));
    }
    text
}

/// The gap after a term. If only its last heartbeat is known, its leader may have acted for a part of that.
fn gap_in_words(term: &PastTerm, gap: Duration) -> String {
    let most = if term.last_heartbeat.is_some() {
        "up to "
    } else {
        ""
    };
    format!("{most}{} ms", gap.as_millis())
}

/// The details of an order.
fn details(order: &PastOrder) -> String {
    match &order.note {
        Some(Note::Pause(pause)) => until_in_words(pause),
        Some(Note::Handover(handover)) => {
            let to = handover.to.as_ref();
            to.map_or_else(String::new, |to| format!("in favour of {to}"))
        }
        Some(_) | None => String::new(),
    }
}

fn order(order: &PastOrder) -> (Tone, [String; 5]) {
    let row = [
        moment(order.at),
        order_word(order.change).unwrap_or_default().to_owned(),
        order.by.id().to_string(),
        match order.term {
            FencingToken::ZERO => String::new(),
            term => term.to_string(),
        },
        details(order),
    ];
    (Tone::Plain, row)
}

fn row(term: &PastTerm) -> (Tone, [String; 8]) {
    let (tone, why) = match term.why() {
        None => (Tone::Good, "no end recorded".to_owned()),
        Some(why) if term.ended_as_planned() => (Tone::Plain, why),
        Some(why) => (Tone::Odd, why),
    };
    let held_for = term.to.map(|to| {
        let millis = to.get().saturating_sub(term.from.get());
        duration(Duration::from_millis(millis))
    });
    let row = [
        moment(term.from),
        term.to.map(moment).unwrap_or_default(),
        held_for.unwrap_or_default(),
        term.holder.host().to_owned(),
        term.holder.pid().to_string(),
        term.term.to_string(),
        term.gap
            .map(|gap| gap_in_words(term, gap))
            .unwrap_or_default(),
        why,
    ];
    (tone, row)
}
