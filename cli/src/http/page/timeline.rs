//! The terms of the last day as a line, with the gaps between them.

use std::time::Duration;

use maud::{Markup, html};

use super::moment;
use incumbent::observe::{HistoryView, PastTerm};
use incumbent::protocol::WallMillis;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The width of the drawing, in its own units.
const WIDTH: u64 = 1440;
/// No term is drawn narrower than this.
const NARROWEST: u64 = 3;

/// A stretch of the line, in units of the drawing.
struct Stretch<'a> {
    term: &'a PastTerm,
    start: u64,
    end: u64,
}

pub(super) fn timeline(history: &HistoryView, now: WallMillis) -> Markup {
    let stretches = stretches(history, now);
    let ended = history.terms.iter().filter(|term| term.ended.is_some());
    let handovers = ended.filter(|term| is_recent(term, now)).count();
    let (count, noun) = match stretches.len() {
        1 => (1, "term"),
        count => (count, "terms"),
    };
    let label = format!("The last 24 hours: {count} {noun}, {handovers} ended");
    // After the first term, anything not drawn over had no leader.
    let first = stretches.iter().map(|stretch| stretch.start).min();
    html! {
        figure.timeline {
            svg viewBox={ "0 0 " (WIDTH) " 40" } preserveAspectRatio="none" role="img" aria-label=(label) {
                rect.unknown width=(WIDTH) height="40" {}
                @if let Some(first) = first {
                    rect.gap x=(first) width=(WIDTH.saturating_sub(first)) height="40" {}
                }
                @for (index, stretch) in stretches.iter().enumerate() {
                    (draw(stretch, index % 2 == 1))
                }
            }
            figcaption {
                span { "24 h ago" } span { "18" } span { "12" } span { "6" } span { "now" }
            }
        }
    }
}

/// The terms of the last day, the oldest first.
fn stretches(history: &HistoryView, now: WallMillis) -> Vec<Stretch<'_>> {
    let mut next: Option<WallMillis> = None;
    let mut stretches = Vec::new();
    for term in &history.terms {
        // A term that was not released is drawn up to the next one: its end is unknown.
        let end = term.to.or(next).unwrap_or(now);
        next = Some(term.from);
        // No one acted during a withdrawn claim: it is part of the gap.
        if !term.led() || (!is_recent(term, now) && place(end, now) == 0) {
            continue;
        }
        stretches.push(Stretch {
            term,
            start: place(term.from, now),
            end: place(end, now),
        });
    }
    stretches.reverse();
    stretches
}

fn is_recent(term: &PastTerm, now: WallMillis) -> bool {
    term.from.get().saturating_add(DAY_MS) >= now.get()
        || term
            .to
            .is_some_and(|to| to.get().saturating_add(DAY_MS) >= now.get())
}

/// The position of a moment on the line.
fn place(at: WallMillis, now: WallMillis) -> u64 {
    let ago = now.get().saturating_sub(at.get()).min(DAY_MS);
    WIDTH - ago * WIDTH / DAY_MS
}

fn draw(stretch: &Stretch<'_>, other: bool) -> Markup {
    let term = stretch.term;
    let (date, time) = moment::date_and_time(term.from);
    let lasted = term.to.map(|to| {
        let millis = to.get().saturating_sub(term.from.get());
        format!(
            ", after {}",
            moment::duration(Duration::from_millis(millis))
        )
    });
    let width = (stretch.end.saturating_sub(stretch.start)).max(NARROWEST);
    let start = stretch.start.min(WIDTH - width.min(WIDTH));
    let mark = term.ended.map(|_| match term.ended_as_planned() {
        true => "handover",
        false => "lost",
    });
    html! {
        rect.term.other[other] x=(start) width=(width) height="40" {
            title {
                (term.holder.host()) " (pid " (term.holder.pid()) "), token " (term.term)
                ", from " (date) " " (time) " UTC: "
                @match term.why() {
                    Some(why) => { (why) (lasted.unwrap_or_default()) }
                    None => "leads now",
                }
            }
        }
        @if let Some(mark) = mark {
            rect class=(mark) x=((start + width).saturating_sub(1)) width="2" height="40" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use incumbent::protocol::{Electorate, FencingToken};
    use incumbent::store::Identity;
    use incumbent::store::{Change, HistoryEntry};

    #[test]
    fn a_day_of_terms_is_drawn_to_scale_and_names_are_escaped() {
        let hour = 3_600_000;
        let now = WallMillis::new(100 * hour).unwrap();
        let entry = |at: u64, term: u64, change| {
            let at = WallMillis::new(at * hour).unwrap();
            let holder = Identity::new("a".parse().unwrap(), "<b>", 1, "0.1.0").unwrap();
            HistoryEntry::new(at, FencingToken::new(term).unwrap(), holder, change)
        };
        let history = HistoryView::merge(
            "billing".parse().unwrap(),
            Electorate::new(1).unwrap(),
            10,
            vec![(
                "s".into(),
                Ok(vec![
                    entry(94, 3, Change::ClaimedStalled),
                    entry(88, 2, Change::ClaimedVacant),
                    entry(82, 1, Change::Released),
                    entry(70, 1, Change::ClaimedAbsent),
                ]),
            )],
        );
        let drawn: Vec<(u64, u64)> = stretches(&history, now)
            .iter()
            .map(|stretch| (stretch.start, stretch.end))
            .collect();
        assert_eq!(drawn, [(0, 360), (720, 1080), (1080, 1440)]);
        let html = timeline(&history, now).into_string();
        assert!(
            html.contains("&lt;b&gt;") && !html.contains("<b>"),
            "{html}"
        );
        assert!(html.contains("3 terms, 2 ended"), "{html}");
    }
}
