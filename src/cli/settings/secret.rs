//! The settings that are not shown: a password, in itself or in a file, and a token in a file.

use std::path::Path;

use secrecy::SecretString;
use serde::Deserialize;

use super::Settings;
use crate::cli::exit::Failure;
use crate::cli::places;

/// A text that is not shown by accident.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct SecretText(String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Settings {
    /// The stronger of the password itself and the file with it.
    pub(super) fn read_password(&self) -> Result<Option<SecretString>, Failure> {
        let text = self
            .values
            .password
            .as_ref()
            .map(|text| SecretString::from(text.0.as_str()));
        let Some(path) = &self.values.password_file else {
            return Ok(text);
        };
        let layer = |key| {
            self.layers
                .iter()
                .rposition(|layer| layer.origin(key).is_some())
        };
        match layer("password").cmp(&layer("password_file")) {
            std::cmp::Ordering::Greater => Ok(text),
            std::cmp::Ordering::Less => self
                .secret_from("password_file", "password", path)
                .map(Some),
            std::cmp::Ordering::Equal => Err(self.both_set("password", "password_file")),
        }
    }

    pub(super) fn secret_from(
        &self,
        key: &str,
        what: &str,
        path: &Path,
    ) -> Result<SecretString, Failure> {
        let cannot = |why: &str| {
            let origin = self.origin(key).map(ToString::to_string);
            Failure::configuration(format!(
                "{}: the {what} file {} cannot be used: {why}",
                origin.unwrap_or_default(),
                path.display()
            ))
        };
        let text = places::read_bounded(path).map_err(|error| cannot(&error.to_string()))?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            return Err(cannot("it is empty"));
        }
        Ok(SecretString::from(password))
    }
}
