//! A million records written by Bulk API 2.0, and their results read: how much memory the service takes at most.
//!
//! `cargo bench --bench bulk_memory` (some minutes; `-- 50000` for fewer records). The simulated org is in this process,
//! the service in one of its own.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use orgpipe_simulator::OrgOptions;
use serde_json::Value;
use support::{Rig, account, request};

/// Records of an event: as many as one may name.
const EVENT: usize = 100;
/// What is promised, in MB.
const PEAK_MAX_MB: u64 = 200;

#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench measures and tells")]
async fn run(records: usize) {
    let acme = OrgOptions {
        flow: false,
        daily_calls: 10_000_000,
        bulk_step: Duration::from_secs(2),
        ..OrgOptions::named("acme")
    };
    let mut rig = Rig::with(vec![acme], |text| text).await;
    let ids: Vec<String> =
        (0..records).map(|n| rig.org("acme").create("Account", account(n)).expect("an account")).collect();
    rig.start().await;
    rig.subscribed("acme").await;
    let start = Instant::now();
    for ids in ids.chunks(EVENT) {
        rig.org("acme").publish("Sync_Request__e", request(ids));
    }
    loop {
        actix_rt::time::sleep(Duration::from_secs(5)).await;
        let ledger = rig.view("acme").await["records"].clone();
        let written = ledger["written"].as_u64().unwrap_or_default();
        println!("{:>5} s  {written} written, peak {} MB", start.elapsed().as_secs(), rig.peak_memory_mb());
        if written >= records as u64 {
            break;
        }
        assert_eq!(ledger["dead_letters"], Value::from(0), "{ledger}");
    }
    let (jobs, peak) = (rig.org("acme").jobs().len(), rig.peak_memory_mb());
    println!("{records} records in {jobs} jobs and {} s: peak resident {peak} MB", start.elapsed().as_secs());
    assert!(peak < PEAK_MAX_MB, "{peak} MB are more than the {PEAK_MAX_MB} promised");
}

fn main() {
    let records = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    actix_rt::System::new().block_on(run(records));
}
