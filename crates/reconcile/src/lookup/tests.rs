//! Questions to the vendor, and the reading of its answers.

use proptest::prelude::*;

use super::*;
use crate::mapping::tests::spec;

const ID: &str = "0015000000Gv7qJAAR";

fn object(value: Value) -> Row {
    let Value::Object(row) = value else { unreachable!() };
    row
}

#[test]
fn the_question_names_org_sync_object_and_keys() {
    let mapping = Mapping::new(spec()).unwrap();
    let rows = [object(json!({"Id": ID, "website": "a.example"})), object(json!({"Website": "no id"}))];
    let expected = json!({"org": "acme", "sync": "account_enrichment", "object": "Account",
        "records": [{"id": ID, "keys": {"domain": "a.example"}}]});
    assert_eq!(body(&mapping, "acme", &rows), expected);
    assert!(has_keys(&mapping, &rows[0]));
    assert!(!has_keys(&mapping, &object(json!({"Id": ID, "Website": " "}))));
}

#[test]
fn data_may_be_an_object_a_list_null_or_absent() {
    let cases = [
        (json!({"records": [{"id": ID, "data": {"a": 1}}]}), vec![json!({"a": 1})]),
        (
            json!({"records": [{"id": ID, "data": [{"a": 1}, null, {"a": 2}]}]}),
            vec![json!({"a": 1}), json!({"a": 2})],
        ),
        (json!({"records": [{"id": ID, "data": null}]}), vec![]),
        (json!({"records": [{"id": ID}], "more": true}), vec![]),
        (json!([{"id": &ID[..15], "data": {"a": 1}}]), vec![json!({"a": 1})]),
    ];
    for (answer, expected) in cases {
        let found = parse(answer.to_string().as_bytes(), 1_000).unwrap();
        assert_eq!(found.get(ID), Some(&expected), "{answer}");
    }
    assert!(parse(b"\xEF\xBB\xBF{\"records\":[]}", 100).unwrap().is_empty());
}

#[test]
fn a_wrong_answer_is_named_in_a_sentence() {
    let cases = [
        ("<html>", "not JSON"),
        ("", "not JSON"),
        ("7", "it is a number"),
        ("{}", "`records` is missing"),
        (r#"{"records":{}}"#, "`records` is an object"),
        (r#"{"records":[7]}"#, "`records[0]` is a number"),
        (r#"{"records":[{}]}"#, "`records[0].id` is missing"),
        (r#"{"records":[{"id":7}]}"#, "`records[0].id` is a number"),
        (r#"{"records":[{"id":"x"}]}"#, "no record ID: `x`"),
        (r#"{"records":[{"id":"0015000000Gv7qJ","data":"x"}]}"#, "`records[0].data` is text"),
        (r#"{"records":[{"id":"0015000000Gv7qJ","data":[7]}]}"#, "holds a number"),
    ];
    for (answer, expected) in cases {
        let problem = parse(answer.as_bytes(), 1_000).unwrap_err();
        assert!(problem.to_string().contains(expected), "{answer}: {problem}");
        assert!(!problem.hint().is_empty());
    }
    assert_eq!(parse(b"[ ]", 2), Err(LookupProblem::TooLong { bytes: 3, bytes_max: 2 }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body, 150);
    }
}
