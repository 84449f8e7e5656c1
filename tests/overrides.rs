//! What one org has otherwise than a sync says for all: it is looked up, written, refreshed and told so, in that org alone.

mod support;

use orgpipe_simulator::{FieldRight, OrgOptions, Right};
use serde_json::{Value, json};
use support::{Rig, account, domain, eventually, request};

const OWN: &str = r#"
[org.sync.accounts]
keys = { domain = "AccountNumber" }
refresh = { where = "AccountNumber != null" }
[org.sync.accounts.fields]
Industry__c = false
Description__c = "/about"
Employee_Count__c = { from = "/staff", default = 7 }
"#;

/// `acme` has the sync as it is for all, `globex` what stands above.
async fn rig(own: &str) -> Rig {
    let orgs = ["acme", "globex"].map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    // The last org of the settings is globex.
    let mut rig = Rig::with(orgs.to_vec(), |text| format!("{text}{own}")).await;
    let field = Right::Field("Account".to_owned(), "AccountNumber".to_owned(), FieldRight::Read);
    rig.org("globex").give_right(field);
    rig.start().await;
    for org in ["acme", "globex"] {
        rig.subscribed(org).await;
    }
    rig
}

/// The words of a line, however the columns stand.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn sync_show(rig: &Rig, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = rig.command(&[&["sync", "show"], arguments].concat()).output().await.expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[actix_rt::test]
async fn an_org_is_worked_for_by_what_it_has_otherwise_and_the_others_are_not() {
    let rig = rig(OWN).await;
    let about = json!({ "key": "K1", "employees": 5, "industry": "Banking", "about": "Made of paper" });
    rig.simulator.vendor().set_answer(&domain(1), Some(about));
    for org in ["acme", "globex"] {
        // In globex the domain stands in another field.
        let mut row = account(1);
        if org == "globex" {
            let site = row.remove("Website").expect("an account has one");
            row.insert("AccountNumber".to_owned(), site);
        }
        let id = rig.org(org).create("Account", row).expect("an account");
        rig.org(org).publish("Sync_Request__e", request(&[id]));
        rig.ledger(org, json!({ "records_in": 1, "written": 1 })).await;
    }
    let written = |org: &str, field: &str| {
        let row = rig.enrichment(org, "K1").expect("it is written");
        row.get(field).cloned().unwrap_or(Value::Null)
    };
    assert_eq!(written("acme", "Employee_Count__c"), json!(5.0));
    assert_eq!(written("globex", "Employee_Count__c"), json!(7.0), "the answer has no `staff`");
    assert_eq!(
        (written("acme", "Industry__c"), written("globex", "Industry__c")),
        (json!("Banking"), Value::Null)
    );
    assert_eq!(
        (written("acme", "Description__c"), written("globex", "Description__c")),
        (Value::Null, json!("Made of paper"))
    );
    // A refresh reads what its own condition selects, and finds nothing to write.
    let (status, _) = rig.post("orgs/globex/refresh").await;
    assert_eq!(status, 202);
    rig.through("globex").await;
    rig.ledger("globex", json!({ "records_in": 2, "written": 1, "unchanged": 1 })).await;
    rig.post("orgs/acme/refresh").await;
    rig.through("acme").await;
    for (org, own, other) in [
        ("globex", "AccountNumber != null", "Website != null"),
        ("acme", "Website != null", "AccountNumber != null"),
    ] {
        let all = format!("{:?}", rig.org(org).calls());
        let all = all.replace("%20", " ").replace('+', " ").replace("%21%3D", "!=").replace("!%3D", "!=");
        assert!(all.contains(own) && !all.contains(other), "{org} has its own condition: {all}");
    }
}

#[actix_rt::test]
async fn what_an_org_has_otherwise_is_shown_by_the_service_and_by_a_check() {
    let mut rig = rig(OWN).await;
    let (code, out, err) = sync_show(&rig, &["globex", "accounts"]).await;
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "  keys.domain       AccountNumber   (of this org)",
        "  target            Enrichment__c",
        "  fields.Description__c  /about   (of this org)",
        "  fields.Industry__c  taken out   (of this org)",
        "  refresh.where     AccountNumber != null   (of this org)",
    ] {
        assert!(out.lines().any(|told| squeezed(told) == squeezed(line)), "`{line}` is not told: {out}");
    }
    let (_, out, _) = sync_show(&rig, &["acme"]).await;
    assert!(out.contains("Industry__c") && !out.contains("(of this org)"), "{out}");
    let (code, _, err) = sync_show(&rig, &["globex", "leads"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("org globex has no sync `leads`") && err.contains("It has: accounts."), "{err}");
    let (_, out, _) = sync_show(&rig, &["globex", "accounts", "--json"]).await;
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(told[0]["fields"]["Employee_Count__c"], json!({ "from": "/staff", "default": 7 }));
    let output = rig.command(&["check", "--offline", "--mapping", "globex"]).output().await.expect("it runs");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("      of this org: fields.Description__c, fields.Employee_Count__c"), "{out}");
    assert!(squeezed(&out).contains("keys.domain AccountNumber (of this org)"), "{out}");

    let output = rig.command(&["check", "--offline", "--mapping", "nobody"]).output().await.expect("it runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && err.contains("the settings have no org nobody"), "{err}");

    // Other keys of one org touch that org alone.
    let before = rig.view("acme").await["since_ms"].clone();
    let text = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    rig.write("orgpipe.toml", &text.replace("Industry__c = false\n", ""));
    let (status, body) = rig.post("reload").await;
    assert_eq!((status, &body["changed"]), (200, &json!(["globex"])), "{body}");
    eventually("the field is back", async || {
        let (_, out, _) = sync_show(&rig, &["globex", "accounts"]).await;
        squeezed(&out).contains("fields.Industry__c /industry").then_some(())
    })
    .await;
    assert_eq!(rig.view("acme").await["since_ms"], before);
    rig.terminate().await;
}
