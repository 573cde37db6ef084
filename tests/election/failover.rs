//! `TimingChoices`: from how soon a dead host is replaced to a timing that keeps it.

use std::time::Duration;

use incumbent::election::TimingChoices;
use incumbent::protocol::{InvalidTiming, Timing, TimingConfig};
use proptest::prelude::*;

use super::support::seed;

const MS: Duration = Duration::from_millis(1);

fn failover(millis: u64) -> TimingChoices {
    TimingChoices {
        failover: Some(Duration::from_millis(millis)),
        ..TimingChoices::default()
    }
}

fn refused(choices: &TimingChoices) -> String {
    choices.config().unwrap_err().to_string()
}

#[test]
fn the_default_timing_is_that_of_seven_seconds() {
    let default = TimingConfig::default();
    assert_eq!(TimingChoices::default().config(), Ok(default.clone()));
    assert_eq!(failover(7_000).config(), Ok(default));
}

#[test]
fn what_is_too_short_is_refused_with_the_smallest_that_works() {
    let text = refused(&failover(100));
    assert_eq!(
        text,
        "failover = 100ms is too short; failover = 182ms is the smallest that works"
    );
    assert!(failover(182).config().is_ok());
    assert_eq!(
        refused(&failover(0)),
        "failover must be greater than 0: remove it for the default"
    );
    let graceful = TimingChoices {
        stop_grace: Some(2_000 * MS),
        ..failover(1_000)
    };
    assert!(
        refused(&graceful).contains("is the smallest that works"),
        "{}",
        refused(&graceful)
    );
    let both = TimingChoices {
        interval: Some(1_000 * MS),
        stall_polls: Some(5),
        ..failover(5_000)
    };
    assert!(
        refused(&both).contains("failover = 7s is the smallest"),
        "{}",
        refused(&both)
    );
    let never = TimingChoices {
        stall_polls: Some(2),
        ..failover(5_000)
    };
    assert!(
        refused(&never).contains("stall_polls = "),
        "{}",
        refused(&never)
    );
    assert!(refused(&failover(200 * 3_600_000)).contains("interval × stall_polls ≤"));
}

#[test]
fn what_is_chosen_by_itself_stays_and_the_rest_follows() {
    let quick = TimingChoices {
        interval: Some(100 * MS),
        ..failover(2_050)
    };
    let config = quick.config().unwrap();
    assert_eq!(
        (config.interval, config.stall_polls, config.stop_grace),
        (100 * MS, 18, 100 * MS)
    );
    let rare = TimingChoices {
        stall_polls: Some(10),
        stop_grace: Some(50 * MS),
        ..failover(2_050)
    };
    let config = rare.config().unwrap();
    assert_eq!(
        (config.interval, config.stall_polls, config.stop_grace),
        (170 * MS, 10, 50 * MS)
    );
}

#[test]
fn every_failover_time_that_is_accepted_is_kept_and_what_is_suggested_works() {
    let millis = |most: u64| (0..most).prop_map(Duration::from_millis);
    let parts = (
        prop_oneof![0..2_000_u64, 0..120_000_000_u64],
        proptest::option::of(millis(5_000)),
        proptest::option::of(0..40_u32),
        proptest::option::of(millis(5_000)),
        proptest::option::of(millis(2_000)),
    );
    let place = "--test election every_failover_time";
    seed::check(
        place,
        2000,
        &parts,
        |(time, interval, stall_polls, stop_grace, op_timeout)| {
            let choices = TimingChoices {
                interval,
                stall_polls,
                stop_grace,
                op_timeout,
                ..failover(time)
            };
            match choices.config() {
                Ok(config) => {
                    let timing = Timing::new(&config)
                        .map_err(|error| TestCaseError::fail(error.to_string()))?;
                    prop_assert!(timing.worst_failover() <= Duration::from_millis(time));
                    prop_assert!(interval.is_none_or(|it| it == timing.interval()));
                    prop_assert!(stall_polls.is_none_or(|it| it == timing.stall_polls()));
                    prop_assert!(stop_grace.is_none_or(|it| it == timing.stop_grace()));
                    prop_assert!(op_timeout.is_none_or(|it| it == timing.op_timeout()));
                }
                Err(InvalidTiming::Failover { smallest, .. }) => {
                    let with = |time: Duration| TimingChoices {
                        failover: Some(time),
                        ..choices.clone()
                    };
                    prop_assert!(smallest > Duration::from_millis(time));
                    prop_assert!(with(smallest).config().is_ok(), "{smallest:?} works");
                    prop_assert!(
                        with(smallest - MS).config().is_err(),
                        "{smallest:?} is the smallest"
                    );
                }
                Err(_) => {}
            }
            Ok(())
        },
    );
}
