//! What the keeper does next: a pure state machine over messages, events and time.
//!
//! It exists apart from the process around it so that the promise of the keeper, that nothing outlives
//! its term, can be tested on every order of events without a single process.

use std::time::Duration;

use rustix::process::Signal;

use super::message::{Cause, Event, Order};
use super::program::{Program, StartFailure};
use incumbent::protocol::Timestamp;

#[cfg(test)]
mod tests;

/// The state of the keeper: whether a program runs, and by when it must be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    phase: Phase,
    /// The end of the tenure, by the elector's last message. Nothing of the program outlives it.
    deadline: Timestamp,
    /// How long before the deadline the program is asked to end, and how long the processes that it leaves
    /// behind may take to end.
    grace: Duration,
    /// What asks the program to stop.
    stop_signal: Signal,
    /// Whether the elector is gone.
    orphaned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing of a program is alive.
    Idle,
    /// The program runs.
    Running,
    /// The program was asked to end, once.
    Stopping { by: Timestamp },
    /// The program has ended and left processes behind, which were asked to end, once.
    Lingering { by: Timestamp },
    /// The whole tree was killed and is not proven dead yet.
    Killing {
        /// When to sweep again.
        again: Timestamp,
        /// How long to wait after that.
        pause: Duration,
        /// When to say again that something survives.
        loud: Timestamp,
    },
    /// The keeper has done all it had to do.
    Over,
}

/// An order of the elector, or something that happened to it or to the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// What the elector wants.
    Order(Order),
    /// The elector is gone, or sends nonsense, which is no better.
    Orphaned,
    /// The program itself has ended, and something of its tree may be left.
    ProgramEnded,
    /// Some process of the tree has ended, and left its children to us.
    SomeEnded,
    /// Nothing of the tree is left, or the program was not started in the first place.
    TreeEmpty,
    /// Time has passed.
    Woken,
}

/// What the keeper is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start the program.
    Start(Program),
    /// Send the program a signal.
    Signal(Signal),
    /// Send SIGTERM to what the program left behind, and report that.
    TerminateRest,
    /// Kill the whole tree, or what is still there of it.
    Kill,
    /// Kill the processes that became our children when their parents died.
    KillOrphans,
    /// Tell the elector.
    Report(Event),
    /// Tell it who survives SIGKILL.
    ReportSurvivors,
    /// Release the term, if the elector held one, and end.
    Exit,
}

impl Plan {
    /// The pause before the first repeated sweep; it doubles from sweep to sweep.
    const FIRST_PAUSE: Duration = Duration::from_millis(1);
    /// The longest pause between two sweeps.
    const LONGEST_PAUSE: Duration = Duration::from_millis(250);
    /// How often survivors of SIGKILL are reported.
    const LOUD_EVERY: Duration = Duration::from_secs(1);

    /// A keeper that keeps nothing yet.
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            deadline: Timestamp::NEVER,
            grace: Duration::ZERO,
            stop_signal: Signal::TERM,
            orphaned: false,
        }
    }

    /// When to call [`Plan::step`] again even if nothing happens.
    pub(super) fn wake_at(&self) -> Timestamp {
        match self.phase {
            Phase::Idle | Phase::Over => Timestamp::NEVER,
            Phase::Running => self.deadline.before(self.grace),
            Phase::Stopping { by } | Phase::Lingering { by } => by.min(self.deadline),
            Phase::Killing { again, loud, .. } => again.min(loud),
        }
    }

    /// Returns what to do about this, and about the time that has passed.
    pub(super) fn step(&mut self, now: Timestamp, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        self.take_in(now, input, &mut actions);
        self.pass_time(now, &mut actions);
        assert!(
            !self.orphaned || matches!(self.phase, Phase::Killing { .. } | Phase::Over),
            "an orphaned keeper kills or has ended: {self:?}"
        );
        actions
    }

    fn take_in(&mut self, now: Timestamp, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Order(order) => self.obey(now, order, actions),
            Input::Orphaned => self.lose_elector(now, actions),
            Input::ProgramEnded => self.linger(now, actions),
            Input::SomeEnded => {
                if let Phase::Killing { .. } = self.phase {
                    actions.push(Action::KillOrphans);
                }
            }
            Input::TreeEmpty => self.prove_dead(actions),
            Input::Woken => {}
        }
    }

    fn obey(&mut self, now: Timestamp, order: Order, actions: &mut Vec<Action>) {
        match order {
            Order::Start {
                program,
                deadline,
                grace,
            } => self.start(now, program, deadline, grace, actions),
            Order::Deadline(deadline) => self.deadline = deadline,
            Order::Signal(signal) => match self.phase {
                Phase::Running | Phase::Stopping { .. } => actions.push(Action::Signal(signal)),
                Phase::Idle | Phase::Lingering { .. } | Phase::Killing { .. } | Phase::Over => {}
            },
            Order::Stop { by } => self.stop(by, actions),
            Order::Kill => self.kill(now, Cause::Asked, actions),
            // They change only what is released in the end.
            Order::Context(_) | Order::Hold { .. } | Order::Released => {}
        }
    }

    fn start(
        &mut self,
        now: Timestamp,
        program: Program,
        deadline: Timestamp,
        grace: Duration,
        actions: &mut Vec<Action>,
    ) {
        match self.phase {
            Phase::Idle => {}
            Phase::Over => return,
            // One program at a time: an elector that asks for a second one has lost track.
            Phase::Running
            | Phase::Stopping { .. }
            | Phase::Lingering { .. }
            | Phase::Killing { .. } => return self.lose_elector(now, actions),
        }
        self.deadline = deadline;
        self.grace = grace;
        if now >= deadline.before(grace) {
            let refused = Event::NotStarted(StartFailure::TooLate);
            actions.extend([Action::Report(refused), Action::Report(Event::Dead)]);
        } else {
            self.phase = Phase::Running;
            self.stop_signal = program.stop_signal;
            actions.push(Action::Start(program));
        }
    }

    fn stop(&mut self, until: Timestamp, actions: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Running => {
                self.phase = Phase::Stopping { by: until };
                self.terminate(Cause::Asked, actions);
            }
            // It was asked already, and is asked once.
            Phase::Stopping { by } | Phase::Lingering { by } => *by = until.min(*by),
            Phase::Idle | Phase::Killing { .. } | Phase::Over => {}
        }
    }

    fn terminate(&self, cause: Cause, actions: &mut Vec<Action>) {
        let reported = Event::Stopping(cause);
        actions.extend([Action::Signal(self.stop_signal), Action::Report(reported)]);
    }

    fn kill(&mut self, now: Timestamp, cause: Cause, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Running | Phase::Stopping { .. } | Phase::Lingering { .. } => {
                self.phase = Phase::Killing {
                    again: now + Self::FIRST_PAUSE,
                    pause: Self::FIRST_PAUSE,
                    loud: now + Self::LOUD_EVERY,
                };
                // Told first: the elector takes a keeper that is late with it for a frozen one.
                actions.extend([Action::Report(Event::Killing(cause)), Action::Kill]);
            }
            Phase::Idle | Phase::Killing { .. } | Phase::Over => {}
        }
    }

    fn lose_elector(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        self.orphaned = true;
        match self.phase {
            Phase::Idle => self.finish(actions),
            Phase::Running
            | Phase::Stopping { .. }
            | Phase::Lingering { .. }
            | Phase::Killing { .. } => self.kill(now, Cause::Orphaned, actions),
            Phase::Over => {}
        }
    }

    fn linger(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let until = now + self.grace;
        let by = match self.phase {
            Phase::Running => until,
            Phase::Stopping { by } => by.min(until),
            Phase::Idle | Phase::Lingering { .. } | Phase::Killing { .. } | Phase::Over => return,
        };
        self.phase = Phase::Lingering { by };
        actions.push(Action::TerminateRest);
    }

    fn prove_dead(&mut self, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Running
            | Phase::Stopping { .. }
            | Phase::Lingering { .. }
            | Phase::Killing { .. } => {
                self.phase = Phase::Idle;
                actions.push(Action::Report(Event::Dead));
                if self.orphaned {
                    self.finish(actions);
                }
            }
            Phase::Idle | Phase::Over => {}
        }
    }

    fn finish(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Over;
        actions.push(Action::Exit);
    }

    fn pass_time(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Idle | Phase::Over => {}
            Phase::Running if now >= self.deadline => self.kill(now, Cause::Deadline, actions),
            Phase::Running if now >= self.deadline.before(self.grace) => {
                // Once asked, it has until the deadline that was in force: a heartbeat that gets through
                // now does not take the SIGTERM back.
                self.phase = Phase::Stopping { by: self.deadline };
                self.terminate(Cause::Deadline, actions);
            }
            Phase::Running => {}
            Phase::Stopping { by } | Phase::Lingering { by } => {
                if now >= self.deadline {
                    self.kill(now, Cause::Deadline, actions);
                } else if now >= *by {
                    self.kill(now, Cause::StopTimeout, actions);
                }
            }
            Phase::Killing { again, pause, loud } => {
                if now >= *loud {
                    *loud = now + Self::LOUD_EVERY;
                    actions.push(Action::ReportSurvivors);
                }
                // Last, for then nothing may be left that survives.
                if now >= *again {
                    *pause = (*pause * 2).min(Self::LONGEST_PAUSE);
                    *again = now + *pause;
                    actions.push(Action::Kill);
                }
            }
        }
    }
}
