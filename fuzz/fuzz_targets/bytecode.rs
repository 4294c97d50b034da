//! `cargo fuzz run bytecode --features libfuzzer`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| strait_fuzz::bytecode(bytes));
