//! Values that are refused, and what is written for the others.

use serde_json::json;

use super::*;

fn map(entries: &[(&str, Value)]) -> BTreeMap<String, Value> {
    entries.iter().map(|(text, value)| ((*text).to_owned(), value.clone())).collect()
}

#[test]
fn every_problem_of_a_value_is_told_with_its_key_and_a_hint() {
    let constant = ValueSpec { value: Some(json!("x")), ..ValueSpec::default() };
    for (spec, keys) in [
        (ValueSpec::default(), vec![""]),
        ("key".into(), vec!["from"]),
        ("/a~b".into(), vec!["from"]),
        ("$".into(), vec!["from"]),
        (ValueSpec { from: Some("/x".into()), ..constant.clone() }, vec!["value"]),
        (
            ValueSpec {
                default: Some(json!(1)),
                map: Some(map(&[])),
                otherwise: Some(json!(1)),
                ..constant.clone()
            },
            vec!["default", "map", "map"],
        ),
        (ValueSpec { otherwise: Some(json!(1)), ..constant.clone() }, vec!["otherwise"]),
        (ValueSpec { cel: Some("1 +".into()), from: Some("/x".into()), ..constant }, vec!["value", "cel"]),
        (ValueSpec { cel: Some("anser.x + 'a' - 1".into()), ..ValueSpec::default() }, vec!["cel", "cel"]),
        (ValueSpec { overlong: Some("cut".into()), ..ValueSpec::from("/x") }, vec!["overlong"]),
        ("$meta.time".into(), vec!["from"]),
        (ValueSpec { default: Some(json!(1)), ..ValueSpec::from("$meta.status") }, vec!["default"]),
        (ValueSpec { otherwise: Some(json!(1)), ..ValueSpec::from("x") }, vec!["from", "otherwise"]),
    ] {
        let problems = FieldSource::new(&spec).unwrap_err();
        assert_eq!(problems.iter().map(|problem| problem.key).collect::<Vec<_>>(), keys, "{spec:?}");
        assert!(problems.iter().all(|problem| !problem.hint.is_empty()));
    }
}

#[test]
fn a_value_is_mapped_by_its_text_and_an_empty_one_takes_the_default() {
    let plain = FieldSource::new(&"/x".into()).unwrap();
    let spec = ValueSpec {
        default: Some(json!("none")),
        map: Some(map(&[
            ("DE", json!("Germany")),
            ("5", json!("five")),
            ("true", json!(1)),
            ("1.5", json!(2)),
        ])),
        ..ValueSpec::from("/x")
    };
    let mapped = FieldSource::new(&spec).unwrap();
    let other = FieldSource::new(&ValueSpec { otherwise: Some(json!("?")), default: None, ..spec }).unwrap();
    for (value, as_it_is, by_map, or_otherwise) in [
        (None, Ok(None), Ok(Some(json!("none"))), Ok(None)),
        (Some(json!(null)), Ok(Some(json!(null))), Ok(Some(json!("none"))), Ok(Some(json!(null)))),
        (Some(json!(" ")), Ok(Some(json!(" "))), Ok(Some(json!("none"))), Ok(Some(json!(" ")))),
        (Some(json!([])), Ok(Some(json!([]))), Ok(Some(json!("none"))), Ok(Some(json!([])))),
        (
            Some(json!([null, " "])),
            Ok(Some(json!([null, " "]))),
            Ok(Some(json!("none"))),
            Ok(Some(json!([null, " "]))),
        ),
        (Some(json!("DE;5")), Ok(Some(json!("DE;5"))), Err(Unmapped), Ok(Some(json!("?")))),
        (Some(json!("DE")), Ok(Some(json!("DE"))), Ok(Some(json!("Germany"))), Ok(Some(json!("Germany")))),
        (Some(json!("de")), Ok(Some(json!("de"))), Err(Unmapped), Ok(Some(json!("?")))),
        (Some(json!(5)), Ok(Some(json!(5))), Ok(Some(json!("five"))), Ok(Some(json!("five")))),
        (Some(json!(5.0)), Ok(Some(json!(5.0))), Ok(Some(json!("five"))), Ok(Some(json!("five")))),
        (Some(json!(1.5)), Ok(Some(json!(1.5))), Ok(Some(json!(2))), Ok(Some(json!(2)))),
        (Some(json!(true)), Ok(Some(json!(true))), Ok(Some(json!(1))), Ok(Some(json!(1)))),
        (
            Some(json!(["DE", null, 5])),
            Ok(Some(json!(["DE", null, 5]))),
            Ok(Some(json!(["Germany", "five"]))),
            Ok(Some(json!(["Germany", "five"]))),
        ),
        (
            Some(json!(["DE", "FR"])),
            Ok(Some(json!(["DE", "FR"]))),
            Err(Unmapped),
            Ok(Some(json!(["Germany", "?"]))),
        ),
    ] {
        assert_eq!(plain.finish(value.clone()), as_it_is);
        assert_eq!(mapped.finish(value.clone()), by_map, "{value:?}");
        assert_eq!(other.finish(value.clone()), or_otherwise, "{value:?}");
    }
}

#[test]
fn of_a_record_a_text_of_several_values_is_mapped_one_by_one() {
    let spec = ValueSpec {
        map: Some(map(&[("a", json!("Alpha")), ("b", json!(2)), ("x;y", json!("both"))])),
        ..ValueSpec::from("$Tags__c")
    };
    let found = |spec: &ValueSpec, text: &str| FieldSource::new(spec).unwrap().finish(Some(json!(text)));
    assert_eq!(found(&spec, "a"), Ok(Some(json!("Alpha"))));
    assert_eq!(found(&spec, "b; a;"), Ok(Some(json!("2;Alpha"))));
    assert_eq!(found(&spec, "x;y"), Ok(Some(json!("both"))), "the whole comes first");
    assert_eq!(found(&spec, "a;c"), Err(Unmapped));
    let other = ValueSpec { otherwise: Some(json!("?")), ..spec };
    assert_eq!(found(&other, "a;c"), Ok(Some(json!("Alpha;?"))));
    assert_eq!(found(&other, "c;d"), Ok(Some(json!("?"))), "a text like any other");
}

#[test]
fn only_the_plain_id_of_the_record_is_its_id() {
    assert!(ValueSpec::from("$id").is_record_id() && FieldSource::new(&"$id".into()).unwrap().is_record_id());
    let mapped = ValueSpec { map: Some(map(&[("a", json!("b"))])), ..ValueSpec::from("$Id") };
    assert!(!mapped.is_record_id() && !FieldSource::new(&mapped).unwrap().is_record_id());
}

#[test]
fn a_value_is_told_as_it_was_written() {
    assert_eq!(ValueSpec::from("$Id").written(), json!("$Id"));
    let spec = ValueSpec { default: Some(json!(0)), ..ValueSpec::from("/n") };
    assert_eq!(spec.written(), json!({ "from": "/n", "default": 0 }));
    let constant = ValueSpec { value: Some(json!(true)), ..ValueSpec::default() };
    assert_eq!(FieldSource::new(&constant).expect("right").spec().written(), json!({ "value": true }));
}
