//! Any bytes as the answers that carry rows: query, Collections, Bulk; what is compared: `checks/replies.rs`.
//!
//! `cargo +nightly fuzz run --fuzz-dir crates/salesforce/fuzz replies -- -max_total_time=300`

#![no_main]

#[path = "../checks/replies.rs"]
mod replies;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| { _ = replies::check(data); });
