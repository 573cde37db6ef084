//! The parsers of messages between elector and keeper, for fuzz targets and property tests. Not part of the
//! API.

use super::message::{Frames, FromKeeper, Malformed, Message, ToKeeper};
use super::release::Estate;

/// Reads a stream as the keeper does, and writes what it read again: how many messages, and their bytes.
///
/// # Errors
///
/// Why the stream ends in something that is no message.
pub fn read_by_keeper(stream: &[u8]) -> Result<(usize, Vec<u8>), String> {
    again::<ToKeeper>(stream).map_err(|malformed| malformed.to_string())
}

/// Reads a stream as the elector does, and writes what it read again.
///
/// # Errors
///
/// Why the stream ends in something that is no message.
pub fn read_by_elector(stream: &[u8]) -> Result<(usize, Vec<u8>), String> {
    again::<FromKeeper>(stream).map_err(|malformed| malformed.to_string())
}

/// Reads what an elector leaves to its keeper, and writes it again.
///
/// # Errors
///
/// Why it cannot be read.
pub fn read_estate(context: &[u8]) -> Result<Vec<u8>, String> {
    let estate = Estate::from_context(context).map_err(|malformed| malformed.to_string())?;
    Ok(estate.to_context())
}

fn again<M: Message>(stream: &[u8]) -> Result<(usize, Vec<u8>), Malformed> {
    let mut frames = Frames::default();
    let (mut messages, mut written) = (0, Vec::new());
    // As from a pipe: in pieces unrelated to message boundaries.
    for piece in stream.chunks(7) {
        frames.push(piece);
        while let Some(message) = frames.next::<M>()? {
            messages += 1;
            message.write(&mut written);
        }
    }
    Ok((messages, written))
}
