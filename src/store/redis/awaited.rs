//! What connections are being waited for, or failed, so that an error after a timeout can say who did what.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::dial::ConnectError;

/// The most that one error lists.
const MOST: usize = 5;

/// What the connections of one deployment are waiting for, by where they lead. What was given up or failed stays,
/// until someone connects there again.
#[derive(Default)]
pub(super) struct Awaited(Mutex<BTreeMap<String, String>>);

impl Awaited {
    /// From here on, `who` is waited for, and this is how an error continues that.
    pub(super) fn wait(&self, who: &str, what: &str) {
        self.lock().insert(who.to_owned(), what.to_owned());
    }

    /// It has answered, or has failed.
    pub(super) fn end<T>(&self, who: &str, result: &Result<T, ConnectError>) {
        match result {
            Ok(_) => drop(self.lock().remove(who)),
            Err(error) => self.wait(who, &format!("failed: {error}")),
        }
    }

    /// What was waited for, as the end of an error.
    pub(super) fn list(&self) -> Option<String> {
        let awaited = self.lock();
        let first = awaited.iter().take(MOST);
        let listed: Vec<String> = first.map(|(who, what)| format!("{who} {what}")).collect();
        Some(listed.join("; ")).filter(|list| !list.is_empty())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
