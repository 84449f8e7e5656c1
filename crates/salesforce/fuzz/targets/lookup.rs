//! Any bytes as the answer of the vendor's look-up API; what is compared: `checks/lookup.rs`.
//!
//! `cargo +nightly fuzz run --fuzz-dir crates/salesforce/fuzz lookup -- -max_total_time=300`

#![no_main]

#[path = "../checks/lookup.rs"]
mod lookup;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| { _ = lookup::check(data); });
