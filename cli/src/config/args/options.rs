//! The options that commands have in common, in groups: the help shows each group under its heading.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum, value_parser};

use incumbent::store::StoreAddress;

use crate::config::keys::{Group, KEYS, Key, Kind};

const GENERAL: u8 = Group::General as u8;
/// The groups of a command that reads the stores.
pub(crate) const READ: u8 = Group::Stores as u8 | GENERAL;
/// The groups of a command that explains the timing.
pub(crate) const TIMING: u8 = Group::Timing as u8 | GENERAL;
/// The groups of a command that gives an order, or judges one.
pub(crate) const ORDER: u8 = READ | TIMING;
/// The groups of `once`.
pub(crate) const ONCE: u8 = ORDER | Group::Running as u8 | Group::Once as u8;
/// The groups of `lock`.
pub(crate) const LOCK: u8 = ORDER | Group::Running as u8 | Group::Waiting as u8;
/// The groups of `run`.
pub(crate) const RUN: u8 = LOCK | Group::Service as u8;
/// All groups: `config` shows the values in effect.
pub(crate) const ALL: u8 = RUN | ONCE;

/// The flags of some groups of settings, and those of them that were typed.
#[derive(Debug, Default)]
pub(crate) struct Flags<const GROUPS: u8>(pub(crate) Typed);

/// The settings that were typed, each with its values, and the configuration file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typed {
    pub(crate) texts: Vec<(&'static Key, Vec<String>)>,
    pub(crate) file: Option<PathBuf>,
}

impl Typed {
    /// The same, with one more setting, if it was typed.
    pub(crate) fn with(mut self, name: &str, given: Option<&String>) -> Self {
        let key = Key::find(name);
        self.texts
            .extend(key.zip(given).map(|(key, text)| (key, vec![text.clone()])));
        self
    }

    /// The options for another command to find the same stores. A placeholder stands for a command that may hold a
    /// secret and for a file that will be gone, and an address is without its password.
    pub(crate) fn of_stores(&self) -> Vec<String> {
        let mut words = Vec::new();
        let stores = self.texts.iter();
        for (key, texts) in stores.filter(|(key, _)| key.group == Group::Stores) {
            for text in texts {
                let address: Option<StoreAddress> = text.parse().ok();
                let secret =
                    address.filter(|address| key.kind == Kind::Stores && address.has_password());
                let shown = match key.kind {
                    _ if key.is_secret() => key.value.to_owned(),
                    Kind::Path if !lasts(Path::new(text)) => "FILE".to_owned(),
                    _ => secret.map_or_else(|| text.clone(), |it| it.label().to_owned()),
                };
                words.extend([key.flag(), shown]);
            }
        }
        if let Some(file) = &self.file {
            let shown = match lasts(file) {
                true => file.display().to_string(),
                false => "FILE".to_owned(),
            };
            words.extend(["--config".to_owned(), shown]);
        }
        words
    }
}

/// Whether the next command finds the same file: not a pipe, such as a shell makes for `<(…)`, and not a descriptor
/// of this process.
fn lasts(path: &Path) -> bool {
    let own = ["/dev/fd", "/dev/stdin", "/proc"];
    path.is_file() && !own.iter().any(|folder| path.starts_with(folder))
}

impl<const GROUPS: u8> Flags<GROUPS> {
    fn keys() -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(|key| key.group as u8 & GROUPS != 0)
    }
}

impl<const GROUPS: u8> Args for Flags<GROUPS> {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .help_heading("General")
            .value_parser(value_parser!(PathBuf))
            .help(
                "The configuration file [default: the first of /etc/incumbent/NAME.toml and \
                 $XDG_CONFIG_HOME/incumbent/config.toml that exists]",
            );
        let (general, others): (Vec<_>, Vec<_>) =
            Self::keys().partition(|key| key.group == Group::General);
        command
            .args(others.into_iter().map(argument))
            .arg(file)
            .args(general.into_iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const GROUPS: u8> FromArgMatches for Flags<GROUPS> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = |key: &&Key| matches.value_source(key.name) == Some(ValueSource::CommandLine);
        let values = |key: &'static Key| {
            let raw = matches.get_raw(key.name).into_iter().flatten();
            let texts = raw.map(|text| text.to_string_lossy().into_owned());
            (key, texts.collect())
        };
        Ok(Self(Typed {
            texts: Self::keys().filter(typed).map(values).collect(),
            file: matches.get_one("config").cloned(),
        }))
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
    let short = match key.name {
        "no_wait" => Some('n'),
        "wait_timeout" => Some('w'),
        "conflict_exit_code" => Some('E'),
        _ => None,
    };
    // Those of flock(1).
    let argument = argument.short(short);
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
