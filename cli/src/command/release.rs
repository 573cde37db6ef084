//! `incumbent release NAME --after-unit`: releases the term of an elector that died with its keeper.
//!
//! ```text
//!   run, elected ──▶ note in the unit's runtime directory: holder and term
//!   run, released ─▶ note removed
//!   both halves killed: systemd clears the unit's processes ──▶ release reads the note, sees that nothing
//!                       of the unit is alive, and releases exactly that term
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::supervise::{Orphan, Unit, started_with};
use incumbent::election::clock;
use incumbent::protocol::{ElectionName, FencingToken, LossReason};
use incumbent::store::Identity;

use crate::config::args::Release;
use crate::config::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::output::logs;

/// How long the last processes of a unit may take to exit.
const PATIENCE: Duration = Duration::from_secs(10);

/// The holder and its term, for `release --after-unit`. It is written only under a service manager that
/// provides a runtime directory.
#[derive(Debug)]
pub(crate) struct Note {
    path: Option<PathBuf>,
}

/// Which term a note is about, and who held it.
type Noted = (ElectionName, FencingToken, Identity);

impl Note {
    const NAME: &'static str = "leadership-";

    /// Writes the note, under a name that no other elector of the unit has: one may run below another.
    pub(crate) fn leave(election: &ElectionName, who: &Identity, term: FencingToken) -> Self {
        let path = Self::folder();
        let path = path.map(|folder| folder.join(format!("{}{}", Self::NAME, std::process::id())));
        if let Some(path) = &path
            && let Err(error) = fs::write(path, format!("{term}\n{who}\n{election}\n"))
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

    fn folder() -> Option<PathBuf> {
        let folders = std::env::var_os("RUNTIME_DIRECTORY")?;
        // Several are separated by colons (systemd.exec(5)); the first is ours.
        std::env::split_paths(&folders).next()
    }

    /// The notes of an election, or of its seats, in a folder: which term each is about, and who held it.
    fn find(folder: &Path, election: &ElectionName) -> Result<Vec<(PathBuf, Noted)>, Failure> {
        let unread = |error| Failure::new(Exit::Failed, format!("{}: {error}", folder.display()));
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            if !entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(Self::NAME.as_bytes())
            {
                continue;
            }
            let path = entry.path();
            let text = fs::read_to_string(&path).map_err(unread)?;
            let note = Self::parse(&text).ok_or_else(|| {
                let why = format!(
                    "{} holds no term, holder and election: {text:?}",
                    path.display()
                );
                Failure::new(Exit::Failed, why)
            })?;
            if note.0 == *election || note.0.without_seat() == election.as_str() {
                found.push((path, note));
            }
        }
        Ok(found)
    }

    fn parse(text: &str) -> Option<Noted> {
        let mut lines = text.lines();
        let term = FencingToken::new(lines.next()?.parse().ok()?)?;
        let who = lines.next()?.parse().ok()?;
        let election = ElectionName::new(lines.next()?).ok()?;
        Some((election, term, who))
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
    let settings = Settings::load(&arguments.flags.0, Some(&name))?;
    logs::start(&settings);
    let Some(folder) = Note::folder() else {
        let why = "there is no RUNTIME_DIRECTORY: this command is for ExecStopPost= of a unit that has one";
        return Err(Failure::new(Exit::Usage, why));
    };
    let notes = Note::find(&folder, &name)?;
    let terms: Vec<String> = notes
        .iter()
        .map(|(_, (_, term, _))| term.to_string())
        .collect();
    if notes.is_empty() {
        return Ok(Exit::Success);
    }
    let unit = Unit::of_this_process().map_err(Failure::internal)?;
    let mut left = unit.wait_until_empty(PATIENCE).map_err(Failure::internal)?;
    for (_, (_, _, who)) in &notes {
        left.extend(strays(who).map_err(Failure::internal)?);
    }
    if !left.is_empty() {
        let why = format!(
            "processes of the unit, or that its program started outside of it, are still alive, so term {} is not released: {left:?}",
            terms.join(", ")
        );
        return Err(Failure::new(Exit::NotElected(75), why));
    }
    for (path, (election, term, who)) in notes {
        let context = settings.release_context(&election)?.to_bytes();
        crate::supervise::release(&Orphan { context, who, term }, LossReason::UnitDied);
        let mut note = Note { path: Some(path) };
        note.remove();
    }
    Ok(Exit::Success)
}

/// Processes of a program that have left the unit, as `su`, `sudo` or `systemd-run --scope` make them. They are
/// known by the candidate that they were started for, unless that was taken out of their environment.
fn strays(who: &Identity) -> io::Result<Vec<i32>> {
    let until = clock::now() + PATIENCE;
    loop {
        let alive = started_with("INCUMBENT_CANDIDATE_ID", who.id().as_str())?;
        if alive.is_empty() || clock::now() >= until {
            return Ok(alive);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_left_the_unit_is_known_by_its_candidate() {
        let who: Identity = format!("id-{}|host|1|v", fastrand::u64(..))
            .parse()
            .unwrap();
        assert!(strays(&who).unwrap().is_empty());
        let mut worker = std::process::Command::new("sleep")
            .arg("1000")
            .env("INCUMBENT_CANDIDATE_ID", who.id().as_str())
            .spawn()
            .unwrap();
        let pid = i32::try_from(worker.id()).unwrap();
        assert_eq!(
            started_with("INCUMBENT_CANDIDATE_ID", who.id().as_str()).unwrap(),
            [pid]
        );
        worker.kill().unwrap();
        worker.wait().unwrap();
    }

    #[test]
    fn a_note_that_is_none_is_refused_and_one_of_another_election_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let job = ElectionName::new("job").unwrap();
        let find = || Note::find(folder.path(), &job);
        let path = folder.path().join(format!("{}7", Note::NAME));
        assert!(find().unwrap().is_empty());
        for text in [
            "",
            "x\n",
            "5\n",
            "5\nid|host\njob\n",
            "5\nid|host|1|v\n",
            "99999999999999999999\nid|host|1|v\njob\n",
        ] {
            fs::write(&path, text).unwrap();
            assert!(find().is_err(), "{text:?}");
        }
        fs::write(&path, "5\nid|host|1|v\njob\n").unwrap();
        let other = folder.path().join(format!("{}8", Note::NAME));
        fs::write(other, "6\nid|host|1|v\nother\n").unwrap();
        let found = find().unwrap();
        let [(place, (election, term, who))] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!((place, election), (&path, &job));
        assert_eq!((term.get(), who.host()), (5, "host"));
        // The note of a seat names the election to release.
        fs::write(&path, "5\nid|host|1|v\njob#2\n").unwrap();
        let found = find().unwrap();
        assert_eq!(found[0].1.0, job.seat(2).unwrap());
    }
}
