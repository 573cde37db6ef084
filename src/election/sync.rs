//! What the threads of a process share data by. `tests/threads` puts the same of another kind in its place, which tries
//! every order of their steps.

pub(super) use std::sync::{Arc, Mutex, MutexGuard, atomic};
pub(super) use std::thread;
