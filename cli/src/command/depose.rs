//! `incumbent depose NAME --yes`: removes the stalled holder of an election.

use std::io::{IsTerminal, stderr};

use super::operator::{Report, operator, report};
use super::runtime;
use crate::config::args::Depose;
use crate::exit::{Exit, Failure};
use crate::output::{self, duration};

/// Deposes the holder of an election.
///
/// # Errors
///
/// A configuration that cannot be used, a holder that is alive, and an order that no majority of the
/// stores took.
pub(crate) fn depose(arguments: &Depose) -> Result<Exit, Failure> {
    let (operator, settings) = operator(&arguments.order)?;
    if !arguments.yes {
        return Err(Failure::new(Exit::Usage, would(arguments, &settings)?));
    }
    if !arguments.unsafe_now && stderr().is_terminal() {
        output::complain(&format!(
            "incumbent: watching {:?} for {} or the holder's own window",
            arguments.order.name,
            duration(settings.timing()?.window())
        ));
    }
    let (view, given) = runtime()?.block_on(async {
        let given = if arguments.unsafe_now {
            operator.depose_now().await?
        } else {
            operator.depose().await?
        };
        Ok::<_, Failure>((operator.view().await, given))
    })?;
    let said = if arguments.unsafe_now {
        "deposed without waiting: a holder that is alive may act beside the next one until it gets the \
         order, so check what it did last"
    } else {
        "deposed: the holder had stalled for its window, and any candidate may lead now"
    };
    let done = Report::of("depose", &given, said);
    report(&view, arguments.order.output.output, &done)?;
    Ok(Exit::Success)
}

/// What it would do with `--yes`.
fn would(
    arguments: &Depose,
    settings: &crate::config::settings::Settings,
) -> Result<String, Failure> {
    let name = &arguments.order.name;
    Ok(if arguments.unsafe_now {
        format!(
            "this would vacate {name:?} at once: a leader that is alive keeps acting beside the next one \
             until it gets the order, and only the fencing token keeps them apart; add --yes if its host is \
             known to be dead"
        )
    } else {
        format!(
            "this would watch {name:?} for {} or the holder's own window, and vacate it if its counter \
             stalls all that time; add --yes to do it",
            duration(settings.timing()?.window())
        )
    })
}
