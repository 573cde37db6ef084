//! The readers of the configuration, for fuzz targets and property tests.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::str::from_utf8;

use super::keys;
use super::layer::{Layer, Origin};

/// The longest text that an error may make of a value, besides the value itself.
const WORDS: usize = 2000;

/// The configuration, as a file and as a variable of the environment.
pub fn configuration(bytes: &[u8]) -> bool {
    let mut valid = false;
    if let Ok(text) = from_utf8(bytes) {
        let lines = 1 + text.matches('\n').count();
        let read = Layer::from_toml(text, |line| {
            assert!(line <= lines, "line {line} of {lines}");
            Origin::Flag(line.to_string())
        });
        match read {
            Ok(_) => valid = true,
            Err(error) => assert!(error.to_string().len() < WORDS + 8 * text.len()),
        }
    }
    for key in keys::KEYS {
        let variable = (key.variable().into(), OsString::from_vec(bytes.to_vec()));
        match Layer::from_environment(std::iter::once(variable)) {
            Ok((layer, warnings)) => {
                assert!(warnings.is_empty(), "{warnings:?}");
                valid |= layer.origin(key.name).is_some();
            }
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains(&key.variable()), "{told}");
                assert!(told.len() < WORDS + 8 * bytes.len(), "{told}");
            }
        }
    }
    valid
}
