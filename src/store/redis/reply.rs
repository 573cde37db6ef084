//! Decodes what a server answers, and trusts none of it: every field is checked before use.
//!
//! The scripts judge a record by the same rules before they write to it (`scripts/record.lua`); here it is
//! judged again, with an error that says what is wrong.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::keys::Keys;
use crate::protocol::{
    Beat, CandidateId, FencingToken, Handover, Memory, Occupancy, Orders, Record, Reply, Timing,
    Verdict, WallMillis,
};
use crate::store::decimal::canonical;
use crate::store::memory_id::memory_id;
use crate::store::{StoreError, WakeUp};

/// The largest beat that a record may hold: far above what terms and heartbeats can reach, far enough
/// below the largest integer for `INCR`.
const MAX_BEAT: i64 = 1 << 62;

/// What is wrong with a key of another type, in place of a field.
pub(super) const TYPE_OF_KEY: &str = "the type";

/// Reads the replies of one store about one election.
pub(super) struct Reader<'a> {
    pub(super) store: &'a Arc<str>,
    pub(super) keys: &'a Keys,
}

impl Reader<'_> {
    /// The reply to observe, claim, beat or release.
    pub(super) fn reply(&self, value: Value) -> Result<Reply, StoreError> {
        let (found, _nothing_more) = self.begin(value)?;
        let memory = found.memory;
        let memory = memory.ok_or_else(|| self.unexpected("a script's reply has no memory"))?;
        Ok(Reply {
            verdict: found.verdict,
            record: found.record,
            memory,
            clock: found.clock,
        })
    }

    /// What every reply of a script begins with, and what follows.
    pub(super) fn begin(&self, value: Value) -> Result<(Found, Items), StoreError> {
        let mut items = self.items(value)?;
        let form = self.form(&mut items)?;
        let clock = self.clock(&mut items)?;
        let (verdict, record) = match form {
            Form::Whole(verdict) => (verdict, self.record(&mut items)?),
            Form::New => (Some(Verdict::Granted), self.new_record(&mut items)?),
            Form::Gone => (Some(Verdict::Granted), Record::ABSENT),
        };
        // An unreadable record has ended in an error by now: the script and this parser must not differ.
        let verdict = verdict
            .ok_or_else(|| self.unexpected("a script cannot read a record that reads well"))?;
        let found = Found {
            verdict,
            record,
            memory: self.memory(&mut items)?,
            clock,
        };
        Ok((found, items))
    }

    fn memory(&self, items: &mut Items) -> Result<Option<Memory>, StoreError> {
        let Some(text) = self.text(items.next())? else {
            return Ok(None);
        };
        let expected = "`1 milliseconds.number age_ms floor taken server`";
        let unreadable = || self.garbled(&self.keys.memory, "memory", &text, expected);
        memory(&text).map(Some).ok_or_else(unreadable)
    }

    fn record(&self, items: &mut Items) -> Result<Record, StoreError> {
        let counter = match self.text(items.next())? {
            None => None,
            Some(text) => Some(self.counter(&text)?),
        };
        let mut fields: [Option<String>; 5] = [const { None }; 5];
        for field in &mut fields {
            *field = self.text(items.next())?;
        }
        let orders = self.orders(items)?;
        if fields.iter().all(Option::is_none) {
            return Ok(Record {
                occupancy: match counter {
                    None => Occupancy::Absent,
                    Some(_) => Occupancy::Foreign {
                        counter,
                        window: Duration::ZERO,
                    },
                },
                orders,
                ..Record::ABSENT
            });
        }
        let [floor, term, beat, holder, window] = fields;
        let key = &self.keys.record;
        let floor = self.term(key, "floor", floor)?;
        let term_text = term.clone();
        let term = self.term(key, "term", term)?;
        if term > floor {
            let text = term_text.unwrap_or_default();
            return Err(self.garbled(key, "term", &text, "at most the floor"));
        }
        let beat = self.beat(beat)?;
        let holder = self.candidate(holder)?;
        let window = self.window(window)?;
        let occupancy = match (holder, counter) {
            (None, None) => Occupancy::Vacant,
            (Some(holder), Some(counter)) if counter == beat => Occupancy::Held { holder, window },
            (None, Some(_)) => Occupancy::Foreign {
                counter,
                window: Duration::ZERO,
            },
            (Some(_), _) => Occupancy::Foreign { counter, window },
        };
        Ok(Record {
            floor,
            term,
            beat,
            occupancy,
            orders,
        })
    }

    /// A record that a claim has made of nothing.
    fn new_record(&self, items: &mut Items) -> Result<Record, StoreError> {
        let key = &self.keys.record;
        let term = self.term(key, "term", self.text(items.next())?)?;
        let holder = self.candidate(self.text(items.next())?)?;
        let holder = holder.ok_or_else(|| self.unexpected("a script granted a claim to no one"))?;
        let window = self.window(self.text(items.next())?)?;
        Ok(Record {
            floor: term,
            term,
            beat: Beat::first(term, Beat::default()),
            occupancy: Occupancy::Held { holder, window },
            orders: Orders::NONE,
        })
    }

    fn orders(&self, items: &mut Items) -> Result<Orders, StoreError> {
        let paused = self.text(items.next())?;
        let handover = self.text(items.next())?;
        Ok(Orders {
            paused: self.order("paused", paused, "until|by|reason")?,
            handover: self.order("handover", handover, "term|kind|successor")?,
        })
    }

    fn order<T: FromStr>(
        &self,
        field: &str,
        text: Option<String>,
        expected: &str,
    ) -> Result<Option<T>, StoreError> {
        text.map(|text| {
            let order = text.parse();
            order.map_err(|_| self.garbled(&self.keys.record, field, &text, expected))
        })
        .transpose()
    }

    /// How the reply goes on.
    fn form(&self, items: &mut Items) -> Result<Form, StoreError> {
        match items.next() {
            Some(Value::Int(0)) => Ok(Form::Whole(Some(Verdict::Refused))),
            Some(Value::Int(1)) => Ok(Form::Whole(Some(Verdict::Granted))),
            Some(Value::Int(2)) => Ok(Form::Whole(None)),
            Some(Value::Int(5)) => Ok(Form::New),
            Some(Value::Int(6)) => Ok(Form::Gone),
            Some(Value::Int(3)) => {
                let _clock = items.next();
                let key = self.text(items.next())?.unwrap_or_default();
                let kind = self.text(items.next())?.unwrap_or_default();
                let expected = if key == self.keys.counter {
                    "a string"
                } else if key == self.keys.candidates {
                    "a zset"
                } else {
                    "a hash"
                };
                Err(self.garbled(&key, TYPE_OF_KEY, &kind, expected))
            }
            Some(Value::Int(4)) => {
                let _clock = items.next();
                let format = self.text(items.next())?.unwrap_or_default();
                Err(StoreError::Misconfigured {
                    store: Arc::clone(self.store),
                    message: format!(
                        "the keys of this prefix have format {:?}, and this incumbent uses format 1; use the \
                         incumbent that wrote them, or another --key-prefix, or stop all candidates and delete \
                         the keys",
                        excerpt(&format)
                    ),
                })
            }
            _ => Err(self.unexpected("a script's reply has no verdict")),
        }
    }

    fn clock(&self, items: &mut Items) -> Result<WallMillis, StoreError> {
        let text = self.text(items.next())?.unwrap_or_default();
        canonical(&text)
            .and_then(WallMillis::new)
            .ok_or_else(|| self.unexpected(&format!("its clock reads {:?}", excerpt(&text))))
    }

    fn counter(&self, text: &str) -> Result<Beat, StoreError> {
        let counter = text.parse().ok().filter(|n: &i64| n.to_string() == text);
        counter.map(Beat::new).ok_or_else(|| {
            self.garbled(
                &self.keys.counter,
                "the value",
                text,
                "a 64-bit integer (the heartbeat counter)",
            )
        })
    }

    pub(super) fn term(
        &self,
        key: &str,
        field: &str,
        text: Option<String>,
    ) -> Result<FencingToken, StoreError> {
        let text = self.present(key, field, text, "a term from 0 to 2^53 - 1")?;
        canonical(&text)
            .and_then(FencingToken::new)
            .ok_or_else(|| self.garbled(key, field, &text, "a term from 0 to 2^53 - 1"))
    }

    fn beat(&self, text: Option<String>) -> Result<Beat, StoreError> {
        let (key, field, expected) = (&self.keys.record, "beat", "a counter from 0 to 2^62");
        let text = self.present(key, field, text, expected)?;
        read_beat(&text).ok_or_else(|| self.garbled(key, field, &text, expected))
    }

    fn candidate(&self, text: Option<String>) -> Result<Option<CandidateId>, StoreError> {
        let (key, field, expected) = (&self.keys.record, "holder", "a candidate id, or nothing");
        let text = self.present(key, field, text, expected)?;
        match text.as_str() {
            "" => Ok(None),
            id => CandidateId::new(id)
                .map(Some)
                .map_err(|_| self.garbled(key, field, id, expected)),
        }
    }

    fn window(&self, text: Option<String>) -> Result<Duration, StoreError> {
        let (key, field) = (&self.keys.record, "window_ns");
        let expected = "nanoseconds, at most a day";
        let text = self.present(key, field, text, expected)?;
        read_window(&text).ok_or_else(|| self.garbled(key, field, &text, expected))
    }

    pub(super) fn present(
        &self,
        key: &str,
        field: &str,
        text: Option<String>,
        expected: &str,
    ) -> Result<String, StoreError> {
        text.ok_or_else(|| self.garbled(key, field, "(missing)", expected))
    }

    pub(super) fn items(&self, value: Value) -> Result<Items, StoreError> {
        match value {
            Value::Array(items) => Ok(items.into_iter()),
            _ => Err(self.unexpected("a reply is not a list")),
        }
    }

    /// A text, or `None` for nil and past the end. Invalid UTF-8 is shown, and fits no field.
    pub(super) fn text(&self, value: Option<Value>) -> Result<Option<String>, StoreError> {
        match value {
            None | Some(Value::Nil) => Ok(None),
            Some(Value::BulkString(bytes)) => Ok(Some(match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            })),
            Some(Value::SimpleString(text)) => Ok(Some(text)),
            Some(_) => Err(self.unexpected("a reply holds something other than text")),
        }
    }

    pub(super) fn garbled(
        &self,
        key: &str,
        field: &str,
        value: &str,
        expected: &str,
    ) -> StoreError {
        StoreError::Garbled {
            store: Arc::clone(self.store),
            key: excerpt(key),
            field: field.to_owned(),
            value: excerpt(value),
            expected: format!("where {expected} should stand"),
        }
    }

    fn unexpected(&self, message: &str) -> StoreError {
        StoreError::Unexpected {
            store: Arc::clone(self.store),
            message: message.to_owned(),
        }
    }
}

/// The reply to many heartbeats.
pub(super) struct Beaten {
    pub(super) memory: Memory,
    pub(super) clock: WallMillis,
    answers: String,
    /// What the first one failed with that was not answered.
    pub(super) failure: Option<Value>,
}

impl Beaten {
    /// The reply to as many heartbeats as were `asked` for.
    pub(super) fn read(value: Value, asked: usize) -> Option<Self> {
        let Value::Array(items) = value else {
            return None;
        };
        let mut items = items.into_iter();
        let (clock, memory, answers) = (items.next()?, items.next()?, items.next()?);
        let (answers, failure) = (text_of(&answers)?, items.next());
        let answered = answers.matches(',').count();
        let is_whole = answers.is_empty() || answers.ends_with(',');
        let is_for_all = match failure {
            Some(_) => answered < asked,
            None => answered == asked,
        };
        (is_whole && is_for_all && items.next().is_none()).then_some(Self {
            memory: self::memory(text_of(&memory)?)?,
            clock: canonical(text_of(&clock)?).and_then(WallMillis::new)?,
            answers: answers.to_owned(),
            failure,
        })
    }

    /// The answer to each, in their order: the counter, and the window of its holder. What cannot be read counts as left
    /// undone.
    pub(super) fn answers(&self) -> impl Iterator<Item = Option<(Beat, Duration)>> {
        self.answers.split_terminator(',').map(|answer| {
            let (beat, window) = answer.split_once(' ')?;
            Some((read_beat(beat)?, read_window(window)?))
        })
    }
}

fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn read_beat(text: &str) -> Option<Beat> {
    let beat = i64::try_from(canonical(text)?).ok()?;
    (beat <= MAX_BEAT).then_some(Beat::new(beat))
}

fn read_window(text: &str) -> Option<Duration> {
    let window = Duration::from_nanos(canonical(text)?);
    (window <= Timing::MAX_WINDOW).then_some(window)
}

/// A memory as the scripts write it: `format id age_ms floor taken server`.
fn memory(text: &str) -> Option<Memory> {
    let mut fields = text.split(' ').skip(1);
    let id = memory_id(fields.next()?)?;
    let mut next = || canonical(fields.next()?);
    Some(Memory {
        id,
        age: Duration::from_millis(next()?).min(Memory::MATURE),
        floor: FencingToken::new(next()?)?,
        taken: next()?,
    })
}

/// The forms of a reply, which `scripts/head.lua` describes.
enum Form {
    /// The verdict, `None` when the script could not read the record, and the whole record.
    Whole(Option<Verdict>),
    /// Granted: a new record, whose counter, floor and beat are its term.
    New,
    /// Granted: nothing of the record is left.
    Gone,
}

/// What the scripts return about an election.
pub(super) struct Found {
    pub(super) verdict: Verdict,
    pub(super) record: Record,
    /// `None` when there is none: only a look leaves it so.
    pub(super) memory: Option<Memory>,
    pub(super) clock: WallMillis,
}

/// The rest of a list.
pub(super) type Items = std::vec::IntoIter<Value>;

/// The longest message of a release.
const MAX_MESSAGE: usize = 512;

/// Any message that `release` reads.
pub(super) const A_RELEASE: &str = "1.1 0 0 -";

/// The message of a release: the id, the floor and the `taken` of the memory, the record, and the id of the standby
/// that is called, if one is. The record is `floor term beat handover`, with a handover of `-` for none, or `-` if it
/// was deleted. `None` when it is not such a message.
pub(super) fn release(message: &[u8]) -> Option<WakeUp> {
    let short = Some(message).filter(|message| message.len() <= MAX_MESSAGE)?;
    let mut fields = std::str::from_utf8(short).ok()?.split(' ');
    let id = memory_id(fields.next()?)?;
    let (floor, taken) = (canonical(fields.next()?)?, canonical(fields.next()?)?);
    let memory = Memory {
        floor: FencingToken::new(floor)?,
        taken,
        ..Memory::young(id)
    };
    let record = match fields.next()? {
        "-" => Record::ABSENT,
        floor => {
            let floor = canonical(floor)?;
            let (term, beat) = (canonical(fields.next()?)?, canonical(fields.next()?)?);
            Record {
                floor: FencingToken::new(floor)?,
                term: FencingToken::new(term).filter(|term| term.get() <= floor)?,
                beat: Beat::new(i64::try_from(beat).ok().filter(|beat| *beat <= MAX_BEAT)?),
                occupancy: Occupancy::Vacant,
                orders: Orders {
                    paused: None,
                    handover: match fields.next()? {
                        "-" => None,
                        text => Some(text.parse::<Handover>().ok()?),
                    },
                },
            }
        }
    };
    let wake_up = WakeUp {
        record,
        memory,
        called: match fields.next() {
            None => None,
            Some(id) => Some(CandidateId::new(id).ok()?),
        },
    };
    fields.next().is_none().then_some(wake_up)
}

pub(super) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
