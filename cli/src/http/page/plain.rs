//! The page as a plain table, for browsers without JavaScript.

use maud::{Markup, html};

use super::super::overview::{Entry, Overview};
use super::{card, moment};
use incumbent::observe::{Holding, PastTerm};

const COLUMNS: [&str; 9] = [
    "Election",
    "State",
    "Leader",
    "Token",
    "Leading for",
    "Beat",
    "Tenure left",
    "Candidates",
    "Last change",
];

pub(super) fn table(overview: &Overview) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label="Elections" {
            table.plain {
                caption {
                    span { "All elections. This page reloads every five seconds." }
                }
                thead { tr { @for name in COLUMNS { th scope="col" { (name) } } } }
                tbody { @for entry in &overview.elections { (row(entry)) } }
            }
        }
    }
}

fn row(entry: &Entry) -> Markup {
    let view = &entry.view;
    let leader = view.leader();
    let (_, word, _) = card::standing(view);
    let who = leader.map(|holding| match &holding.identity {
        Some(identity) => format!("{} ({})", identity.host(), identity.pid()),
        None => holding.holder.to_string(),
    });
    let held_for = leader.and_then(|holding| holding.held_for);
    let cells = [
        who,
        leader.map(|holding| holding.term.to_string()),
        held_for.map(moment::duration),
        leader.map(|holding| holding.beat.to_string()),
        leader.and_then(Holding::tenure_left).map(moment::duration),
        Some(view.candidates.len().to_string()),
        entry.history.terms.iter().find_map(last_change),
    ];
    html! {
        tr {
            th scope="row" { (view.election.as_str()) }
            td { (word) @if view.paused.is_some() { ", paused" } }
            @for cell in cells { td { (cell.as_deref().unwrap_or("–")) } }
        }
    }
}

fn last_change(term: &PastTerm) -> Option<String> {
    let (date, time) = moment::date_and_time(term.to?);
    Some(format!("{date} {time} UTC: {}", term.why()?))
}
