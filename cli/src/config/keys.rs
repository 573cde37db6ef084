//! The settings by name, and which values each of them takes, whatever they are read from.

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

/// The values of `stop_signal`: what `run` takes before it can end the process behind its own back.
pub(crate) const STOP_SIGNALS: [&str; 7] = [
    "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH",
];

/// All settings, in the order in which they are shown.
pub(crate) const KEYS: [Key; 32] = [
    key("store", Kind::Stores),
    key("key_prefix", Kind::Text),
    key("username", Kind::Text),
    key("password", Kind::Secret),
    key("password_file", Kind::Path),
    key("password_cmd", Kind::Text),
    key("interval", Kind::Duration),
    key("stall_polls", Kind::Number(u32::MAX)),
    key("op_timeout", Kind::Duration),
    key("stop_grace", Kind::Duration),
    key("probation", Kind::Duration),
    key("program", Kind::Words),
    key("stop_signal", Kind::Choice(&STOP_SIGNALS)),
    key("stop_timeout", Kind::Duration),
    key("stdin", Kind::Switch),
    key("restart", Kind::Switch),
    key("sit_out", Kind::Duration),
    key("health_cmd", Kind::Text),
    key("health_interval", Kind::Duration),
    key("health_timeout", Kind::Duration),
    key("health_rise", Kind::Number(u32::MAX)),
    key("health_fall", Kind::Number(u32::MAX)),
    key("health_start_period", Kind::Duration),
    key("watchdog", Kind::Duration),
    key("id", Kind::Label),
    key("no_wait", Kind::Switch),
    key("wait_timeout", Kind::Duration),
    key("conflict_exit_code", Kind::Number(255)),
    key("listen", Kind::Listen),
    key("control_token_file", Kind::Path),
    key("log_format", Kind::Choice(&LOG_FORMATS)),
    key("log_level", Kind::Choice(&LOG_LEVELS)),
];

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind }
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

    /// Reads a value from text, as a variable or a flag has it. The error tells what is wrong, without
    /// the value where it may be secret.
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
                    other => Err(format!("a store is a text, not {}", type_of(other))),
                })
                .collect::<Result<Vec<_>, _>>()
                .map(ValueKind::from),
            (Kind::Words, DeValue::Array(items)) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Ok(text.to_string()),
                    other => Err(format!("a word is a text, not {}", type_of(other))),
                })
                .collect::<Result<Vec<_>, _>>()
                .map(ValueKind::from),
            (Kind::Stores | Kind::Words, other) => {
                Err(format!("it takes a list of texts, not {}", type_of(other)))
            }
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
            ) => Err(format!("it takes a text, not {}", type_of(other))),
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

/// The name most like `given` among `known`, if any is like it at all.
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
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
