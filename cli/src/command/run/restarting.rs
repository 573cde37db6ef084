//! `--restart`: a program that exits is restarted in place; if it exits too often, the leader resigns.

use std::time::Duration;

use crate::supervise::{Event, Program, Restarts};
use futures_util::StreamExt;
use incumbent::election::clock;
use incumbent::protocol::LossReason;

use super::call::Call;
use super::leading::Leading;
use crate::command::keeping;
use crate::exit::{Exit, Failure};

/// How a run of the program, or a leadership, ended.
pub(super) enum Conclusion {
    /// The program exited by itself: it may be restarted.
    Exited(Exit),
    /// In a way that no restart mends; `incumbent` exits with this status.
    Ended(Exit),
    /// A signal asked to stop; `incumbent` exits with this status.
    Asked(Exit),
    /// The program was unhealthy, and was stopped for it: another host should try.
    Unhealthy,
    /// The program exited too often, the last time with this: another host should try.
    GivenUp(Exit),
    /// An operator asked the leader to resign: it stands by again.
    Resigned,
    /// The leadership was lost: it stands by again.
    Lost,
}

impl Conclusion {
    /// Why the leadership ends, unless it was asked to stop for another reason before.
    pub(super) fn reason(&self) -> LossReason {
        match self {
            Self::Exited(exit) | Self::Ended(exit) | Self::GivenUp(exit) => LossReason::WorkEnded {
                status: Some(exit.status()),
            },
            Self::Asked(_) => LossReason::Resigned,
            Self::Unhealthy => LossReason::Unhealthy,
            Self::Resigned => LossReason::Requested,
            Self::Lost => LossReason::TenureEnded,
        }
    }
}

impl Leading<'_, '_> {
    /// Runs the program, restarting it as `restarts` allows. When this returns, none of its processes are
    /// alive.
    pub(super) async fn run(
        mut self,
        program: &Program,
        mut restarts: Option<&mut Restarts>,
    ) -> Result<Conclusion, Failure> {
        loop {
            let (exit, restarts) = match (self.run_once(program).await?, &mut restarts) {
                (Conclusion::Exited(exit), Some(restarts)) => (exit, restarts),
                (Conclusion::Unhealthy | Conclusion::Lost, None) => {
                    return Ok(Conclusion::Ended(Exit::Lost));
                }
                (Conclusion::Unhealthy, Some(_)) => {
                    tracing::error!(
                        "the program was unhealthy: resigned, letting another candidate lead"
                    );
                    return Ok(Conclusion::Unhealthy);
                }
                (end, _) => return Ok(end),
            };
            let Some(pause) = restarts.ended(clock::now()) else {
                tracing::error!(
                    "the program has ended {} times within {:?}: resigned, letting another candidate lead",
                    Restarts::MOST + 1,
                    Restarts::WITHIN
                );
                return Ok(Conclusion::GivenUp(exit));
            };
            tracing::warn!("restarting the program in {pause:?}");
            if let Some(end) = self.pause(pause, exit).await? {
                return Ok(end);
            }
        }
    }

    /// Waits until the pause is over; returns how the leadership ends if that comes first.
    async fn pause(&mut self, pause: Duration, exit: Exit) -> Result<Option<Conclusion>, Failure> {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                biased;
                event = self.keeper.event() => if event == Event::KeeperLost {
                    return Err(Failure::internal("the keeper of the program has died"));
                },
                reason = self.leadership.lost() => return Ok(Some(match reason {
                    LossReason::Requested => Conclusion::Resigned,
                    _ => Conclusion::Lost,
                })),
                Some(signal) = self.signals.next() => match self.calls.understand(signal) {
                    Call::Stop | Call::Kill => {
                        tracing::info!(signal, "asked to stop: the program is not restarted");
                        return Ok(Some(Conclusion::Asked(exit)));
                    }
                    Call::Reap => keeping::reap(),
                    Call::Reload => self.reload.read_again(),
                    Call::PassOn => tracing::debug!(signal, "no program to pass the signal to"),
                },
                () = &mut over => return Ok(None),
            }
        }
    }
}
