//! While elected: runs the program, whose exit ends the leadership.

use std::time::Duration;

use crate::http::{KillCause, ProgramCounters};
use crate::supervise::{Cause, Event, Keeper, Program, ProgramExit, StartFailure};
use futures_util::StreamExt;
use incumbent::election::clock;
use incumbent::protocol::{LossReason, Timestamp};
use incumbent::{Election, Leadership};
use rustix::process::Signal;
use signal_hook_tokio::Signals;
use tokio::sync::watch;

use super::call::{Call, Calls, StopSignal};
use super::reload::Reload;
use super::restarting::Conclusion;
use super::vitals::Vitals;
use crate::command::keeping;
use crate::command::notify::Activity;
use crate::exit::{Exit, Failure, not_started};

/// One leadership, and what decides over its program.
pub(super) struct Leading<'a, 'b> {
    pub(super) election: &'a Election,
    pub(super) leadership: &'a Leadership,
    pub(super) activity: &'a watch::Sender<Activity>,
    pub(super) reload: &'a mut Reload<'b>,
    pub(super) signals: &'a mut Signals,
    pub(super) calls: &'a Calls,
    pub(super) keeper: &'a mut Keeper,
    pub(super) vitals: &'a mut Vitals<'b>,
    pub(super) counters: &'a ProgramCounters,
}

/// The state of the program so far.
#[derive(Default)]
struct ProgramState {
    failure: Option<StartFailure>,
    exit: Option<ProgramExit>,
    /// A signal asked to stop.
    asked: bool,
    /// The first signal that did, and left the program time.
    first: Option<StopSignal>,
    /// The leadership was lost before any request to stop.
    lost: bool,
    /// The program was unhealthy before any request to stop.
    unhealthy: bool,
    /// An operator asked the leader to resign.
    resigns: bool,
    /// The keeper died, and the program with it.
    unkept: bool,
    /// When the program was first asked to stop.
    stopping: Option<Timestamp>,
}

impl Leading<'_, '_> {
    /// Runs the program once: when this returns, none of its processes are alive.
    pub(super) async fn run_once(&mut self, program: &Program) -> Result<Conclusion, Failure> {
        let leadership = self.leadership;
        let (identity, term) = (leadership.identity().clone(), leadership.fencing_token());
        let program = program
            .clone()
            .elected(self.election.name(), term, leadership.candidate());
        let name = program.name().to_owned();
        let deadline = leadership.deadline();
        self.keeper.hold(identity, term);
        let grace = self.election.timing().stop_grace();
        let introduced = self.vitals.introduce(program.clone());
        self.keeper.start(introduced, deadline, grace)?;
        let state = self.watch(&program).await;
        self.vitals.end();
        match state {
            ProgramState {
                failure: Some(StartFailure::TooLate),
                asked: false,
                ..
            } => {
                tracing::warn!("{name:?} {}", StartFailure::TooLate);
                Ok(Conclusion::Lost)
            }
            ProgramState {
                failure: Some(failure),
                ..
            } => Err(not_started(&name, failure)),
            ProgramState {
                unhealthy: true,
                asked: false,
                ..
            } => Ok(Conclusion::Unhealthy),
            // It does not stand by again: it was asked to stop meanwhile, or its keeper is dead and cannot keep
            // another program.
            ProgramState {
                unhealthy: true, ..
            }
            | ProgramState {
                lost: true,
                unkept: true,
                ..
            }
            | ProgramState {
                lost: true,
                asked: true,
                ..
            } => Ok(Conclusion::Ended(Exit::Lost)),
            ProgramState { lost: true, .. } => Ok(Conclusion::Lost),
            ProgramState { unkept: true, .. } => {
                Err(Failure::internal("the keeper of the program has died"))
            }
            ProgramState {
                exit: Some(exit),
                asked: true,
                ..
            } => Ok(Conclusion::Asked(Exit::Program(exit))),
            ProgramState { resigns: true, .. } => Ok(Conclusion::Resigned),
            ProgramState {
                exit: Some(exit), ..
            } => Ok(Conclusion::Exited(Exit::Program(exit))),
            ProgramState { exit: None, .. } => Err(Failure::internal(
                "the exit status of the program is unknown",
            )),
        }
    }

    /// Forwards events of the leadership and signals to us, until the whole tree of the program is dead.
    async fn watch(&mut self, program: &Program) -> ProgramState {
        let mut state = ProgramState::default();
        let mut deadlines = self.leadership.deadlines();
        // It may have moved since the program was started with it, and closer.
        self.keeper.set_deadline(self.leadership.deadline());
        let mut told_lost = false;
        let keeper = self.keeper.pid();
        loop {
            tokio::select! {
                biased;
                event = self.keeper.event() => {
                    if event == Event::Dead {
                        let took = state.stopping.map(|since| clock::now().since(since));
                        self.counters.ended(took);
                        return state;
                    }
                    match event {
                        Event::Started(pid) => self.vitals.begin(program, pid),
                        Event::Stopping(_)
                        | Event::Killing(_)
                        | Event::Exited(_)
                        | Event::KeeperLost => self.vitals.end(),
                        _ => {}
                    }
                    self.count(&event, &mut state);
                    self.note(event, &mut state);
                }
                Some(deadline) = deadlines.next() => {
                    self.keeper.set_deadline(deadline);
                }
                reason = self.leadership.lost(), if !told_lost => {
                    told_lost = true;
                    state.resigns = reason == LossReason::Requested;
                    state.lost = !state.asked && !state.resigns;
                    self.keeper.stop(self.time_to_stop(reason));
                }
                Some(signal) = self.signals.next() => self.obey(signal, &mut state),
                unhealthy = self.vitals.news(keeper) => if let Some(why) = unhealthy {
                    tracing::error!("the program is unhealthy: {why}");
                    state.unhealthy = !state.asked && !state.lost;
                    self.vitals.end();
                    self.activity.send_modify(|activity| activity.unhealthy = true);
                    self.leadership.stop(LossReason::Unhealthy);
                }
            }
        }
    }

    /// How long the program may take to stop when the leadership ends for this reason. The deadline still
    /// applies, and moves on with each heartbeat.
    fn time_to_stop(&self, reason: LossReason) -> Duration {
        match reason {
            LossReason::Resigned | LossReason::Requested => self.reload.stop_timeout(),
            LossReason::Unhealthy | LossReason::OtherStores => self.election.timing().stop_grace(),
            _ => self.leadership.remaining(),
        }
    }

    fn obey(&mut self, signal: i32, state: &mut ProgramState) {
        match self.calls.understand(signal) {
            Call::Stop if !state.asked => {
                state.asked = true;
                state.first = Some(StopSignal::received(signal));
                let timeout = self.reload.stop_timeout();
                self.activity
                    .send_modify(|activity| activity.draining = Some(timeout));
                tracing::info!(signal, "asked to stop: the program has {timeout:?}");
                self.keeper.stop(timeout);
            }
            Call::Stop
                if state
                    .first
                    .is_some_and(|first| first.is_repeated_by(signal)) =>
            {
                tracing::debug!(signal, "the same signal within a second counts as one");
            }
            Call::Stop | Call::Kill => {
                state.asked = true;
                tracing::info!(signal, "asked to stop at once: killing the program");
                self.keeper.kill();
            }
            Call::Reap => keeping::reap(),
            call @ (Call::Reload | Call::PassOn) => {
                if call == Call::Reload {
                    self.reload.read_again();
                }
                if let Some(signal) = Signal::from_named_raw(signal) {
                    self.keeper.signal(signal);
                }
            }
        }
    }

    fn count(&self, event: &Event, state: &mut ProgramState) {
        match event {
            Event::Started(_) => self.counters.started(),
            Event::Stopping(_) => {
                state.stopping.get_or_insert_with(clock::now);
            }
            Event::Killing(cause) => self.counters.killed(match cause {
                Cause::Deadline => KillCause::Deadline,
                Cause::StopTimeout => KillCause::StopTimeout,
                _ => KillCause::Asked,
            }),
            Event::KeeperLost => self.counters.killed(KillCause::KeeperLost),
            _ => {}
        }
    }

    fn note(&self, event: Event, state: &mut ProgramState) {
        let term = self.leadership.fencing_token();
        match event {
            Event::Started(pid) => {
                self.activity
                    .send_modify(|activity| activity.program = Some(pid));
                tracing::info!(pid, term = term.get(), "started the program");
            }
            Event::NotStarted(failure) => state.failure = Some(failure),
            Event::Uncontained(why) => {
                tracing::error!("the program cannot be contained as it was asked to: {why}");
            }
            Event::Exited(exit) => {
                tracing::info!("the program {exit}");
                state.exit = Some(exit);
            }
            Event::Stopping(Cause::Deadline) => {
                tracing::warn!("no heartbeat acknowledged for too long: asked the program to stop");
                state.lost |= !state.asked;
            }
            Event::Stopping(_) => tracing::debug!("asked the program to stop"),
            Event::Killing(Cause::Deadline) => {
                tracing::error!("deadline reached: killing the program");
                state.lost |= !state.asked;
            }
            Event::Killing(Cause::StopTimeout) => {
                tracing::warn!("the program did not stop in time: killing it");
            }
            Event::Killing(_) => tracing::info!("killing the program"),
            Event::LeftBehind { pids } if state.stopping.is_none() && !state.asked => {
                tracing::warn!(
                    ?pids,
                    "the program exited and left processes behind, which are killed: a program that should lead \
                 must stay in the foreground and not become a daemon"
                )
            }
            Event::Surviving { pids } => tracing::error!(
                ?pids,
                term = term.get(),
                "processes of the program are still alive after SIGKILL: the election stays held"
            ),
            Event::KeeperLost => {
                tracing::error!("the keeper of the program has died: killing what is left");
                state.unkept = true;
                // A keeper that missed a deadline was killed for it: the tenure was over first.
                state.lost |= !state.asked && self.leadership.remaining().is_zero();
            }
            Event::Ready {
                containment,
                memory_locked,
                real_time,
            } => {
                keeping::log_ready(self.keeper, &containment, memory_locked, real_time);
            }
            other => tracing::debug!(event = ?other, "news from the keeper"),
        }
    }
}
