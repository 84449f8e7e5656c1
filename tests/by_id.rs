//! `match = "id"`: onto the customer's own record, by its ID: by each API, live and by refreshes, and no write of ours asks for
//! another look.

mod support;

use orgpipe_simulator::{
    CustomField, FieldKind, FieldRight, LoggedCall, ObjectRight, OrgOptions, Profile, Right, Row, RowFault,
};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

/// Settings that write onto the account itself.
fn onto_itself(settings: &str) -> String {
    let fields = "Employee_Count__c = \"/employees\"\nIndustry__c = \"/industry\"";
    settings
        .replace("target = \"Enrichment__c\"\n", "match = \"id\"\n")
        .replace("external_id = { field = \"External_Id__c\", from = \"/key\" }\n", "")
        .replace("Account__c = \"$Id\"\n", "")
        .replace(fields, "NumberOfEmployees = \"/employees\"\nIndustry = \"/industry\"")
}

fn on_changes(settings: &str) -> String {
    settings.replace("channel = \"/event/Sync_Request__e\"", "channel = \"/data/AccountChangeEvent\"")
}

/// An org whose integration user may change accounts.
fn org() -> OrgOptions {
    OrgOptions { flow: false, profile: Profile::SystemAdministrator, ..OrgOptions::named("acme") }
}

async fn rig(org: OrgOptions, edit: impl FnOnce(String) -> String) -> Rig {
    let mut rig = Rig::with(vec![org], |text| edit(onto_itself(&text))).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

fn knows(rig: &Rig, n: usize, employees: u32) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer("unused", employees)));
}

/// An account, of which the API knows this.
fn create(rig: &Rig, n: usize, employees: u32) -> String {
    knows(rig, n, employees);
    rig.org("acme").create("Account", account(n)).expect("an account")
}

/// An account of which the API knows nothing.
fn create_unknown(rig: &Rig, n: usize) {
    rig.simulator.vendor().set_answer(&domain(n), None);
    rig.org("acme").create("Account", account(n)).expect("an account");
}

fn employees(rig: &Rig, id: &str) -> Value {
    rig.org("acme").get("Account", id).expect("the account")["NumberOfEmployees"].clone()
}

/// The counted calls by what they do, in order; looks at a job and its results are left out.
fn calls(rig: &Rig) -> Vec<&'static str> {
    let counted = rig.org("acme").calls().into_iter().filter(|call| call.counted);
    let what = |call: LoggedCall| {
        let path = call.path.trim_start_matches("/services/data/v66.0/").to_owned();
        match (call.method.as_str(), path.as_str()) {
            ("GET", "sobjects/Account/describe") => Some("describe"),
            ("GET", "query") if call.query.contains("COUNT()") => Some("count"),
            ("GET", "query") => Some("query"),
            ("PATCH", "composite/sobjects") => Some("update"),
            ("POST", "jobs/ingest") => Some("job"),
            (_, path) if path.starts_with("jobs/") => None,
            (method, path) => panic!("{method} {path}"),
        }
    };
    counted.filter_map(what).collect()
}

/// Once an event that came later than all others is decided, all that was asked for before it is, too. `so_far`: records that
/// may have been asked for until then.
async fn nothing_more_is_asked(rig: &Rig, n: usize, so_far: usize) {
    create_unknown(rig, n);
    rig.ledger("acme", json!({ "records_in": so_far + 1, "no_data": 1, "open": 0 })).await;
}

#[actix_rt::test]
async fn one_a_few_and_many_records_are_written_by_their_ids_and_read_once() {
    for (count, way) in [(1, "update"), (9, "update"), (25, "job")] {
        let rig = rig(org(), |text| text).await;
        let ids: Vec<String> = (0..count).map(|n| create(&rig, n, 7)).collect();
        rig.org("acme").clear_calls();
        rig.org("acme").publish("Sync_Request__e", request(&ids));
        rig.ledger("acme", json!({ "records_in": count, "written": count, "open": 0 })).await;
        assert!(ids.iter().all(|id| employees(&rig, id) == json!(7)), "{count}");
        assert_eq!(calls(&rig), ["query", "describe", way], "{count}: one query reads all");
        if way == "job" {
            assert_eq!(rig.org("acme").jobs()[0].operation, "update");
        }

        // The same once more, and refreshes: nothing differs, and a page brings all that is compared, once the last write is
        // a second old for sure.
        rig.org("acme").clear_writes();
        rig.org("acme").clear_calls();
        rig.org("acme").publish("Sync_Request__e", request(&ids));
        rig.ledger("acme", json!({ "unchanged": count, "open": 0 })).await;
        assert_eq!(calls(&rig), ["query"], "{count}");
        let mut unchanged = count;
        eventually("a refresh of one query", async || {
            rig.org("acme").clear_calls();
            rig.order("acme", "refresh").await;
            unchanged += count;
            rig.ledger("acme", json!({ "unchanged": unchanged, "open": 0 })).await;
            rig.through("acme").await;
            let mut calls = calls(&rig);
            calls.retain(|call| *call != "count");
            (calls == ["query"]).then_some(())
        })
        .await;
        assert_eq!(rig.org("acme").writes(), [], "{count}");
    }
}

/// A live write between the reading of a page and its look-up is seen, though the page does not show it.
#[actix_rt::test]
async fn what_was_written_since_a_page_was_read_is_read_once_more() {
    let rig = rig(org(), |text| text).await;
    let id = create(&rig, 1, 5);
    rig.org("acme").publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    rig.ledger("acme", json!({ "written": 1, "open": 0 })).await;
    rig.org("acme").clear_writes();
    // The page is read at the same second as the write before may have ended.
    for round in 1..3 {
        rig.order("acme", "refresh").await;
        rig.ledger("acme", json!({ "unchanged": round, "open": 0 })).await;
        rig.through("acme").await;
    }
    assert_eq!(rig.org("acme").writes(), []);
    // Somebody changes it: the next refresh writes it back, once.
    let other: Row = [("NumberOfEmployees".to_owned(), json!(1))].into_iter().collect();
    rig.org("acme").update("Account", &id, other).expect("changed");
    rig.order("acme", "refresh").await;
    rig.ledger("acme", json!({ "written": 2, "open": 0 })).await;
    rig.through("acme").await;
    assert_eq!((employees(&rig, &id), rig.org("acme").writes().len()), (json!(5), 1));
}

/// A Bulk query's rows are CSV: each type is what a page would have brought.
#[actix_rt::test]
async fn a_refresh_by_a_bulk_query_compares_each_type_and_the_second_writes_nothing() {
    let kinds = [
        ("Listed__c", FieldKind::Checkbox, json!(true)),
        ("Founded__c", FieldKind::Date, json!("2001-02-03")),
        ("Seen__c", FieldKind::DateTime, json!("2026-01-31T13:05:00Z")),
        ("Score__c", FieldKind::Number { precision: 10, scale: 2 }, json!(12.5)),
        ("Code__c", FieldKind::Text { length: 20 }, json!("a, \"b\"")),
    ];
    let custom_fields = kinds.clone().map(|(name, kind, _)| CustomField {
        object: "Account".to_owned(),
        name: name.to_owned(),
        kind,
        required: false,
        external_id: false,
        unique: false,
        computed: false,
    });
    let lines: Vec<String> = kinds.iter().map(|(name, ..)| format!("{name} = \"/{name}\"\n")).collect();
    let lines = lines.concat();
    let org = OrgOptions { custom_fields: custom_fields.to_vec(), ..org() };
    let rig = rig(org, |text| {
        text.replace("refresh = { ", "refresh = { bulk_from = 2, ")
            .replace("[sync.fields]\n", &format!("[sync.fields]\n{lines}"))
    })
    .await;
    for n in 0..30 {
        let mut known = answer("unused", 7);
        for (name, _, value) in &kinds {
            known[*name] = value.clone();
        }
        rig.simulator.vendor().set_answer(&domain(n), Some(known));
        rig.org("acme").create("Account", account(n)).expect("an account");
    }
    rig.order("acme", "refresh").await;
    rig.ledger("acme", json!({ "written": 30, "open": 0 })).await;
    rig.through("acme").await;
    rig.org("acme").clear_writes();
    rig.org("acme").clear_calls();
    rig.order("acme", "refresh").await;
    rig.ledger("acme", json!({ "written": 30, "unchanged": 30, "open": 0 })).await;
    rig.through("acme").await;
    assert_eq!(rig.org("acme").writes(), []);
    let by_job = |call: &LoggedCall| call.method == "POST" && call.path.ends_with("/jobs/query");
    assert!(rig.org("acme").calls().iter().any(by_job), "it was read by a job");
}

/// One change, one write, and no further request: with the package's own flow, whether or not its setting keeps it quiet about
/// us, as long as no field is written that the flow watches; and at most one look more if one is.
#[actix_rt::test]
async fn the_packages_flow_asks_for_no_more_after_our_own_write() {
    let website = |text: String| text.replace("Industry = \"/industry\"", "Website = \"/website\"");
    for (exempt, watched, looks) in [(true, false, 1), (false, false, 1), (true, true, 1), (false, true, 2)] {
        let org = OrgOptions { flow: true, ..org() };
        let rig = rig(org, |text| if watched { website(text) } else { text }).await;
        if !exempt {
            rig.org("acme").take_right(Right::SettingRow);
        }
        let known = json!({ "employees": 7, "industry": "Software", "website": "new.example" });
        rig.simulator.vendor().set_answer(&domain(1), Some(known.clone()));
        rig.simulator.vendor().set_answer("new.example", Some(known));
        let id = rig.org("acme").create("Account", account(1)).expect("an account");
        let expected = json!({ "records_in": looks, "written": 1, "unchanged": looks - 1, "open": 0 });
        rig.ledger("acme", expected).await;
        assert_eq!(employees(&rig, &id), json!(7));
        nothing_more_is_asked(&rig, 2, looks).await;
        assert_eq!(rig.org("acme").writes().len(), 1, "{exempt} {watched}");
    }
}

/// The same with change data, by a few records and by a job; what others change is asked for.
#[actix_rt::test]
async fn change_events_of_our_own_writes_ask_for_nothing_and_those_of_others_do() {
    for count in [1, 25] {
        let org = OrgOptions { change_data: true, ..org() };
        let rig = rig(org, |text| on_changes(&text)).await;
        let ids: Vec<String> = (0..count).map(|n| create(&rig, n, 7)).collect();
        rig.ledger("acme", json!({ "records_in": count, "written": count, "open": 0 })).await;
        nothing_more_is_asked(&rig, 100, count).await;
        assert_eq!(rig.org("acme").writes().len(), count);

        // Somebody changes a field of ours: it is written back, and that is all.
        let other: Row = [("NumberOfEmployees".to_owned(), json!(1))].into_iter().collect();
        rig.org("acme").update("Account", &ids[0], other).expect("changed");
        let expected = json!({ "records_in": count + 2, "written": count + 1, "open": 0 });
        rig.ledger("acme", expected).await;
        assert_eq!(employees(&rig, &ids[0]), json!(7));
        create_unknown(&rig, 101);
        rig.ledger("acme", json!({ "records_in": count + 3, "no_data": 2, "open": 0 })).await;
        assert_eq!(rig.org("acme").writes().len(), count + 1);
    }
}

/// What cannot be written stays with the record: several answers are a letter, a deleted record is none, and a refusal is
/// the record's own.
#[actix_rt::test]
async fn the_trouble_of_one_record_stays_with_that_record() {
    let rig = rig(org(), |text| text).await;
    let ids: Vec<String> = (0..4).map(|n| create(&rig, n, 7)).collect();
    let several = json!([{ "employees": 1 }, { "employees": 2 }]);
    rig.simulator.vendor().set_answer(&domain(0), Some(several));
    rig.simulator.vendor().set_answer(&domain(1), Some(json!({ "employees": "many" })));
    rig.org("acme").delete("Account", &ids[2]).expect("deleted");
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    let expected = json!({ "records_in": 4, "written": 1, "no_data": 1, "dead_letters": 2, "open": 0 });
    rig.ledger("acme", expected).await;
    assert_eq!((employees(&rig, &ids[0]), employees(&rig, &ids[3])), (Value::Null, json!(7)));
    let url = format!("{}/api/v1/orgs/acme/dead-letters", rig.admin);
    let letters = rig.http.get(url).send().await.expect("an answer").text().await.expect("text");
    assert!(
        letters.contains("2 objects for the record") && letters.contains("NumberOfEmployees"),
        "{letters}"
    );
}

/// Create is not needed where no record is made: one that sharing keeps from us is that record's letter, and says nothing of the object.
#[actix_rt::test]
async fn a_record_that_may_not_be_changed_is_a_letter_though_none_may_be_made() {
    let rig = rig(org(), |text| text).await;
    rig.org("acme").take_right(Right::Object("Account".to_owned(), ObjectRight::Create));
    let ids: Vec<String> = (0..2).map(|n| create(&rig, n, 7)).collect();
    rig.simulator.vendor().set_answer(&domain(0), Some(json!({ "employees": 7, "industry": "Banking" })));
    rig.org("acme").refuse_row(RowFault {
        key: "Banking".to_owned(),
        code: "INSUFFICIENT_ACCESS_OR_READONLY".to_owned(),
        message: "insufficient access rights on object id".to_owned(),
        fields: Vec::new(),
        count: 9,
        further: Vec::new(),
    });
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    let expected = json!({ "records_in": 2, "written": 1, "dead_letters": 1, "open": 0 });
    rig.ledger("acme", expected).await;
    assert_eq!((employees(&rig, &ids[0]), employees(&rig, &ids[1])), (Value::Null, json!(7)));
    assert_eq!(
        calls(&rig).iter().filter(|call| **call == "describe").count(),
        1,
        "the object is in no doubt"
    );
}

/// A field that goes or comes back in the org is in quarantine both for reading and for writing, and the rest goes on.
#[actix_rt::test]
async fn a_field_that_the_user_may_not_see_any_more_is_left_out() {
    let field = |right| Right::Field("Account".to_owned(), "Industry".to_owned(), right);
    let rig = rig(org(), |text| text).await;
    rig.org("acme").take_right(field(FieldRight::Read));
    let id = create(&rig, 1, 7);
    rig.org("acme").publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    rig.ledger("acme", json!({ "records_in": 1, "written": 1, "open": 0 })).await;
    assert_eq!(employees(&rig, &id), json!(7));
    let quarantined = rig.view("acme").await.to_string();
    assert!(
        quarantined.contains("Account.Industry") || quarantined.contains("\"Industry\""),
        "{quarantined}"
    );
}

/// `orgpipe check` names what nobody can write and what is not allowed; the doctor does, too, and prints what mends it.
#[actix_rt::test]
async fn check_and_doctor_name_formulas_and_missing_rights_to_edit() {
    let formula = CustomField {
        object: "Account".to_owned(),
        name: "Size_Class__c".to_owned(),
        kind: FieldKind::Text { length: 20 },
        required: false,
        external_id: false,
        unique: false,
        computed: true,
    };
    let org = OrgOptions { flow: false, custom_fields: vec![formula], ..OrgOptions::named("acme") };
    let lines = "[sync.fields]\nSize_Class__c = \"/class\"\n";
    let mut rig = rig(org, |text| text.replace("[sync.fields]\n", lines)).await;
    rig.org("acme").create("Account", account(1)).expect("an account");
    let output = rig.command(&["check"]).output().await.expect("the command runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in ["lacks Edit on Account", "Account.Size_Class__c is computed by Salesforce", "Take it out"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let doctor = async |rig: &Rig| -> Value {
        let url = format!("{}/api/v1/orgs/acme/doctor", rig.admin);
        rig.http.post(url).send().await.expect("an answer").json().await.expect("JSON")
    };
    let told = |report: &Value| -> Vec<String> {
        let findings = report["findings"].as_array().expect("a list").iter();
        let errors = findings.filter(|finding| finding["severity"] == "error");
        errors
            .map(|finding| {
                format!(
                    "{} {}",
                    finding["topic"].as_str().expect("a text"),
                    finding["subject"].as_str().expect("a text")
                )
            })
            .collect()
    };
    let report = doctor(&rig).await;
    assert!(told(&report).contains(&"object Account".to_owned()), "{report}");
    assert!(told(&report).contains(&"computed Account.Size_Class__c".to_owned()), "{report}");
    assert!(
        report.to_string().contains("lacks Edit on Account"),
        "no right to create is asked for: {report}"
    );
    let set = report["permission_set"]["source"].as_str().expect("a permission set").to_owned();
    let account =
        set.split("<objectPermissions>").find(|block| block.contains("<object>Account<")).expect("rights");
    assert!(account.contains("<allowCreate>false<") && account.contains("<allowEdit>true<"), "{set}");

    // With the object's right only those on its fields are missing, and each is named.
    rig.org("acme").give_right(Right::Object("Account".to_owned(), ObjectRight::Edit));
    let report = doctor(&rig).await;
    for field in ["NumberOfEmployees", "Industry"] {
        assert!(told(&report).contains(&format!("field Account.{field}")), "{field}: {report}");
        rig.org("acme").give_right(Right::Field("Account".to_owned(), field.to_owned(), FieldRight::Read));
        rig.org("acme").give_right(Right::Field("Account".to_owned(), field.to_owned(), FieldRight::Edit));
    }
    let report = doctor(&rig).await;
    assert_eq!(told(&report), ["computed Account.Size_Class__c"], "{report}");
    rig.terminate().await;
    // And what is right writes.
    rig.write(
        "orgpipe.toml",
        &std::fs::read_to_string(rig.folder.path().join("orgpipe.toml"))
            .expect("settings")
            .replace("Size_Class__c = \"/class\"\n", ""),
    );
    rig.start().await;
    rig.subscribed("acme").await;
    let id = create(&rig, 2, 9);
    rig.org("acme").publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    eventually("the write", async || (employees(&rig, &id) == json!(9)).then_some(())).await;
}
