//! What the containment adds to the start of a program, and the network fence to its traffic.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use incumbent::election::clock;

use crate::report::{figure, heading, median, shown, time};
use crate::start::{self, PROGRAM};

const STARTS: usize = 40;
const TRANSFERS: usize = 9;
/// How long each of them lasts.
const TRANSFER: Duration = Duration::from_millis(500);
/// The role of the program that sends to itself over loopback, and prints how many bytes arrived.
pub(crate) const LOOPBACK: &str = "loopback";

pub(crate) fn run() {
    heading("--contain, a vacant election on SQLite");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("elections.db");
    let levels = ["subreaper", "auto", "pidns"];
    let mut starts = levels.map(|_| Vec::new());
    for _ in 0..=STARTS {
        for (level, starts) in levels.iter().zip(&mut starts) {
            let (took, mut child) = start::started(contained(&path, level, "leave"));
            let status = child.wait().expect("it ends");
            assert!(status.success(), "{level} ended with {status}");
            starts.push(took);
        }
    }
    // The first run of each makes the database, or finds the file of the program elsewhere.
    let starts = starts.map(|starts| starts[1..].to_vec());
    let least = starts.clone().map(|starts| starts.into_iter().min());
    let [bare, cgroup, namespace] = starts.map(median);
    time("start with --contain subreaper: no cgroup, no fence", bare);
    time("with auto: a cgroup and a fence where permitted", cgroup);
    time("with pidns: a PID namespace as well", namespace);
    // What else a busy machine does only adds to a start.
    let [least_bare, least_cgroup, least_namespace] = least.map(Option::unwrap_or_default);
    for (what, with, without, fastest) in [
        (
            "added by cgroup and fence, aim ≤ 2 ms",
            cgroup,
            bare,
            least_cgroup.saturating_sub(least_bare),
        ),
        (
            "added by the namespace, aim ≤ 2 ms",
            namespace,
            cgroup,
            least_namespace.saturating_sub(least_cgroup),
        ),
    ] {
        let (added, fastest) = (shown(with.saturating_sub(without)), shown(fastest));
        figure(
            what,
            &format!("{added}; between the fastest starts {fastest}"),
        );
    }

    let mut rates = ["subreaper", "auto"].map(|level| (level, Vec::new()));
    for _ in 0..TRANSFERS {
        for (level, rates) in &mut rates {
            let mut command = contained(&path, level, LOOPBACK);
            let output = command.stdin(Stdio::null()).output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(*level == "auto", said.contains("+fence"), "as root: {said}");
            let bytes = String::from_utf8_lossy(&output.stdout);
            let bytes: f64 = bytes.trim().parse().expect("a number of bytes");
            rates.push(bytes * 8.0 / TRANSFER.as_secs_f64() / 1e9);
        }
    }
    let [free, fenced] = rates.map(|(_, mut rates)| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    figure("TCP over loopback, no fence", &format!("{free:.2} Gbit/s"));
    figure("the same behind a fence", &format!("{fenced:.2} Gbit/s"));
    let less = format!("{:.1} %", (1.0 - fenced / free) * 100.0);
    figure("taken by the fence, aim ≤ 5 %", &less);
}

fn contained(path: &Path, level: &str, role: &str) -> Command {
    let store = format!("sqlite:{}", path.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_incumbent"));
    command
        .args(["run", "bench", "--contain", level, "--store", &store, "--"])
        .arg(std::env::current_exe().expect("this program"))
        .env(PROGRAM, role);
    command
}

/// Plays the program of that role.
pub(crate) fn loopback() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("its address");
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let until = clock::now() + TRANSFER;
        while clock::now() < until {
            stream.write_all(&[0; 128 << 10]).expect("it sends");
        }
    });
    let (mut stream, _) = listener.accept().expect("a connection");
    let (mut buffer, mut bytes) = (vec![0; 128 << 10], 0);
    loop {
        match stream.read(&mut buffer).expect("it arrives") {
            0 => break,
            read => bytes += read,
        }
    }
    sender.join().expect("it has sent");
    println!("{bytes}");
}
