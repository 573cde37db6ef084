//! The keeper of the program: `run` launches it, from this binary.

use std::io;
use std::process::ExitCode;

use crate::supervise::{
    self, Contain, Containment, Entry, Keeper, Launch, Launched, ReleaseContext,
};
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

/// Starts a keeper for the program.
///
/// # Errors
///
/// When the system cannot.
pub(crate) fn launch(settings: &Settings) -> Result<Launched, Failure> {
    start(settings, settings.values.contain, true)
}

/// Starts one for health checks, which must see the program: they are in no namespace of their own.
///
/// # Errors
///
/// When the system cannot.
pub(crate) fn launch_for_checks(settings: &Settings) -> Result<Launched, Failure> {
    start(
        settings,
        match settings.values.contain {
            Contain::Subreaper => Contain::Subreaper,
            Contain::Auto | Contain::Cgroup | Contain::Pidns => Contain::Auto,
        },
        false,
    )
}

fn start(settings: &Settings, contain: Contain, fence: bool) -> Result<Launched, Failure> {
    let format = match settings.values.log_format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    limits::check()?;
    let launched = Launch::new()
        .contain(contain)
        .fence(fence)
        .env(LOG_FORMAT, format)
        .start();
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

/// Logs what the keeper found out when it started.
pub(crate) fn log_ready(keeper: &Keeper, by: &Containment, memory_locked: bool, real_time: bool) {
    tracing::info!(
        pid = keeper.pid(),
        containment = %by,
        unfenced = by.unfenced.as_deref(),
        memory_locked,
        real_time,
        "the keeper is ready: {}",
        supervise::covers(by.level()).unwrap_or_default()
    );
}

/// The failure of a candidate whose program cannot be contained as it was asked to.
pub(crate) fn uncontained(settings: &Settings, why: &str) -> Failure {
    let origin = settings.origin("contain").map(ToString::to_string);
    Failure::configuration(format_args!(
        "contain = {} ({}) is not possible here: {why}; use --contain auto",
        settings.values.contain.word(),
        origin.unwrap_or_default(),
    ))
}

/// Reaps orphans: this process is PID 1, or a keeper died.
pub(crate) fn reap() {
    if let Err(error) = supervise::reap_orphans() {
        tracing::warn!("dead processes cannot be found, and stay zombies: {error}");
    }
}
