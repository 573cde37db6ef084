//! Errors as the exceptions of `incumbent.errors`, worded by the library.

use incumbent::{CampaignError, ConfigError, FencingToken};
use pyo3::prelude::*;

/// An exception of the class `name` of `incumbent.errors`.
pub(crate) fn raise(py: Python<'_>, name: &str, message: String) -> PyErr {
    instance(py, name, (message,)).unwrap_or_else(|error| error)
}

fn instance<'py, A>(py: Python<'py>, name: &str, arguments: A) -> PyResult<PyErr>
where
    A: pyo3::call::PyCallArgs<'py>,
{
    let class = py.import("incumbent.errors")?.getattr(name)?;
    Ok(PyErr::from_value(class.call1(arguments)?))
}

pub(crate) fn config(py: Python<'_>, error: &ConfigError) -> PyErr {
    raise(py, "ConfigError", error.to_string())
}

pub(crate) fn campaign(py: Python<'_>, error: &CampaignError) -> PyErr {
    let class = match error {
        CampaignError::Held { .. } => "Held",
        CampaignError::TimedOut { .. } => "TimedOut",
        CampaignError::NotYet { .. } => "NotYet",
        CampaignError::Paused { .. } => "Paused",
        CampaignError::Unreachable { .. }
        | CampaignError::TermsUsedUp { .. }
        | CampaignError::Unmarked { .. } => "Unreachable",
        CampaignError::Denied { .. } => "Denied",
        CampaignError::Misconfigured { .. }
        | CampaignError::OtherStores { .. }
        | CampaignError::TooShort { .. } => "ConfigError",
        _ => "Error",
    };
    raise(py, class, error.to_string())
}

/// `LeadershipLost`, with the message of [`incumbent::Lost`].
pub(crate) fn lost(py: Python<'_>, term: FencingToken, reason: &str) -> PyErr {
    let message = format!("the leadership of term {term} is over: {reason}");
    instance(py, "LeadershipLost", (message, term.get(), reason)).unwrap_or_else(|error| error)
}
