//! The stores that the settings name, opened.

use std::sync::Arc;

use incumbent::election::{ConfigError, Observer};
use incumbent::store::{self, MemoryStore, Store};

use super::exit::Failure;
use super::settings::Settings;

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

/// Opens the stores to look at them only: an embedded store that is not there yet is not made.
///
/// # Errors
///
/// As [`open`], and when their number forms no electorate.
pub(crate) fn observe(settings: &Settings) -> Result<Observer, Failure> {
    let stores = match settings.embedded_store()?.filter(|path| !path.exists()) {
        None => open(settings)?,
        Some(path) => {
            vec![Arc::new(MemoryStore::new(&path.display().to_string())) as Arc<dyn Store>]
        }
    };
    Ok(Observer::new(stores).map_err(ConfigError::from)?)
}
