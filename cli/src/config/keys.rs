//! The settings by name, and the values that each one takes.

use crate::http::ListenAddress;
use config::ValueKind;
use incumbent::protocol::CandidateId;
use incumbent::store::StoreAddress;
use toml::de::DeValue;

/// One setting: the flag `--some-name`, the variable `INCUMBENT_SOME_NAME` and the key `some_name`.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name in a file.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Which commands have its flag.
    pub(crate) group: Group,
    /// The value name in the help.
    pub(crate) value: &'static str,
    /// Its help text, after a blank.
    pub(crate) help: &'static str,
}

/// A group of flags of a command: the help shows each group under its heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Stores,
    Timing,
    Running,
    General,
    /// It has no flag.
    Hidden,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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

/// The values of `contain`.
pub(crate) const CONTAIN: [&str; 4] = ["auto", "cgroup", "pidns", "subreaper"];

/// The values of `stop_signal`: the signals that `run` handles.
pub(crate) const STOP_SIGNALS: [&str; 7] = [
    "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH",
];

macro_rules! keys {
    ($($group:ident { $($(#[doc = $help:literal])* $name:ident $kind:expr $(=> $value:literal)?;)* })*) => {
        /// All settings, in the order in which they are shown.
        pub(crate) static KEYS: &[Key] = &[$($(Key {
            name: stringify!($name),
            kind: $kind,
            group: Group::$group,
            value: concat!($($value)?),
            help: concat!($($help),*),
        },)*)*];
    };
}

keys! {
    Stores {
        /// Where the election is kept; give it 1, 3 or 5 times: redis://HOST, sqlite:PATH, … [default: an
        /// SQLite file of this user, on this host]
        store Kind::Stores => "URL";
        /// The prefix of all Redis keys [default: "incumbent:"]
        key_prefix Kind::Text => "TEXT";
        /// The user name for stores whose URL has none
        username Kind::Text => "NAME";
    }
    Hidden {
        password Kind::Secret;
    }
    Stores {
        /// A file with the password for stores whose URL has none
        password_file Kind::Path => "FILE";
        /// A shell command that prints the password for stores whose URL has none; it runs for each connection
        password_cmd Kind::Text => "COMMAND";
    }
    Timing {
        /// Replace a dead host within this time: derives the four options below, except those that are given
        failover Kind::Duration => "DURATION";
        /// Time between two heartbeats, and between two polls [default: 1s]
        interval Kind::Duration => "DURATION";
        /// How many polls a heartbeat must stall before a takeover [default: 5]
        stall_polls Kind::Number(u32::MAX) => "NUMBER";
    }
    Stores {
        /// How long one request may take [default: one interval, at most 1s]
        op_timeout Kind::Duration => "DURATION";
    }
    Timing {
        /// How long before the end of its tenure a leader stops the program [default: 1s]
        stop_grace Kind::Duration => "DURATION";
        /// How long to wait when stores may have forgotten a leader [default: the window]
        probation Kind::Duration => "DURATION";
    }
    Hidden {
        program Kind::Words;
    }
    Running {
        /// The signal that asks the program to stop; incumbent treats it like SIGTERM [default: SIGTERM]
        stop_signal Kind::Choice(&STOP_SIGNALS) => "SIGNAL";
        /// How long a program that was asked to stop may take before it is killed [default: 30s]
        stop_timeout Kind::Duration => "DURATION";
        /// Pass standard input to the program [default: it reads nothing]
        stdin Kind::Switch;
        /// What keeps the processes of the program together. auto is a cgroup where one can be made; pidns is a
        /// PID namespace as well, so that nothing outlives incumbent [default: auto]
        contain Kind::Choice(&CONTAIN) => "LEVEL";
        /// Restart the program when it exits, up to 3 times within 60s; then resign and sit out. Stand by
        /// again after losing the leadership
        restart Kind::Switch;
        /// How long to sit out after that before campaigning again [default: 60s]
        sit_out Kind::Duration => "DURATION";
        /// Check the health of the program with this command, run by /bin/sh: status 0 is healthy
        health_cmd Kind::Text => "COMMAND";
        /// Time from one health check to the next [default: 5s]
        health_interval Kind::Duration => "DURATION";
        /// How long a health check may take before it is killed and counts as failed [default: 5s]
        health_timeout Kind::Duration => "DURATION";
        /// How many passed checks in a row make the program healthy [default: 2]
        health_rise Kind::Number(u32::MAX) => "NUMBER";
        /// How many failed checks make it unhealthy: it is stopped, and the leader resigns [default: 3]
        health_fall Kind::Number(u32::MAX) => "NUMBER";
        /// How long a new program may fail checks and stay silent before it is first healthy [default: 0s]
        health_start_period Kind::Duration => "DURATION";
        /// Treat the program as unhealthy if it sends no WATCHDOG=1 to NOTIFY_SOCKET for this long
        watchdog Kind::Duration => "DURATION";
        /// What this candidate is called in status and logs [default: host and process id]
        id Kind::Label => "LABEL";
        /// Exit at once if another candidate holds the election
        no_wait Kind::Switch;
        /// How long to wait to be elected [default: forever]
        wait_timeout Kind::Duration => "DURATION";
        /// The exit status when not elected (--no-wait, --wait-timeout) [default: 75]
        conflict_exit_code Kind::Number(255) => "STATUS";
        /// Serve health, metrics and a page over HTTP: PORT for this host only, or IP:PORT
        listen Kind::Listen => "ADDRESS";
        /// A file with the token for resigning the leader over HTTP
        control_token_file Kind::Path => "FILE";
    }
    General {
        /// How the log on standard error is written [default: text]
        log_format Kind::Choice(&LOG_FORMATS) => "FORMAT";
        /// What is logged [default: info]
        log_level Kind::Choice(&LOG_LEVELS) => "LEVEL";
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

    /// Its flag.
    pub(crate) fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// Reads a value from text, as in a variable or a flag. The error says what is wrong, and leaves out
    /// a value that may be secret.
    pub(crate) fn read_text(&self, text: &str) -> Result<ValueKind, String> {
        match self.kind {
            Kind::Stores => text
                .split_whitespace()
                .map(address)
                .collect::<Result<Vec<_>, _>>()
                .map(ValueKind::from),
            Kind::Words => {
                let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
                Ok(words.into())
            }
            Kind::Number(max) => match text.parse::<u32>() {
                Ok(number) if number <= max => Ok(number.into()),
                Ok(_) | Err(_) => Err(format!("{text:?} is not a number from 0 to {max}")),
            },
            Kind::Switch => match text {
                "true" | "1" | "yes" => Ok(true.into()),
                "false" | "0" | "no" => Ok(false.into()),
                _ => Err(format!("{text:?} is neither true nor false")),
            },
            Kind::Duration
            | Kind::Text
            | Kind::Label
            | Kind::Path
            | Kind::Listen
            | Kind::Secret
            | Kind::Choice(_) => self.read_string(text),
        }
    }

    /// Reads a value from a file.
    pub(crate) fn read_toml(&self, value: &DeValue<'_>) -> Result<ValueKind, String> {
        match (self.kind, value) {
            (Kind::Stores, DeValue::String(text)) => Ok(vec![address(text)?].into()),
            (Kind::Stores, DeValue::Array(items)) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => address(text),
                    other => Err(format!("a store is a string, not {}", type_of(other))),
                })
                .collect::<Result<Vec<_>, _>>()
                .map(ValueKind::from),
            (Kind::Words, DeValue::Array(items)) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Ok(text.to_string()),
                    other => Err(format!("a word is a string, not {}", type_of(other))),
                })
                .collect::<Result<Vec<_>, _>>()
                .map(ValueKind::from),
            (Kind::Stores | Kind::Words, other) => Err(format!(
                "it takes a list of strings, not {}",
                type_of(other)
            )),
            (Kind::Number(max), DeValue::Integer(digits)) => {
                let number = u32::from_str_radix(digits.as_str(), digits.radix());
                match number {
                    Ok(number) if number <= max => Ok(number.into()),
                    Ok(_) | Err(_) => Err(format!("{digits} is not a number from 0 to {max}")),
                }
            }
            (Kind::Number(_), other) => Err(format!("it takes a number, not {}", type_of(other))),
            (Kind::Switch, DeValue::Boolean(on)) => Ok((*on).into()),
            (Kind::Switch, other) => Err(format!("it takes true or false, not {}", type_of(other))),
            (Kind::Duration, DeValue::Integer(number)) => Err(format!(
                "{number} has no unit: write a duration such as \"{number}s\" or \"250ms\""
            )),
            (
                Kind::Duration
                | Kind::Text
                | Kind::Label
                | Kind::Path
                | Kind::Listen
                | Kind::Secret
                | Kind::Choice(_),
                DeValue::String(text),
            ) => self.read_string(text),
            (
                Kind::Duration
                | Kind::Text
                | Kind::Label
                | Kind::Path
                | Kind::Listen
                | Kind::Secret
                | Kind::Choice(_),
                other,
            ) => Err(format!("it takes a string, not {}", type_of(other))),
        }
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
            Kind::Choice(_)
            | Kind::Path
            | Kind::Text
            | Kind::Secret
            | Kind::Stores
            | Kind::Words
            | Kind::Number(_)
            | Kind::Switch => {}
        }
        Ok(text.into())
    }
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
