//! The command line as typed. `settings` interprets it.

mod after_help;
mod options;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

use after_help::{
    AFTER_HELP, CANDIDATES_AFTER_HELP, COMPLETIONS_AFTER_HELP, CONFIG_AFTER_HELP,
    DEPOSE_AFTER_HELP, DOCTOR_AFTER_HELP, EXPLAIN_AFTER_HELP, HISTORY_AFTER_HELP, LIST_AFTER_HELP,
    LOCK_AFTER_HELP, MAN_AFTER_HELP, ONCE_AFTER_HELP, PAUSE_AFTER_HELP, RELEASE_AFTER_HELP,
    RESIGN_AFTER_HELP, RESUME_AFTER_HELP, RUN_AFTER_HELP, STATUS_AFTER_HELP, UNIT_AFTER_HELP,
    WATCH_AFTER_HELP,
};
pub(crate) use options::{
    ALL, Flags, Format, LOCK, ONCE, ORDER, OutputOptions, READ, RUN, TIMING, Typed,
};

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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Campaign, and run a program while elected
    #[command(after_help = RUN_AFTER_HELP)]
    Run(Box<Run>),
    /// Wait for a lock, run a program once while holding it, and exit with its status
    #[command(after_help = LOCK_AFTER_HELP)]
    Lock(Box<Run<LOCK>>),
    /// Run a program once, although many hosts start it at the same time
    #[command(after_help = ONCE_AFTER_HELP)]
    Once(Box<Run<ONCE>>),
    /// Show who holds an election
    #[command(after_help = STATUS_AFTER_HELP)]
    Status(Look),
    /// Show all elections of the stores
    #[command(after_help = LIST_AFTER_HELP)]
    List(List),
    /// Show elections as they change, until interrupted
    #[command(after_help = WATCH_AFTER_HELP)]
    Watch(Watch),
    /// Show past leaders of an election, why each term ended, and each gap without a leader
    #[command(after_help = HISTORY_AFTER_HELP)]
    History(History),
    /// Show who campaigns for an election
    #[command(after_help = CANDIDATES_AFTER_HELP)]
    Candidates(Look),
    /// Ask the leader to stop its work and hand over
    #[command(after_help = RESIGN_AFTER_HELP)]
    Resign(Resign),
    /// Pause elections; the current leader keeps leading
    #[command(after_help = PAUSE_AFTER_HELP)]
    Pause(Pause),
    /// Lift a pause
    #[command(after_help = RESUME_AFTER_HELP)]
    Resume(Order),
    /// Remove a leader whose heartbeat has stalled
    #[command(after_help = DEPOSE_AFTER_HELP)]
    Depose(Depose),
    /// Examine the stores: what is dangerous about them, and what to do
    #[command(after_help = DOCTOR_AFTER_HELP)]
    Doctor(Doctor),
    /// Explain a timing: worst-case failover, tolerated outage, margins
    #[command(after_help = EXPLAIN_AFTER_HELP)]
    Explain(Explain),
    /// Check the configuration, or show each value and its source
    #[command(subcommand, arg_required_else_help = true, after_help = CONFIG_AFTER_HELP)]
    Config(Config),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_AFTER_HELP)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = MAN_AFTER_HELP)]
    Man,
    /// Release the term of an elector that died, once its processes are gone
    #[command(after_help = RELEASE_AFTER_HELP)]
    Release(Release),
    /// Print a systemd unit that runs a program while elected, with the current settings
    #[command(after_help = UNIT_AFTER_HELP)]
    Unit(Box<Unit>),
}

#[derive(Debug, Args)]
pub(crate) struct Run<const GROUPS: u8 = RUN> {
    /// The election: 1 to 200 bytes, no control characters, no braces
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The program to run while elected, and its arguments; defaults to the key `program` of the
    /// configuration file
    #[arg(last = true, num_args = 1.., value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
    #[command(flatten)]
    pub(crate) flags: Flags<GROUPS>,
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
    pub(crate) flags: Flags<READ>,
}

#[derive(Debug, Args)]
pub(crate) struct Unit {
    /// The election
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The program to run while elected, and its arguments
    #[arg(last = true, required = true, num_args = 1.., value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
    #[command(flatten)]
    pub(crate) flags: Flags<RUN>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// How many elections, by name
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) flags: Flags<READ>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// Looking at one election.
#[derive(Debug, Args)]
pub(crate) struct Look<const GROUPS: u8 = READ> {
    /// The election
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) flags: Flags<GROUPS>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// An order for one election. Of the timing, only the interval and the window count.
pub(crate) type Order = Look<ORDER>;

#[derive(Debug, Args)]
pub(crate) struct History {
    /// How many terms, the newest first
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) terms: u16,
    #[command(flatten)]
    pub(crate) look: Look,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The election [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How often to look [default: 1s]
    #[arg(long, value_name = "DURATION")]
    pub(crate) interval: Option<String>,
    #[command(flatten)]
    pub(crate) flags: Flags<READ>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Resign {
    /// Prefer this standby for one window: its candidate id, its host, or the label that --id gave it
    #[arg(long, value_name = "CANDIDATE|HOST|LABEL")]
    pub(crate) to: Option<String>,
    /// Wait until another candidate leads; print which one, and how long no one led
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most; implies --wait [default: two windows, four intervals and the stop
    /// timeout]
    #[arg(long, value_name = "DURATION")]
    pub(crate) wait_timeout: Option<String>,
    /// Resign even if the election is paused: no one is elected until it is resumed
    #[arg(long)]
    pub(crate) anyway: bool,
    #[command(flatten)]
    pub(crate) order: Order,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// The reason shown to other operators: one line, at most 200 bytes
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// For how long, by the clocks of the stores [default: until it is resumed]
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) lasts: Option<String>,
    #[command(flatten)]
    pub(crate) order: Order,
}

#[derive(Debug, Args)]
pub(crate) struct Depose {
    /// Do it; without this, only show what would be done
    #[arg(long)]
    pub(crate) yes: bool,
    /// Do not wait for the heartbeat to stall. Only for a leader that is known to be dead: one
    /// that is alive acts beside the next one until it gets the order
    #[arg(long)]
    pub(crate) unsafe_now: bool,
    #[command(flatten)]
    pub(crate) order: Order,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The election to compare the timing with; without it, only the stores are examined
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) flags: Flags<ORDER>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The election whose configuration file is read
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) flags: Flags<TIMING>,
    /// How long one request may take [default: one interval, at most 1s]
    #[arg(long, value_name = "DURATION", help_heading = "Timing")]
    pub(crate) op_timeout: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration: exit status 0, or 78 with the reason
    #[command(after_help = CONFIG_AFTER_HELP)]
    Check {
        /// The election whose configuration file is read
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        flags: Flags<ALL>,
    },
    /// Show every value and its source; secrets are hidden
    #[command(after_help = CONFIG_AFTER_HELP)]
    Show {
        /// The election whose configuration file is read
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        flags: Flags<ALL>,
        #[command(flatten)]
        output: OutputOptions,
    },
}
