//! One election on the page.

use std::hash::{DefaultHasher, Hash, Hasher};

use maud::{Markup, html};

use super::super::overview::Entry;
use super::{moment, terms, timeline};
use incumbent::observe::document::trouble;
use incumbent::observe::{CandidateView, ElectionView, Holding, State, StoreView, pause_in_words};
use incumbent::protocol::{ElectionName, Timing, WallMillis};

/// How often a card is refreshed only for its timeline.
const TIMELINE_MS: u64 = 60_000;

/// The id of the element: the name may contain any character.
pub(in crate::http) fn card_id(election: &ElectionName) -> String {
    let bytes = election.as_str().bytes();
    let digits: String = bytes.map(|byte| format!("{byte:02x}")).collect();
    format!("e-{digits}")
}

/// A digest of everything on the card that does not change with every beat.
pub(in crate::http) fn digest(entry: &Entry, now: WallMillis) -> u64 {
    let view = &entry.view;
    let mut hasher = DefaultHasher::new();
    (now.get() / TIMELINE_MS).hash(&mut hasher);
    view.state.word().hash(&mut hasher);
    if let Some(holding) = view.leader() {
        (&holding.holder, holding.term, holding.stores).hash(&mut hasher);
        (holding.unproven, holding.is_stalled()).hash(&mut hasher);
    }
    (&view.paused, &view.handover).hash(&mut hasher);
    for candidate in &view.candidates {
        (&candidate.identity, candidate.leads).hash(&mut hasher);
    }
    for store in &view.stores {
        let said = store.inspection.as_ref().err().map(trouble);
        said.hash(&mut hasher);
    }
    for term in &entry.history.terms {
        (term.term, term.to, term.ended, term.reason).hash(&mut hasher);
    }
    hasher.finish()
}

/// What changes with every beat: the counter, its age, and what is left of how long a tenure.
pub(in crate::http) fn beat(view: &ElectionView) -> serde_json::Value {
    let Some(holding) = view.leader() else {
        return serde_json::Value::Null;
    };
    let tenure = Timing::tenure_of(holding.window);
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).ok();
    serde_json::json!({
        "beat": holding.beat.get(),
        "left": holding.tenure_left().and_then(millis),
        "tenure": millis(tenure),
    })
}

/// The card.
pub(in crate::http) fn card(entry: &Entry, now: WallMillis) -> Markup {
    let view = &entry.view;
    let id = card_id(&view.election);
    let (tone, word, meaning) = standing(view);
    html! {
        article id=(id) .card.(tone) aria-labelledby={ (id) "-name" } {
            header {
                h2 id={ (id) "-name" } { (view.election.as_str()) }
                @if view.paused.is_some() {
                    span.state.paused title="no one is elected until it is resumed" { "paused" }
                }
                span.state title=(meaning) { (word) }
            }
            @match view.leader() {
                Some(holding) => (leader(holding)),
                None => p.meaning { (without_leader(view)) },
            }
            (orders(view))
            (candidates(&view.candidates))
            @if view.stores.len() > 1 { (stores(&view.stores)) }
            (timeline::timeline(&entry.history, now))
            (terms::terms(&entry.history, &id))
        }
    }
}

/// The rank of an election on the page: broken first, then odd or paused.
pub(in crate::http) fn urgency(view: &ElectionView) -> u8 {
    match standing(view).0 {
        "bad" => 0,
        "good" if view.paused.is_none() => 2,
        _ => 1,
    }
}

/// How an election stands: the tone, a word, and what it means.
pub(super) fn standing(view: &ElectionView) -> (&'static str, &'static str, &'static str) {
    match &view.state {
        State::Held(holding) if holding.is_stalled() => (
            "odd",
            "stalled",
            "the heartbeat has stalled for longer than the window",
        ),
        State::Held(holding) if holding.unproven => (
            "odd",
            "probation",
            "a candidate holds a majority and may be waiting before it acts",
        ),
        State::Held(_) => ("good", "led", "one leader holds a majority of the stores"),
        State::Foreign { .. } => (
            "odd",
            "foreign",
            "a program that speaks only the bare protocol holds it",
        ),
        State::Vacant { .. } => ("odd", "vacant", "the last leader released it"),
        State::Absent => ("odd", "absent", "it was never held, or the stores lost it"),
        State::Divided => ("odd", "divided", "the stores do not agree"),
        State::Forbidden => ("bad", "forbidden", "the stores refuse access"),
        State::Misconfigured => (
            "bad",
            "misconfigured",
            "the stores cannot be reached as configured",
        ),
        State::Garbled => ("bad", "garbled", "no majority of the records can be read"),
        _ => ("bad", "unknown", "no majority of the stores answers"),
    }
}

fn without_leader(view: &ElectionView) -> String {
    match &view.state {
        State::Vacant {
            term,
            since: Some(since),
        } => {
            let (date, time) = moment::date_and_time(*since);
            format!("No one leads. Term {term} was released at {date} {time} UTC.")
        }
        State::Vacant { term, since: None } => {
            format!("No one leads. Term {term} was released.")
        }
        _ => {
            let (_, _, meaning) = standing(view);
            let mut text = format!("No leader is known: {meaning}.");
            for error in view.errors() {
                text.push_str(&format!(" {error}."));
            }
            text
        }
    }
}

/// The operator orders in effect.
fn orders(view: &ElectionView) -> Markup {
    html! {
        @if let Some(pause) = &view.paused {
            p.meaning.order { "Paused " (pause_in_words(pause)) ". No one is elected until it is resumed." }
        }
        @if let Some(handover) = &view.handover {
            p.meaning.order {
                "Term " (handover.term) " hands over to "
                @match &handover.to {
                    Some(to) => (to),
                    None => "the first standby to claim it",
                }
                "."
            }
        }
    }
}

fn leader(holding: &Holding) -> Markup {
    let left = holding.tenure_left().map(moment::duration);
    html! {
        div.leader {
            span.pulse aria-hidden="true" {}
            div {
                p {
                    @match &holding.identity {
                        Some(identity) => {
                            strong { (identity.host()) } " "
                            span.muted { "pid " (identity.pid()) " · v" (identity.version()) }
                        }
                        None => strong { "unknown host" },
                    }
                }
                code.id { (holding.holder) }
            }
        }
        dl {
            div { dt { "Token" } dd { code { (holding.term) } } }
            @if let (Some(since), Some(held_for)) = (holding.since, holding.held_for) {
                @let (date, time) = moment::date_and_time(since);
                div {
                    dt { "Leading for" }
                    dd {
                        time datetime={ (date) "T" (time) "Z" } title={ "since " (date) " " (time) " UTC" }
                            data-for=(held_for.as_millis()) { (moment::duration(held_for)) }
                    }
                }
            }
            div { dt { "Beat" } dd { code data-beat { (holding.beat) } } }
            div {
                dt { "Tenure left" }
                dd {
                    span data-left { (left.as_deref().unwrap_or("unknown")) } " "
                    span.muted { "of " (moment::duration(Timing::tenure_of(holding.window))) }
                    span.bar aria-hidden="true" { i {} }
                }
            }
        }
    }
}

fn candidates(candidates: &[CandidateView]) -> Markup {
    html! {
        h3 { "Candidates " span.count { (candidates.len()) } }
        @if candidates.is_empty() {
            p.muted { "No candidates." }
        } @else {
            ul.candidates {
                @for one in candidates {
                    li.leads[one.leads] title=(one.identity.id()) {
                        b { (one.identity.host()) } " "
                        span.muted {
                            (one.identity.pid()) " · " @if one.leads { "leads" } @else { "stands by" }
                        }
                    }
                }
            }
        }
    }
}

fn stores(stores: &[StoreView]) -> Markup {
    let up = stores.iter().filter(|store| store.inspection.is_ok());
    html! {
        h3 { "Stores " span.count { (up.count()) " of " (stores.len()) } }
        ul.votes { @for store in stores { (vote(store)) } }
    }
}

fn vote(store: &StoreView) -> Markup {
    let (class, said, why) = match &store.inspection {
        Ok(inspection) => match inspection.record.holder() {
            Some(_) => ("up", format!("term {}", inspection.record.term), None),
            None => ("odd", "not held".to_owned(), None),
        },
        Err(error) => ("down", trouble(error).to_owned(), Some(error)),
    };
    html! {
        li class=(class) title=[why] {
            span.dot {} code { (store.store) } " " span.muted { (said) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use incumbent::store::StoreError;

    #[test]
    fn a_store_that_does_not_tell_is_shown_with_what_is_wrong_with_it() {
        let garbled = StoreError::Garbled {
            store: "s".into(),
            key: "incumbent:billing".to_owned(),
            field: "the value".to_owned(),
            value: "<what>".to_owned(),
            expected: "where a number should stand".to_owned(),
        };
        let html = stores(&[StoreView::new("s", Err(garbled))]).into_string();
        assert!(html.contains(">garbled</span>"), "{html}");
        assert!(
            html.contains("the value of incumbent:billing is &quot;&lt;what&gt;"),
            "{html}"
        );
    }
}
