//! What an error of the client library or of the server means for the request.

use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};

use super::dial::ConnectError;
use crate::store::StoreError;
use crate::store::address::Endpoint;

/// How far a request got before it failed.
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
        ConnectError::Misconfigured(message) | ConnectError::SeveralServers(message) => {
            StoreError::Misconfigured { store, message }
        }
        ConnectError::Answered(error) => store_error(&store, error, Stage::Connecting),
    }
}

/// Whether a server refuses access, so that waiting will not help.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    matches!(class(error), Class::Denied)
}

/// Whether a node of a cluster names another node instead of answering. It has executed nothing.
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
                Some("NOAUTH") => format!(
                    "no password was given, and it asks for one: {}",
                    words(&error)
                ),
                _ => words(&error),
            },
        },
        (Class::Unwritable, _) => StoreError::Unwritable {
            store,
            message: words(&error),
        },
        (Class::OtherTopology, _) => StoreError::Misconfigured {
            store,
            message: format!(
                "{}; this server is part of a cluster: use redis+cluster://",
                words(&error)
            ),
        },
        (Class::Trouble | Class::Other, Stage::Connecting) => StoreError::Unreachable {
            store,
            source: Arc::new(io::Error::other(words(&error))),
        },
        (Class::Trouble, Stage::Sent) => StoreError::Unknown {
            store,
            source: Arc::new(io::Error::other(words(&error))),
        },
        (Class::Other, Stage::Sent) => StoreError::Unexpected {
            store,
            message: words(&error),
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

/// The same error, of one of the nodes of a cluster.
pub(super) fn at_node(error: StoreError, node: &Endpoint) -> StoreError {
    let of = |said: &dyn std::fmt::Display| format!("its node {node}: {said}");
    match error {
        StoreError::Unreachable { store, source } => {
            let source = Arc::new(io::Error::other(of(&source)));
            StoreError::Unreachable { store, source }
        }
        StoreError::Unknown { store, source } => {
            let source = Arc::new(io::Error::other(of(&source)));
            StoreError::Unknown { store, source }
        }
        StoreError::Unwritable { store, message } => {
            let message = of(&message);
            StoreError::Unwritable { store, message }
        }
        error => error,
    }
}

/// Whether a server does not know the requested command, or has it under another name.
pub(super) fn is_unknown_command(error: &RedisError) -> bool {
    // No server has a code for it, and all word it this way.
    code_of(error) == Some("ERR") && words(error).starts_with("ERR unknown command")
}

/// Whether the next request should use a new connection: this one is broken, or leads to a server that is no
/// longer the right one.
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

/// The code that the scripts give to a refusal that has none; the name of the command follows it.
const REFUSED: &str = "REFUSED";

enum Class {
    /// The credentials or the permissions are wrong, or the server lacks what is asked of it.
    Denied,
    /// The server is there and cannot take the request now.
    Unwritable,
    /// The server is part of a cluster, and was addressed as a single server.
    OtherTopology,
    /// The connection is broken, or speaks something else.
    Trouble,
    /// Anything else that the server said.
    Other,
}

fn class(error: &RedisError) -> Class {
    match code_of(error) {
        Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" | REFUSED) => return Class::Denied,
        Some(
            "READONLY" | "OOM" | "MISCONF" | "LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "BUSY"
            | "NOREPLICAS" | "TRYAGAIN",
        ) => return Class::Unwritable,
        // The last one: no slot has both an election and the memory of a single server.
        Some("MOVED" | "ASK" | "CROSSSLOT") => return Class::OtherTopology,
        // A command that is disabled or renamed.
        Some("ERR") if is_unknown_command(error) => return Class::Denied,
        Some(_) | None => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => Class::Denied,
        ErrorKind::Io | ErrorKind::Parse => Class::Trouble,
        _ => Class::Other,
    }
}

/// The code of a server's error.
fn code_of(error: &RedisError) -> Option<&str> {
    let code = error.code()?;
    let raised = error.detail().filter(|_| code == "ERR").and_then(raised);
    Some(
        raised
            .and_then(|said| said.split(' ').next())
            .unwrap_or(code),
    )
}

/// What a script raised, if it begins with its own code. The server puts `ERR` before it, and version 6
/// puts the place in the script there too.
fn raised(detail: &str) -> Option<&str> {
    let said = match detail.strip_prefix("Error running script (call to ") {
        Some(place) => place.splitn(3, ": ").nth(2)?,
        None => detail,
    };
    let code = said.split(' ').next()?;
    let is_code = code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then_some(said)
}

/// The text of a server's error, or what went wrong on the way to it.
pub(super) fn words(error: &RedisError) -> String {
    let (Some(code), Some(detail)) = (error.code(), error.detail()) else {
        return error
            .code()
            .map_or_else(|| error.to_string(), str::to_owned);
    };
    // From version 7 on, the place in the script comes last.
    let detail = match detail.rsplit_once(" script: ") {
        Some((said, place)) if place.contains("on @user_script:") => said,
        _ => detail,
    };
    match raised(detail).filter(|_| code == "ERR") {
        Some(said) => said
            .strip_prefix(REFUSED)
            .unwrap_or(said)
            .trim_start()
            .to_owned(),
        None if code == REFUSED => detail.to_owned(),
        None => format!("{code} {detail}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answer: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes());
        value
            .and_then(redis::Value::extract_error)
            .expect_err("the answer is an error")
    }

    /// What each code means for a request that was sent, as servers answer it, and as a script raises it in
    /// version 7 and in version 6.
    #[test]
    fn an_error_is_classified_by_its_code_wherever_it_was_raised() {
        let store: Arc<str> = "one".into();
        let denied = ["NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "REFUSED"];
        let unwritable = [
            "READONLY",
            "OOM",
            "MISCONF",
            "LOADING",
            "CLUSTERDOWN",
            "MASTERDOWN",
            "BUSY",
            "NOREPLICAS",
            "TRYAGAIN",
        ];
        let topology = ["MOVED", "ASK"];
        for code in denied.into_iter().chain(unwritable).chain(topology) {
            for answer in [
                format!("{code} hset: no"),
                format!("ERR {code} hset: no script: 0123, on @user_script:1."),
                format!("ERR {code} hset: no script: on @user_script:1."),
                format!(
                    "ERR Error running script (call to f_0123): @user_script:54: {code} hset: no"
                ),
            ] {
                let error = store_error(&store, said(&answer), Stage::Sent);
                let expected = if unwritable.contains(&code) {
                    matches!(error, StoreError::Unwritable { .. })
                } else if topology.contains(&code) {
                    error.is_misconfigured()
                } else {
                    error.is_denied()
                };
                assert!(expected, "{answer}: {error:?}");
                let words = if code == "REFUSED" {
                    "hset: no"
                } else {
                    &answer[answer.find(code).unwrap()..][..code.len() + 9]
                };
                assert!(
                    error.to_string().contains(&format!(": {words}")),
                    "{answer}: {error}"
                );
            }
        }
        for (answer, is_denied) in [
            (
                "ERR unknown command `EVALSHA`, with args beginning with: `0`, ",
                true,
            ),
            (
                "ERR unknown command 'EVALSHA', with args beginning with: '0' ",
                true,
            ),
            (
                "ERR Script killed by user with SCRIPT KILL... script: 0123, on @user_script:1.",
                false,
            ),
            (
                "ERR Error running script (call to f_0123): @user_script:1: user_script:1: attempt to index local",
                false,
            ),
        ] {
            let error = store_error(&store, said(answer), Stage::Sent);
            assert_eq!(error.is_denied(), is_denied, "{error:?}");
            assert!(
                is_denied || matches!(error, StoreError::Unexpected { .. }),
                "{error:?}"
            );
        }
    }
}
