//! `orgpipe preview` and its API: what it foretells is what a refresh then does, it writes nothing, and it says and counts
//! what it takes.

mod support;

use std::time::Duration;

use orgpipe_simulator::{FieldRight, OrgOptions, Profile, Right};
use serde_json::{Value, json};
use support::{
    Rig, account, answer,
    cli::{order, order_as, ordered, reachable},
    domain, request,
};

/// An external ID that is longer than the field.
const KEY_CHARS: usize = 101;
/// Characters of the field `Industry__c`.
const INDUSTRY_CHARS: usize = 120;

/// The simulator and the service with these accounts in `acme`, each of which the API knows.
async fn rig(accounts: usize, edit: impl FnOnce(String) -> String) -> Rig {
    let mut rig = reachable(edit).await;
    filled(&rig, accounts);
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

fn filled(rig: &Rig, accounts: usize) {
    for n in 0..accounts {
        known(rig, n, 10);
        rig.org("acme").create("Account", account(n)).expect("an account");
    }
}

fn known(rig: &Rig, n: usize, employees: u32) {
    let answer = answer(&format!("K{n}"), employees);
    rig.simulator.vendor().set_answer(&domain(n), Some(answer));
}

/// The ID of the account that was made at this place.
fn id(rig: &Rig, n: usize) -> String {
    let name = json!(format!("Company {n}"));
    let rows = rig.org("acme").rows("Account");
    let row = rows.iter().find(|row| row["Name"] == name).expect("an account");
    row["Id"].as_str().expect("an ID").to_owned()
}

/// The settings as the file has them.
fn settings(rig: &Rig) -> String {
    std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("the settings")
}

async fn asked(rig: &Rig, org: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/api/v1/orgs/{org}/preview", rig.admin);
    let reply = rig.http.post(url).json(body).send().await.expect("an answer");
    (reply.status().as_u16(), reply.json().await.expect("JSON"))
}

/// A preview of `acme` that there must be.
async fn previewed(rig: &Rig, body: Value) -> Value {
    let (status, preview) = asked(rig, "acme", &body).await;
    assert_eq!(status, 200, "{preview}");
    preview
}

/// Calls that the customer pays for.
fn counted(rig: &Rig) -> u64 {
    rig.org("acme").calls().iter().filter(|call| call.counted).count() as u64
}

/// All that is known of an org but how its API is used.
async fn standing(rig: &Rig) -> Value {
    let mut view = rig.view("acme").await;
    for of_calls in ["calls", "api_usage", "budget", "subscription", "parts"] {
        view.as_object_mut().expect("an object").remove(of_calls);
    }
    let letters = format!("{}/api/v1/orgs/acme/dead-letters", rig.admin);
    let letters: Value = rig.http.get(letters).send().await.expect("an answer").json().await.expect("JSON");
    json!([view, letters])
}

async fn refreshed(rig: &Rig) {
    ordered(rig, &["refresh", "acme", "--wait"]).await;
    rig.through("acme").await;
}

/// By how much the ledger of `acme` grows.
fn growth(before: &Value, after: &Value) -> Value {
    let keys = ["written", "unchanged", "no_data", "dead_letters"];
    let number = |of: &Value, key: &str| of["records"][key].as_u64().expect("a number");
    Value::Object(
        keys.map(|key| (key.to_owned(), json!(number(after, key) - number(before, key))))
            .into_iter()
            .collect(),
    )
}

fn counts(side: &Value) -> Value {
    let keys = ["written", "unchanged", "no_data", "dead_letters"];
    Value::Object(keys.map(|key| (key.to_owned(), side["counts"][key].clone())).into_iter().collect())
}

#[actix_rt::test]
async fn a_sample_of_ten_thousand_records_writes_nothing_and_tells_what_all_will_take() {
    const ACCOUNTS: usize = 10_000;
    let mut rig = reachable(|text| text).await;
    for n in 0..ACCOUNTS {
        let known = (n % 10 != 0).then(|| answer(&format!("K{n}"), 10));
        rig.simulator.vendor().set_answer(&domain(n), known);
        rig.org("acme").create("Account", account(n)).expect("an account");
    }
    rig.start().await;
    rig.subscribed("acme").await;
    let org = rig.org("acme");
    let (before, calls, ours) =
        (standing(&rig).await, counted(&rig), rig.view("acme").await["budget"]["ours"].clone());
    rig.simulator.vendor().clear_requests();

    let (status, cost) = asked(&rig, "acme", &json!({ "sync": "accounts", "cost_only": true })).await;
    assert_eq!((status, &cost), (200, &json!({ "org": "acme", "cost": { "api_calls": 4, "lookups": 2 } })));
    assert_eq!(
        (counted(&rig), rig.simulator.vendor().requests().len()),
        (calls, 0),
        "it is said for nothing"
    );

    let preview = previewed(&rig, json!({ "sync": "accounts" })).await;
    assert_eq!(preview["cost"], cost["cost"]);
    let made = counted(&rig) - calls;
    assert_eq!((made, rig.simulator.vendor().requests().len()), (4, 2), "what it takes is what was said");
    let now = rig.view("acme").await["budget"]["ours"].clone();
    assert_eq!(now.as_u64().expect("a number") - ours.as_u64().expect("a number"), made, "and is counted");
    assert_eq!((org.writes().len(), org.jobs().len()), (0, 0), "nothing is written");
    assert_eq!(standing(&rig).await, before, "nothing is kept");

    let side = &preview["running"];
    assert_eq!(preview["sample"], json!({ "record": null, "asked": 200, "read": 200, "total": ACCOUNTS }));
    assert_eq!(counts(side), json!({ "written": 180, "unchanged": 0, "no_data": 20, "dead_letters": 0 }));
    assert_eq!((&side["counts"]["creates"], &side["no_data"]), (&json!(180), &json!({ "unknown": 20 })));
    let field = |name: &str| {
        let fields = side["creates"][0]["fields"].as_array().expect("fields");
        fields.iter().find(|field| field["field"] == name).cloned().expect("a field")
    };
    let employees = json!({ "field": "Employee_Count__c", "before": null, "after": 10 });
    assert_eq!(field("Employee_Count__c"), employees, "{side}");
    assert_eq!(side["creates"].as_array().map(Vec::len), Some(10), "some of them");
    let whole = &side["whole"];
    let expected = json!({ "records": ACCOUNTS, "exact": false, "writes": 9_000, "reading_calls": 6, "matching_calls": 45,
        "writing_calls": 8, "writes_by": "bulk", "lookups": 100 });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(whole[key], *value, "{key}: {whole}");
    }
    let calls = counted(&rig);
    refreshed(&rig).await;
    let (made, foretold) = (counted(&rig) - calls, whole["api_calls"].as_u64().expect("a number"));
    assert!(
        (foretold / 2..=foretold * 2).contains(&made),
        "{made} calls, by the size of the batches: {whole}"
    );
    rig.ledger("acme", json!({ "written": 9_000, "no_data": 1_000, "dead_letters": 0 })).await;
}

/// Accounts of each kind that a refresh knows; gives the ID of the one that is changed.
async fn of_each_kind() -> (Rig, String) {
    const OLD: usize = 40;
    let rig = rig(OLD, |text| text).await;
    refreshed(&rig).await;
    let vendor = rig.simulator.vendor();
    (0..3).for_each(|n| known(&rig, n, 99));
    vendor.set_answer(&domain(3), None);
    vendor.set_answer(&domain(4), Some(json!({ "employees": 5 })));
    vendor.set_answer(&domain(5), Some(json!({ "employees": 5 })));
    vendor.set_answer(&domain(6), Some(answer(&"k".repeat(KEY_CHARS), 5)));
    let long = json!({ "key": "K7", "employees": 10, "industry": "x".repeat(INDUSTRY_CHARS + 1) });
    vendor.set_answer(&domain(7), Some(long));
    for n in OLD..OLD + 4 {
        known(&rig, n, 10);
        rig.org("acme").create("Account", account(n)).expect("an account");
    }
    let changed = id(&rig, 0);
    (rig, changed)
}

#[actix_rt::test]
async fn what_it_foretells_of_all_records_is_what_the_refresh_does_call_by_call() {
    let (rig, changed) = of_each_kind().await;
    rig.org("acme").clear_writes();
    let before = standing(&rig).await;
    let preview = previewed(&rig, json!({ "sync": "accounts", "sample": 2_000 })).await;
    assert_eq!(standing(&rig).await, before);
    assert!(rig.org("acme").writes().is_empty());

    let side = &preview["running"];
    let foretold = counts(side);
    assert_eq!(foretold, json!({ "written": 8, "unchanged": 32, "no_data": 1, "dead_letters": 3 }), "{side}");
    assert_eq!((&side["counts"]["creates"], &side["counts"]["updates"]), (&json!(4), &json!(4)));
    assert_eq!(side["cut"], json!({ "Industry__c": 1 }));
    let letters = side["dead_letters"].as_array().expect("letters");
    let told: Vec<(u64, bool)> = letters
        .iter()
        .map(|letter| (letter["count"].as_u64().unwrap_or(0), letter["reason"].to_string().contains("empty")))
        .collect();
    assert_eq!(told, [(2, true), (1, false)], "{letters:?}");
    assert!(letters.iter().all(|letter| letter["hint"] != ""), "{letters:?}");
    let updates = side["updates"].as_array().expect("updates");
    let update =
        updates.iter().find(|update| update["records"] == json!([changed])).expect("the changed one");
    assert_eq!(update["fields"], json!([{ "field": "Employee_Count__c", "before": 10, "after": 99 }]));
    let whole = &side["whole"];
    assert_eq!((&whole["exact"], &whole["writes_by"]), (&json!(true), &json!("collections")), "{whole}");

    let (view, calls) = (rig.view("acme").await, counted(&rig));
    rig.simulator.vendor().clear_requests();
    refreshed(&rig).await;
    assert_eq!(growth(&view, &rig.view("acme").await), foretold);
    let made = (counted(&rig) - calls, rig.simulator.vendor().requests().len());
    let expected = (whole["api_calls"].as_u64().expect("calls"), whole["lookups"].as_u64().expect("calls"));
    assert_eq!((made.0, made.1 as u64), expected, "{whole}: {:?}", rig.org("acme").calls());
    // The field that was cut is in the org, and all is as it should be.
    let again = previewed(&rig, json!({ "sync": "accounts" })).await;
    assert_eq!(counts(&again["running"])["written"], 0, "{again}");
}

#[actix_rt::test]
async fn one_record_is_looked_at_by_its_id() {
    let (rig, changed) = of_each_kind().await;
    let preview = previewed(&rig, json!({ "sync": "accounts", "record": &changed[..15] })).await;
    assert_eq!(preview["sample"], json!({ "record": changed, "asked": 1, "read": 1, "total": null }));
    assert_eq!(preview["running"]["counts"]["updates"], 1, "{preview}");
    let gone = previewed(&rig, json!({ "sync": "accounts", "record": "001000000000000AAA" })).await;
    assert_eq!(gone["running"]["no_data"], json!({ "gone": 1 }));

    let told = ordered(&rig, &["preview", "acme", "--sync", "accounts", "--record", &changed]).await;
    for part in ["about 3 API calls of acme and 1 look-up in", "update K0", "Employee_Count__c: 10 → 99"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let told = ordered(&rig, &["preview", "acme", "--sync", "accounts", "--cost-only"]).await;
    assert_eq!(told.lines().count(), 1, "{told}");
    for (sync, record, part) in
        [("accounts", "0010000000000000ZZ", "no record ID"), ("others", changed.as_str(), "no sync `others`")]
    {
        let (done, told) = order(&rig, &["preview", "acme", "--sync", sync, "--record", record]).await;
        assert!(!done && told.contains(part), "{told}");
    }
}

#[actix_rt::test]
async fn new_settings_are_compared_with_those_that_run() {
    let rig = rig(20, |text| text).await;
    refreshed(&rig).await;
    rig.org("acme").clear_writes();
    let (before, running) = (standing(&rig).await, rig.settings());
    rig.simulator.vendor().clear_requests();
    let calls = counted(&rig);
    // One field more, and another value for one.
    let new = running.replace("Industry__c = \"/industry\"", "Industry__c = \"/key\"\nPhone__c = \"$Name\"");
    let body = json!({ "sync": "accounts", "settings": new });
    let (_, cost) = asked(&rig, "acme", &{
        let mut body = body.clone();
        body["cost_only"] = json!(true);
        body
    })
    .await;
    let preview = previewed(&rig, body).await;
    assert_eq!(rig.simulator.vendor().requests().len(), 1, "what both ask is asked once");
    assert_eq!(counted(&rig) - calls, cost["cost"]["api_calls"].as_u64().expect("a number"), "{cost}");
    assert_eq!(
        (counts(&preview["running"])["unchanged"].clone(), preview["difference"]["same"].clone()),
        (json!(20), json!(0))
    );
    assert_eq!(counts(&preview["proposed"])["written"], 20, "{preview}");
    assert_eq!(preview["difference"]["fields"], json!({ "Industry__c": 20, "Phone__c": 20 }), "{preview}");
    let first = &preview["difference"]["records"][0];
    assert_eq!(
        (&first["running"]["ends"], &first["proposed"]["ends"]),
        (&json!(["unchanged"]), &json!(["update"]))
    );
    assert_eq!(
        first["fields"],
        json!([{ "field": "Industry__c", "proposed": "K0" },
            { "field": "Phone__c", "proposed": "Company 0" }]),
        "{first}"
    );
    assert!(rig.org("acme").writes().is_empty());
    assert_eq!(standing(&rig).await, before);

    // What they name is not looked at: secrets that are not there yet, and files of this machine.
    let elsewhere = new.replace("key_file = \"jwt.key\"", "key_file = \"/dev/zero\"").replace(
        "listen = \"127.0.0.1:0\"",
        "listen = \"127.0.0.1:0\"\norgs_dir = \"/dev\"\nvault_key_env = \"NOT_SET_YET\"\n\
         tls = { cert_file = \"/dev/zero\", key_file = \"/dev/zero\" }",
    );
    let tokens = ["one", "two"].map(|id| {
        format!(
            "[[org]]\nid = \"{id}\"\nlogin_url = \"https://login.salesforce.com\"\nauth = {{ flow = \"refresh_token\", \
             client_id = \"app\", refresh_token_env = \"TOKEN_{}\" }}\n",
            id.to_uppercase()
        )
    });
    let elsewhere = elsewhere + &tokens.concat();
    let preview = previewed(&rig, json!({ "sync": "accounts", "settings": elsewhere })).await;
    assert_eq!(counts(&preview["proposed"])["written"], 20, "{preview}");

    // Another selection: the records are those of the sync that runs, so what is told of all is no more than an estimate.
    let fewer = running.replace("Website != null", "Website != 'x'");
    let preview = previewed(&rig, json!({ "sync": "accounts", "settings": fewer })).await;
    let exact = ["running", "proposed"].map(|side| preview[side]["whole"]["exact"].clone());
    assert_eq!(exact, [true, false], "{preview}");

    // A field that the org does not have is left out, and nobody else hears of it.
    let odd = running
        .replace("Industry__c = \"/industry\"", "Industry__c = \"/industry\"\nPhone__c = \"$Nothing__c\"");
    let preview = previewed(&rig, json!({ "sync": "accounts", "settings": odd })).await;
    assert_eq!(preview["proposed"]["quarantined"][0]["field"], "Nothing__c", "{preview}");
    assert_eq!((preview["difference"]["same"].clone(), standing(&rig).await), (json!(20), before));

    // A sync that does not run yet.
    let other = running.replace("name = \"accounts\"", "name = \"companies\"");
    let preview = previewed(&rig, json!({ "sync": "companies", "settings": other })).await;
    assert_eq!(
        (&preview["running"], &preview["proposed"]["counts"]["unchanged"]),
        (&Value::Null, &json!(20))
    );

    rig.write("new.toml", &new);
    let file = rig.folder.path().join("new.toml");
    let arguments = ["preview", "acme", "--sync", "accounts", "--settings", file.to_str().expect("UTF-8")];
    let told = ordered(&rig, &arguments).await;
    for part in [
        "0 records end alike, 20 do not",
        "Industry__c would be written otherwise for 20",
        "not written → \"K0\"",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let operator = rig.token("operator", "operate").await;
    let (done, told) = order_as(&rig, &operator, &arguments).await;
    assert!(!done && told.contains("this needs admin"), "{told}");

    let wrong = running
        .replace("target = \"Enrichment__c\"", "target = \"Enrichment c\"")
        .replace("daily_share = 1.0", "daily_share = 7");
    rig.write("new.toml", &wrong);
    let (done, told) = order(&rig, &arguments).await;
    let lines = ["Enrichment c", "daily_share"];
    assert!(
        !done && lines.iter().all(|part| told.contains(part)) && told.contains("the new settings:15"),
        "{told}"
    );
    for (new, what) in [
        (running.replace("id = \"acme\"", "id = \"globex\""), "no org `acme`"),
        (running.replace("name = \"accounts\"", "name = \"companies\""), "no sync `accounts`"),
    ] {
        let (status, told) = asked(&rig, "acme", &json!({ "sync": "accounts", "settings": new })).await;
        assert!(status == 422 && told["error"].to_string().contains(what), "{told}");
    }
    let object = running
        .replace("object = \"Account\"", "object = \"Lead\"")
        .replace("Account__c = \"$Id\"", "Lead__c = \"$Id\"");
    let (status, told) = asked(&rig, "acme", &json!({ "sync": "accounts", "settings": object })).await;
    assert!(status == 409 && told["error"].to_string().contains("read Lead"), "{status} {told}");
}

#[actix_rt::test]
async fn the_time_that_passes_between_both_mappings_is_no_difference() {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::slow(vec![org], Duration::from_millis(1_100), |text| {
        let fields = "Industry__c = { cel = \"now\" }\nPhone__c = \"$meta.synced_at\"";
        text.replace("Industry__c = \"/industry\"", fields)
    })
    .await;
    filled(&rig, 3);
    rig.start().await;
    rig.subscribed("acme").await;
    // With the same questions, which are asked once, and with others.
    let other = settings(&rig)
        .replace("keys = { domain = \"Website\" }", "keys = { domain = \"Website\", name = \"Name\" }");
    for (settings, asked) in [(settings(&rig), 1), (other, 2)] {
        rig.simulator.vendor().clear_requests();
        let preview = previewed(&rig, json!({ "sync": "accounts", "settings": settings })).await;
        assert_eq!(rig.simulator.vendor().requests().len(), asked);
        let difference = &preview["difference"];
        assert_eq!((&difference["same"], &difference["different"]), (&json!(3), &json!(0)), "{difference}");
        let fields = preview["running"]["creates"][0]["fields"].as_array().expect("fields");
        let set: Vec<&Value> = fields.iter().filter(|field| field["set_when_written"] == true).collect();
        assert!(set.len() == 1 && set[0]["field"] == "Phone__c", "{fields:?}");
    }
}

#[actix_rt::test]
async fn an_org_that_stands_or_does_not_answer_says_why_and_one_has_one_preview_at_a_time() {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::slow(vec![org], Duration::from_secs(1), |text| text).await;
    known(&rig, 0, 10);
    rig.org("acme").create("Account", account(0)).expect("an account");
    rig.start().await;
    rig.subscribed("acme").await;
    let body = json!({ "sync": "accounts" });
    let ((one, told), (other, refused)) =
        tokio::join!(asked(&rig, "acme", &body), asked(&rig, "acme", &body));
    let mut statuses = [one, other];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{told} {refused}");
    assert!([&told, &refused].iter().any(|answer| answer["error"].to_string().contains("under way")));

    rig.simulator.vendor().set_down(true);
    let (status, told) = asked(&rig, "acme", &body).await;
    assert!(status == 503 && told["error"].to_string().contains("your API") && told["hint"] != "", "{told}");
    rig.simulator.vendor().set_down(false);

    rig.order("acme", "pause").await;
    support::eventually("the pause", async || (rig.view("acme").await["state"] == "paused").then_some(()))
        .await;
    let calls = counted(&rig);
    let (status, told) = asked(&rig, "acme", &body).await;
    assert!(status == 409 && told["error"].to_string().contains("is paused"), "{told}");
    assert!(told["hint"].to_string().contains("orgpipe org resume acme"), "{told}");
    assert_eq!(counted(&rig), calls, "nothing is asked of it");
    for (org, body, expected) in [
        ("nobody", json!({ "sync": "accounts" }), 404),
        ("acme", json!({ "sync": "accounts", "sample": 0 }), 400),
        ("acme", json!({ "sync": "accounts", "sample": 2_001 }), 400),
        ("acme", json!({ "sync": "accounts", "sample": 5, "record": "001000000000000AAA" }), 400),
        ("acme", json!({ "sync": "accounts", "records": 5 }), 400),
    ] {
        let (status, told) = asked(&rig, org, &body).await;
        assert!(status == expected && told["hint"] != "", "{body}: {status} {told}");
    }
}

#[actix_rt::test]
async fn an_org_that_lets_nobody_in_says_why() {
    let rig = rig(1, |text| text).await;
    let refusal = ("invalid_grant", "user hasn't approved this consumer");
    rig.org("acme").refuse_logins(Some(refusal));
    rig.org("acme").revoke_tokens();
    let (status, told) = asked(&rig, "acme", &json!({ "sync": "accounts" })).await;
    assert!(status == 503 || status == 409, "{status} {told}");
    assert!(told["error"].to_string().contains("approved") && told["hint"] != "", "{told}");
}

#[actix_rt::test]
async fn fields_that_cannot_be_read_or_written_are_left_out_and_only_the_preview_tells_of_it() {
    let rig = rig(3, |text| {
        let text = text.replace("[sync.fields]", "[sync.fields]\nPhone__c = \"$Nothing__c\"");
        text.replace("refresh = { where = \"Website != null\" }", "refresh = {}")
    })
    .await;
    let field = ("Enrichment__c".to_owned(), "Industry__c".to_owned());
    rig.org("acme").take_right(Right::Field(field.0, field.1, FieldRight::Edit));
    let before = standing(&rig).await;
    let side = previewed(&rig, json!({ "sync": "accounts" })).await["running"].take();
    let left_out: Vec<[&str; 2]> = side["quarantined"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| ["field", "access"].map(|key| one[key].as_str().expect("a text")))
        .collect();
    assert_eq!(left_out, [["Industry__c", "write"], ["Nothing__c", "read"]], "{side}");
    let create = side["creates"][0]["fields"].as_array().expect("fields");
    let names: Vec<&str> = create.iter().filter_map(|field| field["field"].as_str()).collect();
    assert_eq!(names, ["Account__c", "Employee_Count__c"]);
    assert_eq!(standing(&rig).await, before);
    let foretold = counts(&side);
    let view = rig.view("acme").await;
    refreshed(&rig).await;
    assert_eq!(growth(&view, &rig.view("acme").await), foretold);
}

#[actix_rt::test]
async fn a_sync_without_a_refresh_and_one_that_matches_by_relationship_are_looked_at_too() {
    let rig = rig(3, |text| {
        let text = text.replace("refresh = { where = \"Website != null\" }", "match = \"relationship\"");
        text.replace("name = \"accounts\"", "name = \"live\"")
    })
    .await;
    let preview = previewed(&rig, json!({ "sync": "live" })).await;
    let (side, sample) = (&preview["running"], &preview["sample"]);
    assert_eq!(
        (&side["counts"]["creates"], &sample["total"], &side["whole"]),
        (&json!(3), &Value::Null, &Value::Null)
    );
    rig.org("acme").publish("Sync_Request__e", request(&[id(&rig, 1)]));
    rig.ledger("acme", json!({ "written": 1, "open": 0 })).await;
    known(&rig, 1, 11);
    let calls = counted(&rig);
    let preview = previewed(&rig, json!({ "sync": "live", "record": id(&rig, 1) })).await;
    let fields = json!([{ "field": "Employee_Count__c", "before": 10, "after": 11 }]);
    assert_eq!(preview["running"]["updates"][0]["fields"], fields, "{preview}");
    let most = preview["cost"]["api_calls"].as_u64().expect("a number");
    let made = counted(&rig) - calls;
    assert!((1..=most).contains(&made), "{made} of {most}");
}

#[actix_rt::test]
async fn two_records_with_one_key_end_as_the_sync_says_and_the_preview_tells() {
    for (setting, written, no_data, dead) in
        [("dead_letter", 2, 0, 1), ("first", 2, 1, 0), ("newest", 2, 1, 0)]
    {
        let target = format!("target = \"Enrichment__c\"\non_shared_key = \"{setting}\"");
        let rig = rig(3, |text| text.replace("target = \"Enrichment__c\"", &target)).await;
        rig.simulator.vendor().set_answer(&domain(2), Some(answer("K0", 12)));
        let side = previewed(&rig, json!({ "sync": "accounts" })).await["running"].take();
        let expected =
            json!({ "written": written, "unchanged": 0, "no_data": no_data, "dead_letters": dead });
        assert_eq!(
            (counts(&side), &side["counts"]["shared_keys"]),
            (expected, &json!(1)),
            "{setting}: {side}"
        );
        let shared = &side["shared_keys"][0];
        let (holder, yields) = if setting == "newest" { (2, 0) } else { (0, 2) };
        assert_eq!(*shared, json!({ "record": id(&rig, yields), "holder": id(&rig, holder) }), "{setting}");
        let view = rig.view("acme").await;
        refreshed(&rig).await;
        assert_eq!(growth(&view, &rig.view("acme").await), counts(&side), "{setting}");
    }
}

#[actix_rt::test]
async fn what_is_written_onto_the_record_itself_is_told_with_what_it_holds() {
    let org = OrgOptions { flow: false, profile: Profile::SystemAdministrator, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![org], |text| {
        let text = text.replace("target = \"Enrichment__c\"\n", "match = \"id\"\n");
        let text = text.replace("external_id = { field = \"External_Id__c\", from = \"/key\" }\n", "");
        let fields =
            "Account__c = \"$Id\"\nEmployee_Count__c = \"/employees\"\nIndustry__c = \"/industry\"\n";
        text.replace(fields, "Name = \"/key\"\n")
    })
    .await;
    filled(&rig, 3);
    rig.start().await;
    rig.subscribed("acme").await;
    let calls = counted(&rig);
    let preview = previewed(&rig, json!({ "sync": "accounts" })).await;
    let side = &preview["running"];
    let (most, made) = (&preview["cost"]["api_calls"], counted(&rig) - calls);
    assert_eq!((most, made, &side["counts"]["updates"]), (&json!(3), 3, &json!(3)), "{preview}");
    let fields = json!([{ "field": "Name", "before": "Company 0", "after": "K0" }]);
    assert_eq!((&side["updates"][0]["fields"], &side["updates"][0]["key"]), (&fields, &json!(id(&rig, 0))));
    let whole = &side["whole"];
    assert_eq!((&whole["matching_calls"], &whole["writing_calls"]), (&json!(0), &json!(1)), "{whole}");
    let (view, calls) = (rig.view("acme").await, counted(&rig));
    refreshed(&rig).await;
    assert_eq!(growth(&view, &rig.view("acme").await), counts(side));
    assert_eq!(json!(counted(&rig) - calls), whole["api_calls"]);
}

#[actix_rt::test]
async fn the_page_says_what_it_takes_and_shows_what_would_be_written() {
    let rig = rig(3, |text| text).await;
    let url = format!("{}/orgs/acme/preview", rig.admin);
    let page = rig.http.get(&url).send().await.expect("an answer").text().await.expect("a page");
    assert!(page.contains("accounts: about 4 API calls and 2 look-ups"), "{page}");
    let form = [("sync", "accounts"), ("sample", "200"), ("record", "")];
    let reply = rig.http.post(&url).form(&form).send().await.expect("an answer");
    let (status, page) = (reply.status(), reply.text().await.expect("a page"));
    for part in [
        "<dt>create</dt><dd class=\"value\">3</dd>",
        "create K0 for",
        "<td class=\"break\">Employee_Count__c</td><td class=\"break\">(empty)</td><td class=\"break\">10</td>",
    ] {
        assert!(status == 200 && page.contains(part), "{part} is not in {status}: {page}");
    }
    let org = rig.http.get(format!("{}/orgs/acme", rig.admin)).send().await.expect("an answer");
    let org = org.text().await.expect("a page");
    assert!(org.contains("href=\"/orgs/acme/preview\""), "{org}");
    let form = [("sync", "others"), ("sample", "200"), ("record", "")];
    let reply = rig.http.post(&url).form(&form).send().await.expect("an answer");
    let (status, page) = (reply.status(), reply.text().await.expect("a page"));
    assert!(status == 404 && page.contains("no sync") && page.contains("<form"), "{status}: {page}");
}
