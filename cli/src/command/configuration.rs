//! `incumbent config check` and `incumbent config show`.

use config::{Value, ValueKind};
use incumbent::protocol::ElectionName;
use incumbent::store::StoreAddress;
use serde::Serialize;

use super::electorate;
use crate::config::args::{Config, Format};
use crate::config::keys::{KEYS, Key, Kind};
use crate::config::layer::Origin;
use crate::config::places;
use crate::config::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::output::{self, Tone, duration, table};

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    settings: Vec<Shown>,
}

/// One setting.
#[derive(Serialize)]
struct Shown {
    key: &'static str,
    /// As text, whatever its type; none when it is not set. A secret is never here.
    value: Option<String>,
    source: String,
}

/// Checks the configuration, or shows it.
///
/// # Errors
///
/// A configuration that cannot be used.
pub(crate) fn configuration(arguments: &Config) -> Result<Exit, Failure> {
    match arguments {
        Config::Check { name, flags } => {
            let name = super::optional_name(name.as_deref())?;
            let settings = super::settings(&flags.0, name.as_ref())?;
            check(name.as_ref(), &settings)?;
            output::print(&checked(name.as_ref(), &settings)?)?;
        }
        Config::Show {
            name,
            flags,
            output,
        } => {
            let name = super::optional_name(name.as_deref())?;
            let settings = super::settings(&flags.0, name.as_ref())?;
            let shown = show(&settings)?;
            match output.output {
                Format::Json => output::print_json(&Document {
                    schema: "incumbent.config.v1",
                    settings: shown,
                })?,
                Format::Text => output::print(&text(shown))?,
            }
            // Invalid values are shown too, with where they come from.
            check(name.as_ref(), &settings)?;
        }
    }
    Ok(Exit::Success)
}

/// Makes all the checks of `run` before it campaigns, except whether the stores answer.
fn check(name: Option<&ElectionName>, settings: &Settings) -> Result<(), Failure> {
    let any = || ElectionName::new("any").map_err(Failure::internal);
    let name = name.cloned().map_or_else(any, Ok)?;
    electorate::checked(&name, settings)?;
    // It warns of a missing file.
    electorate::observe(settings)?;
    // Where a file is, and how many names it has, is part of the configuration; whether it can be read is not.
    for store in electorate::open(settings)? {
        if store.is_of_one_host()
            && let Err(error) = super::runtime()?.block_on(store.inspect(&name))
            && error.is_misconfigured()
        {
            return Err(error.into());
        }
    }
    Ok(())
}

/// The file and stores that were checked, so that a wrong or missing file is noticed.
fn checked(name: Option<&ElectionName>, settings: &Settings) -> Result<String, Failure> {
    let file = match &settings.file {
        Some(path) => path.display().to_string(),
        None => {
            let looked = places::usual_files(name);
            let looked: Vec<String> = looked
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            format!("none: there is no {}", looked.join(", and no "))
        }
    };
    let source = match settings.origin("store") {
        Some(origin) if settings.embedded_store()?.is_none() => format!("from {origin}"),
        Some(_) | None => "the embedded one, no store is given".to_owned(),
    };
    let mut text = format!("the configuration is valid\n  file   {file}\n");
    for address in settings.addresses()? {
        text.push_str(&format!("  store  {address} ({source})\n"));
    }
    Ok(text)
}

fn show(settings: &Settings) -> Result<Vec<Shown>, Failure> {
    let mut shown = Vec::with_capacity(KEYS.len());
    for key in KEYS {
        let value = settings
            .value(key.name)
            .and_then(|value| written(key, value));
        let (value, source) = match (value, settings.origin(key.name)) {
            (_, Some(Origin::Default)) if follows(key, settings) => {
                let timing = settings.timing().ok();
                let value = timing.map(|timing| match key.name {
                    "interval" => duration(timing.interval()),
                    "stall_polls" => timing.stall_polls().to_string(),
                    _ => duration(timing.stop_grace()),
                });
                (value, "follows from failover".to_owned())
            }
            (Some(value), Some(origin)) => (Some(value), origin.to_string()),
            (Some(_) | None, None) | (None, Some(_)) => derived(key, settings)?,
        };
        shown.push(Shown {
            key: key.name,
            value,
            source,
        });
    }
    Ok(shown)
}

/// Whether a setting that has its default follows from another one instead.
fn follows(key: &Key, settings: &Settings) -> bool {
    let derived = ["interval", "stall_polls", "stop_grace"];
    settings.failover().is_some() && derived.contains(&key.name)
}

/// The value in effect when a setting is not set.
fn derived(key: &Key, settings: &Settings) -> Result<(Option<String>, String), Failure> {
    Ok(match key.name {
        "store" => {
            let addresses = settings.addresses()?;
            let embedded = addresses.first().map(ToString::to_string);
            (embedded, "default: the embedded store".to_owned())
        }
        "op_timeout" => {
            let value = duration(settings.op_timeout());
            (Some(value), "follows from interval".to_owned())
        }
        "probation" => {
            let timing = settings.timing().ok();
            let value = timing.map(|timing| duration(timing.probation()));
            (value, "follows from the window".to_owned())
        }
        _ => (None, "not set".to_owned()),
    })
}

/// A value as text, without its secrets.
fn written(key: &Key, value: Value) -> Option<String> {
    match (key.kind, value.kind) {
        (_, ValueKind::Nil) => None,
        _ if key.is_secret() => Some("(hidden)".to_owned()),
        (Kind::Stores, ValueKind::Array(stores)) if stores.is_empty() => None,
        (Kind::Stores, ValueKind::Array(stores)) => {
            // An address shows itself without its password.
            let labels = stores.into_iter().filter_map(|store| {
                let text = store.into_string().ok()?;
                Some(text.parse::<StoreAddress>().ok()?.to_string())
            });
            Some(labels.collect::<Vec<_>>().join(" "))
        }
        (Kind::Words, ValueKind::Array(words)) if words.is_empty() => None,
        (Kind::Words, ValueKind::Array(words)) => {
            let words = words.into_iter().filter_map(|word| word.into_string().ok());
            Some(
                words
                    .map(|word| format!("{word:?}"))
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        }
        (Kind::Text, ValueKind::String(text)) => Some(format!("{text:?}")),
        (_, ValueKind::String(text)) => Some(text),
        (_, other) => Some(other.to_string()),
    }
}

fn text(shown: Vec<Shown>) -> String {
    let rows = shown.into_iter().map(|one| {
        let row = [
            one.key.to_owned(),
            one.value.unwrap_or_else(|| "-".to_owned()),
            one.source,
        ];
        (Tone::Plain, row)
    });
    table(["SETTING", "VALUE", "SOURCE"], rows.collect())
}
