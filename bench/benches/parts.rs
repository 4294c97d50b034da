//! Benches of the parts.
fn main() {}
