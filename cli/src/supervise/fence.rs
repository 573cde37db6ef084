//! No packet after the deadline: the kernel compares the clock with it for each packet of the program, whether or
//! not a process of ours runs.
//!
//! ```text
//!   elector ── each heartbeat that counts ──▶ a page of memory: until when, in boot time
//!                                                     ▲
//!   PROGRAM ── packet ──▶ its cgroup: 9 instructions ─┘ now < until? let it out : drop it
//! ```
//!
//! The elector shares the page with the kernel (a BPF map), so a renewal is no system call. The keeper loads the
//! instructions and attaches them to the cgroup, where they stay as long as it does, even if both are killed.
//!
//! The kernel has only boot time for it, which NTP may slow down by a tenth, suddenly, after the last renewal. The
//! fence must not be late by that, so it is set to seven eighths of the time left. The elector sets it again while
//! that passes, so only the program of an elector that is stuck meets it more than a millisecond early.

mod bpf;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::{
    CapabilitySet, capability_is_in_ambient_set, configure_capability_in_ambient_set,
};
use rustix::time::{ClockId, clock_gettime};

use super::cgroup::Cgroup;

/// The elector's end of a fence.
#[derive(Debug)]
pub(super) struct Fence {
    until: NonNull<AtomicU64>,
}

// The page is shared with the kernel, which only reads it, and is written by atomic stores.
#[expect(unsafe_code, reason = "a pointer is not known to be shareable")]
// SAFETY: as above.
unsafe impl Send for Fence {}

impl Fence {
    /// A fence that is closed, and the map that it is, for the keeper to attach.
    ///
    /// # Errors
    ///
    /// When the kernel has no such maps, or this process may not make one.
    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let map = bpf::new_map()?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new page, at an address that the kernel chooses, is shared with nothing else here.
        let page = unsafe {
            mmap(
                std::ptr::null_mut(),
                PAGE,
                access,
                MapFlags::SHARED,
                map.as_fd(),
                0,
            )?
        };
        let until = NonNull::new(page.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok((Self { until }, map))
    }

    /// Lets packets out until this moment, and not later, whatever NTP does meanwhile. Returns when to do it again,
    /// so that the fence does not close much earlier.
    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    pub(super) fn set(&self, deadline: Timestamp) -> Timestamp {
        // Boot time first: an interruption between the two brings the moment forward.
        let boot = clock_gettime(ClockId::Boottime);
        let boot = boot.tv_sec.cast_unsigned() * 1_000_000_000 + boot.tv_nsec.cast_unsigned();
        let now = clock::now();
        let left = deadline.since(now);
        let until = boot.saturating_add(u64::try_from(early(left).as_nanos()).unwrap_or(u64::MAX));
        // SAFETY: the page is mapped as long as this exists.
        unsafe { self.until.as_ref() }.store(until, Ordering::Release);
        if left > NEAR {
            now + left / 4 * 3
        } else {
            Timestamp::NEVER
        }
    }
}

impl Drop for Fence {
    #[expect(unsafe_code, reason = "memory is shared with the kernel")]
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.until.as_ptr().cast(), PAGE) };
        if let Err(error) = unmapped {
            tracing::debug!(%error, "the page of the fence stays mapped");
        }
    }
}

/// Puts a cgroup behind the fence, or returns why there is none.
pub(super) fn put_around(cgroup: Option<&Cgroup>, map: io::Result<OwnedFd>) -> Option<String> {
    match (cgroup, map) {
        (Some(cgroup), Ok(map)) => bpf::attach(map.as_fd(), cgroup).err(),
        (Some(_), Err(error)) => Some(format!("no BPF map can be made: {error}")),
        (None, _) => Some("the program has no cgroup".to_owned()),
    }
}

/// Takes the capabilities that a fence needs from what this process starts next. Where both are ambient they are for
/// `incumbent`, as in the drop-in for systemd; a program that had them could take the fence away.
pub(super) fn withhold_capabilities() -> rustix::io::Result<()> {
    let both = [CapabilitySet::BPF, CapabilitySet::NET_ADMIN];
    let is_ambient = |one| capability_is_in_ambient_set(one).unwrap_or(false);
    if both.into_iter().all(is_ambient) {
        for one in both {
            configure_capability_in_ambient_set(one, false)?;
        }
    }
    Ok(())
}

/// The kernel maps whole pages, whatever their size.
const PAGE: usize = size_of::<u64>();

/// A deadline so near that the fence is not set again: it closes a millisecond early.
const NEAR: Duration = Duration::from_millis(8);

/// How much of the time left surely passes on the decisive clock while boot time, slowed down, advances by it.
fn early(left: Duration) -> Duration {
    left - left / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_boot_time_is_slowed_the_fence_is_not_late() {
        // The kernel slows its clocks by a tenth at most (adjtimex), and by 500 in a million on top.
        let slowest = 1.0 - 0.1 - 500e-6;
        for left in [1, 50, 1_000, 4_900, 3_600_000].map(Duration::from_millis) {
            let passes = early(left).as_secs_f64() / slowest;
            assert!(passes < left.as_secs_f64(), "{left:?}");
        }
        assert_eq!(early(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn it_is_set_again_before_it_closes_until_the_deadline_is_near() {
        let mut left = Duration::from_secs(3600);
        let mut times = 0;
        while left > NEAR {
            let again = left / 4 * 3;
            assert!(again < early(left) - left / 10, "there is time for it");
            left -= again;
            times += 1;
        }
        assert!(times < 12 && left - early(left) <= Duration::from_millis(1));
    }

    /// It prints what a renewal costs: `cargo test --lib renewal -- --nocapture`.
    #[test]
    fn a_renewal_moves_the_moment_on() {
        const TIMES: u32 = 100_000;
        let (fence, _map) =
            Fence::new().expect("only root may make a BPF map: run this test as root");
        fence.set(clock::now() + Duration::from_secs(1));
        #[expect(unsafe_code, reason = "memory is shared with the kernel")]
        // SAFETY: the page is mapped as long as the fence exists.
        let until = || unsafe { fence.until.as_ref() }.load(Ordering::Acquire);
        // Of this thread alone: on a busy machine, others run meanwhile.
        let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let (first, begun) = (until(), used());
        for _ in 0..TIMES {
            fence.set(clock::now() + Duration::from_secs(8));
        }
        let setting = used() - begun;
        let begun = used();
        for _ in 0..TIMES {
            std::hint::black_box(clock::now() + Duration::from_secs(8));
        }
        let took = setting.saturating_sub(used() - begun) / TIMES;
        println!("a renewal takes {took:?}");
        assert!(until() > first, "{} {first}", until());
    }
}
