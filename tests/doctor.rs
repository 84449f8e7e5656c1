//! The package's rights in an org: each that is missing is named by `orgpipe doctor`, and nothing else is; a namespaced and
//! an unmanaged package side by side.

mod support;

use orgpipe_simulator::{
    FieldRight::{self, Edit, Read},
    ObjectRight, OrgHandle, OrgOptions, Right,
};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain};

fn object(name: &str, right: ObjectRight) -> Right {
    Right::Object(name.to_owned(), right)
}

fn field(object: &str, name: &str, right: FieldRight) -> Right {
    Right::Field(object.to_owned(), name.to_owned(), right)
}

/// Orgs of these names and namespaces, each with an account; the service knows the namespaces.
async fn rig(orgs: &[(&str, &str)], flow: bool) -> Rig {
    let options = orgs.iter().map(|(name, namespace)| OrgOptions {
        namespace: (*namespace).to_owned(),
        flow,
        ..OrgOptions::named(name)
    });
    let rig = Rig::with(options.collect(), |text| {
        orgs.iter().fold(text.replace("reserve = 0.0", "reserve = 0.2"), |text, (name, namespace)| {
            let id = format!("id = \"{name}\"");
            text.replace(&id, &format!("{id}\nnamespace = \"{namespace}\""))
        })
    })
    .await;
    for (name, _) in orgs {
        rig.org(name).create("Account", account(0)).expect("an account");
    }
    rig
}

async fn examined(rig: &Rig, org: &str) -> Value {
    let url = format!("{}/api/v1/orgs/{org}/doctor", rig.admin);
    let reply = rig.http.post(url).send().await.expect("an answer");
    assert_eq!(reply.status(), 200, "{org}");
    let report = reply.json().await.expect("JSON");
    assert_eq!(rig.get(&format!("orgs/{org}/doctor")).await, report, "it is kept");
    report
}

/// Severity, topic and subject of all findings that are more than notes.
fn told(report: &Value) -> Vec<[&str; 3]> {
    let findings = report["findings"].as_array().expect("a list").iter();
    findings
        .filter(|finding| finding["severity"] != "note")
        .map(|finding| ["severity", "topic", "subject"].map(|key| finding[key].as_str().expect("a text")))
        .collect()
}

/// The values of an element, in order.
fn values<'x>(xml: &'x str, element: &str) -> Vec<&'x str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).collect()
}

/// What an admin does with the printed permission set: deploys and assigns it.
fn deploy(org: &OrgHandle, xml: &str) {
    let is_on = |block: &str, element: &str| values(block, element) == ["true"];
    for block in values(xml, "objectPermissions") {
        let rights = [
            ("allowRead", ObjectRight::Read),
            ("allowCreate", ObjectRight::Create),
            ("allowEdit", ObjectRight::Edit),
            ("viewAllRecords", ObjectRight::ViewAll),
        ];
        for (_, right) in rights.into_iter().filter(|(element, _)| is_on(block, element)) {
            org.give_right(object(values(block, "object")[0], right));
        }
    }
    for block in values(xml, "fieldPermissions") {
        let (of, name) = values(block, "field")[0].split_once('.').expect("object and field");
        let rights = [("readable", Read), ("editable", Edit)];
        for (_, right) in rights.into_iter().filter(|(element, _)| is_on(block, element)) {
            org.give_right(field(of, name, right));
        }
    }
    for block in values(xml, "customSettingAccesses") {
        org.give_right(Right::Setting(values(block, "name")[0].to_owned()));
    }
    for block in values(xml, "userPermissions") {
        assert_eq!(values(block, "name"), ["ApiEnabled"]);
        org.give_right(Right::ApiEnabled);
    }
}

#[actix_rt::test]
async fn what_was_found_last_is_told_without_asking_the_org() {
    let mut rig = rig(&[("acme", "")], true).await;
    rig.start().await;
    for (org, expected) in [("acme", "was not examined since the service started"), ("nobody", "`nobody`")] {
        let url = format!("{}/api/v1/orgs/{org}/doctor", rig.admin);
        let reply = rig.http.get(url).send().await.expect("an answer");
        assert_eq!(reply.status(), 404, "{org}");
        let answer: Value = reply.json().await.expect("JSON");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(expected)), "{answer}");
        assert_ne!(answer["hint"], "", "{answer}");
    }
    let report = examined(&rig, "acme").await;
    assert_eq!(rig.get("orgs/acme/doctor").await["at_ms"], report["at_ms"], "the org was not examined again");
}

#[actix_rt::test]
async fn each_right_that_is_missing_is_named_and_nothing_else_is() {
    // An org is examined six times in a row at most: before and after each of two rights that it lacks.
    const RIGHTS: usize = 2;
    let names: Vec<String> = (0..10).map(|n| format!("org{n}")).collect();
    let orgs = names.iter().map(String::as_str).chain(["acme", "globex"]);
    let orgs: Vec<(&str, &str)> = orgs.map(|name| (name, "acmeco")).collect();
    let mut rig = rig(&orgs, false).await;
    rig.start().await;
    let org = rig.org("acme");
    let enrichment = "acmeco__Enrichment__c";
    let (error, warning) = ("error", "warning");
    let mut cases: Vec<(Right, [&str; 3])> = vec![
        (Right::ApiEnabled, [error, "api_enabled", ""]),
        (Right::AppApproved, [error, "app", ""]),
        (Right::Package, [error, "package", ""]),
        (Right::PermissionSet("Sync_Integration".to_owned()), [error, "package", ""]),
        (Right::PermissionSet("Sync_Standard_Access".to_owned()), [error, "api_enabled", ""]),
        (Right::SettingRow, [warning, "setting_row", "acmeco__Sync_Settings__c"]),
        (
            Right::Setting("acmeco__Sync_Settings__c".to_owned()),
            [warning, "setting", "acmeco__Sync_Settings__c"],
        ),
        (object("acmeco__Sync_Request__e", ObjectRight::Read), [error, "event", "acmeco__Sync_Request__e"]),
        (object("Account", ObjectRight::Read), [error, "object", "Account"]),
        (object("Account", ObjectRight::ViewAll), [warning, "records", "Account"]),
        (field("Account", "Website", Read), [error, "field", "Account.Website"]),
    ];
    for right in [ObjectRight::Read, ObjectRight::Create, ObjectRight::Edit] {
        cases.push((object(enrichment, right), [error, "object", enrichment]));
    }
    let fields = ["Account__c", "Employee_Count__c", "Industry__c"].map(|name| format!("acmeco__{name}"));
    let subjects = fields.clone().map(|name| format!("{enrichment}.{name}"));
    for (name, subject) in fields.iter().zip(&subjects) {
        for right in [Read, Edit] {
            cases.push((field(enrichment, name, right), [error, "field", subject]));
        }
    }
    let sound = examined(&rig, "acme").await;
    assert_eq!(told(&sound), Vec::<[&str; 3]>::new());
    assert_eq!((&sound["permission_set"], &sound["user_id"]), (&Value::Null, &json!(org.user_id())));
    assert_eq!(cases.len(), RIGHTS * names.len());
    for (n, (right, expected)) in cases.into_iter().enumerate() {
        let name = &names[n / RIGHTS];
        rig.org(name).take_right(right.clone());
        let report = examined(&rig, name).await;
        assert_eq!(told(&report), [expected], "{right:?}: {report}");
        match report["permission_set"]["source"].as_str() {
            Some(xml) if !matches!(right, Right::PermissionSet(_)) => deploy(rig.org(name), xml),
            _ => rig.org(name).give_right(right.clone()),
        }
        let mended = examined(&rig, name).await;
        assert_eq!(told(&mended), Vec::<[&str; 3]>::new(), "{right:?} is mended: {mended}");
    }
    // What the service does not need is not missed.
    org.take_right(object("acmeco__Sync_Request__e", ObjectRight::Create));
    org.take_right(object(enrichment, ObjectRight::Delete));
    org.take_right(field(enrichment, "acmeco__Phone__c", Read));
    assert_eq!(told(&examined(&rig, "acme").await), Vec::<[&str; 3]>::new());
    org.give_right(Right::ViewSetup);
    assert_eq!(examined(&rig, "acme").await["package_version"], "1.0.0");
    for (secs, expected) in [(600, error), (-600, error), (-100, warning)] {
        org.set_clock_ahead(secs);
        assert_eq!(told(&examined(&rig, "acme").await), [[expected, "clock", ""]], "{secs} s");
    }
    org.set_clock_ahead(0);
    for (used, expected) in [(13_000, warning), (15_000, error)] {
        rig.org("globex").set_calls_used(used);
        assert_eq!(told(&examined(&rig, "globex").await), [[expected, "allowance", ""]], "{used} calls");
    }
    let status = rig.view("globex").await;
    assert_eq!(status["doctor"]["worst"], "error");
    let page = rig.http.get(format!("{}/orgs/globex/doctor", rig.admin)).send().await.expect("an answer");
    let page = page.text().await.expect("text");
    assert!(
        page.contains("1 error, 0 warnings; first: Salesforce refused with `REQUEST_LIMIT_EXCEEDED`"),
        "{page}"
    );
}

#[actix_rt::test]
async fn the_command_prints_what_to_do_and_ends_by_severity() {
    let mut rig = rig(&[("acme", "")], false).await;
    rig.start().await;
    let doctor = async |arguments: &[&str]| {
        let output = rig.command(&[&["doctor"], arguments].concat()).output().await.expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = doctor(&["acme"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("all that the syncs need is there"), "{out}");
    let org = rig.org("acme");
    org.take_right(Right::SettingRow);
    let (code, out, _) = doctor(&["acme"]).await;
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("Custom Settings → Sync Settings") && !out.contains("<PermissionSet"), "{out}");
    org.take_right(field("Enrichment__c", "Industry__c", Edit));
    let (code, out, _) = doctor(&["acme"]).await;
    assert_eq!(code, Some(1), "{out}");
    for part in [
        "error    Enrichment__c.Industry__c may only be read",
        "Field Permissions → Industry: Edit",
        "<PermissionSet",
    ] {
        assert!(out.contains(part), "{part} is not in {out}");
    }
    let (_, json, _) = doctor(&["acme", "--json"]).await;
    let report: Value = serde_json::from_str(&json).expect("JSON");
    let expected =
        [["error", "field", "Enrichment__c.Industry__c"], ["warning", "setting_row", "Sync_Settings__c"]];
    assert_eq!(told(&report), expected);
    let (code, _, err) = doctor(&["acne"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("no org `acne`") && err.contains("orgpipe orgs list"), "{err}");
}

#[actix_rt::test]
async fn an_examination_counts_among_the_orgs_calls_and_comes_only_so_often() {
    let mut rig = rig(&[("acme", ""), ("globex", "")], false).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let ours = async || rig.view("acme").await["budget"]["ours"].as_u64().expect("a number");
    let (before, made) = (ours().await, rig.org("acme").calls_used());
    for n in 0..6 {
        assert_eq!(told(&examined(&rig, "acme").await), Vec::<[&str; 3]>::new(), "{n}");
    }
    let made = rig.org("acme").calls_used() - made;
    assert_eq!(ours().await - before, made, "each call is counted");
    assert!(made >= 6 * 5, "{made}");
    let url = format!("{}/api/v1/orgs/acme/doctor", rig.admin);
    let refused = rig.http.post(url).send().await.expect("an answer");
    let wait =
        refused.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    assert_eq!(refused.status(), 429);
    assert!(wait.is_some_and(|secs| (1..=10).contains(&secs)), "{wait:?}");
    let said: Value = refused.json().await.expect("JSON");
    assert!(
        said["error"].as_str().is_some_and(|error| error.contains("was examined a moment ago")),
        "{said}"
    );
    assert_eq!(told(&examined(&rig, "globex").await), Vec::<[&str; 3]>::new(), "the other org may");
}

#[actix_rt::test]
async fn a_wrong_namespace_is_named_with_the_right_one() {
    let mut rig = rig(&[("acme", "acmeco"), ("globex", "")], false).await;
    let path = rig.folder.path().join("orgpipe.toml");
    let right = std::fs::read_to_string(&path).expect("settings");
    let wrong = right.replace("namespace = \"\"", "namespace = \"x\"").replace("\"acmeco\"", "\"\"");
    rig.write("orgpipe.toml", &wrong);
    rig.start().await;
    for (org, namespace) in [("acme", "acmeco"), ("globex", "")] {
        let output = rig.command(&["doctor", org, "--json"]).output().await.expect("it runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(told(&report), [["error", "namespace", namespace]], "{report}");
        let fix = report["findings"][0]["fix"].as_str().expect("a text");
        assert!(fix.contains(&format!("`namespace = \"{namespace}\"`")), "{fix}");
    }
}

#[actix_rt::test]
async fn a_namespaced_and_an_unmanaged_package_live_side_by_side() {
    let mut rig = rig(&[("acme", "acmeco"), ("globex", "")], true).await;
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("k1", 11)));
    rig.start().await;
    for org in ["acme", "globex"] {
        rig.subscribed(org).await;
        assert_eq!(told(&examined(&rig, org).await), Vec::<[&str; 3]>::new(), "{org}");
        rig.org(org).create("Account", account(1)).expect("an account");
    }
    for (org, prefix) in [("acme", "acmeco__"), ("globex", "")] {
        rig.ledger(org, json!({ "written": 1, "open": 0 })).await;
        let rows = rig.org(org).rows(&format!("{prefix}Enrichment__c"));
        let value = |name: &str| rows[0].get(&format!("{prefix}{name}")).cloned();
        assert_eq!((rows.len(), value("External_Id__c")), (1, Some(json!("k1"))), "{org}");
        assert_eq!(value("Employee_Count__c"), Some(json!(11.0)), "{org}");
    }
}
