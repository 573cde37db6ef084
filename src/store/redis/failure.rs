//! What an error of the client library or of the server means for the request.

use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};

use super::dial::ConnectError;
use crate::store::StoreError;

/// How far a request had come when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// There was no connection yet, so nothing was executed.
    Connecting,
    /// It was handed to a connection, so it may have been executed.
    Sent,
}

/// The error of a request for which there was no connection.
pub(super) fn not_connected(store: &Arc<str>, error: ConnectError) -> StoreError {
    let store = Arc::clone(store);
    match error {
        ConnectError::Unreachable(source) => StoreError::Unreachable { store, source },
        ConnectError::Denied(message) => StoreError::Denied { store, message },
        ConnectError::Misconfigured(message) => StoreError::Misconfigured { store, message },
        ConnectError::Answered(error) => store_error(&store, error, Stage::Connecting),
    }
}

/// Whether a server refuses access, so that waiting will not help.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    matches!(class(error), Class::Denied)
}

/// Whether a node of a cluster names another one in place of an answer. It has executed nothing.
pub(super) fn is_redirection(error: &RedisError) -> bool {
    matches!(class(error), Class::OtherTopology)
}

/// The error of a request that failed with an answer, or with a broken connection.
pub(super) fn store_error(store: &Arc<str>, error: RedisError, stage: Stage) -> StoreError {
    let store = Arc::clone(store);
    match (class(&error), stage) {
        (Class::Denied, _) => StoreError::Denied {
            store,
            message: match code_of(&error) {
                Some("NOAUTH") => format!("no password was given, and it asks for one: {error}"),
                _ => error.to_string(),
            },
        },
        (Class::Unwritable, _) => StoreError::Unwritable {
            store,
            message: error.to_string(),
        },
        (Class::OtherTopology, _) => StoreError::Denied {
            store,
            message: format!("{error}; this server is part of a cluster: use redis+cluster://"),
        },
        (Class::Trouble | Class::Other, Stage::Connecting) => StoreError::Unreachable {
            store,
            source: Arc::new(error),
        },
        (Class::Trouble, Stage::Sent) => StoreError::Unknown {
            store,
            source: Arc::new(error),
        },
        (Class::Other, Stage::Sent) => StoreError::Unexpected {
            store,
            message: error.to_string(),
        },
    }
}

/// The error of a request that was not answered in time.
pub(super) fn timed_out(store: &Arc<str>, stage: Stage) -> StoreError {
    let store = Arc::clone(store);
    let source = |what: &str| Arc::new(io::Error::new(io::ErrorKind::TimedOut, what.to_owned()));
    match stage {
        Stage::Connecting => StoreError::Unreachable {
            store,
            source: source("no connection within the time of one request"),
        },
        Stage::Sent => StoreError::Unknown {
            store,
            source: source("no answer within the time of one request"),
        },
    }
}

/// Whether the next request should go over a new connection: this one is broken, or leads to a server
/// that is not the one to talk to any more.
pub(super) fn spoils_connection(error: &RedisError) -> bool {
    match class(error) {
        Class::Trouble => true,
        Class::Unwritable => {
            let code = code_of(error);
            !matches!(code, Some("OOM" | "MISCONF" | "BUSY" | "NOREPLICAS"))
        }
        Class::Denied | Class::OtherTopology | Class::Other => false,
    }
}

enum Class {
    /// The credentials or the permissions are wrong.
    Denied,
    /// The server is there and cannot take the request now.
    Unwritable,
    /// The server is one of a cluster, and was addressed as if it stood alone.
    OtherTopology,
    /// The connection is broken, or speaks something else.
    Trouble,
    /// Anything else that the server said.
    Other,
}

fn class(error: &RedisError) -> Class {
    match code_of(error) {
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => return Class::Denied,
        Some(
            "READONLY" | "OOM" | "MISCONF" | "LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "BUSY"
            | "NOREPLICAS" | "TRYAGAIN",
        ) => return Class::Unwritable,
        Some("MOVED" | "ASK") => return Class::OtherTopology,
        Some(_) | None => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => Class::Denied,
        ErrorKind::Io | ErrorKind::Parse => Class::Trouble,
        // How a script is told of a missing permission: version 7.0 has no code for it.
        ErrorKind::Server(_)
            if error
                .to_string()
                .contains("user executing the script can't") =>
        {
            Class::Denied
        }
        _ => Class::Other,
    }
}

/// The code of a server's error. Before version 7, what failed in a script arrives as `ERR`, with the
/// code inside its text.
fn code_of(error: &RedisError) -> Option<&str> {
    const CODES: [&str; 8] = [
        "READONLY",
        "OOM",
        "MISCONF",
        "NOREPLICAS",
        "NOPERM",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "LOADING",
    ];
    let code = error.code();
    if code != Some("ERR") {
        return code;
    }
    let detail = error.detail().filter(|detail| detail.contains("script"))?;
    CODES
        .into_iter()
        .find(|code| detail.contains(&format!("-{code} ")))
        .or(Some("ERR"))
}
