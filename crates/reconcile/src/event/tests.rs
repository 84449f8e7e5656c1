//! Sync requests as they come in events.

use serde_json::json;

use super::*;
use crate::id::{self, Fault};

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
        (many(201), EventProblem::TooMany { field: field() }),
        (json!(",".repeat(40_000)), EventProblem::TooMany { field: field() }),
    ];
    for (ids, expected) in cases {
        assert_eq!(read(&ids), Err(expected.clone()));
        assert!(!expected.hint().is_empty());
    }
    assert_eq!(read(&many(200)).unwrap().ids.len(), 200);
}

#[test]
fn what_is_no_id_is_named_by_its_place_and_the_others_are_taken() {
    for (ids, places) in
        [("0015000000Gv7qJ,x", [2].as_slice()), ("x", &[1]), ("[x; 0015000000Gv7qJ; y]", &[1, 3])]
    {
        let request = read(&json!(ids)).unwrap();
        let field = || "acmeco__Record_Ids__c".to_owned();
        let bad = |place: &usize| BadId { place: *place, fault: Fault::NoId, cut: false };
        let expected: Vec<_> =
            places.iter().map(|place| EventProblem::NotAnId { field: field(), bad: bad(place) }).collect();
        assert_eq!(request.bad, expected, "{ids}");
        assert_eq!(request.ids.is_empty(), ids == "x");
        assert!(request.bad.iter().all(|bad| !bad.hint().is_empty()));
    }
}
