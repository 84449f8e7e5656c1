//! Sync requests as they come in events.

use serde_json::json;

use super::*;

fn fields() -> EventFields {
    EventFields {
        ids: "Record_Ids__c".into(),
        object: Some("Object_Type__c".into()),
        reason: Some("acmeco__Reason__c".into()),
        correlation_id: None,
    }
}

fn read(ids: &Value) -> Result<EventRequest, EventProblem> {
    let payload = json!({"acmeco__Record_Ids__c": ids, "acmeco__Object_Type__c": "Account",
        "acmeco__Reason__c": " saved ", "CreatedById": "005"});
    parse_request(payload.as_object().unwrap(), &fields(), "acmeco")
}

#[test]
fn ids_are_canonical_and_unique_and_keep_their_order() {
    let request = read(&json!("0015000000Gv7qK, 0015000000Gv7qJ,0015000000Gv7qJAAR,")).unwrap();
    let second = id::canonical("0015000000Gv7qK").unwrap();
    assert_eq!(request.ids, [second, "0015000000Gv7qJAAR".to_owned()]);
    assert_eq!(request.object.as_deref(), Some("Account"));
    assert_eq!(request.reason.as_deref(), Some("saved"));
    assert_eq!(request.correlation_id, None);
}

#[test]
fn a_payload_without_usable_ids_is_refused() {
    let field = || "acmeco__Record_Ids__c".to_owned();
    let many = |count: usize| json!((0..count).map(|n| format!("001{n:012}")).collect::<Vec<_>>().join(","));
    let cases = [
        (Value::Null, EventProblem::NoIds { field: field() }),
        (json!(7), EventProblem::NoIds { field: field() }),
        (json!(" , "), EventProblem::NoIds { field: field() }),
        (json!("0015000000Gv7qJ,x"), EventProblem::NotAnId { field: field(), place: 2 }),
        (many(201), EventProblem::TooMany { field: field() }),
        (json!(",".repeat(40_000)), EventProblem::TooMany { field: field() }),
    ];
    for (ids, expected) in cases {
        assert_eq!(read(&ids), Err(expected.clone()));
        assert!(!expected.hint().is_empty());
    }
    assert_eq!(read(&many(200)).unwrap().ids.len(), 200);
}
