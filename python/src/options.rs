//! The options of an election or of locks, as keywords.

use std::sync::{Arc, Mutex, PoisonError};

use incumbent::election::{Builder, Overrun};
use incumbent::store::MemoryStore;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::failure::raise;
use crate::pending::duration;

/// Applies them. `incumbent._options` has declared them and turned durations into seconds.
///
/// # Errors
///
/// `TypeError` for one that does not exist, `ConfigError` for a value that it cannot have.
pub(crate) fn apply<T>(
    mut builder: Builder<T>,
    stores: Vec<String>,
    options: &Bound<'_, PyDict>,
) -> PyResult<Builder<T>> {
    for store in stores {
        builder = match store.strip_prefix("memory:") {
            Some(name) => builder.store_object(memory(name)),
            None => builder.store(store),
        };
    }
    for (key, value) in options {
        let key: String = key.extract()?;
        builder = apply_one(builder, &key, &value)?;
    }
    Ok(builder)
}

fn apply_one<T>(builder: Builder<T>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<Builder<T>> {
    let named = |error: PyErr| {
        let py = value.py();
        raise(py, "ConfigError", format!("{key}: {}", error.value(py)))
    };
    let text = || value.extract::<String>().map_err(named);
    let seconds = || value.extract().and_then(duration).map_err(named);
    Ok(match key {
        "key_prefix" => builder.key_prefix(text()?),
        "username" => builder.username(text()?),
        "password" => builder.password(text()?),
        "failover" => builder.failover(seconds()?),
        "interval" => builder.interval(seconds()?),
        "stall_polls" => builder.stall_polls(value.extract()?),
        "stop_grace" => builder.stop_grace(seconds()?),
        "op_timeout" => builder.op_timeout(seconds()?),
        "probation" => builder.probation(seconds()?),
        "label" => builder.label(text()?),
        "on_overrun" => builder.overrun(match &*text()? {
            "kill" => Overrun::Kill,
            _ => Overrun::Report,
        }),
        other => {
            let message = format!("{other:?} is no option of an election or a lock");
            return Err(PyTypeError::new_err(message));
        }
    })
}

/// The seconds of a duration that is written as for the command, such as "1m 30s".
///
/// # Errors
///
/// `ConfigError` for a text that is none.
#[pyfunction]
pub(crate) fn seconds(py: Python<'_>, text: &str) -> PyResult<f64> {
    match humantime::parse_duration(text) {
        Ok(duration) => Ok(duration.as_secs_f64()),
        Err(error) => {
            let message = format!(
                "{text:?} is not a duration ({error}): write one such as \"55s\" or \"1m 30s\""
            );
            Err(raise(py, "ConfigError", message))
        }
    }
}

/// The memory stores that this process has used, for as long as it lives.
static MEMORIES: Mutex<Vec<(String, Arc<MemoryStore>)>> = Mutex::new(Vec::new());

/// The store `memory:NAME`: one of this process, for tests.
fn memory(name: &str) -> Arc<MemoryStore> {
    let mut memories = MEMORIES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, store)) = memories.iter().find(|(known, _)| known == name) {
        return Arc::clone(store);
    }
    let store = Arc::new(MemoryStore::new(name));
    memories.push((name.to_owned(), Arc::clone(&store)));
    store
}
