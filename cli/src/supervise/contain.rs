//! What keeps the processes of a program together: what was asked for, and what this host allows.
//!
//! ```text
//!   subreaper   the program, below the keeper: killed process by process
//!   cgroup      the same, in its own cgroup: killed in one stroke, by the keeper or the elector
//!               and fenced in, where permitted: the kernel drops what it sends after the deadline
//!   pidns       the same, in a PID namespace whose init is ours: the kernel kills it with the keeper,
//!               and with the elector, whether or not anyone of us still runs
//! ```

mod init;
mod namespace;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::wire;
pub(super) use namespace::{
    Namespace, NamespaceFactory, PendingNamespace, Role, StartBarrier, Status,
};

/// What keeps the processes of a program together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contain {
    /// A cgroup where one may be made, else nothing but the keeper: what no program notices.
    #[default]
    Auto,
    /// A cgroup, or no program is started.
    Cgroup,
    /// A PID namespace, or no program is started; and a cgroup where one may be made.
    Pidns,
    /// Nothing but the keeper.
    Subreaper,
}

impl Contain {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Auto, Self::Cgroup, Self::Pidns, Self::Subreaper];

    /// What they are called.
    pub(crate) const WORDS: [&str; 4] = [
        Self::Auto.word(),
        Self::Cgroup.word(),
        Self::Pidns.word(),
        Self::Subreaper.word(),
    ];

    /// What it is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cgroup => "cgroup",
            Self::Pidns => "pidns",
            Self::Subreaper => "subreaper",
        }
    }

    /// What makes the PID namespace, if one was asked for; or why this host does not allow what was asked for.
    pub(super) fn namespace_factory(
        self,
        has_cgroup: bool,
    ) -> Result<Option<NamespaceFactory>, String> {
        match self {
            Self::Cgroup if !has_cgroup => Err(
                "no cgroup can be made here, which takes root or a delegated cgroup v2 (Delegate=yes)"
                    .to_owned(),
            ),
            Self::Pidns => NamespaceFactory::find()
                .map(Some)
                .map_err(|error| format!("no PID namespace: {error}")),
            Self::Auto | Self::Cgroup | Self::Subreaper => Ok(None),
        }
    }
}

/// How the processes of a program are kept together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containment {
    /// A cgroup of their own, which the kernel kills in one stroke. Without it they are killed one by one.
    #[serde(with = "wire::place")]
    pub cgroup: Option<PathBuf>,
    /// Whether they are in a PID namespace of their own, which the kernel ends with the keeper.
    pub pid_namespace: bool,
    /// Whether `/proc` hides some of them from the keeper (`hidepid`). Without a cgroup or a namespace, one that
    /// does not show is killed once its parent is dead, generation by generation.
    pub hidden: bool,
    /// Why the kernel does not drop what they send after the deadline. Without a reason, it does.
    pub unfenced: Option<String>,
}

impl Containment {
    /// The level in a word, without the place.
    #[must_use]
    pub const fn level(&self) -> &'static str {
        match (
            self.pid_namespace,
            &self.cgroup,
            self.hidden,
            &self.unfenced,
        ) {
            (true, Some(_), _, None) => "pidns+cgroup+fence",
            (true, Some(_), _, Some(_)) => "pidns+cgroup",
            (true, None, _, _) => "pidns",
            (false, Some(_), _, None) => "cgroup+fence",
            (false, Some(_), _, Some(_)) => "cgroup",
            (false, None, true, _) => "subreaper-hidepid",
            (false, None, false, _) => "subreaper",
        }
    }
}

/// What a level does to the program; `None` if it is none that this version knows.
#[must_use]
pub fn covers(level: &str) -> Option<String> {
    let killed = match level.split('+').next()? {
        "pidns" => {
            "the program and all that it started end when either half of incumbent is killed"
        }
        "cgroup" => {
            "the program is killed with all that it started, by whichever half of incumbent is left"
        }
        "subreaper" | "subreaper-hidepid" => {
            "the program is killed process by process, by whichever half of incumbent is left"
        }
        _ => return None,
    };
    let sends = match level.ends_with("+fence") {
        true => ", and sends nothing after its deadline",
        false => "",
    };
    Some(format!("{killed}{sends}"))
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.level())?;
        match &self.cgroup {
            Some(path) => write!(f, " {}", path.display()),
            None => Ok(()),
        }
    }
}
