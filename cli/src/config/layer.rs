//! One layer of the configuration: what a file, the environment, or the command line sets, each value
//! checked, with where it came from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use config::{Map, Source, Value, ValueKind};
use toml::de::DeTable;

use crate::exit::{Exit, Failure};

use super::args::Typed;
use super::keys::{KEYS, Key, Kind, address, nearest};

/// Where a value came from. Later ones win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The defaults that are built in.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl Origin {
    /// Whether both come from the same layer, so that neither is stronger.
    pub(crate) fn same_layer(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// An invalid value, and where it was set.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {message}")]
pub(crate) struct BadValue {
    /// Where it was set.
    pub(crate) origin: Origin,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl From<BadValue> for Failure {
    fn from(bad: BadValue) -> Self {
        let exit = match bad.origin {
            Origin::Flag(_) => Exit::Usage,
            Origin::Default | Origin::File { .. } | Origin::Environment(_) => Exit::Configuration,
        };
        Self::new(exit, bad)
    }
}

/// The values of one layer.
#[derive(Clone, Default)]
pub(crate) struct Layer(BTreeMap<&'static str, (Origin, ValueKind)>);

impl Layer {
    /// The defaults that are built in.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names a setting whose default is none of its values.
    pub(crate) fn defaults() -> Result<Self, BadValue> {
        let mut layer = Self::default();
        for key in KEYS {
            if let Some(text) = key.default {
                layer.set(key, Origin::Default, key.read_text(text))?;
            }
        }
        Ok(layer)
    }

    /// Reads the text of a TOML file.
    ///
    /// # Errors
    ///
    /// [`BadValue`] with the line: text that is not TOML, an unknown key, a value that its key does not
    /// take.
    pub(crate) fn from_toml(
        text: &str,
        origin: impl Fn(usize) -> Origin,
    ) -> Result<Self, BadValue> {
        let at = |offset: usize| {
            let before = text.as_bytes().iter().take(offset);
            origin(1 + before.filter(|byte| **byte == b'\n').count())
        };
        // The error's own text quotes the line, which may hold a password.
        let table = DeTable::parse(text).map_err(|error| BadValue {
            origin: at(error.span().map_or(0, |span| span.start)),
            message: format!("this is not TOML: {}", error.message()),
        })?;
        let mut layer = Self::default();
        for (name, value) in table.get_ref() {
            let origin = at(name.span().start);
            let Some(key) = Key::find(name.get_ref()) else {
                return Err(BadValue {
                    origin,
                    message: unknown_key(name.get_ref()),
                });
            };
            let read = key.read_toml(value.get_ref()).map_err(|message| BadValue {
                origin: at(value.span().start),
                message: format!("{}: {message}", key.name),
            })?;
            layer.set(key, origin, Ok(read))?;
        }
        Ok(layer)
    }

    /// Reads the variables that begin with `INCUMBENT_`. Unknown ones are returned second: a
    /// stray variable is no reason to run without an election.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the variable.
    pub(crate) fn from_environment(
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Vec<String>), BadValue> {
        let mut layer = Self::default();
        let mut warnings = Vec::new();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            if NOT_SETTINGS.contains(&name) {
                continue;
            }
            let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
                warnings.push(unknown_variable(name));
                continue;
            };
            let origin = Origin::Environment(name.to_owned());
            let read = match value.to_str() {
                // An empty variable is how many tools unset one.
                Some("") if !key.may_be_empty() => continue,
                Some(text) => key.read_text(text),
                None => Err("its value is not valid UTF-8".to_owned()),
            };
            layer.set(key, origin, read)?;
        }
        warnings.sort_unstable();
        Ok((layer, warnings))
    }

    /// Takes the flags that were typed. Each store address may contain blanks.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the flag.
    pub(crate) fn from_flags(typed: &Typed) -> Result<Self, BadValue> {
        let mut layer = Self::default();
        for (key, texts) in &typed.texts {
            let origin = Origin::Flag(key.flag());
            if key.kind == Kind::Stores {
                let addresses: Result<Vec<_>, _> = texts.iter().map(|it| address(it)).collect();
                layer.set(key, origin, addresses.map(ValueKind::from))?;
            } else if let Some(text) = texts.last() {
                layer.set(key, origin, key.read_text(text))?;
            }
        }
        Ok(layer)
    }

    /// Where this layer sets a setting, if it does.
    pub(crate) fn origin(&self, key: &str) -> Option<&Origin> {
        self.0.get(key).map(|(origin, _)| origin)
    }

    fn set(
        &mut self,
        key: &'static Key,
        origin: Origin,
        value: Result<ValueKind, String>,
    ) -> Result<(), BadValue> {
        match value {
            Ok(value) => {
                self.0.insert(key.name, (origin, value));
                Ok(())
            }
            Err(message) => Err(BadValue { origin, message }),
        }
    }
}

const PREFIX: &str = "INCUMBENT_";

/// What `incumbent run` sets for its program, which may run `incumbent` again, and the one variable
/// that is read before all others.
const NOT_SETTINGS: [&str; 6] = [
    "INCUMBENT_CONFIG",
    "INCUMBENT_ELECTION",
    "INCUMBENT_FENCING_TOKEN",
    "INCUMBENT_CANDIDATE_ID",
    "INCUMBENT_SEAT",
    "INCUMBENT_PROGRAM_PID",
];

fn unknown_key(name: &str) -> String {
    match nearest(name, KEYS.iter().map(|key| key.name)) {
        Some(known) => format!("unknown setting {name:?}: did you mean {known:?}?"),
        None => {
            let known: Vec<_> = KEYS.iter().map(|key| key.name).collect();
            format!("unknown setting {name:?}: there are {}", known.join(", "))
        }
    }
}

fn unknown_variable(name: &str) -> String {
    let setting = name.trim_start_matches(PREFIX).to_ascii_lowercase();
    let known = nearest(&setting, KEYS.iter().map(|key| key.name)).and_then(Key::find);
    match known.map(Key::variable) {
        Some(known) => {
            format!("the environment variable {name} is ignored: did you mean {known}?")
        }
        None => format!("the environment variable {name} is ignored: it is not a setting"),
    }
}

/// Names the settings only: a value may be secret.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let values = self.0.iter().map(|(name, (origin, value))| {
            let value = Value::new(Some(&origin.to_string()), value.clone());
            ((*name).to_owned(), value)
        });
        Ok(values.collect())
    }
}
