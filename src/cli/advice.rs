//! What to do about an election that is not led, for who looks at it at night; and the commands that hints name.

use std::sync::OnceLock;

use incumbent::observe::{ElectionView, State};

/// The options that were typed and that any other command needs to look at the same elections.
static SAME_STORES: OnceLock<String> = OnceLock::new();

/// Remembers these options for the hints to come.
pub(super) fn remember(options: &[String]) {
    let options = options.iter();
    let options: String = options.map(|option| format!(" {}", word(option))).collect();
    SAME_STORES.get_or_init(|| options);
}

/// A command for the same stores as this one, as it can be pasted: a verb, and flags of its own behind it.
pub(super) fn command(words: &str, name: Option<&str>) -> String {
    let at = words.find(' ').unwrap_or(words.len());
    let (verb, flags) = words.split_at(at);
    let name = name.map_or_else(String::new, |name| format!(" {}", word(name)));
    let options = SAME_STORES.get().map_or("", String::as_str);
    format!("`incumbent {verb}{name}{flags}{options}`")
}

/// What to do, if there is anything: an election that is led, or about to be, needs nobody.
pub(super) fn on(view: &ElectionView) -> Option<String> {
    let command = |words| command(words, Some(view.election.as_str()));
    let doctor = command("doctor");
    let standbys = view.candidates.iter().any(|one| !one.leads);
    let resume = format!(
        "nobody is elected while it is paused: {}",
        command("resume")
    );
    let otherwise = format!("if it does not, {doctor} may tell why");
    // A store that cannot be written, such as a replica, lists no candidates.
    let unlisted = format!("if one runs already, {doctor} shows why it is not listed");
    Some(match &view.state {
        State::Held(holding) if !holding.is_stalled() => return None,
        _ if view.used_up().next().is_some() => format!(
            "nobody can be elected: a record has the highest term there is; {doctor} tells how to repair it"
        ),
        State::Foreign { .. } => return None,
        State::Held(_) | State::Vacant { .. } | State::Absent if view.paused.is_some() => resume,
        State::Held(_) if standbys => format!("a standby takes over by itself; {otherwise}"),
        State::Held(_) => format!(
            "no candidate stands by to take over: start one, or vacate the record with {}; {unlisted}",
            command("depose --yes")
        ),
        State::Vacant { .. } | State::Absent if standbys => {
            format!("a candidate claims it by itself; {otherwise}")
        }
        State::Vacant { .. } => format!("no candidate campaigns: start one; {unlisted}"),
        State::Absent => format!(
            "no candidate campaigns: start one, or use the stores and the key prefix that the candidates use; \
             {unlisted}"
        ),
        State::Divided => format!("an election is under way; if that lasts, {doctor} may tell why"),
        State::Forbidden => format!(
            "correct the user and the password; {doctor} tells which right is missing"
        ),
        State::Misconfigured => {
            "correct the addresses of the stores, or what they lead to, as the error below asks".to_owned()
        }
        State::Garbled => "docs/redis.md tells how to repair or to delete a record".to_owned(),
        _ => "start the stores, or correct their addresses and the network between; a leader stops at its \
              deadline meanwhile"
            .to_owned(),
    })
}

/// A name as a word of a shell.
fn word(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}
