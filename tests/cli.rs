//! The command, as a user at a shell meets it: what it prints, what it ends with, and what it never
//! shows.

mod support;

#[path = "cli/documented.rs"]
mod documented;
#[path = "cli/handover.rs"]
mod handover;
#[path = "cli/health.rs"]
mod health;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/hints.rs"]
mod hints;
#[path = "cli/home.rs"]
mod home;
#[path = "cli/hosts.rs"]
mod hosts;
#[path = "cli/input.rs"]
mod input;
#[path = "cli/limits.rs"]
mod limits;
#[path = "cli/lists.rs"]
mod lists;
#[path = "cli/manager.rs"]
mod manager;
#[path = "cli/measures.rs"]
mod measures;
#[path = "cli/night.rs"]
mod night;
#[path = "cli/operate.rs"]
mod operate;
#[path = "cli/orders.rs"]
mod orders;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/reaching.rs"]
mod reaching;
#[path = "cli/readings.rs"]
mod readings;
#[path = "cli/schemas.rs"]
mod schemas;
#[path = "cli/secrets.rs"]
mod secrets;
#[path = "cli/show.rs"]
mod show;
#[path = "cli/sources.rs"]
mod sources;
#[path = "cli/statuses.rs"]
mod statuses;
#[path = "cli/stuck_log.rs"]
mod stuck_log;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/transcript.rs"]
mod transcript;
#[path = "cli/unit.rs"]
mod unit;
#[path = "cli/watch.rs"]
mod watch;
