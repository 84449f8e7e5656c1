//! Pushes: the vendor says that its data has changed, and each org that has records of it gets the right values, once,
//! whatever happens in between; what became of them is counted to the record.
#![expect(clippy::disallowed_methods, reason = "it is measured how long a push takes")]

mod support;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use orgpipe_simulator::{LoggedCall, OrgOptions, Row};
use serde_json::{Value, json};
use support::{
    Rig, account, answer,
    cli::{order, ordered},
    domain, eventually,
};

fn key(n: usize) -> String {
    format!("K{n}")
}

/// An account with the enrichment that belongs to it; gives the account's ID.
fn enriched(rig: &Rig, org: &str, n: usize, employees: u32) -> String {
    let id = rig.org(org).create("Account", account(n)).expect("an account");
    let row = json!({ "External_Id__c": key(n), "Account__c": id, "Employee_Count__c": employees, "Industry__c": "Software" });
    let row: Row = row.as_object().cloned().expect("an object");
    rig.org(org).create("Enrichment__c", row).expect("an enrichment");
    id
}

/// From now on so many employees are known of a company.
fn known(rig: &Rig, n: usize, employees: u32) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&key(n), employees)));
}

fn holds(rig: &Rig, org: &str, n: usize) -> Option<f64> {
    rig.enrichment(org, &key(n))?["Employee_Count__c"].as_f64()
}

async fn send(rig: &Rig, body: &Value, idempotency_key: Option<&str>) -> (u16, Value) {
    let request = rig.http.post(format!("{}/api/v1/changes", rig.admin)).json(body);
    let request =
        idempotency_key.iter().fold(request, |request, key| request.header("Idempotency-Key", *key));
    let reply = request.send().await.expect("an answer");
    (reply.status().as_u16(), reply.json().await.expect("JSON"))
}

/// Pushes, and gives the number.
async fn push(rig: &Rig, body: Value) -> u64 {
    let (status, said) = send(rig, &body, None).await;
    assert_eq!(status, 202, "{said}");
    said["number"].as_u64().expect("a number")
}

async fn view(rig: &Rig, number: u64) -> Value {
    let url = format!("{}/api/v1/changes/{number}", rig.admin);
    rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

/// Waits until all is through, and holds the counts against these, those that are not named against 0.
async fn through(rig: &Rig, number: u64, expected: &Value) -> Value {
    let view = eventually("the push's end", async || {
        Some(view(rig, number).await).filter(|view| view["done"] == true)
    })
    .await;
    for end in ["found", "written", "unchanged", "no_data", "superseded", "dead_letters", "open"] {
        let expected = expected.get(end).and_then(Value::as_u64).unwrap_or_default();
        assert_eq!(view[end], expected, "{end} of {view}");
        let orgs = view["orgs"].as_array().into_iter().flatten();
        assert_eq!(orgs.filter_map(|org| org[end].as_u64()).sum::<u64>(), expected, "{end} of {view}");
    }
    view
}

/// The statements by which the records of external IDs are found.
fn finding(rig: &Rig, org: &str) -> Vec<LoggedCall> {
    let finds =
        |call: &LoggedCall| call.query.contains("SELECT Id,External_Id__c,Account__c FROM Enrichment__c");
    rig.org(org).calls().into_iter().filter(finds).collect()
}

/// All calls but those of the login and the subscription.
fn calls(rig: &Rig, org: &str) -> Vec<LoggedCall> {
    let of_records = |call: &LoggedCall| !call.path.contains("cometd") && !call.path.contains("oauth");
    rig.org(org).calls().into_iter().filter(of_records).collect()
}

async fn acme(edit: impl FnOnce(String) -> String) -> Rig {
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], edit).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

#[expect(clippy::print_stdout, reason = "the time is what the test shows")]
#[actix_rt::test]
async fn a_push_of_a_thousand_into_fifty_orgs_takes_five_queries_each_and_writes_where_something_is() {
    const ORGS: usize = 50;
    const ITEMS: usize = 1_000;
    let name = |n: usize| format!("org{n}");
    let orgs = (0..ORGS).map(|n| OrgOptions { flow: false, ..OrgOptions::named(&name(n)) });
    let mut rig = Rig::with(orgs.collect(), |text| text).await;
    // By org, the companies of which it has an account.
    let held = [(3, vec![7, 8, 9]), (20, vec![999]), (41, (100..150).collect::<Vec<usize>>())];
    for (org, companies) in &held {
        for n in companies {
            enriched(&rig, &name(*org), *n, 1);
        }
        // One that nobody pushes.
        enriched(&rig, &name(*org), ITEMS + 5, 1);
    }
    for n in 0..ITEMS + 10 {
        known(&rig, n, 77);
    }
    rig.start().await;
    for n in 0..ORGS {
        rig.subscribed(&name(n)).await;
        rig.org(&name(n)).clear_calls();
    }
    let keys: Vec<String> = (0..ITEMS).map(key).collect();
    let began = Instant::now();
    let number = push(&rig, json!({ "sync": "accounts", "external_ids": keys })).await;
    let total = held.iter().map(|(_, companies)| companies.len()).sum::<usize>();
    let all_written = async || {
        let right = |(org, companies): &(usize, Vec<usize>)| {
            companies.iter().all(|n| holds(&rig, &name(*org), *n) == Some(77.0))
        };
        held.iter().all(right).then_some(())
    };
    eventually("all right values", all_written).await;
    let took = began.elapsed();
    through(&rig, number, &json!({ "found": total, "written": total })).await;
    println!("right values after {took:?}, all orgs through after {:?}", began.elapsed());
    assert!(took < Duration::from_secs(20), "{took:?}");
    for n in 0..ORGS {
        let (found, all) = (finding(&rig, &name(n)).len(), calls(&rig, &name(n)));
        assert!(found <= 5, "{n}: {all:?}");
        if held.iter().all(|(org, _)| *org != n) {
            assert_eq!(found, all.len(), "org {n} has none of them, and was asked for more: {all:?}");
        }
    }
    for (org, _) in &held {
        assert_eq!(holds(&rig, &name(*org), ITEMS + 5), Some(1.0), "nobody pushed it");
    }
}

#[actix_rt::test]
async fn killed_anywhere_between_the_push_and_its_writes_nothing_is_lost_and_the_counts_are_right() {
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], |text| text).await;
    for n in 0..30 {
        enriched(&rig, "acme", n, 1);
    }
    // One whose data cannot be written, and one about which nothing is known.
    rig.simulator.vendor().set_answer(&domain(28), Some(json!({ "employees": 3 })));
    rig.simulator.vendor().set_answer(&domain(29), None);
    let points = [
        "before-accept",
        "after-accept",
        "before-push",
        "after-push",
        "before-b",
        "after-b",
        "before-c",
        "after-c",
    ];
    for (round, point) in (2..).zip(points) {
        for n in 0..28 {
            known(&rig, n, round);
        }
        rig.start_failing(&format!("{point}/acme=abort")).await;
        let keys: Vec<String> = (0..40).map(key).collect();
        let body = json!({ "sync": "accounts", "external_ids": keys, "orgs": ["acme"] });
        let request = rig.http.post(format!("{}/api/v1/changes", rig.admin)).json(&body);
        // Killed before the answer there is none.
        let answered = request.header("Idempotency-Key", point).send().await.is_ok();
        assert_eq!(answered, !point.ends_with("accept"), "{point}");
        assert!(!rig.ended().await.success(), "{point}");
        rig.start().await;
        let (status, said) = send(&rig, &body, Some(point)).await;
        assert_eq!((status, said["repeated"] == true), (202, point != "before-accept"), "{point}: {said}");
        let number = said["number"].as_u64().expect("a number");
        through(&rig, number, &json!({ "found": 30, "written": 28, "no_data": 1, "dead_letters": 1 })).await;
        for n in 0..28 {
            assert_eq!(holds(&rig, "acme", n), Some(f64::from(round)), "{n} after {point}");
        }
        rig.ledger("acme", json!({ "records_in": 30 * (round - 1), "open": 0 })).await;
        rig.kill().await;
    }
    assert_eq!(rig.org("acme").rows("Enrichment__c").len(), 30, "no record was made twice");
}

#[actix_rt::test]
async fn the_same_key_is_one_push_at_once_again_and_over_a_restart() {
    let mut rig = acme(|text| text).await;
    enriched(&rig, "acme", 1, 1);
    known(&rig, 1, 5);
    let body = json!({ "sync": "accounts", "external_ids": [key(1)] });
    let same = join_all((0..8).map(|_| send(&rig, &body, Some("once")))).await;
    let first = same[0].1["number"].as_u64().expect("a number");
    assert!(same.iter().all(|(status, said)| *status == 202 && said["number"] == first), "{same:?}");
    assert_eq!(same.iter().filter(|(_, said)| said["repeated"] == false).count(), 1, "{same:?}");
    through(&rig, first, &json!({ "found": 1, "written": 1 })).await;
    rig.kill().await;
    rig.start().await;
    let (status, said) = send(&rig, &body, Some("once")).await;
    assert_eq!((status, &said["number"], &said["repeated"]), (202, &json!(first), &json!(true)));
    let other = json!({ "sync": "accounts", "external_ids": [key(2)] });
    let (status, said) = send(&rig, &other, Some("once")).await;
    assert_eq!(status, 409, "{said}");
    assert!(said["error"].as_str().is_some_and(|error| error.contains(&first.to_string())), "{said}");
    rig.ledger("acme", json!({ "records_in": 1, "open": 0 })).await;
    let list: Value = rig
        .http
        .get(format!("{}/api/v1/changes", rig.admin))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(list["changes"].as_array().map(Vec::len), Some(1), "{list}");
}

#[actix_rt::test]
async fn what_waits_for_a_paused_org_is_merged_and_done_after_the_resume() {
    let orgs = ["acme", "globex"].map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let mut rig = Rig::with(orgs.to_vec(), |text| text).await;
    for org in ["acme", "globex"] {
        for n in 0..4 {
            enriched(&rig, org, n, 1);
        }
    }
    rig.start().await;
    for org in ["acme", "globex"] {
        rig.subscribed(org).await;
    }
    rig.order("acme", "pause").await;
    for n in 0..4 {
        known(&rig, n, 9);
    }
    rig.org("acme").clear_calls();
    let ids = |ids: &[usize]| ids.iter().map(|n| key(*n)).collect::<Vec<_>>();
    let first = push(&rig, json!({ "sync": "accounts", "external_ids": ids(&[0, 1, 2]) })).await;
    let second =
        push(&rig, json!({ "sync": "accounts", "external_ids": ids(&[1, 2, 3]), "org": "acme" })).await;
    let seen = eventually("the other org's end", async || {
        Some(view(&rig, first).await).filter(|view| view["written"] == 3)
    })
    .await;
    assert_eq!((&seen["searching"], &seen["done"]), (&json!(1), &json!(false)), "{seen}");
    assert_eq!(calls(&rig, "acme").len(), 0, "it is paused");
    rig.kill().await;
    rig.start().await;
    rig.order("acme", "resume").await;
    through(&rig, first, &json!({ "found": 6, "written": 6 })).await;
    through(&rig, second, &json!({ "found": 3, "written": 3 })).await;
    assert_eq!(finding(&rig, "acme").len(), 1, "both pushes with one query");
    assert_eq!(rig.org("acme").writes().len(), 4, "each record once");
    rig.ledger("acme", json!({ "records_in": 6, "written": 6, "open": 0 })).await;
}

#[actix_rt::test]
async fn keys_and_record_ids_find_their_records_and_every_end_is_counted() {
    let rig = acme(|text| text).await;
    let ids: Vec<String> = (0..6).map(|n| enriched(&rig, "acme", n, 1)).collect();
    for n in 0..6 {
        known(&rig, n, if n == 1 { 1 } else { 6 });
    }
    rig.simulator.vendor().set_answer(&domain(2), None);
    rig.simulator.vendor().set_answer(&domain(3), Some(json!({ "employees": 3 })));
    // An account without an enrichment is found by its key as well.
    rig.org("acme").create("Account", account(9)).expect("an account");
    known(&rig, 9, 6);
    let keys: Vec<Value> = [0, 1, 2, 3, 9, 500]
        .map(|n| json!({ "domain": domain(n) }))
        .into_iter()
        .chain([json!({ "domain": domain(0).to_uppercase() })])
        .collect();
    let number = push(&rig, json!({ "sync": "accounts", "keys": keys })).await;
    let expected = json!({ "found": 5, "written": 2, "unchanged": 1, "no_data": 1, "dead_letters": 1 });
    through(&rig, number, &expected).await;
    assert_eq!((holds(&rig, "acme", 0), holds(&rig, "acme", 9)), (Some(6.0), Some(6.0)));

    let gone = rig.org("acme").create("Account", account(10)).expect("an account");
    rig.org("acme").delete("Account", &gone).expect("deleted");
    let number = push(
        &rig,
        json!({ "sync": "accounts", "org": "acme", "record_ids": [ids[4], ids[5][..15], gone, ids[4]] }),
    )
    .await;
    through(&rig, number, &json!({ "found": 3, "written": 2, "no_data": 1 })).await;
    let told = ordered(&rig, &["explain", "acme", &ids[4]]).await;
    assert!(told.contains(&format!("by push {number}, sync `accounts`")), "{told}");

    // Two external IDs that differ in case are one on a field that does not tell case apart.
    known(&rig, 5, 8);
    let number = push(&rig, json!({ "sync": "accounts", "external_ids": ["k5", "K5"] })).await;
    through(&rig, number, &json!({ "found": 1, "written": 1 })).await;
    rig.ledger("acme", json!({ "records_in": 9, "open": 0 })).await;
}

#[actix_rt::test]
async fn one_item_that_the_org_refuses_is_a_dead_letter_and_the_others_go_on() {
    let rig = acme(|text| text).await;
    for n in 0..3 {
        enriched(&rig, "acme", n, 1);
        known(&rig, n, 2);
    }
    // A number is compared with a field of text.
    let keys = [json!(domain(0)), json!(7), json!(domain(1)), json!(domain(2))]
        .map(|domain| json!({ "domain": domain }));
    let number = push(&rig, json!({ "sync": "accounts", "keys": keys })).await;
    through(&rig, number, &json!({ "found": 4, "written": 3, "dead_letters": 1 })).await;
    let letters = ordered(&rig, &["dead-letters", "list", "acme"]).await;
    assert!(letters.contains("key domain=7") && letters.contains("nothing can be found by it"), "{letters}");
}

#[actix_rt::test]
async fn a_key_that_more_records_have_than_a_page_holds_finds_all_of_them_also_over_a_kill() {
    const COUNT: usize = 2_300;
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], |text| text).await;
    rig.simulator.vendor().set_answer(&domain(0), None);
    for _ in 0..COUNT {
        rig.org("acme").create("Account", account(0)).expect("an account");
    }
    rig.start_failing("after-push/acme=abort").await;
    let number =
        push(&rig, json!({ "sync": "accounts", "keys": [{ "domain": domain(0) }, { "domain": domain(1) }] }))
            .await;
    assert!(!rig.ended().await.success());
    rig.start().await;
    through(&rig, number, &json!({ "found": COUNT, "no_data": COUNT })).await;
    rig.ledger("acme", json!({ "records_in": COUNT, "no_data": COUNT })).await;
}

#[actix_rt::test]
async fn data_in_the_push_saves_the_look_up_and_null_is_looked_up() {
    let rig = acme(|text| text).await;
    let ids: Vec<String> = (0..3).map(|n| enriched(&rig, "acme", n, 1)).collect();
    for n in 0..3 {
        known(&rig, n, 2);
    }
    let data = json!([answer(&key(0), 50), answer(&key(1), 51)]);
    let number =
        push(&rig, json!({ "sync": "accounts", "external_ids": [key(0), key(1)], "data": data })).await;
    through(&rig, number, &json!({ "found": 2, "written": 2 })).await;
    assert_eq!(rig.simulator.vendor().requests().len(), 0, "your API was not asked");
    assert_eq!((holds(&rig, "acme", 0), holds(&rig, "acme", 1)), (Some(50.0), Some(51.0)));
    let told = ordered(&rig, &["explain", "acme", &ids[0]]).await;
    assert!(told.contains(&format!("Push {number} brought data")), "{told}");

    let body =
        json!({ "sync": "accounts", "external_ids": [key(0), key(2)], "data": [null, answer(&key(2), 52)] });
    let number = push(&rig, body).await;
    through(&rig, number, &json!({ "found": 2, "written": 2 })).await;
    assert_eq!((holds(&rig, "acme", 0), holds(&rig, "acme", 2)), (Some(2.0), Some(52.0)));
    let asked: Vec<String> =
        rig.simulator.vendor().requests().into_iter().flat_map(|asked| asked.ids).collect();
    assert_eq!(asked, [ids[0].clone()]);

    // A record with two of the target ends once.
    let two = json!([[answer(&key(0), 60), answer(&key(70), 61)]]);
    let number = push(&rig, json!({ "sync": "accounts", "external_ids": [key(0)], "data": two })).await;
    through(&rig, number, &json!({ "found": 1, "written": 1 })).await;
    assert_eq!((holds(&rig, "acme", 0), holds(&rig, "acme", 70)), (Some(60.0), Some(61.0)));
}

#[actix_rt::test]
async fn what_cannot_be_pushed_is_refused_with_a_sentence_and_nothing_is_stored() {
    let rig =
        acme(|text| support::with_leads(&text).replace(r#"Lead__c = "$Id""#, r#"Phone__c = "/phone""#)).await;
    let too_many: Vec<String> = (0..10_001).map(key).collect();
    let cases = [
        (json!({ "sync": "accounts" }), 400, "none of `external_ids`"),
        (json!({ "sync": "accounts", "external_ids": ["a"], "record_ids": ["001"] }), 400, "more than one"),
        (json!({ "sync": "accounts", "external_ids": [] }), 400, "0 items"),
        (json!({ "sync": "accounts", "external_ids": too_many }), 400, "10001 items"),
        (json!({ "sync": "accounts", "external_ids": [" "] }), 400, "item 0 of the push is empty"),
        (json!({ "sync": "accounts", "external_ids": ["a"], "extra": 1 }), 400, "unknown field `extra`"),
        (
            json!({ "sync": "accounts", "external_ids": ["a"], "org": "acme", "orgs": ["acme"] }),
            400,
            "`org` and `orgs`",
        ),
        (json!({ "sync": "accounts", "external_ids": ["a"], "orgs": [] }), 400, "`orgs` is empty"),
        (json!({ "sync": "accounts", "external_ids": ["a"], "data": [] }), 202, ""),
        (
            json!({ "sync": "accounts", "external_ids": ["a"], "data": [null, null] }),
            400,
            "2 entries for 1 items",
        ),
        (json!({ "sync": "accounts", "external_ids": ["a"], "data": [7] }), 400, "`/data/0` cannot be read"),
        (json!({ "sync": "nothing", "external_ids": ["a"] }), 422, "no org has a sync `nothing`"),
        (
            json!({ "sync": "nothing", "external_ids": ["a"], "org": "acme" }),
            422,
            "org `acme` has no sync `nothing`",
        ),
        (json!({ "sync": "accounts", "external_ids": ["a"], "org": "nobody" }), 422, "no org `nobody`"),
        (json!({ "sync": "leads", "external_ids": ["a"] }), 422, "leads to no record"),
        (json!({ "sync": "leads", "keys": [{ "domain": "a" }] }), 202, ""),
        (
            json!({ "sync": "accounts", "keys": [{ "domain": "a" }, { "name": "a" }] }),
            422,
            "has a key `name`",
        ),
        (json!({ "sync": "accounts", "keys": [{ "domain": null }] }), 400, "neither text"),
        (json!({ "sync": "accounts", "record_ids": ["001000000000001"] }), 400, "for all orgs"),
        (json!({ "sync": "accounts", "record_ids": ["acme"], "org": "acme" }), 400, "`acme`, which"),
    ];
    let mut taken = 0;
    for (body, status, part) in &cases {
        let (found, said) = send(&rig, body, None).await;
        let shown = body.to_string().chars().take(200).collect::<String>();
        assert_eq!(found, *status, "{shown}: {said}");
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        taken += usize::from(found == 202);
        assert!(
            found == 202 || (text("error").contains(part) && !text("hint").is_empty()),
            "{shown}: {said}"
        );
    }
    for (key, status) in [("", 400), ("a b", 400), (&"x".repeat(256), 400)] {
        let (found, said) = send(&rig, &cases[8].0, Some(key)).await;
        assert_eq!(found, status, "{key}: {said}");
    }
    let raw = |kind: &'static str, body: String| {
        rig.http.post(format!("{}/api/v1/changes", rig.admin)).header("content-type", kind).body(body).send()
    };
    for (kind, body, status) in [
        ("text/plain", cases[8].0.to_string(), 415),
        ("application/json", "[]".to_owned(), 400),
        ("application/json", "{".to_owned(), 400),
        ("application/json", format!("{{\"sync\":\"{}\"}}", "x".repeat(5 << 20)), 413),
    ] {
        let reply = raw(kind, body).await.expect("an answer");
        assert_eq!(reply.status().as_u16(), status, "{kind}");
    }
    assert_eq!(view(&rig, 1 << 40).await["error"], format!("there is no push {}", 1_u64 << 40));
    let list: Value = rig
        .http
        .get(format!("{}/api/v1/changes", rig.admin))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(list["changes"].as_array().map(Vec::len), Some(taken), "{list}");
}

#[actix_rt::test]
async fn the_command_line_pushes_waits_and_shows() {
    let rig = acme(|text| text).await;
    for n in 0..3 {
        enriched(&rig, "acme", n, 1);
        known(&rig, n, 4);
    }
    let said = ordered(&rig, &["push"]).await;
    assert!(said.contains("there are no pushes"), "{said}");
    let one = ["push", "--sync", "accounts", "--external-id", "K0", "--org", "acme", "--wait"];
    let said = ordered(&rig, &one).await;
    assert!(said.contains("1 items for 1 orgs: 1 found, 1 written") && said.contains("acme"), "{said}");
    let file = rig.folder.path().join("items.csv");
    std::fs::write(&file, format!("domain\n{}\n{}\n", domain(1), domain(2))).expect("written");
    let file = file.to_str().expect("UTF-8");
    let said =
        ordered(&rig, &["push", "--sync", "accounts", "--file", file, "--idempotency-key", "f-1"]).await;
    let again =
        ordered(&rig, &["push", "--sync", "accounts", "--file", file, "--idempotency-key", "f-1"]).await;
    assert!(
        said.contains("2 items for 1 orgs are taken in;") && again.contains("taken in before"),
        "{said}{again}"
    );
    let number: u64 = said.split([' ', ':']).nth(1).and_then(|number| number.parse().ok()).expect("a number");
    through(&rig, number, &json!({ "found": 2, "written": 2 })).await;
    let said = ordered(&rig, &["push", "--show", &number.to_string()]).await;
    assert!(said.contains("2 found, 2 written, 0 unchanged"), "{said}");
    for (arguments, part) in [
        (&["push", "--sync", "accounts"][..], "it is not said what has changed"),
        (&["push", "--sync", "nothing", "--external-id", "a"], "no org has a sync"),
        (&["push", "--show", "999999"], "there is no push 999999"),
        (&["push", "--sync", "accounts", "--external-id", "a", "--record", "b"], "cannot be used with"),
    ] {
        let (done, said) = order(&rig, arguments).await;
        assert!(!done && said.contains(part), "{said}");
    }
    let metrics = rig.http.get(format!("{}/metrics", rig.admin)).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    for line in ["orgpipe_pushes_total 2", "orgpipe_push_items_total 3", "orgpipe_pushes_waiting 0"] {
        assert!(metrics.contains(line), "{line}");
    }
}

#[actix_rt::test]
async fn an_org_that_is_purged_has_no_share_in_what_was_pushed_before() {
    let orgs = ["acme", "globex"].map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let mut rig = Rig::with(orgs.to_vec(), |text| text).await;
    for org in ["acme", "globex"] {
        enriched(&rig, org, 1, 1);
    }
    known(&rig, 1, 3);
    rig.start().await;
    for org in ["acme", "globex"] {
        rig.subscribed(org).await;
    }
    rig.order("acme", "pause").await;
    let number = push(&rig, json!({ "sync": "accounts", "external_ids": [key(1)] })).await;
    let all = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("readable");
    let (before, rest) = all.split_once("\n[[org]]\n").expect("the first org");
    let (_, second) = rest.split_once("\n[[org]]\n").expect("the second org");
    rig.write("orgpipe.toml", &format!("{before}\n[[org]]\n{second}"));
    assert_eq!(rig.post("reload").await.0, 200);
    let gone = eventually("the org's end", async || {
        Some(view(&rig, number).await).filter(|view| view["done"] == true)
    })
    .await;
    assert_eq!(
        (&gone["orgs_total"], &gone["written"]),
        (&json!(1), &json!(1)),
        "what is removed holds up nothing: {gone}"
    );
    eventually("the purge", async || (rig.post("orgs/acme/purge").await.0 == 202).then_some(())).await;
    rig.write("orgpipe.toml", &all);
    assert_eq!(rig.post("reload").await.0, 200);
    rig.subscribed("acme").await;
    let later = push(&rig, json!({ "sync": "accounts", "external_ids": ["none"] })).await;
    through(&rig, later, &json!({})).await;
    assert_eq!(holds(&rig, "acme", 1), Some(1.0), "it was pushed before it came back");
    rig.ledger("acme", json!({ "records_in": 0 })).await;
}
