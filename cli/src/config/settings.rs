//! The settings in effect: the layers merged (flag, then environment, then file, then default) and converted
//! to the types of the library.

mod health;
mod secret;
mod typed;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::http::{InvalidListenAddress, ServerOptions};
use crate::supervise::{Contain, Estate};
use config::{Config, Value};
use incumbent::election::ConfigError;
use incumbent::protocol::{ElectionName, InvalidTiming, Timing, TimingChoices, TimingConfig};
use incumbent::store::{Password, StoreAddress, StoreOptions};
use rustix::process::Signal;
use serde::Deserialize;

use super::environment;
use super::hint;
use super::layer::{Layer, Origin};
use super::places;
use crate::exit::{Exit, Failure};

pub(crate) use health::{CheckSettings, HealthSettings};
use secret::SecretText;
pub(crate) use typed::Typed;

/// The defaults, as they are documented.
const DEFAULTS: &str = include_str!("default.toml");

/// Every setting, with the value that counts and where it came from.
#[derive(Debug)]
pub(crate) struct Settings {
    values: Values,
    merged: Config,
    /// From the weakest to the strongest.
    layers: Vec<Layer>,
    password: Option<Password>,
    /// The configuration file that was read, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// Warnings for the log.
    pub(crate) warnings: Vec<String>,
}

/// The merged layers. Defaults are in `config/default.toml`, so only settings without one are optional.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Values {
    store: Vec<String>,
    key_prefix: String,
    username: Option<String>,
    password: Option<SecretText>,
    password_file: Option<PathBuf>,
    password_cmd: Option<String>,
    #[serde(default, with = "humantime_serde")]
    failover: Option<Duration>,
    #[serde(with = "humantime_serde")]
    interval: Duration,
    stall_polls: u32,
    #[serde(default, with = "humantime_serde")]
    op_timeout: Option<Duration>,
    #[serde(with = "humantime_serde")]
    stop_grace: Duration,
    #[serde(default, with = "humantime_serde")]
    probation: Option<Duration>,
    program: Vec<String>,
    stop_signal: StopSignal,
    #[serde(with = "humantime_serde")]
    stop_timeout: Duration,
    stdin: bool,
    contain: Contain,
    restart: bool,
    #[serde(with = "humantime_serde")]
    sit_out: Duration,
    health_cmd: Option<String>,
    #[serde(with = "humantime_serde")]
    health_interval: Duration,
    #[serde(with = "humantime_serde")]
    health_timeout: Duration,
    health_rise: u32,
    health_fall: u32,
    #[serde(with = "humantime_serde")]
    health_start_period: Duration,
    #[serde(default, with = "humantime_serde")]
    watchdog: Option<Duration>,
    id: Option<String>,
    no_wait: bool,
    #[serde(default, with = "humantime_serde")]
    wait_timeout: Option<Duration>,
    conflict_exit_code: u8,
    listen: Option<String>,
    control_token_file: Option<PathBuf>,
    log_format: LogFormat,
    log_level: LogLevel,
}

/// What asks the program to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum StopSignal {
    SigTerm,
    SigInt,
    SigQuit,
    SigHup,
    SigUsr1,
    SigUsr2,
    SigWinch,
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

/// What is logged: the levels of tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
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
}

impl Settings {
    /// Reads all layers. `election` chooses the configuration file when none is given.
    ///
    /// # Errors
    ///
    /// An invalid value, with where it was set; an unreadable file.
    pub(crate) fn load(typed: Typed, election: Option<&ElectionName>) -> Result<Self, Failure> {
        let defaults = Layer::from_toml(DEFAULTS, |_| Origin::Default)?;
        let (environment, mut warnings) = Layer::from_environment(environment::ours())?;
        hint::remember(&typed.of_stores());
        let mut layers = vec![defaults];
        let file = places::configuration_file(typed.file, election);
        if let Some(path) = &file {
            layers.push(read_file(path)?);
        }
        layers.push(environment);
        layers.push(typed.layer);
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
    pub(crate) fn estate(&self, election: &ElectionName) -> Result<Estate, Failure> {
        let addresses = match self.embedded_store()? {
            Some(path) => vec![StoreAddress::sqlite(path).label().into()],
            None => self
                .values
                .store
                .iter()
                .map(|text| text.as_str().into())
                .collect(),
        };
        Ok(Estate {
            election: election.clone(),
            addresses,
            options: self.store_options(),
        })
    }

    /// How the stores are connected to.
    pub(crate) fn store_options(&self) -> StoreOptions {
        StoreOptions {
            key_prefix: self.values.key_prefix.clone(),
            op_timeout: self.op_timeout(),
            username: self.values.username.clone(),
            password: self.password.clone(),
        }
    }

    /// How long one request may take.
    pub(crate) fn op_timeout(&self) -> Duration {
        let timing = self.timing_config();
        let interval = timing.map_or(self.values.interval, |timing| timing.interval);
        let default = interval.min(Duration::from_secs(1));
        self.values.op_timeout.unwrap_or(default)
    }

    /// How often `watch` looks.
    pub(crate) fn interval(&self) -> Duration {
        self.values.interval
    }

    /// The failover time that the timing follows from, if one is given.
    pub(crate) fn failover(&self) -> Option<Duration> {
        self.values.failover
    }

    /// The timing as it was chosen, not checked.
    ///
    /// # Errors
    ///
    /// A failover time that the rest of what was chosen does not allow.
    pub(crate) fn timing_config(&self) -> Result<TimingConfig, InvalidTiming> {
        let values = &self.values;
        // A value derived from the failover time overrides a default.
        let chosen = |key: &str| self.origin(key).is_some_and(|it| *it != Origin::Default);
        let choices = TimingChoices {
            failover: values.failover,
            interval: chosen("interval").then_some(values.interval),
            stall_polls: chosen("stall_polls").then_some(values.stall_polls),
            stop_grace: chosen("stop_grace").then_some(values.stop_grace),
            op_timeout: values.op_timeout,
            probation: values.probation,
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
            let set = [
                "failover",
                "interval",
                "stall_polls",
                "op_timeout",
                "stop_grace",
                "probation",
            ]
            .into_iter()
            .filter_map(|key| {
                let origin = self.origin(key).filter(|it| **it != Origin::Default)?;
                let value = self.value(key)?.into_string().ok()?;
                Some(format!("{key} = {value} from {origin}"))
            });
            let set: Vec<String> = set.collect();
            Failure::new(Exit::Configuration, format!("{error} ({})", set.join(", ")))
        })
    }

    /// The program to run while elected, when the command line names none.
    pub(crate) fn program(&self) -> &[String] {
        &self.values.program
    }

    /// The signal that asks the program to stop.
    pub(crate) fn stop_signal(&self) -> Signal {
        match self.values.stop_signal {
            StopSignal::SigTerm => Signal::TERM,
            StopSignal::SigInt => Signal::INT,
            StopSignal::SigQuit => Signal::QUIT,
            StopSignal::SigHup => Signal::HUP,
            StopSignal::SigUsr1 => Signal::USR1,
            StopSignal::SigUsr2 => Signal::USR2,
            StopSignal::SigWinch => Signal::WINCH,
        }
    }

    /// How long a program that was asked to stop may take.
    pub(crate) fn stop_timeout(&self) -> Duration {
        self.values.stop_timeout
    }

    /// Whether the program reads our standard input.
    pub(crate) fn stdin(&self) -> bool {
        self.values.stdin
    }

    /// What keeps the processes of the program together.
    pub(crate) fn contain(&self) -> Contain {
        self.values.contain
    }

    /// Whether a program that ends is started again in place.
    pub(crate) fn restart(&self) -> bool {
        self.values.restart
    }

    /// How long to wait before campaigning again when a restarted program has ended too often.
    pub(crate) fn sit_out(&self) -> Duration {
        self.values.sit_out
    }

    /// What the candidate is called.
    pub(crate) fn label(&self) -> Option<&str> {
        self.values.id.as_deref()
    }

    /// How long to wait to be elected.
    pub(crate) fn wait(&self) -> Wait {
        let strength = |key| {
            self.layers
                .iter()
                .rposition(|layer| layer.origin(key).is_some())
        };
        match (self.values.no_wait, self.values.wait_timeout) {
            (true, Some(wait)) if strength("wait_timeout") > strength("no_wait") => Wait::For(wait),
            (true, _) => Wait::No,
            (false, Some(wait)) => Wait::For(wait),
            (false, None) => Wait::Endless,
        }
    }

    /// The exit status of a candidate that was not elected.
    pub(crate) fn conflict_exit_code(&self) -> u8 {
        self.values.conflict_exit_code
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

    /// How the log is written.
    pub(crate) fn log_format(&self) -> LogFormat {
        self.values.log_format
    }

    /// What is logged.
    pub(crate) fn log_level(&self) -> LogLevel {
        self.values.log_level
    }

    /// The merged value of a setting, if it has one.
    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.merged.get(key).ok()
    }

    /// Where the value of a setting came from.
    pub(crate) fn origin(&self, key: &str) -> Option<&Origin> {
        self.layers.iter().rev().find_map(|layer| layer.origin(key))
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
