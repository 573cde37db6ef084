//! One election on the page.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::overview::Entry;
use super::{escaped, moment, put, terms, timeline};
use incumbent::observe::document::trouble;
use incumbent::observe::{Contender, ElectionView, Holding, State, StoreView, pause_in_words};
use incumbent::protocol::{ElectionName, Timing, WallMillis};

/// How often a card is written again for its timeline alone.
const TIMELINE_MS: u64 = 60_000;

/// The id of the element: the name itself may hold anything.
pub(in crate::http) fn card_id(election: &ElectionName) -> String {
    let bytes = election.as_str().bytes();
    bytes.fold("e-".to_owned(), |mut id, byte| {
        put(&mut id, format_args!("{byte:02x}"));
        id
    })
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
pub(in crate::http) fn card(entry: &Entry, now: WallMillis) -> String {
    let view = &entry.view;
    let id = card_id(&view.election);
    let (tone, word, meaning) = standing(view);
    let name = escaped(view.election.as_str());
    let mut html = format!(
        "<article id=\"{id}\" class=\"card {tone}\" aria-labelledby=\"{id}-name\">\
         <header><h2 id=\"{id}-name\">{name}</h2>{}\
         <span class=\"state\" title=\"{meaning}\">{word}</span></header>",
        match view.paused {
            Some(_) =>
                "<span class=\"state paused\" title=\"nobody is elected meanwhile\">paused</span>",
            None => "",
        }
    );
    match view.leader() {
        Some(holding) => leader(&mut html, holding),
        None => put(
            &mut html,
            format_args!(
                "<p class=\"meaning\">{}</p>",
                escaped(&without_leader(view))
            ),
        ),
    }
    orders(&mut html, view);
    candidates(&mut html, &view.candidates);
    if view.stores.len() > 1 {
        stores(&mut html, &view.stores);
    }
    html.push_str(&timeline::timeline(&entry.history, now));
    html.push_str(&terms::terms(&entry.history, &id));
    html.push_str("</article>\n");
    html
}

/// The place of an election on the page: what is broken first, then what is odd or paused.
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
            "the heartbeat has stood still for longer than the window",
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
            format!("Nobody leads. Term {term} was released at {date} {time} UTC.")
        }
        State::Vacant { term, since: None } => {
            format!("Nobody leads. Term {term} was released.")
        }
        _ => {
            let (_, _, meaning) = standing(view);
            let mut text = format!("No leader is known: {meaning}.");
            for error in view.errors() {
                put(&mut text, format_args!(" {error}."));
            }
            text
        }
    }
}

/// What operators have ordered, while it stands.
fn orders(html: &mut String, view: &ElectionView) {
    if let Some(pause) = &view.paused {
        let words = escaped(&pause_in_words(pause));
        put(
            html,
            format_args!(
                "<p class=\"meaning order\">Paused {words}. Nobody is elected meanwhile.</p>"
            ),
        );
    }
    if let Some(handover) = &view.handover {
        let to = handover.to.as_ref().map_or_else(
            || "whoever comes first".to_owned(),
            |to| escaped(&to.to_string()),
        );
        put(
            html,
            format_args!(
                "<p class=\"meaning order\">Term {} hands over to {to}.</p>",
                handover.term
            ),
        );
    }
}

fn leader(html: &mut String, holding: &Holding) {
    let (host, detail) = match &holding.identity {
        Some(identity) => (
            escaped(identity.host()),
            format!("pid {} · v{}", identity.pid(), escaped(identity.version())),
        ),
        None => ("unknown host".to_owned(), String::new()),
    };
    put(
        html,
        format_args!(
            "<div class=\"leader\"><span class=\"pulse\" aria-hidden=\"true\"></span>\
             <div><p><strong>{host}</strong> <span class=\"muted\">{detail}</span></p>\
             <code class=\"id\">{}</code></div></div>",
            escaped(holding.holder.as_str())
        ),
    );
    html.push_str("<dl>");
    fact(html, "Token", &format!("<code>{}</code>", holding.term));
    if let (Some(since), Some(held_for)) = (holding.since, holding.held_for) {
        let (date, time) = moment::date_and_time(since);
        let shown = format!(
            "<time datetime=\"{date}T{time}Z\" title=\"since {date} {time} UTC\" data-for=\"{}\">{}</time>",
            held_for.as_millis(),
            moment::duration(held_for)
        );
        fact(html, "Leading for", &shown);
    }
    let beat = format!("<code data-beat>{}</code>", holding.beat);
    fact(html, "Beat", &beat);
    let tenure = moment::duration(Timing::tenure_of(holding.window));
    let left = holding.tenure_left().map(moment::duration);
    let shown = format!(
        "<span data-left>{}</span> <span class=\"muted\">of {tenure}</span>\
         <span class=\"bar\" aria-hidden=\"true\"><i></i></span>",
        left.as_deref().unwrap_or("unknown")
    );
    fact(html, "Tenure left", &shown);
    html.push_str("</dl>");
}

fn fact(html: &mut String, name: &str, value: &str) {
    put(
        html,
        format_args!("<div><dt>{name}</dt><dd>{value}</dd></div>"),
    );
}

fn candidates(html: &mut String, candidates: &[Contender]) {
    put(
        html,
        format_args!(
            "<h3>Candidates <span class=\"count\">{}</span></h3>",
            candidates.len()
        ),
    );
    if candidates.is_empty() {
        html.push_str("<p class=\"muted\">Nobody campaigns.</p>");
        return;
    }
    html.push_str("<ul class=\"candidates\">");
    for one in candidates {
        let (class, role) = if one.leads {
            (" class=\"leads\"", "leads")
        } else {
            ("", "stands by")
        };
        put(
            html,
            format_args!(
                "<li{class} title=\"{}\"><b>{}</b> <span class=\"muted\">{} · {role}</span></li>",
                escaped(one.identity.id().as_str()),
                escaped(one.identity.host()),
                one.identity.pid()
            ),
        );
    }
    html.push_str("</ul>");
}

fn stores(html: &mut String, stores: &[StoreView]) {
    let up = stores.iter().filter(|store| store.inspection.is_ok());
    put(
        html,
        format_args!(
            "<h3>Stores <span class=\"count\">{} of {}</span></h3><ul class=\"votes\">",
            up.count(),
            stores.len()
        ),
    );
    for store in stores {
        let (class, said, why) = match &store.inspection {
            Ok(inspection) => match inspection.record.holder() {
                Some(_) => (
                    "up",
                    format!("term {}", inspection.record.term),
                    String::new(),
                ),
                None => ("odd", "not held".to_owned(), String::new()),
            },
            Err(error) => (
                "down",
                trouble(error).to_owned(),
                format!(" title=\"{}\"", escaped(&error.to_string())),
            ),
        };
        put(
            html,
            format_args!(
                "<li class=\"{class}\"{why}><span class=\"dot\"></span><code>{}</code> <span class=\"muted\">{said}</span></li>",
                escaped(&store.store)
            ),
        );
    }
    html.push_str("</ul>");
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
        let mut html = String::new();
        let view = StoreView {
            store: "s".into(),
            inspection: Err(garbled),
        };
        stores(&mut html, &[view]);
        assert!(html.contains(">garbled</span>"), "{html}");
        assert!(
            html.contains("the value of incumbent:billing is &quot;&lt;what&gt;"),
            "{html}"
        );
    }
}
