//! `incumbent pause NAME`: stops new elections; the current leader keeps leading.

use incumbent::observe::{State, pause_in_words};
use incumbent::protocol::Reason;

use super::operator::{Report, operator, report};
use super::runtime;
use crate::config::args::Pause;
use crate::exit::{Exit, Failure};

/// Pauses an election.
///
/// # Errors
///
/// A configuration that cannot be used, and an order that no majority of the stores took.
pub(crate) fn pause(arguments: &Pause) -> Result<Exit, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, error);
    let reason = arguments.reason.as_deref().map(Reason::new).transpose();
    let reason = reason.map_err(|error| usage(&format!("--reason: {error}")))?;
    let lasts = super::operator::duration("--for", arguments.lasts.as_deref())?;
    let (operator, _) = operator(&arguments.order)?;
    let (view, given) = runtime()?.block_on(async {
        let given = operator.pause(lasts, reason).await?;
        Ok::<_, Failure>((operator.view().await, given))
    })?;
    let words = view.paused.as_ref().map(pause_in_words);
    let said = match words {
        // The name may be a typo: then the intended election is not paused.
        Some(words) if view.state == State::Absent => {
            format!("paused {words}; the stores have no record of it")
        }
        Some(words) => {
            format!("paused {words}; the current leader keeps leading, and no one takes over")
        }
        None => "paused, and the pause is over already".to_owned(),
    };
    let done = Report::of("pause", &given, said);
    report(&view, arguments.order.output.output, &done)?;
    Ok(Exit::Success)
}
