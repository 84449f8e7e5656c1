//! A second refresh writes nothing, whatever the org made of our values.

use orgpipe_simulator::{FieldKind, FieldRight, OrgOptions, Right, Row};
use serde_json::{Value, json};

use super::{
    support::{Rig, account, domain, request, with_leads},
    target::{TARGET, field, record, usual, with_target},
};

/// Fields of the target that the settings below write.
const FIELDS: [(&str, &str); 4] =
    [("Notes__c", "/notes"), ("Secret__c", "/secret"), ("Phone__c", "/phone"), ("Score__c", "/score")];

/// An org whose target has rich text, encrypted text and two plain fields, with `edit`ed settings that write them.
async fn rig(edit: impl FnOnce(String) -> String) -> Rig {
    let kinds = [
        FieldKind::RichText { length: 1_000 },
        FieldKind::Encrypted { length: 100 },
        FieldKind::Phone,
        FieldKind::Number { precision: 10, scale: 2 },
    ];
    let more = FIELDS.iter().zip(kinds).map(|((name, _), kind)| field(TARGET, name, kind));
    let custom_fields = usual().into_iter().chain(more).collect();
    let org = OrgOptions { flow: false, custom_fields, ..OrgOptions::named("acme") };
    let mapped: Vec<String> = FIELDS.iter().map(|(name, from)| format!("{name} = \"{from}\"")).collect();
    let mapped = mapped.join("\n") + "\n";
    let with = |text: String| {
        edit(
            with_target(&text)
                .replace("Industry__c = \"/industry\"\n", &format!("Industry__c = \"/industry\"\n{mapped}")),
        )
    };
    let mut rig = Rig::with(vec![org], with).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// What the look-up API answers for an account, with these values in the place of the usual ones.
fn answers(rig: &Rig, n: usize, more: &Value) {
    let mut answer = json!({
        "key": format!("K{n}"), "employees": 10, "industry": "Software", "notes": "R & D <B>now</B><br/>",
        "secret": "4111-1111", "phone": "+49 89 1", "score": 7.5,
    });
    answer.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    rig.simulator.vendor().set_answer(&domain(n), Some(answer));
}

/// So many accounts of which the usual is known.
fn accounts(rig: &Rig, count: usize) -> Vec<String> {
    let create = |n| {
        answers(rig, n, &json!({}));
        rig.org("acme").create("Account", account(n)).expect("an account")
    };
    (0..count).map(create).collect()
}

/// A refresh, and the names of the fields that it wrote, record by record.
async fn refreshed(rig: &Rig) -> Vec<Vec<String>> {
    rig.org("acme").clear_writes();
    rig.order("acme", "refresh").await;
    rig.through("acme").await;
    let fields = |row: &Row| {
        let names =
            row.keys().filter(|name| !["External_Id__c", "attributes", "id"].contains(&name.as_str()));
        let mut names: Vec<String> = names.cloned().collect();
        names.sort();
        names
    };
    rig.org("acme").writes().iter().map(|write| fields(&write.row)).collect()
}

fn id(rig: &Rig, n: usize) -> String {
    let row = record(rig, &format!("K{n}"));
    row["Id"].as_str().expect("an ID").to_owned()
}

/// Somebody changes a field of a record.
fn edit(rig: &Rig, n: usize, field: &str, value: Value) {
    let row = Row::from_iter([(field.to_owned(), value)]);
    rig.org("acme").update(TARGET, &id(rig, n), row).expect("changed");
}

async fn story(rig: &Rig, record: &str) -> String {
    let url = format!("{}/api/v1/orgs/acme/records/{record}", rig.admin);
    rig.http.get(url).send().await.expect("an answer").text().await.expect("text")
}

const NOTHING: Vec<Vec<String>> = Vec::new();

/// Rich text is tidied, encrypted text is masked, a flow rewrites a phone: written once, by REST and by a Bulk job, whatever
/// the match is made by, and told.
#[actix_rt::test]
async fn what_the_org_keeps_in_another_form_is_written_once() {
    let by_relationship =
        |text: String| text.replace("[sync.fields]", "match = \"relationship\"\n\n[sync.fields]");
    for (count, with_children) in [(3, false), (12, false), (3, true)] {
        let mut rig = rig(|text| if with_children { by_relationship(text) } else { text }).await;
        rig.org("acme").rewrite(TARGET, "Phone__c", json!("0049891"));
        let ids = accounts(&rig, count);
        let written = refreshed(&rig).await;
        assert_eq!(written.len(), count);
        assert_eq!(refreshed(&rig).await, NOTHING, "the second refresh");
        let story = story(&rig, &ids[0]).await;
        assert!(story.contains("Not written again: Notes__c, Phone__c, Secret__c."), "{story}");
        assert!(!story.contains("+49") && !story.contains("4111") && !story.contains("R &"), "{story}");
        rig.kill().await;
        rig.start().await;
        rig.subscribed("acme").await;
        assert_eq!(refreshed(&rig).await, NOTHING, "after a restart");
        // An event is no reason either, and is decided with the targets that hang on the records.
        rig.org("acme").publish("Sync_Request__e", request(&ids));
        rig.ledger("acme", json!({ "records_in": 4 * count, "written": count, "open": 0 })).await;
        let counts = rig.view("acme").await["records"].clone();
        assert_eq!(counts["unchanged"], 3 * count, "{counts}");
    }
}

/// Whatever somebody else does to such a field, or we learn of it, is written; what only lies beside it is not.
#[actix_rt::test]
async fn what_others_or_we_change_afterwards_is_written_again() {
    let rig = rig(|text| text).await;
    accounts(&rig, 4);
    refreshed(&rig).await;
    // Before anybody has looked: who made it so is not known, so all three forms are written again.
    edit(&rig, 0, "Notes__c", json!("mine"));
    let written = refreshed(&rig).await;
    assert_eq!(written, [["Notes__c", "Secret__c"]]);
    assert_eq!(refreshed(&rig).await, NOTHING);

    edit(&rig, 1, "Notes__c", json!("mine"));
    // What lies behind a mask nobody sees, so it may have been that; the rich text is as it was.
    edit(&rig, 2, "Phone__c", json!("112"));
    answers(&rig, 3, &json!({ "notes": "R & E" }));
    let mut written = refreshed(&rig).await;
    written.sort();
    assert_eq!(written, [vec!["Notes__c"], vec!["Notes__c", "Secret__c"], vec!["Phone__c", "Secret__c"]]);
    assert_eq!(refreshed(&rig).await, NOTHING);

    // Back to the value before: that was not what was sent last.
    answers(&rig, 3, &json!({}));
    assert_eq!(refreshed(&rig).await, [["Notes__c"]]);
    answers(&rig, 3, &json!({ "secret": "4111-2222" }));
    assert_eq!(refreshed(&rig).await, [["Secret__c"]], "the mask looks as before");
    // The same value as the org's own form is somebody's, too.
    edit(&rig, 3, "Secret__c", json!("5500-0000"));
    assert_eq!(refreshed(&rig).await, [["Secret__c"]], "and again");
    assert_eq!(refreshed(&rig).await, NOTHING);
}

/// A record that is deleted and made again by somebody has another history.
#[actix_rt::test]
async fn a_target_that_is_made_again_is_compared_afresh() {
    let rig = rig(|text| text).await;
    let ids = accounts(&rig, 2);
    refreshed(&rig).await;
    assert_eq!(refreshed(&rig).await, NOTHING);
    for n in 0..2 {
        rig.org("acme").delete(TARGET, &id(&rig, n)).expect("deleted");
    }
    let copy = json!({
        "External_Id__c": "K0", "Account__c": ids[0], "Employee_Count__c": 10, "Industry__c": "Software",
        "Notes__c": "other", "Secret__c": "other", "Phone__c": "+49 89 1", "Score__c": 7.5,
    });
    rig.org("acme").create(TARGET, copy.as_object().cloned().expect("an object")).expect("a record");
    let mut written = refreshed(&rig).await;
    written.sort();
    assert_eq!(written.len(), 2);
    assert_eq!(written[1], ["Notes__c", "Secret__c"], "{written:?}");
    assert_eq!(refreshed(&rig).await, NOTHING);
}

/// Two syncs write to one record, each in its own field; what one of them sends hides no change of the other's field.
#[actix_rt::test]
async fn two_syncs_of_one_record_neither_rewrite_nor_hide_each_others_fields() {
    let rig = rig(|text| {
        let text = text.replace("Secret__c = \"/secret\"\n", "");
        with_target(&with_leads(&text))
            .replace("Lead__c = \"$Id\"", "Lead__c = \"$Id\"\nSecret__c = \"/secret\"")
    })
    .await;
    answers(&rig, 0, &json!({}));
    rig.org("acme").create("Account", account(0)).expect("an account");
    let lead = json!({ "LastName": "Doe", "Company": "Company 0", "Website": domain(0) });
    rig.org("acme").create("Lead", lead.as_object().cloned().expect("an object")).expect("a lead");
    refreshed(&rig).await;
    // The lead's sync may have come before the account's had looked at what it had sent.
    refreshed(&rig).await;
    assert_eq!(refreshed(&rig).await, NOTHING);
    edit(&rig, 0, "Notes__c", json!("mine"));
    let written: Vec<String> = refreshed(&rig).await.into_iter().flatten().collect();
    assert!(written.contains(&"Notes__c".to_owned()), "{written:?}");
    refreshed(&rig).await;
    assert_eq!(refreshed(&rig).await, NOTHING);

    // Somebody edits the rich text; before the account's sync looks, the lead's one writes as our user.
    edit(&rig, 0, "Notes__c", json!("mine"));
    answers(&rig, 0, &json!({ "secret": "4111-3333" }));
    let written: Vec<String> = refreshed(&rig).await.into_iter().flatten().collect();
    assert!(
        written.contains(&"Notes__c".to_owned()) && written.contains(&"Secret__c".to_owned()),
        "{written:?}"
    );
}

/// A field that could not be written is not taken for one that was sent.
#[actix_rt::test]
async fn a_field_that_was_in_quarantine_is_written_once_it_is_back() {
    let mut rig = rig(|text| text).await;
    accounts(&rig, 1);
    refreshed(&rig).await;
    assert_eq!(refreshed(&rig).await, NOTHING);
    let right = || Right::Field(TARGET.into(), "Notes__c".into(), FieldRight::Edit);
    rig.org("acme").take_right(right());
    answers(&rig, 0, &json!({ "notes": "R & E", "score": 8 }));
    assert_eq!(refreshed(&rig).await, [["Score__c"]]);
    rig.org("acme").give_right(right());
    // It is described anew five minutes after it was lost, or by a start.
    rig.kill().await;
    rig.start().await;
    rig.subscribed("acme").await;
    assert_eq!(refreshed(&rig).await, [["Notes__c"]]);
    assert_eq!(refreshed(&rig).await, NOTHING);
}
