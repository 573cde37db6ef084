//! The independent witness: one file that every elected program appends to, and its reader.
//!
//! A line is `TOKEN WHO EVENT NANOS`: the fencing token (`-` for programs that have none), the name of
//! the candidate, `begin`, `act` or `end`, and the boot time at which the program did it. The file is
//! opened with `O_APPEND`, so its lines also stand in the order in which they took effect.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checker::{self, Violation};
use super::history::{History, Span};

/// Time since the start of the machine in nanoseconds: one clock for all its processes, also for those whose boot
/// time a test slews.
pub(crate) fn boot_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicRaw);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}

/// The pen of one elected program.
pub(crate) struct Pen {
    file: File,
    who: String,
    token: u64,
}

impl Pen {
    pub(crate) fn new(log: &Path, who: &str, token: u64) -> Self {
        Self {
            file: OpenOptions::new().append(true).open(log).unwrap(),
            who: who.to_owned(),
            token,
        }
    }

    /// Notes that the program did something at `at`.
    pub(crate) fn write(&mut self, event: &str, at: u64) {
        let line = format!("{} {} {event} {at}\n", self.token, self.who);
        self.file.write_all(line.as_bytes()).unwrap();
    }
}

/// The reader of the file.
pub(crate) struct Witness {
    path: PathBuf,
    offset: u64,
    rest: String,
    history: History,
    /// The span that each party is in.
    open: BTreeMap<String, usize>,
    highest: Highest,
    went_back: Vec<WentBack>,
    late: usize,
}

/// The highest token that was ever written, and when its holder says that it began.
#[derive(Clone, Copy, Debug, Default)]
struct Highest {
    token: Option<u64>,
    began: u64,
}

/// A line that stands in the file after one with a higher token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WentBack {
    line: String,
    highest: Option<u64>,
}

impl WentBack {
    /// How many are reported.
    const KEPT: usize = 20;
}

impl fmt::Display for WentBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "S2: `{}` was written after token {:?}",
            self.line, self.highest
        )
    }
}

impl Witness {
    pub(crate) fn new(path: PathBuf) -> Self {
        File::create(&path).unwrap();
        Self {
            path,
            offset: 0,
            rest: String::new(),
            history: History::default(),
            open: BTreeMap::new(),
            highest: Highest::default(),
            went_back: Vec::new(),
            late: 0,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes in what was written since the last time.
    pub(crate) fn read(&mut self) -> &[Span] {
        let mut file = File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.offset)).unwrap();
        self.offset += file.read_to_string(&mut self.rest).unwrap() as u64;
        let whole = self.rest.rfind('\n').map_or(0, |end| end + 1);
        let lines: String = self.rest.drain(..whole).collect();
        for line in lines.lines() {
            self.take_in(line);
        }
        &self.history.spans
    }

    fn take_in(&mut self, line: &str) {
        let parts: Vec<&str> = line.split(' ').collect();
        let [token, who, event, at] = parts[..] else {
            panic!("the witness cannot read {line:?}")
        };
        let token: Option<u64> = (token != "-").then(|| token.parse().unwrap());
        let at: u64 = at.parse().unwrap();
        if token > self.highest.token {
            self.highest = Highest { token, began: at };
        } else if token.is_some() && token < self.highest.token {
            self.note_lower(line, at);
        }
        let open = self.open.get(who).copied();
        let same = open.filter(|index| self.history.spans[*index].token == token);
        match (event, same) {
            ("begin", _) | (_, None) => {
                self.open.insert(who.to_owned(), self.history.spans.len());
                self.history.spans.push(Span {
                    who: who.to_owned(),
                    token,
                    from: at,
                    to: at + 1,
                });
            }
            ("act" | "end", Some(index)) => {
                let span = &mut self.history.spans[index];
                span.to = span.to.max(at + 1);
            }
            _ => panic!("the witness does not know the event of {line:?}"),
        }
    }

    /// A line that stands after one with a higher token. It took effect late if it was decided on in time:
    /// the process was stopped between its look at the clock and the write.
    fn note_lower(&mut self, line: &str, at: u64) {
        if at < self.highest.began {
            self.late += 1;
        } else if self.went_back.len() < WentBack::KEPT {
            self.went_back.push(WentBack {
                line: line.to_owned(),
                highest: self.highest.token,
            });
        }
    }

    /// How many lines were decided on in time, and took effect after the next leader's first. No check
    /// before the act can prevent that; a resource that looks at the token refuses them.
    pub(crate) fn late(&self) -> usize {
        self.late
    }

    /// Everything that must not be in what was read so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut all: Vec<String> = checker::check(&self.history)
            .iter()
            .map(Violation::to_string)
            .collect();
        all.extend(self.went_back.iter().map(WentBack::to_string));
        all
    }

    /// How long no one acted, from each span to the next.
    pub(crate) fn gaps(&self) -> Vec<Duration> {
        let mut spans: Vec<&Span> = self.history.spans.iter().collect();
        spans.sort_by_key(|span| span.from);
        spans
            .windows(2)
            .map(|pair| Duration::from_nanos(pair[1].from.saturating_sub(pair[0].to)))
            .collect()
    }
}
