//! Notifies systemd that this process is ready, what it does, that it is alive, and that it stops.
//!
//! ```text
//!   Activity (leadership, program) ────────────┐
//!   acknowledged heartbeats ───────────────────┼──▶ READY, STATUS, WATCHDOG, STOPPING, EXTEND_TIMEOUT
//!   the loop of the election, turning ─────────┘
//! ```
//!
//! A standby is a started unit, so READY is sent when the campaign begins. A watchdog that is fed by a
//! timer proves nothing: a leader feeds it on acknowledged heartbeats only, a standby only while the loop
//! of its election turns. It is set anew from the tenure that is left, so that it fires before another
//! candidate can lead: if the elector and its keeper were both killed, it ends what is left of the program.
//! See `sd_notify(3)` and `systemd.service(5)`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use incumbent::election::clock;
use incumbent::observe::pause_in_words;
use incumbent::protocol::Timestamp;
use incumbent::{Election, ElectionEvent, EventKind, Lease};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sd_notify::NotifyState;
use tokio::sync::{broadcast, watch};

/// What this process is doing, for its status line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity {
    /// The leadership, while there is one.
    pub(crate) lease: Option<Lease>,
    /// The program, while one runs.
    pub(crate) program: Option<i32>,
    /// Whether the program is unhealthy, and stopped for it.
    pub(crate) unhealthy: bool,
    /// How long the program may take to stop, if it was asked to.
    pub(crate) draining: Option<Duration>,
    /// Whether the process exits once it has released everything.
    pub(crate) ending: bool,
}

/// The service manager that started us, if one did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manager {
    listens: bool,
}

impl Manager {
    /// How late the watchdog may end a unit on an idle machine: the timers of the watchdog and of `TimeoutAbortSec=` each
    /// have the default accuracy of `sd_event_add_time(3)`, a quarter of a second.
    const LATEST: Duration = Duration::from_millis(600);

    /// The manager that this process was started by.
    pub(crate) fn detect() -> Self {
        Self {
            listens: std::env::var_os("NOTIFY_SOCKET").is_some(),
        }
    }

    /// The configuration is being read again.
    pub(crate) fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => _ = self.tell(&[NotifyState::Reloading, now]),
            Err(error) => {
                tracing::warn!("the service manager cannot be notified of the reload: {error}")
            }
        }
    }

    /// Reading the configuration again is over.
    pub(crate) fn reloaded(self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Whether it was notified; a manager that does not listen is not waited for.
    fn tell(self, states: &[NotifyState<'_>]) -> bool {
        if !self.listens {
            return false;
        }
        let told = has_room().and_then(|room| {
            if room {
                sd_notify::notify(states)?;
            }
            Ok(room)
        });
        if let Err(error) = &told {
            tracing::debug!("the service manager cannot be notified: {error}");
        }
        told.unwrap_or(false)
    }

    /// Notifies the manager for as long as the process lives. Returns at once without a manager that
    /// listens.
    pub(crate) async fn accompany(
        self,
        election: Election,
        turns: impl Stream<Item = Timestamp> + Send + Unpin + 'static,
        events: broadcast::Receiver<ElectionEvent>,
        activity: watch::Receiver<Activity>,
    ) {
        if !self.listens {
            return;
        }
        let tenure = micros(election.timing().tenure());
        self.tell(&[NotifyState::Ready, NotifyState::WatchdogUsec(tenure)]);
        Companion {
            manager: self,
            election,
            events,
            activity,
            leader: "campaigning".to_owned(),
            told: String::new(),
            stopping: false,
            extended: None,
        }
        .keep_telling(turns)
        .await;
    }
}

/// Whether the manager takes a message without blocking us: a manager that hangs must not cost the leadership.
fn has_room() -> std::io::Result<bool> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return Ok(false);
    };
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes() {
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        [b'/', ..] => socket.connect(&name)?,
        // A socket of a virtual machine's host, which cannot be asked.
        _ => return Ok(true),
    }
    let mut sources = [PollFd::new(&socket, PollFlags::OUT)];
    Ok(poll(&mut sources, Some(&Timespec::default()))? > 0)
}

struct Companion {
    manager: Manager,
    election: Election,
    events: broadcast::Receiver<ElectionEvent>,
    activity: watch::Receiver<Activity>,
    /// What a standby last learned about the leader.
    leader: String,
    told: String,
    stopping: bool,
    /// When the manager was last asked for time.
    extended: Option<Timestamp>,
}

impl Companion {
    async fn keep_telling(mut self, mut turns: impl Stream<Item = Timestamp> + Unpin) {
        let interval = self.election.timing().interval();
        // Whether there is a leadership, and whether it was asked to end.
        let (mut leads, mut ending) = (false, false);
        loop {
            let now = self.activity.borrow_and_update().clone();
            self.tell_status(&now);
            self.tell_draining(&now, interval);
            // The status shows the tenure left even while no heartbeat succeeds.
            let look_again = clock::sleep_until(clock::now() + interval * 2);
            let begins = now.lease.is_some() && !leads;
            leads = now.lease.is_some();
            let woken = match &now.lease {
                // A standby's watchdog is too long for a leader, which may be frozen before its first heartbeat.
                Some(lease) if begins => Ok(Some(self.by_tenure(lease))),
                Some(lease) => {
                    let mut deadlines = lease.deadlines();
                    tokio::select! {
                        changed = self.activity.changed() => changed.map(|()| None),
                        // The deadline moves on an acknowledged heartbeat, and on nothing else.
                        Some(_) = deadlines.next() => Ok((!ending).then(|| self.by_tenure(lease))),
                        _ = lease.lost(), if !ending => {
                            ending = true;
                            // The program is being stopped, and has until the deadline.
                            Ok(Some(lease.remaining().max(interval)))
                        }
                        () = look_again => Ok(None),
                    }
                }
                None => {
                    let over = std::mem::take(&mut ending);
                    tokio::select! {
                        changed = self.activity.changed() => changed.map(|()| None),
                        event = self.events.recv() => {
                            self.learn(event);
                            Ok(None)
                        }
                        Some(_) = turns.next() => Ok(Some(self.election.timing().tenure())),
                        () = std::future::ready(()), if over => {
                            Ok(Some(self.election.timing().tenure()))
                        }
                    }
                }
            };
            match woken {
                Ok(Some(within)) => self.feed(within),
                Ok(None) => {}
                // The sender is gone: the process is about to exit.
                Err(_) => return,
            }
        }
    }

    /// Asks to be killed unless the next notification comes within this time.
    fn feed(&self, within: Duration) {
        let within = NotifyState::WatchdogUsec(micros(within));
        self.manager.tell(&[within, NotifyState::Watchdog]);
    }

    /// The watchdog of a leader has ended its unit before its tenure ends, though the manager's timers are late; but not
    /// before its program was asked to stop, nor between two heartbeats. A longer stop grace leaves the manager of a busy
    /// machine more time.
    fn by_tenure(&self, lease: &Lease) -> Duration {
        let timing = self.election.timing();
        let grace = timing.stop_grace();
        let early = Manager::LATEST.max(grace / 2).min(grace);
        lease
            .remaining()
            .saturating_sub(early)
            .max(timing.interval() * 2)
    }

    fn learn(&mut self, event: Result<ElectionEvent, broadcast::error::RecvError>) {
        let Ok(event) = event else { return };
        match event.kind {
            EventKind::Following {
                leader: Some(leader),
                term,
            } => self.leader = format!("standing by: {leader} leads, term {term}"),
            EventKind::Following { leader: None, .. } => {
                "standing by: a program that speaks the bare protocol leads"
                    .clone_into(&mut self.leader);
            }
            EventKind::Leaderless { .. } => {
                "campaigning: no one leads".clone_into(&mut self.leader);
            }
            EventKind::Probation { term, .. } => {
                self.leader = format!("holding term {term} without acting: probation");
            }
            EventKind::Paused { pause } => {
                self.leader = format!("standing by: paused {}", pause_in_words(&pause));
            }
            EventKind::Resumed => "campaigning: resumed".clone_into(&mut self.leader),
            EventKind::StoreDown { store, .. } => {
                self.leader = format!("standing by: {store} does not answer");
            }
            _ => {}
        }
    }

    fn tell_status(&mut self, now: &Activity) {
        let status = match &now.lease {
            Some(lease) => {
                let program = match now.program {
                    Some(pid) => format!("program {pid}"),
                    None => "no program yet".to_owned(),
                };
                let left = lease.remaining().as_millis() / 100;
                format!(
                    "{}: term {}, {program}, tenure left {}.{} s",
                    if now.unhealthy {
                        "unhealthy, stopping"
                    } else if now.draining.is_some() {
                        "stopping"
                    } else {
                        "leading"
                    },
                    lease.fencing_token(),
                    left / 10,
                    left % 10,
                )
            }
            None if now.ending => "ending".to_owned(),
            None => self.leader.clone(),
        };
        if status != self.told && self.manager.tell(&[NotifyState::Status(&status)]) {
            self.told = status;
        }
    }

    fn tell_draining(&mut self, now: &Activity, interval: Duration) {
        let Some(timeout) = now.draining else { return };
        let at = clock::now();
        if !self.stopping {
            self.stopping = self.manager.tell(&[
                NotifyState::Stopping,
                NotifyState::ExtendTimeoutUsec(micros(timeout)),
            ]);
            self.extended = self.stopping.then_some(at);
        }
        // A stopping program causes many events at once; none is a reason to ask again.
        let fresh = |asked: Timestamp| at.since(asked) < interval / 2;
        if self.extended.is_some_and(fresh) {
            return;
        }
        // The next turn comes within two intervals, and asks again.
        let more = micros(interval * 4 + self.election.timing().tenure());
        if self.manager.tell(&[NotifyState::ExtendTimeoutUsec(more)]) {
            self.extended = Some(at);
        }
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
