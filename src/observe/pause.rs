//! A pause as people read it.

use super::date_and_time;
use crate::protocol::Pause;

/// By whose order an election is paused, until when, and why: the text after "paused".
///
/// # Examples
///
/// ```
/// use incumbent::observe::pause_in_words;
/// use incumbent::protocol::{Pause, Reason, WallMillis};
///
/// let pause = Pause {
///     until: WallMillis::new(1_795_167_000_000),
///     by: "alice@db1".parse()?,
///     reason: Some(Reason::new("new disks")?),
/// };
/// let words = pause_in_words(&pause);
/// assert_eq!(words, "by alice@db1 until 2026-11-20T09:30:00Z: new disks");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn pause_in_words(pause: &Pause) -> String {
    format!("by {} {}", pause.by, until_in_words(pause))
}

/// Until when an election is paused, and why.
#[must_use]
pub fn until_in_words(pause: &Pause) -> String {
    let until = pause.until.map_or_else(
        || "until it is resumed".to_owned(),
        |until| {
            let (date, time) = date_and_time(until);
            format!("until {date}T{time}Z")
        },
    );
    let reason = pause.reason.as_ref();
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    format!("{until}{reason}")
}
