//! A refresh of a million accounts of which one in a hundred has changed: how much memory the service takes at most, and
//! how many times as long it takes as a bare client that only pages the query and calls the look-up.
//!
//! `cargo bench --bench refresh` (`-- 20000` for fewer accounts, `-- 20000 0` for a look-up that answers at once). The
//! simulated org and the bare client are in this process, the service in one of its own. Both read pages while up to
//! eight look-ups are under way, each of which takes 80 ms. The simulator's own time is part of both.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use orgpipe_simulator::{OrgHandle, OrgOptions};
use reqwest::Client;
use serde_json::{Value, json};
use support::{Rig, account, answer, domain};
use tokio::sync::mpsc;

/// One account in so many has changed.
const CHANGED: usize = 100;
/// Records of a page.
const PAGE: usize = 2_000;
/// Records of a look-up.
const BATCH: usize = 100;
/// Look-ups that are read ahead.
const AHEAD: usize = 40;
/// Look-ups under way together.
const WIDTH: usize = 8;
/// How long each takes.
const LOOKUP_MILLIS: u64 = 80;
/// What is promised, in MB.
const PEAK_MAX_MB: u64 = 150;

/// Accounts whose enrichments are there; of one in [`CHANGED`] the vendor knows something newer.
fn fill(rig: &Rig, accounts: usize) {
    let org = rig.org("acme");
    for n in 0..accounts {
        let key = format!("K{n}");
        let employees = if n % CHANGED == 0 { 20 } else { 10 };
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&key, employees)));
        let id = org.create("Account", account(n)).expect("an account");
        let held = json!({ "External_Id__c": key, "Account__c": id, "Employee_Count__c": 10,
            "Industry__c": "Software" });
        org.create("Enrichment__c", held.as_object().cloned().expect("an object")).expect("its enrichment");
    }
}

async fn json(request: reqwest::RequestBuilder) -> Value {
    let reply = request.send().await.expect("an answer").error_for_status().expect("a good one");
    reply.json().await.expect("JSON")
}

/// Reads all pages and hands them on in batches.
async fn read(org: &OrgHandle, batches: mpsc::Sender<Vec<Value>>) {
    let http = Client::new();
    let login = [
        ("grant_type", "client_credentials"),
        ("client_id", org.client_id()),
        ("client_secret", org.client_secret()),
    ];
    let token = json(http.post(format!("{}/services/oauth2/token", org.base_url())).form(&login)).await;
    let token = token["access_token"].as_str().expect("a token");
    let url = format!("{}/services/data/v66.0/query", org.base_url());
    let mut behind = String::new();
    loop {
        let soql =
            format!("SELECT Id, Website FROM Account WHERE Website != null{behind} ORDER BY Id LIMIT {PAGE}");
        let page = json(http.get(&url).query(&[("q", soql)]).bearer_auth(token)).await;
        let records = page["records"].as_array().expect("records");
        assert_eq!(page["done"], true, "a page is read at once");
        for batch in records.chunks(BATCH) {
            batches.send(batch.to_vec()).await.expect("taken");
        }
        match records.last() {
            Some(last) if records.len() == PAGE => {
                behind = format!(" AND Id > '{}'", last["Id"].as_str().expect("an ID"));
            }
            Some(_) | None => return,
        }
    }
}

/// Asks about the batches; how many records were answered.
async fn look_up(url: &str, batches: mpsc::Receiver<Vec<Value>>) -> usize {
    let http = Client::new();
    let batches = stream::unfold(batches, async |mut batches| Some((batches.recv().await?, batches)));
    let answers = batches.map(async |batch| {
        let asked = |record: &Value| json!({ "id": record["Id"], "keys": { "domain": record["Website"] } });
        let records: Vec<Value> = batch.iter().map(asked).collect();
        let body = json!({ "org": "acme", "sync": "accounts", "object": "Account", "records": records });
        let answer = json(http.post(url).json(&body)).await;
        answer["records"].as_array().expect("records").len()
    });
    answers.buffer_unordered(WIDTH).fold(0, async |sum, answered| sum + answered).await
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
async fn bare(rig: &Rig, accounts: usize) -> Duration {
    let start = Instant::now();
    let (send, receive) = mpsc::channel(AHEAD);
    let url = rig.simulator.vendor().url();
    let ((), answered) = tokio::join!(read(rig.org("acme"), send), look_up(&url, receive));
    assert_eq!(answered, accounts);
    start.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
async fn refresh(rig: &Rig, accounts: usize) -> Duration {
    let start = Instant::now();
    rig.order("acme", "refresh").await;
    loop {
        actix_rt::time::sleep(Duration::from_millis(100)).await;
        let records = rig.view("acme").await["records"].clone();
        if records["records_in"] == accounts && records["open"] == 0 {
            let changed = accounts.div_ceil(CHANGED);
            assert_eq!(
                (&records["written"], &records["unchanged"]),
                (&json!(changed), &json!(accounts - changed))
            );
            return start.elapsed();
        }
    }
}

#[expect(clippy::print_stdout, reason = "a bench tells")]
async fn run(accounts: usize, lookup_after: Duration) {
    let acme = OrgOptions { flow: false, daily_calls: 10_000_000, ..OrgOptions::named("acme") };
    // A quarter of the slots is for live requests.
    let slots = format!("[source]\nconcurrent_max = {}", WIDTH * 4 / 3 + 1);
    let mut rig = Rig::slow(vec![acme], lookup_after, |text| text.replace("[source]", &slots)).await;
    fill(&rig, accounts);
    let alone = bare(&rig, accounts).await;
    println!("{accounts} records by the bare client in {:.1} s", alone.as_secs_f64());
    rig.start().await;
    rig.subscribed("acme").await;
    let whole = refresh(&rig, accounts).await;
    let (ratio, peak) = (whole.as_secs_f64() / alone.as_secs_f64(), rig.peak_memory_mb());
    println!(
        "{accounts} records refreshed in {:.1} s, {ratio:.2} times that: peak resident {peak} MB",
        whole.as_secs_f64()
    );
    assert!(peak < PEAK_MAX_MB, "{peak} MB are more than the {PEAK_MAX_MB} promised");
}

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let accounts = usize::try_from(numbers.next().unwrap_or(1_000_000)).expect("a number of accounts");
    let lookup_after = Duration::from_millis(numbers.next().unwrap_or(LOOKUP_MILLIS));
    actix_rt::System::new().block_on(run(accounts, lookup_after));
}
