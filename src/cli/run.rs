//! `incumbent run NAME -- PROGRAM`: campaigns, and runs the program while elected.

use std::ffi::OsString;
use std::io::{self, IsTerminal, stdin};

use futures_util::StreamExt;
use incumbent::election::{ElectionBuilder, Overrun};
use incumbent::protocol::{ElectionName, Timing};
use incumbent::{CampaignError, Election, Leadership};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook_tokio::Signals;

use super::args::Run;
use super::exit::{Exit, Failure, campaign_failed};
use super::settings::{Settings, Typed, Wait};
use super::{electorate, logs, runtime};
use crate::supervise::{Bounds, Cause, Child, Ended, Outcome, Program};

/// Campaigns, and runs the program while elected.
///
/// # Errors
///
/// A configuration that cannot be used. What goes wrong later is logged.
pub(crate) fn run(arguments: Run) -> Result<Exit, Failure> {
    let name =
        ElectionName::new(&arguments.name).map_err(|error| Failure::new(Exit::Usage, error))?;
    let settings = Settings::load(Typed::all(&arguments.options)?, Some(&name))?;
    let election = builder(&name, &settings)?.build()?;
    logs::start(&settings);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(path) = settings.embedded_store()? {
        tracing::info!(
            "no store is given: electing among the processes of this host only, in {}",
            path.display()
        );
    }
    let outcome = runtime()?.block_on(async {
        let mut signals = Signals::new(SIGNALS).map_err(|error| {
            Failure::internal(format_args!("signals cannot be received: {error}"))
        })?;
        let outcome = Runner {
            election: &election,
            settings: &settings,
            signals: &mut signals,
        }
        .run(arguments.program)
        .await;
        election.finished().await;
        outcome
    });
    Ok(outcome.unwrap_or_else(|failure| {
        tracing::error!("{failure}");
        failure.exit
    }))
}

/// Every signal that is taken before it can end this process behind its own back.
const SIGNALS: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];

fn builder(name: &ElectionName, settings: &Settings) -> Result<ElectionBuilder, Failure> {
    settings.timing()?;
    let mut builder = Election::builder(name.as_str())
        .timing(settings.timing_config())
        // The program is another process, and ends by other means than the end of this one.
        .overrun(Overrun::Report);
    if let Some(label) = settings.label() {
        builder = builder.label(label);
    }
    for store in electorate::open(settings)? {
        builder = builder.store_object(store);
    }
    Ok(builder)
}

struct Runner<'a> {
    election: &'a Election,
    settings: &'a Settings,
    signals: &'a mut Signals,
}

impl Runner<'_> {
    async fn run(mut self, program: Vec<OsString>) -> Result<Exit, Failure> {
        let won = tokio::select! {
            biased;
            signal = ended_by(self.signals) => {
                tracing::info!(signal, "ended by a signal before being elected");
                return Ok(Exit::Signaled(signal));
            }
            won = campaign(self.election, self.settings.wait()) => won,
        };
        let not_elected = self.settings.conflict_exit_code();
        let leadership = won.map_err(|error| campaign_failed(error, not_elected))?;
        let exit = self.lead(&leadership, program).await;
        leadership.resign().await;
        exit
    }

    /// Runs the program to its end: when this returns, it is dead.
    async fn lead(
        &mut self,
        leadership: &Leadership,
        program: Vec<OsString>,
    ) -> Result<Exit, Failure> {
        let program = self.program(leadership, program)?;
        let deadlines = leadership.deadlines();
        let bounds = Bounds {
            deadline: *deadlines.borrow(),
            stop_grace: self.election.timing().stop_grace(),
        };
        let mut child = Child::start(&program, bounds)?;
        tracing::info!(
            pid = child.pid(),
            term = leadership.fencing_token(),
            "started {:?}",
            program.path
        );
        match self.watch(leadership, &mut child).await {
            Ok((ended, lost)) => Ok(concluded(ended, lost)),
            Err(error) => {
                // Nobody can tell whether the program is dead, so the election must not be released:
                // whoever comes next waits for the counter to stand still.
                drop(child);
                tracing::error!("the program cannot be watched, and was killed: {error}");
                std::process::exit(Exit::Failed.status().into());
            }
        }
    }

    /// Passes on what happens to the leadership and to us, until the program has ended. Tells also
    /// whether it was stopped because the leadership was lost.
    async fn watch(
        &mut self,
        leadership: &Leadership,
        child: &mut Child,
    ) -> io::Result<(Ended, bool)> {
        let mut deadlines = leadership.deadlines();
        let (mut lost, mut asked) = (false, false);
        loop {
            tokio::select! {
                biased;
                ended = child.wait() => {
                    return Ok((ended?, lost && !asked));
                }
                Ok(()) = deadlines.changed() => {
                    child.set_deadline(*deadlines.borrow_and_update());
                }
                _ = leadership.lost(), if !lost => {
                    lost = true;
                    // It has until the deadline, which is enforced all the same.
                    child.stop(Timing::MAX_WINDOW);
                }
                Some(signal) = self.signals.next() => match signal {
                    SIGTERM | SIGINT if !asked => {
                        asked = !lost;
                        let timeout = self.settings.stop_timeout();
                        tracing::info!(signal, "asked to stop: the program has {timeout:?}");
                        child.stop(timeout);
                    }
                    SIGTERM | SIGINT | SIGQUIT => {
                        asked |= !lost;
                        tracing::info!(signal, "asked to stop at once: killing the program");
                        child.kill();
                    }
                    other => {
                        if let Some(signal) = Signal::from_named_raw(other) {
                            child.forward(signal);
                        }
                    }
                }
            }
        }
    }

    fn program(
        &self,
        leadership: &Leadership,
        mut words: Vec<OsString>,
    ) -> Result<Program, Failure> {
        if words.is_empty() {
            return Err(Failure::new(Exit::Usage, "there is no program to run"));
        }
        let path = words.remove(0);
        let environment = vec![
            (
                "INCUMBENT_ELECTION",
                self.election.name().as_str().to_owned(),
            ),
            (
                "INCUMBENT_FENCING_TOKEN",
                leadership.fencing_token().to_string(),
            ),
            (
                "INCUMBENT_CANDIDATE_ID",
                leadership.candidate().as_str().to_owned(),
            ),
        ];
        let mut withheld = vec!["INCUMBENT_PASSWORD"];
        // What stands before an @ in an address may be a password.
        if std::env::var_os("INCUMBENT_STORE")
            .is_some_and(|stores| stores.as_encoded_bytes().contains(&b'@'))
        {
            withheld.push("INCUMBENT_STORE");
        }
        Ok(Program {
            path,
            arguments: words,
            environment,
            withheld,
        })
    }
}

async fn campaign(election: &Election, wait: Wait) -> Result<Leadership, CampaignError> {
    match wait {
        Wait::Endless => election.campaign().await,
        Wait::No => election.try_campaign().await,
        Wait::For(time) => election.campaign_timeout(time).await,
    }
}

/// Waits for a signal that ends a candidate which has no program yet. A hang-up does so only when there
/// is a terminal that can hang up: a service gets one to read its configuration again.
async fn ended_by(signals: &mut Signals) -> i32 {
    let from_terminal = stdin().is_terminal();
    while let Some(signal) = signals.next().await {
        match signal {
            SIGTERM | SIGINT | SIGQUIT => return signal,
            SIGHUP if from_terminal => return signal,
            _ => {}
        }
    }
    std::future::pending().await
}

fn concluded(ended: Ended, lost: bool) -> Exit {
    match ended.outcome {
        Outcome::Exited(status) => tracing::info!(status, "the program has ended"),
        Outcome::Signaled(signal) => tracing::info!(signal, "the program was ended by a signal"),
    }
    if lost || ended.cause == Cause::Deadline {
        Exit::Lost
    } else {
        Exit::Program(ended.outcome)
    }
}
