//! Dead letters: what could not be written is listed, mended and retried, or discarded, and the ledger balances all the
//! way.

mod support;

use orgpipe_simulator::{RowError, RowFault};
use serde_json::{Value, json};
use support::{
    Rig, account, answer,
    cli::{exit_code, order, order_as, ordered, reachable},
    domain, request,
};

/// Waits for these numbers, and holds the metric against them.
async fn ledger(rig: &Rig, expected: Value) {
    rig.ledger("acme", expected).await;
    let metrics = rig.http.get(format!("{}/metrics", rig.admin)).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("orgpipe_org_ledger_imbalance{org=\"acme\"} 0.0"), "{metrics}");
}

/// Publishes a sync request for a new account; gives its record ID.
fn publish(rig: &Rig, n: usize) -> String {
    let id = rig.org("acme").create("Account", account(n)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    id
}

async fn ask(rig: &Rig, path: &str) -> Value {
    let url = format!("{}/api/v1/orgs/acme/dead-letters{path}", rig.admin);
    rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

async fn post(rig: &Rig, path: &str) -> (u16, Value) {
    let url = format!("{}/api/v1/orgs/acme/dead-letters{path}", rig.admin);
    let reply = rig.http.post(url).send().await.expect("an answer");
    (reply.status().as_u16(), reply.json().await.expect("JSON"))
}

/// Gives an order with a token of that name.
async fn ordered_by(rig: &Rig, name: &str, arguments: &[&str]) -> String {
    let token = rig.token(name, "operate").await;
    let (done, said) = order_as(rig, &token, arguments).await;
    assert!(done, "{arguments:?}: {said}");
    said
}

/// The newest dead letter.
async fn newest(rig: &Rig) -> Value {
    ask(rig, "?limit=1").await["dead_letters"][0].clone()
}

#[actix_rt::test]
async fn an_event_that_could_not_be_read_is_read_again_once_the_settings_are_right() {
    let wrong = |text: String| {
        text.replace("object = \"Account\"", "object = \"Account\"\nevent = { ids = \"Reason__c\" }")
    };
    let mut rig = reachable(wrong).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 10)));
    publish(&rig, 1);
    ledger(&rig, json!({ "records_in": 1, "dead_letters": 1 })).await;
    let number = newest(&rig).await["number"].to_string();
    let (done, said) = order(&rig, &["dead-letters", "retry", "acme", &number]).await;
    assert!(!done && said.contains("cannot be retried") && said.contains("Reason__c"), "{said}");
    let (done, said) = order(&rig, &["dead-letters", "retry", "acme", "--all"]).await;
    assert!(!done && said.contains(&format!("{number}: stays")), "{said}");

    rig.terminate().await;
    let path = rig.folder.path().join("orgpipe.toml");
    let settings = std::fs::read_to_string(&path).expect("settings");
    rig.write("orgpipe.toml", &settings.replace("event = { ids = \"Reason__c\" }\n", ""));
    rig.start().await;
    ordered(&rig, &["dead-letters", "retry", "acme", &number]).await;
    ledger(&rig, json!({ "records_in": 2, "dead_letters": 1, "written": 1 })).await;
    assert!(rig.enrichment("acme", "K1").is_some());
}

#[actix_rt::test]
async fn a_mended_record_is_written_by_a_retry_and_the_audit_says_who_ordered_it() {
    let mut rig = reachable(|text| text.replace("\"$Id\"", "\"/account\"")).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let vendor = rig.simulator.vendor();
    // No external ID in the answer: it ends before there is a change.
    vendor.set_answer(&domain(1), Some(json!({ "employees": 12_345 })));
    let first = publish(&rig, 1);
    ledger(&rig, json!({ "records_in": 1, "dead_letters": 1 })).await;
    // A write that Salesforce refuses: there is no such account.
    let lost = json!({ "key": "K2", "employees": 54_321, "account": "001000000000000AAA" });
    vendor.set_answer(&domain(2), Some(lost));
    let second = publish(&rig, 2);
    ledger(&rig, json!({ "records_in": 2, "dead_letters": 2 })).await;

    let list = ask(&rig, "").await;
    let letters = list["dead_letters"].as_array().expect("a list").clone();
    let ids: Vec<&Value> = letters.iter().map(|letter| &letter["record_ids"]).collect();
    assert_eq!(ids, [&json!([second]), &json!([first])], "newest first");
    assert_eq!(ask(&rig, "?reason=external_ID__C").await["dead_letters"], json!([letters[1]]));
    let numbers: Vec<String> = letters.iter().map(|letter| letter["number"].to_string()).collect();
    assert_eq!(ask(&rig, &format!("?before={}", numbers[0])).await["dead_letters"], json!([letters[1]]));

    let said = ordered(&rig, &["dead-letters", "list", "acme"]).await;
    assert!(numbers.iter().all(|number| said.contains(&format!("{number}  20"))), "{said}");
    let said = ordered(&rig, &["dead-letters", "show", "acme", &numbers[0]]).await;
    assert!(said.contains(&second) && !said.contains("54321"), "no values unless asked for: {said}");
    let said = ordered(&rig, &["dead-letters", "show", "acme", &numbers[0], "--values"]).await;
    assert!(said.contains("54321"), "{said}");

    vendor.set_answer(&domain(1), Some(answer("K1", 11)));
    vendor.set_answer(&domain(2), Some(answer("K2", 22)));
    ordered_by(&rig, "jo", &["dead-letters", "retry", "acme", &numbers[0]]).await;
    ledger(&rig, json!({ "records_in": 3, "dead_letters": 2, "written": 1 })).await;
    let employees = |rig: &Rig, key| rig.enrichment("acme", key).map(|row| row["Employee_Count__c"].clone());
    assert_eq!(employees(&rig, "K2"), Some(json!(22.0)), "looked up afresh");
    let (status, answer) = post(&rig, &format!("/{}/retry", numbers[0])).await;
    assert!(
        status == 404 && answer["error"].as_str().is_some_and(|error| error.contains(&numbers[0])),
        "{answer}"
    );

    let (status, answer) = post(&rig, "/retry").await;
    assert!(status == 400, "neither all nor some: {answer}");
    let (status, answer) = post(&rig, "/retry?reason=Nothing%20like%20this").await;
    assert_eq!((status, &answer["done"]), (202, &json!([])));
    let said =
        ordered_by(&rig, "sam", &["dead-letters", "retry", "acme", "--reason", "External_Id__c"]).await;
    assert!(said.contains("retry of 1 dead letter "), "{said}");
    ledger(&rig, json!({ "records_in": 4, "dead_letters": 2, "written": 2 })).await;
    assert_eq!(employees(&rig, "K1"), Some(json!(11.0)));

    vendor.set_answer(&domain(3), Some(json!({ "employees": 3 })));
    let third = publish(&rig, 3);
    ledger(&rig, json!({ "records_in": 5, "dead_letters": 3 })).await;
    // Nobody gives a command under another name than that of their token.
    let (status, refused) = post(&rig, "/discard?all=true&by=kim").await;
    assert!(
        status == 400 && refused["error"].as_str().is_some_and(|error| error.contains("`by`")),
        "{refused}"
    );
    ordered_by(&rig, "kim", &["dead-letters", "discard", "acme", "--all"]).await;
    ledger(&rig, json!({ "records_in": 5, "dead_letters": 3, "open": 0 })).await;
    assert_eq!(ask(&rig, "").await["dead_letters"], json!([]));

    rig.kill().await;
    rig.start().await;
    let orders = ask(&rig, "/audit").await["commands"].clone();
    let who: Vec<_> =
        orders.as_array().expect("a list").iter().map(|o| (&o["by"], &o["act"], &o["record"])).collect();
    let expected = [("kim", "discard", third), ("sam", "retry", first), ("jo", "retry", second)];
    let expected = expected.map(|(by, act, record)| (json!(by), json!(act), json!(record)));
    assert_eq!(who, expected.each_ref().map(|(by, act, record)| (by, act, record)));
    let said = ordered(&rig, &["dead-letters", "audit", "acme", "--limit", "1"]).await;
    assert!(said.contains("discard of dead letter") && said.contains("by kim"), "{said}");
}

#[actix_rt::test]
async fn the_same_refusal_is_one_letter_over_refreshes_and_kills_until_the_record_is_written() {
    let mut rig = reachable(|text| text).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("ACME-KEY-1", 54_321)));
    let fault = RowFault {
        key: "ACME-KEY-1".to_owned(),
        code: "FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned(),
        message: "54321 employees of acme-key-1 are too many".to_owned(),
        fields: vec!["Employee_Count__c".to_owned()],
        count: 4,
        further: Vec::new(),
    };
    rig.org("acme").refuse_row(fault);
    let record = publish(&rig, 1);
    ledger(&rig, json!({ "records_in": 1, "dead_letters": 1 })).await;
    let first = newest(&rig).await;
    for time in 2..=3 {
        ordered(&rig, &["refresh", "acme", "--wait"]).await;
        ledger(&rig, json!({ "records_in": time, "dead_letters": time, "open": 0 })).await;
        let list = ask(&rig, "").await["dead_letters"].clone();
        assert_eq!((list.as_array().map(Vec::len), &list[0]["count"]), (Some(1), &json!(time)), "{list}");
        assert_eq!((&list[0]["number"], &list[0]["first_ms"]), (&first["number"], &first["first_ms"]));
        rig.kill().await;
        rig.start().await;
        rig.subscribed("acme").await;
    }
    let letter = newest(&rig).await;
    let error = &letter["errors"][0];
    assert_eq!(
        (&error["message"], &error["fields"]),
        (&json!("… employees of … are too many"), &json!(["Employee_Count__c"]))
    );
    let groups = ask(&rig, "/groups").await["groups"].clone();
    assert_eq!(
        (&groups[0]["letters"], &groups[0]["count"], &groups[0]["sample"]["number"]),
        (&json!(1), &json!(3), &first["number"])
    );

    // A retry that is refused again is the same letter.
    let group = groups[0]["key"].as_str().expect("a key").to_owned();
    let (status, would) = post(&rig, &format!("/retry?group={group}&dry_run=true")).await;
    assert_eq!((status, &would["letters"], &would["newest"]), (200, &json!(1), &first["number"]));
    let (status, done) = post(&rig, &format!("/retry?group={group}")).await;
    assert_eq!((status, &done["asked"][0]["records"]), (202, &json!([record])), "{done}");
    ledger(&rig, json!({ "records_in": 4, "dead_letters": 4, "open": 0 })).await;
    let letter = newest(&rig).await;
    assert_eq!((&letter["number"], &letter["count"]), (&first["number"], &json!(4)));
    let ends = ask(&rig, &format!("/retried?records={record}&since_ms={}", done["at_ms"])).await;
    assert_eq!(
        (&ends["records"][0]["end"]["fate"], &ends["records"][0]["end"]["letter"]),
        (&json!("dead_letter"), &first["number"]),
        "{ends}"
    );

    // It is written by itself, and the letter is needed no more.
    ordered(&rig, &["refresh", "acme", "--wait"]).await;
    ledger(&rig, json!({ "records_in": 5, "dead_letters": 4, "written": 1, "open": 0 })).await;
    assert_eq!(ask(&rig, "").await["dead_letters"], json!([]));
    let commands = ask(&rig, "/audit").await["commands"].clone();
    assert_eq!(
        (&commands[0]["act"], &commands[0]["letter"], &commands[1]["act"]),
        (&json!("close"), &first["number"], &json!("retry"))
    );
    let said = ordered(&rig, &["explain", "acme", &record]).await;
    assert!(said.contains("has been written since") && !said.contains("54321 employees"), "{said}");
}

/// Before commit C nothing is known of the refusal, and behind it all: the letter is the same one, and is counted once.
#[actix_rt::test]
async fn a_kill_beside_commit_c_makes_neither_a_second_letter_nor_a_lost_one() {
    for point in ["before-c", "after-c"] {
        let mut rig = reachable(|text| text).await;
        rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 10)));
        rig.org("acme").refuse_row(RowFault {
            key: "K1".to_owned(),
            code: "FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned(),
            message: "not now".to_owned(),
            fields: Vec::new(),
            count: u32::MAX,
            further: Vec::new(),
        });
        rig.start().await;
        rig.subscribed("acme").await;
        publish(&rig, 1);
        ledger(&rig, json!({ "dead_letters": 1 })).await;
        let first = newest(&rig).await;
        rig.terminate().await;

        rig.start_failing(&format!("{point}/acme=abort")).await;
        rig.subscribed("acme").await;
        post(&rig, &format!("/{}/retry", first["number"])).await;
        rig.ended().await;
        rig.start().await;
        ledger(&rig, json!({ "records_in": 2, "dead_letters": 2, "open": 0 })).await;
        let letters = ask(&rig, "").await["dead_letters"].clone();
        assert_eq!(letters.as_array().map(Vec::len), Some(1), "{point}: {letters}");
        assert_eq!((&letters[0]["number"], &letters[0]["count"]), (&first["number"], &json!(2)), "{point}");
    }
}

/// All that is wrong with a row stands in its letter; by Bulk API 2.0 as much as by REST.
#[actix_rt::test]
async fn salesforces_own_words_stand_in_a_letter_by_each_way_of_writing() {
    for bulk_from in [1_000, 2] {
        let mut rig = reachable(|text| {
            let limits = format!("[org_defaults.limits]\nbulk_from = {bulk_from}\n");
            text.replace("[org_defaults.limits]\n", &limits)
        })
        .await;
        rig.start().await;
        rig.subscribed("acme").await;
        rig.simulator.vendor().set_answer(&domain(1), Some(answer("ACME-KEY-1", 54_321)));
        rig.org("acme").refuse_row(RowFault {
            key: "ACME-KEY-1".to_owned(),
            code: "FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned(),
            message: "54321: too many employees: see acme-key-1".to_owned(),
            fields: vec!["Employee_Count__c".to_owned()],
            count: 1,
            further: vec![RowError {
                code: "STRING_TOO_LONG".to_owned(),
                message: "Industry: data value too large".to_owned(),
                fields: vec!["Industry__c".to_owned()],
            }],
        });
        rig.simulator.vendor().set_answer(&domain(2), Some(answer("K2", 7)));
        let ids = [1, 2].map(|n| rig.org("acme").create("Account", account(n)).expect("an account"));
        rig.org("acme").publish("Sync_Request__e", request(&ids));
        ledger(&rig, json!({ "records_in": 2, "written": 1, "dead_letters": 1, "open": 0 })).await;
        assert_eq!(rig.org("acme").jobs().is_empty(), bulk_from > 2);
        let errors = newest(&rig).await["errors"].clone();
        let first = json!({
            "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "message": "… too many employees: see …",
            "fields": ["Employee_Count__c"],
        });
        let second = json!({
            "code": "STRING_TOO_LONG",
            "message": "Industry: data value too large",
            "fields": ["Industry__c"],
        });
        let wanted = if bulk_from == 2 { json!([first]) } else { json!([first, second]) };
        assert_eq!(errors, wanted, "bulk_from = {bulk_from}");
    }
}

/// Two accounts, of which the answers lack an external ID; gives the numbers of their letters by record, oldest first.
async fn two_letters(rig: &Rig) -> [(String, String); 2] {
    let mut letters = Vec::new();
    for n in 1..=2 {
        rig.simulator.vendor().set_answer(&domain(n), Some(json!({ "employees": 12_345 })));
        let record = publish(rig, n);
        ledger(rig, json!({ "records_in": n, "dead_letters": n })).await;
        letters.push((newest(rig).await["number"].to_string(), record));
    }
    letters.try_into().expect("two of them")
}

#[actix_rt::test]
async fn a_retry_that_is_waited_for_says_what_came_of_each_record() {
    let mut rig = reachable(|text| text).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let [(first, mended), (second, refused)] = two_letters(&rig).await;
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 11)));

    let retry = ["dead-letters", "retry", "acme", "--all", "--wait"];
    let (code, said) = exit_code(&rig, &retry).await;
    assert_eq!(code, Some(1), "one of them is a dead letter again: {said}");
    assert!(said.contains(&format!("{first}: record {mended} written\n")), "{said}");
    let again = format!("{second}: record {refused} is dead letter {second} again: ");
    assert!(said.contains(&again) && said.contains("External_Id__c"), "{said}");
    assert!(said.contains("2 records asked for anew: 1 dead letter again, 1 written\n"), "{said}");
    assert!(rig.enrichment("acme", "K1").is_some(), "it was waited for");

    // Nothing is written for an org that is paused, and the wait has an end.
    rig.simulator.vendor().set_answer(&domain(2), Some(answer("K2", 22)));
    ordered(&rig, &["org", "pause", "acme"]).await;
    let retry = ["dead-letters", "retry", "acme", &second, "--wait", "--timeout-secs", "1"];
    let (code, said) = exit_code(&rig, &retry).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("{second}: record {refused} has not ended")), "{said}");
    assert!(said.contains("not ended within 1 s: 1") && said.contains("orgpipe explain"), "{said}");
    ordered(&rig, &["org", "resume", "acme"]).await;
    ledger(&rig, json!({ "records_in": 5, "dead_letters": 3, "written": 2, "open": 0 })).await;
}

#[actix_rt::test]
async fn several_letters_are_thrown_away_only_if_somebody_says_so() {
    let mut rig = reachable(|text| text).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let [(first, _), (second, _)] = two_letters(&rig).await;
    let said = ordered(&rig, &["dead-letters", "list", "acme", "--group"]).await;
    let key = said.split_whitespace().next().expect("a key").to_owned();
    assert!(
        said.contains("2 dead letters in accounts: 2 records\n    ") && said.contains("External_Id__c"),
        "{said}"
    );
    let said = ordered(&rig, &["dead-letters", "list", "acme", "--group", &key, "--limit", "1"]).await;
    assert!(said.starts_with(&second) && said.contains("External_Id__c"), "{said}");
    let (code, said) = exit_code(&rig, &["dead-letters", "list", "acme", "--group", "other"]).await;
    assert!(code == Some(1) && said.contains("`group` is no key of a group"), "{said}");

    for which in [&["--all"][..], &["--group", &key], &["--reason", "external"], &[&first, &second]] {
        let discard = [&["dead-letters", "discard", "acme"][..], which].concat();
        let (code, said) = exit_code(&rig, &discard).await;
        assert_eq!(code, Some(2), "{which:?}: {said}");
        assert!(said.contains("2 dead letters would be thrown away") && said.contains("--yes"), "{said}");
    }
    assert_eq!(ask(&rig, "").await["dead_letters"].as_array().map(Vec::len), Some(2), "nothing was done");
    // One is named on purpose, and nobody has to be asked about it.
    ordered(&rig, &["dead-letters", "discard", "acme", &first]).await;
    let before = ["dead-letters", "discard", "acme", "--all", "--before", &second];
    let said = ordered(&rig, &before).await;
    assert!(said.contains("discard of 0 dead letters"), "{said}");
    let [_, _] = [publish(&rig, 1), publish(&rig, 1)];
    ledger(&rig, json!({ "records_in": 4, "dead_letters": 4, "open": 0 })).await;
    let said = ordered(&rig, &["dead-letters", "retry", "acme", "--group", &key]).await;
    assert!(said.contains("retry of 3 dead letters"), "{said}");
    ledger(&rig, json!({ "records_in": 7, "dead_letters": 7, "open": 0 })).await;
    let said = ordered(&rig, &["dead-letters", "discard", "acme", "--group", &key, "--yes"]).await;
    assert!(said.contains("discard of 3 dead letters"), "{said}");
    assert_eq!(ask(&rig, "").await["dead_letters"], json!([]));
}
