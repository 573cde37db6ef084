//! A file that no one can execute until it is let go of: opening it waits for the end of a lease.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// As long as it lives the file is held.
#[derive(Debug)]
pub struct Held(Child);

impl Held {
    /// Holds a file; `None` when somebody has it open.
    #[must_use]
    pub fn hold(file: &Path) -> Option<Self> {
        let lease = "import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1])
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()";
        let mut holder = Command::new("python3");
        holder
            .args(["-c", lease])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut held = Self(holder.spawn().unwrap());
        let told = held.0.stdout.as_mut().unwrap();
        told.read_exact(&mut [0; 4]).is_ok().then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}
