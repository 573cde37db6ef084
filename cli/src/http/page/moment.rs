//! Moments and durations for people.

use std::time::Duration;

pub(super) use incumbent::observe::date_and_time;
use incumbent::protocol::WallMillis;
use maud::{Markup, html};

/// A `time` element: UTC as text, and for the script the milliseconds.
pub(super) fn time(at: WallMillis) -> Markup {
    let (date, time) = date_and_time(at);
    html! {
        time datetime={ (date) "T" (time) "Z" } data-at=(at.get()) { (date) " " (time) " UTC" }
    }
}

/// A rough duration, in at most two units: the page is read at a glance.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_the_most() {
        for (millis, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1500, "1.5 s"),
            (61_000, "1 min 1 s"),
            (7_260_000, "2 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }
}
