//! Decodes what a server answers about an election for people: its holder, its candidates, its history.
//!
//! None of it decides anything, so it is checked only when it is shown.

use std::time::Duration;

use redis::Value;

use super::reply::Reader;
use crate::protocol::{CandidateId, FencingToken, Timing, WallMillis};
use crate::store::Identity;
use crate::store::decimal::canonical;
use crate::store::{Change, HistoryEntry, Inspection, Note, SeenCandidate, StoreError};

const IDENTITY: &str = "id|host|pid|version";

impl Reader<'_> {
    /// The reply to inspect.
    pub(super) fn inspection(&self, value: Value) -> Result<Inspection, StoreError> {
        let (found, mut items) = self.begin(value)?;
        let (record, memory, clock) = (found.record, found.memory, found.clock);
        let identity = self.text(items.next())?;
        let since = self.text(items.next())?;
        let changed = self.text(items.next())?;
        let (holder, since) = match record.holder() {
            Some(id) => (
                Some(self.holder(identity, id)?),
                Some(self.millis(&self.keys.record, "since", since)?),
            ),
            None => (None, None),
        };
        let changed = match changed {
            None if record.term == FencingToken::ZERO => None,
            changed => Some(self.millis(&self.keys.record, "changed", changed)?),
        };
        let mut candidates = self.candidates(items.next())?;
        // A leader's heartbeats are noted only in the record.
        if let (Some(holder), Some(beaten)) = (&holder, changed) {
            candidates.retain(|one| one.identity != *holder);
            candidates.push(SeenCandidate::new(holder.clone(), beaten));
        }
        candidates.retain(|one| is_recent(one, clock));
        candidates.sort_by(|a, b| a.identity.cmp(&b.identity));
        Ok(Inspection {
            holder,
            since,
            changed,
            candidates,
            memory,
            ..Inspection::new(record, clock)
        })
    }

    /// The reply to `XREVRANGE` on the history; `None` when that is not a stream.
    pub(super) fn history(&self, entries: Option<Value>) -> Result<Vec<HistoryEntry>, StoreError> {
        let Some(entries) = entries else {
            let key = &self.keys.history;
            return Err(self.garbled(key, "the type", "(another)", "a stream"));
        };
        self.items(entries)?
            .map(|entry| {
                let mut entry = self.items(entry)?;
                let id = self.text(entry.next())?.unwrap_or_default();
                self.history_entry(&id, entry.next())
            })
            .collect()
    }

    fn history_entry(&self, id: &str, fields: Option<Value>) -> Result<HistoryEntry, StoreError> {
        let key = &self.keys.history;
        let mut fields = self.items(fields.unwrap_or(Value::Nil))?;
        let (mut at, mut term, mut holder, mut change, mut note) = (None, None, None, None, None);
        while let Some(name) = self.text(fields.next())? {
            let value = self.text(fields.next())?;
            match name.as_str() {
                "at" => at = value,
                "term" => term = value,
                "holder" => holder = value,
                "change" => change = value,
                "note" => note = value,
                _ => {}
            }
        }
        let field = |name: &str| format!("{name} of entry {id}");
        let holder = holder.unwrap_or_default();
        let change = change.unwrap_or_default();
        let change = change_of(&change)
            .ok_or_else(|| self.garbled(key, &field("change"), &change, "the name of a change"))?;
        Ok(HistoryEntry {
            at: self.millis(key, &field("at"), at)?,
            term: self.term(key, &field("term"), term)?,
            holder: holder
                .parse()
                .map_err(|_| self.garbled(key, &field("holder"), &holder, IDENTITY))?,
            change,
            note: note.and_then(|note| Note::read(change, &note)),
        })
    }

    fn candidates(&self, list: Option<Value>) -> Result<Vec<SeenCandidate>, StoreError> {
        let key = &self.keys.candidates;
        let mut list = self.items(list.unwrap_or(Value::Nil))?;
        let mut candidates = Vec::with_capacity(list.len() / 2);
        while let Some(member) = self.text(list.next())? {
            let identity = member
                .parse()
                .map_err(|_| self.garbled(key, "a member", &member, IDENTITY))?;
            candidates.push(SeenCandidate {
                identity,
                last_seen: self.millis(key, "a score", self.text(list.next())?)?,
            });
        }
        Ok(candidates)
    }

    fn holder(&self, text: Option<String>, id: &CandidateId) -> Result<Identity, StoreError> {
        let (key, field) = (&self.keys.record, "identity");
        let text = self.present(key, field, text, IDENTITY)?;
        let identity: Option<Identity> = text.parse().ok();
        identity
            .filter(|identity| identity.id() == id)
            .ok_or_else(|| self.garbled(key, field, &text, "id|host|pid|version of the holder"))
    }

    fn millis(
        &self,
        key: &str,
        field: &str,
        text: Option<String>,
    ) -> Result<WallMillis, StoreError> {
        let expected = "milliseconds since the epoch";
        let text = self.present(key, field, text, expected)?;
        canonical(&text)
            .and_then(WallMillis::new)
            .ok_or_else(|| self.garbled(key, field, &text, expected))
    }
}

/// Whether a candidate was seen lately. It may poll less often than once a minute.
fn is_recent(one: &SeenCandidate, clock: WallMillis) -> bool {
    let window = one.identity.timing().map_or(Duration::ZERO, Timing::window);
    let age = clock.get().saturating_sub(one.last_seen.get());
    Duration::from_millis(age) <= SeenCandidate::REMEMBERED.max(2 * window)
}

fn change_of(word: &str) -> Option<Change> {
    Some(match word {
        "claimed-absent" => Change::ClaimedAbsent,
        "claimed-vacant" => Change::ClaimedVacant,
        "claimed-stalled" => Change::ClaimedStalled,
        "claimed-foreign" => Change::ClaimedForeign,
        "joined" => Change::Joined,
        "released" => Change::Released,
        "paused" => Change::Paused,
        "resumed" => Change::Resumed,
        "asked-to-resign" => Change::AskedToResign,
        "deposed" => Change::Deposed,
        _ => return None,
    })
}
