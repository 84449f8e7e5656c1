//! Two accounts with one key: whose the record of the target is by each setting, in whatever order they are asked for, from
//! refresh to refresh and over a kill; and which keys count as one.

mod support;

use orgpipe_simulator::OrgOptions;
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

const KEY: &str = "SHARED";

/// The service with this setting, and two accounts that are answered with one key.
async fn rig(on_shared_key: &str) -> (Rig, [String; 2]) {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let line = format!("target = \"Enrichment__c\"\n{on_shared_key}");
    let mut rig = Rig::with(vec![org], |text| text.replace("target = \"Enrichment__c\"", &line)).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let ids = [0, 1].map(|n| {
        knows(&rig, n, KEY, 10 + u32::try_from(n).expect("few"));
        rig.org("acme").create("Account", account(n)).expect("an account")
    });
    (rig, ids)
}

fn knows(rig: &Rig, n: usize, key: &str, employees: u32) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(key, employees)));
}

/// Asks for these records with one event, and waits until all is decided and written.
async fn ask(rig: &Rig, ids: &[String], asked: &mut usize) {
    rig.org("acme").publish("Sync_Request__e", request(ids));
    *asked += ids.len();
    rig.ledger("acme", json!({ "records_in": *asked, "open": 0 })).await;
}

/// Runs a refresh of the two to its end.
async fn refresh(rig: &Rig, asked: &mut usize) {
    rig.order("acme", "refresh").await;
    *asked += 2;
    rig.ledger("acme", json!({ "records_in": *asked, "open": 0 })).await;
    rig.through("acme").await;
}

/// The account that the record of the target hangs on, and its employees.
fn held(rig: &Rig) -> (Value, Value) {
    let row = rig.enrichment("acme", KEY).expect("the record");
    (row["Account__c"].clone(), row["Employee_Count__c"].clone())
}

/// The newest chapter of a record's story.
async fn newest(rig: &Rig, record: &str) -> String {
    let url = format!("{}/api/v1/orgs/acme/records/{record}", rig.admin);
    let story = rig.http.get(url).send().await.expect("an answer").text().await.expect("text");
    story.split("\"fate\"").nth(1).unwrap_or_default().to_owned()
}

/// The newest dead letter.
async fn letter(rig: &Rig) -> Value {
    let url = format!("{}/api/v1/orgs/acme/dead-letters?limit=1", rig.admin);
    let list: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    list["dead_letters"][0].clone()
}

/// One after the other, together in both orders, by refreshes and after a kill: it is always `owner`'s, with that one's
/// values, and what is written once is not written again.
async fn stays(setting: &str, events: &[&[usize]], owner: usize, is_killed: bool) {
    let (mut rig, ids) = rig(setting).await;
    let mut asked = 0;
    for event in events {
        let event: Vec<String> = event.iter().map(|n| ids[*n].clone()).collect();
        ask(&rig, &event, &mut asked).await;
    }
    let expected = (json!(ids[owner]), json!(f64::from(10 + u8::try_from(owner).expect("few"))));
    assert_eq!(held(&rig), expected, "{setting} {events:?}");
    refresh(&rig, &mut asked).await;
    rig.org("acme").clear_writes();
    let letters = rig.view("acme").await["records"]["dead_letters"].clone();
    for round in 0..3 {
        refresh(&rig, &mut asked).await;
        if round == 1 && is_killed {
            rig.kill().await;
            rig.start().await;
            rig.subscribed("acme").await;
        }
    }
    assert_eq!(rig.org("acme").writes(), [], "{setting} {events:?}: it is stable");
    assert_eq!(held(&rig), expected, "{setting} {events:?}");
    let after = rig.view("acme").await["records"]["dead_letters"].clone();
    assert_eq!(after, letters, "{setting} {events:?}: no refresh makes another letter of the same two");

    // Nothing of the other one is written, nor is it ever unchanged; the owner goes on being written.
    let other = 1 - owner;
    knows(&rig, other, KEY, 99);
    ask(&rig, &ids[other..=other], &mut asked).await;
    assert_eq!(rig.org("acme").writes(), [], "{setting} {events:?}: the other one");
    let story = newest(&rig, &ids[other]).await;
    assert!(
        story.contains(&format!("belongs to record {}", ids[owner])) && !story.contains("held all of it"),
        "{story}"
    );
    let letter = letter(&rig).await;
    if setting.is_empty() {
        let reason = letter["reason"].as_str().expect("a letter");
        let parts = [ids[0].as_str(), ids[1].as_str(), "External_Id__c"];
        assert!(parts.iter().all(|part| reason.contains(part)), "{letter}");
        assert!(letter["hint"].as_str().is_some_and(|hint| hint.contains("on_shared_key")), "{letter}");
        assert!(!letter.to_string().contains(KEY), "no value: {letter}");
    } else {
        assert_eq!(letter, Value::Null);
    }
    knows(&rig, owner, KEY, 50);
    ask(&rig, &ids[owner..=owner], &mut asked).await;
    assert_eq!(held(&rig), (json!(ids[owner]), json!(50.0)), "{setting} {events:?}");

    // It has a key of its own now: the other one is asked again, without a refresh.
    knows(&rig, owner, "OWN", 1);
    rig.org("acme").publish("Sync_Request__e", request(&ids[owner..=owner]));
    eventually("the other one has it", async || {
        (held(&rig) == (json!(ids[other]), json!(99.0))).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn as_a_dead_letter_the_later_one_is_told_and_the_holder_keeps_it() {
    stays("", &[&[0], &[1]], 0, true).await;
    stays("", &[&[1], &[0]], 1, false).await;
    stays("", &[&[1, 0]], 1, false).await;
}

#[actix_rt::test]
async fn the_first_keeps_it() {
    let setting = "on_shared_key = \"first\"";
    stays(setting, &[&[1], &[0]], 1, false).await;
    stays(setting, &[&[0, 1]], 0, false).await;
}

#[actix_rt::test]
async fn the_newest_takes_it_over_and_never_gives_it_back() {
    let setting = "on_shared_key = \"newest\"";
    stays(setting, &[&[0], &[1]], 1, true).await;
    stays(setting, &[&[1], &[0]], 1, false).await;
    stays(setting, &[&[1, 0]], 1, false).await;
}

/// Without a field mapped from `$Id` nobody can tell whose it is but by what is remembered once both were asked for together.
#[actix_rt::test]
async fn without_a_link_it_stays_with_the_one_that_is_remembered() {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let line = "target = \"Enrichment__c\"\non_shared_key = \"first\"";
    let without =
        |text: String| text.replace("target = \"Enrichment__c\"", line).replace("Account__c = \"$Id\"\n", "");
    let mut rig = Rig::with(vec![org], without).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let ids = [0, 1].map(|n| {
        knows(&rig, n, KEY, 10 + u32::try_from(n).expect("few"));
        rig.org("acme").create("Account", account(n)).expect("an account")
    });
    let mut asked = 0;
    ask(&rig, &[ids[1].clone(), ids[0].clone()], &mut asked).await;
    refresh(&rig, &mut asked).await;
    rig.org("acme").clear_writes();
    rig.kill().await;
    rig.start().await;
    rig.subscribed("acme").await;
    refresh(&rig, &mut asked).await;
    ask(&rig, &ids[..1], &mut asked).await;
    assert_eq!(rig.org("acme").writes(), []);
    assert_eq!(held(&rig).1, json!(11.0));
}

/// Whether two keys that differ in case are one is for the field to say, with each setting.
#[actix_rt::test]
async fn keys_that_differ_in_case_are_two_where_the_field_tells_case_apart_and_one_elsewhere() {
    for setting in ["dead_letter", "first", "newest"] {
        for sensitive in [true, false] {
            let case_sensitive =
                if sensitive { vec!["Enrichment__c.External_Id__c".to_owned()] } else { Vec::new() };
            let org = OrgOptions { flow: false, case_sensitive, ..OrgOptions::named("acme") };
            let line = format!("target = \"Enrichment__c\"\non_shared_key = \"{setting}\"");
            let mut rig =
                Rig::with(vec![org], |text| text.replace("target = \"Enrichment__c\"", &line)).await;
            rig.start().await;
            rig.subscribed("acme").await;
            let ids = [(0, "Key"), (1, "kEY")].map(|(n, key)| {
                knows(&rig, n, key, 5);
                rig.org("acme").create("Account", account(n)).expect("an account")
            });
            rig.org("acme").publish("Sync_Request__e", request(&ids));
            let (no_data, dead_letters) = match (sensitive, setting) {
                (true, _) => (0, 0),
                (false, "dead_letter") => (0, 1),
                (false, _) => (1, 0),
            };
            let written = if sensitive { 2 } else { 1 };
            let expected = json!({ "written": written, "no_data": no_data, "dead_letters": dead_letters });
            rig.ledger("acme", expected).await;
            let rows = rig.org("acme").rows("Enrichment__c");
            let hang: Vec<&Value> = rows.iter().map(|row| &row["Account__c"]).collect();
            let expected = match (sensitive, setting) {
                (true, _) => vec![json!(ids[0]), json!(ids[1])],
                (false, "newest") => vec![json!(ids[1])],
                (false, _) => vec![json!(ids[0])],
            };
            assert_eq!(hang, expected.iter().collect::<Vec<_>>(), "{setting}, sensitive: {sensitive}");
        }
    }
}
