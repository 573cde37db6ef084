//! Moments of the calendar, in UTC.

use std::time::{Duration, UNIX_EPOCH};

use crate::protocol::WallMillis;

/// Date and time of day in UTC.
#[must_use]
pub fn date_and_time(at: WallMillis) -> (String, String) {
    let at = UNIX_EPOCH + Duration::from_millis(at.get());
    let text = humantime::format_rfc3339_seconds(at).to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    (date.to_owned(), time.trim_end_matches('Z').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (millis, expected) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400_000, "2000-02-29 00:00:00"),
            (1_709_251_199_999, "2024-02-29 23:59:59"),
            (1_795_167_000_000, "2026-11-20 09:30:00"),
            (4_102_444_800_000, "2100-01-01 00:00:00"),
        ] {
            let (date, time) = date_and_time(WallMillis::new(millis).unwrap());
            assert_eq!(format!("{date} {time}"), expected);
        }
    }
}
