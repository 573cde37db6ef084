//! A bed of hosts: each one boots a full systemd on an overlay of this machine's root, in a network
//! namespace for this test.
//!
//! ```text
//!   namespace  h1        h2        h3        hub
//!              eth0──────eth0──────eth0──────data bridge     10.77.0.0/24: stores, cut by a partition
//!              eth1──────eth1──────eth1──────witness bridge  10.78.0.0/24: never cut
//!                                             └── witness, a TCP service
//! ```
//!
//! Nothing of it shows outside: both bridges live in a namespace of their own, every name carries the
//! process id, and all of it goes with the bed. Each host has its own cgroup, on the unified
//! hierarchy, as hosts have it: without one they would take each other's services for theirs.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::wait::wait_for;

/// The services that this machine starts at boot: a host starts none of them.
const ENABLED: [&str; 4] = [
    "multi-user.target.wants",
    "timers.target.wants",
    "sockets.target.wants",
    "network-online.target.wants",
];

/// The address of the redis-server on the hub.
pub(crate) const REDIS: &str = "10.77.0.254";

/// Hosts, and the networks between them.
pub(crate) struct Bed {
    prefix: String,
    folder: tempfile::TempDir,
    redis: Option<Child>,
    pub(crate) hosts: Vec<Host>,
}

/// One host.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) number: usize,
    namespace: String,
    folder: PathBuf,
    /// Its control group, outside.
    group: PathBuf,
    /// What it may do that a container may not.
    rights: &'static [&'static str],
    container: Option<Child>,
    /// The process id, outside, of the host's first process.
    init: Option<u32>,
}

impl Bed {
    /// Makes the networks and `count` hosts. None is booted yet.
    pub(crate) fn new(count: usize) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "the hosts of this test need root: run it as root, in a machine you can spare"
        );
        let folder = tempfile::Builder::new()
            .prefix("incumbent-bed-")
            .tempdir()
            .unwrap();
        static BEDS: AtomicU32 = AtomicU32::new(0);
        let count_of_beds = BEDS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("ib{}x{count_of_beds}", std::process::id());
        let groups = folder.path().join("groups");
        fs::create_dir(&groups).unwrap();
        run(
            "mount",
            &["-t", "cgroup2", "cgroup2", groups.to_str().unwrap()],
        );
        let hub = format!("{prefix}-hub");
        ip(&["netns", "add", &hub]);
        for (bridge, address) in [("data", "10.77.0.254/24"), ("witness", "10.78.0.254/24")] {
            ip(&["-n", &hub, "link", "add", bridge, "type", "bridge"]);
            ip(&["-n", &hub, "addr", "add", address, "dev", bridge]);
            ip(&["-n", &hub, "link", "set", bridge, "up"]);
        }
        ip(&["-n", &hub, "link", "set", "lo", "up"]);
        let mut bed = Self {
            prefix,
            folder,
            redis: None,
            hosts: Vec::new(),
        };
        for number in 1..=count {
            bed.add_host(number);
        }
        bed
    }

    /// The namespace in which the witness runs.
    pub(crate) fn hub(&self) -> String {
        format!("{}-hub", self.prefix)
    }

    /// Starts a redis-server on the hub, and waits until it answers. It keeps its data over a restart.
    pub(crate) fn start_redis(&mut self) {
        let folder = self.folder.path().to_str().unwrap().to_owned();
        let redis = Command::new("ip")
            .args(["netns", "exec", &self.hub(), "redis-server"])
            .args(["--bind", REDIS, "--port", "6379", "--protected-mode", "no"])
            .args(["--save", "", "--appendonly", "yes", "--dir", &folder])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.redis = Some(redis);
        wait_for("redis-server to answer", Duration::from_secs(20), || {
            let answer = Command::new("ip")
                .args([
                    "netns",
                    "exec",
                    &self.hub(),
                    "redis-cli",
                    "-h",
                    REDIS,
                    "ping",
                ])
                .output()
                .unwrap();
            answer.stdout.starts_with(b"PONG").then_some(())
        });
    }

    /// Stops the redis-server of the hub at once.
    pub(crate) fn stop_redis(&mut self) {
        if let Some(mut redis) = self.redis.take() {
            redis.kill().unwrap();
            redis.wait().unwrap();
        }
    }

    fn add_host(&mut self, number: usize) {
        let name = format!("h{number}");
        let namespace = format!("{}-{name}", self.prefix);
        let hub = self.hub();
        ip(&["netns", "add", &namespace]);
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        for (bridge, inside, net) in [("data", "eth0", 77), ("witness", "eth1", 78)] {
            let outside = format!("{bridge}{number}");
            ip(&[
                "-n", &hub, "link", "add", &outside, "type", "veth", "peer", "name", inside,
                "netns", &namespace,
            ]);
            ip(&["-n", &hub, "link", "set", &outside, "master", bridge, "up"]);
            let address = format!("10.{net}.0.{number}/24");
            ip(&["-n", &namespace, "addr", "add", &address, "dev", inside]);
            ip(&["-n", &namespace, "link", "set", inside, "up"]);
        }
        let group = self.folder.path().join("groups").join(&namespace);
        fs::create_dir(&group).unwrap();
        let folder = self.folder.path().join(&name);
        for part in ["upper", "work", "root"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let host = Host {
            name,
            number,
            namespace,
            folder,
            group,
            rights: &[],
            container: None,
            init: None,
        };
        host.furnish();
        self.hosts.push(host);
    }

    pub(crate) fn host(&self, number: usize) -> &Host {
        &self.hosts[number - 1]
    }

    pub(crate) fn host_mut(&mut self, number: usize) -> &mut Host {
        &mut self.hosts[number - 1]
    }

    /// Boots every host that is not up, all at once.
    pub(crate) fn boot(&mut self) {
        for host in &mut self.hosts {
            host.power_on();
        }
        for host in &mut self.hosts {
            host.wait_until_up();
        }
    }

    /// Cuts a host off the data network. The witness still hears it.
    pub(crate) fn cut(&self, number: usize) {
        let port = format!("data{number}");
        ip(&["-n", &self.hub(), "link", "set", &port, "down"]);
    }

    /// Mends what [`Bed::cut`] did.
    pub(crate) fn mend(&self, number: usize) {
        let port = format!("data{number}");
        ip(&["-n", &self.hub(), "link", "set", &port, "up"]);
    }
}

impl Host {
    /// Its address on the data network.
    pub(crate) fn address(&self) -> String {
        format!("10.77.0.{}", self.number)
    }

    /// Lets it load BPF programs, and change its network, as a host that is no container may.
    pub(crate) fn permit_fences(&mut self) {
        self.rights = &[
            "--capability=CAP_BPF,CAP_NET_ADMIN",
            "--system-call-filter=bpf",
        ];
        // Nobody configures its network, for which systemd would now wait.
        let wait = "/etc/systemd/system/systemd-networkd-wait-online.service";
        self.write(
            wait,
            "[Service]\nType=oneshot\nExecStart=/bin/true\n",
            0o644,
        );
    }

    /// Writes a file as an administrator of the host would.
    pub(crate) fn write(&self, path: &str, text: &str, mode: u32) {
        let up = self.init.is_some();
        let base = self.folder.join(if up { "root" } else { "upper" });
        let target = base.join(path.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, text).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Installs a program.
    pub(crate) fn install(&self, from: &Path, path: &str) {
        let target = self.folder.join("upper").join(path.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from, &target).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn furnish(&self) {
        self.write("/etc/machine-id", "uninitialized\n", 0o444);
        self.write("/etc/hostname", &format!("{}\n", self.name), 0o644);
        let units = self.folder.join("upper/etc/systemd/system");
        fs::create_dir_all(&units).unwrap();
        for folder in ENABLED {
            let folder = units.join(folder);
            fs::create_dir(&folder).unwrap();
            // The overlay shows nothing of what lies below such a folder (overlayfs, "Whiteouts and opaque
            // directories").
            let flags = rustix::fs::XattrFlags::CREATE;
            rustix::fs::setxattr(&folder, "trusted.overlay.opaque", b"y", flags).unwrap();
        }
    }

    pub(crate) fn power_on(&mut self) {
        if self.container.is_some() {
            return;
        }
        let root = self.folder.join("root");
        let layers = format!(
            "lowerdir=/,upperdir={},workdir={}",
            self.folder.join("upper").display(),
            self.folder.join("work").display()
        );
        run(
            "mount",
            &[
                "-t",
                "overlay",
                "overlay",
                "-o",
                &layers,
                root.to_str().unwrap(),
            ],
        );
        let log = fs::File::create(self.folder.join("console.log")).unwrap();
        let machine = format!("--machine={}", self.namespace);
        let network = format!("--network-namespace-path=/run/netns/{}", self.namespace);
        let container = Command::new("sh")
            .args(["-c", "echo 0 > \"$0\"/cgroup.procs; exec \"$@\""])
            .arg(&self.group)
            .arg("systemd-nspawn")
            .args(["--register=no", "--keep-unit", "--quiet", "--boot", "-D"])
            .arg(&root)
            .args([&machine, &network])
            .args(self.rights)
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("systemd-nspawn starts (package systemd-container)");
        self.container = Some(container);
    }

    pub(crate) fn wait_until_up(&mut self) {
        let outer = self
            .container
            .as_ref()
            .expect("the host is powered on")
            .id();
        let name = self.name.clone();
        let init = wait_for(
            &format!("{name} to have a first process"),
            Duration::from_secs(30),
            || {
                let children =
                    fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
                let init: u32 = children.split_whitespace().next()?.parse().ok()?;
                let comm = fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
                (comm.trim() == "systemd").then_some(init)
            },
        );
        self.init = Some(init);
        wait_for(
            &format!("{name} to have booted"),
            Duration::from_secs(90),
            || {
                let state = self.try_sh("systemctl is-system-running 2>/dev/null").1;
                matches!(state.trim(), "running" | "degraded").then_some(())
            },
        );
    }

    /// Runs a shell line on the host; its status and what it printed.
    pub(crate) fn try_sh(&self, line: &str) -> (bool, String) {
        let init = self.init.expect("the host is up").to_string();
        let output = Command::new("nsenter")
            .args(["-t", &init, "-m", "-u", "-i", "-n", "-p", "-C", "--"])
            .args(["/bin/sh", "-c", line])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    /// Runs a shell line on the host that must succeed.
    pub(crate) fn sh(&self, line: &str) -> String {
        let (ok, text) = self.try_sh(line);
        assert!(ok, "{}: {line}\n{text}", self.name);
        text
    }

    /// The host dies at once, as if its power were cut.
    pub(crate) fn crash(&mut self) {
        let init = self.init.take().expect("the host is up");
        let pid = rustix::process::Pid::from_raw(init.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        self.power_off();
    }

    /// Waits for what is left of a dead host, and unmounts it. What it had written stays.
    pub(crate) fn power_off(&mut self) {
        self.init = None;
        if let Some(mut container) = self.container.take() {
            // The container ends when its first process has; a host that still runs is switched off.
            if container.try_wait().unwrap().is_none() {
                let pid = rustix::process::Pid::from_child(&container);
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            }
            container.wait().unwrap();
        }
        let root = self.folder.join("root");
        wait_for(
            "the root of a dead host to be free",
            Duration::from_secs(20),
            || {
                let status = Command::new("umount")
                    .arg(&root)
                    .stderr(Stdio::null())
                    .status()
                    .unwrap();
                let mounts = fs::read_to_string("/proc/mounts").unwrap();
                (status.success() || !mounts.contains(root.to_str().unwrap())).then_some(())
            },
        );
    }

    /// What the host's console has shown.
    pub(crate) fn console(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(self.folder.join("console.log")) {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        text
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop_redis();
        for host in &mut self.hosts {
            if std::thread::panicking() {
                eprintln!("--- console of {}\n{}", host.name, host.console());
            }
            if let Some(init) = host.init.take() {
                let pid = init
                    .try_into()
                    .ok()
                    .and_then(rustix::process::Pid::from_raw);
                if let Some(pid) = pid {
                    rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
                }
            }
            host.power_off();
            remove_groups(&host.group);
            ip(&["netns", "del", &host.namespace]);
        }
        let groups = self.folder.path().join("groups");
        run("umount", &[groups.to_str().unwrap()]);
        ip(&["netns", "del", &self.hub()]);
    }
}

/// Removes the control group of a dead host, and what it has made below.
fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            remove_groups(&entry.path());
        }
    }
    wait_for(
        "the groups of a dead host to be empty",
        Duration::from_secs(20),
        || fs::remove_dir(group).ok(),
    );
}

fn ip(words: &[&str]) {
    run("ip", words);
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    assert!(
        output.status.success(),
        "{program} {}: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}
