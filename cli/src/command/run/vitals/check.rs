//! `--health-cmd`: a command whose exit status says whether the program is healthy.
//!
//! It has its own keeper. So a check that hangs is killed at its timeout with everything it started, is
//! verified dead before the next one starts, and does not outlive us.

use std::future::pending;
use std::time::Duration;

use crate::supervise::{Event, Keeper, Program, ProgramExit, StartFailure};
use incumbent::election::clock;
use incumbent::protocol::Timestamp;

use crate::command::keeping;
use crate::config::settings::{CheckSettings, Settings};

/// Checks the program again and again.
pub(super) struct Check<'a> {
    settings: &'a Settings,
    check: CheckSettings,
    /// Started with the first check, and again when it is lost.
    keeper: Option<Keeper>,
    program: Option<Program>,
    /// When the next check begins.
    next: Timestamp,
    running: Option<Running>,
}

/// A check that is not verified dead yet.
#[derive(Default)]
struct Running {
    exit: Option<ProgramExit>,
    failure: Option<StartFailure>,
    killed: bool,
    /// Its keeper was lost, and is reaped once it is dead.
    unkept: bool,
    /// When it counts as failed again, if it still cannot be killed.
    overdue: Timestamp,
    /// Whether it was answered for.
    told: bool,
}

impl<'a> Check<'a> {
    /// How long after the timeout a check is waited for that is being killed.
    const SLACK: Duration = Duration::from_secs(1);

    pub(super) const fn new(settings: &'a Settings, check: CheckSettings) -> Self {
        Self {
            settings,
            check,
            keeper: None,
            program: None,
            next: Timestamp::NEVER,
            running: None,
        }
    }

    /// From now on the program of this pid is checked; the checks get its environment.
    pub(super) fn begin(&mut self, program: &Program, pid: i32, now: Timestamp) {
        // What a check prints is not what the program prints.
        let script = format!("exec >/dev/null\n{}", self.check.command);
        let check = program.another(["/bin/sh", "-c", &script]);
        self.program = Some(check.env("INCUMBENT_PROGRAM_PID", pid.to_string()));
        self.next = now + self.check.interval;
        if let Some(running) = &mut self.running {
            // It belongs to the program before this one, and is being killed.
            running.overdue = self.next;
        }
    }

    /// The program need not be checked any more. A check that is under way is killed.
    pub(super) fn end(&mut self) {
        self.program = None;
        if let (Some(running), Some(keeper)) = (&mut self.running, &mut self.keeper) {
            running.told = true;
            keeper.kill();
        }
    }

    /// Waits for the result of the next check; the error says how it failed. A check that cannot be killed
    /// fails again every interval.
    pub(super) async fn result(&mut self) -> Result<(), String> {
        loop {
            if let Some(result) = self.turn().await {
                return result;
            }
        }
    }

    async fn turn(&mut self) -> Option<Result<(), String>> {
        let due = match &self.running {
            Some(running) => running.overdue,
            None => self.next,
        };
        let event = tokio::select! {
            biased;
            // However late we are, a check is judged by all that its keeper had reported by then.
            event = async {
                match &mut self.keeper {
                    Some(keeper) => keeper.event().await,
                    None => pending().await,
                }
            } => event,
            () = clock::sleep_until(due) => return self.act(clock::now()),
        };
        if event == Event::KeeperLost && self.running.is_none() {
            // The next check starts another.
            self.close_keeper().await;
            return None;
        }
        self.take_in(event)
    }

    /// The next check is due, or the one that is under way is overdue.
    fn act(&mut self, now: Timestamp) -> Option<Result<(), String>> {
        let Some(running) = &mut self.running else {
            return self.start(now);
        };
        running.told = true;
        running.overdue = now + self.check.interval;
        Some(Err(format!(
            "took longer than {:?}, and cannot be killed",
            self.check.timeout
        )))
    }

    /// Ends its keeper, and a check with it that is under way.
    pub(super) async fn close(mut self) {
        self.close_keeper().await;
    }

    async fn close_keeper(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.close().await;
        }
    }

    fn start(&mut self, now: Timestamp) -> Option<Result<(), String>> {
        // Missed checks are not repeated.
        self.next = now + self.check.interval;
        let program = self.program.clone()?;
        let kept = match &mut self.keeper {
            Some(keeper) => Ok(keeper),
            empty => keeping::launch_for_checks(self.settings)
                .and_then(keeping::connect)
                .map(|keeper| empty.insert(keeper)),
        };
        let started = kept.map(|keeper| {
            let deadline = now + self.check.timeout;
            keeper.start(program, deadline, Duration::ZERO)
        });
        match started {
            Ok(Ok(())) => {
                self.running = Some(Running {
                    overdue: now + self.check.timeout + Self::SLACK,
                    ..Running::default()
                });
                None
            }
            Ok(Err(lost)) => {
                self.keeper = None;
                Some(Err(format!("cannot be run: {lost}")))
            }
            Err(failure) => Some(Err(format!("cannot be run: {failure}"))),
        }
    }

    fn take_in(&mut self, event: Event) -> Option<Result<(), String>> {
        let running = self.running.as_mut()?;
        match event {
            Event::NotStarted(failure) => running.failure = Some(failure),
            Event::Exited(exit) => running.exit = Some(exit),
            Event::Killing(_) => running.killed |= running.exit.is_none(),
            Event::KeeperLost => {
                running.killed |= running.exit.is_none();
                running.unkept = true;
            }
            Event::Surviving { pids } => {
                tracing::error!(?pids, "a health check is still alive after SIGKILL");
            }
            Event::Dead => {
                let result = self.running.take()?;
                if result.unkept {
                    self.keeper = None;
                }
                return (!result.told).then(|| self.judge(&result));
            }
            _ => {}
        }
        None
    }

    fn judge(&self, ended: &Running) -> Result<(), String> {
        match (ended.failure, ended.exit) {
            _ if ended.killed => Err(format!("took longer than {:?}", self.check.timeout)),
            (Some(failure), _) => Err(failure.to_string()),
            (None, Some(ProgramExit::Code(0))) => Ok(()),
            (None, Some(exit)) => Err(exit.to_string()),
            (None, None) => Err("exited with an unknown status".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::args::Typed;

    #[tokio::test]
    async fn a_check_is_judged_by_all_that_its_keeper_has_reported_however_late_we_are() {
        let no_settings = tempfile::NamedTempFile::new().unwrap();
        let typed = Typed {
            file: Some(no_settings.path().to_owned()),
            ..Typed::default()
        };
        let settings = Settings::load(&typed, None).unwrap();
        let every = Duration::from_secs(3600);
        let check = CheckSettings {
            command: "true".to_owned(),
            interval: every,
            timeout: every,
        };
        let passed = Event::Exited(ProgramExit::Code(0));
        let (keeper, _pipe) = Keeper::that_reported(&[Event::Started(1), passed, Event::Dead]);
        let mut check = Check::new(&settings, check);
        check.keeper = Some(keeper);
        check.running = Some(Running {
            overdue: Timestamp::ZERO,
            ..Running::default()
        });
        assert_eq!(check.result().await, Ok(()));
    }
}
