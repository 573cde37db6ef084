//! `incumbent unit NAME -- PROGRAM…`: a ready unit, with the paths filled in.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

use incumbent::protocol::ElectionName;

use super::args::Unit;
use super::exit::{Exit, Failure};

/// Prints the unit.
///
/// # Errors
///
/// A name that is none, and a program that cannot be written in a unit.
pub(crate) fn unit(arguments: &Unit) -> Result<Exit, Failure> {
    let name =
        ElectionName::new(&arguments.name).map_err(|error| Failure::new(Exit::Usage, error))?;
    let me = std::env::current_exe()
        .map_err(|error| Failure::new(Exit::Failed, format!("where am I installed? {error}")))?;
    let me = quoted(me.as_os_str())?;
    let mut election = quoted(OsStr::new(name.as_str()))?;
    for store in &arguments.stores {
        write!(election, " --store {}", quoted(OsStr::new(store))?).map_err(Failure::internal)?;
    }
    let mut line = format!("{me} run {election} --");
    for (position, word) in arguments.program.iter().enumerate() {
        line.push(' ');
        line.push_str(&quoted(&absolute(word, position == 0))?);
    }
    let release = format!("{me} release {election} --after-unit");
    let text = TEMPLATE
        .replace("@NAME@", &name.as_str().replace('%', "%%"))
        .replace("@RUN@", &line)
        .replace("@RELEASE@", &release);
    super::output::print(&text)?;
    Ok(Exit::Success)
}

const TEMPLATE: &str = include_str!("unit.service.in");

/// The program with its full path, as a unit wants it; other words as they are.
fn absolute(word: &OsString, is_program: bool) -> OsString {
    let has_slash = word.as_encoded_bytes().contains(&b'/');
    if !is_program || has_slash {
        return word.clone();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(word))
        .find(|candidate| candidate.is_file())
        .map_or_else(|| word.clone(), OsString::from)
}

/// A word as `systemd.service(5)` reads it back: quoted, with its specifiers and variables disarmed.
fn quoted(word: &OsStr) -> Result<String, Failure> {
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
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
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
}
