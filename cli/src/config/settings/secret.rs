//! The secret settings: a password, given directly or in a file, and a token in a file.

use std::path::Path;

use incumbent::store::Password;
use secrecy::SecretString;

use super::Settings;
use crate::config::places;
use crate::exit::Failure;

impl Settings {
    /// The strongest of the password itself, the file with it and the command that prints it. A file is read
    /// once, to find out early what is wrong with it; what a pipe held is kept.
    pub(super) fn read_password(&self) -> Result<Option<Password>, Failure> {
        let [text, file, command] = ["password", "password_file", "password_cmd"];
        // An empty command is none.
        let has_command = self.values.password_cmd.as_deref() != Some("");
        let layer = |key| {
            let mut layers = self.layers.iter();
            let found = layers.rposition(|layer| layer.origin(key).is_some());
            found.filter(|_| key != command || has_command)
        };
        let strongest = layer(text).max(layer(file)).max(layer(command));
        let set: Vec<&str> = [text, file, command]
            .into_iter()
            .filter(|key| strongest.is_some() && layer(key) == strongest)
            .collect();
        if let [one, other, ..] = set.as_slice() {
            return Err(self.both_set(one, other));
        }
        let values = &self.values;
        match set.first() {
            Some(key) if *key == file => values.password_file.as_deref().map(|path| {
                let text = self.secret_from(file, "password", path)?;
                // A regular file is read for each connection; anything else may not be there to be read again.
                if !path.is_file() {
                    return Ok(Password::Text(text));
                }
                let path = std::path::absolute(path).map_err(Failure::internal)?;
                Ok(Password::File(path))
            }),
            Some(key) if *key == command => values
                .password_cmd
                .clone()
                .map(|command| Ok(Password::Command(command))),
            Some(_) | None => values.password.clone().map(|text| Ok(Password::Text(text))),
        }
        .transpose()
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
