//! `orgpipe explain`: each way in which a record may end, and what is open, told right and without its values.

mod support;

use std::net::TcpListener;

use orgpipe_simulator::{OrgOptions, Row};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

/// One org, `acme`, on a port that the command line can know from the settings.
async fn rig() -> Rig {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![org], |text| text.replace("127.0.0.1:0", &free.to_string())).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// What the command prints about a record.
async fn told(rig: &Rig, id: &str) -> String {
    let done = rig.command(&["explain", "acme", id]).output().await.expect("the command runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("UTF-8")
}

/// The story of a record as JSON.
async fn story(rig: &Rig, id: &str) -> Value {
    let url = format!("{}/api/v1/orgs/acme/records/{id}", rig.admin);
    rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

/// A new account about which this is known, and an event that asks for it.
fn publish(rig: &Rig, n: usize, known: Option<Value>) -> String {
    rig.simulator.vendor().set_answer(&domain(n), known);
    let id = rig.org("acme").create("Account", account(n)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    id
}

/// What a text leads to, as JSON.
async fn found(rig: &Rig, text: &str) -> Value {
    let url = format!("{}/api/v1/orgs/acme/records", rig.admin);
    rig.http.get(url).query(&[("find", text)]).send().await.expect("an answer").json().await.expect("JSON")
}

/// The records that it may mean, with what the text is to each, by ID.
fn candidates(found: &Value) -> Vec<(&str, &str)> {
    let all = found["candidates"].as_array().unwrap_or_else(|| panic!("{found} has no list"));
    let mut all: Vec<(&str, &str)> = all
        .iter()
        .map(|one| (one["record"].as_str().expect("an ID"), one["found_by"].as_str().expect("a word")))
        .collect();
    all.sort_unstable();
    all
}

/// The page of records with this text looked for.
async fn page(rig: &Rig, text: &str) -> String {
    let url = format!("{}/orgs/acme/records", rig.admin);
    let answer = rig.http.get(url).query(&[("find", text)]).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("text")
}

fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[actix_rt::test]
async fn written_unchanged_unknown_gone_and_refused_records_are_told_by_the_command() {
    let rig = rig().await;
    let org = rig.org("acme");
    let id = publish(&rig, 0, Some(answer("K0", 4_711)));
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    let text = told(&rig, &id[..15]).await;
    let record = &format!("org acme, record {id}");
    let differs = ["Account__c (#", "Employee_Count__c (#", "Industry__c (#"];
    holds(
        &text,
        &[
            record,
            "\nwritten\n",
            "by event ",
            "sync `accounts`",
            "key `k0`: it is created",
            "by REST, change ",
        ],
    );
    holds(&text, &differs);
    holds(&text, &["Your API answered data at ", "traceparent …-"]);

    rig.simulator.vendor().set_answer(&domain(0), Some(answer("K0", 4_712)));
    org.publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;
    org.publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    rig.ledger("acme", json!({ "records_in": 3, "unchanged": 1 })).await;
    let target = rig.enrichment("acme", "K0").expect("written")["Id"].as_str().expect("an ID").to_owned();
    let text = told(&rig, &id).await;
    let same = &format!("The record with the key `k0` is {target}, which held all of it.");
    holds(&text, &["\nunchanged\n", same, "Nothing was written"]);
    assert!(text.find("unchanged").unwrap() < text.find("written\n").unwrap(), "newest first: {text}");
    assert!(text.contains("To be written: Employee_Count__c (#"), "only that differs: {text}");
    let all = story(&rig, &id).await;
    let hash = |at: usize, side: usize| {
        let story = all["ended"][at]["story"].to_string();
        let (_, after) = story.split_once("Employee_Count__c (#").expect("named");
        after.split(['#', ' ', ')']).filter(|part| part.len() == 8).nth(side).expect("a hash").to_owned()
    };
    assert_eq!(hash(1, 0), hash(2, 0), "held before as it was written");
    assert_ne!(hash(1, 1), hash(1, 0));

    let unknown = publish(&rig, 1, None);
    let refused = publish(&rig, 2, Some(json!({ "key": "K2", "employees": "many" })));
    let gone = org.create("Account", account(3)).expect("an account");
    org.delete("Account", &gone).expect("deleted");
    org.publish("Sync_Request__e", request(std::slice::from_ref(&gone)));
    rig.ledger("acme", json!({ "records_in": 6, "no_data": 2, "dead_letters": 1 })).await;
    holds(&told(&rig, &unknown).await, &["\nno data\n", "answered that it knows nothing about it"]);
    holds(&told(&rig, &gone).await, &["\nno data\n", "The record is not in the org"]);
    let text = told(&rig, &refused).await;
    holds(&text, &["\ndead letter\n", "`Employee_Count__c`: the value is not a number", "Answer a number"]);
    for secret in ["4711", "4712", "many", "Software"] {
        assert!(!text.contains(secret) && !all.to_string().contains(secret), "{secret}: {text} {all}");
    }
    holds(&told(&rig, "001000000000000AAA").await, &["Nothing is known of it"]);
}

#[actix_rt::test]
async fn open_and_superseded_changes_and_retries_are_told() {
    let rig = rig().await;
    let org = rig.org("acme");
    rig.simulator.vendor().set_down(true);
    let id = publish(&rig, 0, Some(answer("K0", 1)));
    let fate = async |fate: &str| {
        eventually(fate, async || {
            let story = story(&rig, &id).await;
            (story["open"][0]["fate"] == fate).then_some(story)
        })
        .await
    };
    let waiting = fate("waiting").await;
    assert_eq!((&waiting["waiting"], &waiting["searched"]), (&json!(1), &json!(1)));
    holds(&waiting.to_string(), &["by event ", "It waits for its look-up."]);

    org.fail_next("sobjects/Enrichment__c/External_Id__c", 503, 1_000);
    rig.simulator.vendor().set_down(false);
    let writing = fate("writing").await;
    assert_eq!(
        (&writing["open"][0]["key"], writing["ended"].as_array().map(Vec::len)),
        (&json!("k0"), Some(0))
    );
    rig.simulator.vendor().set_answer(&domain(0), Some(answer("K0", 2)));
    org.publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    rig.simulator.vendor().set_answer(&domain(0), Some(answer("K0", 2)));
    let superseded = eventually("the older one to make room", async || {
        let story = story(&rig, &id).await;
        (story["ended"][0]["fate"] == "superseded").then_some(story)
    })
    .await;
    let newer = superseded["open"][0]["number"].as_u64().expect("a number");
    holds(&superseded["ended"][0]["story"].to_string(), &[&format!("change {newer} came after it")]);
    holds(&superseded["open"][0]["story"].to_string(), &["still under way, so all fields are written"]);
    org.clear_faults();
    rig.ledger("acme", json!({ "written": 1, "superseded": 1, "open": 0 })).await;
    assert_eq!(story(&rig, &id).await["ended"].as_array().map(Vec::len), Some(2));

    org.lock_next_rows(2);
    let locked = org.create(
        "Account",
        Row::from_iter([("Website".to_owned(), json!(domain(1))), ("Name".to_owned(), json!("x"))]),
    );
    let locked = locked.expect("an account");
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 1)));
    org.publish("Sync_Request__e", request(std::slice::from_ref(&locked)));
    rig.ledger("acme", json!({ "written": 2, "open": 0 })).await;
    holds(&told(&rig, &locked).await, &["after 3 tries: ", "Salesforce refused with `UNABLE_TO_LOCK_ROW`"]);
}

/// ID of the record of the target with this key.
fn target(rig: &Rig, key: &str) -> String {
    rig.enrichment("acme", key).expect("it was written")["Id"].as_str().expect("an ID").to_owned()
}

#[actix_rt::test]
async fn a_created_record_is_found_by_its_id_by_that_of_its_target_and_by_its_key() {
    let rig = rig().await;
    let id = publish(&rig, 0, Some(answer("K0", 4_711)));
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    let written = target(&rig, "K0");
    let texts = [
        (&id[..], "source_id"),
        (&id[..15], "source_id"),
        (&written, "target_id"),
        (&written[..15], "target_id"),
        ("K0", "key"),
        (" k0 ", "key"),
    ];
    for (text, found_by) in texts {
        let found = found(&rig, text).await;
        assert_eq!(candidates(&found), [(id.as_str(), found_by)], "{text}");
        let one = &found["candidates"][0];
        assert_eq!((&one["syncs"], &one["fate"]), (&json!(["accounts"]), &json!("written")), "{text}");
        assert_eq!(found["story"]["record"], json!(id), "{text}");
        holds(&found["story"].to_string(), &[&format!("The record of the target is {written}.")]);
    }
    for text in [&written[..15], "K0"] {
        holds(&told(&rig, text).await, &[&format!("org acme, record {id}\n\nwritten\n"), &written]);
        holds(&page(&rig, text).await, &[&format!("Record {id}"), "class=\"timeline\"", &written]);
    }

    let many: Vec<String> = (10..22)
        .map(|n| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("B{n}"), 1)));
            rig.org("acme").create("Account", account(n)).expect("an account")
        })
        .collect();
    rig.org("acme").publish("Sync_Request__e", request(&many));
    rig.ledger("acme", json!({ "records_in": 13, "written": 13 })).await;
    let found = found(&rig, &target(&rig, "B15")).await;
    assert_eq!(candidates(&found), [(many[5].as_str(), "target_id")]);
    holds(&found["story"].to_string(), &["by Bulk job "]);
}

#[actix_rt::test]
async fn of_two_records_with_one_key_both_are_told_and_what_is_not_known_is_said() {
    let rig = rig().await;
    let first = publish(&rig, 0, Some(answer("BOTH", 4_711)));
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    let second = publish(&rig, 1, Some(answer("BOTH", 4_711)));
    rig.ledger("acme", json!({ "records_in": 2, "dead_letters": 1 })).await;
    let written = target(&rig, "BOTH");
    for (text, found_by) in [("BOTH", "key"), (written.as_str(), "target_id")] {
        let found = found(&rig, text).await;
        let mut both = [(first.as_str(), found_by), (second.as_str(), found_by)];
        both.sort_unstable();
        assert_eq!(candidates(&found), both, "{found}");
        assert_eq!((&found["story"], &found["more"]), (&Value::Null, &json!(false)));
        assert_eq!(found["candidates"][0]["record"], json!(second), "the newest first");
        let text = told(&rig, text).await;
        holds(&text, &["org acme, 2 records for ", &first, &second, "dead letter", "Name one of them"]);
    }
    let listed = page(&rig, "BOTH").await;
    holds(&listed, &["2 records for", &format!("records?find={first}"), &format!("records?find={second}")]);
    assert!(!listed.contains("class=\"timeline\""), "{listed}");
    assert_eq!(candidates(&found(&rig, &first).await), [(first.as_str(), "source_id")]);

    // A value is no way to a record, and what is not known is said.
    for text in ["nobody", "4711", &domain(0), "Company 0", "a0X000000000999"] {
        let found = found(&rig, text).await;
        assert!(candidates(&found).is_empty() && found["story"].is_null(), "{text}: {found}");
        holds(&page(&rig, text).await, &["Nothing is known of it", "ledger_days"]);
    }
    holds(&told(&rig, "nobody").await, &["Nothing is known of it", "external ID", "ledger_days"]);
    for text in [" ", &"x".repeat(301)] {
        let url = format!("{}/api/v1/orgs/acme/records", rig.admin);
        let answer = rig.http.get(url).query(&[("find", text)]).send().await.expect("an answer");
        assert_eq!(answer.status(), 400);
    }
}
