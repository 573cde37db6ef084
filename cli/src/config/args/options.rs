//! The options that commands have in common, in groups: the help shows each group under its heading.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum, value_parser};

use crate::config::keys::{Group, KEYS, Key, Kind};

/// All options: `run` takes them, and `config` shows the values in effect.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) stores: StoreOptions,
    #[command(flatten)]
    pub(crate) timing: TimingOptions,
    #[command(flatten)]
    pub(crate) running: RunOptions,
    #[command(flatten)]
    pub(crate) general: GeneralOptions,
}

pub(crate) type StoreOptions = Flags<{ Group::Stores as u8 }>;
pub(crate) type TimingOptions = Flags<{ Group::Timing as u8 }>;
pub(crate) type RunOptions = Flags<{ Group::Running as u8 }>;

#[derive(Debug, Default, Args)]
pub(crate) struct GeneralOptions {
    /// The configuration file [default: the first of /etc/incumbent/NAME.toml and
    /// $XDG_CONFIG_HOME/incumbent/config.toml that exists]
    #[arg(long, value_name = "FILE", help_heading = "General")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: Flags<{ Group::General as u8 }>,
}

/// The settings of a group that were typed, each with its values.
#[derive(Debug, Default)]
pub(crate) struct Flags<const GROUP: u8>(pub(crate) Vec<(&'static Key, Vec<String>)>);

impl<const GROUP: u8> Flags<GROUP> {
    fn keys() -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(|key| key.group as u8 == GROUP)
    }
}

impl<const GROUP: u8> Args for Flags<GROUP> {
    fn augment_args(command: Command) -> Command {
        command.args(Self::keys().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const GROUP: u8> FromArgMatches for Flags<GROUP> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = |key: &&Key| matches.value_source(key.name) == Some(ValueSource::CommandLine);
        let values = |key: &'static Key| {
            let raw = matches.get_raw(key.name).into_iter().flatten();
            let texts = raw.map(|text| text.to_string_lossy().into_owned());
            (key, texts.collect())
        };
        Ok(Self(Self::keys().filter(typed).map(values).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(key: &Key) -> Arg {
    let argument = Arg::new(key.name)
        .long(key.name.replace('_', "-"))
        .help(key.help())
        .help_heading(format!("{:?}", key.group));
    let argument = match key.kind {
        Kind::Switch => {
            return argument
                .action(ArgAction::SetTrue)
                .conflicts_with_all(rival(key));
        }
        Kind::Stores => argument.action(ArgAction::Append),
        Kind::Choice(choices) => argument.value_parser(PossibleValuesParser::new(choices)),
        _ => argument.value_parser(value_parser!(String)),
    };
    argument.value_name(key.value)
}

/// What contradicts a setting on one command line.
fn rival(key: &Key) -> Option<&'static str> {
    (key.name == "no_wait").then_some("wait_timeout")
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputOptions {
    /// How the result is written on standard output
    #[arg(short, long, value_enum, default_value_t = Format::Text, help_heading = "General")]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; coloured on a terminal unless NO_COLOR is set
    Text,
    /// For programs: a stable schema with a version
    Json,
}
