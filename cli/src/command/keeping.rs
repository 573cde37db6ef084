//! The keeper of the program: `run` launches it, from this binary.

use std::io;
use std::process::ExitCode;

use crate::supervise::{self, Entry, Keeper, Launch, Launched, ReleaseContext};
use incumbent::protocol::LossReason;
use tracing_subscriber::filter::LevelFilter;

use super::limits;
use crate::config::settings::{LogFormat, Settings};
use crate::exit::{Exit, Failure};
use crate::output::logs;

/// How the keeper writes its log; once the elector is dead it is the only writer.
const LOG_FORMAT: &str = "INCUMBENT_LOG_FORMAT";

/// Runs as the keeper until nothing is left to keep.
pub(crate) fn keep(entry: io::Result<Entry>) -> ExitCode {
    let format = match std::env::var_os(LOG_FORMAT) {
        Some(format) if format == "json" => LogFormat::Json,
        Some(_) | None => LogFormat::Text,
    };
    logs::start_as(LevelFilter::WARN, format);
    match entry {
        Ok(entry) => supervise::keep(entry, |orphan| {
            supervise::release(&orphan, LossReason::ElectorDied);
        }),
        Err(error) => {
            tracing::error!("{error}");
            Exit::Usage.into()
        }
    }
}

/// Starts a keeper.
///
/// # Errors
///
/// When the system cannot.
pub(crate) fn launch(settings: &Settings) -> Result<Launched, Failure> {
    let format = match settings.values.log_format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    limits::check()?;
    let launched = Launch::new().env(LOG_FORMAT, format).start();
    launched.map_err(|error| limits::refused("the keeper cannot be started", &error))
}

/// Connects a keeper with the runtime of this thread.
///
/// # Errors
///
/// When the system cannot.
pub(crate) fn connect(launched: Launched) -> Result<Keeper, Failure> {
    Keeper::attach(launched)
        .map_err(|error| Failure::internal(format_args!("the keeper cannot be reached: {error}")))
}

/// The same, and gives it what it may have to release.
///
/// # Errors
///
/// When the system cannot.
pub(crate) fn attach(launched: Launched, context: &ReleaseContext) -> Result<Keeper, Failure> {
    let mut keeper = connect(launched)?;
    keeper.set_context(context.to_bytes());
    Ok(keeper)
}

/// Reaps orphans: this process is PID 1, or a keeper died.
pub(crate) fn reap() {
    if let Err(error) = supervise::reap_orphans() {
        tracing::warn!("dead processes cannot be found, and stay zombies: {error}");
    }
}
