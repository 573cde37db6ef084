//! The command `incumbent`.

#[expect(dead_code, reason = "`run` is not there yet")]
mod supervise;

fn main() {}
