//! Hosts of their own names, each with a service that runs `incumbent`: what a host is to its cluster, and
//! what can befall it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::home::{Home, wait_until};

/// The first process of a host. SIGTERM restarts its service, SIGUSR1 ends it and the host with it.
const INIT: &str = "\
hostname \"$1\"; log=$2; shift 2
down=
while [ -z \"$down\" ]; do
    \"$@\" 2>>\"$log\" & service=$!
    trap 'kill $service' TERM
    trap 'down=1; kill $service' USR1
    while kill -0 $service 2>/dev/null; do wait $service; done
done";

/// A host: a name, and processes that end with it.
pub(crate) struct Host {
    name: &'static str,
    unshare: Child,
    init: Option<i32>,
}

impl Host {
    /// Starts a host with its service.
    pub(crate) fn boot(home: &Home, name: &'static str, service: &[&str]) -> Self {
        let mut command = home.command::<&str>(&[]);
        let incumbent = command.get_program().to_owned();
        let environment: Vec<_> = command.get_envs().collect();
        let mut unshare = Command::new("unshare");
        unshare.env_clear();
        for (name, value) in environment {
            unshare.env(name, value.unwrap());
        }
        unshare
            .args(["--uts", "--pid", "--fork", "--mount-proc", "--kill-child"])
            .args(["sh", "-c", INIT, "init", name])
            .arg(home.path(&format!("{name}.log")))
            .arg(incumbent)
            .args(service)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command = unshare;
        let unshare = command.spawn().unwrap();
        let pid = unshare.id();
        let mut init = None;
        wait_until("the host has its first process", || {
            init = children_of(pid).first().copied();
            init.is_some()
        });
        Self {
            name,
            unshare,
            init,
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Has its service restarted: the candidate ends, and another begins.
    pub(crate) fn restart_the_service(&self) {
        self.signal(Signal::TERM);
    }

    /// Shuts it down in good order.
    pub(crate) fn shut_down(mut self) {
        self.signal(Signal::USR1);
        self.unshare.wait().unwrap();
        self.init = None;
    }

    /// Takes all its processes away at once.
    pub(crate) fn lose_power(self) {
        drop(self);
    }

    fn signal(&self, signal: Signal) {
        let init = Pid::from_raw(self.init.unwrap()).unwrap();
        kill_process(init, signal).unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.init.is_some() {
            // The first process dies with the one that made the host, and all others with the first.
            self.unshare.kill().unwrap();
            self.unshare.wait().unwrap();
        }
    }
}

/// The processes that a process has begun.
pub(crate) fn children_of(pid: u32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let listed = std::fs::read_to_string(Path::new(&path)).unwrap();
    let pids = listed.split_whitespace();
    pids.map(|pid| pid.parse().unwrap()).collect()
}
