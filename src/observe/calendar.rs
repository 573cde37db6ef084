//! Moments of the calendar, in UTC.

use crate::protocol::WallMillis;

/// Date and time of day in UTC. The calendar is Hinnant's `civil_from_days`.
#[must_use]
pub fn date_and_time(at: WallMillis) -> (String, String) {
    let seconds = at.get() / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{hour:02}:{minute:02}:{second:02}"),
    )
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
