//! A burst of live changes on one org: how long it takes, and how often the store is read for it.
//!
//! `cargo bench --bench burst` publishes 10,000 events of one record each; `-- 2000` fewer. The real program runs against
//! the simulator, and what it counts itself is read from its metrics.
#![expect(clippy::print_stdout, reason = "a benchmark talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use orgpipe_simulator::OrgOptions;
use serde_json::json;
use support::{Rig, account, answer, domain, request};

/// Events, unless the command says otherwise.
const EVENTS: usize = 10_000;

/// The sum of all series of a counter.
async fn counter(rig: &Rig, name: &str) -> f64 {
    let text = rig.http.get(format!("{}/metrics", rig.admin)).send().await.expect("metrics");
    let text = text.text().await.expect("a text");
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[actix_rt::main]
async fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let events: usize = asked.unwrap_or(EVENTS);
    let acme = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![acme], |text| text).await;
    let ids: Vec<String> = (0..events)
        .map(|n| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
            rig.org("acme").create("Account", account(n)).expect("an account")
        })
        .collect();
    rig.start().await;
    rig.subscribed("acme").await;
    let (calls, entries) = (
        counter(&rig, "orgpipe_store_reads_total").await,
        counter(&rig, "orgpipe_store_entries_read_total").await,
    );
    let began = Instant::now();
    for id in &ids {
        rig.org("acme").publish("Sync_Request__e", request(std::slice::from_ref(id)));
    }
    rig.ledger("acme", json!({ "records_in": events, "written": events, "open": 0 })).await;
    let secs = began.elapsed().as_secs_f64();
    let calls = counter(&rig, "orgpipe_store_reads_total").await - calls;
    let entries = counter(&rig, "orgpipe_store_entries_read_total").await - entries;
    let thousands = f64::from(u32::try_from(events).expect("not so many")) / 1_000.0;
    println!("{events} events in {secs:.1} s");
    println!(
        "store: {:.1} calls and {:.1} entries read per 1,000 events",
        calls / thousands,
        entries / thousands
    );
}
