//! `incumbent run NAME -- PROGRAM`: campaigns, and runs the program while elected. `lock` and `once` do the same
//! for one run of it.

mod call;
mod campaigning;
mod leading;
mod reload;
mod restarting;
mod startup_memory;
mod vitals;

use std::io::{ErrorKind, IsTerminal, stdin};
use std::sync::Arc;
use std::time::Duration;

use crate::http::ProgramCounters;
use crate::http::{Server, ServerOptions};
use crate::supervise::{Event, Keeper, Program, Quota, ReleaseContext, Restarts};
use futures_util::StreamExt;
use incumbent::election::Seats;
use incumbent::protocol::{ElectionName, LossReason};
use incumbent::{CampaignError, Election, Leadership};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook_tokio::Signals;
use tokio::sync::watch;

use super::notify::{Activity, Manager};
use super::release::Note;
use super::{electorate, keeping, limits, runtime};
use crate::config::args::Run;
use crate::config::settings::{Settings, Wait};
use crate::exit::{Exit, Failure, campaign_failed};
use crate::output::logs;
use call::{Call, Calls};
use campaigning::campaign;
use leading::Leading;
use reload::Reload;
use restarting::Conclusion;
use vitals::Vitals;

/// What the program is to `incumbent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// `run`: a service, which leads again when it can.
    Service,
    /// `lock`: one run, under a lock.
    Lock,
    /// `once`: one run per tick, over all hosts.
    Once,
}

/// Campaigns, and runs the program while elected.
///
/// # Errors
///
/// A configuration that cannot be used. What goes wrong later is logged.
pub(crate) fn run<const GROUPS: u8>(arguments: Run<GROUPS>, task: Task) -> Result<Exit, Failure> {
    let name =
        ElectionName::new(&arguments.name).map_err(|error| Failure::new(Exit::Usage, error))?;
    let settings = Settings::load(&arguments.flags.0, Some(&name))?;
    let mut words = arguments.program;
    if words.is_empty() {
        words.extend(settings.values.program.iter().map(Into::into));
    }
    let program = Program::new(words).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "there is no program to run: name one after --, or as `program` in the configuration file",
        )
    })?;
    // A terminal can be read in the foreground process group only, and the program has another.
    let piped = task == Task::Lock && !stdin().is_terminal();
    let program = program
        .stdin(settings.values.stdin || piped)
        .stop_signal(settings.stop_signal());
    settings.health()?;
    let wait = match task {
        Task::Service | Task::Lock => settings.wait(),
        Task::Once => Wait::Once(settings.at_least()?),
    };
    let found = super::program::found(program.name());
    if task != Task::Service {
        // Before it waits for a lock, or uses up a tick.
        found
            .as_ref()
            .map_err(|missing| Failure::new(missing.exit, missing))?;
    }
    // Launched while this process is small, has one thread, and has no open files.
    let keeper = keeping::launch(&settings)?;
    let mut context = settings.release_context(&name)?;
    context.ephemeral = task == Task::Lock;
    let election = electorate::election(&name, &settings, context.ephemeral)?;
    let seats = match task {
        Task::Service | Task::Lock => settings.seats(&election)?,
        Task::Once => None,
    };
    logs::start(&settings);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(quota) = Quota::of_this_process() {
        tracing::warn!(
            "incumbent shares its quota with the program: {quota}; one that uses it up delays heartbeats, and the kill \
             at the deadline where the keeper has no real-time priority: set CPUWeight= instead"
        );
    }
    // It may exist by the time we are elected, as on a mount that comes up late.
    if let Err(missing) = found {
        tracing::error!("the program cannot be started: {missing}");
    }
    if let Some(path) = settings.embedded_store()? {
        tracing::info!(
            "no store is given: electing among the processes of this user on this host only, in {}",
            path.display()
        );
    }
    // The last moment at which this process has one thread.
    match startup_memory::release() {
        Ok(kib) => tracing::debug!(kib, "released memory that only startup needed"),
        Err(error) => tracing::debug!(%error, "kept memory that only startup needed"),
    }
    let counters = Arc::new(ProgramCounters::default());
    let server = serve(&election, &settings, &counters)?;
    let outcome = runtime()?.block_on(async {
        let mut signals = Signals::new(SIGNALS)
            .map_err(|error| limits::refused("signals cannot be received", &error))?;
        let manager = Manager::detect();
        let activity = watch::Sender::new(Activity::default());
        let turns = match &seats {
            Some(seats) => seats.turns().boxed(),
            None => election.turns().boxed(),
        };
        let told = manager.accompany(
            election.clone(),
            turns,
            election.events(),
            activity.subscribe(),
        );
        let telling = tokio::spawn(told);
        let mut runner = Runner {
            task,
            wait,
            election: &election,
            seats: seats.as_ref(),
            settings: &settings,
            activity: &activity,
            reload: Reload::new(manager, &name, &arguments.flags.0, &settings),
            signals: &mut signals,
            calls: Calls::new(settings.stop_signal()),
            keeper: keeping::attach(keeper, &context)?,
            vitals: Vitals::new(&settings, &counters)?,
            context: &context,
            counters: &counters,
            ready: watch::Sender::new(false),
        };
        let outcome = runner.run(program).await;
        activity.send_modify(|activity| activity.ending = true);
        runner.vitals.close().await;
        runner.keeper.close().await;
        election.finished().await;
        // If the process exited first, the manager would miss the last notification.
        drop(activity);
        if tokio::time::timeout(LAST_WORDS, telling).await.is_err() {
            tracing::debug!("the service manager may not have been notified of the exit");
        }
        outcome
    });
    drop(server);
    Ok(outcome.unwrap_or_else(|failure| {
        tracing::error!("{failure}");
        failure.exit
    }))
}

/// Ends this process at once when it panics, and leaves the program to its keeper, which releases the election
/// when the program is dead.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Every signal that is handled, so that it does not kill this process.
const SIGNALS: [i32; 8] = [
    SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
];

/// Starts the HTTP server, if one is configured.
fn serve(
    election: &Election,
    settings: &Settings,
    counters: &Arc<ProgramCounters>,
) -> Result<Option<Server>, Failure> {
    let Some(options) = settings.http()? else {
        return Ok(None);
    };
    let listen = options.listen;
    let options = ServerOptions {
        program: Some(Arc::clone(counters)),
        ..options
    };
    let server = Server::start(election.clone(), options).map_err(|error| {
        let exit = match error.kind() {
            // The system refuses a thread.
            ErrorKind::WouldBlock => return limits::refused("HTTP cannot be served", &error),
            // The address may be freed, or come up, later.
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => Exit::Unreachable,
            _ => Exit::Configuration,
        };
        Failure::new(
            exit,
            format_args!("the HTTP server cannot listen at {listen}: {error}"),
        )
    })?;
    tracing::info!("HTTP is served at http://{}/", server.address());
    Ok(Some(server))
}

/// How long the exit of the process may wait for the last notification to the service manager.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// How long a candidate waits for its keeper before it campaigns.
const FINDING_OUT: Duration = Duration::from_millis(500);

/// How long a candidate that has led waits when the stores refuse it.
const AGAIN: Duration = Duration::from_secs(1);

struct Runner<'a> {
    task: Task,
    /// How long the first campaign waits.
    wait: Wait,
    /// That of the seat it leads, or led last.
    election: &'a Election,
    seats: Option<&'a Seats>,
    settings: &'a Settings,
    activity: &'a watch::Sender<Activity>,
    reload: Reload<'a>,
    signals: &'a mut Signals,
    calls: Calls,
    keeper: Keeper,
    vitals: Vitals<'a>,
    context: &'a ReleaseContext,
    counters: &'a ProgramCounters,
    /// Whether a keeper has reported the containment of the program.
    ready: watch::Sender<bool>,
}

impl Runner<'_> {
    async fn run(&mut self, program: Program) -> Result<Exit, Failure> {
        let restarts = self.task == Task::Service && self.settings.values.restart;
        let mut restarts = restarts.then(Restarts::new);
        let (mut pause, mut wait) = (Duration::ZERO, self.wait);
        let mut has_led = false;
        loop {
            let (seat, leadership) = match self.stand_by(pause, wait, has_led).await? {
                Standby::Elected(won) => won,
                Standby::Ended(signal) => {
                    tracing::info!(signal, "stopped by a signal before being elected");
                    return Ok(Exit::Signaled(signal));
                }
                Standby::Skipped(why) => {
                    tracing::info!("skipped: {why}");
                    return Ok(Exit::NotElected(self.settings.values.skip_status));
                }
            };
            let program = self.seated(seat, &program);
            let conclusion = self.lead(leadership, &program, restarts.as_mut()).await?;
            (wait, has_led) = (Wait::Endless, true);
            // Without a pause here, the election itself delays the next claim.
            pause = match conclusion {
                Conclusion::Exited(exit) | Conclusion::Ended(exit) | Conclusion::Asked(exit) => {
                    return Ok(exit);
                }
                Conclusion::Resigned if self.task != Task::Service => {
                    tracing::warn!("resigned on an operator's order, and stopped the program");
                    return Ok(Exit::Lost);
                }
                Conclusion::Resigned => {
                    tracing::info!(
                        "resigned on an operator's order: standing by, no claims for {:?}",
                        self.election.timing().window()
                    );
                    Duration::ZERO
                }
                Conclusion::Lost => {
                    tracing::info!("lost leadership: standing by again");
                    Duration::ZERO
                }
                Conclusion::GivenUp(_) | Conclusion::Unhealthy => {
                    let sit_out = *self.settings.values.sit_out;
                    tracing::info!("sitting out for {sit_out:?}");
                    sit_out
                }
            };
            // The last program may have left something in its connections, which a fence that opens would let out.
            // A keeper that is lost keeps no other program.
            if self.keeper.is_fenced() || self.keeper.is_lost() {
                self.replace_keeper().await?;
            }
        }
    }

    /// Tells the program which seat it has, and the keeper which election it may have to release.
    fn seated(&mut self, seat: Option<u16>, program: &Program) -> Program {
        let Some((seats, number)) = self.seats.zip(seat) else {
            return program.clone();
        };
        self.election = &seats.elections()[usize::from(number)];
        let election = self.election.name().clone();
        let context = ReleaseContext {
            election,
            ..self.context.clone()
        };
        self.keeper.set_context(context.to_bytes());
        program.clone().env("INCUMBENT_SEAT", number.to_string())
    }

    /// Leads until the program has exited for good, then releases the leadership.
    async fn lead(
        &mut self,
        leadership: Leadership,
        program: &Program,
        restarts: Option<&mut Restarts>,
    ) -> Result<Conclusion, Failure> {
        // Dropped before the leadership: otherwise it would be released while the program runs.
        let _unwinding = AbortOnPanic;
        self.activity
            .send_modify(|activity| activity.lease = Some(leadership.lease().clone()));
        let mut note = Note::leave(
            self.election.name(),
            leadership.identity(),
            leadership.fencing_token(),
        );
        let leading = Leading {
            election: self.election,
            leadership: &leadership,
            activity: self.activity,
            reload: &mut self.reload,
            signals: self.signals,
            calls: &self.calls,
            keeper: &mut self.keeper,
            vitals: &mut self.vitals,
            counters: self.counters,
        };
        let conclusion = leading.run(program, restarts).await;
        self.activity.send_modify(|activity| {
            (activity.lease, activity.program, activity.unhealthy) = (None, None, false);
            activity.ending = matches!(
                conclusion,
                Ok(Conclusion::Exited(_) | Conclusion::Ended(_) | Conclusion::Asked(_)) | Err(_)
            );
        });
        let reason = match &conclusion {
            Ok(conclusion) => conclusion.reason(),
            Err(_) if self.keeper.is_lost() => LossReason::KeeperDied,
            Err(failure) => LossReason::WorkEnded {
                status: Some(failure.exit.status()),
            },
        };
        let conflict = self.election.conflict();
        let conflict = conflict.filter(|_| leadership.loss() == Some(LossReason::OtherStores));
        leadership.conclude(reason).await;
        self.keeper.released();
        note.remove();
        match (conclusion, conflict) {
            (Ok(Conclusion::Lost | Conclusion::Ended(Exit::Lost)), Some(conflict)) => Err(
                campaign_failed(conflict, self.settings.values.conflict_exit_code),
            ),
            (conclusion, _) => conclusion,
        }
    }

    async fn replace_keeper(&mut self) -> Result<(), Failure> {
        let launched = keeping::launch(self.settings)?;
        let another = keeping::attach(launched, self.context)?;
        std::mem::replace(&mut self.keeper, another).close().await;
        Ok(())
    }

    /// Campaigns, after a pause, until elected or asked to stop. The keeper is already running, which saves
    /// time later; one that dies is replaced.
    ///
    /// Stores that refuse a candidate which has led on them accepted it before: that is an outage, not a
    /// configuration error.
    async fn stand_by(
        &mut self,
        pause: Duration,
        wait: Wait,
        has_led: bool,
    ) -> Result<Standby, Failure> {
        let (election, seats) = (self.election, self.seats);
        let mut is_ready = self.ready.subscribe();
        let campaign = async {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            // A candidate publishes the containment that its keeper found. That is only for people, so the
            // wait is short.
            let reported = is_ready.wait_for(|ready| *ready);
            if tokio::time::timeout(FINDING_OUT, reported).await.is_err() {
                tracing::debug!("the keeper has not reported the containment yet");
            }
            loop {
                match campaign(election, seats, wait).await {
                    Err(
                        error
                        @ (CampaignError::Denied { .. } | CampaignError::Misconfigured { .. }),
                    ) if has_led => {
                        tracing::error!(%error, "trying again in {AGAIN:?}");
                        tokio::time::sleep(AGAIN).await;
                    }
                    outcome => return outcome,
                }
            }
        };
        tokio::pin!(campaign);
        loop {
            tokio::select! {
                biased;
                signal = ended_by(self.signals, &self.calls, &mut self.reload) => return Ok(Standby::Ended(signal)),
                event = self.keeper.event() => match event {
                    Event::Ready { containment, memory_locked, real_time } => {
                        keeping::log_ready(&self.keeper, &containment, memory_locked, real_time);
                        if let Err(error) = self.election.tell_containment(containment.level()) {
                            tracing::debug!(%error, "the containment cannot be published");
                        }
                        self.ready.send_replace(true);
                    }
                    Event::Uncontained(why) => {
                        return Err(keeping::uncontained(self.settings, &why));
                    }
                    Event::KeeperLost => {
                        tracing::warn!("the keeper died while no program ran: starting another");
                        self.replace_keeper().await?;
                    }
                    // Nothing runs, so there is nothing else to report.
                    event => tracing::debug!(?event, "unexpected news from the keeper"),
                },
                won = &mut campaign => {
                    let not_elected = self.settings.values.conflict_exit_code;
                    return match won {
                        Ok(won) => Ok(Standby::Elected(won)),
                        Err(error) if self.task == Task::Once && error.is_skipped() => Ok(Standby::Skipped(error)),
                        Err(error) => Err(campaign_failed(error, not_elected)),
                    };
                }
            }
        }
    }
}

/// How the wait as a standby ended.
enum Standby {
    /// For this seat, if there are any.
    Elected((Option<u16>, Leadership)),
    /// By this signal.
    Ended(i32),
    /// The program runs or ran elsewhere in this tick.
    Skipped(CampaignError),
}

/// Waits for a signal that stops a candidate without a program.
async fn ended_by(signals: &mut Signals, calls: &Calls, reload: &mut Reload<'_>) -> i32 {
    while let Some(signal) = signals.next().await {
        match calls.understand(signal) {
            Call::Stop | Call::Kill => return signal,
            Call::Reap => keeping::reap(),
            Call::Reload => reload.read_again(),
            Call::PassOn => {}
        }
    }
    std::future::pending().await
}
