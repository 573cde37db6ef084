//! `incumbent resume NAME`: lifts a pause.

use super::operator::{Report, operator, report};
use super::runtime;
use crate::config::args::Order;
use crate::exit::{Exit, Failure};

/// Lifts the pause of an election; one that is not paused stays as it is.
///
/// # Errors
///
/// A configuration that cannot be used, and an order that no majority of the stores took.
pub(crate) fn resume(order: &Order) -> Result<Exit, Failure> {
    let (operator, _) = operator(order)?;
    let (before, view, given) = runtime()?.block_on(async {
        let before = operator.view().await;
        let given = operator.resume().await?;
        Ok::<_, Failure>((before, operator.view().await, given))
    })?;
    let said = match before.paused {
        Some(_) => "not paused any more",
        None => "was not paused",
    };
    let done = Report::of("resume", &given, said);
    report(&view, order.output.output, &done)?;
    Ok(Exit::Success)
}
