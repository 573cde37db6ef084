//! `incumbent release NAME --after-unit`: gives up the term of an elector that died with its keeper.
//!
//! ```text
//!   run, elected ──▶ note in the unit's runtime directory: who holds which term
//!   run, released ─▶ note removed
//!   both halves killed: systemd clears the unit's processes ──▶ release reads the note, sees that nothing
//!                       of the unit is alive, and releases exactly that term
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use incumbent::protocol::{ElectionName, Identity, LossReason, Term};
use incumbent::supervise::{Orphan, Unit};

use super::args::Release;
use super::exit::{Exit, Failure};
use super::logs;
use super::settings::{Settings, Typed};

/// How long the last processes of a unit may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who holds which term, for whoever comes after us. It is left only under a service manager that gives
/// us a runtime directory.
#[derive(Debug)]
pub(crate) struct Note {
    path: Option<PathBuf>,
}

impl Note {
    const NAME: &'static str = "leadership";

    /// Writes the note.
    pub(crate) fn leave(who: &Identity, term: Term) -> Self {
        let path = Self::place();
        if let Some(path) = &path
            && let Err(error) = fs::write(path, format!("{term}\n{who}\n"))
        {
            tracing::warn!("{} cannot be written: {error}", path.display());
        }
        Self { path }
    }

    /// Removes it: the term is released.
    pub(crate) fn remove(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!("{} cannot be removed: {error}", path.display());
        }
    }

    fn place() -> Option<PathBuf> {
        let folders = std::env::var_os("RUNTIME_DIRECTORY")?;
        // Several are separated by colons (systemd.exec(5)); the first is ours.
        let first = std::env::split_paths(&folders).next()?;
        Some(first.join(Self::NAME))
    }

    fn read(path: &Path) -> Result<Option<(Term, Identity)>, Failure> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let why = format!("{} cannot be read: {error}", path.display());
                return Err(Failure::new(Exit::Failed, why));
            }
        };
        let mut lines = text.lines();
        let term = lines.next().and_then(|line| Term::new(line.parse().ok()?));
        let who = lines.next().and_then(|line| line.parse().ok());
        term.zip(who).map(Some).ok_or_else(|| {
            let why = format!("{} holds no term and holder: {text:?}", path.display());
            Failure::new(Exit::Failed, why)
        })
    }
}

/// Releases what the elector of this unit held.
///
/// # Errors
///
/// A configuration that cannot be used, and processes of the unit that are still alive.
pub(crate) fn release(arguments: &Release) -> Result<Exit, Failure> {
    let name =
        ElectionName::new(&arguments.name).map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut typed = Typed::general(&arguments.general)?;
    typed.stores(&arguments.stores)?;
    let settings = Settings::load(typed, Some(&name))?;
    logs::start(&settings);
    let Some(path) = Note::place() else {
        let why = "there is no RUNTIME_DIRECTORY: this command is for ExecStopPost= of a unit that has one";
        return Err(Failure::new(Exit::Usage, why));
    };
    let Some((term, who)) = Note::read(&path)? else {
        return Ok(Exit::Success);
    };
    let unit = Unit::of_this_process().map_err(Failure::internal)?;
    let left = unit.wait_until_empty(PATIENCE).map_err(Failure::internal)?;
    if !left.is_empty() {
        let why = format!(
            "processes of the unit are still alive, so term {term} is not released: {left:?}"
        );
        return Err(Failure::new(Exit::NotElected(75), why));
    }
    let context = settings.estate(&name)?.to_context();
    incumbent::supervise::release(&Orphan { context, who, term }, LossReason::UnitDied);
    let mut note = Note { path: Some(path) };
    note.remove();
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(Note::NAME);
        assert!(Note::read(&path).unwrap().is_none());
        for text in [
            "",
            "x\n",
            "5\n",
            "5\nid|host\n",
            "99999999999999999999\nid|host|1|v\n",
        ] {
            fs::write(&path, text).unwrap();
            assert!(Note::read(&path).is_err(), "{text:?}");
        }
        fs::write(&path, "5\nid|host|1|v\n").unwrap();
        let (term, who) = Note::read(&path).unwrap().unwrap();
        assert_eq!((term.get(), who.host()), (5, "host"));
    }
}
