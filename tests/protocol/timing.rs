//! `Timing`: its inequality holds for whatever it accepts, and what it suggests works.

use std::time::Duration;

use incumbent::protocol::{InvalidTiming, Timing, TimingConfig};
use proptest::prelude::*;

use super::support::seed;

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);

fn config(interval: Duration, stall_polls: u32, stop_grace: Duration) -> TimingConfig {
    TimingConfig {
        interval,
        stall_polls,
        stop_grace,
        ..TimingConfig::default()
    }
}

fn refused(config: &TimingConfig, parts: &[&str]) -> InvalidTiming {
    let error = Timing::new(config).expect_err("an impossible timing");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    error
}

#[test]
fn the_default_is_what_is_documented() {
    let timing = Timing::default();
    assert_eq!(timing.interval(), 1000 * MS);
    assert_eq!(timing.stall_polls(), 5);
    assert_eq!(timing.op_timeout(), 1000 * MS);
    assert_eq!(timing.stop_grace(), 1000 * MS);
    assert_eq!(timing.window(), 5000 * MS);
    assert_eq!(timing.margin(), 100 * MS);
    assert_eq!(timing.tenure(), 4900 * MS);
    assert_eq!(timing.probation(), timing.window());
    assert_eq!(timing.worst_failover(), 7000 * MS);
    assert_eq!(timing.tolerated_outage(), 1900 * MS);
}

#[test]
fn a_sum_that_equals_the_window_is_refused_and_one_nanosecond_less_is_accepted() {
    // 1000 + 500 + 1440 + 60 = 3000
    let at = TimingConfig {
        op_timeout: Some(500 * MS),
        ..config(1000 * MS, 3, 1440 * MS)
    };
    refused(&at, &["1s + 500ms + 1.44s + 60ms ≥ 3s", "stall_polls = 4"]);
    let below = TimingConfig {
        stop_grace: at.stop_grace - NS,
        ..at
    };
    Timing::new(&below).expect("a nanosecond is enough");
}

#[test]
fn the_margin_is_a_fiftieth_of_the_window_and_50_ms_at_the_least() {
    for (interval, polls, margin) in [
        (100, 10, 50),
        (500, 5, 50),
        (505, 5, 50),
        (1000, 10, 200),
        (60_000, 10, 12_000),
    ] {
        let timing = Timing::new(&config(interval * MS, polls, Duration::ZERO)).expect("a timing");
        let exact = (interval * MS * polls / 50).max(margin * MS);
        assert_eq!(timing.margin(), exact, "{interval} ms × {polls}");
        assert!(timing.margin() >= Timing::MIN_MARGIN);
    }
}

#[test]
fn zeros_and_overflows_are_refused_by_name() {
    let default = TimingConfig::default();
    refused(
        &config(Duration::ZERO, 5, MS),
        &["interval must be greater than 0"],
    );
    refused(&config(MS, 0, MS), &["stall_polls must be greater than 0"]);
    let zero = TimingConfig {
        op_timeout: Some(Duration::ZERO),
        ..default.clone()
    };
    refused(&zero, &["op_timeout must be greater than 0"]);
    let slow = TimingConfig {
        op_timeout: Some(1001 * MS),
        ..default.clone()
    };
    refused(
        &slow,
        &[
            "op_timeout ≤ interval",
            "1.001s > 1s",
            "set op_timeout = 1s",
        ],
    );
    refused(
        &config(Duration::MAX, u32::MAX, MS),
        &["set a shorter interval"],
    );
    refused(
        &config(1000 * MS, 86_401, MS),
        &["1s × 86401", "stall_polls = 86400 is the most"],
    );
    refused(
        &config(1000 * MS, 5, Duration::MAX),
        &["set a longer interval or a shorter stop_grace"],
    );
    for probation in [4999 * MS, Timing::MAX_WINDOW + NS] {
        let wrong = TimingConfig {
            probation: Some(probation),
            ..default.clone()
        };
        refused(
            &wrong,
            &["window ≤ probation ≤ 86400s", "set probation = 5s"],
        );
    }
    let longest = TimingConfig {
        probation: Some(Timing::MAX_WINDOW),
        ..config(1000 * MS, 86_400, MS)
    };
    let timing = Timing::new(&longest).expect("a day is the most");
    assert_eq!(timing.window(), Timing::MAX_WINDOW);
}

/// Durations from nanoseconds to centuries, with the corners.
fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        1 => prop_oneof![Just(Duration::ZERO), Just(NS), Just(Duration::MAX), Just(Timing::MAX_WINDOW)],
        6 => (1..10_000_u32).prop_map(|ms| ms * MS),
        2 => (0..64_u32, any::<u64>()).prop_map(|(shift, n)| Duration::from_nanos(n >> shift)),
    ]
}

fn configs() -> impl Strategy<Value = TimingConfig> {
    let polls = prop_oneof![8 => 0..20_u32, 1 => any::<u32>()];
    let optional = || prop::option::weighted(0.4, durations());
    (durations(), polls, durations(), optional(), optional()).prop_map(
        |(interval, stall_polls, stop_grace, op_timeout, probation)| TimingConfig {
            interval,
            stall_polls,
            stop_grace,
            op_timeout,
            probation,
        },
    )
}

/// Recomputed in integers that cannot overflow.
#[test]
fn whatever_is_accepted_satisfies_the_inequality() {
    let place = "--test protocol whatever_is_accepted";
    seed::check(place, 4000, &configs(), |config| {
        let Ok(timing) = Timing::new(&config) else {
            return Ok(());
        };
        let ns = |duration: Duration| duration.as_nanos();
        let window = ns(config.interval) * u128::from(config.stall_polls);
        prop_assert_eq!(ns(timing.window()), window);
        let sum = ns(config.interval)
            + ns(timing.op_timeout())
            + ns(config.stop_grace)
            + ns(timing.margin());
        prop_assert!(sum < window);
        prop_assert!(ns(timing.margin()) >= window / 50 && timing.margin() >= 50 * MS);
        prop_assert!(timing.op_timeout() <= timing.interval());
        prop_assert!(timing.probation() >= timing.window());
        prop_assert!(timing.probation() <= Timing::MAX_WINDOW);
        prop_assert_eq!(timing.tenure() + timing.margin(), timing.window());
        // A leader that beats each interval keeps time to spare before it must stop.
        prop_assert!(
            timing.tenure() > timing.interval() + timing.op_timeout() + timing.stop_grace()
        );
        Ok(())
    });
}

#[test]
fn what_an_error_suggests_leads_to_a_timing_that_works() {
    let place = "--test protocol what_an_error_suggests";
    seed::check(place, 4000, &configs(), |config| {
        let mut config = config;
        // Each suggestion mends one setting, and there are five.
        for _ in 0..6 {
            let error = match Timing::new(&config) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let text = error.to_string();
            match error {
                InvalidTiming::Zero { field } => {
                    let default = TimingConfig::default();
                    match field {
                        "interval" => config.interval = default.interval,
                        "stall_polls" => config.stall_polls = default.stall_polls,
                        _ => config.op_timeout = None,
                    }
                }
                InvalidTiming::OpTimeout { interval, .. } => config.op_timeout = Some(interval),
                InvalidTiming::WindowTooLong { interval, .. } => {
                    let most = number_after(&text, "stall_polls = ");
                    prop_assert_eq!(most.is_none(), interval > Timing::MAX_WINDOW);
                    match most {
                        Some(most) => config.stall_polls = most,
                        None => return Ok(()),
                    }
                }
                InvalidTiming::WindowTooShort { stall_polls, .. } => {
                    prop_assert_eq!(number_after(&text, "stall_polls = "), stall_polls);
                    let Some(enough) = stall_polls else {
                        return none_works(&config);
                    };
                    config.stall_polls = enough - 1;
                    config.probation = None;
                    prop_assert!(Timing::new(&config).is_err(), "{} is the smallest", enough);
                    config.stall_polls = enough;
                }
                InvalidTiming::Probation { window, .. } => config.probation = Some(window),
                other => return Err(TestCaseError::fail(other.to_string())),
            }
        }
        prop_assert!(false, "{config:?} is still refused");
        Ok(())
    });
}

/// Where no number of polls is suggested, none up to the longest window works.
fn none_works(config: &TimingConfig) -> Result<(), TestCaseError> {
    let most = Timing::MAX_WINDOW.as_nanos() / config.interval.as_nanos();
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    // The window grows with the polls, and so does the slack: the largest is the best.
    for stall_polls in [most, most.saturating_sub(1), most / 2] {
        let config = TimingConfig {
            stall_polls,
            probation: None,
            ..config.clone()
        };
        prop_assert!(Timing::new(&config).is_err(), "{:?}", config);
    }
    Ok(())
}

fn number_after(text: &str, words: &str) -> Option<u32> {
    let (_, rest) = text.split_once(words)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}
