//! The settings for the health of the program.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Failure, Settings};

/// How the health of the program is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HealthSettings {
    /// How the program is checked, if it is.
    pub(crate) check: Option<CheckSettings>,
    /// How long the program may go without `WATCHDOG=1`, if a watchdog is set.
    pub(crate) watchdog: Option<Duration>,
    /// How many checks in a row it must pass to be healthy, at first and after a failed one.
    pub(crate) rise: NonZeroU32,
    /// How many it must fail to be unhealthy.
    pub(crate) fall: NonZeroU32,
    /// How long after its start it may fail and be silent.
    pub(crate) start_period: Duration,
}

/// How the program is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckSettings {
    /// The command, for `/bin/sh -c`.
    pub(crate) command: String,
    /// From the start of one check to the start of the next.
    pub(crate) interval: Duration,
    /// How long one may take.
    pub(crate) timeout: Duration,
}

impl Settings {
    /// How the health of the program is judged.
    ///
    /// # Errors
    ///
    /// A count or a time that is zero.
    pub(crate) fn health(&self) -> Result<HealthSettings, Failure> {
        let values = &self.values;
        let check = values.health_cmd.as_deref().filter(|text| !text.is_empty());
        let check = check.map(|command| -> Result<_, Failure> {
            Ok(CheckSettings {
                command: command.to_owned(),
                interval: self.positive("health_interval", *values.health_interval)?,
                timeout: self.positive("health_timeout", *values.health_timeout)?,
            })
        });
        let watchdog = values
            .watchdog
            .map(|period| self.positive("watchdog", *period));
        Ok(HealthSettings {
            check: check.transpose()?,
            watchdog: watchdog.transpose()?,
            rise: self.counted("health_rise", values.health_rise)?,
            fall: self.counted("health_fall", values.health_fall)?,
            start_period: *values.health_start_period,
        })
    }

    fn positive(&self, key: &str, time: Duration) -> Result<Duration, Failure> {
        if time.is_zero() {
            return Err(self.is_zero(key));
        }
        Ok(time)
    }

    fn counted(&self, key: &str, count: u32) -> Result<NonZeroU32, Failure> {
        NonZeroU32::new(count).ok_or_else(|| self.is_zero(key))
    }

    fn is_zero(&self, key: &str) -> Failure {
        let origin = self.origin(key).map(ToString::to_string);
        Failure::configuration(format!(
            "{}: {key} must be greater than 0",
            origin.unwrap_or_default()
        ))
    }
}
