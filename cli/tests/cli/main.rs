//! The command, as a user at a shell meets it: what it prints, what it ends with, and what it never
//! shows.

#[path = "../../../tests/support/mod.rs"]
mod support;

mod containment;
mod declared;
mod documented;
mod families;
mod forgotten;
mod formats;
mod handover;
mod health;
#[path = "../../../tests/support/held.rs"]
#[allow(unreachable_pub, reason = "it is shared with other test programs")]
mod held;
mod help;
mod hints;
mod home;
mod hosts;
mod input;
mod limits;
mod lists;
mod locks;
mod manager;
mod measures;
mod night;
mod operate;
mod orders;
mod places;
mod program;
mod reaching;
mod readings;
mod restart;
mod schemas;
mod seats;
mod secrets;
mod shared_home;
mod show;
mod sources;
mod statuses;
mod stuck_log;
mod terminal;
mod ticks;
mod transcript;
mod unit;
mod watch;
