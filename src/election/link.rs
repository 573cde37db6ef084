//! Whether a store can be used, judging by the answers to the requests of one candidacy.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::{Reply, Timestamp, Verdict};
use crate::store::StoreError;

/// What is known about one store.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    /// Whether it has ever answered.
    answered: bool,
    /// Whether it has ever changed a record for us.
    obeyed: bool,
    down_since: Option<Timestamp>,
    error: Option<Arc<StoreError>>,
    /// Why it refused the last change. A successful read does not clear it.
    unwritable: Option<Arc<StoreError>>,
    /// Whether it may list us among the candidates.
    pub(super) lists_us: bool,
}

/// A change of what is known.
#[derive(Debug)]
pub(super) enum News {
    /// It can no longer be used.
    Down(Arc<StoreError>),
    /// It can be used again, after this long.
    Up(Duration),
}

impl Link {
    /// Records the outcome of a request, which `changes` the record or only reads it.
    pub(super) fn heard(
        &mut self,
        now: Timestamp,
        changes: bool,
        result: &Result<Reply, StoreError>,
    ) -> Option<News> {
        match result {
            Ok(reply) => {
                self.answered = true;
                if changes && reply.verdict == Verdict::Granted {
                    self.obeyed = true;
                    self.unwritable = None;
                }
            }
            Err(error) => {
                let error = Arc::new(error.clone());
                if changes && is_refusal(&error) {
                    self.unwritable = Some(Arc::clone(&error));
                }
                return self.failed(now, error);
            }
        }
        if let Some(error) = self.unwritable.clone() {
            return self.failed(now, error);
        }
        self.error = None;
        let since = self.down_since.take()?;
        Some(News::Up(now.since(since)))
    }

    /// Reported once per change of state, not once per attempt.
    fn failed(&mut self, now: Timestamp, error: Arc<StoreError>) -> Option<News> {
        let changed = self.error.as_ref().is_none_or(|before| {
            std::mem::discriminant(&**before) != std::mem::discriminant(&*error)
                && !(is_outage(before) && is_outage(&error))
        });
        self.down_since.get_or_insert(now);
        self.error = Some(Arc::clone(&error));
        changed.then_some(News::Down(error))
    }

    /// Whether any request has been answered or has failed.
    pub(super) const fn is_known(&self) -> bool {
        self.answered || self.error.is_some()
    }

    /// Whether it answered last, and can be used.
    pub(super) const fn is_up(&self) -> bool {
        self.answered && self.error.is_none()
    }

    /// What it failed with, while it cannot be used.
    pub(super) fn error(&self) -> Option<&StoreError> {
        self.error.as_deref()
    }

    /// Why it accepts no changes, if it refused the last one.
    pub(super) fn unwritable(&self) -> Option<&StoreError> {
        self.unwritable.as_deref()
    }

    /// Why it refused the last change, if trying again is pointless.
    pub(super) fn forbidden(&self) -> Option<&StoreError> {
        self.unwritable().filter(|error| error.is_hopeless())
    }

    /// The refusal of a store that has never done anything else.
    pub(super) fn refusal(&self) -> Option<&StoreError> {
        let looks = self.error().filter(|_| !self.answered);
        let changes = self.unwritable().filter(|_| !self.obeyed);
        looks.or(changes).filter(|error| error.is_hopeless())
    }
}

/// Whether an error says only that the store cannot be used now: one outage shows up as several such
/// errors.
const fn is_outage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unreachable { .. } | StoreError::Unknown { .. }
    )
}

/// Whether the store was there, and refused to change anything.
const fn is_refusal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Denied { .. }
            | StoreError::Unwritable { .. }
            | StoreError::Misconfigured { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Memory, MemoryId, Record, WallMillis};

    const LOOK: bool = false;
    const CHANGE: bool = true;

    fn answer(verdict: Verdict) -> Result<Reply, StoreError> {
        Ok(Reply {
            verdict,
            record: Record::ABSENT,
            memory: Memory::young(MemoryId {
                made: WallMillis::ZERO,
                nonce: 0,
            }),
            clock: WallMillis::ZERO,
        })
    }

    fn denied() -> Result<Reply, StoreError> {
        Err(StoreError::Denied {
            store: "one".into(),
            message: "NOPERM".to_owned(),
        })
    }

    fn full() -> Result<Reply, StoreError> {
        Err(StoreError::Unwritable {
            store: "one".into(),
            message: "OOM".to_owned(),
        })
    }

    fn lost() -> Result<Reply, StoreError> {
        Err(StoreError::Unreachable {
            store: "one".into(),
            source: Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
        })
    }

    fn news(link: &mut Link, changes: bool, result: &Result<Reply, StoreError>) -> &'static str {
        match link.heard(Timestamp::ZERO, changes, result) {
            None => "nothing",
            Some(News::Down(_)) => "down",
            Some(News::Up(_)) => "up",
        }
    }

    #[test]
    fn a_store_that_takes_no_changes_is_down_once_however_often_it_can_be_looked_at() {
        let mut link = Link::default();
        let looked = answer(Verdict::Granted);
        assert_eq!(news(&mut link, LOOK, &looked), "nothing");
        assert_eq!(news(&mut link, CHANGE, &full()), "down");
        for _ in 0..3 {
            assert_eq!(news(&mut link, LOOK, &looked), "nothing");
            assert_eq!(news(&mut link, CHANGE, &full()), "nothing");
        }
        assert!(link.unwritable().is_some());
        let refused = answer(Verdict::Refused);
        assert_eq!(news(&mut link, CHANGE, &refused), "nothing");
        assert_eq!(news(&mut link, CHANGE, &looked), "up");
        assert!(link.error().is_none());
    }

    #[test]
    fn an_outage_that_shows_itself_in_several_ways_is_told_once() {
        let mut link = Link::default();
        assert_eq!(news(&mut link, LOOK, &lost()), "down");
        assert_eq!(news(&mut link, CHANGE, &lost()), "nothing");
        assert!(link.unwritable().is_none());
        assert_eq!(news(&mut link, LOOK, &answer(Verdict::Granted)), "up");
    }

    #[test]
    fn who_was_never_obeyed_is_refused_and_who_was_is_not() {
        let mut link = Link::default();
        news(&mut link, LOOK, &denied());
        assert!(link.refusal().is_some());
        news(&mut link, LOOK, &answer(Verdict::Granted));
        assert!(link.refusal().is_none());
        news(&mut link, LOOK, &denied());
        assert!(link.refusal().is_none());
        news(&mut link, CHANGE, &denied());
        assert!(link.refusal().is_some());
        news(&mut link, CHANGE, &answer(Verdict::Granted));
        news(&mut link, CHANGE, &denied());
        assert!(link.refusal().is_none());
    }
}
