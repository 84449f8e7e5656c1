//! Mapped values of every form, over HTTP: written as they say, once; what cannot be worked out stays with its record.

use orgpipe_simulator::{CustomField, FieldKind, OrgOptions, Row};
use serde_json::{Value, json};

use crate::support::{Rig, account, domain};

const TARGET: &str = "Thing__c";

const MAPPED: &str = r#"
Account__c = "$Id"
Constant__c = { value = "orgpipe" }
Default__c = { from = "/nickname", default = "none" }
Country__c = { from = "/country", map = { DE = "Germany", FR = "France" } }
Other__c = { from = "/country", map = { DE = "Europe" }, otherwise = "Elsewhere" }
Tags__c = { from = "/tags", map = { a = "Alpha", b = "Beta" }, otherwise = "Gamma" }
Size__c = { cel = "answer.employees > 1000 ? 'Enterprise' : 'SMB'" }
Name__c = { cel = "record.Name + ' of ' + record.Owner.Email" }
Rate__c = { cel = "double(answer.employees) / 3.0" }
Large__c = { cel = "answer.employees > 1000" }
Since__c = { cel = "timestamp(answer.since)" }
Words__c = { cel = "answer.tags.map(t, t + '!').join(', ')", default = "no tags" }
Note__c = { from = "/note", overlong = "truncate" }
Strict__c = { from = "/strict", overlong = "refuse" }
Correlation__c = "$meta.correlation_id"
Synced__c = "$meta.synced_at"
Status__c = "$meta.status"
Hash__c = "$meta.content_hash"
"#;

fn options() -> OrgOptions {
    let texts = [
        "Constant__c",
        "Default__c",
        "Other__c",
        "Size__c",
        "Name__c",
        "Words__c",
        "Correlation__c",
        "Status__c",
    ];
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let mut fields: Vec<(&str, FieldKind)> =
        texts.iter().map(|name| (*name, FieldKind::Text { length: 80 })).collect();
    fields.extend([
        ("Account__c", FieldKind::Lookup { to: "Account".into(), children: String::new() }),
        ("Country__c", FieldKind::Picklist { values: list(&["Germany", "France"]), restricted: true }),
        ("Tags__c", FieldKind::MultiPicklist { values: list(&["Gamma", "Beta", "Alpha"]), restricted: true }),
        ("Rate__c", FieldKind::Number { precision: 18, scale: 2 }),
        ("Large__c", FieldKind::Checkbox),
        ("Since__c", FieldKind::DateTime),
        ("Note__c", FieldKind::Text { length: 20 }),
        ("Strict__c", FieldKind::Text { length: 20 }),
        ("Synced__c", FieldKind::DateTime),
        ("Hash__c", FieldKind::Text { length: 64 }),
    ]);
    let field = |name: &str, kind: FieldKind, external_id: bool| CustomField {
        object: TARGET.to_owned(),
        name: name.to_owned(),
        kind,
        required: false,
        external_id,
        computed: false,
        unique: external_id,
    };
    let key = field("Key__c", FieldKind::Text { length: 80 }, true);
    let custom_fields =
        fields.into_iter().map(|(name, kind)| field(name, kind, false)).chain([key]).collect();
    OrgOptions { flow: false, custom_fields, ..OrgOptions::named("acme") }
}

fn settings(text: &str) -> String {
    let key =
        "external_id = { field = \"Key__c\", from = { cel = \"answer.key.lowerAscii() + '-' + org\" } }";
    text.replace("target = \"Enrichment__c\"", &format!("target = \"{TARGET}\""))
        .replace("external_id = { field = \"External_Id__c\", from = \"/key\" }", key)
        .replace(
            "Account__c = \"$Id\"\nEmployee_Count__c = \"/employees\"\nIndustry__c = \"/industry\"\n",
            MAPPED,
        )
}

async fn rig() -> Rig {
    let mut rig = Rig::with(vec![options()], |text| settings(&text)).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

fn known(n: usize) -> Value {
    json!({ "key": format!("K{n}"), "employees": 1_000 + n, "country": "DE", "tags": ["b", "a", "x"],
        "since": "2026-01-31T13:05:00+02:00", "note": "secret that is longer than its field", "strict": "short" })
}

/// An account about which this is answered.
fn create(rig: &Rig, n: usize, known: Value) -> String {
    rig.simulator.vendor().set_answer(&domain(n), Some(known));
    rig.org("acme").create("Account", account(n)).expect("an account")
}

/// A refresh, and the names of the fields that it wrote, record by record.
async fn refreshed(rig: &Rig) -> Vec<Vec<String>> {
    rig.org("acme").clear_writes();
    rig.order("acme", "refresh").await;
    rig.through("acme").await;
    let names = |row: &Row| {
        let names = row.iter().filter(|(name, _)| !["Key__c", "attributes", "id"].contains(&name.as_str()));
        names.map(|(name, _)| name.clone()).collect()
    };
    rig.org("acme").writes().iter().map(|write| names(&write.row)).collect()
}

fn thing(rig: &Rig, key: &str) -> Row {
    let rows = rig.org("acme").rows(TARGET);
    rows.into_iter().find(|row| row["Key__c"] == key).unwrap_or_else(|| panic!("{key} is not there"))
}

async fn get(rig: &Rig, path: &str) -> Value {
    let url = format!("{}/api/v1/orgs/acme/{path}", rig.admin);
    rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

const RECEIPTS: [&str; 4] = ["Correlation__c", "Hash__c", "Status__c", "Synced__c"];

#[actix_rt::test]
async fn values_of_every_form_are_written_once_and_receipts_along_with_them() {
    for count in [2, 12] {
        let rig = rig().await;
        let ids: Vec<String> = (0..count).map(|n| create(&rig, n, known(n))).collect();
        assert_eq!(refreshed(&rig).await.len(), count);
        let first = thing(&rig, "k1-acme");
        for (field, expected) in [
            ("Account__c", json!(ids[1])),
            ("Constant__c", json!("orgpipe")),
            ("Default__c", json!("none")),
            ("Country__c", json!("Germany")),
            ("Other__c", json!("Europe")),
            ("Tags__c", json!("Gamma;Beta;Alpha")),
            ("Size__c", json!("Enterprise")),
            ("Rate__c", json!(333.67)),
            ("Large__c", json!(true)),
            ("Since__c", json!("2026-01-31T11:05:00.000+0000")),
            ("Words__c", json!("b!, a!, x!")),
            ("Note__c", json!("secret that is longe")),
            ("Strict__c", json!("short")),
            ("Status__c", json!("Current")),
        ] {
            assert_eq!(first[field], expected, "{field} of {first:?}");
        }
        assert!(first["Name__c"].as_str().is_some_and(|name| name.starts_with("Company 1 of ")), "{first:?}");
        assert_eq!(first["Hash__c"].as_str().map(str::len), Some(64));
        assert!(first["Correlation__c"].is_string() && first["Synced__c"].is_string());
        let story = get(&rig, &format!("records/{}", ids[1])).await.to_string();
        assert!(
            story.contains("Cut to the field's length: Note__c (from 36 to 20 characters).")
                && !story.contains("secret"),
            "{story}"
        );

        assert_eq!(refreshed(&rig).await, Vec::<Vec<String>>::new(), "the second refresh");
        assert_eq!(thing(&rig, "k1-acme"), first);

        let mut other = known(1);
        other["country"] = json!("FR");
        // One value differs: what is made of it is written with the receipts, and nothing else is.
        rig.simulator.vendor().set_answer(&domain(1), Some(other));
        let mut written = refreshed(&rig).await;
        let mut expected = vec!["Country__c", "Other__c"];
        expected.extend(RECEIPTS);
        written[0].sort();
        expected.sort_unstable();
        assert_eq!(written, [expected]);
        let second = thing(&rig, "k1-acme");
        assert!(second["Hash__c"] != first["Hash__c"] && second["Correlation__c"] != first["Correlation__c"]);
        assert_eq!(refreshed(&rig).await, Vec::<Vec<String>>::new());
    }
}

#[actix_rt::test]
async fn what_cannot_be_worked_out_is_a_dead_letter_of_its_record_alone() {
    let rig = rig().await;
    let without = |n: usize, name: &str, value: Option<Value>| {
        let mut known = known(n);
        let members = known.as_object_mut().expect("an object");
        members.remove(name);
        members.extend(value.map(|value| (name.to_owned(), value)));
        known
    };
    create(&rig, 0, known(0));
    for (n, known) in [
        (1, without(1, "employees", None)),
        (2, without(2, "country", Some(json!("hidden-land")))),
        (3, without(3, "strict", Some(json!("hidden text of more than twenty characters")))),
        (4, without(4, "since", Some(json!("hidden-date")))),
        (5, without(5, "key", Some(json!(5)))),
        (6, without(6, "tags", Some(json!(null)))),
    ] {
        create(&rig, n, known);
    }
    assert_eq!(refreshed(&rig).await.len(), 1);
    let letters = get(&rig, "dead-letters?limit=100").await;
    let reasons: Vec<&str> = letters["dead_letters"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|letter| letter["reason"].as_str())
        .collect();
    for (field, reason) in [
        ("Large__c", "takes something that was not answered"),
        ("Country__c", "`map` has no entry for the value"),
        ("Strict__c", "has 42 characters, the field takes 20"),
        ("Since__c", "`timestamp` of its expression cannot take the value"),
        ("Key__c", "cannot take int"),
        ("Words__c", "its expression has null where a list is needed"),
    ] {
        let found = reasons.iter().any(|told| told.contains(field) && told.contains(reason));
        assert!(found, "{field}: {reason} is not in {reasons:?}");
    }
    assert!(reasons.len() == 6 && !letters.to_string().contains("hidden"), "{letters}");
    assert_eq!(refreshed(&rig).await, Vec::<Vec<String>>::new());
}
