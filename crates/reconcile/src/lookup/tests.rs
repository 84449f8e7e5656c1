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
        assert_eq!(found.get(ID), Some(&Ok(expected)), "{answer}");
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
        (r#"{"records":[{"id":"0015000000Gv7qJAAS"}]}"#, "no record ID: `0015000000Gv7qJAAS`"),
        (r#"{"records":[{"id":"0015000000Gv7qJ","data":{"employees":NaN}}]}"#, "`/records/0/data/employees`"),
        (r#"{"records":[{"id":"0015000000Gv7qJ","da"#, "`/records/0"),
    ];
    for (answer, expected) in cases {
        let problem = parse(answer.as_bytes(), 1_000).unwrap_err();
        assert!(problem.to_string().contains(expected), "{answer}: {problem}");
        assert!(!problem.hint().is_empty());
    }
    assert_eq!(parse(b"[ ]", 2), Err(LookupProblem::TooLong { bytes: 3, bytes_max: 2 }));
}

#[test]
fn what_is_odd_about_one_record_is_that_records_problem_alone() {
    let other = "0015000000Gv7qKAAR";
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let rows = [
        (r#""text""#, "/records/0/data", "it is text"),
        ("7", "/records/0/data", "it is a number"),
        ("[7]", "/records/0/data/0", "it is a number"),
        (r#"[null,{"a":1},[]]"#, "/records/0/data/2", "it is a list"),
        (r#"{"employees":1e400}"#, "/records/0/data/employees", "out of range"),
        (r#"[{"a":[{"b/c":-1e999}]}]"#, "/records/0/data/0/a/0/b~1c", "out of range"),
        (r#"{"name":"half \ud83d"}"#, "/records/0/data/name", "hex escape"),
        (&deep, "/records/0/data/a/a", "recursion"),
    ];
    for (data, pointer, what) in rows {
        let body = format!(
            r#"{{"records":[{{"id":"{ID}","data":{data}}},{{"id":"{other}","data":{{"employees":5}}}}]}}"#
        );
        let found = parse(body.as_bytes(), 100_000).unwrap();
        assert_eq!(found[other], Ok(vec![json!({"employees": 5})]), "{data}");
        let problem = found[ID].as_ref().unwrap_err();
        assert!(problem.pointer.starts_with(pointer) && problem.pointer.len() < 250, "{}", problem.pointer);
        assert!(problem.what.contains(what) && !problem.hint().is_empty(), "{problem}");
    }
}

#[test]
fn an_answer_that_is_unreadable_as_a_whole_may_be_so_for_one_records_sake() {
    let rows = [
        (r#"{"records":[{"id":"0015000000Gv7qJ","data":{"a":NaN}}]}"#, true),
        (r#"{"records":[{"id":"0015000000Gv7qJ","data":{"a":-Infinity}}]}"#, true),
        (r#"{"records":[{"data":{}}]}"#, true),
        (r#"[{"id":"001"#, true),
        ("<html>", false),
        ("", false),
        (r#"{"error":"maintenance"}"#, false),
        (r#""text""#, false),
    ];
    for (body, halved) in rows {
        assert_eq!(parse(body.as_bytes(), 1_000).unwrap_err().may_be_one_records(), halved, "{body}");
    }
    assert!(parse(b"[ ]", 2).unwrap_err().may_be_one_records());
}

#[test]
fn no_digit_of_a_number_is_lost() {
    let body = format!(r#"[{{"id":"{ID}","data":{{"a":9007199254740993,"b":9007199254740993.0,"c":0.1}}}}]"#);
    let found = parse(body.as_bytes(), 1_000).unwrap();
    let expected = json!({"a": 9_007_199_254_740_993_i64, "b": "9007199254740993.0", "c": 0.1});
    assert_eq!(found[ID], Ok(vec![expected]));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body, 150);
    }
}
