//! Any bytes as the answer of the vendor's look-up API.
//!
//! Here: a second reading of the same bytes as plain JSON, and the comparison with what `lookup::parse` makes of them: each
//! record with all that was answered about it, nothing made up, nothing lost. Not here: where the bytes come from, which is
//! libFuzzer or a seed.

use std::collections::BTreeMap;

use orgpipe_reconcile::{id, lookup};
use serde_json::Value;

/// Room for any answer of these tests.
const BYTES_MAX: usize = 1 << 20;

/// Holds what is read of these bytes against the plain reading; true if they are an answer that can be used.
pub(crate) fn check(body: &[u8]) -> bool {
    let read = lookup::parse(body, BYTES_MAX);
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let Ok(json) = serde_json::from_slice::<Value>(text) else {
        // It may be mended, but nothing comes of nothing.
        if let Ok(found) = &read {
            let objects = body.iter().filter(|byte| **byte == b'{').count();
            let items: usize = found.values().map(Vec::len).sum();
            assert!(items <= objects && found.len() <= objects, "{items} items of {objects} objects");
            assert!(
                found.keys().all(|id| contains(body, &id.as_bytes()[..15])),
                "a record that was not named"
            );
        }
        return read.is_ok();
    };
    match (plain(&json), read) {
        (Some(expected), Ok(found)) => assert_eq!(found, expected),
        (None, Err(problem)) => {
            let (text, hint) = (problem.to_string(), problem.hint());
            assert!(text.chars().count() < 300 && !hint.is_empty(), "{text}");
            return false;
        }
        (Some(_), Err(problem)) => panic!("a sound answer is refused: {problem}"),
        (None, Ok(found)) => panic!("{} records of an answer of another shape", found.len()),
    }
    true
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// The answer in the plainest way; none if it is of another shape.
fn plain(json: &Value) -> Option<BTreeMap<String, Vec<Value>>> {
    let records = match json {
        Value::Array(records) => records,
        json => json.as_object()?.get("records")?.as_array()?,
    };
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in records {
        let record = record.as_object()?;
        let id = id::canonical(record.get("id")?.as_str()?)?;
        let data = match record.get("data") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(data)) => vec![Value::Object(data.clone())],
            Some(Value::Array(items)) => items.iter().filter(|item| !item.is_null()).cloned().collect(),
            Some(_) => return None,
        };
        if !data.iter().all(Value::is_object) {
            return None;
        }
        all.entry(id).or_default().extend(data);
    }
    Some(all)
}
