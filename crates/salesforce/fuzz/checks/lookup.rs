//! Any bytes as the answer of the vendor's look-up API.
//!
//! Here: a second reading of the same bytes as plain JSON, and the comparison with what `lookup::parse` makes of them: each
//! record with all that was answered about it, nothing made up, nothing lost, and one that cannot be read spoils no other.
//! Not here: where the bytes come from, which is libFuzzer or a seed.

use std::collections::BTreeMap;

use orgpipe_reconcile::{id, lookup};
use serde_json::Value;

/// Room for any answer of these tests.
const BYTES_MAX: usize = 1 << 20;

/// What is answered about each record; none where it is no data.
type Plain = BTreeMap<String, Option<Vec<Value>>>;

/// Holds what is read of these bytes against the plain reading; true if they are an answer that can be used.
pub(crate) fn check(body: &[u8]) -> bool {
    let read = lookup::parse(body, BYTES_MAX);
    if let Err(problem) = &read {
        let (text, hint) = (problem.to_string(), problem.hint());
        assert!(text.chars().count() < 500 && !hint.is_empty(), "{text}");
    }
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let Ok(json) = serde_json::from_slice::<Value>(text) else {
        // Some of it may be readable all the same, but nothing comes of nothing.
        if let Ok(found) = &read {
            let objects = body.split(|byte| *byte == b'{').count() - 1;
            let items: usize = found.values().flatten().map(Vec::len).sum();
            assert!(items <= objects && found.len() <= objects, "{items} items of {objects} objects");
        }
        return read.is_ok();
    };
    match (plain(&json), &read) {
        (Some(expected), Ok(found)) => {
            let ids: Vec<&String> = found.keys().collect();
            assert_eq!(ids, expected.keys().collect::<Vec<_>>(), "no record made up, none lost");
            for (found, expected) in found.values().zip(expected.values()) {
                match (found, expected) {
                    (Ok(found), Some(expected)) => {
                        assert!(all_same(found, expected), "{found:?} for {expected:?}");
                    }
                    (Err(problem), None) => assert!(!problem.to_string().is_empty()),
                    (found, expected) => panic!("{found:?} for {expected:?}"),
                }
            }
        }
        (None, Err(_)) => {}
        // Of two members of one name the plain reading takes the last.
        (Some(_), Err(problem)) => assert!(problem.to_string().contains("duplicate field"), "{problem}"),
        (None, Ok(found)) => panic!("{} records of an answer of another shape", found.len()),
    }
    read.is_ok()
}

fn all_same(found: &[Value], expected: &[Value]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| same(found, expected))
}

/// Whether two values are the same; a number that no double holds is read as its text.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::String(text), Value::Number(number)) => {
            let near = |one: f64, other: f64| (one - other).abs() <= one.abs() * 4.0 * f64::EPSILON;
            text.parse().ok().zip(number.as_f64()).is_some_and(|(one, other)| near(one, other))
        }
        (Value::Array(found), Value::Array(expected)) => all_same(found, expected),
        (Value::Object(found), Value::Object(expected)) => {
            found.len() == expected.len()
                && found
                    .iter()
                    .all(|(name, value)| expected.get(name).is_some_and(|other| same(value, other)))
        }
        (found, expected) => found == expected,
    }
}

/// The answer in the plainest way; none if it is of another shape.
fn plain(json: &Value) -> Option<Plain> {
    let records = match json {
        Value::Array(records) => records,
        json => json.as_object()?.get("records")?.as_array()?,
    };
    let mut all = Plain::new();
    for record in records {
        let record = record.as_object()?;
        let id = id::canonical(record.get("id")?.as_str()?)?;
        let data = match record.get("data") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Object(data)) => Some(vec![Value::Object(data.clone())]),
            Some(Value::Array(items)) => {
                let items: Vec<Value> = items.iter().filter(|item| !item.is_null()).cloned().collect();
                Some(items).filter(|items| items.iter().all(Value::is_object))
            }
            Some(_) => None,
        };
        let known = all.entry(id).or_insert_with(|| Some(Vec::new()));
        *known = known.take().zip(data).map(|(known, data)| [known, data].concat());
    }
    Some(all)
}
