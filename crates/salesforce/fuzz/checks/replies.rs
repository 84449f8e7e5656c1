//! Any bytes as a page of a query, as the results of a Collections call, as a result file of a Bulk job, and as a page of a
//! Bulk query.
//!
//! Here: a second, plain reading of each, and the comparison: no row made up, none lost, each with its own fate. Not here:
//! where the bytes come from, which is libFuzzer or a seed.

use bytes::Bytes;
use orgpipe_salesforce::{
    bulk::{self, BulkRow, job::ResultKind, results::Results},
    call::Reply,
    rest::{RowResult, collections, query},
};
use serde_json::{Map, Value};

/// Column of the key in a result file.
pub(crate) const KEY: &str = "External_Id__c";

/// Holds what is read of the bytes against the plain reading: the first says as what, the second how they are cut, the rest
/// is the body. True if it can be used.
pub(crate) fn check(data: &[u8]) -> bool {
    let [kind, cut, body @ ..] = data else { return false };
    match kind % 4 {
        0 => page(body),
        1 => collections(body, usize::from(*cut % 8)),
        2 => bulk_results(body, 1 + usize::from(*cut)),
        _ => bulk_page(body),
    }
}

fn reply(body: &[u8]) -> Reply {
    Reply { status: 200, headers: Vec::new(), body: Bytes::copy_from_slice(body), usage: None }
}

fn count(body: &[u8], wanted: u8) -> usize {
    body.split(|byte| *byte == wanted).count() - 1
}

fn page(body: &[u8]) -> bool {
    let read = query::page(&reply(body));
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        if let Ok(page) = &read {
            let objects = count(body, b'{');
            assert!(page.records.len() < objects, "more records than objects");
        }
        return read.is_ok();
    };
    let expected = plain_page(&json);
    match (&read, expected) {
        (Ok(page), Some((records, next))) => {
            assert_eq!(page.records, records);
            assert_eq!(page.next, next);
        }
        (Ok(page), None) => panic!("{} records of no page", page.records.len()),
        // A child list that goes on elsewhere may be refused: read as complete it would lose records.
        (Err(error), Some((records, _))) => {
            assert!(records.iter().any(goes_on), "a sound page is refused: {error}");
        }
        (Err(_), None) => {}
    }
    read.is_ok()
}

fn goes_on(record: &Map<String, Value>) -> bool {
    record.values().any(|value| value.get("done").and_then(Value::as_bool) == Some(false))
}

/// Records, and where the next page is.
type PlainPage = (Vec<Map<String, Value>>, Option<String>);

fn plain_page(json: &Value) -> Option<PlainPage> {
    json.get("totalSize")?.as_u64()?;
    let records = json.get("records")?.as_array()?;
    let records: Option<Vec<_>> = records.iter().map(|record| record.as_object().cloned()).collect();
    let next = if json.get("done")?.as_bool()? {
        None
    } else {
        Some(json.get("nextRecordsUrl")?.as_str().filter(|url| !url.is_empty())?.to_owned())
    };
    Some((records?, next))
}

fn collections(body: &[u8], count: usize) -> bool {
    let read = collections::results(&reply(body), count);
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        // Half a character and bytes that are none are mended, which the plain reading does not do.
        if let Ok(results) = &read {
            assert_eq!(results.len(), count);
            let half = body.to_ascii_lowercase().windows(3).any(|window| window == br"\ud");
            assert!(half || std::str::from_utf8(body).is_err(), "it is no JSON");
        }
        return read.is_ok();
    };
    let elements = json.as_array().filter(|elements| elements.len() == count);
    let fates: Option<Vec<(bool, &str)>> = elements.and_then(|elements| elements.iter().map(fate).collect());
    match (&read, &fates) {
        (Ok(results), Some(fates)) => {
            assert_eq!(results.len(), count);
            for (result, (success, id)) in results.iter().zip(fates) {
                match result {
                    RowResult::Written { id: written, .. } => assert!(*success && written == id),
                    RowResult::Failed(_) => assert!(!success),
                }
            }
        }
        (Err(_), None) => {}
        (Ok(results), None) => panic!("{} results of {count} records", results.len()),
        (Err(error), Some(_)) => panic!("sound results are refused: {error}"),
    }
    read.is_ok()
}

fn fate(element: &Value) -> Option<(bool, &str)> {
    let id = element.get("id").and_then(Value::as_str).unwrap_or_default();
    Some((element.get("success")?.as_bool()?, id))
}

/// The records of a CSV file, header first; none if it ends within a value.
fn plain_csv(body: &[u8]) -> Option<Vec<Vec<String>>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii_start().starts_with(b"<") || count(body, b'"') % 2 == 1 {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    let record =
        |record: csv::Result<csv::ByteRecord>| record.ok().map(|record| record.iter().map(text).collect());
    reader.byte_records().map(record).collect()
}

/// The file comes in pieces of `piece` bytes.
fn bulk_results(body: &[u8], piece: usize) -> bool {
    let expected = plain_csv(body).and_then(|records| {
        let Some((header, records)) = records.split_first() else { return Some(Vec::new()) };
        if records.is_empty() {
            return Some(Vec::new());
        }
        let names: Vec<String> = header.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        let place = |wanted: &str| names.iter().position(|name| *name == wanted.to_ascii_lowercase());
        let (key, id) = (place(KEY)?, place("sf__Id"));
        let row = |record: &Vec<String>| {
            let id = id.map(|id| record[id].clone()).unwrap_or_default();
            (record.len() == names.len()).then(|| (record[key].clone(), id))
        };
        let short = records.iter().any(|record| record.len() != names.len());
        if short { None } else { records.iter().map(row).collect() }
    });
    let mut results = Results::new(KEY);
    let mut file = results.file(ResultKind::Successful);
    let pushed = body.chunks(piece).try_for_each(|piece| file.push(piece)).and_then(|()| file.end());
    match (&pushed, expected) {
        (Ok(()), Some(rows)) => {
            let absent = "no key of any file \u{1F50D}";
            let keys = rows.iter().map(|(key, _)| key.as_str()).filter(|key| key.trim() != absent);
            let found = results.rows(keys.clone().chain([absent]));
            let expected: Vec<&str> =
                rows.iter().filter(|(key, _)| key.trim() != absent).map(|(_, id)| id.as_str()).collect();
            assert_eq!(found.len(), expected.len() + 1);
            for (row, expected) in found.iter().zip(&expected) {
                assert!(
                    matches!(row, BulkRow::Written { id, .. } if id == expected),
                    "{row:?} for {expected}"
                );
            }
            if expected.len() == rows.len() {
                assert_eq!(found.last(), Some(&BulkRow::Unknown));
            }
        }
        (Ok(()), None) => panic!("a damaged file is taken"),
        (Err(error), Some(rows)) => panic!("a sound file of {} records is refused: {error}", rows.len()),
        (Err(_), None) => {}
    }
    pushed.is_ok()
}

fn bulk_page(body: &[u8]) -> bool {
    let plain = plain_csv(body);
    let read: Result<Vec<_>, _> = match bulk::query::rows(body) {
        Ok(rows) => rows.collect(),
        Err(error) => Err(error),
    };
    match (&read, plain) {
        (Ok(rows), Some(records)) => {
            let header = records.first().cloned().unwrap_or_default();
            assert_eq!(rows.len(), records.len().saturating_sub(1));
            let names: Vec<&str> = header.iter().map(|name| name.trim()).collect();
            let alone = |at: usize| {
                let own = |name: &&str| name.split('.').next() == names[at].split('.').next();
                !names[at].contains('.') && names.iter().filter(|name| own(name)).count() == 1
            };
            for (row, record) in rows.iter().zip(records.iter().skip(1)) {
                for (at, cell) in record.iter().enumerate().filter(|(at, _)| alone(*at)) {
                    let expected = if cell.is_empty() { Value::Null } else { Value::from(cell.as_str()) };
                    assert_eq!(row.get(names[at]), Some(&expected), "column {at}");
                }
            }
        }
        (Ok(rows), None) => panic!("{} rows of a damaged page", rows.len()),
        (Err(error), Some(records)) => {
            let width = records.first().map_or(0, Vec::len);
            assert!(records.iter().any(|record| record.len() != width), "a sound page is refused: {error}");
        }
        (Err(_), None) => {}
    }
    read.is_ok()
}
