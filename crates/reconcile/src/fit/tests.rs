//! What fields do not keep of what a mapping says.

use serde_json::json;

use super::*;
use crate::{ValueSpec, describe::Describe};

fn field(json: &Value) -> Field {
    let describe = json!({ "fields": [json] });
    Describe::from_json(describe.as_object().unwrap()).unwrap().field("F__c").unwrap().clone()
}

#[test]
fn what_a_field_cannot_keep_is_told_before_there_is_a_record() {
    let of = |kind: &str| {
        field(&json!({ "name": "F__c", "type": kind, "length": 20, "precision": 5, "scale": 0 }))
    };
    let key = field(&json!({ "name": "F__c", "type": "string", "length": 80, "externalId": true }));
    let code = field(&json!({ "name": "F__c", "type": "string", "length": 2 }));
    let empty = ValueSpec::default;
    let constant = |value: Value| ValueSpec { value: Some(value), ..empty() };
    let cel = |cel: &str| ValueSpec { cel: Some(cel.into()), ..empty() };
    let mapped = ValueSpec {
        map: Some([("a".into(), json!("x")), ("b".into(), json!(5))].into()),
        otherwise: Some(json!("none")),
        default: Some(json!(123_456)),
        ..ValueSpec::from("/x")
    };
    let overlong = |what: &str| ValueSpec { overlong: Some(what.into()), ..ValueSpec::from("/x") };
    for (spec, field, keys) in [
        (constant(json!("a")), of("double"), vec!["value"]),
        (constant(json!(5)), of("double"), vec![]),
        (constant(json!("x".repeat(21))), of("string"), vec!["value"]),
        (constant(json!("2026-02-30")), of("date"), vec!["value"]),
        (mapped, of("double"), vec!["default", "map", "otherwise"]),
        (cel("size(answer.x)"), of("double"), vec![]),
        (cel("size(answer.x)"), of("string"), vec![]),
        (cel("size(answer.x)"), of("date"), vec!["cel"]),
        (cel("answer.x > 1"), of("double"), vec!["cel"]),
        (cel("answer.x > 1"), of("boolean"), vec![]),
        (cel("answer.x.split(';')"), of("string"), vec!["cel"]),
        (cel("answer.x.split(';')"), of("multipicklist"), vec![]),
        (cel("now"), of("datetime"), vec![]),
        (cel("now"), of("reference"), vec!["cel"]),
        (cel("answer.x"), of("reference"), vec![]),
        ("$meta.synced_at".into(), of("datetime"), vec![]),
        ("$meta.synced_at".into(), of("boolean"), vec!["from"]),
        ("$meta.status".into(), of("double"), vec!["from"]),
        ("$meta.content_hash".into(), of("string"), vec!["from"]),
        ("$meta.correlation_id".into(), of("string"), vec![]),
        ("$meta.correlation_id".into(), code.clone(), vec!["from"]),
        ("$meta.correlation_id".into(), of("picklist"), vec!["from"]),
        ("$meta.correlation_id".into(), key.clone(), vec![]),
        ("$meta.status".into(), code.clone(), vec!["from"]),
        ("$meta.status".into(), of("picklist"), vec![]),
        (overlong("truncate"), of("string"), vec![]),
        (overlong("truncate"), of("picklist"), vec!["overlong"]),
        (overlong("truncate"), key.clone(), vec!["overlong"]),
        (overlong("truncate"), code, vec!["overlong"]),
        (overlong("refuse"), key, vec![]),
    ] {
        let found = misfits(&FieldSource::new(&spec).unwrap(), &field);
        assert_eq!(found.iter().map(|problem| problem.key).collect::<Vec<_>>(), keys, "{spec:?}: {found:?}");
        assert!(found.iter().all(|problem| !problem.hint.is_empty() && problem.message.contains("F__c")));
    }
}
