//! `incumbent explain`: what a timing means.

use std::fmt::Write;
use std::time::Duration;

use incumbent::protocol::{ElectionName, Timing};
use serde::Serialize;

use crate::config::args::{Explain, Format};
use crate::exit::{Exit, Failure};
use crate::output::{self, duration};

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    failover_ms: Option<f64>,
    interval_ms: f64,
    stall_polls: u32,
    op_timeout_ms: f64,
    stop_grace_ms: f64,
    margin_ms: f64,
    window_ms: f64,
    tenure_ms: f64,
    probation_ms: f64,
    slack_ms: f64,
    tolerated_outage_ms: f64,
    worst_failover_ms: f64,
}

/// Explains the timing that is configured.
///
/// # Errors
///
/// A configuration that cannot be used.
pub(crate) fn explain(arguments: &Explain) -> Result<Exit, Failure> {
    let name = super::optional_name(arguments.name.as_deref())?;
    let typed = arguments.flags.0.clone();
    let typed = typed.with("op_timeout", arguments.op_timeout.as_ref());
    let settings = super::settings(&typed, name.as_ref())?;
    let timing = settings.timing()?;
    match arguments.output.output {
        Format::Json => output::print_json(&document(&timing, settings.failover()))?,
        Format::Text => output::print(&text(&timing, settings.failover(), name.as_ref()))?,
    }
    Ok(Exit::Success)
}

fn document(timing: &Timing, failover: Option<Duration>) -> Document {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    Document {
        schema: "incumbent.explain.v1",
        failover_ms: failover.map(ms),
        interval_ms: ms(timing.interval()),
        stall_polls: timing.stall_polls(),
        op_timeout_ms: ms(timing.op_timeout()),
        stop_grace_ms: ms(timing.stop_grace()),
        margin_ms: ms(timing.margin()),
        window_ms: ms(timing.window()),
        tenure_ms: ms(timing.tenure()),
        probation_ms: ms(timing.probation()),
        slack_ms: ms(slack(timing)),
        tolerated_outage_ms: ms(timing.tolerated_outage()),
        worst_failover_ms: ms(timing.worst_failover()),
    }
}

/// By how much the inequality of the timing holds.
fn slack(timing: &Timing) -> Duration {
    timing.window().saturating_sub(needed(timing))
}

fn needed(timing: &Timing) -> Duration {
    timing.interval() + timing.op_timeout() + timing.stop_grace() + timing.margin()
}

fn text(timing: &Timing, failover: Option<Duration>, name: Option<&ElectionName>) -> String {
    let t = duration;
    let (interval, op_timeout) = (t(timing.interval()), t(timing.op_timeout()));
    let (stop_grace, margin) = (t(timing.stop_grace()), t(timing.margin()));
    let (window, polls) = (t(timing.window()), timing.stall_polls());
    let whose = name.map_or_else(String::new, |name| format!(" of {}", name.as_str()));
    let (tenure, probation) = (t(timing.tenure()), t(timing.probation()));
    let stall = format!("{interval} × {polls} polls: how long a heartbeat must stall");
    let failover = failover.map(t);
    let derived = failover.iter().map(|failover| {
        let why =
            "within which a dead host is replaced: what is not given by itself follows from it";
        ("failover", failover.as_str(), why)
    });
    let rows = [
        (
            "interval",
            &*interval,
            "between two heartbeats, and between two polls",
        ),
        ("window", &*window, &*stall),
        (
            "margin",
            &*margin,
            "max(2 % of the window, 50ms): clock drift and scheduling",
        ),
        (
            "tenure",
            &*tenure,
            "window − margin: how long a leader may act after its last heartbeat",
        ),
        ("op timeout", &*op_timeout, "how long one request may take"),
        (
            "stop grace",
            &*stop_grace,
            "from the order to stop to the end of the tenure",
        ),
        (
            "probation",
            &*probation,
            "before the first leader on a store that may have forgotten one",
        ),
    ];
    let rows: Vec<_> = derived.chain(rows).collect();
    let mut text = format!("The timing{whose}\n\n");
    write_rows(&mut text, &rows);
    let _infallible = write!(
        text,
        "\n  interval + op timeout + stop grace + margin < window\n  \
         {interval} + {op_timeout} + {stop_grace} + {margin} = {} < {window}, with {} to spare\n",
        t(needed(timing)),
        t(slack(timing)),
    );
    text.push_str("\nHow long no one leads\n\n");
    let worst = format!("at most {}", t(timing.worst_failover()));
    let rows = [
        (
            "the leader stops, or its program ends",
            "a round trip",
            "the release wakes the standbys",
        ),
        ("the leader's host dies", &*worst, "window + 2 × interval"),
        (
            "the first start on a new Redis",
            &*probation,
            "the probation; SQLite needs none",
        ),
    ];
    write_rows(&mut text, &rows);
    text.push_str("\nWhat changes nothing\n\n");
    let outage = format!("up to {}", t(timing.tolerated_outage()));
    let why = "tenure − stop grace − interval − op timeout";
    write_rows(&mut text, &[("an outage of the stores", &*outage, why)]);
    text.push_str(
        "\nFrom the last heartbeat that a majority acknowledged, when no other gets through\n\n",
    );
    text.push_str(&timeline(timing));
    text
}

fn write_rows(text: &mut String, rows: &[(&str, &str, &str)]) {
    let widest = |of: fn(&(&str, &str, &str)) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (first, second) = (
        widest(|row| row.0.chars().count()),
        widest(|row| row.1.chars().count()),
    );
    for (what, value, why) in rows {
        text.push_str(&format!("  {what:<first$}  {value:<second$}  {why}\n"));
    }
}

/// One line per moment, on a scale that ends with the worst failover.
fn timeline(timing: &Timing) -> String {
    const WIDTH: usize = 40;
    let stop_at = timing.tenure().saturating_sub(timing.stop_grace());
    let moments = [
        (Duration::ZERO, "the heartbeat is sent"),
        (
            timing.interval(),
            "the next one is due; a failed one is retried quickly",
        ),
        (stop_at, "the program is asked to stop (SIGTERM)"),
        (timing.tenure(), "the program is dead (SIGKILL)"),
        (
            timing.window(),
            "the earliest moment at which anyone can take over",
        ),
        (
            timing.worst_failover(),
            "the latest, if a standby is there and the stores answer",
        ),
    ];
    let whole = timing.worst_failover().as_secs_f64();
    let place = |at: Duration| {
        let share = at.as_secs_f64() / whole;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a line of 40 columns"
        )]
        let column = (share * WIDTH as f64).round() as usize;
        column.min(WIDTH)
    };
    let widest = moments
        .iter()
        .map(|(at, _)| duration(*at).chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (at, what) in moments {
        let column = place(at);
        let (before, after) = ("─".repeat(column), " ".repeat(WIDTH - column));
        let at = duration(at);
        text.push_str(&format!("  {at:>widest$}  {before}┤{after}  {what}\n"));
    }
    text
}
