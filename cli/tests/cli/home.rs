//! A separate home directory for each test, and the command run in it.
#![allow(
    clippy::disallowed_methods,
    reason = "a test waits for a process by the machine's clock"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::environment;
use crate::support::gone::wait_until_gone;

/// How long a process may take to obey: far more than it needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A home directory.
pub(crate) struct Home {
    directory: TempDir,
}

impl Drop for Home {
    fn drop(&mut self) {
        wait_until_gone(self.directory.path());
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The path as text.
    pub(crate) fn text_path(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.text_path(name)
    }

    /// The lines of a file that programs append to; none when it is not there yet.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_incumbent"));
        environment::clear(&mut command)
            .args(arguments)
            .env("HOME", self.directory.path())
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ended {
        Ended::from(self.command(arguments).output().unwrap())
    }

    /// Runs the command to its end with further variables.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        Ended::from(command.output().unwrap())
    }

    /// Starts the command; it is killed when the test ends.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(&[], arguments)
    }

    /// As [`Home::start`], with variables in its environment.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Running {
        self.started(variables, arguments, Stdio::null())
    }

    /// As [`Home::start`], with what it prints in a file of this name.
    pub(crate) fn start_printing(&self, name: &str, arguments: &[&str]) -> Running {
        let printed = fs::File::create(self.path(name)).unwrap();
        self.started(&[], arguments, printed.into())
    }

    fn started(&self, variables: &[(&str, &str)], arguments: &[&str], stdout: Stdio) -> Running {
        let log = self.path(&format!("log-{}", fastrand::u64(..)));
        let child = self
            .command(arguments)
            .envs(variables.iter().copied())
            .stdout(stdout)
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Running { child, log }
    }

    /// As [`Home::start`], with a standard error of which nothing is known.
    pub(crate) fn start_unheard(&self, arguments: &[&str], stderr: Stdio) -> Running {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(stderr);
        let log = PathBuf::new();
        Running {
            child: command.spawn().unwrap(),
            log,
        }
    }

    /// Starts any command; it is killed when the test ends.
    pub(crate) fn start_command(&self, mut command: Command) -> Running {
        let log = self.path(&format!("log-{}", fastrand::u64(..)));
        command.stderr(fs::File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        Running { child, log }
    }

    /// Waits until a file has as many lines, and returns them.
    pub(crate) fn wait_for_lines(&self, name: &str, count: usize) -> Vec<String> {
        wait_until(&format!("{name} has {count} lines"), || {
            self.lines(name).len() >= count
        });
        self.lines(name)
    }
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or_else(|| {
                panic!("ended by signal {:?}", output.status.signal());
            }),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// Ends the test unless the command ended with `status` and said `fragment` on standard error.
    #[track_caller]
    pub(crate) fn assert(&self, status: i32, fragment: &str) {
        assert_eq!(self.status, status, "{self:#?}");
        assert!(
            self.stderr.contains(fragment),
            "no {fragment:?} in {self:#?}"
        );
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends the test unless it has said `fragment` on standard error.
    #[track_caller]
    pub(crate) fn assert_said(&self, fragment: &str) {
        let log = fs::read_to_string(&self.log).unwrap();
        assert!(log.contains(fragment), "no {fragment:?} in\n{log}");
    }

    /// Ends the test if it has said `fragment` on standard error.
    #[track_caller]
    pub(crate) fn assert_not_said(&self, fragment: &str) {
        let log = fs::read_to_string(&self.log).unwrap();
        assert!(!log.contains(fragment), "{fragment:?} in\n{log}");
    }

    /// Waits until it has said `fragment` on standard error.
    #[track_caller]
    pub(crate) fn wait_said(&self, fragment: &str) {
        wait_until(&format!("it said {fragment:?}"), || {
            fs::read_to_string(&self.log).unwrap().contains(fragment)
        });
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, and returns its status.
    pub(crate) fn wait(&mut self) -> i32 {
        let mut status = None;
        wait_until("the command has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code().unwrap()
    }

    /// Waits for its end by a signal that it could not refuse.
    pub(crate) fn wait_killed(&mut self) {
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            // Its program is stopped with it; only when it does not do that, it is killed.
            kill_process(Pid::from_child(&self.child), Signal::QUIT).unwrap();
            let asked = Instant::now();
            while self.child.try_wait().unwrap().is_none() {
                if asked.elapsed() > PATIENCE {
                    self.child.kill().unwrap();
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Waits for something that is bound to happen.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A shell program that appends a line with its token to a file, and runs until it is asked to stop.
pub(crate) fn leader(log: &Path) -> String {
    format!(
        "trap 'exit 0' TERM; echo $INCUMBENT_FENCING_TOKEN >> {}; while :; do sleep 0.05; done",
        log.display()
    )
}
