//! Gaps in the event stream: whatever span of events is lost, the org ends up right and one receipt says so.

mod support;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use orgpipe_simulator::{OrgOptions, Row};
use orgpipe_store::{Append, Durability, Options, Store};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

const CHANNEL: &str = "/event/Sync_Request__e";

/// Accounts of the org and what is right for each of them.
struct Truth {
    ids: Vec<String>,
    employees: Vec<u32>,
}

impl Truth {
    fn new() -> Self {
        Self { ids: Vec::new(), employees: Vec::new() }
    }

    fn create(&mut self, rig: &Rig, count: usize) {
        for _ in 0..count {
            let n = self.ids.len();
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 1)));
            self.ids.push(rig.org("acme").create("Account", account(n)).expect("an account"));
            self.employees.push(1);
        }
    }

    /// What is known of an account changes, and the account is touched, which publishes an event.
    fn change(&mut self, rig: &Rig, n: usize) {
        self.employees[n] += 1;
        let known = answer(&format!("K{n}"), self.employees[n]);
        rig.simulator.vendor().set_answer(&domain(n), Some(known));
        let name = format!("Company {n}, {}", self.employees[n]);
        let row = Row::from_iter([("Name".to_owned(), json!(name))]);
        rig.org("acme").update("Account", &self.ids[n], row).expect("changed");
    }

    /// Waits until the org holds it.
    async fn holds(&self, rig: &Rig) {
        let held = || {
            let rows = rig.org("acme").rows("Enrichment__c");
            let held = |n: usize| {
                let key = json!(format!("K{n}"));
                let row = rows.iter().find(|row| row.get("External_Id__c") == Some(&key))?;
                row.get("Employee_Count__c").and_then(Value::as_f64)
            };
            (0..self.ids.len()).all(|n| held(n) == Some(f64::from(self.employees[n])))
        };
        eventually("the truth", async || held().then_some(())).await;
    }
}

async fn receipts(rig: &Rig) -> Vec<Value> {
    let url = format!("{}/api/v1/orgs/acme/receipts", rig.admin);
    let answer: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    answer["receipts"].as_array().expect("a list").clone()
}

/// Waits for so many receipts, and checks that no gap is open and that each adds up.
async fn signed_off(rig: &Rig, count: usize) -> Value {
    eventually("the receipt", async || (receipts(rig).await.len() >= count).then_some(())).await;
    let all = receipts(rig).await;
    assert_eq!(all.len(), count, "one per gap: {all:#?}");
    assert_eq!(rig.view("acme").await["open_gaps"], 0);
    let Some(newest) = all.first().cloned() else { return Value::Null };
    let number = |key: &str| newest[key].as_u64().expect("a number");
    let ends = ["unchanged", "no_data", "changed", "failed"];
    assert_eq!(number("checked"), ends.into_iter().map(number).sum::<u64>(), "{newest}");
    newest
}

async fn rig(edit: impl FnOnce(String) -> String) -> Rig {
    let mut rig = Rig::with(vec![OrgOptions { flow: true, ..OrgOptions::named("acme") }], edit).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// An address that takes what is posted, and refuses the first post.
fn collector() -> (String, Arc<Mutex<Vec<Value>>>) {
    let posts: Arc<Mutex<Vec<Value>>> = Arc::default();
    let shared = Arc::clone(&posts);
    let server = HttpServer::new(move || {
        let posts = Arc::clone(&shared);
        App::new().default_service(web::to(move |body: web::Json<Value>| {
                let mut posts = posts.lock().expect("no panic");
                posts.push(body.into_inner());
                let refused = posts.len() == 1;
                async move {
                    if refused { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() }.finish()
                }
            }))
    })
    .workers(1)
    .bind(("127.0.0.1", 0))
    .expect("a port");
    let url = format!("http://{}/receipts", server.addrs()[0]);
    actix_rt::spawn(server.run());
    (url, posts)
}

#[actix_rt::test]
async fn whatever_span_of_events_is_lost_the_org_ends_up_right_with_one_receipt_per_gap() {
    let (url, posts) = collector();
    let mut rig = rig(|text| format!("{text}\n[webhook]\nurl = \"{url}\"\n")).await;
    let mut truth = Truth::new();
    truth.create(&rig, 12);
    truth.holds(&rig).await;
    let mut dice = StdRng::seed_from_u64(6);
    let mut gaps = 0;
    for round in 0..3 {
        rig.kill().await;
        let missed = dice.random_range(3..20);
        for _ in 0..missed {
            truth.change(&rig, dice.random_range(0..truth.ids.len()));
        }
        truth.create(&rig, 1);
        // Of the events since the last one that was heard, so many are still there; one more, and nothing is lost.
        let kept = if round == 0 { missed + 2 } else { dice.random_range(0..=missed) };
        rig.org("acme").expire_events(kept);
        gaps += usize::from(kept < missed + 2);
        rig.start().await;
        truth.change(&rig, 0);
        truth.holds(&rig).await;
        let receipt = signed_off(&rig, gaps).await;
        if gaps > 0 {
            assert_eq!(receipt["reason"], "replay_refused");
            assert!(receipt["checked"].as_u64() >= Some(truth.ids.len() as u64), "{receipt}");
        }
        // A kill right after a post would have it posted again.
        eventually("the posts", async || {
            receipts(&rig).await.iter().all(|receipt| receipt["posted"] == true).then_some(())
        })
        .await;
    }
    let posts = posts.lock().expect("no panic").clone();
    let posted = |receipt: &Value| posts.iter().filter(|post| post["receipt"]["id"] == receipt["id"]).count();
    let all = receipts(&rig).await;
    let times: Vec<usize> = all.iter().rev().map(posted).collect();
    assert_eq!(times, [2, 1], "the refused one is posted again, each once else: {posts:#?}");
    assert!(posts.iter().all(|post| post["type"] == "gap_closed" && post["org"] == "acme"));
    rig.ledger("acme", json!({ "open": 0 })).await;
}

#[actix_rt::test]
async fn a_kill_in_mid_heal_at_any_step_still_ends_in_the_truth_and_one_receipt() {
    const COUNT: usize = 250;
    let mut rig = rig(|text| text).await;
    let org = rig.org("acme").clone();
    let mut truth = Truth::new();
    truth.create(&rig, COUNT);
    truth.holds(&rig).await;
    rig.kill().await;
    for n in 0..COUNT {
        truth.change(&rig, n);
    }
    org.expire_events(0);

    // Read, but nothing looked up.
    rig.simulator.vendor().set_down(true);
    rig.start().await;
    let open = async |rig: &Rig, least: u64| {
        eventually("open records", async || {
            let view = rig.view("acme").await;
            (view["open_gaps"] == 1 && view["records"]["open"].as_u64() >= Some(least)).then_some(view)
        })
        .await
    };
    open(&rig, COUNT as u64).await;
    rig.kill().await;

    // Looked up and compared, but nothing written.
    org.hold_jobs(true);
    rig.simulator.vendor().set_down(false);
    rig.start().await;
    let uploads = async || {
        let calls = org.calls();
        calls.iter().any(|call| call.method == "PUT" && call.path.contains("/jobs/ingest/")).then_some(())
    };
    eventually("the upload of a job", uploads).await;
    open(&rig, 1).await;
    rig.kill().await;
    rig.start().await;
    org.hold_jobs(false);
    truth.holds(&rig).await;
    let receipt = signed_off(&rig, 1).await;
    assert_eq!((&receipt["failed"], &receipt["changed"]), (&json!(0), &json!(COUNT)), "{receipt}");
    rig.ledger("acme", json!({ "open": 0, "dead_letters": 0 })).await;
}

#[actix_rt::test]
async fn after_the_org_was_moved_every_record_is_checked_and_one_receipt_says_so() {
    let mut rig = rig(|text| text).await;
    let mut truth = Truth::new();
    truth.create(&rig, 5);
    truth.holds(&rig).await;
    truth.change(&rig, 1);
    rig.org("acme").migrate();
    truth.change(&rig, 2);
    truth.holds(&rig).await;
    let receipt = signed_off(&rig, 1).await;
    assert_eq!((&receipt["reason"], &receipt["from_ms"]), (&json!("org_changed"), &Value::Null));
    assert!(receipt["checked"].as_u64() >= Some(5), "{receipt}");
    rig.subscribed("acme").await;
    truth.change(&rig, 3);
    truth.holds(&rig).await;
    rig.kill().await;
    rig.start().await;
    rig.subscribed("acme").await;
    truth.change(&rig, 4);
    truth.holds(&rig).await;
    signed_off(&rig, 1).await;
}

#[actix_rt::test]
async fn a_data_directory_from_yesterday_and_a_long_dark_heal_too() {
    let mut rig = rig(|text| text).await;
    let mut truth = Truth::new();
    truth.create(&rig, 4);
    truth.holds(&rig).await;
    assert!(rig.terminate().await.success());
    let (data, backup) = (rig.folder.path().join("data"), rig.folder.path().join("backup"));
    copy(&data, &backup);

    rig.start().await;
    truth.change(&rig, 0);
    truth.create(&rig, 1);
    truth.holds(&rig).await;
    assert!(rig.terminate().await.success());
    truth.change(&rig, 1);
    rig.org("acme").expire_events(0);
    std::fs::remove_dir_all(&data).expect("removed");
    copy(&backup, &data);
    rig.start().await;
    truth.holds(&rig).await;
    let receipt = signed_off(&rig, 1).await;
    assert_eq!(receipt["reason"], "replay_refused");

    assert!(rig.terminate().await.success());
    let four_days = 4 * 24 * 60 * 60 * 1000;
    let heard = receipt["to_ms"].as_u64().expect("a time") - four_days;
    let options = Options {
        durability: Durability::Process,
        cache_bytes: 8 << 20,
        depth_max: 1_000,
        ledger_days: 30,
        free_bytes_min: 0,
    };
    let store = Store::open(&data, options).expect("the store opens");
    let positions = vec![(format!("heard {CHANNEL}"), heard.to_string().into_bytes())];
    store.append("acme", Append { positions, ..Append::default() }).await.expect("stored");
    store.close().await.expect("closed");
    rig.start().await;
    let receipt = signed_off(&rig, 2).await;
    assert_eq!((&receipt["reason"], &receipt["from_ms"]), (&json!("dark"), &json!(heard)));
    truth.change(&rig, 2);
    truth.holds(&rig).await;
    signed_off(&rig, 2).await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

#[actix_rt::test]
async fn what_waited_for_the_org_before_is_never_written_to_the_one_it_has_become() {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![org], |text| text).await;
    let acme = rig.org("acme").clone();
    let ids: Vec<String> = (0..14)
        .map(|n| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 1)));
            acme.create("Account", account(n)).expect("an account")
        })
        .collect();
    rig.start().await;
    rig.subscribed("acme").await;
    // On egress: a Bulk job under way, and a change that is locked out. On ingress: a refresh's rows.
    acme.hold_jobs(true);
    acme.publish("Sync_Request__e", request(&ids[..12]));
    let closed = || {
        acme.calls().into_iter().find(|call| call.method == "PATCH" && call.path.contains("/jobs/ingest/"))
    };
    let closed = eventually("the closed job", async || closed()).await;
    let job = closed.path.rsplit('/').next().expect("an ID").to_owned();
    acme.lock_next_rows(1_000);
    acme.publish("Sync_Request__e", request(&ids[12..13]));
    rig.ledger("acme", json!({ "records_in": 13, "open": 13 })).await;
    eventually("the lock", async || {
        acme.calls().iter().any(|call| call.path.contains("External_Id__c")).then_some(())
    })
    .await;
    rig.simulator.vendor().set_down(true);
    rig.order("acme", "refresh").await;
    rig.ledger("acme", json!({ "records_in": 27, "open": 27 })).await;

    // Another org under the same login: other records, and the vendor knows other things.
    for (n, id) in ids.iter().enumerate() {
        acme.delete("Account", id).expect("deleted");
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 2)));
    }
    let here: Vec<String> = (0..5).map(|n| acme.create("Account", account(n)).expect("an account")).collect();
    acme.lock_next_rows(0);
    acme.migrate();
    acme.clear_calls();
    acme.clear_writes();
    rig.simulator.vendor().set_down(false);
    let receipt = signed_off(&rig, 1).await;
    assert_eq!((&receipt["reason"], &receipt["checked"]), (&json!("org_changed"), &json!(5)), "{receipt}");
    rig.ledger(
        "acme",
        json!({ "written": 5, "superseded": 13, "no_data": 14, "dead_letters": 0, "open": 0 }),
    )
    .await;
    let rows = acme.rows("Enrichment__c");
    let held: Vec<_> =
        rows.iter().map(|row| (row["Account__c"].as_str(), row["Employee_Count__c"].as_f64())).collect();
    let expected: Vec<_> = here.iter().map(|id| (Some(id.as_str()), Some(2.0))).collect();
    assert_eq!(held, expected);
    assert_eq!(acme.writes().len(), 5, "{:?}", acme.writes());
    assert!(acme.calls().iter().all(|call| !call.path.contains(&job)), "the job is of the other org");

    // Nothing of it comes back, and the events go on.
    assert!(rig.terminate().await.success());
    rig.start().await;
    rig.subscribed("acme").await;
    rig.simulator.vendor().set_answer(&domain(4), Some(answer("K4", 3)));
    acme.publish("Sync_Request__e", request(&here[4..]));
    rig.ledger("acme", json!({ "written": 6, "open": 0 })).await;
    signed_off(&rig, 1).await;
}
