//! Reading the configuration again while running: a good file takes effect, a bad one changes nothing.

use std::time::Duration;

use incumbent::protocol::ElectionName;

use crate::command::electorate;
use crate::command::notify::Manager;
use crate::config::args::Typed;
use crate::config::settings::Settings;
use crate::exit::Failure;

/// What can be read again, and what of it takes effect at once.
pub(super) struct Reload<'a> {
    manager: Manager,
    name: &'a ElectionName,
    typed: &'a Typed,
    stop_timeout: Duration,
}

impl<'a> Reload<'a> {
    pub(super) fn new(
        manager: Manager,
        name: &'a ElectionName,
        typed: &'a Typed,
        settings: &Settings,
    ) -> Self {
        Self {
            manager,
            name,
            typed,
            stop_timeout: *settings.values.stop_timeout,
        }
    }

    /// How long a program that was asked to stop may take, as last read.
    pub(super) fn stop_timeout(&self) -> Duration {
        self.stop_timeout
    }

    /// Reads the configuration again. The stores and the timing belong to the campaign under way, so
    /// they are checked here and take effect at the next start.
    pub(super) fn read_again(&mut self) {
        self.manager.reloading();
        match self.load() {
            Ok(settings) => {
                self.stop_timeout = *settings.values.stop_timeout;
                for warning in &settings.warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(
                    "configuration reloaded: stop_timeout is in effect, the rest takes effect at the next start"
                );
            }
            Err(failure) => {
                tracing::error!("configuration rejected, keeping the current one: {failure}")
            }
        }
        self.manager.reloaded();
    }

    fn load(&self) -> Result<Settings, Failure> {
        let settings = Settings::load(self.typed, Some(self.name))?;
        electorate::checked(self.name, &settings)?;
        Ok(settings)
    }
}
