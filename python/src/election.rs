//! An election as Python configures it.

use incumbent::election::Overrun;
use incumbent::observe::document::{Document, History, Status};
use pyo3::prelude::*;
use serde::Serialize;

use crate::event::Events;
use crate::pending::{Answer, Outcome, Pending, duration};
use crate::{failure, fork, stores};

/// An election, ready to campaign in.
#[pyclass(frozen, module = "incumbent._native")]
#[derive(Debug)]
pub(crate) struct Election {
    inner: incumbent::Election,
}

#[pymethods]
impl Election {
    #[new]
    #[pyo3(signature = (
        name, stores, *, key_prefix=None, username=None, password=None, failover=None, interval=None,
        stall_polls=None, stop_grace=None, op_timeout=None, probation=None, label=None, kill=false
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "these are keywords, one for each option"
    )]
    fn new(
        py: Python<'_>,
        name: &str,
        stores: Vec<String>,
        key_prefix: Option<String>,
        username: Option<String>,
        password: Option<String>,
        failover: Option<f64>,
        interval: Option<f64>,
        stall_polls: Option<u32>,
        stop_grace: Option<f64>,
        op_timeout: Option<f64>,
        probation: Option<f64>,
        label: Option<String>,
        kill: bool,
    ) -> PyResult<Self> {
        let mut builder = incumbent::Election::builder(name).overrun(match kill {
            true => Overrun::Kill,
            false => Overrun::Report,
        });
        for store in &stores {
            builder = stores::add(builder, store);
        }
        if let Some(prefix) = key_prefix {
            builder = builder.key_prefix(prefix);
        }
        if let Some(username) = username {
            builder = builder.username(username);
        }
        if let Some(password) = password {
            builder = builder.password(password);
        }
        if let Some(seconds) = failover {
            builder = builder.failover(duration(seconds)?);
        }
        if let Some(seconds) = interval {
            builder = builder.interval(duration(seconds)?);
        }
        if let Some(polls) = stall_polls {
            builder = builder.stall_polls(polls);
        }
        if let Some(seconds) = stop_grace {
            builder = builder.stop_grace(duration(seconds)?);
        }
        if let Some(seconds) = op_timeout {
            builder = builder.op_timeout(duration(seconds)?);
        }
        if let Some(seconds) = probation {
            builder = builder.probation(duration(seconds)?);
        }
        if let Some(label) = label {
            builder = builder.label(label);
        }
        match py.detach(|| builder.build()) {
            Ok(inner) => Ok(Self { inner }),
            Err(error) => Err(failure::config(py, &error)),
        }
    }

    /// Campaigns until elected, or for at most `timeout` seconds.
    #[pyo3(signature = (timeout=None))]
    fn campaign(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Pending> {
        let election = self.inner.clone();
        let timeout = timeout.map(duration).transpose()?;
        Pending::new(py, async move {
            match timeout {
                Some(timeout) => election.campaign_timeout(timeout).await,
                None => election.campaign().await,
            }
            .map(Answer::Elected)
        })
    }

    /// Campaigns only if no one leads.
    fn try_campaign(&self, py: Python<'_>) -> PyResult<Pending> {
        let election = self.inner.clone();
        Pending::new(py, async move {
            election.try_campaign().await.map(Answer::Elected)
        })
    }

    /// The document `incumbent.status.v1`.
    fn status(&self, py: Python<'_>) -> PyResult<Pending> {
        let election = self.inner.clone();
        Pending::new(py, async move {
            let view = election.status().await;
            document(&Document::<Status>::from(&view))
        })
    }

    /// The document `incumbent.history.v1`.
    fn history(&self, py: Python<'_>, terms: usize) -> PyResult<Pending> {
        let election = self.inner.clone();
        Pending::new(py, async move {
            let view = election.history(terms).await;
            document(&Document::<History>::from(&view))
        })
    }

    /// The events of all campaigns from now on.
    fn events(&self) -> Events {
        Events::new(self.inner.events())
    }

    /// Whether a campaign of this process leads.
    fn is_leader(&self) -> bool {
        !fork::is_forked() && self.inner.is_leader()
    }

    /// How many seconds a counter must stall before anyone may take over.
    #[getter]
    fn window(&self) -> f64 {
        self.inner.timing().window().as_secs_f64()
    }

    /// How many seconds pass between two heartbeats.
    #[getter]
    fn interval(&self) -> f64 {
        self.inner.timing().interval().as_secs_f64()
    }
}

fn document(document: &impl Serialize) -> Outcome {
    let json = serde_json::to_string(document).expect("a document is text, numbers and lists");
    Ok(Answer::Document(json))
}
