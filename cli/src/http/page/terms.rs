//! The last terms of an election, as a table to unfold.

use super::{escaped, moment, put};
use incumbent::observe::{Ending, HistoryView, PastTerm};

/// How many terms are listed.
const LISTED: usize = 25;

pub(super) fn terms(history: &HistoryView, id: &str) -> String {
    let mut html = String::new();
    if history.terms.is_empty() {
        return html;
    }
    put(
        &mut html,
        format_args!(
            "<details data-keep=\"{id}-terms\"><summary>Terms and why they ended</summary>\
             <div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Terms\" data-keep=\"{id}-scroll\"><table>\
             <thead><tr><th scope=\"col\">From</th><th scope=\"col\">Leader</th>\
             <th scope=\"col\">Why it ended</th><th scope=\"col\" class=\"number\">Gap after</th>\
             <th scope=\"col\">Until</th><th scope=\"col\">Token</th></tr></thead><tbody>"
        ),
    );
    for term in history.terms.iter().take(LISTED) {
        row(&mut html, term);
    }
    html.push_str("</tbody></table></div></details>");
    html
}

fn row(html: &mut String, term: &PastTerm) {
    let class = term.ended.map_or("leads", Ending::word);
    let why = term.why().unwrap_or_else(|| "not ended".to_owned());
    let fault = if term.ended.is_none() || term.ended_as_planned() {
        ""
    } else {
        " fault"
    };
    let until = term.to.map(moment::time);
    let gap = match (term.gap, term.ended) {
        (Some(gap), _) if term.last_heartbeat.is_some() => {
            format!("up to {}", moment::duration(gap))
        }
        (Some(gap), _) => moment::duration(gap),
        (None, Some(Ending::Stalled)) => "a window or more".to_owned(),
        (None, _) => String::new(),
    };
    put(
        html,
        format_args!(
            "<tr class=\"{class}{fault}\"><td class=\"when\">{}</td><td class=\"who\">{} <span class=\"muted\">{}</span></td>\
             <td class=\"why\">{why}</td><td class=\"number\">{gap}</td><td class=\"when\">{}</td><td><code>{}</code></td></tr>",
            moment::time(term.from),
            escaped(term.holder.host()),
            term.holder.pid(),
            until.unwrap_or_default(),
            term.term,
        ),
    );
}
