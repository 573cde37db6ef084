//! What the commands that give orders share: the operator, and the report of the outcome.

use std::time::Duration;

use incumbent::election::{CompletedOrder, Operator, OrderError};
use incumbent::observe::document::{Followed, Ordered};
use incumbent::observe::{Answers, ElectionView};
use incumbent::protocol::{FencingToken, Verdict};

use super::electorate;
use super::user;
use crate::config::args::{Format, Order};
use crate::config::hint;
use crate::config::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::output::{self, Tone, one_line};

/// An order that was given.
pub(super) struct Report<'a> {
    pub(super) order: &'static str,
    pub(super) term: Option<FencingToken>,
    pub(super) stores: &'a Answers<Verdict>,
    /// The message for people.
    pub(super) said: String,
    /// The next leader, if the command waited for one.
    pub(super) followed: Option<Followed>,
}

impl<'a> Report<'a> {
    /// The report of an order without `--wait`.
    pub(super) fn of(
        order: &'static str,
        given: &'a CompletedOrder,
        said: impl Into<String>,
    ) -> Self {
        Self {
            order,
            term: None,
            stores: &given.stores,
            said: said.into(),
            followed: None,
        }
    }
}

/// The operator of the election that is named.
pub(super) fn operator(order: &Order) -> Result<(Operator, Settings), Failure> {
    let (name, settings) = super::reading(order)?;
    let observer = electorate::check(&settings)?;
    let addresses = settings.addresses()?;
    let files = addresses.iter().map(|address| address.file());
    let missing = files.filter(|file| file.is_some_and(|file| !file.exists()));
    // An order is for an existing election: a new file would hold none.
    if missing.count() >= observer.electorate().majority() {
        let stores = observer.stores().iter().map(|store| store.label());
        return Err(Failure::new(
            Exit::NotHeld,
            format_args!(
                "there is no election {:?}: {} does not exist, and no candidate has used it; name the store of \
                 the candidates with --store",
                order.name,
                stores.collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    let operator = Operator::new(observer, name, user::identity(), settings.timing()?);
    Ok((operator, settings))
}

/// The duration that was typed for an option, which must not be zero.
pub(super) fn duration(option: &str, typed: Option<&str>) -> Result<Option<Duration>, Failure> {
    let Some(text) = typed else {
        return Ok(None);
    };
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format_args!("{option} {text:?}: {why}"))
    };
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(wrong(&"it must be greater than 0")),
        Ok(duration) => Ok(Some(duration)),
        Err(error) => Err(wrong(&format!("{error}; write it as in 10m or 1h 30m"))),
    }
}

/// Prints the outcome of an order.
pub(super) fn report(
    view: &ElectionView,
    format: Format,
    report: &Report<'_>,
) -> Result<(), Failure> {
    if format == Format::Json {
        let Report {
            order,
            term,
            stores,
            followed,
            ..
        } = *report;
        let document = Ordered::document(view, order, term, stores, followed);
        return output::print_json(&document);
    }
    let mut text = format!("{}: {}\n", view.election, one_line(&report.said));
    for (store, told) in report.stores {
        let missing = match told {
            Ok(Verdict::Granted) => continue,
            Ok(Verdict::Refused) => format!("{store} refused it: its record has changed meanwhile"),
            Err(error) => error.to_string(),
        };
        let line = format!("  not taken by a minority: {}", one_line(&missing));
        text.push_str(&Tone::Odd.paint(&line));
        text.push('\n');
    }
    output::print(&text)
}

impl From<OrderError> for Failure {
    fn from(error: OrderError) -> Self {
        let exit = match &error {
            _ if error.is_denied() => Exit::Refused,
            _ if error.is_misconfigured() => Exit::Configuration,
            OrderError::NotHeld { .. } => Exit::NotHeld,
            OrderError::UnknownSuccessor { .. } | OrderError::AmbiguousSuccessor { .. } => {
                Exit::Usage
            }
            OrderError::Alive { .. } | OrderError::InUse { .. } => Exit::NotElected(75),
            _ => Exit::Unreachable,
        };
        if exit == Exit::Refused {
            let doctor = hint::command("doctor", None);
            return Self::new(
                exit,
                format_args!(
                    "{error}; {doctor} tries each permission for real, and shows which is missing"
                ),
            );
        }
        Self::new(exit, error)
    }
}
