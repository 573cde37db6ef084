//! `incumbent resign NAME [--to CANDIDATE|HOST|LABEL] [--wait]`: asks the leader to hand over.

use std::time::Duration;

use incumbent::election::{Operator, clock};
use incumbent::observe::document::Followed;
use incumbent::observe::{ElectionView, Holding, PastTerm, pause_in_words};
use incumbent::protocol::FencingToken;
use incumbent::store::Identity;

use super::operator::{Report, operator, report};
use super::runtime;
use crate::config::args::Resign;
use crate::config::hint;
use crate::exit::{Exit, Failure};
use crate::output::duration;

/// How often to look for a new leader.
const LOOK: Duration = Duration::from_millis(100);

/// Asks the leader of an election to resign.
///
/// # Errors
///
/// An invalid configuration, no leader, no standby named `--to`, an order that no majority of the stores took,
/// a pause, and a handover that takes too long.
pub(crate) fn resign(arguments: &Resign) -> Result<Exit, Failure> {
    let given = super::operator::duration("--wait-timeout", arguments.wait_timeout.as_deref())?;
    let (operator, settings) = operator(&arguments.order)?;
    // The leader gets the order and stops its work; standbys that are not preferred wait for a window.
    let timing = settings.timing()?;
    let usual = timing.window() * 2 + timing.interval() * 4 + *settings.values.stop_timeout;
    let patience = given.unwrap_or(usual);
    runtime()?.block_on(async {
        forewarn(&operator.view().await, arguments)?;
        let asked = match &arguments.to {
            Some(name) => operator.resign_leader_to(name).await?,
            None => operator.resign_leader(None).await?,
        };
        let to = match &asked.to {
            Some(to) => format!(", and {to} is preferred after it"),
            None => String::new(),
        };
        let mut said = format!("the leader of term {} was asked to resign{to}", asked.term);
        let (mut view, mut followed) = (operator.view().await, None);
        if arguments.wait || given.is_some() {
            view = wait(&operator, asked.term, patience).await?;
            let now = view.leader().map_or(asked.term, |leader| leader.term);
            let (told, others) = gap(&operator, asked.term, now).await;
            followed = Some(told);
            let leader = view.leader().and_then(|leader| leader.identity.as_ref());
            let leader = leader.map_or("another candidate".to_owned(), |identity| {
                format!("{} on {}", identity.id(), identity.host())
            });
            let most = if told.at_most { "up to " } else { "" };
            let gap = told.gap.map_or(String::new(), |gap| {
                format!(", after {most}{} without a leader", duration(gap))
            });
            said = match others {
                0 => format!("{leader} leads{gap}"),
                _ => format!(
                    "{leader} leads; {others} elected before it did not last: {} shows why",
                    hint::command("history", Some(view.election.as_str()))
                ),
            };
        }
        let done = Report {
            order: "resign",
            term: Some(asked.term),
            stores: &asked.order.stores,
            said,
            followed,
        };
        report(&view, arguments.order.output.output, &done)
    })?;
    Ok(Exit::Success)
}

/// Refuses an order that would leave no program running, and warns of other surprises.
fn forewarn(view: &ElectionView, arguments: &Resign) -> Result<(), Failure> {
    let Some(leader) = view.leader() else {
        return Ok(());
    };
    // No work must stop, so its successor may be named before a `resume`.
    if leader.is_stalled() {
        super::warn_of(&format!(
            "the leader has stalled for longer than its window, and may never get the order: {} vacates what it \
             has left",
            hint::command("depose --yes", Some(view.election.as_str()))
        ));
        return Ok(());
    }
    if let Some(pause) = &view.paused {
        let paused = format!(
            "election {:?} is paused {}: once its leader resigns, no one is elected until it is resumed",
            view.election.as_str(),
            pause_in_words(pause)
        );
        if !arguments.anyway {
            let message = format!(
                "{paused}; {} first, or add --anyway",
                hint::command("resume", Some(view.election.as_str()))
            );
            return Err(Failure::new(Exit::NotElected(75), message));
        }
        super::warn_of(&paused);
    }
    let named = arguments.to.as_deref();
    let itself = leader.identity.as_ref();
    if named.is_none() && view.candidates.iter().all(|one| one.leads) {
        super::warn_of("there is no standby: the same candidate leads again after a window");
    } else if let Some(itself) = itself.filter(|one| is_named(one, named, view)) {
        let message = format!("{} leads already", itself.id());
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(())
}

/// Whether the name is the id of the leader, or its label and no name of a standby.
fn is_named(leader: &Identity, named: Option<&str>, view: &ElectionView) -> bool {
    let Some(named) = named else {
        return false;
    };
    let mut standbys = view.candidates.iter().filter(|one| !one.leads);
    let is_standby =
        standbys.any(|one| one.identity.host() == named || one.identity.id().label() == named);
    leader.id().as_str() == named || (leader.id().label() == named && !is_standby)
}

/// Waits for a leader with another term.
async fn wait(
    operator: &Operator,
    before: FencingToken,
    patience: Duration,
) -> Result<ElectionView, Failure> {
    let until = clock::now() + patience;
    loop {
        let view = operator.view().await;
        let leader = view.leader();
        if leader.is_some_and(|leader| leader.term != before && !leader.unproven) {
            return Ok(view);
        }
        if clock::now() >= until {
            let still = leader.is_some_and(|leader| leader.term == before);
            let stalled = leader.is_some_and(Holding::is_stalled);
            let why = if still && stalled {
                "it has not received the order: its heartbeat has stalled".to_owned()
            } else if still {
                "its work has not ended yet".to_owned()
            } else if let Some(pause) = &view.paused {
                let paused = pause_in_words(pause);
                format!("no one leads: the election is paused {paused}")
            } else if view.candidates.is_empty() {
                "no one leads, and no one campaigns".to_owned()
            } else {
                "no one else leads yet".to_owned()
            };
            let message = format!(
                "the leader of term {before} was asked to resign, and after {} {why}",
                duration(patience)
            );
            return Err(Failure::new(Exit::NotElected(75), message));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The gap between a term and the current one, and how many others led in between: if any did, there was more
/// than one gap and the first value is `None`.
async fn gap(operator: &Operator, before: FencingToken, now: FencingToken) -> (Followed, usize) {
    let history = operator.history(16).await;
    let between = |past: &&PastTerm| past.term > before && past.term < now;
    let others = history.terms.iter().filter(between).count();
    let past = history.terms.iter().find(|past| past.term == before);
    let past = past.filter(|_| others == 0);
    let gap = past.and_then(|past| past.gap);
    let at_most = past.is_some_and(|past| past.last_heartbeat.is_some());
    (Followed::new(gap, at_most), others)
}
