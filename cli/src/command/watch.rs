//! `incumbent watch [NAME]`: elections as they change. On a terminal redrawn in place, elsewhere one line
//! for each change.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

use futures_util::StreamExt;
use incumbent::election::{Observer, clock};
use incumbent::observe::document::{Document, Status};
use incumbent::observe::{ElectionView, State, pause_in_words};
use incumbent::protocol::{ElectionName, FencingToken, Handover, Pause};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_tokio::Signals;

use super::electorate;
use super::list;
use super::report;
use super::runtime;
use crate::config::args::{Format, Watch};
use crate::exit::{Exit, Failure};
use crate::output::screen::Screen;
use crate::output::{self, Tone};

/// The most elections that are read per second: with more, each is read less often.
const PER_SECOND: usize = 500;

/// How many rounds the names of all elections are kept before they are asked for again.
const ROUNDS_PER_LISTING: u32 = 10;

/// Watches until it is interrupted.
///
/// # Errors
///
/// A configuration that cannot be used, or standard output that cannot be written.
pub(crate) fn watch(arguments: &Watch) -> Result<Exit, Failure> {
    let name = super::optional_name(arguments.name.as_deref())?;
    let typed = arguments.flags.0.clone();
    let typed = typed.with("interval", arguments.interval.as_ref());
    let settings = super::settings(&typed, name.as_ref())?;
    if settings.values.interval.is_zero() {
        let origin = settings.origin("interval").map(ToString::to_string);
        return Err(Failure::configuration(format!(
            "{}: the interval must be greater than 0: remove it for the default",
            origin.unwrap_or_default()
        )));
    }
    let watcher = Watcher {
        observer: electorate::observe(&settings)?,
        name,
        interval: *settings.values.interval,
        format: arguments.output.output,
        in_place: stdout().is_terminal() && arguments.output.output == Format::Text,
    };
    runtime()?.block_on(async {
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| {
            Failure::internal(format_args!("signals cannot be received: {error}"))
        })?;
        tokio::select! {
            biased;
            _ = signals.next() => Ok(Exit::Success),
            failed = watcher.run() => failed,
        }
    })
}

struct Watcher {
    observer: Observer,
    name: Option<ElectionName>,
    interval: Duration,
    format: Format,
    in_place: bool,
}

/// What counts as a change of an election: everything but the heartbeat.
type Shape = (
    &'static str,
    Option<FencingToken>,
    bool,
    Vec<String>,
    usize,
    Option<Pause>,
    Option<Handover>,
);

impl Watcher {
    async fn run(&self) -> Result<Exit, Failure> {
        let mut shown: BTreeMap<ElectionName, Shape> = BTreeMap::new();
        let mut screen = Screen::default();
        let (mut names, mut away) = (Vec::new(), Vec::new());
        let mut round: u32 = 0;
        loop {
            if round.is_multiple_of(ROUNDS_PER_LISTING) {
                let before = std::mem::take(&mut away);
                away = self.list(&mut names).await;
                if !self.in_place && away != before {
                    self.tell_away(&away)?;
                }
            }
            round = round.wrapping_add(1);
            let views = self.observer.views(&names).await;
            if self.in_place {
                let (height, width) = (Screen::height(), Screen::width());
                let text = output::colored(&page(views.clone(), &away, height, width));
                output::print_raw(screen.draw(&text, height, width).as_bytes())?;
            } else {
                self.print_changes(&views, &mut shown)?;
            }
            if is_unread() {
                return Ok(Exit::Success);
            }
            let rounds = views.len().div_ceil(PER_SECOND).max(1);
            let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
            tokio::time::sleep(self.interval.saturating_mul(rounds)).await;
        }
    }

    /// Updates the names, and returns why stores did not list theirs.
    async fn list(&self, names: &mut Vec<ElectionName>) -> Vec<String> {
        if let Some(name) = &self.name {
            *names = vec![name.clone()];
            return Vec::new();
        }
        let listing = self.observer.elections().await;
        let errors = listing.stores.iter().filter_map(|(_, told)| {
            let error = told.as_ref().err()?;
            Some(output::one_line(&error.to_string()))
        });
        let errors: Vec<String> = errors.collect();
        // Elections of an unreachable store are kept.
        if errors.is_empty() {
            names.clear();
        }
        names.extend(listing.elections);
        names.sort_unstable();
        names.dedup();
        errors
    }

    /// Errors of stores. JSON lines are elections only, so with JSON these go to standard error.
    fn tell_away(&self, errors: &[String]) -> Result<(), Failure> {
        let at = output::moment(clock::wall());
        for error in errors {
            match self.format {
                Format::Json => super::warn_of(error),
                Format::Text => output::print(&format!("{at}  {error}\n"))?,
            }
        }
        Ok(())
    }

    /// One line for each election that has changed since it was last printed.
    fn print_changes(
        &self,
        views: &[ElectionView],
        shown: &mut BTreeMap<ElectionName, Shape>,
    ) -> Result<(), Failure> {
        shown.retain(|name, _| views.iter().any(|view| view.election == *name));
        for view in views {
            let shape = shape(view);
            if shown.get(&view.election) == Some(&shape) {
                continue;
            }
            shown.insert(view.election.clone(), shape);
            match self.format {
                Format::Json => output::print_json_line(&Document::<Status>::from(view))?,
                Format::Text => output::print(&line(view))?,
            }
        }
        Ok(())
    }
}

/// Whether the reader of standard output is gone: nothing is written while nothing changes, so no write
/// would fail.
fn is_unread() -> bool {
    let output = stdout();
    let mut watched = [PollFd::new(&output, PollFlags::empty())];
    let polled = poll(&mut watched, Some(&Timespec::default()));
    let gone = PollFlags::ERR | PollFlags::HUP;
    polled.is_ok() && watched[0].revents().intersects(gone)
}

/// The moment, and as much of the table as fits, in height and in width. If it does not all fit,
/// problems come first.
fn page(mut views: Vec<ElectionView>, away: &[String], height: usize, width: usize) -> String {
    /// Lines for the time, a blank, the header, and the number of further elections.
    const AROUND: usize = 4;
    let mut text = format!("{}\n\n", output::moment(clock::wall()));
    for error in away {
        text.push_str(&Tone::Bad.paint(error));
        text.push('\n');
    }
    if views.is_empty() {
        if away.is_empty() {
            text.push_str("no elections yet\n");
        }
        return text;
    }
    let room = height.saturating_sub(AROUND + away.len()).max(1);
    if views.len() > room {
        views.sort_by_key(|view| report::tone(&view.state) == Tone::Good);
    }
    let hidden = views.split_off(room.min(views.len()));
    text.push_str(&list::fitted(&views, width));
    if !hidden.is_empty() {
        let good = hidden
            .iter()
            .filter(|view| report::tone(&view.state) == Tone::Good);
        let (good, all) = (good.count(), hidden.len());
        text.push_str(&format!("and {all} more, of which {good} are held\n"));
    }
    text
}

fn shape(view: &ElectionView) -> Shape {
    let leader = view.leader();
    let candidates = view.candidates.iter();
    (
        view.state.word(),
        leader.map(|leader| leader.term),
        leader.is_some_and(incumbent::observe::Holding::is_stalled),
        candidates
            .map(|one| one.identity.id().as_str().to_owned())
            .collect(),
        view.errors().count(),
        view.paused.clone(),
        view.handover.clone(),
    )
}

fn line(view: &ElectionView) -> String {
    let said = match &view.state {
        State::Held(holding) => {
            let who = match &holding.identity {
                Some(identity) => format!("{} (pid {})", identity.host(), identity.pid()),
                None => holding.holder.to_string(),
            };
            let stalled = if holding.is_stalled() {
                ", stalled"
            } else {
                ""
            };
            format!("{who} leads, token {}{stalled}", holding.term)
        }
        State::Vacant { term, .. } => format!("no one leads: term {term} was released"),
        other => other.word().to_owned(),
    };
    let candidates = view.candidates.len();
    let plural = if candidates == 1 { "" } else { "s" };
    let at = output::moment(clock::wall());
    let said = report::tone(&view.state).paint(&said);
    let paused = view.paused.as_ref().map_or_else(String::new, |pause| {
        format!(", paused {}", output::one_line(&pause_in_words(pause)))
    });
    let moves = match &view.handover {
        Some(Handover { to: Some(to), .. }) => format!(", handing over to {to}"),
        Some(Handover { to: None, .. }) => ", handing over".to_owned(),
        None => String::new(),
    };
    let mut line = format!(
        "{at}  {}: {said}, {candidates} candidate{plural}{moves}{paused}\n",
        view.election
    );
    for error in view.errors() {
        line.push_str(&format!(
            "{at}  {}: {}\n",
            view.election,
            output::one_line(&error.to_string())
        ));
    }
    line
}
