//! `incumbent forget NAME --yes`: deletes what the stores keep of an election that no one holds.

use incumbent::observe::State;

use super::operator::{Report, operator, report};
use super::runtime;
use crate::config::args::Forget;
use crate::exit::{Exit, Failure};

/// Forgets an election. One that was forgotten before, or never held, stays as it is.
///
/// # Errors
///
/// A configuration that cannot be used, an election in use, and an order that no majority of the stores took.
pub(crate) fn forget(arguments: &Forget) -> Result<Exit, Failure> {
    let (operator, _) = operator(&arguments.order)?;
    let name = &arguments.order.name;
    if !arguments.yes {
        let would = format!(
            "this would delete the record and the history of {name:?} from every store, unless it is in use; add \
             --yes to do it"
        );
        return Err(Failure::new(Exit::Usage, would));
    }
    let (before, view, given) = runtime()?.block_on(async {
        let before = operator.view().await;
        let given = operator.forget().await?;
        Ok::<_, Failure>((before, operator.view().await, given))
    })?;
    let said = match before.state {
        State::Absent => "there was nothing to forget: the stores have no record of it",
        _ => "forgotten: the stores have no record and no history of it",
    };
    let done = Report::of("forget", &given, said);
    report(&view, arguments.order.output.output, &done)?;
    Ok(Exit::Success)
}
