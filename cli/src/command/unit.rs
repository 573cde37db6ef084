//! `incumbent unit NAME -- PROGRAM…`: a ready unit, with the settings and the paths filled in.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use incumbent::protocol::ElectionName;
use incumbent::store::StoreAddress;
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::program::absolute;
use super::{electorate, program, warn_of};
use crate::config::args::Unit;
use crate::config::keys::{Group, KEYS, Key, Kind};
use crate::config::layer::Origin;
use crate::config::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::supervise::Contain;

const TEMPLATE: &str = include_str!("unit.service.in");
/// The drop-in that the shipped unit is installed with.
const HARDENING: &str = include_str!("hardening.conf");
/// The drop-in with what a network fence takes.
const FENCE: &str = include_str!("fence.conf");
/// Where a unit that runs as root keeps the embedded store. systemd gives the whole folder to the unit's user, so it is
/// not that of `incumbent@.service`, which has another user.
const STATE: &str = "StateDirectory=incumbent-root\n";
const EMBEDDED: &str = "sqlite:/var/lib/incumbent-root/elections.db";

/// Whatever a file sets is in the unit already, and one that comes later would replace what was at its default.
const ALONE: &str = " --config /dev/null";

/// What would end a path in the parameters of an address.
const IN_ADDRESS: &AsciiSet = &AsciiSet::EMPTY
    .add(b'%')
    .add(b'&')
    .add(b'?')
    .add(b'#')
    .add(b'@');

/// The settings that say what the password is.
const PASSWORDS: [&str; 3] = ["password", "password_file", "password_cmd"];

/// Prints the unit.
///
/// # Errors
///
/// What `run` would refuse, a password that would appear in the unit, and a program that does not exist or
/// cannot be written in a unit.
pub(crate) fn unit(arguments: &Unit) -> Result<Exit, Failure> {
    let name =
        ElectionName::new(&arguments.name).map_err(|error| Failure::new(Exit::Usage, error))?;
    let settings = super::settings(&arguments.flags.0, Some(&name))?;
    electorate::checked(&name, &settings)?;
    contained(&settings)?;
    let stores = stores(&settings)?;
    let me = std::env::current_exe().map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the path of this binary cannot be determined: {error}"),
        )
    })?;
    let me = quoted(me.as_os_str())?;
    let election = quoted(OsStr::new(name.as_str()))?;
    let mut line = format!(
        "{me} run {election}{ALONE}{}",
        flags(&settings, &stores, |_| true)?
    );
    // What `release` takes too.
    let of_stores = |key: &Key| matches!(key.group, Group::Stores | Group::General);
    let release = format!(
        "{me} release {election} --after-unit{ALONE}{}",
        flags(&settings, &stores, of_stores)?
    );
    line.push_str(" --");
    let (first, rest) = arguments
        .program
        .split_first()
        .ok_or_else(|| Failure::new(Exit::Usage, "no program to run: name one after --"))?;
    let first = program::found(first)?;
    for word in std::iter::once(first.as_os_str()).chain(rest.iter().map(AsRef::as_ref)) {
        line.push(' ');
        line.push_str(&quoted(word)?);
    }
    let of_service = |file: &'static str| file.split_once("[Service]\n").map_or("", |it| it.1);
    let fence: String = of_service(FENCE)
        .lines()
        .map(|line| format!("# {line}\n"))
        .collect();
    let state = settings.embedded_store()?.map_or("", |_| STATE);
    let text = TEMPLATE
        .replace("@SCOPE@", scope(&settings)?)
        .replace("@HARDENING@\n", of_service(HARDENING))
        .replace("@FENCE@\n", &fence)
        .replace("@STATE@\n", state)
        .replace("@WRITABLE@\n", &writable(&settings)?)
        .replace("@NAME@", &name.as_str().replace('%', "%%"))
        .replace("@RUN@", &line)
        .replace("@RELEASE@", &release);
    crate::output::print(&text)?;
    Ok(Exit::Success)
}

/// The unit's hardening permits no PID namespace, so `run` would refuse it.
fn contained(settings: &Settings) -> Result<(), Failure> {
    if settings.values.contain != Contain::Pidns {
        return Ok(());
    }
    let origin = settings.origin("contain").map(ToString::to_string);
    Err(Failure::configuration(format_args!(
        "contain = pidns ({}) is not possible in this unit, whose RestrictNamespaces=, ProtectKernelTunables= and \
         ProtectHostname= permit no PID namespace: leave it out, since systemd ends what is left of the unit",
        origin.unwrap_or_default(),
    )))
}

/// Warns in the unit, and on standard error, if each host would elect its own leader.
fn scope(settings: &Settings) -> Result<&'static str, Failure> {
    if settings.addresses()?.iter().all(|it| it.file().is_none()) {
        return Ok("");
    }
    warn_of(
        "the store is a file: this unit elects among the processes of its host only, and on several hosts \
         each has a leader of its own; give --store redis://HOST/ to elect among hosts",
    );
    Ok("# The store is a file of this host: elects among the processes of this host only.\n")
}

/// Lets the unit write to the folders of its stores, wherever they are. Its own folder needs no entry.
fn writable(settings: &Settings) -> Result<String, Failure> {
    if settings.embedded_store()?.is_some() {
        return Ok(String::new());
    }
    let mut text = String::new();
    for address in settings.addresses()? {
        let file = address.file().map(absolute).transpose()?;
        if let Some(folder) = file.as_deref().and_then(Path::parent) {
            // Until the store has made it, the folder may be missing. Where the hardening makes its parents read-only,
            // the store cannot make it, and the unit must not start.
            let read_only = [
                "/boot",
                "/efi",
                "/etc",
                "/home",
                "/root",
                "/run/user",
                "/usr",
            ];
            let may_be_missing = !read_only.iter().any(|parent| folder.starts_with(parent));
            let mark = if may_be_missing { "-" } else { "" };
            let folder = quoted_path(folder.as_os_str())?;
            writeln!(text, "ReadWritePaths={mark}{folder}").map_err(Failure::internal)?;
        }
    }
    Ok(text)
}

/// The addresses for the unit file, which every user can read, and whose process starts in another folder.
fn stores(settings: &Settings) -> Result<Vec<String>, Failure> {
    let from = |key| {
        settings
            .origin(key)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    let secret = |origin: String| {
        Failure::configuration(format!(
            "{origin}: the unit would contain a password, and every user can read it: write it to a file and \
             give --password-file, or LoadCredential= as in 30-password.conf"
        ))
    };
    match source_of_password(settings) {
        Some("password") => return Err(secret(from("password"))),
        // A flag is on a command line already, where every user can read it too.
        Some("password_cmd")
            if !matches!(settings.origin("password_cmd"), Some(Origin::Flag(_))) =>
        {
            return Err(Failure::configuration(format!(
                "{}: the unit would contain this command, which may hold a secret, and every user can read it: put \
                 the command in a script, and give --password-cmd with its path",
                from("password_cmd")
            )));
        }
        Some(_) | None => {}
    }
    if settings.embedded_store()?.is_some() {
        return Ok(vec![EMBEDDED.to_owned()]);
    }
    let texts = settings.value("store").and_then(|it| it.into_array().ok());
    let texts = texts
        .unwrap_or_default()
        .into_iter()
        .map(|it| it.to_string());
    let mut stores = Vec::new();
    for (text, address) in texts.zip(settings.addresses()?) {
        if address.has_password() {
            return Err(secret(from("store")));
        }
        stores.push(match address.file() {
            Some(path) => StoreAddress::sqlite(absolute(path)?).label().to_owned(),
            None => with_absolute_files(&text)?,
        });
    }
    Ok(stores)
}

/// An address whose parameters name no file by a relative path.
fn with_absolute_files(address: &str) -> Result<String, Failure> {
    let Some((place, parameters)) = address.split_once('?') else {
        return Ok(address.to_owned());
    };
    let folder = absolute(Path::new("."))?;
    let folder = folder.to_str().ok_or_else(|| {
        let folder = folder.display();
        Failure::new(
            Exit::Usage,
            format!("the folder {folder} is not valid UTF-8, as a unit must be"),
        )
    })?;
    let folder = utf8_percent_encode(folder, IN_ADDRESS);
    let parameters = parameters.split('&').map(|parameter| {
        let (name, file) = parameter.split_once('=').unwrap_or_default();
        let is_file = ["ca", "cert", "key", "sentinel-password-file"].contains(&name);
        let is_absolute = ["/", "%2F", "%2f"]
            .iter()
            .any(|root| file.starts_with(root));
        match is_file && !is_absolute {
            true => format!("{name}={folder}/{file}"),
            false => parameter.to_owned(),
        }
    });
    Ok(format!(
        "{place}?{}",
        parameters.collect::<Vec<_>>().join("&")
    ))
}

/// Which of the settings that say what the password is counts.
fn source_of_password(settings: &Settings) -> Option<&'static str> {
    let set = PASSWORDS
        .into_iter()
        .filter(|key| settings.origin(key).is_some());
    set.max_by_key(|key| settings.origin(key))
}

/// The settings that are not the default, and that `wanted` takes, as flags.
fn flags(
    settings: &Settings,
    stores: &[String],
    wanted: impl Fn(&Key) -> bool,
) -> Result<String, Failure> {
    let mut words = Vec::new();
    for key in KEYS.iter().filter(|key| wanted(key)) {
        if key.kind == Kind::Stores {
            for store in stores {
                words.extend([key.flag(), store.clone()]);
            }
            continue;
        }
        let overridden =
            PASSWORDS.contains(&key.name) && source_of_password(settings) != Some(key.name);
        let set = settings.chosen(key.name).filter(|_| !overridden);
        let Some(value) = set.and_then(|_| settings.value(key.name)) else {
            continue;
        };
        match key.kind {
            // The password is not written, and the program is on the command line.
            Kind::Secret | Kind::Words => {}
            Kind::Switch => {
                if value.into_bool().map_err(Failure::internal)? {
                    words.push(key.flag());
                }
            }
            Kind::Path => {
                let path = value.into_string().map_err(Failure::internal)?;
                let path = absolute(Path::new(&path))?;
                words.extend([key.flag(), path.display().to_string()]);
            }
            _ => {
                let value = value.into_string().map_err(Failure::internal)?;
                words.extend([key.flag(), value]);
            }
        }
    }
    let mut text = String::new();
    for word in words {
        text.push(' ');
        text.push_str(&quoted(OsStr::new(&word))?);
    }
    Ok(text)
}

/// A word of a command line as `systemd.service(5)` reads it back: quoted, with its specifiers and variables disarmed.
fn quoted(word: &OsStr) -> Result<String, Failure> {
    escaped(word, |c| match c {
        '$' => Some("$$"),
        '\n' => Some("\\n"),
        '\t' => Some("\\t"),
        _ => None,
    })
}

/// A path in another setting, which has neither variables nor escapes for control characters.
fn quoted_path(path: &OsStr) -> Result<String, Failure> {
    escaped(path, |_| None)
}

fn escaped(word: &OsStr, special: fn(char) -> Option<&'static str>) -> Result<String, Failure> {
    let text = word.to_str().ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("{} is not UTF-8, and a unit file must be", word.display()),
        )
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=+,@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if let Some(escape) = special(c) {
            quoted.push_str(escape);
            continue;
        }
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '%' => quoted.push_str("%%"),
            c if c.is_control() => {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("{text:?} holds {c:?}, which a unit file cannot carry"),
                ));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_so_that_systemd_reads_them_back() {
        let check = |word: &str, expected: &str| {
            assert_eq!(quoted(OsStr::new(word)).unwrap(), expected);
        };
        check("/usr/bin/true", "/usr/bin/true");
        check("", "\"\"");
        check("two words", "\"two words\"");
        check("100%", "\"100%%\"");
        check("$HOME", "\"$$HOME\"");
        check("say \"hi\"\\", "\"say \\\"hi\\\"\\\\\"");
        check("a\nb", "\"a\\nb\"");
        assert!(quoted(OsStr::new("\u{7}")).is_err());
    }

    #[test]
    fn paths_are_quoted_for_settings_without_variables() {
        let quoted = |path: &str| quoted_path(OsStr::new(path));
        assert_eq!(quoted("/a b/$c%d").unwrap(), "\"/a b/$c%%d\"");
        assert!(quoted("/a\nb").is_err());
    }
}
