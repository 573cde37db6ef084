//! The last terms of an election, as a collapsible table.

use maud::{Markup, html};

use super::moment;
use incumbent::observe::{Ending, HistoryView, PastTerm};

/// How many terms are listed.
const LISTED: usize = 25;

pub(super) fn terms(history: &HistoryView, id: &str) -> Markup {
    html! {
        @if !history.terms.is_empty() {
            details data-keep={ (id) "-terms" } {
                summary { "Terms and why they ended" }
                div.scroll role="region" tabindex="0" aria-label="Terms" data-keep={ (id) "-scroll" } {
                    table {
                        thead {
                            tr {
                                th scope="col" { "From" }
                                th scope="col" { "Leader" }
                                th scope="col" { "Why it ended" }
                                th.number scope="col" { "Gap after" }
                                th scope="col" { "Until" }
                                th scope="col" { "Token" }
                            }
                        }
                        tbody { @for term in history.terms.iter().take(LISTED) { (row(term)) } }
                    }
                }
            }
        }
    }
}

fn row(term: &PastTerm) -> Markup {
    let class = term.ended.map_or("leads", Ending::word);
    let fault = term.ended.is_some() && !term.ended_as_planned();
    let gap = match (term.gap, term.ended) {
        (Some(gap), _) if term.last_heartbeat.is_some() => {
            format!("up to {}", moment::duration(gap))
        }
        (Some(gap), _) => moment::duration(gap),
        (None, Some(Ending::Stalled)) => "a window or more".to_owned(),
        (None, _) => String::new(),
    };
    html! {
        tr class=(class) .fault[fault] {
            td.when { (moment::time(term.from)) }
            td.who { (term.holder.host()) " " span.muted { (term.holder.pid()) } }
            td.why { (term.why().unwrap_or_else(|| "not ended".to_owned())) }
            td.number { (gap) }
            td.when { @if let Some(to) = term.to { (moment::time(to)) } }
            td { code { (term.term) } }
        }
    }
}
