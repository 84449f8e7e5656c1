//! One odd record or answer of the org or of the look-up API never stops its neighbours.

use orgpipe_simulator::{HALF_EMOJI, OrgOptions, Row};
use serde_json::{Value, json};

use crate::support::{Rig, account, answer, domain, eventually, request};

/// Accounts of `acme` about which something is known.
fn accounts(rig: &Rig, count: usize) -> Vec<String> {
    let create = |n: usize| {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 7)));
        rig.org("acme").create("Account", account(n)).expect("an account")
    };
    (0..count).map(create).collect()
}

fn publish(rig: &Rig, list: &str) {
    let mut event = request(&[]);
    event.insert("Record_Ids__c".to_owned(), json!(list));
    rig.org("acme").publish("Sync_Request__e", event);
}

/// Reason and hint of each dead letter, oldest first.
async fn letters(rig: &Rig) -> Vec<(String, String)> {
    let url = format!("{}/api/v1/orgs/acme/dead-letters?limit=1000", rig.admin);
    let listed: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    let text = |letter: &Value, key: &str| letter[key].as_str().unwrap_or_default().to_owned();
    let letters = listed["dead_letters"].as_array().expect("a list").iter().rev();
    letters.map(|letter| (text(letter, "reason"), text(letter, "hint"))).collect()
}

/// Exactly one letter has each of these in its reason, and every letter has a hint.
async fn told(rig: &Rig, parts: &[&str]) {
    let letters = letters(rig).await;
    assert_eq!(letters.len(), parts.len(), "{letters:?}");
    for part in parts {
        let count = letters.iter().filter(|(reason, _)| reason.contains(part)).count();
        assert_eq!(count, 1, "`{part}` in {letters:?}");
    }
    assert!(letters.iter().all(|(_, hint)| !hint.is_empty()), "{letters:?}");
}

#[actix_rt::test]
async fn a_record_id_with_wrong_check_letters_is_a_letter_and_its_neighbours_are_written() {
    let rig = Rig::acme(false).await;
    let ids = accounts(&rig, 6);
    rig.org("acme").clear_calls();
    publish(&rig, &format!("001000000000001ZZZ,{}", ids[0]));
    publish(&rig, &format!("{},0015000000Gv7qJAAS", ids[1]));
    // The first 15 characters are an account's.
    let typing_error = format!("{}ABC", &ids[2][..15]);
    publish(&rig, &format!("{},{typing_error},{}", ids[3], ids[4].to_lowercase()));
    publish(&rig, &ids[5][..15]);
    rig.ledger("acme", json!({ "records_in": 8, "written": 5, "dead_letters": 3, "open": 0 })).await;
    let letters = letters(&rig).await;
    assert!(letters.iter().all(|(reason, _)| reason.contains("last three characters")), "{letters:?}");
    assert!(rig.org("acme").calls().iter().all(|call| call.status < 300), "none was asked for");
}

#[actix_rt::test]
async fn a_list_of_ids_is_read_in_any_notation_and_each_bad_entry_is_a_letter_of_its_own() {
    let rig = Rig::acme(false).await;
    let ids = accounts(&rig, 26);
    let [a, b] = [&ids[0], &ids[1]];
    let lists = [
        format!("({a}, {b})"),
        format!("[{a}, {b}]"),
        format!("[\"{a}\"]"),
        format!("{a};{b}"),
        format!("{a}\n{b}\r\n"),
        format!("{{{a}, {b}}}"),
        format!("'{a}' | '{b}'"),
    ];
    for list in &lists {
        publish(&rig, list);
    }
    rig.ledger("acme", json!({ "records_in": 13, "dead_letters": 0, "open": 0 })).await;
    publish(&rig, &ids[2..].join(",")[..255]);
    publish(&rig, &format!("({a}; oops, ...)"));
    rig.ledger("acme", json!({ "records_in": 30, "dead_letters": 3, "open": 0 })).await;
    told(&rig, &["entry 14", "entry 2", "entry 3"]).await;
    let letters = letters(&rig).await;
    assert!(letters.iter().any(|(_, hint)| hint.contains("cut")), "{letters:?}");
}

#[actix_rt::test]
async fn what_cannot_be_read_of_one_record_is_that_records_letter_and_tells_the_place() {
    let rig = Rig::acme(false).await;
    let ids = accounts(&rig, 60);
    let vendor = rig.simulator.vendor();
    let deep = format!("{}7{}", r#"{"deep":"#.repeat(200), "}".repeat(200));
    let odd = [
        r#"{"key":"K3","employees":NaN}"#,
        r#"{"key":"K11","employees":1e400}"#,
        r#""nothing""#,
        deep.as_str(),
        // Not in the list.
        r#"{"key":"K27","employees":[{"of":-Infinity}]}"#,
        r#"[{"key":"K35"},4711]"#,
        r#"{"key":"K43","industry":"a\u12"}"#,
    ];
    for (place, data) in odd.iter().enumerate() {
        vendor.set_raw(&domain(3 + 8 * place), data);
    }
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 60, "written": 53, "dead_letters": 7, "open": 0 })).await;
    let parts = ["/data/employees`: number out of range", "it is text", "recursion", "it is a number"];
    let letters = letters(&rig).await;
    for part in parts.into_iter().chain([
        "/0/data/employees`: expected value",
        "/0/data/employees/0/of",
        "/0/data/industry",
    ]) {
        let count = letters.iter().filter(|(reason, _)| reason.contains(part)).count();
        assert_eq!(count, 1, "`{part}` in {letters:?}");
    }
    assert!(letters.iter().all(|(reason, hint)| !hint.is_empty() && !reason.contains("4711")), "{letters:?}");
    let asked = vendor.requests().len();
    assert!(asked <= 2 * 3 * 6 + 1, "halved, not one by one: {asked} calls");
}

#[actix_rt::test]
async fn an_answer_that_nobody_can_read_halves_and_later_work_passes() {
    let rig = Rig::acme(false).await;
    let ids = accounts(&rig, 3);
    rig.simulator.vendor().set_raw(&domain(0), "{\"key\":");
    rig.org("acme").publish("Sync_Request__e", request(&ids[..1]));
    rig.ledger("acme", json!({ "records_in": 1, "dead_letters": 1, "open": 0 })).await;
    rig.org("acme").publish("Sync_Request__e", request(&ids[1..]));
    rig.ledger("acme", json!({ "records_in": 3, "written": 2, "dead_letters": 1, "open": 0 })).await;
    told(&rig, &["/records/0/data"]).await;
}

#[actix_rt::test]
async fn half_a_character_in_an_answer_is_replaced_whoever_answers() {
    let rig = Rig::acme(false).await;
    let org = rig.org("acme").clone();
    let ids = accounts(&rig, 3);
    rig.simulator.vendor().set_raw(&domain(0), r#"{"key":"K0","employees":1,"industry":"Soft\ud83d"}"#);
    // The other half, in front.
    rig.simulator.vendor().set_raw(&domain(1), r#"{"key":"K1","employees":1,"industry":"\udc00Soft"}"#);
    // In the record that is matched, and in the one that is read.
    let half = format!("cut{HALF_EMOJI}");
    let held = json!({ "External_Id__c": "K2", "Industry__c": half });
    org.create("Enrichment__c", held.as_object().cloned().expect("an object")).expect("a record");
    let website = json!({ "Name": "Half", "Website": format!("half.example/{HALF_EMOJI}") });
    let fourth = org.create("Account", website.as_object().cloned().expect("an object")).expect("an account");
    rig.simulator.vendor().set_answer(&fourth, Some(answer("K3", 7)));
    org.publish("Sync_Request__e", request(&[ids, vec![fourth]].concat()));
    rig.ledger("acme", json!({ "records_in": 4, "written": 4, "dead_letters": 0, "open": 0 })).await;
    let industry = |key: &str| rig.enrichment("acme", key).expect("the record")["Industry__c"].clone();
    assert_eq!([industry("K0"), industry("K1")], [json!("Soft\u{fffd}"), json!("\u{fffd}Soft")]);
    assert_eq!([industry("K2"), industry("K3")], [json!("Software"), json!("Software")]);
}

#[actix_rt::test]
async fn an_external_id_that_is_too_long_is_a_letter_before_the_match() {
    let rig = Rig::acme(false).await;
    let ids = accounts(&rig, 12);
    let vendor = rig.simulator.vendor();
    // The field takes 100.
    for (n, length) in [(3, 20_000), (7, 101)] {
        vendor.set_answer(&domain(n), Some(answer(&"k".repeat(length), 7)));
    }
    rig.org("acme").clear_calls();
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 12, "written": 10, "dead_letters": 2, "open": 0 })).await;
    told(&rig, &["20000 characters", "101 characters"]).await;
    assert!(rig.org("acme").calls().iter().all(|call| call.status < 300), "no query was refused");
}

#[actix_rt::test]
async fn a_change_event_with_an_id_that_is_none_gives_its_other_records() {
    let orgs = vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }];
    let mut rig = Rig::with(orgs, |text| text.replace("/event/Sync_Request__e", "/data/ChangeEvents")).await;
    let ids = accounts(&rig, 2);
    let change = |ids: &[&str]| {
        let header = json!({ "entityName": "Account", "recordIds": ids, "changeType": "UPDATE" });
        Row::from_iter([("ChangeEventHeader".to_owned(), header)])
    };
    // The channel is there once something was published on it.
    rig.org("acme").publish_on("/data/ChangeEvents", change(&[&ids[0]]));
    rig.start().await;
    rig.subscribed("acme").await;
    rig.org("acme").publish_on("/data/ChangeEvents", change(&[&ids[0], "001000000000001ZZZ", &ids[1]]));
    eventually("the letter", async || (letters(&rig).await.len() == 1).then_some(())).await;
    told(&rig, &["entry 2 of `recordIds`"]).await;
    eventually("the records", async || (rig.org("acme").rows("Enrichment__c").len() == 2).then_some(()))
        .await;
}
