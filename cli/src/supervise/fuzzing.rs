//! The parsers of messages between elector and keeper, for fuzz targets and property tests. Not part of the
//! API.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::message::{Event, Order};
use super::release::ReleaseContext;
use super::wire::{Inbox, Malformed, Outbox};

/// Reads a stream as the keeper does, and writes what it read again: how many messages, and their bytes.
///
/// # Errors
///
/// Why the stream ends in something that is no message.
pub fn read_by_keeper(stream: &[u8]) -> Result<(usize, Vec<u8>), String> {
    again::<Order>(stream).map_err(|malformed| malformed.to_string())
}

/// Reads a stream as the elector does, and writes what it read again.
///
/// # Errors
///
/// Why the stream ends in something that is no message.
pub fn read_by_elector(stream: &[u8]) -> Result<(usize, Vec<u8>), String> {
    again::<Event>(stream).map_err(|malformed| malformed.to_string())
}

/// Reads what an elector leaves to its keeper, and writes it again.
///
/// # Errors
///
/// Why it cannot be read.
pub fn read_context(context: &[u8]) -> Result<Vec<u8>, String> {
    let context = ReleaseContext::from_bytes(context).map_err(|malformed| malformed.to_string())?;
    Ok(context.to_bytes())
}

fn again<M: Serialize + DeserializeOwned>(stream: &[u8]) -> Result<(usize, Vec<u8>), Malformed> {
    let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
    let mut messages = 0;
    // As from a pipe: in pieces unrelated to message boundaries.
    for piece in stream.chunks(7) {
        inbox.push(piece);
        while let Some(message) = inbox.next::<M>()? {
            messages += 1;
            outbox.push(&message);
        }
    }
    let mut written = Vec::new();
    outbox.flush(|bytes| {
        written.extend(bytes);
        Ok(bytes.len())
    });
    Ok((messages, written))
}
