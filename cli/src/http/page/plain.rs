//! The same as a plain table, for browsers without JavaScript.

use super::super::overview::Overview;
use super::{card, escaped, moment, put};
use incumbent::observe::Holding;

pub(super) fn table(overview: &Overview) -> String {
    let mut html = String::from(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Elections\"><table class=\"plain\">\
         <caption><span>All elections. This page loads itself again every five seconds.</span></caption>\
         <thead><tr><th scope=\"col\">Election</th><th scope=\"col\">State</th><th scope=\"col\">Leader</th>\
         <th scope=\"col\">Token</th><th scope=\"col\">Leading for</th><th scope=\"col\">Beat</th>\
         <th scope=\"col\">Tenure left</th><th scope=\"col\">Candidates</th><th scope=\"col\">Last change</th></tr></thead><tbody>",
    );
    for entry in &overview.elections {
        let view = &entry.view;
        let leader = view.leader();
        let (_, word, _) = card::standing(view);
        let paused = view.paused.as_ref().map_or("", |_| ", paused");
        let cell = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let who = leader.map(|holding| match &holding.identity {
            Some(identity) => format!("{} ({})", escaped(identity.host()), identity.pid()),
            None => escaped(holding.holder.as_str()),
        });
        let last = entry.history.terms.iter().find_map(|term| {
            let (date, time) = moment::date_and_time(term.to?);
            let why = term.why()?;
            Some(format!("{date} {time} UTC: {why}"))
        });
        put(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{word}{paused}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escaped(view.election.as_str()),
                cell(who),
                cell(leader.map(|holding| holding.term.to_string())),
                cell(
                    leader
                        .and_then(|holding| holding.held_for)
                        .map(moment::duration)
                ),
                cell(leader.map(|holding| holding.beat.to_string())),
                cell(leader.and_then(Holding::tenure_left).map(moment::duration)),
                view.candidates.len(),
                cell(last),
            ),
        );
    }
    html.push_str("</tbody></table></div>\n");
    html
}
