//! The stores that the settings name, opened.

use std::sync::Arc;

use incumbent::election::{ConfigError, Observer};
use incumbent::store::{self, Store};

use super::exit::Failure;
use super::settings::Settings;
use super::warn_of;

/// Opens the stores. Nothing is connected yet.
///
/// # Errors
///
/// Addresses that cannot be used.
pub(crate) fn open(settings: &Settings) -> Result<Vec<Arc<dyn Store>>, Failure> {
    let addresses = settings.addresses()?;
    let options = settings.store_options();
    let opened = addresses
        .iter()
        .map(|address| store::open(address, &options));
    let all: Result<Vec<_>, _> = opened.collect();
    Ok(all.map_err(ConfigError::from)?)
}

/// Opens the stores to look at them only, and tells of a file that is not there: what is read of it is
/// what is read of an election that never was.
///
/// # Errors
///
/// As [`open`], and when their number forms no electorate.
pub(crate) fn observe(settings: &Settings) -> Result<Observer, Failure> {
    let chosen = match settings.embedded_store()? {
        Some(_) => "no store is given, and the embedded one",
        None => "the store",
    };
    for address in settings.addresses()? {
        if address.file().is_some_and(|path| !path.exists()) {
            warn_of(&format!(
                "{chosen} {address} does not exist: no candidate has used it yet, or the elections are in \
                 another (--store)"
            ));
        }
    }
    Ok(Observer::new(open(settings)?).map_err(ConfigError::from)?)
}
