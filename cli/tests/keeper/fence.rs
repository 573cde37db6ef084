//! The fence: a program sends nothing after its deadline, even if no process of `incumbent` runs.
//!
//! `FENCE_ROUNDS=10000 cargo test --test keeper fence -- --nocapture` repeats it, with a program that sends to the
//! far end of a veth. `FENCE_CROWD=4000` adds 4,000 processes and sixteen busy loops.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use incumbent_cli::supervise::{Contain, Event};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustix::time::{ClockId, clock_gettime};

use crate::bench::{Bench, PATIENCE};
use crate::marked::marked;

/// Many processes, and some that want every processor.
const CROWD: &str = "\
for ((i = 0; i < CROWD; i++)); do setsid sleep 1000 & done
for ((i = 0; i < LOOPS; i++)); do while :; do :; done & done
";
/// Sends as fast as it can, once it has started as many others as it should, and notes each time that it may not.
const SENDER: &str = "\
trap '' TERM
exec 9>/dev/udp/$TO && echo up >> $DIR/up
eval \"$OTHERS\"
while :; do printf x >&9 || echo refused >> $DIR/refused; done 2>/dev/null";

/// A network namespace at the far end of a veth.
struct FarEnd {
    name: String,
    socket: UdpSocket,
    address: String,
}

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).status().unwrap();
    assert!(done.success(), "ip {words}: run this test as root");
}

impl FarEnd {
    fn new() -> Self {
        let number = fastrand::u8(1..);
        let name = format!("incfence{number}-{}", fastrand::u16(..));
        let (near, far) = (format!("incn{number}"), format!("incf{number}"));
        ip(&format!("netns add {name}"));
        ip(&format!(
            "link add {near} type veth peer name {far} netns {name}"
        ));
        ip(&format!("addr add 10.213.{number}.1/24 dev {near}"));
        ip(&format!("link set {near} up"));
        ip(&format!(
            "-n {name} addr add 10.213.{number}.2/24 dev {far}"
        ));
        ip(&format!("-n {name} link set {far} up"));
        let place = std::fs::File::open(format!("/run/netns/{name}")).unwrap();
        let bound = move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(place.as_fd(), network).unwrap();
            UdpSocket::bind(format!("10.213.{number}.2:0")).unwrap()
        };
        // A socket stays in the namespace that it was opened in; the thread that entered it ends.
        let socket = std::thread::spawn(bound).join().unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        Self {
            name,
            address: format!("{}/{}", address.ip(), address.port()),
            socket,
        }
    }

    /// Reads one packet, and returns when it arrived.
    #[expect(unsafe_code, reason = "the library knows no time of arrival")]
    fn read(&self) -> Option<Timestamp> {
        /// `SIOCGSTAMPNS`: when the last packet that was read has arrived.
        const ARRIVED: libc::c_ulong = 0x8907;
        self.socket.recv(&mut [0; 8]).ok()?;
        let mut at = [0_i64; 2];
        // SAFETY: the kernel fills in the two numbers.
        let known = unsafe { libc::ioctl(self.socket.as_raw_fd(), ARRIVED, &mut at) } == 0;
        // Both clocks at once: an interruption between the two would make the packet late.
        let (wall, now) = loop {
            let (before, wall) = (clock::now(), clock_gettime(ClockId::Realtime));
            if clock::now().since(before) < Duration::from_micros(50) {
                break (wall, before);
            }
        };
        let ago = (wall.tv_sec - at[0]) * 1_000_000_000 + wall.tv_nsec - at[1];
        let ago = if known { ago } else { 0 };
        Some(now.before(Duration::from_nanos(ago.max(0).cast_unsigned())))
    }

    /// Reads what arrives until this moment has passed and nothing is left to read, and returns when it arrived.
    fn read_past(&self, moment: Timestamp) -> Vec<Timestamp> {
        let mut arrived = Vec::new();
        loop {
            // Before the reading: what is found then was there before.
            let now = clock::now();
            match self.read() {
                Some(at) => arrived.push(at),
                None if now > moment => return arrived,
                None => std::thread::yield_now(),
            }
        }
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.name));
    }
}

/// A process that is stopped as long as this exists.
struct Frozen(Pid);

impl Frozen {
    fn new(process: Pid) -> Self {
        kill_process(process, Signal::STOP).unwrap();
        Self(process)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

/// How many processes more, and how many busy loops.
fn crowd() -> [(&'static str, String); 2] {
    let processes = std::env::var("FENCE_CROWD").unwrap_or("0".to_owned());
    let loops = if processes == "0" { "0" } else { "16" };
    [("LOOPS", loops.to_owned()), ("CROWD", processes)]
}

fn rounds() -> usize {
    std::env::var("FENCE_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap())
}

/// A bench behind a fence, and its cgroup.
async fn fenced() -> (Bench, PathBuf) {
    let mut bench = Bench::contained(Contain::Auto);
    let ready = bench.keeper.event().await;
    let Event::Ready { containment, .. } = ready else {
        panic!("{ready:?}");
    };
    let (unfenced, cgroup) = (containment.unfenced, containment.cgroup);
    assert_eq!(unfenced, None, "run this test as root, with a cgroup2");
    (bench, cgroup.unwrap())
}

/// The same with a program in it that sends to the far end.
async fn sending(far: &FarEnd, deadline: Duration) -> Bench {
    let (mut bench, _) = fenced().await;
    let program = bench.program(&["bash", "-c", SENDER]).env("OTHERS", CROWD);
    let program = crowd()
        .into_iter()
        .fold(program.env("TO", &far.address), |program, (name, value)| {
            program.env(name, value)
        });
    bench.start_and_wait(program).await;
    bench.set_deadline(deadline);
    bench
}

/// What arrived, before and after deadlines.
#[derive(Default)]
struct Tally {
    packets: usize,
    early: Vec<Duration>,
    late: Vec<Duration>,
}

impl Tally {
    fn rounds(&self) -> usize {
        self.early.len() + self.late.len()
    }

    /// Takes in one round. One in which nothing was sent does not count.
    fn add(&mut self, deadline: Timestamp, arrived: &[Timestamp]) {
        self.packets += arrived.len();
        match arrived.iter().max() {
            Some(last) if *last > deadline => self.late.push(last.since(deadline)),
            Some(last) => self.early.push(deadline.since(*last)),
            // It got no processor meanwhile.
            None => return,
        }
        let after = arrived.iter().filter(|at| **at > deadline).count();
        // One may have passed the fence in time, and may have been interrupted behind it.
        assert!(after <= 1, "{after} packets after the deadline");
    }

    fn print(mut self, what: &str) {
        self.early.sort();
        let (rounds, median) = (self.rounds(), self.early.get(self.early.len() / 2));
        let row = format!(
            "| {what} | {rounds} deadlines, {} packets | the last: {median:.1?} before the deadline in the median | \
             after it: {}, at most {:.1?} |\n",
            self.packets,
            self.late.len(),
            self.late.iter().max(),
        );
        std::io::stderr().write_all(row.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn no_packet_leaves_after_a_deadline_that_nobody_is_awake_to_enforce() {
    const DEADLINE: Duration = Duration::from_millis(20);
    let far = FarEnd::new();
    let mut bench = sending(&far, PATIENCE).await;
    let keeper = Pid::from_raw(bench.keeper.pid()).unwrap();
    // From here on the keeper is frozen; and this process, the elector, does nothing but read.
    let _frozen = Frozen::new(keeper);
    let mut tally = Tally::default();
    let until = clock::now() + PATIENCE + DEADLINE * 100 * u32::try_from(rounds()).unwrap();
    while tally.rounds() < rounds() {
        assert!(clock::now() < until, "it sends nothing");
        let deadline = bench.set_deadline(DEADLINE);
        tally.add(deadline, &far.read_past(deadline));
    }
    tally.print("the keeper frozen, the elector idle, 20 ms each");
    assert!(!bench.alive().is_empty(), "it was the fence, and no kill");
    // The program knows: what it may not send is an error.
    let until = clock::now() + PATIENCE;
    while crate::count_lines(&bench.file("refused")) == 0 {
        assert!(clock::now() < until, "nothing was refused");
    }
    assert_eq!(far.read_past(clock::now()), [], "long after the deadline");
}

/// Set for the process that is the elector of the next test: where its program sends to.
const ELECTOR: &str = "FENCE_TEST_ELECTOR";
const TEST: &str =
    "fence::no_packet_leaves_after_a_deadline_whose_elector_and_keeper_are_killed_or_frozen";
const DEADLINE: Duration = Duration::from_millis(50);

/// The elector: sets a deadline when it is asked to, and looks after its keeper.
async fn elect(to: &str) {
    let (mut bench, cgroup) = fenced().await;
    // Out of reach of the signal that kills the program with its keeper.
    let script = "setsid bash -c \"$SENDER\" & wait";
    let program = bench.program(&["bash", "-c", script]);
    bench
        .start_and_wait(program.env("SENDER", SENDER).env("TO", to))
        .await;
    let (keeper, cgroup) = (bench.keeper.pid(), cgroup.display());
    let directory = bench.directory.path().display();
    println!("\nready {keeper} {cgroup} {} {directory}", bench.mark());
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let deadline = bench.set_deadline(DEADLINE);
    println!("deadline {}", deadline.as_nanos());
    loop {
        bench.keeper.event().await;
    }
}

/// Both halves, in processes of their own, and what is left of their program.
struct Halves {
    elector: Child,
    said: BufReader<ChildStdout>,
    keeper: Pid,
    cgroup: PathBuf,
    mark: String,
    /// The keeper, and the program.
    processes: BTreeSet<u32>,
    directory: PathBuf,
    /// Where all of them keep their files.
    _place: tempfile::TempDir,
}

impl Halves {
    /// Starts them in a cgroup where no keeper of another test ends what they leave.
    fn start(far: &FarEnd, group: &Path) -> Self {
        let place = tempfile::tempdir().unwrap();
        let enter = "echo 0 > \"$0\"/cgroup.procs && exec \"$@\"";
        let mut elector = Command::new("sh")
            .args(["-c", enter])
            .arg(group)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(ELECTOR, &far.address)
            .env("TMPDIR", place.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(elector.stdout.take().unwrap());
        let ready = hear(&mut said, "ready ");
        let words: Vec<&str> = ready.split_whitespace().collect();
        let mut processes = marked(words[2]);
        processes.insert(words[0].parse().unwrap());
        Self {
            elector,
            said,
            processes,
            keeper: Pid::from_raw(words[0].parse().unwrap()).unwrap(),
            cgroup: words[1].into(),
            mark: words[2].to_owned(),
            directory: words[3].into(),
            _place: place,
        }
    }

    fn set_deadline(&mut self) -> Timestamp {
        self.elector
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"\n")
            .unwrap();
        Timestamp::from_nanos(hear(&mut self.said, "deadline ").parse().unwrap())
    }

    fn send(&self, signal: Signal) {
        for half in [Pid::from_child(&self.elector), self.keeper] {
            kill_process(half, signal).unwrap();
        }
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        self.elector.kill().unwrap();
        self.elector.wait().unwrap();
        let until = clock::now() + PATIENCE;
        let ours = &mut self.processes;
        loop {
            ours.extend(marked(&self.mark));
            // What has ended is reaped, where it became our child: this is a subreaper.
            ours.retain(|pid| {
                let pid = Pid::from_raw(pid.cast_signed()).unwrap();
                kill_process(pid, Signal::KILL).is_ok()
                    && !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_)))
            });
            if ours.is_empty() {
                return;
            }
            assert!(clock::now() < until, "alive: {ours:?}");
        }
    }
}

/// The rest of the line that begins like this.
fn hear(said: &mut BufReader<ChildStdout>, start: &str) -> String {
    let mut lines = said.lines().map(Result::unwrap);
    let line = lines.find_map(|line| line.strip_prefix(start).map(str::to_owned));
    line.unwrap_or_else(|| panic!("{start:?} was not said"))
}

#[tokio::test]
async fn no_packet_leaves_after_a_deadline_whose_elector_and_keeper_are_killed_or_frozen() {
    if let Ok(to) = std::env::var(ELECTOR) {
        return elect(&to).await;
    }
    let far = FarEnd::new();
    let mut loaded = Bench::new(false);
    let script = [CROWD, "echo up >> $DIR/up; exec sleep 1000"].concat();
    let load = loaded.program(&["bash", "-c", &script]);
    let load = crowd()
        .into_iter()
        .fold(load, |load, (name, value)| load.env(name, value));
    loaded.start_and_wait(load).await;
    let (bench, beside) = fenced().await;
    let group = beside.with_file_name(format!("fence-{}", fastrand::u64(..)));
    std::fs::create_dir(&group).unwrap();
    drop(bench);
    for (what, signal) in [("killed -9", Signal::KILL), ("stopped", Signal::STOP)] {
        let mut tally = Tally::default();
        let mut groups = Vec::new();
        // On a busy machine many are not struck in time.
        let until = clock::now() + PATIENCE * 6 + PATIENCE * u32::try_from(rounds()).unwrap();
        while tally.rounds() < rounds() / 2 + 1 {
            assert!(clock::now() < until, "nothing was struck in time");
            let mut halves = Halves::start(&far, &group);
            groups.push(halves.cgroup.clone());
            // What the last round has sent.
            while far.read().is_some() {}
            let deadline = halves.set_deadline();
            // First of all, neither may do anything about the death of the other.
            halves.send(Signal::STOP);
            halves.send(signal);
            if clock::now() >= deadline {
                continue;
            }
            let mut arrived = far.read_past(deadline);
            // It goes on trying, unless a keeper that starts meanwhile ends what dead ones have left.
            let refused = halves.directory.join("refused");
            let until = clock::now() + PATIENCE;
            while crate::count_lines(&refused) == 0 && !marked(&halves.mark).is_empty() {
                assert!(clock::now() < until, "nothing was refused");
            }
            if crate::count_lines(&refused) == 0 {
                continue;
            }
            arrived.extend(far.read_past(clock::now()));
            tally.add(deadline, &arrived);
        }
        tally.print(&format!("elector and keeper {what}, 50 ms each"));
        // A keeper that starts removes the groups that dead ones have left.
        let until = clock::now() + PATIENCE;
        while groups.iter().any(|group| group.exists()) {
            assert!(clock::now() < until, "left behind: {groups:?}");
            drop(Halves::start(&far, &group));
            groups.retain(|group| group.exists());
        }
    }
    let until = clock::now() + PATIENCE;
    // The last of them has left a group too.
    while std::fs::remove_dir(&group).is_err() {
        assert!(clock::now() < until, "{} stays", group.display());
        for left in std::fs::read_dir(&group).unwrap().flatten() {
            let _busy = std::fs::remove_dir(left.path()).is_err();
        }
    }
}

#[tokio::test]
async fn a_deadline_that_moves_on_lets_packets_out() {
    let far = FarEnd::new();
    let mut bench = sending(&far, PATIENCE).await;
    let first = bench.set_deadline(Duration::from_millis(300));
    bench.set_deadline(PATIENCE);
    while clock::now() < first {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let until = first + PATIENCE;
    while far.read().is_none_or(|at| at <= first) {
        assert!(clock::now() < until, "nothing arrives");
    }
    bench.keeper.kill();
}

#[tokio::test]
async fn a_fence_whose_elector_is_awake_closes_only_just_before_the_deadline() {
    const DEADLINE: Duration = Duration::from_millis(800);
    let far = FarEnd::new();
    let until = clock::now() + PATIENCE;
    // On a busy machine it may not be in time once.
    loop {
        assert!(clock::now() < until, "it closes early");
        let mut bench = sending(&far, PATIENCE).await;
        let deadline = bench.set_deadline(DEADLINE);
        let mut last = None;
        while clock::now() < deadline {
            while let Some(at) = far.read() {
                last = Some(at);
            }
            let turn = Duration::from_millis(1);
            // The keeper asks it to stop, which it does not.
            let _turned = tokio::time::timeout(turn, bench.keeper.event()).await;
        }
        // Without the elector, it would have been closed for the last eighth.
        if last > Some(deadline.before(DEADLINE / 16)) {
            return;
        }
    }
}
