//! What several test programs need: real servers, started and stopped by the test that uses them.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses its own part of it"
)]

pub mod redis;
