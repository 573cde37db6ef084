//! The settings: each is declared here once, as a flag, a variable, a key of the file, with its default and its
//! help. `config/default.toml` and `config/schema.json` are written from this table by a test.

use std::path::PathBuf;
use std::time::Duration;

use crate::http::ListenAddress;
use crate::supervise::Contain;
use config::ValueKind;
use incumbent::protocol::CandidateId;
use incumbent::store::StoreAddress;
use secrecy::SecretString;
use serde::Deserialize;
use toml::de::DeValue;

use super::settings::LogFormat;

/// One setting: the flag `--some-name`, the variable `INCUMBENT_SOME_NAME` and the key `some_name`.
#[derive(Debug)]
pub struct Key {
    /// Its name in a file.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Which commands have its flag.
    pub group: Group,
    /// The value name in the help.
    pub value: &'static str,
    /// Its help text, after a blank, without a default that is declared.
    pub help: &'static str,
    /// What only the file and its schema add.
    pub more: &'static str,
    /// Its default, as in a variable.
    pub default: Option<&'static str>,
}

/// A group of flags of a command: the help shows each group under its heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where the election is kept.
    Stores = 1,
    /// How fast a leader is replaced.
    Timing = 2,
    /// How the program is run.
    Running = 4,
    /// What every command has.
    General = 8,
    /// What happens to a service that ends.
    Service = 16,
    /// How to be elected.
    Campaign = 32,
    /// What runs once per tick.
    Once = 64,
    /// It has no flag.
    Hidden = 0,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Addresses of stores: a list in a file, separated by blanks in a variable.
    Stores,
    /// A program and its arguments: a list in a file, separated by blanks in a variable.
    Words,
    /// A time with its unit.
    Duration,
    /// A number from 0 to this one.
    Number(u32),
    /// Yes or no.
    Switch,
    /// Any text; the empty one too.
    Text,
    /// What a candidate may be called.
    Label,
    /// Where a file is.
    Path,
    /// Where to listen for HTTP.
    Listen,
    /// Any text, never shown.
    Secret,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// The values of `log_format`.
pub(crate) const LOG_FORMATS: [&str; 2] = ["text", "json"];
/// The values of `log_level`.
pub(crate) const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The most seats of an election: `status` looks at each of them.
pub(crate) const MOST_SEATS: u32 = 64;

/// The values of `stop_signal`: the signals that `run` handles.
pub(crate) const STOP_SIGNALS: [&str; 7] = [
    "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH",
];

/// A time in the merged configuration.
pub(crate) type Time = humantime_serde::Serde<Duration>;

macro_rules! keys {
    ($($group:ident {
        $($(#[doc = $help:literal])* $name:ident: $type:ty, $kind:expr, $value:literal $(= $default:literal)?
            $(, $more:literal)?;)*
    })*) => {
        /// All settings, in the order in which they are shown.
        pub static KEYS: &[Key] = &[$($(Key {
            name: stringify!($name),
            kind: $kind,
            group: Group::$group,
            value: $value,
            help: concat!($($help),*),
            more: concat!($($more)?),
            default: { let _default: Option<&'static str> = None; $(let _default = Some($default);)? _default },
        },)*)*];

        /// The merged settings. Those without a default are optional.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct Values {
            $($(pub(crate) $name: $type,)*)*
        }
    };
}

keys! {
    Stores {
        /// Where the election is kept; give it 1, 3 or 5 times: redis://HOST, sqlite:PATH, … [default: an
        /// SQLite file of this user, on this host]
        store: Vec<String>, Kind::Stores, "URL" = "";
        /// The prefix of all Redis keys
        key_prefix: String, Kind::Text, "TEXT" = "incumbent:";
        /// The user name for stores whose URL has none
        username: Option<String>, Kind::Text, "NAME";
    }
    Hidden {
        /// The password for stores whose URL has none; a file is the better place
        password: Option<SecretString>, Kind::Secret, "PASSWORD";
    }
    Stores {
        /// A file with the password for stores whose URL has none
        password_file: Option<PathBuf>, Kind::Path, "FILE";
        /// A shell command that prints the password for stores whose URL has none; it runs for each connection
        password_cmd: Option<String>, Kind::Text, "COMMAND";
    }
    Timing {
        /// Replace a dead host within this time: derives the four options below, except those that are given
        failover: Option<Time>, Kind::Duration, "DURATION",
            "The four are interval, stall_polls, stop_grace and op_timeout. By their defaults it is 7s.";
        /// Time between two heartbeats, and between two polls
        interval: Time, Kind::Duration, "DURATION" = "1s";
        /// How many polls a heartbeat must stall before a takeover
        stall_polls: u32, Kind::Number(u32::MAX), "NUMBER" = "5", "The window is interval × stall_polls.";
    }
    Stores {
        /// How long one request may take [default: one interval, at most 1s]
        op_timeout: Option<Time>, Kind::Duration, "DURATION";
    }
    Timing {
        /// How long before the end of its tenure a leader stops the program
        stop_grace: Time, Kind::Duration, "DURATION" = "1s",
            "interval + op_timeout + stop_grace + margin must be less than the window, where the margin is the larger \
             of 2 % of the window and 50 ms.";
        /// How long to wait when stores may have forgotten a leader [default: the window]
        probation: Option<Time>, Kind::Duration, "DURATION",
            "While candidates with different windows are mixed, it must be the largest of them.";
    }
    Hidden {
        /// The program to run while elected, with its arguments, if the command line names none after --
        program: Vec<String>, Kind::Words, "PROGRAM" = "";
    }
    Running {
        /// The signal that asks the program to stop; incumbent treats it like SIGTERM
        stop_signal: String, Kind::Choice(&STOP_SIGNALS), "SIGNAL" = "SIGTERM";
        /// How long a program that was asked to stop may take before it is killed
        stop_timeout: Time, Kind::Duration, "DURATION" = "30s", "Heartbeats go on meanwhile.";
        /// Pass standard input to the program [default: it reads nothing]
        stdin: bool, Kind::Switch, "" = "false";
        /// What keeps the processes of the program together: auto, cgroup, pidns or subreaper
        contain: Contain, Kind::Choice(&Contain::WORDS), "LEVEL" = "auto",
            "auto is a cgroup where one can be made, else the keeper alone (subreaper). pidns is a PID namespace, and a \
             cgroup where one can be made: nothing of the program outlives incumbent, whatever is killed, but the \
             program has other process ids and its own /proc. With cgroup and pidns, no program is started where there \
             can be none.";
        /// Check the health of the program with this command, run by /bin/sh: status 0 is healthy
        health_cmd: Option<String>, Kind::Text, "COMMAND", "Without it: no checks.";
        /// Time from one health check to the next
        health_interval: Time, Kind::Duration, "DURATION" = "5s";
        /// How long a health check may take before it is killed and counts as failed
        health_timeout: Time, Kind::Duration, "DURATION" = "5s";
        /// How many passed checks in a row make the program healthy
        health_rise: u32, Kind::Number(u32::MAX), "NUMBER" = "2";
        /// How many failed checks make it unhealthy: it is stopped, and the leader resigns
        health_fall: u32, Kind::Number(u32::MAX), "NUMBER" = "3";
        /// How long a new program may fail checks and stay silent before it is first healthy
        health_start_period: Time, Kind::Duration, "DURATION" = "0s";
        /// Treat the program as unhealthy if it sends no WATCHDOG=1 to NOTIFY_SOCKET for this long
        watchdog: Option<Time>, Kind::Duration, "DURATION", "Without it: the program gets no socket.";
        /// What this candidate is called in status and logs [default: host and process id]
        id: Option<String>, Kind::Label, "LABEL";
        /// Serve health, metrics and a page over HTTP: PORT for this host only, or IP:PORT
        listen: Option<String>, Kind::Listen, "ADDRESS";
        /// A file with the token for resigning the leader over HTTP
        control_token_file: Option<PathBuf>, Kind::Path, "FILE", "Without it, nothing can be changed over HTTP.";
    }
    Service {
        /// Restart the program when it exits, up to 3 times within 60s; then resign and sit out. Stand by
        /// again after losing the leadership
        restart: bool, Kind::Switch, "" = "false";
        /// How long to sit out after that before campaigning again
        sit_out: Time, Kind::Duration, "DURATION" = "60s";
    }
    Campaign {
        /// Exit at once if another candidate holds the election
        no_wait: bool, Kind::Switch, "" = "false";
        /// How long to wait to be elected [default: forever]
        wait_timeout: Option<Time>, Kind::Duration, "DURATION";
        /// The exit status when not elected (--no-wait, --wait-timeout)
        conflict_exit_code: u8, Kind::Number(255), "STATUS" = "75";
        /// How many may lead at a time: each gets the number of its seat as INCUMBENT_SEAT, from 0 [default: one, without a seat]
        seats: Option<u32>, Kind::Number(MOST_SEATS), "NUMBER", "All candidates have to agree on it.";
    }
    Once {
        /// How long no host may run it again, counted from the start of a run: less than from one tick to the next,
        /// more than the clocks of the hosts differ by, and more than a failover takes
        at_least: Option<Time>, Kind::Duration, "DURATION", "For `incumbent once`.";
        /// The exit status where it is skipped, because it runs or ran elsewhere
        skip_status: u8, Kind::Number(255), "STATUS" = "0", "For `incumbent once`.";
    }
    General {
        /// How the log on standard error is written
        log_format: LogFormat, Kind::Choice(&LOG_FORMATS), "FORMAT" = "text";
        /// What is logged
        log_level: String, Kind::Choice(&LOG_LEVELS), "LEVEL" = "info";
    }
}

impl Key {
    /// The setting of this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Its variable.
    pub(crate) fn variable(&self) -> String {
        format!("INCUMBENT_{}", self.name.to_ascii_uppercase())
    }

    /// Its help text, with its default.
    pub(crate) fn help(&self) -> String {
        let help = self.help.trim_start();
        match (self.kind, self.default) {
            (_, None) | (Kind::Switch | Kind::Stores | Kind::Words, _) => help.to_owned(),
            (Kind::Text, Some(text)) => format!("{help} [default: {text:?}]"),
            (_, Some(text)) => format!("{help} [default: {text}]"),
        }
    }

    /// Its flag.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// Whether its value is, or may contain, a secret. A command that prints a password may.
    pub(crate) fn is_secret(&self) -> bool {
        self.kind == Kind::Secret || self.name == "password_cmd"
    }

    /// Whether an empty variable means an empty text.
    pub(crate) fn may_be_empty(&self) -> bool {
        matches!(self.name, "key_prefix" | "username")
    }

    /// Whether it is part of the timing.
    pub(crate) fn is_timing(&self) -> bool {
        self.group == Group::Timing || self.name == "op_timeout"
    }

    /// Reads a value from text, as in a variable or a flag. The error says what is wrong, and leaves out
    /// a value that may be secret.
    pub(crate) fn read_text(&self, text: &str) -> Result<ValueKind, String> {
        match self.kind {
            Kind::Stores => list(text.split_whitespace().map(address)),
            Kind::Words => list(text.split_whitespace().map(|word| Ok(word.to_owned()))),
            Kind::Number(max) => match text.parse::<u32>() {
                Ok(number) if number <= max => Ok(number.into()),
                Ok(_) | Err(_) => Err(format!("{text:?} is not a number from 0 to {max}")),
            },
            Kind::Switch => match text {
                "true" | "1" | "yes" => Ok(true.into()),
                "false" | "0" | "no" => Ok(false.into()),
                _ => Err(format!("{text:?} is neither true nor false")),
            },
            _ => self.read_string(text),
        }
    }

    /// Reads a value from a file.
    pub(crate) fn read_toml(&self, value: &DeValue<'_>) -> Result<ValueKind, String> {
        let wanted = match (self.kind, value) {
            (Kind::Stores, DeValue::String(text)) => return list([address(text)].into_iter()),
            (Kind::Stores, DeValue::Array(items)) => {
                return list(items.iter().map(|item| match item.get_ref() {
                    DeValue::String(text) => address(text),
                    other => Err(format!("a store is a string, not {}", type_of(other))),
                }));
            }
            (Kind::Words, DeValue::Array(items)) => {
                return list(items.iter().map(|item| match item.get_ref() {
                    DeValue::String(text) => Ok(text.to_string()),
                    other => Err(format!("a word is a string, not {}", type_of(other))),
                }));
            }
            (Kind::Stores | Kind::Words, _) => "a list of strings",
            (Kind::Number(max), DeValue::Integer(digits)) => {
                let number = u32::from_str_radix(digits.as_str(), digits.radix());
                let number = number.ok().filter(|number| *number <= max);
                let wrong = || format!("{digits} is not a number from 0 to {max}");
                return number.map(ValueKind::from).ok_or_else(wrong);
            }
            (Kind::Number(_), _) => "a number",
            (Kind::Switch, DeValue::Boolean(on)) => return Ok((*on).into()),
            (Kind::Switch, _) => "true or false",
            (Kind::Duration, DeValue::Integer(number)) => {
                return Err(format!(
                    "{number} has no unit: write a duration such as \"{number}s\" or \"250ms\""
                ));
            }
            (_, DeValue::String(text)) => return self.read_string(text),
            _ => "a string",
        };
        Err(format!("it takes {wanted}, not {}", type_of(value)))
    }

    fn read_string(&self, text: &str) -> Result<ValueKind, String> {
        match self.kind {
            Kind::Duration => {
                humantime::parse_duration(text).map_err(|error| {
                    format!(
                        "{text:?} is not a duration ({error}): write one such as \"1s\" or \"250ms\""
                    )
                })?;
            }
            Kind::Label => {
                CandidateId::new(text).map_err(|error| error.to_string())?;
            }
            Kind::Listen => {
                text.parse::<ListenAddress>()
                    .map_err(|error| error.to_string())?;
            }
            Kind::Path if text.is_empty() => return Err("the path is empty".to_owned()),
            Kind::Choice(choices) if !choices.contains(&text) => {
                return Err(format!("{text:?} is not one of {}", choices.join(", ")));
            }
            _ => {}
        }
        Ok(text.into())
    }
}

fn list(values: impl Iterator<Item = Result<String, String>>) -> Result<ValueKind, String> {
    values.collect::<Result<Vec<_>, _>>().map(ValueKind::from)
}

/// The name among `known` that is most similar to `given`, if any is.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// Checks the address of a store. The error does not repeat it where it may hold a password.
pub(crate) fn address(text: &str) -> Result<String, String> {
    match text.parse::<StoreAddress>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
