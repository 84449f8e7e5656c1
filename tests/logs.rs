//! The log of the real program: lines of JSON whose fields join an event with its look-up and its write.

mod support;

use orgpipe_simulator::{OrgOptions, RowFault};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

/// The lines of a log of JSON.
fn lines(rig: &Rig) -> Vec<Value> {
    let text = rig.logged();
    let whole = text.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

async fn rig(log: &str, repeats: &str) -> Rig {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![org], |text| text).await;
    rig.variables.push(("ORGPIPE_LOG_FORMAT", "json".to_owned()));
    rig.variables.push(("ORGPIPE_LOG_REPEATS", repeats.to_owned()));
    rig.start_logged(log).await;
    rig.subscribed("acme").await;
    rig
}

/// Publishes an event for a new account, of which the org refuses what is written, so that a line tells of a dead letter.
fn publish_refused(rig: &Rig, n: usize, correlation_id: &str) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 7)));
    rig.org("acme").refuse_row(RowFault {
        key: format!("K{n}"),
        code: "FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned(),
        message: "no".to_owned(),
        fields: Vec::new(),
        count: 9,
        further: Vec::new(),
    });
    let id = rig.org("acme").create("Account", account(n)).expect("an account");
    let mut event = request(std::slice::from_ref(&id));
    event.insert("Correlation_Id__c".to_owned(), json!(correlation_id));
    rig.org("acme").publish("Sync_Request__e", event);
}

#[actix_rt::test]
async fn a_line_of_json_names_org_correlation_id_and_the_trace_that_the_vendor_was_told() {
    let rig = rig("info", "20").await;
    publish_refused(&rig, 1, "join-me");
    rig.ledger("acme", json!({ "records_in": 1, "dead_letters": 1, "open": 0 })).await;
    let asked = rig.simulator.vendor().requests();
    let asked = asked.first().expect("a look-up");
    assert_eq!(asked.correlation_id, "join-me");
    let parts: Vec<&str> = asked.traceparent.split('-').collect();
    assert_eq!(
        (parts[0], parts[1].len(), parts[2].len(), parts[3]),
        ("00", 32, 16, "00"),
        "{}",
        asked.traceparent
    );

    let line = eventually("a line about the dead letter", async || {
        lines(&rig)
            .into_iter()
            .find(|line| line["message"].as_str().is_some_and(|said| said.contains("dead letter")))
    })
    .await;
    for (field, value) in
        [("level", "WARN"), ("org", "acme"), ("correlation_id", "join-me"), ("trace_id", parts[1])]
    {
        assert_eq!(line[field], value, "{field} of {line}");
    }
    assert!(line["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{line}");
    assert!(line["target"].as_str().is_some_and(|target| target.starts_with("orgpipe_actors")), "{line}");
    let subscribed = lines(&rig).into_iter().find(|line| line["message"] == "subscribed").expect("a line");
    assert_eq!(
        (&subscribed["org"], &subscribed["channel"]),
        (&json!("acme"), &json!("/event/Sync_Request__e"))
    );
}

#[actix_rt::test]
async fn a_line_that_is_repeated_is_counted_and_told_at_the_end() {
    let mut rig = rig("warn", "3").await;
    for n in 1..=9 {
        publish_refused(&rig, n, "");
    }
    rig.ledger("acme", json!({ "records_in": 9, "dead_letters": 9, "open": 0 })).await;
    let about = |rig: &Rig| -> Vec<Value> {
        let said =
            |line: &Value| line["message"].as_str().is_some_and(|said| said.contains("is a dead letter"));
        lines(rig).into_iter().filter(said).collect()
    };
    let told = about(&rig).len();
    assert!(told <= 3, "{told}");
    assert!(rig.terminate().await.success());
    let last = about(&rig).pop().expect("a line");
    let said = last["message"].as_str().expect("a text");
    assert!(said.starts_with("repeated 6 times within "), "{said}");
    assert_eq!(
        (&last["repeated"], &last["org"], &last["level"]),
        (&json!(6), &json!("acme"), &json!("WARN"))
    );
}

#[actix_rt::test]
async fn all_lines_are_written_where_none_is_to_be_held_back() {
    let rig = rig("warn", "0").await;
    for n in 1..=9 {
        publish_refused(&rig, n, "");
    }
    rig.ledger("acme", json!({ "records_in": 9, "dead_letters": 9, "open": 0 })).await;
    let said = |line: &&Value| line["message"].as_str().is_some_and(|said| said.contains("is a dead letter"));
    assert_eq!(lines(&rig).iter().filter(said).count(), 9);
}
