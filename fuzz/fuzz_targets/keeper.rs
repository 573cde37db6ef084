//! `cargo +nightly fuzz run keeper fuzz/corpus/keeper tests/seeds/keeper`
#![no_main]

#[path = "../../tests/support/untrusted.rs"]
#[allow(dead_code, reason = "each target runs one of its functions")]
mod untrusted;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    untrusted::keeper(bytes);
});
