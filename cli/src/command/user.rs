//! The user who runs a command, as named in the history of an election.

use std::path::Path;

use incumbent::protocol::CandidateId;
use incumbent::store::Identity;

use crate::config::places;

/// The local users of this host.
const USERS: &str = "/etc/passwd";

/// The user of this command: `user@host`.
pub(super) fn identity() -> Identity {
    let variable = |name: &&str| std::env::var(name).ok().filter(|user| !user.is_empty());
    let named = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(variable);
    let uid = rustix::process::getuid().as_raw();
    // Cron, a container and a service manager may set none of them.
    let user = named.or_else(|| {
        let users = places::read_bounded(Path::new(USERS)).ok()?;
        login_name(&users, uid).map(str::to_owned)
    });
    let user = user.unwrap_or_else(|| format!("uid-{uid}"));
    let uname = rustix::system::uname();
    let host = plain(&uname.nodename().to_string_lossy());
    let id = CandidateId::new(&format!("{}@{host}", plain(&user)));
    let version = env!("CARGO_PKG_VERSION");
    id.and_then(|id| Identity::new(id, &host, std::process::id(), version))
        .expect("letters, digits and dots fit an id")
}

/// The first user of this number in the text of a passwd(5) file.
fn login_name(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, number) = (fields.next()?, fields.next()?, fields.next()?);
        let same = number.parse() == Ok(uid);
        (same && !name.is_empty()).then_some(name)
    })
}

/// A name with what cannot stand in an id replaced.
fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let plain: String = name
        .chars()
        .take(90)
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    if plain.is_empty() {
        "unknown".to_owned()
    } else {
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_name_that_stands_in_the_file_of_users() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\n# a comment\n:x:7:7::/:\nbroken\n\
                     alice:x:1000:1000::/home/alice:/bin/sh\nagain:x:1000:1000::/:\n+::::::\n";
        assert_eq!(login_name(users, 0), Some("root"));
        assert_eq!(login_name(users, 1000), Some("alice"));
        assert_eq!(login_name(users, 7), None, "a name that is empty is none");
        assert_eq!(login_name(users, 1), None);
        assert_eq!(login_name("", 0), None);
    }
}
