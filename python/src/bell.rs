//! The bell: a file descriptor that becomes readable when a future wants to be polled.
//!
//! A waker that called Python would make the thread of the elections wait for the GIL. This one writes eight bytes.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};

/// Rings when a future wants to be polled.
#[derive(Debug)]
pub(crate) struct Bell {
    rung: OwnedFd,
}

impl Bell {
    /// # Errors
    ///
    /// When this process may open no further file.
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let rung = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { rung }))
    }

    pub(crate) fn fileno(&self) -> RawFd {
        self.rung.as_raw_fd()
    }

    /// Makes it silent again.
    pub(crate) fn hush(&self) {
        match read(&self.rung, &mut [0; 8]) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => unreachable!("our own event counter cannot be read: {error}"),
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match write(&self.rung, &1_u64.to_ne_bytes()) {
            // A counter that is full rings already.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => unreachable!("our own event counter cannot be written: {error}"),
        }
    }
}
