//! A candidate as a real process: a program that uses the library, the command, or the bare script.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::program;
use super::witness::boot_nanos;
use crate::support::environment;

/// What all candidates of an election have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) election: String,
    pub(crate) stores: Vec<String>,
    pub(crate) key_prefix: String,
    pub(crate) interval: Duration,
    pub(crate) stall_polls: u32,
    pub(crate) stop_grace: Duration,
    /// Time between two lines of an elected program.
    pub(crate) period: Duration,
    /// Whether a wrapper that has lost its leadership stands by again, as what uses the library does.
    pub(crate) restart: bool,
    /// What a wrapper is started by: a command that becomes the one behind it.
    pub(crate) by: Vec<String>,
    /// The same for the program of a wrapper.
    pub(crate) program_by: Vec<String>,
    /// What else its environment has.
    pub(crate) variables: Vec<(String, String)>,
}

impl Settings {
    /// A small window, with slack for a machine that stalls for a second: a leader survives an outage of 1.2 s.
    pub(crate) const STALL_POLLS: u32 = 11;

    pub(crate) fn new(stores: &[String]) -> Self {
        Self {
            election: "billing".to_owned(),
            stores: stores.to_vec(),
            key_prefix: "incumbent:".to_owned(),
            interval: Duration::from_millis(150),
            stall_polls: Self::STALL_POLLS,
            stop_grace: Duration::from_millis(200),
            period: Duration::from_millis(5),
            restart: false,
            by: Vec::new(),
            program_by: Vec::new(),
            variables: Vec::new(),
        }
    }

    pub(crate) fn window(&self) -> Duration {
        self.interval * self.stall_polls
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A program that uses the library.
    Library,
    /// `incumbent run … -- a program`.
    Wrapper,
    /// The script that speaks only the bare protocol.
    Bare,
}

/// A running candidate. Dropping it kills it.
pub(crate) struct Candidate {
    name: String,
    child: Child,
    stderr: PathBuf,
    ended: Option<ExitStatus>,
}

impl Candidate {
    pub(crate) fn start(
        kind: Kind,
        name: &str,
        label: &str,
        settings: &Settings,
        log: &Path,
        dir: &Path,
    ) -> Self {
        let mut command = match kind {
            Kind::Library => library(label, settings),
            Kind::Wrapper => wrapper(label, settings),
            Kind::Bare => bare(name, settings, log),
        };
        let stderr = dir.join(format!("{name}.stderr"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&stderr)
            .unwrap();
        let child = command
            .env(program::NAME, name)
            .env(program::LOG, log)
            .env(program::PERIOD, settings.period.as_millis().to_string())
            .env("HOME", dir)
            .envs(settings.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Self {
            name: name.to_owned(),
            child,
            stderr,
            ended: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a signal to the candidate itself: for the wrapper, to the elector alone.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            send(self.child.id(), signal);
        }
    }

    /// Sends a signal to the program of a wrapper, if it runs: the keeper is between them.
    pub(crate) fn signal_program(&self, signal: Signal) {
        if let [_, program, ..] = descendants(self.child.id())[..] {
            send(program, signal);
        }
    }

    /// Sends a signal to the first process that it has started: for the wrapper, the keeper.
    pub(crate) fn signal_keeper(&self, signal: Signal) {
        if let Some(pid) = self.keeper() {
            send(pid, signal);
        }
    }

    /// The first process that it has started: for the wrapper, the keeper.
    pub(crate) fn keeper(&self) -> Option<u32> {
        descendants(self.child.id()).first().copied()
    }

    /// It and all that is below it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let own = self.child.id();
        std::iter::once(own).chain(descendants(own)).collect()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended.is_some()
    }

    /// Waits for the end of the process.
    pub(crate) fn ended(&mut self, within: Duration) -> ExitStatus {
        let started = boot_nanos();
        while !self.has_ended() {
            let waited = Duration::from_nanos(boot_nanos() - started);
            assert!(waited < within, "{} did not end in {within:?}", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
        self.ended.unwrap()
    }

    /// What it has written on standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if !self.has_ended() {
            let below = descendants(self.child.id());
            self.child.kill().unwrap();
            self.child.wait().unwrap();
            // A keeper that a test has stopped must go on to do its work.
            for pid in below {
                send(pid, Signal::CONT);
            }
        }
    }
}

fn library(label: &str, settings: &Settings) -> Command {
    let timing = format!(
        "{} {} {}",
        settings.interval.as_millis(),
        settings.stall_polls,
        settings.stop_grace.as_millis()
    );
    let mut command = program::command("library");
    command
        .env(program::STORES, settings.stores.join(" "))
        .env(program::ELECTION, &settings.election)
        .env(program::PREFIX, &settings.key_prefix)
        .env(program::LABEL, label)
        .env(program::TIMING, timing);
    command
}

fn wrapper(label: &str, settings: &Settings) -> Command {
    let millis = |duration: Duration| format!("{}ms", duration.as_millis());
    let mut words = settings.by.iter().map(String::as_str);
    let incumbent = env!("CARGO_BIN_EXE_incumbent");
    let mut command = match words.next() {
        None => Command::new(incumbent),
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(incumbent);
            command
        }
    };
    environment::clear(&mut command)
        .args(["run", &settings.election])
        .args(["--key-prefix", &settings.key_prefix])
        .args(["--interval", &millis(settings.interval)])
        .args(["--stall-polls", &settings.stall_polls.to_string()])
        .args(["--stop-grace", &millis(settings.stop_grace)])
        .args(["--id", label]);
    if settings.restart {
        command.arg("--restart");
    }
    for store in &settings.stores {
        command.args(["--store", store]);
    }
    let work = program::command("work");
    command
        .arg("--")
        .args(&settings.program_by)
        .arg(work.get_program())
        .args(work.get_args());
    for (name, value) in work.get_envs() {
        command.env(name, value.unwrap());
    }
    command
}

fn bare(name: &str, settings: &Settings, log: &Path) -> Command {
    let [store] = &settings.stores[..] else {
        panic!("the bare protocol has one store")
    };
    let address = store
        .strip_prefix("redis://")
        .unwrap()
        .trim_end_matches('/');
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/bare.py");
    let mut command = Command::new("python3");
    environment::clear(&mut command)
        // It reads no wall clock, and the sleep of Python fails under `faketime`.
        .env_remove("LD_PRELOAD")
        .arg(script)
        .args(["--server", address])
        .args([
            "--key",
            &format!("{}{}", settings.key_prefix, settings.election),
        ])
        .args(["--interval", &settings.interval.as_secs_f64().to_string()])
        .args(["--polls", &settings.stall_polls.to_string()])
        .args(["--name", name])
        .arg("--log")
        .arg(log);
    command
}

/// A process that is gone already has no use for a signal.
fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("{signal:?} to {pid:?}: {error}"),
    }
}

fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return found;
    };
    for task in tasks.flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let child = child.parse().unwrap();
            found.push(child);
            found.extend(descendants(child));
        }
    }
    found
}
