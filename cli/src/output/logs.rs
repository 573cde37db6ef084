//! The log: on standard error, as text or as JSON.

mod outlet;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, stderr};
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

use outlet::Outlet;

use crate::config::settings::{LogFormat, Settings};

/// Starts the log as configured, once.
pub(crate) fn start(settings: &Settings) {
    // It was checked to be one of the levels.
    let level = settings.values.log_level.parse();
    start_as(
        level.unwrap_or(LevelFilter::INFO),
        settings.values.log_format,
    );
}

/// Starts the log at this level and in this format, once.
pub(crate) fn start_as(level: LevelFilter, format: LogFormat) {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    // Without a standard error there is nowhere to log.
    let Ok(outlet) = Outlet::stderr(format) else {
        return;
    };
    // A panic is logged in the same way: a process that waits for a reader while it unwinds does nothing else.
    std::panic::set_hook(Box::new(|panic| match Backtrace::capture() {
        trace if trace.status() == BacktraceStatus::Captured => {
            tracing::error!("{panic}\n{trace}");
        }
        _ => tracing::error!("{panic}"),
    }));
    let lines = fmt()
        .with_max_level(level)
        .with_writer(Arc::new(outlet))
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(stderr().is_terminal() && !no_color);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .init(),
    }
}
