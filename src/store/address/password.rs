//! Where a password comes from.
//!
//! It is read for each connection, so that one that is changed on disk, or that expires, needs no restart.

use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};

/// The longest password, in bytes.
const LONGEST: u64 = 4096;
/// How long a password command may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Runs a command as long as standard input stays open, which is not the command's. When its other end is
/// closed, by whoever gave up or because this process has ended, the whole process group is killed; a line that
/// is written there before says that the command has ended by itself.
const LEASHED: &str = "exec 3<&0 </dev/null; \
    { read -r _ <&3 || kill -KILL 0; } >/dev/null 2>&1 & \
    exec 3<&-; exec /bin/sh -c \"$1\"";

/// Where the password of a store comes from. It is read again for each connection.
///
/// # Examples
///
/// ```
/// use incumbent::store::{Password, StoreOptions};
///
/// let options = StoreOptions::default().password(Password::File("/run/secrets/redis".into()));
/// assert_ne!(options.password, Some(Password::from("hunter2")));
/// assert!(!format!("{:?}", Password::from("hunter2")).contains("hunter2"));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum Password {
    /// The password itself.
    Text(SecretString),
    /// A regular file that contains it. A line end at the end of the file is not part of it.
    File(PathBuf),
    /// A shell command that prints it, such as one that fetches a token. A line end at the end of the
    /// output is not part of it. A connection waits for it as long as connecting may take, which is two
    /// `op_timeout`s, and ten seconds at most. Then it is killed with all processes of its group, as it is when
    /// this process ends.
    Command(String),
}

impl Password {
    /// The current password. Reading blocks while a file is read or a command runs; a command is killed when
    /// the other end of `leash` is closed.
    pub(in crate::store) fn read(&self, leash: PipeReader) -> Result<SecretString, PasswordError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => from_file(path),
            Self::Command(command) => {
                output(command, leash).map_err(|reason| PasswordError::Command { reason })
            }
        }
    }

    /// What is wrong with a file, found out early.
    pub(in crate::store) fn check(&self) -> Result<(), PasswordError> {
        match self {
            Self::File(path) => from_file(path).map(drop),
            Self::Text(_) | Self::Command(_) => Ok(()),
        }
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<SecretString> for Password {
    fn from(text: SecretString) -> Self {
        Self::Text(text)
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(hidden)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(_) => f.write_str("Command(hidden)"),
        }
    }
}

/// It decides only which connections are shared within this process, so its timing reveals nothing to others.
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.expose_secret() == other.expose_secret(),
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Command(one), Self::Command(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Password {}

/// Why there is no password. A command is not shown: it may hold a secret.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum PasswordError {
    #[error("the password file {name} cannot be used: {reason}")]
    File { name: String, reason: String },
    #[error("the password command failed: {reason}")]
    Command { reason: String },
}

fn from_file(path: &Path) -> Result<SecretString, PasswordError> {
    let read = bytes(path).map_err(|error| error.to_string());
    read.and_then(password)
        .map_err(|reason| PasswordError::File {
            name: path.display().to_string(),
            reason,
        })
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe without a writer would block.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let mut options = std::fs::File::options();
    let file = options.read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(
            "it is no regular file, and it is read for each connection",
        ));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 2).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All of the text but the end of its line.
fn password(bytes: Vec<u8>) -> Result<SecretString, String> {
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() as u64 > LONGEST {
        return Err(format!("it has more than {LONGEST} bytes"));
    }
    Ok(SecretString::from(text))
}

/// What a command prints. Whatever it started is killed when its time is up.
fn output(command: &str, leash: PipeReader) -> Result<SecretString, String> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", LEASHED, "/bin/sh", command])
        .stdin(leash)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("/bin/sh cannot be started: {error}"))?;
    let printed = printed(&mut child);
    if printed.is_err()
        && let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
    {
        // It may have exited meanwhile.
        let _ended = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait();
    let printed = printed.map_err(|error| error.to_string())?;
    match status {
        Ok(status) if !status.success() => Err(format!("it ended with {status}")),
        // Code that reaps orphans in this process may have collected the status. Then only the
        // output counts, and the server refuses what is not a password.
        Ok(_) | Err(_) if printed.is_empty() => Err("it printed nothing".to_owned()),
        Ok(_) | Err(_) => password(printed).map_err(|reason| format!("its output: {reason}")),
    }
}

fn printed(child: &mut Child) -> io::Result<Vec<u8>> {
    let Some(pipe) = child.stdout.take() else {
        return Ok(Vec::new());
    };
    let clock = || rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let since = |from: rustix::time::Timespec| {
        let passed = clock() - from;
        Duration::try_from(passed).unwrap_or_default()
    };
    let begun = clock();
    let mut bytes = Vec::new();
    loop {
        let left = TIMEOUT
            .checked_sub(since(begun))
            .ok_or_else(|| io::Error::other(format!("it did not end within {TIMEOUT:?}")))?;
        let left = rustix::time::Timespec::try_from(left).unwrap_or_default();
        let mut readable = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        // A signal to this process may interrupt either call.
        match poll(&mut readable, Some(&left)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut chunk = [0; 512];
        match retry_on_intr(|| rustix::io::read(&pipe, &mut chunk))? {
            0 => return Ok(bytes),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
        if bytes.len() as u64 > LONGEST + 2 {
            return Err(io::Error::other(format!(
                "it printed more than {LONGEST} bytes"
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its own group, so that no process of it is missed.
    #[test]
    fn a_command_whose_leash_is_let_go_is_killed_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pids");
        // Both processes keep the pipe open.
        let command = format!(
            "sleep 1000 & echo $$ $! > {0}.new; mv {0}.new {0}; wait",
            path.display()
        );
        let (leash, held) = io::pipe().unwrap();
        let reading = std::thread::spawn(move || Password::Command(command).read(leash));
        let pids = loop {
            match std::fs::read_to_string(&path) {
                Ok(pids) => break pids,
                Err(_) => std::thread::yield_now(),
            }
        };
        drop(held);
        let error = reading.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("signal: 9"), "{error}");
        for pid in pids.split_whitespace() {
            let stat = format!("/proc/{pid}/stat");
            let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
            while lives() {
                std::thread::yield_now();
            }
        }
    }

    fn read(password: Password) -> Result<String, String> {
        let (leash, _held) = io::pipe().unwrap();
        let read = password.read(leash).map_err(|error| error.to_string());
        read.map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn a_password_is_what_a_file_holds_or_a_command_prints_without_the_end_of_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        for (text, expected) in [("one\r\n", "one"), ("two", "two"), ("three\n\n", "three\n")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(Password::File(path.clone())).unwrap(), expected);
            let command = format!("cat {}", path.display());
            assert_eq!(read(Password::Command(command)).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_password_is_refused_with_the_reason_and_without_the_secrets_of_the_command() {
        for (command, reason) in [
            ("exit 3 s3cret", "it ended with exit status: 3"),
            ("true s3cret", "it printed nothing"),
            ("echo; : s3cret", "its output: it is empty"),
            (
                "head -c 9999 /dev/zero #s3cret",
                "it printed more than 4096 bytes",
            ),
            ("/no/such/program s3cret", "it ended with exit status: 127"),
            ("TOKEN=s3cret exit 4", "it ended with exit status: 4"),
            ("kill -9 $$ s3cret", "it ended with signal: 9"),
        ] {
            let error = read(Password::Command(command.to_owned())).unwrap_err();
            assert!(error.contains(reason), "{command}: {error}");
            assert!(!error.contains("s3cret"), "{command}: {error}");
        }
        for path in ["/no/such/file", "/dev/null", "/"] {
            let error = read(Password::File(path.into())).unwrap_err();
            let said = format!("the password file {path} cannot be used");
            assert!(error.contains(&said), "{error}");
        }
    }
}
