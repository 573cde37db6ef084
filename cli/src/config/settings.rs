//! The settings in effect: the layers merged (flag, then environment, then file, then default) and converted
//! to the types of the library.

mod health;
mod secret;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::http::{InvalidListenAddress, ServerOptions};
use crate::supervise::ReleaseContext;
use config::{Config, Value};
use incumbent::Election;
use incumbent::election::{ConfigError, Seats, TimingChoices};
use incumbent::protocol::{ElectionName, InvalidTiming, Timing, TimingConfig};
use incumbent::store::{Password, StoreAddress, StoreOptions};
use rustix::process::Signal;
use serde::Deserialize;

use super::args::Typed;
use super::environment;
use super::hint;
use super::keys::{KEYS, Time, Values};
use super::layer::{BadValue, Layer, Origin};
use super::places;
use crate::exit::{Exit, Failure};

pub(crate) use health::{CheckSettings, HealthSettings};

/// Every setting, with the value that counts and where it came from.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The values that count.
    pub(crate) values: Values,
    merged: Config,
    /// From the weakest to the strongest.
    layers: Vec<Layer>,
    password: Option<Password>,
    /// The configuration file that was read, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// Warnings for the log.
    pub(crate) warnings: Vec<String>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// How long to wait to be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Forever.
    Endless,
    /// Not at all.
    No,
    /// This long.
    For(Duration),
    /// Only if no one leads, or has led within this time.
    Once(Duration),
}

impl Settings {
    /// Reads all layers. `election` chooses the configuration file when none is given.
    ///
    /// # Errors
    ///
    /// An invalid value, with where it was set; an unreadable file.
    pub(crate) fn load(typed: &Typed, election: Option<&ElectionName>) -> Result<Self, Failure> {
        let defaults = Layer::defaults()?;
        let flags = Layer::from_flags(typed)?;
        let (environment, mut warnings) = Layer::from_environment(environment::ours())?;
        hint::remember(&typed.of_stores());
        let mut layers = vec![defaults];
        let file = places::configuration_file(typed.file.clone(), election);
        if let Some(path) = &file {
            layers.push(read_file(path)?);
        }
        layers.push(environment);
        layers.push(flags);
        let mut builder = Config::builder();
        for layer in &layers {
            builder = builder.add_source(layer.clone());
        }
        // Each value was checked in its layer, so a failure here is ours.
        let merged = builder.build().map_err(Failure::internal)?;
        let values: Values = merged
            .clone()
            .try_deserialize()
            .map_err(Failure::internal)?;
        let mut settings = Self {
            values,
            merged,
            layers,
            password: None,
            file,
            warnings: Vec::new(),
        };
        settings.password = settings.read_password()?;
        settings.wait_of_one_mind()?;
        // A read-only command needs no valid election timing, only time for an answer.
        if settings.values.op_timeout.is_some_and(|it| it.is_zero()) {
            settings.timing()?;
        }
        settings.warnings.append(&mut warnings);
        Ok(settings)
    }

    /// The file of the embedded store, if no other store is given.
    ///
    /// # Errors
    ///
    /// When there is no place for it.
    pub(crate) fn embedded_store(&self) -> Result<Option<PathBuf>, Failure> {
        let meant = self.values.store.is_empty();
        meant.then(places::embedded_store).transpose()
    }

    /// The stores.
    ///
    /// # Errors
    ///
    /// When no store is given and there is no place for the embedded one.
    pub(crate) fn addresses(&self) -> Result<Vec<StoreAddress>, Failure> {
        if let Some(path) = self.embedded_store()? {
            return Ok(vec![StoreAddress::sqlite(path)]);
        }
        let given = self.values.store.iter().map(|text| text.parse());
        let addresses: Result<Vec<_>, _> = given.collect();
        Ok(addresses.map_err(ConfigError::from)?)
    }

    /// What the keeper of a program needs to release the election in our place.
    ///
    /// # Errors
    ///
    /// As [`Settings::addresses`].
    pub(crate) fn release_context(
        &self,
        election: &ElectionName,
    ) -> Result<ReleaseContext, Failure> {
        let addresses = match self.embedded_store()? {
            Some(path) => vec![StoreAddress::sqlite(path).label().into()],
            None => self
                .values
                .store
                .iter()
                .map(|text| text.as_str().into())
                .collect(),
        };
        Ok(ReleaseContext {
            election: election.clone(),
            addresses,
            options: self.store_options(),
            ephemeral: false,
        })
    }

    /// How the stores are connected to.
    pub(crate) fn store_options(&self) -> StoreOptions {
        let mut options = StoreOptions::default()
            .key_prefix(&self.values.key_prefix)
            .op_timeout(self.op_timeout());
        options.username.clone_from(&self.values.username);
        options.password.clone_from(&self.password);
        options
    }

    /// How long one request may take.
    pub(crate) fn op_timeout(&self) -> Duration {
        let timing = self.timing_config();
        let interval = timing.map_or(*self.values.interval, |timing| timing.interval);
        let default = interval.min(Duration::from_secs(1));
        self.values.op_timeout.map_or(default, Time::into_inner)
    }

    /// The failover time that the timing follows from, if one is given.
    pub(crate) fn failover(&self) -> Option<Duration> {
        self.values.failover.map(Time::into_inner)
    }

    /// The timing as it was chosen, not checked.
    ///
    /// # Errors
    ///
    /// A failover time that the rest of what was chosen does not allow.
    pub(crate) fn timing_config(&self) -> Result<TimingConfig, InvalidTiming> {
        let values = &self.values;
        // A value derived from the failover time overrides a default.
        let chosen = |key: &str| self.chosen(key).is_some();
        let choices = TimingChoices {
            failover: self.failover(),
            interval: chosen("interval").then_some(*values.interval),
            stall_polls: chosen("stall_polls").then_some(values.stall_polls),
            stop_grace: chosen("stop_grace").then_some(*values.stop_grace),
            op_timeout: values.op_timeout.map(Time::into_inner),
            probation: values.probation.map(Time::into_inner),
        };
        choices.config()
    }

    /// The timing, checked.
    ///
    /// # Errors
    ///
    /// The inequality that does not hold.
    pub(crate) fn timing(&self) -> Result<Timing, Failure> {
        let config = self.timing_config();
        let timing = config.and_then(|config| Timing::new(&config));
        timing.map_err(|error| {
            let set = KEYS.iter().filter(|key| key.is_timing()).filter_map(|key| {
                let origin = self.chosen(key.name)?;
                let value = self.value(key.name)?.into_string().ok()?;
                Some(format!("{} = {value} from {origin}", key.name))
            });
            let set: Vec<String> = set.collect();
            Failure::new(Exit::Configuration, format!("{error} ({})", set.join(", ")))
        })
    }

    /// The signal that asks the program to stop.
    pub(crate) fn stop_signal(&self) -> Signal {
        match self.values.stop_signal.as_str() {
            "SIGINT" => Signal::INT,
            "SIGQUIT" => Signal::QUIT,
            "SIGHUP" => Signal::HUP,
            "SIGUSR1" => Signal::USR1,
            "SIGUSR2" => Signal::USR2,
            "SIGWINCH" => Signal::WINCH,
            _ => Signal::TERM,
        }
    }

    /// How long to wait to be elected.
    pub(crate) fn wait(&self) -> Wait {
        let strength = |key| {
            self.layers
                .iter()
                .rposition(|layer| layer.origin(key).is_some())
        };
        match (
            self.values.no_wait,
            self.values.wait_timeout.map(Time::into_inner),
        ) {
            (true, Some(wait)) if strength("wait_timeout") > strength("no_wait") => Wait::For(wait),
            (true, _) => Wait::No,
            (false, Some(wait)) => Wait::For(wait),
            (false, None) => Wait::Endless,
        }
    }

    /// How long `once` keeps others from running the program.
    ///
    /// # Errors
    ///
    /// When it is not set, or leaves no time to replace a dead holder.
    pub(crate) fn at_least(&self) -> Result<Duration, Failure> {
        let needed = self.timing()?.worst_failover();
        let given = self.values.at_least.map(Time::into_inner);
        match (given, self.origin("at_least").cloned()) {
            (Some(given), Some(origin)) if given <= needed => Err(Failure::from(BadValue {
                origin,
                message: format!(
                    "{given:?} is too short: it must be longer than a failover, {needed:?}; set a shorter --failover"
                ),
            })),
            (Some(given), _) => Ok(given),
            (None, _) => Err(Failure::new(
                Exit::Usage,
                "--at-least is missing: give it a little less than the time from one tick to the next, such as 55s \
                 for a program that is started every minute",
            )),
        }
    }

    /// The seats of an election, if it has any.
    ///
    /// # Errors
    ///
    /// No seat at all, a name without room for their numbers, and pages for one of several elections.
    pub(crate) fn seats(&self, election: &Election) -> Result<Option<Seats>, Failure> {
        let (Some(count), Some(origin)) = (self.values.seats, self.origin("seats")) else {
            return Ok(None);
        };
        let wrong = |message: String| {
            let origin = origin.clone();
            Failure::from(BadValue { origin, message })
        };
        if self.values.listen.is_some() {
            return Err(wrong(
                "each seat is an election, and the pages of --listen show one: remove one of the two".to_owned(),
            ));
        }
        let seats = election.seats(u16::try_from(count).unwrap_or(u16::MAX));
        seats.map(Some).map_err(|error| wrong(error.to_string()))
    }

    /// The options of the HTTP server, if one is configured.
    ///
    /// # Errors
    ///
    /// When the token cannot be read.
    pub(crate) fn http(&self) -> Result<Option<ServerOptions>, Failure> {
        let Some(listen) = &self.values.listen else {
            return Ok(None);
        };
        let listen = listen
            .parse()
            .map_err(|error: InvalidListenAddress| Failure::new(Exit::Configuration, error))?;
        let token = self.values.control_token_file.as_deref();
        let token = token.map(|path| self.secret_from("control_token_file", "token", path));
        Ok(Some(ServerOptions {
            token: token.transpose()?,
            ..ServerOptions::new(listen)
        }))
    }

    /// The merged value of a setting, if it has one.
    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.merged.get(key).ok()
    }

    /// Where the value of a setting came from.
    pub(crate) fn origin(&self, key: &str) -> Option<&Origin> {
        self.layers.iter().rev().find_map(|layer| layer.origin(key))
    }

    /// Where a setting was set, unless it has its default.
    pub(crate) fn chosen(&self, key: &str) -> Option<&Origin> {
        self.origin(key).filter(|it| **it != Origin::Default)
    }

    fn wait_of_one_mind(&self) -> Result<(), Failure> {
        let same = match (self.origin("no_wait"), self.origin("wait_timeout")) {
            (Some(one), Some(other)) => one.same_layer(other),
            (_, None) | (None, _) => false,
        };
        if self.values.no_wait && same {
            return Err(self.both_set("no_wait", "wait_timeout"));
        }
        Ok(())
    }

    fn both_set(&self, one: &str, other: &str) -> Failure {
        let origin = |key| {
            self.origin(key)
                .map(ToString::to_string)
                .unwrap_or_default()
        };
        Failure::configuration(format!(
            "{} and {}: {one} and {other} are both set, to different values: remove one of them",
            origin(one),
            origin(other),
        ))
    }
}

fn read_file(path: &Path) -> Result<Layer, Failure> {
    let text = places::read_bounded(path).map_err(|error| {
        Failure::configuration(format!(
            "the configuration file {} cannot be read: {error}",
            path.display()
        ))
    })?;
    let shared: Arc<Path> = path.into();
    let layer = Layer::from_toml(&text, |line| Origin::File {
        path: Arc::clone(&shared),
        line,
    })?;
    Ok(layer)
}
