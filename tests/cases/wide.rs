//! More fields than the address of a request has room for.

use orgpipe_simulator::{CustomField, FieldKind, OrgOptions};
use serde_json::{Value, json};

use super::{
    support::{Rig, account, answer, domain, request},
    target::{TARGET, field, record, usual, with_target},
};

/// As long as an API name may be: 40 characters and the suffix.
fn name(n: usize) -> String {
    format!("Quite_A_Long_Name_For_A_Field_Of_{n:03}_Text__c")
}

/// `count` fields of `object`, of one kind.
fn fields(object: &str, count: usize) -> impl Iterator<Item = CustomField> {
    (0..count).map(move |n| field(object, &name(n), FieldKind::Text { length: 100 }))
}

/// An org with these fields, each mapped `from` something; the service runs.
async fn rig(custom_fields: Vec<CustomField>, from: fn(usize) -> String, edit: fn(String) -> String) -> Rig {
    let custom_fields: Vec<CustomField> = usual().into_iter().chain(custom_fields).collect();
    let targets = custom_fields
        .iter()
        .filter(|field| field.object == TARGET && field.name.starts_with("Quite"))
        .count();
    let mapped: Vec<String> = (0..targets).map(|n| format!("{} = \"{}\"", name(n), from(n))).collect();
    let mapped = mapped.join("\n");
    let org = OrgOptions { flow: false, custom_fields, ..OrgOptions::named("acme") };
    let with = |text: String| {
        edit(with_target(&text).replace("[org_defaults.limits]", &format!("{mapped}\n[org_defaults.limits]")))
    };
    let mut rig = Rig::with(vec![org], with).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

fn accounts(rig: &Rig, count: usize, is_wide: bool) -> Vec<String> {
    let create = |n| {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
        let mut row = account(n);
        if is_wide {
            row.extend((0..400).map(|at| (name(at), json!(format!("{n} {at}")))));
        }
        rig.org("acme").create("Account", row).expect("an account")
    };
    (0..count).map(create).collect()
}

/// Published or refreshed, all are written, and a second refresh writes nothing.
async fn written_once(rig: &Rig, ids: &[String], calls_max: usize) {
    rig.org("acme").publish("Sync_Request__e", request(&ids[..1]));
    rig.ledger("acme", json!({ "written": 1, "open": 0 })).await;
    rig.order("acme", "refresh").await;
    rig.through("acme").await;
    rig.ledger("acme", json!({ "written": ids.len(), "unchanged": 1, "open": 0 })).await;
    rig.org("acme").clear_writes();
    rig.org("acme").clear_calls();
    rig.order("acme", "refresh").await;
    rig.through("acme").await;
    assert!(rig.org("acme").writes().is_empty());
    let calls = rig.org("acme").calls().len();
    assert!(calls <= calls_max, "{calls} calls");
}

/// 500 mapped fields with long names: the match takes two calls, by external ID or with the records.
#[actix_rt::test]
async fn five_hundred_mapped_fields_with_long_names_are_compared_and_written() {
    let edits: [fn(String) -> String; 2] =
        [|text| text, |text| text.replace("[sync.fields]", "match = \"relationship\"\n\n[sync.fields]")];
    for edit in edits {
        let rig = rig(fields(TARGET, 500).collect(), |_| "/industry".into(), edit).await;
        let ids = accounts(&rig, 20, false);
        written_once(&rig, &ids, 25).await;
        let row = record(&rig, "K19");
        assert_eq!((&row[&name(0)], &row[&name(499)]), (&json!("Software"), &json!("Software")));
        // One field of one record differs: that is seen.
        let changed = [(name(250), json!("else"))].into_iter().collect();
        rig.org("acme").update(TARGET, row["Id"].as_str().expect("an ID"), changed).expect("changed");
        rig.order("acme", "refresh").await;
        rig.through("acme").await;
        let writes = rig.org("acme").writes();
        assert_eq!(writes.len(), 1, "{writes:?}");
        assert!(writes[0].row.contains_key(&name(250)) && !writes[0].row.contains_key(&name(249)));
    }
}

/// 400 fields of the record itself, and one of its owner: read in parts, for events and for refreshes.
#[actix_rt::test]
async fn records_of_which_many_fields_are_read_are_read_in_parts() {
    let edits: [fn(String) -> String; 2] =
        [|text| text, |text| text.replace("Industry__c = \"/industry\"", "Industry__c = \"$Owner.Name\"")];
    for edit in edits {
        let wide = fields(TARGET, 400).chain(fields("Account", 400)).collect();
        let rig = rig(wide, |n| format!("${}", name(n)), edit).await;
        let ids = accounts(&rig, 12, true);
        written_once(&rig, &ids, 40).await;
        let row = record(&rig, "K11");
        assert_eq!((&row[&name(0)], &row[&name(399)]), (&json!("11 0"), &json!("11 399")));
        let check = rig.command(&["check"]).output().await.expect("the command runs");
        let said =
            String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
        assert!(!said.contains("414") && !said.contains("431") && !said.contains("too long"), "{said}");
    }
}

/// Records of the target that have lost their own are emptied, however many fields they have.
#[actix_rt::test]
async fn wide_records_without_their_own_are_emptied() {
    let edit = |text: String| text.replace("refresh = { where", "refresh = { on_deleted = \"clear\", where");
    let rig = rig(fields(TARGET, 500).collect(), |_| "/industry".into(), edit).await;
    let ids = accounts(&rig, 3, false);
    rig.order("acme", "refresh").await;
    rig.through("acme").await;
    rig.org("acme").delete("Account", &ids[1]).expect("deleted");
    let lost = record(&rig, "K1");
    let unlinked = [("Account__c".to_owned(), Value::Null)].into_iter().collect();
    rig.org("acme").update(TARGET, lost["Id"].as_str().expect("an ID"), unlinked).expect("changed");
    rig.order("acme", "refresh").await;
    rig.through("acme").await;
    let row = record(&rig, "K1");
    assert_eq!((&row[&name(0)], &row[&name(499)]), (&Value::Null, &Value::Null));
    assert_eq!(record(&rig, "K0")[&name(499)], "Software");
}

/// What cannot be read in parts is a condition of the settings' own, and `check` says so with a way out.
#[actix_rt::test]
async fn a_condition_that_no_address_has_room_for_is_told_by_check() {
    let names: Vec<String> = (0..200).map(|n| format!("'{}{n}'", "Ü".repeat(10))).collect();
    let condition = format!("where = \"Name NOT IN ({}) AND Website != null\"", names.join(","));
    let edit = |text: String| text.replace("where = \"Website != null\"", &condition);
    let rig = Rig::with(vec![OrgOptions::named("acme")], edit).await;
    let check = rig.command(&["check"]).output().await.expect("the command runs");
    let said = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
    assert_eq!(check.status.code(), Some(1), "{said}");
    assert!(said.contains("bytes in the request's address") && said.contains("formula field"), "{said}");
}
