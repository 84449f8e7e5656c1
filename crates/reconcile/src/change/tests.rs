//! Which change events ask for a look-up, and for what.

use serde_json::json;

use super::*;
use crate::mapping::MappingSpec;

const OURS: &str = "005000000000001AAA";
const US: Ourselves<'_> = Ourselves { user: Some(OURS), client: "orgpipe" };

fn mapping(target: &str) -> Mapping {
    mapping_of("Employee_Count__c", target)
}

fn mapping_of(field: &str, target: &str) -> Mapping {
    let pairs = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    Mapping::new(MappingSpec {
        sync: "accounts".into(),
        object: "Account".into(),
        keys: pairs("domain", "Website"),
        target: target.into(),
        external_id_field: "External_Id__c".into(),
        external_id_from: "/key".into(),
        fields: [(field.to_owned(), "/employees".into())].into(),
        operation: crate::operation::Operation::Upsert,
        matching: crate::mapping::Matching::ExternalId,
        namespace: String::new(),
    })
    .expect("a right mapping")
}

fn read(header: &Value, target: &str, watch: &[&str]) -> Result<ChangeRequest, ChangeProblem> {
    let payload = json!({ "ChangeEventHeader": header, "Name": "New" });
    let watch: Vec<String> = watch.iter().map(|&name| name.to_owned()).collect();
    parse_change(payload.as_object().expect("an object"), &mapping(target), &watch, US)
}

fn header(kind: &str, ids: &[&str]) -> Value {
    json!({ "entityName": "Account", "recordIds": ids, "changeType": kind, "commitTimestamp": 7_000,
            "commitUser": "005000000000009AAA", "changedFields": ["Name", "LastModifiedDate"] })
}

#[test]
fn every_kind_of_change_asks_for_what_it_must() {
    let id = "0015000000Gv7qJ";
    let records = || {
        ChangeRequest::Records(RecordIds { ids: vec!["0015000000Gv7qJAAR".into()], ..RecordIds::default() })
    };
    let anything = || ChangeRequest::Anything { since_ms: Some(7_000) };
    let rows: &[(&str, &[&str], ChangeRequest)] = &[
        ("CREATE", &[id], records()),
        ("UPDATE", &[id, "0015000000Gv7qJAAR"], records()),
        ("UNDELETE", &[id], records()),
        ("SNAPSHOT", &[id], records()),
        ("DELETE", &[id], ChangeRequest::Nothing),
        ("GAP_CREATE", &[id], records()),
        ("GAP_UPDATE", &[id], records()),
        ("GAP_UNDELETE", &[id], records()),
        ("GAP_DELETE", &[id], ChangeRequest::Nothing),
        ("GAP_OVERFLOW", &["000000000000000AAA"], anything()),
        ("UPDATE", &["001*"], anything()),
    ];
    for (kind, ids, expected) in rows {
        assert_eq!(read(&header(kind, ids), "Enrichment__c", &[]).as_ref(), Ok(expected), "{kind} {ids:?}");
    }
    let mut other = header("UPDATE", &[id]);
    other["entityName"] = "Lead".into();
    assert_eq!(read(&other, "Enrichment__c", &[]), Ok(ChangeRequest::Nothing));
}

#[test]
fn what_cannot_be_read_is_a_problem() {
    let cases = [
        (json!(null), ChangeProblem::NoHeader),
        (json!({ "entityName": "Account" }), ChangeProblem::NoHeader),
        (header("UPDATE", &[]), ChangeProblem::NoHeader),
    ];
    for (header, expected) in cases {
        assert_eq!(read(&header, "Enrichment__c", &[]), Err(expected), "{header}");
    }
    let header = header("UPDATE", &["0015000000Gv7qJ", "x", "001000000000001ZZZ"]);
    let Ok(ChangeRequest::Records(RecordIds { ids, bad })) = read(&header, "Enrichment__c", &[]) else {
        panic!("the record is taken")
    };
    assert_eq!(ids, ["0015000000Gv7qJAAR"]);
    let bad: Vec<_> = bad.iter().map(|bad| (bad.place, bad.fault)).collect();
    assert_eq!(bad, [(2, Fault::NoId), (3, Fault::CheckLetters)]);
}

#[test]
fn a_change_of_fields_that_are_not_watched_asks_for_nothing_only_when_that_is_sure() {
    let rows: &[(&[&str], Value, bool)] = &[
        (&[], json!(["Phone"]), true),
        (&["Website"], json!(["Phone", "LastModifiedDate"]), false),
        (&["website"], json!(["Phone", "Website"]), true),
        (&["BillingAddress"], json!(["BillingAddress.City"]), true),
        (&["BillingCity"], json!(["BillingAddress.City", "LastModifiedDate"]), true),
        (&["BillingCity"], json!(["BillingAddress.Street", "LastModifiedDate"]), false),
        (&["FirstName"], json!(["Name.FirstName"]), true),
        (&["Place__Latitude__s"], json!(["Place__c.Latitude"]), true),
        (&["Website"], json!(null), true),
        (&["Website"], json!([]), true),
        (&["Website"], json!(["Phone", 7]), true),
    ];
    for (watch, changed, asked) in rows {
        let mut header = header("UPDATE", &["0015000000Gv7qJ"]);
        header["changedFields"] = changed.clone();
        let request = read(&header, "Enrichment__c", watch).expect("readable");
        assert_eq!(request != ChangeRequest::Nothing, *asked, "{watch:?} {changed}");
    }
}

#[test]
fn only_a_write_that_can_be_nothing_but_our_own_is_passed_over() {
    let rows: &[(&str, &str, Value, bool)] = &[
        ("Account", "005000000000001", json!(["Employee_Count__c", "LastModifiedDate"]), false),
        ("Account", OURS, json!(["Employee_Count__c", "Website"]), true),
        ("Account", OURS, json!(null), true),
        ("Account", "005000000000009AAA", json!(["Employee_Count__c"]), true),
        ("Enrichment__c", OURS, json!(["Employee_Count__c"]), true),
    ];
    for (target, user, changed, asked) in rows {
        let mut header = header("UPDATE", &["0015000000Gv7qJ"]);
        (header["commitUser"], header["changedFields"]) = ((*user).into(), changed.clone());
        let request = read(&header, target, &[]).expect("readable");
        assert_eq!(request != ChangeRequest::Nothing, *asked, "{target} {user} {changed}");
    }
}

#[test]
fn our_own_write_of_a_part_of_a_compound_field_is_known_as_own() {
    let rows: &[(&str, &[&str], bool)] = &[
        ("BillingCity", &["BillingAddress.City", "LastModifiedDate"], true),
        ("BillingCity", &["BillingAddress.Street", "LastModifiedDate"], false),
        ("BillingCity", &["BillingAddress"], false),
        ("FirstName", &["Name.FirstName"], true),
        ("Place__Latitude__s", &["Place__c.Latitude"], true),
    ];
    for (field, changed, own) in rows {
        let mut header = header("UPDATE", &["0015000000Gv7qJ"]);
        (header["commitUser"], header["changedFields"]) = (OURS.into(), json!(changed));
        let payload = json!({ "ChangeEventHeader": header });
        let payload = payload.as_object().expect("an object");
        let request = parse_change(payload, &mapping_of(field, "Account"), &[], US).expect("readable");
        assert_eq!(request == ChangeRequest::Nothing, *own, "{field} {changed:?}");
    }
}

#[test]
fn fields_that_were_emptied_or_sent_as_a_difference_have_changed_too() {
    for list in ["nulledFields", "diffFields"] {
        let mut header = header("UPDATE", &["0015000000Gv7qJ"]);
        header[list] = json!(["BillingAddress.City"]);
        let request = read(&header, "Enrichment__c", &["BillingCity"]).expect("readable");
        assert_ne!(request, ChangeRequest::Nothing, "{list}");
        (header["commitUser"], header["changedFields"]) = (OURS.into(), json!(["Employee_Count__c"]));
        assert_ne!(read(&header, "Account", &[]).expect("readable"), ChangeRequest::Nothing, "{list}");
    }
}

/// Another vendor's orgpipe names itself as ours does, and another tool may work as our user.
#[test]
fn a_write_is_our_own_by_user_and_client_and_only_of_our_own_fields() {
    let ours = json!(["Employee_Count__c", "LastModifiedDate"]);
    let mixed = json!(["Employee_Count__c", "Phone"]);
    let origin = "com/salesforce/api/rest/66.0;client=orgpipe";
    let bulk = "com/salesforce/api/bulkapi/66.0;client=orgpipe/";
    let longer = "com/salesforce/api/rest/66.0;client=orgpipes";
    let soap = "com/salesforce/api/soap/66.0;client=SfdcInternalAPI/";
    let unnamed = "com/salesforce/api/rest/66.0";
    let (us, other) = (Some(OURS), "005000000000009AAA");
    let rows: &[(&str, Option<&str>, &str, &Value, bool)] = &[
        (OURS, us, origin, &ours, false),
        (OURS, us, bulk, &ours, false),
        (OURS, us, unnamed, &ours, false),
        (OURS, us, "", &ours, false),
        (OURS, us, origin, &mixed, true),
        (OURS, us, longer, &ours, true),
        (OURS, us, soap, &ours, true),
        (other, us, origin, &ours, true),
        (other, us, unnamed, &ours, true),
        (OURS, None, origin, &ours, false),
        (OURS, None, bulk, &ours, false),
        (OURS, None, longer, &ours, true),
        (OURS, None, "", &ours, true),
        (OURS, None, origin, &mixed, true),
    ];
    for (by, user, origin, changed, asked) in rows {
        let mut header = header("UPDATE", &["0015000000Gv7qJ"]);
        (header["changeOrigin"], header["changedFields"]) = (json!(origin), (*changed).clone());
        header["commitUser"] = (*by).into();
        let payload = json!({ "ChangeEventHeader": header });
        let payload = payload.as_object().expect("an object");
        for (target, asked) in [("Account", *asked), ("Enrichment__c", true)] {
            let us = Ourselves { user: *user, client: "orgpipe" };
            let request = parse_change(payload, &mapping(target), &[], us).expect("readable");
            assert_eq!(request != ChangeRequest::Nothing, asked, "{by} {user:?} {origin} {changed} {target}");
        }
    }
}
