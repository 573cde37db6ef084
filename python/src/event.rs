//! The events of an election, as JSON.

use std::sync::Arc;

use incumbent::observe::pause_in_words;
use incumbent::{ElectionEvent, EventKind};
use pyo3::prelude::*;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::pending::{Answer, Pending};

/// A subscription.
#[pyclass(frozen, module = "incumbent._native")]
#[derive(Debug)]
pub(crate) struct Events {
    receiver: Arc<Mutex<Receiver<ElectionEvent>>>,
}

impl Events {
    pub(crate) fn new(receiver: Receiver<ElectionEvent>) -> Self {
        Self {
            receiver: Arc::new(Mutex::new(receiver)),
        }
    }
}

#[pymethods]
impl Events {
    /// Waits for the next event. It ends with `None` when there will be no other.
    fn next(&self, py: Python<'_>) -> PyResult<Pending> {
        let receiver = Arc::clone(&self.receiver);
        Pending::new(py, async move {
            let received = receiver.lock().await.recv().await;
            Ok(match received {
                Ok(event) => Answer::document(&document(&event)),
                Err(RecvError::Lagged(count)) => {
                    Answer::document(&json!({"event": "missed", "count": count}))
                }
                Err(RecvError::Closed) => Answer::Done,
            })
        })
    }
}

fn document(event: &ElectionEvent) -> Value {
    let (word, mut fields) = kind(&event.kind);
    fields.insert("event".to_owned(), word.into());
    fields.insert("election".to_owned(), event.election.as_str().into());
    fields.insert("candidate".to_owned(), event.candidate.as_str().into());
    Value::Object(fields)
}

/// The event in one word, and what belongs to it. Times are in seconds.
fn kind(kind: &EventKind) -> (&'static str, Map<String, Value>) {
    let (word, fields) = match kind {
        EventKind::Campaigning => ("campaigning", json!({})),
        EventKind::Following { leader, term } => (
            "following",
            json!({"term": term, "leader": leader.as_ref().map(|leader| leader.as_str())}),
        ),
        EventKind::Leaderless { term } => ("leaderless", json!({"term": term})),
        EventKind::Claiming { term, stores } => {
            ("claiming", json!({"term": term, "stores": stores}))
        }
        EventKind::TermsUsedUp { store } => ("terms-used-up", json!({"store": &**store})),
        EventKind::ClaimFailed { term, granted } => {
            ("claim-failed", json!({"term": term, "granted": granted}))
        }
        EventKind::Probation { term, wait } => (
            "probation",
            json!({"term": term, "wait": wait.as_secs_f64()}),
        ),
        EventKind::Elected { term, leaderless } => (
            "elected",
            json!({"term": term, "leaderless": leaderless.map(|gap| gap.as_secs_f64())}),
        ),
        EventKind::StoreJoined { store } => ("store-joined", json!({"store": &**store})),
        EventKind::StoreParted { store } => ("store-parted", json!({"store": &**store})),
        EventKind::Stopping {
            term,
            reason,
            within,
        } => (
            "stopping",
            json!({"term": term, "reason": reason.to_string(), "within": within.as_secs_f64()}),
        ),
        EventKind::Overrun { term } => ("overrun", json!({"term": term})),
        EventKind::Released { term, stores } => {
            ("released", json!({"term": term, "stores": stores}))
        }
        EventKind::Paused { pause } => ("paused", json!({"pause": pause_in_words(pause)})),
        EventKind::Resumed => ("resumed", json!({})),
        EventKind::StoreDown { store, error } => (
            "store-down",
            json!({"store": &**store, "error": error.to_string()}),
        ),
        EventKind::StoreUp { store, after } => (
            "store-up",
            json!({"store": &**store, "after": after.as_secs_f64()}),
        ),
        other => ("other", json!({"what": format!("{other:?}")})),
    };
    match fields {
        Value::Object(fields) => (word, fields),
        other => unreachable!("{other} is no object"),
    }
}
