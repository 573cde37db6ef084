//! The commands of `incumbent`, one file each.
//!
//! ```text
//!   config::settings
//!     ▼
//!   run (lock, once), status, list, watch, history, candidates, doctor, explain, configuration, manual
//!   resign, pause, resume, depose, forget ─▶ operator
//!     │         └──▶ report ─▶ output        data on standard output: text or JSON
//!     └──▶ keeping                          logs on standard error
//!   exit        what each outcome ends with
//! ```

mod advice;
mod candidates;
mod configuration;
mod depose;
mod doctor;
mod electorate;
mod explain;
mod forget;
mod history;
mod keeping;
mod limits;
mod list;
mod manual;
mod notify;
mod operator;
mod pause;
mod program;
mod release;
mod report;
mod resign;
mod resume;
mod run;
mod status;
mod unit;
mod user;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use incumbent::protocol::ElectionName;
use tokio::runtime::{Builder, Runtime};

use crate::config::args::{Arguments, Command, Look, Typed};
use crate::config::environment;
use crate::config::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::supervise::{self, Entry};
use run::Task;

/// The entry point: a keeper if `incumbent` launched it as one, otherwise the command.
pub fn main() -> ExitCode {
    // First, because a keeper has one thread and as little memory as possible.
    match Entry::take() {
        Some(entry) => keeping::keep(entry),
        None => command(),
    }
}

/// Runs the command.
fn command() -> ExitCode {
    environment::take();
    if let Err(error) = supervise::unblock_signals() {
        warn_of(&format!("signals that are blocked stay blocked: {error}"));
    }
    // The parser of the command line needs more than some have.
    if let Err(failure) = limits::check_stack() {
        return failed(&failure);
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => return answered(&answer).into(),
    };
    let done = match arguments.command {
        Command::Run(run) => run::run(*run, Task::Service),
        Command::Lock(lock) => run::run(*lock, Task::Lock),
        Command::Once(once) => run::run(*once, Task::Once),
        Command::Status(look) => status::status(&look),
        Command::List(list) => list::list(&list),
        Command::Watch(watch) => watch::watch(&watch),
        Command::History(history) => history::history(&history),
        Command::Candidates(look) => candidates::candidates(&look),
        Command::Resign(resign) => resign::resign(&resign),
        Command::Pause(pause) => pause::pause(&pause),
        Command::Resume(order) => resume::resume(&order),
        Command::Depose(depose) => depose::depose(&depose),
        Command::Forget(forget) => forget::forget(&forget),
        Command::Doctor(doctor) => doctor::doctor(&doctor),
        Command::Explain(explain) => explain::explain(&explain),
        Command::Config(config) => configuration::configuration(&config),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man => manual::man(),
        Command::Release(release) => release::release(&release),
        Command::Unit(unit) => unit::unit(&unit),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    output::complain(&format!(
        "incumbent: {}",
        output::one_line(&failure.to_string())
    ));
    failure.exit.into()
}

/// Prints help, the version, or what is wrong with the command line.
fn answered(answer: &clap::Error) -> Exit {
    // If this cannot be printed, nothing can.
    let printed = answer.print();
    if lacks_dashes(answer) {
        output::complain(
            "the program and its arguments go after --, as in incumbent run NAME -- PROGRAM…",
        );
    }
    match (answer.use_stderr(), printed) {
        (false, Ok(())) => Exit::Success,
        (false, Err(_)) => Exit::Failed,
        (true, _) => Exit::Usage,
    }
}

/// Whether a program was named without the two dashes in front of it.
fn lacks_dashes(answer: &clap::Error) -> bool {
    let words: Vec<_> = std::env::args_os().collect();
    answer.kind() == clap::error::ErrorKind::UnknownArgument
        && words
            .get(1)
            .is_some_and(|word| ["run", "lock", "once", "unit"].iter().any(|it| word == it))
        && !words.iter().any(|word| word == "--")
}

/// An event loop on this thread, and the threads of the elections.
fn runtime() -> Result<Runtime, Failure> {
    limits::check()?;
    limits::start_threads()?;
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| limits::refused("an event loop cannot be made", &error))
}

/// The election to look at, and the settings to find it with.
fn reading<const GROUPS: u8>(look: &Look<GROUPS>) -> Result<(ElectionName, Settings), Failure> {
    let name = ElectionName::new(&look.name).map_err(|error| Failure::new(Exit::Usage, error))?;
    let settings = settings(&look.flags.0, Some(&name))?;
    Ok((name, settings))
}

/// The settings, for a command without a log: the warnings about them are printed.
fn settings(typed: &Typed, name: Option<&ElectionName>) -> Result<Settings, Failure> {
    let settings = Settings::load(typed, name)?;
    settings.warnings.iter().for_each(|odd| warn_of(odd));
    Ok(settings)
}

fn optional_name(name: Option<&str>) -> Result<Option<ElectionName>, Failure> {
    let checked = name.map(ElectionName::new).transpose();
    checked.map_err(|error| Failure::new(Exit::Usage, error))
}

/// Prints a warning, for commands without a log.
fn warn_of(odd: &str) {
    output::complain(&format!("incumbent: warning: {}", output::one_line(odd)));
}
