//! What was typed. What it means is decided in `settings`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::keys;

/// Keeps exactly one instance of a program active over many hosts.
#[derive(Debug, Parser)]
#[command(
    name = "incumbent",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = AFTER_HELP
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Every option --some-name is also the environment variable INCUMBENT_SOME_NAME and the key some_name of \
the configuration file; the first of these that is given counts. The password of a store is read from \
--password-file, from INCUMBENT_PASSWORD, or from the file.";

const RUN_AFTER_HELP: &str = "\
The program gets INCUMBENT_ELECTION, INCUMBENT_FENCING_TOKEN and INCUMBENT_CANDIDATE_ID.

Exit status: the program's own, or 128 + the signal that killed it; 64 wrong usage, 69 store unreachable \
(--no-wait), 75 not elected (--no-wait, --wait-timeout), 77 refused by the store, 78 wrong configuration, \
124 leadership lost, or the program unhealthy, and the program stopped, 125 incumbent itself failed, 126 the program cannot be \
executed, 127 the program was not found.

Every option --some-name is also the environment variable INCUMBENT_SOME_NAME and the key some_name of \
the configuration file; the first of these that is given counts.";

const STATUS_AFTER_HELP: &str = "\
Exit status: 0 held, 3 not held, 64 wrong usage, 69 too few stores answered, 77 refused by the stores, 78 \
wrong configuration.";

const LIST_AFTER_HELP: &str = "\
Exit status: 0 (also when there is no election), 64 wrong usage, 69 too few stores answered, 77 refused \
by the stores, 78 wrong configuration.";

const RELEASE_AFTER_HELP: &str = "\
For ExecStopPost= of a unit: --after-unit reads which term to release from the unit's runtime directory, \
waits until no process of the unit is left, and does nothing when the elector has released by itself.

Exit status: 0 released, or nothing to release; 64 wrong usage, 69 too few stores answered, 75 processes \
of the unit are still alive, so nothing was released; 78 wrong configuration.";

const WATCH_AFTER_HELP: &str = "\
On a terminal the table is redrawn in place; elsewhere, and with -o json, one line is written for each \
change. Exit status: 0 when interrupted, 64 wrong usage, 78 wrong configuration.";

const CANDIDATES_AFTER_HELP: &str = "\
Exit status: 0, 3 nobody campaigns, 64 wrong usage, 69 too few stores answered, 77 refused by the stores, \
78 wrong configuration.";

const ORDER_AFTER_HELP: &str = "\
Exit status: 0 ordered, 64 wrong usage, 69 no majority of the stores took the order, 77 refused by the \
stores, 78 wrong configuration.";

const RESIGN_AFTER_HELP: &str = "\
The leader hears of it within one interval, stops its work, and releases when that has ended. It sits out \
one window before it campaigns again; with --to, everybody but the one named does.

Exit status: 0 ordered, or with --wait: somebody else leads; 3 nobody leads, so there is nobody to resign; \
64 wrong usage, or no standby is the one named; 69 no majority of the stores took the order, 75 --wait ran \
out, 77 refused by the stores, 78 wrong configuration.";

const DEPOSE_AFTER_HELP: &str = "\
It watches the election, and vacates it only if its counter stands still for the window of its holder, as \
long as a standby would wait.

Exit status: 0 deposed, 3 nobody holds it, 64 wrong usage or no --yes, 69 no majority of the stores took the \
order, 75 the holder is alive, 77 refused by the stores, 78 wrong configuration.";

const DOCTOR_AFTER_HELP: &str = "\
On a Redis it tries the four operations for real, on a scratch election that it removes again.

Exit status: 0 nothing found, 1 something to look at, 2 something that endangers the election, 64 wrong \
usage, 78 wrong configuration.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Campaign, and run a program while elected
    #[command(after_help = RUN_AFTER_HELP)]
    Run(Box<Run>),
    /// Show who holds an election
    #[command(after_help = STATUS_AFTER_HELP)]
    Status(Status),
    /// Show all elections of the stores
    #[command(after_help = LIST_AFTER_HELP)]
    List(List),
    /// Show elections as they change, until interrupted
    #[command(after_help = WATCH_AFTER_HELP)]
    Watch(Watch),
    /// Show who led an election, why each term ended, and how long nobody led
    #[command(after_help = LIST_AFTER_HELP)]
    History(History),
    /// Show who campaigns for an election
    #[command(after_help = CANDIDATES_AFTER_HELP)]
    Candidates(Candidates),
    /// Ask the leader to stop its work and hand over
    #[command(after_help = RESIGN_AFTER_HELP)]
    Resign(Resign),
    /// Have nobody elected for a while; whoever leads goes on
    #[command(after_help = ORDER_AFTER_HELP)]
    Pause(Pause),
    /// Lift a pause
    #[command(after_help = ORDER_AFTER_HELP)]
    Resume(Resume),
    /// Take a holder that stands still for gone
    #[command(after_help = DEPOSE_AFTER_HELP)]
    Depose(Depose),
    /// Examine the stores: what is dangerous about them, and what to do
    #[command(after_help = DOCTOR_AFTER_HELP)]
    Doctor(Doctor),
    /// Tell what a timing means: worst-case failover, tolerated outage, margins
    Explain(Explain),
    /// Check the configuration, or show it with where each value came from
    #[command(subcommand, arg_required_else_help = true)]
    Config(Config),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Release the term of an elector that died, once its processes are gone
    #[command(after_help = RELEASE_AFTER_HELP)]
    Release(Release),
    /// Print a ready systemd unit that runs a program while elected
    Unit(Unit),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The election: 1 to 200 bytes, no control characters, no braces
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The program to run while elected, and its arguments; the key `program` of the configuration file
    /// takes its place when it is not given
    #[arg(last = true, num_args = 1.., value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The election
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Release the term that the elector of this unit held
    #[arg(long, required = true)]
    pub(crate) after_unit: bool,
    #[command(flatten)]
    pub(crate) stores: StoreOptions,
    #[command(flatten)]
    pub(crate) general: GeneralOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Unit {
    /// The election
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The program to run while elected, and its arguments
    #[arg(last = true, required = true, num_args = 1.., value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
    /// A store, as for `run`; without any the unit elects among the processes of its host
    #[arg(long = "store", value_name = "URL")]
    pub(crate) stores: Vec<String>,
}

/// Every option there is: `run` takes them all, and `config` shows what they come to.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) stores: StoreOptions,
    #[command(flatten)]
    pub(crate) timing: TimingOptions,
    #[command(flatten)]
    pub(crate) running: RunOptions,
    #[command(flatten)]
    pub(crate) general: GeneralOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The election
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) stores: StoreOptions,
    #[command(flatten)]
    pub(crate) general: GeneralOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) stores: StoreOptions,
    #[command(flatten)]
    pub(crate) general: GeneralOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// Looking at one election.
#[derive(Debug, Args)]
pub(crate) struct Look {
    /// The election
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) stores: StoreOptions,
    #[command(flatten)]
    pub(crate) general: GeneralOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) look: Look,
    /// How many terms, the newest first
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) terms: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Candidates {
    #[command(flatten)]
    pub(crate) look: Look,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The election; all of them without it
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How often to look [default: 1s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) interval: Option<String>,
    #[command(flatten)]
    pub(crate) stores: StoreOptions,
    #[command(flatten)]
    pub(crate) general: GeneralOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Resign {
    #[command(flatten)]
    pub(crate) look: Look,
    /// Who is to lead next, by the id of a candidate or by its host; it is preferred for one window
    #[arg(long, value_name = "CANDIDATE|HOST")]
    pub(crate) to: Option<String>,
    /// Wait until somebody else leads, and tell who, and how long nobody led
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at the most; implies --wait [default: two windows, four intervals and the stop
    /// timeout]
    #[arg(long, value_name = "DURATION")]
    pub(crate) wait_timeout: Option<String>,
    #[command(flatten)]
    pub(crate) timing: TimingOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) look: Look,
    /// Why, for whoever looks: one line, at most 200 bytes
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// For how long, by the clocks of the stores [default: until it is resumed]
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) lasts: Option<String>,
    #[command(flatten)]
    pub(crate) timing: TimingOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) look: Look,
    #[command(flatten)]
    pub(crate) timing: TimingOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Depose {
    #[command(flatten)]
    pub(crate) look: Look,
    /// Do it; without this, only tell what would be done
    #[arg(long)]
    pub(crate) yes: bool,
    /// Do not wait for the counter to stand still. A leader that is alive then acts beside the next one
    /// until it hears of it: only for one that is known to be dead
    #[arg(long)]
    pub(crate) unsafe_now: bool,
    #[command(flatten)]
    pub(crate) timing: TimingOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The election to compare the timing with; only the stores without it
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) stores: StoreOptions,
    #[command(flatten)]
    pub(crate) timing: TimingOptions,
    #[command(flatten)]
    pub(crate) general: GeneralOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The election whose configuration file is read
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) timing: TimingOptions,
    /// How long one request may take [default: one interval, at most 1s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) op_timeout: Option<String>,
    #[command(flatten)]
    pub(crate) general: GeneralOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration: exit status 0, or 78 with the reason
    Check {
        /// The election whose configuration file is read
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Show every value with where it came from; secrets are not shown
    Show {
        /// The election whose configuration file is read
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        options: Box<Options>,
        #[command(flatten)]
        output: OutputOptions,
    },
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Stores")]
pub(crate) struct StoreOptions {
    /// Where the election is kept; give it 1, 3 or 5 times: redis://HOST, sqlite:PATH, …
    /// [default: an SQLite file of this user, on this host]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Vec<String>,
    /// What the keys of a Redis begin with [default: "incumbent:"]
    #[arg(long, value_name = "TEXT")]
    pub(crate) key_prefix: Option<String>,
    /// The user name for stores whose URL has none
    #[arg(long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// A file with the password for stores whose URL has none
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<String>,
    /// How long one request may take [default: one interval, at most 1s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) op_timeout: Option<String>,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Timing")]
pub(crate) struct TimingOptions {
    /// Time between two heartbeats, and between two polls [default: 1s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) interval: Option<String>,
    /// How many polls a counter must stand still before a takeover [default: 5]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) stall_polls: Option<u32>,
    /// How long before the end of its tenure a leader stops the program [default: 1s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) stop_grace: Option<String>,
    /// How long to wait when stores may have forgotten a leader [default: the window]
    #[arg(long, value_name = "DURATION")]
    pub(crate) probation: Option<String>,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Running")]
pub(crate) struct RunOptions {
    /// How long a program that was asked to stop may take before it is killed [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) stop_timeout: Option<String>,
    /// Let the program read the standard input [default: it reads nothing]
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Start the program again when it ends, up to 3 times within 60s; then resign and sit out. Stand by
    /// again when the leadership was lost
    #[arg(long)]
    pub(crate) restart: bool,
    /// How long to sit out after that before campaigning again [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) sit_out: Option<String>,
    /// Check the health of the program with this command, run by /bin/sh: status 0 is healthy
    #[arg(long, value_name = "COMMAND")]
    pub(crate) health_cmd: Option<String>,
    /// Time from one health check to the next [default: 5s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) health_interval: Option<String>,
    /// How long a health check may take; then it is killed, and has failed [default: 5s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) health_timeout: Option<String>,
    /// How many checks passed in a row make the program healthy [default: 2]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) health_rise: Option<u32>,
    /// How many failed checks make it unhealthy: it is stopped, and the leadership resigned [default: 3]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) health_fall: Option<u32>,
    /// How long after its start a program that was not healthy yet may fail and be silent [default: 0s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) health_start_period: Option<String>,
    /// Take a program for unhealthy that sends no WATCHDOG=1 to NOTIFY_SOCKET for so long
    #[arg(long, value_name = "DURATION")]
    pub(crate) watchdog: Option<String>,
    /// What this candidate is called in status and logs [default: host and process id]
    #[arg(long, value_name = "LABEL")]
    pub(crate) id: Option<String>,
    /// End at once when somebody else holds the election
    #[arg(long, conflicts_with = "wait_timeout")]
    pub(crate) no_wait: bool,
    /// How long to wait for being elected [default: for ever]
    #[arg(long, value_name = "DURATION")]
    pub(crate) wait_timeout: Option<String>,
    /// The exit status when not elected (--no-wait, --wait-timeout) [default: 75]
    #[arg(long, value_name = "STATUS")]
    pub(crate) conflict_exit_code: Option<u8>,
    /// Serve health, metrics and a page over HTTP: PORT for this host only, or IP:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// A file with the token that lets its bearer have the leader resign over HTTP
    #[arg(long, value_name = "FILE")]
    pub(crate) control_token_file: Option<String>,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "General")]
pub(crate) struct GeneralOptions {
    /// The configuration file [default: the first of /etc/incumbent/NAME.toml and
    /// $XDG_CONFIG_HOME/incumbent/config.toml that exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How the log on standard error is written [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(keys::LOG_FORMATS))]
    pub(crate) log_format: Option<String>,
    /// What is logged [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = PossibleValuesParser::new(keys::LOG_LEVELS))]
    pub(crate) log_level: Option<String>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputOptions {
    /// How the result is written on standard output
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; coloured on a terminal unless NO_COLOR is set
    Text,
    /// For programs: a stable schema with a version
    Json,
}
