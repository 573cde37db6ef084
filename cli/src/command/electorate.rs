//! The stores that the settings name, opened, and the election on them.

use std::sync::Arc;

use incumbent::Election;
use incumbent::election::{ConfigError, Observer, Overrun};
use incumbent::protocol::ElectionName;
use incumbent::store::{self, InvalidAddress, Store};

use super::{limits, warn_of};
use crate::config::settings::Settings;
use crate::exit::Failure;

/// Opens the stores. Nothing is connected yet.
///
/// # Errors
///
/// Addresses that cannot be used.
pub(crate) fn open(settings: &Settings) -> Result<Vec<Arc<dyn Store>>, Failure> {
    let addresses = settings.addresses()?;
    if addresses.iter().any(|address| address.file().is_some()) {
        limits::check_file_size()?;
    }
    let options = settings.store_options();
    let mut opened: Vec<Arc<dyn Store>> = Vec::with_capacity(addresses.len());
    for address in &addresses {
        let store = store::open(address, &options);
        opened.push(store.map_err(|error| refused(settings, error.into()))?);
    }
    Ok(opened)
}

/// The election that the settings describe. Nothing is connected yet.
///
/// # Errors
///
/// An invalid setting, with where it was set.
pub(crate) fn election(
    name: &ElectionName,
    settings: &Settings,
    ephemeral: bool,
) -> Result<Election, Failure> {
    settings.timing()?;
    let timing = settings.timing_config().map_err(Failure::internal)?;
    let mut builder = Election::builder(name.as_str())
        .timing(timing)
        .ephemeral(ephemeral)
        // The program is another process, and ends by other means than the end of this one.
        .overrun(Overrun::Report);
    if let Some(label) = &settings.values.id {
        builder = builder.label(label);
    }
    for store in open(settings)? {
        builder = builder.store_object(store);
    }
    builder.build().map_err(|error| refused(settings, error))
}

/// The election as [`election`], after all other checks of settings that `run` makes before it campaigns.
///
/// # Errors
///
/// What `run` would refuse.
pub(crate) fn checked(name: &ElectionName, settings: &Settings) -> Result<Election, Failure> {
    settings.health()?;
    settings.http()?;
    let election = election(name, settings, false)?;
    settings.seats(&election)?;
    Ok(election)
}

/// What is wrong with an election, with where it was set: valid addresses may not work together as stores,
/// and a key name may leave no room for its suffixes.
pub(crate) fn refused(settings: &Settings, error: ConfigError) -> Failure {
    let (key, named) = match &error {
        ConfigError::Electorate(_) => {
            let addresses = settings.addresses().unwrap_or_default();
            let labels: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            ("store", format!("; they are {}", labels.join(", ")))
        }
        ConfigError::SameStore { .. } | ConfigError::MixedHosts { .. } => ("store", String::new()),
        ConfigError::Address(
            InvalidAddress::KeyPrefix { .. } | InvalidAddress::KeyPrefixTooLong { .. },
        ) => ("key_prefix", String::new()),
        ConfigError::Label { .. } => ("id", String::new()),
        _ => return error.into(),
    };
    match settings.origin(key) {
        Some(origin) => Failure::configuration(format_args!("{origin}: {error}{named}")),
        None => error.into(),
    }
}

/// Opens the stores read-only, and warns of a missing file, which otherwise reads as an election that was
/// never held.
///
/// # Errors
///
/// As [`open`], and when they form no electorate.
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
    check(settings)
}

/// Opens the stores to find out whether they can be used together.
///
/// # Errors
///
/// As [`observe`].
pub(crate) fn check(settings: &Settings) -> Result<Observer, Failure> {
    Observer::new(open(settings)?).map_err(|error| refused(settings, error))
}
