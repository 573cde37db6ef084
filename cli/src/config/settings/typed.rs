//! The settings from the command line: the strongest layer.

use std::path::{Path, PathBuf};

use incumbent::store::StoreAddress;

use crate::config::args::{Flags, GeneralOptions, Options};
use crate::config::keys::{Group, KEYS, Kind};
use crate::config::layer::{BadValue, Layer};

/// The settings from the command line.
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
        typed.add(&options.stores)?;
        typed.add(&options.timing)?;
        typed.add(&options.running)?;
        Ok(typed)
    }

    /// From the options that every command has.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the flag.
    pub(crate) fn general(options: &GeneralOptions) -> Result<Self, BadValue> {
        let mut typed = Self {
            layer: Layer::default(),
            file: options.config.clone(),
        };
        typed.add(&options.log)?;
        Ok(typed)
    }

    /// The options for another command to find the same stores. A placeholder stands for a command that may hold a
    /// secret and for a file that will be gone, and an address is without its password.
    pub(super) fn of_stores(&self) -> Vec<String> {
        let mut words = Vec::new();
        for key in KEYS.iter().filter(|key| key.group == Group::Stores) {
            for value in self.layer.texts(key.name) {
                let address: Option<StoreAddress> = value.parse().ok();
                let secret =
                    address.filter(|address| key.kind == Kind::Stores && address.has_password());
                let shown = match key.kind {
                    _ if key.name == "password_cmd" => "COMMAND".to_owned(),
                    Kind::Path if !lasts(Path::new(&value)) => "FILE".to_owned(),
                    _ => secret.map_or(value, |address| address.label().to_owned()),
                };
                words.extend([key.flag(), shown]);
            }
        }
        if let Some(file) = &self.file {
            let shown = match lasts(file) {
                true => file.display().to_string(),
                false => "FILE".to_owned(),
            };
            words.extend(["--config".to_owned(), shown]);
        }
        words
    }

    /// Adds a group of options.
    ///
    /// # Errors
    ///
    /// [`BadValue`] names the flag.
    pub(crate) fn add<const GROUP: u8>(&mut self, flags: &Flags<GROUP>) -> Result<(), BadValue> {
        for (key, texts) in &flags.0 {
            match key.kind {
                Kind::Stores => self.layer.stores(texts)?,
                _ => self
                    .layer
                    .flag(key.name, texts.last().map(String::as_str))?,
            }
        }
        Ok(())
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
}

/// Whether the next command finds the same file: not a pipe, such as a shell makes for `<(…)`, and not a descriptor
/// of this process.
fn lasts(path: &Path) -> bool {
    let own = ["/dev/fd", "/dev/stdin", "/proc"];
    path.is_file() && !own.iter().any(|folder| path.starts_with(folder))
}
