//! `cargo +nightly fuzz run rows fuzz/corpus/rows tests/seeds/rows`
#![no_main]

#[path = "../../tests/support/untrusted.rs"]
#[allow(dead_code, reason = "each target runs one of its functions")]
mod untrusted;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    untrusted::rows(bytes);
});
