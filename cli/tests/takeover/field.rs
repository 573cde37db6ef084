//! A Redis, electors on it, and the file in which their programs bear witness.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use incumbent::election::clock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::environment;
use crate::support::redis::RedisServer;

/// How long something may take that is bound to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A program that reports until it is asked to stop. It waits on a pipe that no one writes to, so that it
/// starts no other process.
const REPORTER: &str = "\
trap \"$ON_TERM\" USR1 TERM
exec 9<> <(:)
while :; do
    echo \"$INCUMBENT_FENCING_TOKEN $EPOCHREALTIME\"
    read -rt 0.02 -u 9
done >> \"$LOG\"";

/// Where electors compete.
pub(crate) struct Field {
    pub(crate) server: RedisServer,
    store: String,
    directory: tempfile::TempDir,
    options: Vec<String>,
    on_term: &'static str,
}

impl Field {
    pub(crate) fn new(options: &[&str]) -> Self {
        let server = RedisServer::start();
        Self {
            store: server.url(),
            server,
            directory: tempfile::tempdir().unwrap(),
            options: options.iter().map(ToString::to_string).collect(),
            on_term: "exit 0",
        }
    }

    /// Starts the electors that follow with other options.
    pub(crate) fn set_options(&mut self, options: &[&str]) {
        self.options = options.iter().map(ToString::to_string).collect();
    }

    /// One in which the programs take no SIGTERM.
    pub(crate) fn stubborn(options: &[&str]) -> Self {
        Self {
            on_term: "",
            ..Self::new(options)
        }
    }

    /// One on an SQLite file instead of the Redis.
    pub(crate) fn on_a_file(options: &[&str]) -> Self {
        let field = Self::new(options);
        let file = field.directory.path().join("elections.db");
        Self {
            store: format!("sqlite:{}", file.display()),
            ..field
        }
    }

    /// The configuration of an elector that somebody else starts, with [`Field::environment`].
    pub(crate) fn configuration(&self) -> String {
        format!(
            "store = [{:?}]\nprogram = [\"bash\", \"-c\", '''{REPORTER}''']\n",
            self.store
        )
    }

    /// What its program needs to know.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("ON_TERM", self.on_term.to_owned()),
            ("LOG", self.log().display().to_string()),
        ]
    }

    /// Starts one more elector.
    pub(crate) fn elector(&self) -> Elector {
        self.elector_by(&[], &["bash", "-c"])
    }

    /// Starts one that `words` become, with a program of the words `by` and, behind them, what a shell
    /// has to run to report.
    pub(crate) fn elector_by(&self, words: &[&str], by: &[&str]) -> Elector {
        let line = [words, &[env!("CARGO_BIN_EXE_incumbent")]].concat();
        let mut command = Command::new(line[0]);
        environment::clear(&mut command)
            .args(&line[1..])
            .args(["run", "job", "--store", &self.store])
            .args(&self.options)
            .arg("--")
            .args(by)
            .arg(REPORTER)
            .envs(self.environment());
        let log = self
            .directory
            .path()
            .join(format!("log-{}", fastrand::u64(..)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        Elector {
            child: command.spawn().unwrap(),
            log,
        }
    }

    /// What the history records of each term that has ended, the newest first: why, and the exit status.
    pub(crate) fn endings(&self) -> Vec<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_incumbent"));
        let asked = ["history", "job", "-o", "json", "--store", &self.store];
        let told = environment::clear(&mut command).args(asked).output();
        let told = told.unwrap();
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        let terms = told["terms"].as_array().unwrap().iter();
        let ended = terms.filter(|term| !term["ended"].is_null());
        let ending = |term: &Value| match term["reason"].as_str() {
            Some(reason) => match term["status"].as_u64() {
                Some(status) => format!("{reason} {status}"),
                None => reason.to_owned(),
            },
            None => term["ended"].as_str().unwrap().to_owned(),
        };
        ended.map(ending).collect()
    }

    /// What the programs have reported so far.
    pub(crate) fn witness(&self) -> Witness {
        let mut terms: Vec<Term> = Vec::new();
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        // A line that is being written may be seen in part.
        for line in log.split_inclusive('\n') {
            let Some(line) = line.strip_suffix('\n') else {
                break;
            };
            let (token, time) = line.split_once(' ').unwrap();
            let (token, time) = (token.parse().unwrap(), parse_time(time));
            match terms.last_mut() {
                Some(term) if term.token == token => term.last = time,
                Some(_) | None => terms.push(Term {
                    token,
                    first: time,
                    last: time,
                }),
            }
        }
        Witness { terms }
    }

    /// Waits until this many terms were seen, and returns the last of them.
    pub(crate) fn wait_for_term(&self, count: usize) -> Term {
        let until = clock::now() + PATIENCE;
        loop {
            let witness = self.witness();
            if let Some(term) = witness.terms.get(count - 1) {
                return *term;
            }
            assert!(clock::now() < until, "no term {count} in {witness:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until at least this many terms were seen, and returns the exact number: a program that was
    /// started has not reported yet.
    pub(crate) fn terms_once_there_are(&self, count: usize) -> usize {
        self.wait_for_term(count);
        self.witness().terms.len()
    }

    /// A file next to the witness's.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

/// What was reported, in the order in which it was.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) terms: Vec<Term>,
}

/// The reports of one leader, until another one reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    pub(crate) token: u64,
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

impl Witness {
    /// No token went back, so none came again after another; and the times agree with that.
    pub(crate) fn assert_no_overlap(&self) {
        for pair in self.terms.windows(2) {
            assert!(pair[0].token < pair[1].token, "a token went back: {pair:?}");
            assert!(pair[0].last < pair[1].first, "two at once: {pair:?}");
        }
    }
}

/// One `incumbent run`.
pub(crate) struct Elector {
    child: Child,
    log: PathBuf,
}

impl Elector {
    /// Waits until its log has a line with `text`, and returns the first such line.
    pub(crate) fn hear(&self, text: &str) -> String {
        let until = clock::now() + PATIENCE;
        loop {
            let log = fs::read_to_string(&self.log).unwrap();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(clock::now() < until, "no {text:?} in {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn wait_until_leading(&self) {
        self.hear("started the program");
    }

    /// Waits until it knows the leader, and has everything ready to follow it.
    pub(crate) fn wait_until_standing_by(&self) {
        self.hear("the keeper is ready");
        self.hear("standing by:");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end, and returns its status.
    pub(crate) fn status(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn signal_keeper(&self, signal: Signal) {
        kill_process(self.keeper(), signal).unwrap();
    }

    pub(crate) fn keeper(&self) -> Pid {
        pid(&self.hear("the keeper is ready"))
    }

    pub(crate) fn signal_program(&self, signal: Signal) {
        kill_process(self.program(), signal).unwrap();
    }

    pub(crate) fn is_program_alive(&self) -> bool {
        fs::read(format!("/proc/{}/environ", self.program()))
            .is_ok_and(|environment| !environment.is_empty())
    }

    pub(crate) fn program(&self) -> Pid {
        pid(&self.hear("started the program"))
    }
}

/// Its keeper ends whatever it had started.
impl Drop for Elector {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The number behind `pid=` in a line of the log.
pub(crate) fn pid(line: &str) -> Pid {
    let (_, rest) = line.split_once(" pid=").unwrap();
    let digits = rest.split(' ').next().unwrap();
    Pid::from_raw(digits.parse().unwrap()).unwrap()
}

fn parse_time(text: &str) -> Duration {
    let (seconds, micros) = text.split_once('.').unwrap();
    Duration::from_secs(seconds.parse().unwrap()) + Duration::from_micros(micros.parse().unwrap())
}

/// The clock of `EPOCHREALTIME` in bash, also under `faketime`.
#[expect(
    clippy::disallowed_methods,
    reason = "bash has no other clock of this resolution"
)]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}
