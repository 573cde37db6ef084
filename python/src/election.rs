//! An election as Python configures it.

use incumbent::election::Overrun;
use incumbent::observe::ElectionView;
use incumbent::observe::document::{Document, History, Status};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::event::Events;
use crate::held::Kept;
use crate::pending::{Answer, Outcome, Pending, duration};
use crate::{failure, fork, options};

/// An election, ready to campaign in.
#[pyclass(frozen, module = "incumbent._native")]
#[derive(Debug)]
pub(crate) struct Election {
    inner: incumbent::Election,
}

#[pymethods]
impl Election {
    #[new]
    fn new(
        py: Python<'_>,
        name: &str,
        stores: Vec<String>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let builder = incumbent::Election::builder(name).overrun(Overrun::Report);
        let builder = options::apply(builder, stores, options)?;
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
            .map(elected)
        })
    }

    /// Campaigns only if no one leads.
    fn try_campaign(&self, py: Python<'_>) -> PyResult<Pending> {
        let election = self.inner.clone();
        Pending::new(
            py,
            async move { election.try_campaign().await.map(elected) },
        )
    }

    /// Wins the election at most once within `at_least` seconds, over all processes that call this.
    fn campaign_once(&self, py: Python<'_>, at_least: f64) -> PyResult<Pending> {
        let election = self.inner.clone();
        let at_least = duration(at_least)?;
        Pending::new(py, async move {
            election.campaign_once(at_least).await.map(elected)
        })
    }

    /// The document `incumbent.status.v1`.
    fn status(&self, py: Python<'_>) -> PyResult<Pending> {
        let election = self.inner.clone();
        Pending::new(py, async move { document(&election.status().await) })
    }

    /// The document `incumbent.history.v1`.
    fn history(&self, py: Python<'_>, terms: usize) -> PyResult<Pending> {
        let election = self.inner.clone();
        Pending::new(py, async move {
            let view = election.history(terms).await;
            Ok(Answer::document(&Document::<History>::from(&view)))
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

fn elected(leadership: incumbent::Leadership) -> Answer {
    Answer::Held(Kept::Leadership(leadership))
}

/// The document `incumbent.status.v1`.
pub(crate) fn document(view: &ElectionView) -> Outcome {
    Ok(Answer::document(&Document::<Status>::from(view)))
}
