//! `cargo +nightly fuzz run redis fuzz/corpus/redis tests/seeds/redis`
#![no_main]

#[path = "../../tests/support/untrusted.rs"]
#[allow(dead_code, reason = "each target runs one of its functions")]
mod untrusted;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    untrusted::redis(bytes);
});
