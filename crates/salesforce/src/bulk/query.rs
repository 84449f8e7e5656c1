//! One query job: create, poll, read the results page by page.
//!
//! Here: the calls, and a page of results as rows. Not here: the job's states (`job`, which reads every answer that tells
//! one), how long to wait (`bulk::poll_delay`), what type a value has: CSV is all text.
//!
//! Source: BULKDOC, chapter "Bulk API 2.0 Query".

use csv::{ByteRecord, ReaderBuilder};
use serde_json::{Value, json};

use super::job::set_state;
use crate::{
    Row,
    call::{Body, Call, CallKind, Method, Reply, VERSION_MARK, json_body, segment},
    failure::CallError,
    limits::{SMALL_TIMEOUT, TRANSFER_TIMEOUT},
};

/// What a page's headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageHead {
    /// Records in it; none if the answer does not say.
    pub records: Option<u64>,
    /// What comes after it.
    pub next: Next,
}

/// What follows a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A further page, by this locator. It is opaque and stays good as long as the job is kept.
    Page(String),
    /// This was the last page.
    End,
    /// The answer does not say: only the number of records tells whether this was the last one.
    Untold,
}

/// Creates a job, which is queued at once. Asked twice it makes two jobs.
///
/// The statement must have neither ORDER BY nor LIMIT: either switches off PK chunking, with which Salesforce reads large
/// tables piece by piece and in no order (BULKDOC, "Create a Query Job").
pub fn create(soql: &str) -> Call {
    let body = json!({
        "operation": "query", "query": soql, "contentType": "CSV", "columnDelimiter": "COMMA", "lineEnding": "LF",
    });
    let path = format!("/services/data/{VERSION_MARK}/jobs/query");
    Call::new(CallKind::BulkQueryCreate, Method::Post, path, json_body(&body), SMALL_TIMEOUT, false)
}

/// Asks where the job stands; an API call like any other.
pub fn status(id: &str) -> Call {
    Call::get(CallKind::BulkQueryPoll, path_of(id), SMALL_TIMEOUT)
}

/// Stops a job that has not ended.
pub fn abort(id: &str) -> Call {
    set_state(CallKind::BulkQueryEnd, path_of(id), "Aborted")
}

/// Deletes a job that has ended, with its results; otherwise Salesforce keeps both for seven days.
pub fn delete(id: &str) -> Call {
    Call::new(CallKind::BulkQueryEnd, Method::Delete, path_of(id), Body::None, SMALL_TIMEOUT, true)
}

/// Fetches a page of at most so many records, with the version that the job was created with: another one is answered
/// with 409 (BULKDOC, "Get Results for a Query Job"). `locator`: of the page before; none for the first.
pub fn results(id: &str, locator: Option<&str>, records_max: usize) -> Call {
    let mut call = Call::get(CallKind::BulkQueryResult, format!("{}/results", path_of(id)), TRANSFER_TIMEOUT);
    call.query.push(("maxRecords".to_owned(), records_max.to_string()));
    call.query.extend(locator.map(|locator| ("locator".to_owned(), locator.to_owned())));
    call.headers.push(("accept", "text/csv".to_owned()));
    call
}

/// Reads a page's headers. The last page's locator is the text `null`.
pub fn head(reply: &Reply) -> PageHead {
    let records = reply.header("sforce-numberofrecords").and_then(|text| text.trim().parse().ok());
    let next = match reply.header("sforce-locator").map(str::trim) {
        None | Some("") => Next::Untold,
        Some("null") => Next::End,
        Some(locator) => Next::Page(locator.to_owned()),
    };
    PageHead { records, next }
}

/// The records of a page, one after the other.
#[derive(Debug)]
pub struct Rows<'a> {
    reader: csv::Reader<&'a [u8]>,
    /// The path of each column: `Owner.Email` is the email of the owner.
    columns: Vec<Vec<String>>,
    record: ByteRecord,
}

/// Begins to read a page. As REST answers them, parents are nested and nothing is null; all else is text. A parent of
/// which nothing is known is null: whether there is one, CSV does not tell.
pub fn rows(page: &[u8]) -> Result<Rows<'_>, CallError> {
    let page = page.strip_prefix(b"\xef\xbb\xbf").unwrap_or(page);
    if page.trim_ascii_start().starts_with(b"<") {
        return Err(unreadable("is a web page"));
    }
    // Quotes come in pairs, doubled ones too, unless the end is missing.
    if page.iter().fold(false, |within, byte| within ^ (*byte == b'"')) {
        return Err(unreadable("ends within a value"));
    }
    let mut reader = ReaderBuilder::new().from_reader(page);
    let header = reader.byte_headers().map_err(|_| unreadable("is damaged in its header"))?;
    let path = |name: &[u8]| String::from_utf8_lossy(name).trim().split('.').map(str::to_owned).collect();
    let columns = header.iter().map(path).collect();
    Ok(Rows { reader, columns, record: ByteRecord::new() })
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => return None,
            Ok(true) => {}
            Err(_) => {
                let line = self.reader.position().line();
                return Some(Err(unreadable(&format!("is damaged near line {line}"))));
            }
        }
        let mut row = Row::new();
        for (path, cell) in self.columns.iter().zip(&self.record) {
            let value = match cell {
                [] => Value::Null,
                text => Value::String(String::from_utf8_lossy(text).into_owned()),
            };
            place(&mut row, path, value);
        }
        fold_parents(&mut row);
        Some(Ok(row))
    }
}

/// Puts a value into the row, inside its parents' objects.
fn place(row: &mut Row, path: &[String], value: Value) {
    let Some((name, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        row.insert(name.clone(), value);
        return;
    }
    let parent = row.entry(name.clone()).or_insert_with(|| Value::Object(Row::new()));
    if let Value::Object(parent) = parent {
        place(parent, rest, value);
    }
}

/// Makes parents null of which nothing is known.
fn fold_parents(row: &mut Row) {
    for value in row.values_mut() {
        if let Value::Object(parent) = value {
            fold_parents(parent);
            if parent.values().all(Value::is_null) {
                *value = Value::Null;
            }
        }
    }
}

fn unreadable(what: &str) -> CallError {
    CallError::Unreadable { status: 200, what: format!("the page of query results {what}") }
}

fn path_of(id: &str) -> String {
    format!("/services/data/{VERSION_MARK}/jobs/query/{}", segment(id))
}

#[cfg(test)]
mod tests;
