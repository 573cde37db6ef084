//! What the command line brings to the settings: the strongest layer.

use std::path::PathBuf;

use crate::config::args::{GeneralOptions, Options, RunOptions, StoreOptions, TimingOptions};
use crate::config::layer::{BadValue, Layer};

/// What the command line brings to the settings.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    pub(super) layer: Layer,
    pub(super) file: Option<PathBuf>,
}

impl Typed {
    /// From the options of `run` and `config`.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the flag.
    pub(crate) fn all(options: &Options) -> Result<Self, BadValue> {
        let mut typed = Self::general(&options.general)?;
        typed.stores(&options.stores)?;
        typed.timing(&options.timing)?;
        typed.running(&options.running)?;
        Ok(typed)
    }

    /// From the options that every command has.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the flag.
    pub(crate) fn general(options: &GeneralOptions) -> Result<Self, BadValue> {
        let mut layer = Layer::default();
        layer.flag("log_format", options.log_format.as_deref())?;
        layer.flag("log_level", options.log_level.as_deref())?;
        let file = options.config.clone();
        Ok(Self { layer, file })
    }

    /// Adds the options about stores.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the flag.
    pub(crate) fn stores(&mut self, options: &StoreOptions) -> Result<(), BadValue> {
        let layer = &mut self.layer;
        layer.stores(&options.store)?;
        layer.flag("key_prefix", options.key_prefix.as_deref())?;
        layer.flag("username", options.username.as_deref())?;
        layer.flag("password_file", options.password_file.as_deref())?;
        layer.flag("password_cmd", options.password_cmd.as_deref())?;
        layer.flag("op_timeout", options.op_timeout.as_deref())
    }

    /// Adds the options about timing.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the flag.
    pub(crate) fn timing(&mut self, options: &TimingOptions) -> Result<(), BadValue> {
        let layer = &mut self.layer;
        let polls = options.stall_polls.map(|polls| polls.to_string());
        layer.flag("interval", options.interval.as_deref())?;
        layer.flag("stall_polls", polls.as_deref())?;
        layer.flag("stop_grace", options.stop_grace.as_deref())?;
        layer.flag("probation", options.probation.as_deref())
    }

    /// Adds how often to look.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the flag.
    pub(crate) fn interval(&mut self, given: Option<&str>) -> Result<(), BadValue> {
        self.layer.flag("interval", given)
    }

    /// Adds the time that one request may take.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the flag.
    pub(crate) fn op_timeout(&mut self, given: Option<&str>) -> Result<(), BadValue> {
        self.layer.flag("op_timeout", given)
    }

    fn running(&mut self, options: &RunOptions) -> Result<(), BadValue> {
        let layer = &mut self.layer;
        let status = options.conflict_exit_code.map(|status| status.to_string());
        layer.flag("stop_signal", options.stop_signal.as_deref())?;
        layer.flag("stop_timeout", options.stop_timeout.as_deref())?;
        layer.flag("stdin", options.stdin.then_some("true"))?;
        layer.flag("restart", options.restart.then_some("true"))?;
        layer.flag("sit_out", options.sit_out.as_deref())?;
        layer.flag("health_cmd", options.health_cmd.as_deref())?;
        layer.flag("health_interval", options.health_interval.as_deref())?;
        layer.flag("health_timeout", options.health_timeout.as_deref())?;
        let (rise, fall) = (options.health_rise, options.health_fall);
        layer.flag(
            "health_rise",
            rise.map(|count| count.to_string()).as_deref(),
        )?;
        layer.flag(
            "health_fall",
            fall.map(|count| count.to_string()).as_deref(),
        )?;
        layer.flag(
            "health_start_period",
            options.health_start_period.as_deref(),
        )?;
        layer.flag("watchdog", options.watchdog.as_deref())?;
        layer.flag("id", options.id.as_deref())?;
        layer.flag("no_wait", options.no_wait.then_some("true"))?;
        layer.flag("wait_timeout", options.wait_timeout.as_deref())?;
        layer.flag("conflict_exit_code", status.as_deref())?;
        layer.flag("listen", options.listen.as_deref())?;
        layer.flag("control_token_file", options.control_token_file.as_deref())
    }
}
