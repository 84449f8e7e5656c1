//! Write, read back, diff = nothing: for every type of field, as the simulated org stores it, which knows nothing of ours.

mod support;

use std::collections::BTreeMap;

use orgpipe_reconcile::{
    Desired, Row,
    describe::Describe,
    diff::{Diff, diff},
    row,
};
use orgpipe_simulator::{CustomField, FieldKind, Options, OrgHandle, OrgOptions, Simulator};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const OBJECT: &str = "Every__c";
const KEY: &str = "Ext__c";
/// Records of one sObject Collections call.
const RECORDS: usize = 200;

/// One field of each type, with a maker of values that a vendor may answer for it.
type Maker = fn(&mut StdRng) -> Value;

fn fields() -> Vec<(&'static str, FieldKind, Maker)> {
    let values = || ["Hot", "Warm", "Cold", "Very Cold"].map(str::to_owned).to_vec();
    let list = |restricted| FieldKind::Picklist { values: values(), restricted };
    let many = FieldKind::MultiPicklist { values: values(), restricted: true };
    let lookup = FieldKind::Lookup { to: "Account".into(), children: String::new() };
    vec![
        ("Text__c", FieldKind::Text { length: 12 }, text),
        ("Area__c", FieldKind::TextArea, text),
        ("Long__c", FieldKind::LongText { length: 300 }, text),
        ("Url__c", FieldKind::Url, |dice| json!(format!("https://{}.Example/x?y=1 ", word(dice)))),
        ("Phone__c", FieldKind::Phone, |dice| json!(format!(" +49 30 {}", dice.random_range(1..9_999)))),
        ("Email__c", FieldKind::Email, |dice| json!(format!("{}@Example.com", word(dice)))),
        ("Pick__c", list(true), pick),
        ("Free__c", list(false), pick),
        ("Many__c", many, |dice| {
            let count = dice.random_range(0..4);
            let chosen: Vec<Value> = (0..count).map(|_| pick(dice)).collect();
            if dice.random() {
                json!(chosen)
            } else {
                json!(chosen.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "))
            }
        }),
        ("Number__c", FieldKind::Number { precision: 18, scale: 0 }, |dice| {
            // What comes back as 5.0E7 and the like.
            let whole = dice.random_range(0..18_u32);
            json!(10_i64.pow(whole.min(15)) * dice.random_range(-9..9))
        }),
        ("Scaled__c", FieldKind::Number { precision: 16, scale: 3 }, amount),
        ("Money__c", FieldKind::Currency { precision: 18, scale: 2 }, amount),
        ("Percent__c", FieldKind::Percent { precision: 8, scale: 1 }, |dice| {
            json!(dice.random_range(-1e3..1e3_f64))
        }),
        ("Integer__c", FieldKind::Integer { digits: 9 }, |dice| {
            json!(dice.random_range(-999_999..999_999_i64))
        }),
        ("Check__c", FieldKind::Checkbox, |dice| {
            [json!(true), json!(false), json!("TRUE"), json!(0), Value::Null]
                .choose(dice)
                .cloned()
                .unwrap_or_default()
        }),
        ("Day__c", FieldKind::Date, |dice| {
            let day = format!(
                "{}-0{}-{}",
                dice.random_range(1_900..2_100),
                dice.random_range(1..9),
                dice.random_range(10..28)
            );
            if dice.random() { json!(day) } else { json!(format!("{day}T23:30:00-05:00")) }
        }),
        ("At__c", FieldKind::DateTime, |dice| {
            let zone = ["Z", "+0000", "+00:00", "-05:30", "+14:00"].choose(dice).copied().unwrap_or("Z");
            let (hour, part) = (
                dice.random_range(10..23),
                ["", ".5", ".999", ".123456"].choose(dice).copied().unwrap_or(""),
            );
            json!(format!("2026-0{}-15T{hour}:59:59{part}{zone}", dice.random_range(1..9)))
        }),
        ("Lookup__c", lookup, |_| json!("$account")),
    ]
}

fn word(dice: &mut StdRng) -> String {
    (0..dice.random_range(1..9))
        .map(|_| ['a', 'B', 'z', '7', 'Q'].choose(dice).copied().unwrap_or('a'))
        .collect()
}

fn text(dice: &mut StdRng) -> Value {
    let parts = ["a", "B", " ", "ß", "\u{1F600}", "\n", "\r\n", "1", "\"", ",", "é"];
    json!(
        (0..dice.random_range(0..20)).map(|_| parts.choose(dice).copied().unwrap_or("a")).collect::<String>()
    )
}

fn pick(dice: &mut StdRng) -> Value {
    json!(["Hot", "warm", " Cold", "VERY COLD"].choose(dice))
}

fn amount(dice: &mut StdRng) -> Value {
    let number = dice.random_range(-1e9..1e9_f64);
    match dice.random_range(0..4) {
        0 => json!(format!("{number:.5}")),
        1 => json!((number * 1e3).round() / 1e3),
        2 => json!(1.005),
        _ => json!(number),
    }
}

/// A way into the org without any of our client code.
struct Way {
    http: Client,
    base: String,
    token: String,
}

impl Way {
    async fn into(org: &OrgHandle) -> Self {
        let http = Client::new();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", org.client_id()),
            ("client_secret", org.client_secret()),
        ];
        let url = format!("{}/services/oauth2/token", org.base_url());
        let token: Value =
            http.post(url).form(&form).send().await.expect("an answer").json().await.expect("JSON");
        let token = token["access_token"].as_str().expect("a token").to_owned();
        Self { http, base: format!("{}/services/data/v66.0", org.base_url()), token }
    }

    async fn ask(&self, method: Method, path: &str, query: &[(&str, &str)], body: Option<&Value>) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = request.bearer_auth(&self.token).send().await.expect("an answer");
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.expect("JSON")
    }

    async fn upsert(&self, rows: &[(String, Row)]) {
        let records: Vec<Value> = rows
            .iter()
            .map(|(key, fields)| {
                let mut record = fields.clone();
                record.insert(KEY.into(), json!(key));
                record.insert("attributes".into(), json!({ "type": OBJECT }));
                Value::Object(record)
            })
            .collect();
        let body = json!({ "allOrNone": false, "records": records });
        let done =
            self.ask(Method::PATCH, &format!("/composite/sobjects/{OBJECT}/{KEY}"), &[], Some(&body)).await;
        for (result, (_, fields)) in done.as_array().expect("a list").iter().zip(rows) {
            assert_eq!(result["success"], true, "{result}: {fields:?}");
        }
    }

    /// All records, by their key in lower case.
    async fn read(&self, names: &[&str]) -> Vec<(String, Row)> {
        let soql = format!("SELECT Id, {KEY}, {} FROM {OBJECT}", names.join(", "));
        let page = self.ask(Method::GET, "/query", &[("q", &soql)], None).await;
        let row = |record: &Value| {
            let row = record.as_object().expect("a record").clone();
            (row::get(&row, KEY).and_then(Value::as_str).expect("a key").to_lowercase(), row)
        };
        page["records"].as_array().expect("records").iter().map(row).collect()
    }
}

/// What differs, record by record; `existing` may lack some.
fn differing(wants: &[Desired], existing: &[(String, Row)], describe: &Describe) -> Vec<(String, Row)> {
    let one = |desired: &Desired| {
        let key = desired.key.to_lowercase();
        let stored = existing.iter().find(|(known, _)| *known == key).map(|(_, row)| row);
        match diff(desired, stored, describe) {
            Ok(Diff::Unchanged) => None,
            Ok(Diff::Create(fields) | Diff::Update(fields)) => Some((desired.key.clone(), fields)),
            Err(problem) => panic!("{problem} ({:?})", desired.fields),
        }
    };
    wants.iter().filter_map(one).collect()
}

#[actix_rt::test]
async fn whatever_is_written_and_read_back_differs_in_nothing() {
    let fields = fields();
    let custom = |name: &str, kind: &FieldKind, external_id: bool| CustomField {
        object: OBJECT.into(),
        name: name.into(),
        kind: kind.clone(),
        required: false,
        external_id,
        computed: false,
        unique: external_id,
    };
    let mut custom_fields: Vec<CustomField> =
        fields.iter().map(|(name, kind, _)| custom(name, kind, false)).collect();
    custom_fields.push(custom(KEY, &FieldKind::Text { length: 40 }, true));
    let org = OrgOptions { custom_fields, flow: false, ..OrgOptions::named("acme") };
    let simulator =
        Simulator::start(Options { orgs: vec![org], ..Options::default() }).await.expect("a simulator");
    let org = simulator.org("acme").expect("the org");
    let account = org.create("Account", support::account(1)).expect("an account");
    let way = Way::into(org).await;
    let described = way.ask(Method::GET, &format!("/sobjects/{OBJECT}/describe"), &[], None).await;
    let describe = Describe::from_json(described.as_object().expect("an object")).expect("a describe");
    let names: Vec<&str> = fields.iter().map(|(name, _, _)| *name).collect();

    let mut dice = StdRng::seed_from_u64(4);
    // Created, then changed, with keys in another case and IDs of 15 characters.
    for round in 0..3 {
        let mut written = std::collections::BTreeSet::new();
        let wants: Vec<Desired> = (0..RECORDS)
            .map(|n| {
                let mut wanted = Row::new();
                for (name, _, make) in &fields {
                    let value = match dice.random_range(0..8) {
                        0 => Value::Null,
                        1 => continue,
                        2 if *name != "Check__c" => json!("  "),
                        _ => make(&mut dice),
                    };
                    let cut = if n % 2 == 0 { &account[..15] } else { &account };
                    let value = if value == "$account" { json!(cut) } else { value };
                    written.extend((!row::is_empty(&value)).then_some(*name));
                    wanted.insert((*name).into(), value);
                }
                let key = if round == 0 { format!("Key-{n}") } else { format!("kEY-{n}") };
                Desired {
                    key,
                    fields: wanted,
                    receipts: BTreeMap::new(),
                    overlong: BTreeMap::new(),
                    source_id: account.clone(),
                }
            })
            .collect();
        assert_eq!(written.len(), fields.len(), "each type had values");
        let changes = differing(&wants, &way.read(&names).await, &describe);
        assert_eq!(changes.len(), RECORDS);
        way.upsert(&changes).await;
        let left = differing(&wants, &way.read(&names).await, &describe);
        assert!(
            left.is_empty(),
            "round {round}: {} records would be written for ever, such as {:?}",
            left.len(),
            left[0]
        );
    }
}
