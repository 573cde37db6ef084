//! Whether the program is healthy, by its checks and its own watchdog messages.
//!
//! ```text
//!   --health-cmd   its own keeper runs it, kills its tree at the timeout ───────▶ rise and fall ──┐
//!                                                                                                ├──▶ unhealthy
//!   --watchdog     the program's WATCHDOG=1 on our socket, or none for too long ──────────────────┘
//! ```
//!
//! It only judges; `leading` decides what to do.

mod check;
mod datagram;
mod watchdog;

use std::future::pending;

use crate::http::ProgramCounters;
use crate::supervise::{Condition, Health, Program};
use incumbent::election::clock;

use crate::config::settings::{HealthSettings, Settings};
use crate::exit::Failure;
use check::Check;
use watchdog::{Sign, Watchdog};

/// Judges one program after the other.
pub(super) struct Vitals<'a> {
    settings: HealthSettings,
    counters: &'a ProgramCounters,
    check: Option<Check<'a>>,
    watchdog: Option<Watchdog>,
    /// The counts of the running program that is checked.
    health: Option<Health>,
    /// Whether the program was asked to stop, or has ended. What it sends is read, and has no effect.
    is_over: bool,
}

impl<'a> Vitals<'a> {
    /// # Errors
    ///
    /// When the notify socket cannot be created.
    pub(super) fn new(
        settings: &'a Settings,
        counters: &'a ProgramCounters,
    ) -> Result<Self, Failure> {
        let health = settings.health()?;
        let watchdog = health.watchdog.map(Watchdog::listen).transpose();
        let watchdog = watchdog.map_err(|error| {
            Failure::internal(format_args!(
                "there is no socket for the program's WATCHDOG=1: {error}"
            ))
        })?;
        Ok(Self {
            check: health
                .check
                .clone()
                .map(|check| Check::new(settings, check)),
            watchdog,
            settings: health,
            counters,
            health: None,
            is_over: true,
        })
    }

    /// A program is about to be started: passes `NOTIFY_SOCKET` to it if a watchdog is set.
    pub(super) fn introduce(&mut self, program: Program) -> Program {
        self.is_over = false;
        match &self.watchdog {
            Some(watchdog) => watchdog.introduce(program),
            None => program,
        }
    }

    /// The program has been started, and has this pid: its checks get its environment, and the pid. One that was asked
    /// to stop while it was being started is not checked.
    pub(super) fn begin(&mut self, program: &Program, pid: i32) {
        if self.is_over {
            return;
        }
        let now = clock::now();
        let start_period = self.settings.start_period;
        self.health = Some(Health::new(
            self.settings.rise,
            self.settings.fall,
            now + start_period,
        ));
        if let Some(check) = &mut self.check {
            check.begin(program, pid, now);
        }
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.begin(now + start_period);
        }
    }

    /// The program is being stopped, or has exited: it is not checked any more.
    pub(super) fn end(&mut self) {
        (self.health, self.is_over) = (None, true);
        if let Some(check) = &mut self.check {
            check.end();
        }
    }

    /// Waits for the next event of the checks below `keeper`, and returns, once, why the program is unhealthy.
    /// Cancel safe.
    pub(super) async fn news(&mut self, keeper: i32) -> Option<String> {
        if self.health.is_none() {
            return match &self.watchdog {
                Some(watchdog) if self.is_over => watchdog.discard().await,
                Some(_) | None => pending().await,
            };
        }
        let (check, watchdog) = (&mut self.check, &mut self.watchdog);
        tokio::select! {
            sign = async {
                match watchdog {
                    Some(watchdog) => watchdog.sign(keeper).await,
                    None => pending().await,
                }
            } => match sign {
                Sign::Alive => None,
                Sign::Stranger(pid) => {
                    tracing::debug!(pid, "ignored a message on the notify socket that is not from the program");
                    None
                }
                Sign::Silent(period) => self.unhealthy(format!("it has sent no WATCHDOG=1 for {period:?}")),
                Sign::Trouble => self.unhealthy("it has sent WATCHDOG=trigger".to_owned()),
            },
            result = async {
                match check {
                    Some(check) => check.result().await,
                    None => pending().await,
                }
            } => self.checked(result),
        }
    }

    fn checked(&mut self, result: Result<(), String>) -> Option<String> {
        self.counters.checked(result.is_ok());
        let health = self.health.as_mut()?;
        let before = health.condition();
        let after = health.checked(clock::now(), result.is_ok());
        let (failed, fall) = (health.failed(), self.settings.fall);
        match (result, after) {
            (Err(why), Condition::Unhealthy) => self.unhealthy(format!(
                "{failed} health checks have failed; the last {why}"
            )),
            (Err(why), Condition::Unknown | Condition::Healthy) => {
                tracing::warn!("a health check {why} ({failed} of {fall} that make it unhealthy)");
                None
            }
            (Ok(()), Condition::Healthy) if before != Condition::Healthy => {
                tracing::info!("the program is healthy");
                None
            }
            (Ok(()), _) => None,
        }
    }

    fn unhealthy(&mut self, why: String) -> Option<String> {
        self.health.take().map(|_| why)
    }

    /// Stops what it has started.
    pub(super) async fn close(self) {
        if let Some(check) = self.check {
            check.close().await;
        }
    }
}
