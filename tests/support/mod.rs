//! What several test programs need: real servers and programs, started and stopped by the test that uses
//! them, and random inputs that can be replayed.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses its own part of it"
)]

pub mod environment;
pub mod faketime;
pub mod file;
pub mod gone;
pub mod marked;
pub mod port;
pub mod program;
pub mod redis;
pub mod seed;
