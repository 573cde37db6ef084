//! What stands in for the clock, the timer and the threads of the system.

use std::sync::Mutex;

use incumbent::protocol::Timestamp;
use loom::sync::atomic::AtomicU64;

/// What a test sets. A test is alone in its thread, and so are its threads.
#[derive(Clone, Copy)]
struct World {
    now: Timestamp,
    /// What the guard has set its timer to.
    armed: Option<&'static AtomicU64>,
    /// How often the test has begun again.
    round: u64,
}

thread_local! {
    static WORLD: std::cell::Cell<World> = const {
        std::cell::Cell::new(World { now: Timestamp::ZERO, armed: None, round: 0 })
    };
}

/// Begins a run of the test.
pub(crate) fn begin() {
    let round = WORLD.get().round + 1;
    WORLD.set(World {
        now: Timestamp::ZERO,
        armed: Some(Box::leak(Box::new(AtomicU64::new(u64::MAX)))),
        round,
    });
}

pub(crate) mod clock {
    use incumbent::protocol::Timestamp;

    use super::WORLD;

    pub(crate) fn now() -> Timestamp {
        WORLD.get().now
    }

    pub(crate) fn boot() -> Timestamp {
        now()
    }

    pub(crate) fn boot_before(at: Timestamp) -> Timestamp {
        let left = at.since(now());
        now() + (left - left / 8)
    }

    pub(crate) fn set(now: Timestamp) {
        let world = WORLD.get();
        WORLD.set(super::World { now, ..world });
    }
}

/// The timer of the guard. It rings once in a run, at any moment; then the thread of the guard ends.
pub(crate) mod alarm {
    use std::io;
    use std::os::fd::OwnedFd;

    use std::sync::atomic::Ordering::{Acquire, Release};

    use incumbent::protocol::Timestamp;
    use loom::sync::atomic::AtomicU64;
    use rustix::time::TimerfdFlags;

    use super::WORLD;

    /// It is no error, and unwinds through no lock.
    pub(super) struct NoMore;

    std::thread_local! {
        static RANG: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

    pub(crate) fn create(_: TimerfdFlags) -> io::Result<OwnedFd> {
        Ok(std::fs::File::open("/dev/null")?.into())
    }

    pub(crate) fn arm_early(_: &OwnedFd, at: Timestamp) -> io::Result<()> {
        armed_in_this_run().store(at.as_nanos(), Release);
        Ok(())
    }

    pub(crate) fn wait(_: &OwnedFd) -> io::Result<()> {
        let round = WORLD.get().round;
        if RANG.replace(round) == round {
            std::panic::resume_unwind(Box::new(NoMore));
        }
        Ok(())
    }

    pub(crate) fn armed() -> Timestamp {
        Timestamp::from_nanos(armed_in_this_run().load(Acquire))
    }

    fn armed_in_this_run() -> &'static AtomicU64 {
        WORLD.get().armed.expect("the run has begun")
    }

    /// Waits until the thread of the guard has ended.
    pub(crate) fn let_it_look() {
        super::sync::thread::join();
    }
}

pub(crate) mod end {
    /// The clock of these tests reaches no deadline of a guarded lease.
    pub(crate) fn end_process(why: String, _: impl FnOnce() + Send + 'static) -> ! {
        panic!("{why}")
    }
}

pub(crate) mod error {
    use incumbent::protocol::{FencingToken, LossReason};

    #[derive(Debug)]
    #[allow(dead_code, reason = "only whether there is one matters here")]
    pub(crate) struct Lost {
        pub(crate) term: FencingToken,
        pub(crate) reason: LossReason,
    }
}

/// One value for each run of a test.
pub(crate) mod once {
    use std::io;

    use super::{Mutex, WORLD};

    pub(crate) struct Once<T: 'static> {
        made: Mutex<Vec<((std::thread::ThreadId, u64), &'static T)>>,
    }

    impl<T> Once<T> {
        pub(crate) const fn new() -> Self {
            Self {
                made: Mutex::new(Vec::new()),
            }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            let here = (std::thread::current().id(), WORLD.get().round);
            let made = self.made.lock().unwrap();
            made.iter().find(|(of, _)| *of == here).map(|(_, it)| *it)
        }

        pub(crate) fn wait(&self) -> &T {
            loop {
                if let Some(made) = self.get() {
                    return made;
                }
                loom::thread::yield_now();
            }
        }

        pub(crate) fn get_or_make(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<&T> {
            if self.get().is_none() {
                let here = (std::thread::current().id(), WORLD.get().round);
                let made: &'static T = Box::leak(Box::new(make()?));
                let mut all = self.made.lock().unwrap();
                all.retain(|((thread, _), _)| *thread != here.0);
                all.push((here, made));
            }
            Ok(self.get().expect("it was just made"))
        }
    }
}

pub(crate) mod sync {
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard, atomic};

    /// The one thread that the guard starts.
    pub(crate) mod thread {
        use std::cell::RefCell;
        use std::io;
        use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

        use loom::thread::JoinHandle;

        thread_local! {
            static STARTED: RefCell<Option<JoinHandle<()>>> = const { RefCell::new(None) };
        }

        pub(crate) struct Builder;

        impl Builder {
            pub(crate) const fn new() -> Self {
                Self
            }

            pub(crate) fn name(self, _: String) -> Self {
                self
            }

            pub(crate) fn spawn(
                self,
                work: impl FnOnce() -> std::convert::Infallible + 'static,
            ) -> io::Result<()> {
                let started = loom::thread::spawn(|| {
                    let ended = catch_unwind(AssertUnwindSafe(work));
                    if let Err(why) = ended
                        && !why.is::<super::super::alarm::NoMore>()
                    {
                        resume_unwind(why);
                    }
                });
                STARTED.replace(Some(started));
                Ok(())
            }
        }

        pub(crate) fn join() {
            if let Some(started) = STARTED.take() {
                started.join().unwrap();
            }
        }
    }
}
