//! `cargo fuzz run rlp --features libfuzzer`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| strait_fuzz::rlp(bytes));
