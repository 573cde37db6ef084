//! The options that commands have in common, in groups: the help shows each group under its heading.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use crate::config::keys;

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
    /// A shell command that prints the password for stores whose URL has none; it runs for each connection
    #[arg(long, value_name = "COMMAND")]
    pub(crate) password_cmd: Option<String>,
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
    /// The signal that asks the program to stop; sent to incumbent it does what SIGTERM does [default: SIGTERM]
    #[arg(long, value_name = "SIGNAL", value_parser = PossibleValuesParser::new(keys::STOP_SIGNALS))]
    pub(crate) stop_signal: Option<String>,
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
