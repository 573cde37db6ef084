//! A keeper under test, and programs that leave a mark by which each of their processes is found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use incumbent_cli::supervise::{Contain, Event, Keeper, Launch, Program};

use crate::marked::marked;

/// How long anything may take that should happen at once: a bound against hanging, not a figure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The grace before a deadline: long enough that a machine that stalls for a second does not make
/// a keeper miss the moment of the SIGTERM.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// What a keeper may contain a program by.
pub(crate) const ALL: [Contain; 3] = [Contain::Subreaper, Contain::Auto, Contain::Pidns];

/// A keeper, a directory for its program, and the mark of its processes.
pub(crate) struct Bench {
    /// The keeper.
    pub(crate) keeper: Keeper,
    /// Where the program runs its errands.
    pub(crate) directory: tempfile::TempDir,
    mark: String,
}

impl Bench {
    /// A bench whose keeper may make a cgroup, or may not.
    pub(crate) fn new(cgroup: bool) -> Self {
        Self::contained(match cgroup {
            true => Contain::Auto,
            false => Contain::Subreaper,
        })
    }

    /// One whose keeper contains by this.
    pub(crate) fn contained(contain: Contain) -> Self {
        let launched = Launch::new()
            .executable(env!("CARGO_BIN_EXE_incumbent"))
            .contain(contain)
            .start()
            .unwrap();
        Self {
            keeper: Keeper::attach(launched).unwrap(),
            directory: tempfile::tempdir().unwrap(),
            mark: format!("mark-{}", fastrand::u64(..)),
        }
    }

    /// A shell script as program. `$DIR` is the directory.
    pub(crate) fn shell(&self, script: &str) -> Program {
        self.program(&["sh", "-c", script])
    }

    /// A command as program.
    pub(crate) fn program(&self, words: &[&str]) -> Program {
        Program::new(words.iter().map(Into::into).collect())
            .unwrap()
            .env("KEEPER_TEST_MARK", &self.mark)
            .env("DIR", self.directory.path())
    }

    /// Starts a program with a deadline this many milliseconds from now.
    pub(crate) fn start(&mut self, program: Program, deadline: u64) -> Timestamp {
        let deadline = clock::now() + Duration::from_millis(deadline);
        self.keeper.start(program, deadline, GRACE).unwrap();
        deadline
    }

    /// Starts a program that nothing ends soon, and waits until it has written a line to `up`.
    pub(crate) async fn start_and_wait(&mut self, program: Program) {
        self.start(program, 600_000);
        let event = self.event().await;
        assert!(matches!(event, Event::Started(_)), "{event:?}");
        self.wait_for_lines("up", 1).await;
    }

    /// Moves the deadline to so far from now.
    pub(crate) fn set_deadline(&mut self, deadline: Duration) -> Timestamp {
        let deadline = clock::now() + deadline;
        self.keeper.set_deadline(deadline);
        deadline
    }

    /// The next event, except for the keeper's greeting.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.keeper.event()).await;
            match event.expect("no event came") {
                Event::Ready { .. } => {}
                event => return event,
            }
        }
    }

    /// All events up to the death of the tree. The pid of the program is replaced by 0, and those left behind are left
    /// out. So is whom a busy machine has not ended yet: [`Event::Dead`] comes when they are gone too.
    pub(crate) async fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while events.last() != Some(&Event::Dead) {
            events.push(match self.event().await {
                Event::Surviving { .. } => continue,
                Event::Started(_) => Event::Started(0),
                Event::LeftBehind { .. } => Event::LeftBehind { pids: Vec::new() },
                event => event,
            });
        }
        events
    }

    /// The same, heard only once every process of the program is gone. No one has judged the keeper until
    /// then: it must have acted by itself, and on a slow machine it is not taken for a frozen one.
    pub(crate) async fn events_of_the_keeper_alone(&mut self) -> Vec<Event> {
        self.until_gone().await;
        self.events().await
    }

    /// A file in the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits until a file exists with at least this many lines, while the keeper goes on.
    pub(crate) async fn wait_for_lines(&mut self, name: &str, lines: usize) {
        let file = self.file(name);
        let there = async {
            while count_lines(&file) < lines {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            () = there => {}
            event = self.keeper.event() => panic!("{event:?} while waiting for {name}"),
            () = tokio::time::sleep(PATIENCE) => panic!("{name} did not come"),
        }
    }

    /// The processes of the program that are alive.
    pub(crate) fn alive(&self) -> BTreeSet<u32> {
        marked(&self.mark)
    }

    /// What its processes are found by.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// The keeper without an elector, and a way to look for its program.
    pub(crate) fn split(self) -> (Keeper, Mark) {
        (self.keeper, Mark(self.mark))
    }

    /// Waits until as many of its processes have come up.
    pub(crate) async fn until_alive(&self, processes: usize) {
        let until = clock::now() + PATIENCE;
        while self.alive().len() < processes {
            assert!(clock::now() < until, "alive: {:?}", self.alive());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until none is alive.
    pub(crate) async fn until_gone(&self) {
        let until = clock::now() + PATIENCE;
        while !self.alive().is_empty() {
            assert!(clock::now() < until, "still alive: {:?}", self.alive());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The mark of a program's processes.
pub(crate) struct Mark(String);

impl Mark {
    /// The processes of the program that are alive.
    pub(crate) fn alive(&self) -> BTreeSet<u32> {
        marked(&self.0)
    }
}

/// How many lines a file has; none when it is not there.
pub(crate) fn count_lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}
