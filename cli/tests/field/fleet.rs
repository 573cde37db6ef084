//! The candidates of one election, and what the witness says of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::candidate::{Candidate, Kind, Settings};
use super::history::Span;
use super::witness::{Witness, boot_nanos};
use crate::support::gone::wait_until_gone;

/// How long to wait for what must come: far beyond what it takes on a machine with nothing else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Waits for something that is bound to happen.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let started = boot_nanos();
    while !happened() {
        let waited = Duration::from_nanos(boot_nanos() - started);
        assert!(waited < PATIENCE, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) struct Fleet {
    // Dropped before the directory that they write to.
    candidates: BTreeMap<String, Candidate>,
    witness: Witness,
    settings: Settings,
    started: usize,
    dir: TempDir,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.candidates.clear();
        wait_until_gone(self.dir.path());
    }
}

impl Fleet {
    /// A fleet without candidates.
    pub(crate) fn new(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            candidates: BTreeMap::new(),
            witness: Witness::new(dir.path().join("witness.log")),
            settings,
            started: 0,
            dir,
        }
    }

    /// A fleet of the given candidates.
    pub(crate) fn of(settings: Settings, kinds: &[Kind]) -> Self {
        let mut fleet = Self::new(settings);
        for kind in kinds {
            fleet.start(*kind);
        }
        fleet
    }

    pub(crate) fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts a candidate, and returns the name by which the witness knows it.
    pub(crate) fn start(&mut self, kind: Kind) -> String {
        let name = self.new_name(kind);
        let label = name.clone();
        self.start_as(kind, &name, &label);
        name
    }

    /// Starts a candidate under a label that another may have as well.
    pub(crate) fn start_labelled(&mut self, kind: Kind, label: &str) -> String {
        let name = self.new_name(kind);
        self.start_as(kind, &name, label);
        name
    }

    fn new_name(&mut self, kind: Kind) -> String {
        self.started += 1;
        let kind = match kind {
            Kind::Library => "library",
            Kind::Wrapper => "wrapper",
            Kind::Bare => "bare",
        };
        format!("{kind}-{}", self.started)
    }

    fn start_as(&mut self, kind: Kind, name: &str, label: &str) {
        let log = self.witness.path().to_owned();
        let candidate = Candidate::start(kind, name, label, &self.settings, &log, self.dir.path());
        self.candidates.insert(name.to_owned(), candidate);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.candidates.keys().cloned().collect()
    }

    pub(crate) fn candidate(&mut self, name: &str) -> &mut Candidate {
        self.candidates.get_mut(name).unwrap()
    }

    /// Starts a candidate again that has ended.
    pub(crate) fn start_again(&mut self, kind: Kind, name: &str) {
        assert!(self.candidate(name).has_ended(), "{name} still runs");
        self.start_as(kind, name, name);
    }

    pub(crate) fn signal(&self, name: &str, signal: Signal) {
        self.candidates[name].signal(signal);
    }

    /// Waits for a candidate to end, and forgets it.
    pub(crate) fn ended(&mut self, name: &str) -> ExitStatus {
        let status = self.candidate(name).ended(PATIENCE);
        self.candidates.remove(name);
        status
    }

    /// The first who acts from now on.
    pub(crate) fn leader(&mut self) -> Span {
        let now = boot_nanos();
        self.wait("somebody acts", |span| span.to > now)
    }

    /// The first who begins to act after `before` did.
    pub(crate) fn next_leader(&mut self, before: &Span) -> Span {
        let began = before.from;
        self.wait("somebody else acts", |span| span.from > began)
    }

    /// How long no one acted between two leaders. The first has acted since it was last looked at.
    pub(crate) fn gap(&mut self, before: &Span, after: &Span) -> Duration {
        let spans = self.witness.read();
        let last = spans.iter().find(|span| span.from == before.from);
        let end = last.map_or(before.to, |span| span.to);
        Duration::from_nanos(after.from.saturating_sub(end))
    }

    /// Waits until every candidate but the leader knows who leads.
    pub(crate) fn campaigning(&mut self) {
        let started = boot_nanos();
        let leader = self.leader().who;
        while self
            .candidates
            .iter()
            .any(|(name, candidate)| *name != leader && !candidate.said().contains("standing by"))
        {
            let waited = Duration::from_nanos(boot_nanos() - started);
            assert!(waited < PATIENCE, "not all stand by: {}", self.story());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Watches for `time` that only `leader` acts, under the same token, and that it still does.
    pub(crate) fn still_led_by(&mut self, leader: &Span, time: Duration) {
        std::thread::sleep(time);
        let now = self.leader();
        assert_eq!(
            (&now.who, now.token),
            (&leader.who, leader.token),
            "the leadership must survive this: {}",
            self.story()
        );
    }

    /// Waits until no one has acted for `time`. It starts over when the machine stalls for a window: a leader that
    /// stalled with it may act once more before its keeper kills it.
    pub(crate) fn idle(&mut self, time: Duration) {
        let started = boot_nanos();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
        let (quiet, window) = (nanos(time), nanos(self.settings.window()));
        let (mut since, mut looked) = (started, started);
        loop {
            let last = self.witness.read().iter().map(|span| span.to).max();
            let now = boot_nanos();
            if now - looked > window {
                since = now;
            }
            looked = now;
            if now - since.max(last.unwrap_or_default()) >= quiet {
                return;
            }
            let waited = Duration::from_nanos(now - started);
            assert!(waited < PATIENCE, "somebody still acts: {}", self.story());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait(&mut self, what: &str, found: impl Fn(&Span) -> bool) -> Span {
        let started = boot_nanos();
        loop {
            if let Some(span) = self.witness.read().iter().find(|span| found(span)) {
                return span.clone();
            }
            let waited = Duration::from_nanos(boot_nanos() - started);
            let anyone = self.candidates.values_mut().any(|c| !c.has_ended());
            assert!(
                anyone && waited < PATIENCE,
                "timed out after {waited:?}: {what}: {}",
                self.story()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn witness(&mut self) -> &mut Witness {
        self.witness.read();
        &mut self.witness
    }

    /// No two acted at once, and no token went back.
    pub(crate) fn verdict(mut self) -> Vec<Span> {
        let spans = self.witness.read().to_vec();
        assert!(self.witness.violations().is_empty(), "{}", self.story());
        spans
    }

    /// What happened, for a person who looks into a failure.
    pub(crate) fn story(&mut self) -> String {
        let mut story = String::from("periods of acting:\n");
        for span in self.witness.read() {
            story.push_str(&format!("  {span}\n"));
        }
        story.push_str(&format!("violations: {:#?}\n", self.witness.violations()));
        for (name, candidate) in &self.candidates {
            let said = candidate.said();
            let from = said.len().saturating_sub(6000);
            let tail = said.get(from..).unwrap_or(&said);
            story.push_str(&format!("{name} said:\n{tail}\n"));
        }
        story
    }
}
