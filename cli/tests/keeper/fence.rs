//! The fence: a program sends nothing after its deadline, even if no process of `incumbent` runs.
//!
//! `FENCE_ROUNDS=10000 cargo test --test keeper fence -- --nocapture` repeats it, with a program that sends to the
//! far end of a veth. With `FENCE_CROWD=4000` it has so many processes more, and sixteen busy loops.

use std::io::Write;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::Duration;

use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use incumbent_cli::supervise::{Contain, Containment, Event};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustix::time::{ClockId, clock_gettime};

use crate::bench::{Bench, PATIENCE};

/// Sends as fast as it can, and notes each time that it may not.
const SENDER: &str = "\
for ((i = 0; i < CROWD; i++)); do setsid sleep 1000 & done
for ((i = 0; i < LOOPS; i++)); do while :; do :; done & done
exec 9>/dev/udp/$TO && echo up >> $DIR/up
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

/// A process that stands still as long as this exists.
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

/// A fenced bench, and a program in it that sends to the far end.
async fn sending(far: &FarEnd, deadline: Duration) -> Bench {
    let mut bench = Bench::contained(Contain::Auto);
    let ready = bench.keeper.event().await;
    let Event::Ready { containment, .. } = ready else {
        panic!("{ready:?}");
    };
    let Containment { unfenced, .. } = containment;
    assert_eq!(unfenced, None, "run this test as root, with a cgroup2");
    let crowd = std::env::var("FENCE_CROWD").unwrap_or_default();
    let program = bench
        .program(&["bash", "-c", SENDER])
        .env("TO", &far.address)
        .env("LOOPS", if crowd.is_empty() { "0" } else { "16" })
        .env("CROWD", crowd);
    bench.start_and_wait(program).await;
    bench.set_deadline(deadline);
    bench
}

#[tokio::test]
async fn no_packet_leaves_after_a_deadline_that_nobody_is_awake_to_enforce() {
    const DEADLINE: Duration = Duration::from_millis(20);
    let rounds = std::env::var("FENCE_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let far = FarEnd::new();
    let mut bench = sending(&far, PATIENCE).await;
    let keeper = Pid::from_raw(bench.keeper.pid()).unwrap();
    // From here on the keeper is frozen; and this process, the elector, does nothing but read.
    let _frozen = Frozen::new(keeper);
    let (mut packets, mut early, mut late) = (0, Vec::new(), Vec::new());
    let until = clock::now() + PATIENCE + DEADLINE * 10 * rounds;
    while early.len() + late.len() < usize::try_from(rounds).unwrap() {
        assert!(clock::now() < until, "it sends nothing");
        let deadline = bench.set_deadline(DEADLINE);
        let arrived = far.read_past(deadline);
        packets += arrived.len();
        match arrived.iter().max() {
            Some(last) if *last > deadline => late.push(last.since(deadline)),
            Some(last) => early.push(deadline.since(*last)),
            // It got no processor meanwhile.
            None => continue,
        }
        let after = arrived.iter().filter(|at| **at > deadline);
        // One may have passed the fence in time, and may have been interrupted behind it.
        assert!(after.count() <= 1, "{arrived:?} after {deadline:?}");
    }
    early.sort();
    let (median, worst) = (early.get(early.len() / 2), late.iter().max());
    let row = format!(
        "| {rounds} deadlines of {DEADLINE:?}, {packets} packets | the last: {median:.1?} before the deadline in the \
         median | after it: {}, at most {worst:.1?} |\n",
        late.len(),
    );
    std::io::stderr().write_all(row.as_bytes()).unwrap();
    assert!(!bench.alive().is_empty(), "it was the fence, and no kill");
    // The program knows: what it may not send is an error.
    let until = clock::now() + PATIENCE;
    while crate::count_lines(&bench.file("refused")) == 0 {
        assert!(clock::now() < until, "nothing was refused");
    }
    assert_eq!(far.read_past(clock::now()), [], "long after the deadline");
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
