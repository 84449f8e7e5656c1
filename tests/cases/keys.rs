//! Record IDs, external IDs and field names are what the org says they are, and what is cut is told.

use orgpipe_simulator::{CustomField, FieldKind, FieldRight, OrgHandle, OrgOptions, Profile, Right, Row};
use serde_json::{Value, json};

use crate::support::{Rig, account, answer, domain, eventually, request};

fn field(object: &str, name: &str, kind: FieldKind) -> CustomField {
    let (object, name) = (object.to_owned(), name.to_owned());
    CustomField { object, name, kind, required: false, external_id: false, unique: false, computed: false }
}

/// The service with one org, `acme`, these fields beyond the usual ones, and changed settings.
async fn rig(options: OrgOptions, edit: impl FnOnce(String) -> String) -> Rig {
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..options }], edit).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// An own target of the vendor's, as the package's has fixed fields: with these fields beside `Key__c`.
const TARGET: &str = "Thing__c";

fn target(fields: &[(&str, FieldKind)]) -> OrgOptions {
    let key = |name: &str, kind| CustomField { external_id: true, unique: true, ..field(TARGET, name, kind) };
    let number = FieldKind::Number { precision: 18, scale: 0 };
    let keys = [key("Key__c", FieldKind::Text { length: 80 }), key("Number__c", number)];
    let custom_fields = fields.iter().map(|(name, kind)| field(TARGET, name, kind.clone())).chain(keys);
    OrgOptions { custom_fields: custom_fields.collect(), ..OrgOptions::named("acme") }
}

/// Settings that write to it by this external ID.
fn onto(key: &str, from: &str, fields: &str) -> impl FnOnce(String) -> String {
    let key = format!("external_id = {{ field = \"{key}\", from = \"{from}\" }}");
    let fields = format!("[sync.fields]\n{fields}\n");
    move |text| {
        text.replace("target = \"Enrichment__c\"", &format!("target = \"{TARGET}\""))
            .replace("external_id = { field = \"External_Id__c\", from = \"/key\" }", &key)
            .replace("[sync.fields]\n", &fields)
            .replace("Account__c = \"$Id\"\n", "")
            .replace("Employee_Count__c = \"/employees\"\n", "")
            .replace("Industry__c = \"/industry\"\n", "")
    }
}

fn row(value: &Value) -> Row {
    value.as_object().cloned().expect("an object")
}

fn publish(rig: &Rig, ids: &[String]) {
    rig.org("acme").publish("Sync_Request__e", request(ids));
}

/// Accounts of `acme` with these answers.
fn accounts(rig: &Rig, answers: &[Value]) -> Vec<String> {
    let create = |(n, answer): (usize, &Value)| {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer.clone()));
        rig.org("acme").create("Account", account(n)).expect("an account")
    };
    answers.iter().enumerate().map(create).collect()
}

async fn letters(rig: &Rig) -> Vec<Value> {
    let url = format!("{}/api/v1/orgs/acme/dead-letters?limit=1000", rig.admin);
    let listed: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    listed["dead_letters"].as_array().expect("a list").clone()
}

/// All sentences that are told of a record.
async fn story(rig: &Rig, id: &str) -> String {
    let url = format!("{}/api/v1/orgs/acme/records/{id}", rig.admin);
    let story: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    story.to_string()
}

#[actix_rt::test]
async fn a_watched_part_of_a_compound_field_is_taken_in_under_its_flat_name() {
    let options = OrgOptions { change_data: true, ..OrgOptions::named("acme") };
    let line = "channel = \"/data/AccountChangeEvent\"\nevent = { watch = [\"BillingCity\", \"Place__Latitude__s\"] }";
    let rig = rig(options, |text| text.replace("channel = \"/event/Sync_Request__e\"", line)).await;
    let org = rig.org("acme");
    let ids = accounts(&rig, &[answer("K0", 1)]);
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    // Another part, then the watched one.
    org.update("Account", &ids[0], row(&json!({ "BillingStreet": "Main Street 1" }))).expect("changed");
    rig.simulator.vendor().set_answer(&domain(0), Some(answer("K0", 2)));
    org.update("Account", &ids[0], row(&json!({ "BillingCity": "Berlin" }))).expect("changed");
    rig.ledger("acme", json!({ "records_in": 2, "written": 2, "open": 0 })).await;
    // A geolocation, as an org names it.
    rig.simulator.vendor().set_answer(&domain(0), Some(answer("K0", 3)));
    for part in ["Place__c.Longitude", "Place__c.Latitude"] {
        let header = json!({ "entityName": "Account", "recordIds": ids, "changeType": "UPDATE", "changedFields": [part] });
        org.publish_on("/data/AccountChangeEvent", row(&json!({ "ChangeEventHeader": header })));
    }
    rig.ledger("acme", json!({ "records_in": 3, "written": 3, "open": 0 })).await;
}

#[actix_rt::test]
async fn our_own_write_of_a_part_of_a_compound_field_asks_for_nothing() {
    let text = FieldKind::Text { length: 80 };
    let key = CustomField { external_id: true, unique: true, ..field("Account", "Key__c", text) };
    let profile = Profile::SystemAdministrator;
    let options =
        OrgOptions { change_data: true, profile, custom_fields: vec![key], ..OrgOptions::named("acme") };
    let edit = |text: String| {
        let text = text.replace("/event/Sync_Request__e", "/data/AccountChangeEvent");
        let text = text.replace("target = \"Enrichment__c\"", "target = \"Account\"");
        let text = text.replace("\"External_Id__c\", from = \"/key\"", "\"Key__c\", from = \"/key\"");
        let text = text.replace("Account__c = \"$Id\"\n", "");
        let text = text.replace("Employee_Count__c = \"/employees\"", "BillingCity = \"/city\"");
        text.replace("Industry__c = \"/industry\"", "ShippingPostalCode = \"/code\"")
    };
    let rig = rig(options, edit).await;
    let org = rig.org("acme");
    rig.simulator
        .vendor()
        .set_answer(&domain(0), Some(json!({ "key": "K0", "city": "Berlin", "code": "10115" })));
    let mut known = account(0);
    known.insert("Key__c".to_owned(), json!("K0"));
    let id = org.create("Account", known).expect("an account");
    rig.ledger("acme", json!({ "records_in": 1, "written": 1, "open": 0 })).await;
    assert_eq!(org.get("Account", &id).expect("the account")["BillingCity"], json!("Berlin"));
    // Somebody else's change comes behind our own write's event.
    org.update("Account", &id, row(&json!({ "BillingCity": "Bonn" }))).expect("changed");
    rig.ledger("acme", json!({ "records_in": 2, "written": 2, "open": 0 })).await;
    assert_eq!(rig.simulator.vendor().requests().len(), 2, "none for what we wrote ourselves");
}

/// Writes these keys in pairs that differ in case only, one or many at a time, twice.
async fn tells_case_apart(count: usize) {
    let case_sensitive = vec!["Enrichment__c.External_Id__c".to_owned()];
    let rig = rig(OrgOptions { case_sensitive, ..OrgOptions::named("acme") }, |text| text).await;
    let pair = |n: usize| [answer(&format!("a{n}Xy"), 1), answer(&format!("A{n}xY"), 2)];
    let ids = accounts(&rig, &(0..count).flat_map(pair).collect::<Vec<_>>());
    publish(&rig, &ids);
    rig.ledger("acme", json!({ "records_in": 2 * count, "written": 2 * count, "open": 0 })).await;
    assert_eq!(rig.org("acme").rows("Enrichment__c").len(), 2 * count);
    for (key, employees) in [("a0Xy", 1.0), ("A0xY", 2.0)] {
        assert_eq!(rig.enrichment("acme", key).expect("the record")["Employee_Count__c"], json!(employees));
    }
    publish(&rig, &ids);
    rig.ledger("acme", json!({ "records_in": 4 * count, "unchanged": 2 * count, "open": 0 })).await;
}

#[actix_rt::test]
async fn keys_that_differ_in_case_only_are_two_records_where_the_field_says_so() {
    tells_case_apart(1).await;
    // By the Bulk API, whose results name the keys only.
    tells_case_apart(12).await;
}

#[actix_rt::test]
async fn an_external_id_that_is_a_number_is_matched_and_written_as_one() {
    let options = target(&[("Employees__c", FieldKind::Number { precision: 10, scale: 0 })]);
    let rig = rig(options, onto("Number__c", "/number", "Employees__c = \"/employees\"")).await;
    let numbers = [json!(42), json!("0043"), json!(44.0)];
    let of =
        |(n, number): (usize, &Value)| json!({ "key": format!("K{n}"), "employees": 1, "number": number });
    let ids = accounts(&rig, &numbers.iter().enumerate().map(of).collect::<Vec<_>>());
    // By REST one, by Collections the others, then by Bulk API.
    for part in [&ids[..1], &ids[1..]] {
        publish(&rig, part);
        rig.ledger("acme", json!({ "open": 0, "dead_letters": 0 })).await;
    }
    rig.ledger("acme", json!({ "records_in": 3, "written": 3, "open": 0 })).await;
    publish(&rig, &ids);
    rig.ledger("acme", json!({ "records_in": 6, "written": 3, "unchanged": 3, "open": 0 })).await;
    let many: Vec<Value> = (3..15).map(|n| of((n, &json!(n + 1_000)))).collect();
    let ids: Vec<String> = many
        .iter()
        .enumerate()
        .map(|(n, answer)| {
            rig.simulator.vendor().set_answer(&domain(100 + n), Some(answer.clone()));
            rig.org("acme").create("Account", account(100 + n)).expect("an account")
        })
        .collect();
    publish(&rig, &ids);
    rig.ledger("acme", json!({ "records_in": 18, "written": 15, "open": 0 })).await;
    // What is no number is that record's letter.
    let odd = json!({ "key": "KX", "employees": 1, "number": "forty-two" });
    rig.simulator.vendor().set_answer(&domain(200), Some(odd));
    let odd = rig.org("acme").create("Account", account(200)).expect("an account");
    publish(&rig, &[odd, ids[0].clone()]);
    rig.ledger("acme", json!({ "records_in": 20, "unchanged": 4, "dead_letters": 1, "open": 0 })).await;
}

fn read(org: &OrgHandle, name: &str, given: bool) {
    let right = Right::Field("Account".into(), name.into(), FieldRight::Read);
    if given { org.give_right(right) } else { org.take_right(right) }
}

#[actix_rt::test]
async fn a_record_whose_only_key_is_hidden_is_a_letter_that_names_the_right() {
    for (hidden, keys) in [
        ("Website", "keys = { domain = \"Website\", phone = \"Phone\" }"),
        ("Phone", "keys = { number = \"Fax\", phone = \"Phone\" }"),
    ] {
        let edit = |text: String| {
            text.replace("keys = { domain = \"Website\" }", keys)
                .replace("refresh = { where = \"Website != null\" }", "")
        };
        let options = OrgOptions { profile: Profile::SystemAdministrator, ..OrgOptions::named("acme") };
        let rig = rig(options, edit).await;
        let org = rig.org("acme").clone();
        let company = json!({ "Name": "Company", hidden: "only.example" });
        let id = org.create("Account", row(&company)).expect("an account");
        rig.simulator.vendor().set_answer(&id, Some(answer("K0", 7)));
        read(&org, hidden, false);
        publish(&rig, std::slice::from_ref(&id));
        rig.ledger("acme", json!({ "records_in": 1, "dead_letters": 1, "no_data": 0, "open": 0 })).await;
        let letters = letters(&rig).await;
        let (reason, hint) = (letters[0]["reason"].to_string(), letters[0]["hint"].to_string());
        assert!(reason.contains(hidden) && reason.contains("may not read it"), "{reason}");
        assert!(hint.contains(hidden) && hint.contains("Let the integration user read"), "{hint}");
    }
}

#[actix_rt::test]
async fn a_sync_whose_only_key_is_hidden_waits_and_says_which_right_is_missing() {
    let rig = rig(OrgOptions::named("acme"), |text| text).await;
    let org = rig.org("acme").clone();
    let ids = accounts(&rig, &[answer("K0", 7)]);
    read(&org, "Website", false);
    publish(&rig, &ids);
    let ingest = eventually("the note", async || {
        let ingest = rig.view("acme").await["parts"]["ingest"].clone();
        ingest["note"].as_str().is_some_and(|note| note.contains("no Website that")).then_some(ingest)
    })
    .await;
    assert!(ingest["hint"].as_str().is_some_and(|hint| hint.contains("read it")), "{ingest}");
    rig.ledger("acme", json!({ "records_in": 1, "no_data": 0, "open": 1 })).await;
}

#[actix_rt::test]
async fn text_that_is_cut_is_told_and_a_code_is_never_cut() {
    let text = |length| FieldKind::Text { length };
    let fields = [("Note__c", text(20)), ("Long__c", FieldKind::LongText { length: 300 })];
    let codes = [("Country__c", text(2)), ("Locale__c", text(5))];
    let options = target(&[fields, codes].concat());
    let mapped =
        "Note__c = \"/note\"\nLong__c = \"/long\"\nLocale__c = \"/locale\"\nCountry__c = \"/country\"";
    let rig = rig(options, onto("Key__c", "/key", mapped)).await;
    let known = |key: &str, name: &str, value: &str| {
        let mut known = answer(key, 7);
        known[name] = json!(value);
        known
    };
    let long = known("K0", "long", &"secret".repeat(51));
    let note = known("K1", "note", "secret that is longer than its field");
    let codes = [known("K2", "country", "USA"), known("K3", "locale", "german")];
    let ids = accounts(&rig, &[vec![long, note], codes.to_vec()].concat());
    publish(&rig, &ids);
    rig.ledger("acme", json!({ "records_in": 4, "written": 2, "dead_letters": 2, "open": 0 })).await;
    for (id, cut) in
        [(&ids[0], "Long__c (from 306 to 300 characters)"), (&ids[1], "Note__c (from 36 to 20 characters)")]
    {
        let story = story(&rig, id).await;
        assert!(
            story.contains(&format!("Cut to the field's length: {cut}.")) && !story.contains("secret"),
            "{story}"
        );
    }
    let reasons: Vec<String> =
        letters(&rig).await.iter().map(|letter| letter["reason"].to_string()).collect();
    for name in ["Country__c", "Locale__c"] {
        assert_eq!(reasons.iter().filter(|reason| reason.contains(name)).count(), 1, "{reasons:?}");
    }
    // Unchanged, and told so again.
    publish(&rig, &ids[1..2]);
    rig.ledger("acme", json!({ "records_in": 5, "unchanged": 1, "open": 0 })).await;
    assert_eq!(story(&rig, &ids[1]).await.matches("Cut to the field's length").count(), 2);
}

#[actix_rt::test]
async fn a_number_beyond_two_to_the_53_is_sent_exactly_or_is_a_letter() {
    let number = |scale| FieldKind::Number { precision: 18, scale };
    let options = target(&[("Big__c", number(0)), ("Fine__c", number(2))]);
    let rig = rig(options, onto("Key__c", "/key", "Big__c = \"/big\"\nFine__c = \"/fine\"")).await;
    let ids = accounts(&rig, &vec![json!(null); 5]);
    let raw = [
        r#"{"key":"K0","big":9007199254740993}"#,
        r#"{"key":"K1","big":9007199254740995.0}"#,
        r#"{"key":"K2","big":-99999999999999997}"#,
        r#"{"key":"K3","big":1234567890123456789012}"#,
        r#"{"key":"K4","fine":1234567890123456.78}"#,
    ];
    for (n, raw) in raw.iter().enumerate() {
        rig.simulator.vendor().set_raw(&domain(n), raw);
    }
    publish(&rig, &ids);
    rig.ledger("acme", json!({ "records_in": 5, "written": 3, "dead_letters": 2, "open": 0 })).await;
    let sent: Vec<String> =
        rig.org("acme").writes().iter().map(|write| write.row["Big__c"].to_string()).collect();
    assert_eq!(sent, ["9007199254740993", "9007199254740995", "-99999999999999997"]);
    publish(&rig, &ids[..3]);
    rig.ledger("acme", json!({ "records_in": 8, "unchanged": 3, "open": 0 })).await;
}
