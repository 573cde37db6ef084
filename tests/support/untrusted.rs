//! What must hold of everything that reads bytes from outside, whatever the bytes are. The property
//! tests and the fuzz targets call the same functions.
//!
//! Each of them returns whether the bytes were taken for something valid.

use std::str::from_utf8;

use incumbent::protocol::{CandidateId, ElectionName, Memory};
use incumbent::store::Identity;
use incumbent::store::StoreAddress;
use incumbent::store::fuzzing;

/// One reader of untrusted bytes.
pub type Reads = fn(&[u8]) -> bool;

/// All of them, by the name of the fuzz target and of the folder with its seeds.
pub const ALL: &[(&str, Reads)] = &[
    ("names", names),
    ("addresses", addresses),
    ("redis", redis),
    ("rows", rows),
    (
        "configuration",
        incumbent_cli::config::fuzzing::configuration,
    ),
    ("keeper", keeper),
    ("guard", guard),
];

/// The longest text that an error may add to a value.
const WORDS: usize = 2000;

/// Names of elections, ids of candidates, identities, addresses to listen at.
pub fn names(bytes: &[u8]) -> bool {
    let Ok(text) = from_utf8(bytes) else {
        return false;
    };
    let name = text.parse::<ElectionName>();
    match &name {
        Ok(name) => {
            assert_eq!(name.as_str(), text);
            assert!(
                text.len() <= ElectionName::MAX_BYTES && !text.contains(['{', '}', '\n', '\0'])
            );
        }
        Err(error) => assert!(error.to_string().len() < WORDS),
    }
    let id = text.parse::<CandidateId>();
    match &id {
        Ok(id) => {
            assert_eq!(id.as_str(), text);
            assert!(
                text.len() <= CandidateId::MAX_BYTES
                    && text.is_ascii()
                    && !text.contains(['|', ' '])
            );
        }
        Err(error) => assert!(error.to_string().len() < WORDS),
    }
    let identity = text.parse::<Identity>();
    match &identity {
        Ok(identity) => {
            let again: Identity = identity.to_string().parse().expect("it was written by us");
            assert_eq!(again, *identity);
        }
        Err(error) => assert!(error.to_string().len() < WORDS),
    }
    if let Ok(listen) = text.parse::<incumbent_cli::http::ListenAddress>() {
        assert_eq!(listen.to_string().parse(), Ok(listen));
    }
    name.is_ok() || id.is_ok() || identity.is_ok()
}

/// Addresses of stores: what they display parses again, and is the same.
pub fn addresses(bytes: &[u8]) -> bool {
    let Ok(text) = from_utf8(bytes) else {
        return false;
    };
    match text.parse::<StoreAddress>() {
        Ok(address) => {
            let label = address.to_string();
            let again = label.parse::<StoreAddress>();
            let again = again.unwrap_or_else(|error| panic!("{label:?} of {text:?}: {error}"));
            assert_eq!(again.to_string(), label, "{text:?}");
            true
        }
        Err(error) => {
            let length = error.to_string().len();
            assert!(
                length < WORDS + 8 * text.len(),
                "{length} bytes about {text:?}"
            );
            false
        }
    }
}

/// Replies of a Redis, messages on its channels, and its keys.
pub fn redis(bytes: &[u8]) -> bool {
    let mut valid = fuzzing::redis::is_release(bytes);
    if let Some(election) = fuzzing::redis::election_of_key(bytes, "incumbent:") {
        let keys = fuzzing::redis::keys_of_election(&election, "incumbent:");
        assert!(keys.iter().any(|key| key.as_bytes() == bytes), "{keys:?}");
        valid = true;
    }
    let Some(answer) = fuzzing::redis::answer(bytes) else {
        return valid;
    };
    if let Ok(reply) = &answer.reply {
        assert!(reply.record.term <= reply.record.floor);
        assert!(reply.memory.age <= Memory::MATURE);
    }
    if let Ok(inspection) = &answer.inspection {
        let holder = inspection.holder.as_ref().map(Identity::id);
        assert_eq!(holder, inspection.record.holder());
    }
    let errors = [
        answer.reply.as_ref().err(),
        answer.inspection.as_ref().err(),
        answer.history.as_ref().err(),
    ];
    for error in errors.iter().flatten() {
        assert!(error.to_string().len() < WORDS, "{error}");
    }
    valid
        || answer.reply.is_ok()
        || answer.inspection.is_ok()
        || answer.history.is_ok_and(|n| n > 0)
        || answer.heartbeats > 0
}

/// Rows of a database. The bytes spell ten values: a letter for the type, a length, and that many bytes.
pub fn rows(mut bytes: &[u8]) -> bool {
    use rusqlite::types::Value;

    thread_local! {
        static ROWS: fuzzing::sqlite::Rows = fuzzing::sqlite::Rows::new().expect("SQLite opens");
    }
    let values: [Value; 10] = std::array::from_fn(|_| {
        let Some(([kind, length], rest)) = bytes.split_first_chunk() else {
            return Value::Null;
        };
        let (field, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = rest;
        let text = String::from_utf8_lossy(field).into_owned();
        match kind {
            b'i' => text.parse().map_or(Value::Null, Value::Integer),
            b'r' => text.parse().map_or(Value::Null, Value::Real),
            b't' => Value::Text(text),
            b'b' => Value::Blob(field.to_vec()),
            _ => Value::Null,
        }
    });
    match ROWS.with(|rows| rows.read(&values)) {
        Ok(record) => {
            assert!(record.term <= record.floor);
            true
        }
        Err(error) => {
            assert!(error.len() < WORDS, "{error}");
            false
        }
    }
}

/// The messages between elector and keeper, and what the one leaves to the other.
pub fn keeper(bytes: &[u8]) -> bool {
    use incumbent_cli::supervise::fuzzing::{read_by_elector, read_by_keeper, read_context};

    let mut valid = false;
    for read in [read_by_keeper, read_by_elector] {
        match read(bytes) {
            Ok((messages, written)) => {
                assert_eq!(read(&written), Ok((messages, written.clone())));
                valid |= messages > 0;
            }
            Err(error) => assert!(error.len() < WORDS, "{error}"),
        }
    }
    if let Ok(written) = read_context(bytes) {
        assert_eq!(read_context(&written), Ok(written));
        valid = true;
    }
    valid
}

/// The guard file of a fenced log.
pub fn guard(bytes: &[u8]) -> bool {
    use incumbent::fence::{FenceError, FencedLog};

    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a scratch directory");
    }
    FOLDER.with(|folder| {
        let log = folder.path().join("log");
        std::fs::write(folder.path().join("log.fence"), bytes).expect("the guard is written");
        match FencedLog::new(&log).reader() {
            Ok(_) => true,
            Err(error @ (FenceError::Garbled { .. } | FenceError::Cut { .. })) => {
                assert!(error.to_string().len() < WORDS, "{error}");
                matches!(error, FenceError::Cut { .. })
            }
            Err(other) => panic!("{other}"),
        }
    })
}
