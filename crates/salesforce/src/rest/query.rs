//! Queries, page by page.
//!
//! Here: the call for the first and for the next page, and reading one. Not here: SOQL text (`soql`).
//!
//! A page may be shorter than asked for while more follow: only `done` tells the end (RESTDOC `dome_query`). An expired
//! cursor (`INVALID_QUERY_LOCATOR`) is not cured by asking again: start the query over from the last checkpoint.

use serde_json::Value;

use crate::{
    Row,
    call::{Call, CallKind, Reply, VERSION_MARK, local_path},
    failure::CallError,
    limits::{QUERY_TIMEOUT, REPLY_BYTES_MAX},
};

/// One page of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Records of the whole query, as counted when it began.
    pub total: u64,
    /// Records of this page.
    pub records: Vec<Row>,
    /// For [`next`]; `None` on the last page.
    pub next: Option<String>,
}

/// Asks for the first page.
pub fn query(soql: &str) -> Call {
    let mut call = Call::get(CallKind::Query, format!("/services/data/{VERSION_MARK}/query"), QUERY_TIMEOUT);
    call.answer_bytes_max = REPLY_BYTES_MAX;
    call.query.push(("q".to_owned(), soql.to_owned()));
    call
}

/// The same with deleted records that are still in the recycle bin (RESTDOC `resources_queryall`).
pub fn query_all(soql: &str) -> Call {
    Call { path: format!("/services/data/{VERSION_MARK}/queryAll"), ..query(soql) }
}

/// Asks for the first page of what the Tooling API knows, such as installed packages.
pub fn tooling(soql: &str) -> Call {
    let path = format!("/services/data/{VERSION_MARK}/tooling/query");
    Call { kind: CallKind::ToolingQuery, path, ..query(soql) }
}

/// Asks for a further page, by the [`Page::next`] of the one before.
pub fn next(url: &str) -> Call {
    Call { answer_bytes_max: REPLY_BYTES_MAX, ..Call::get(CallKind::Query, local_path(url), QUERY_TIMEOUT) }
}

/// Reads a page.
pub fn page(reply: &Reply) -> Result<Page, CallError> {
    let Value::Object(mut answer) = reply.json()? else {
        return Err(reply.unreadable("a page of records that is no object"));
    };
    let total = answer.get("totalSize").and_then(Value::as_u64);
    let total = total.ok_or_else(|| reply.unreadable("a page without `totalSize`"))?;
    let done = answer.get("done").and_then(Value::as_bool);
    let done = done.ok_or_else(|| reply.unreadable("a page without `done`"))?;
    let next = match answer.remove("nextRecordsUrl") {
        Some(Value::String(url)) if !done && !url.is_empty() => Some(url),
        _ if !done => return Err(reply.unreadable("a page that is not the last and names no next one")),
        _ => None,
    };
    let Some(Value::Array(items)) = answer.remove("records") else {
        return Err(reply.unreadable("a page without `records`"));
    };
    let mut records = Vec::with_capacity(items.len());
    for item in items {
        let Value::Object(record) = item else { return Err(reply.unreadable("a record that is no object")) };
        if let Some(name) = cut_children(&record) {
            return Err(
                reply.unreadable(format!("`{name}` of a record holds more than one page, which is not read"))
            );
        }
        records.push(record);
    }
    Ok(Page { total, records, next })
}

/// A child list that goes on on a page of its own; taking it for complete would lose records.
fn cut_children(record: &Row) -> Option<&str> {
    let is_cut = |value: &Value| value.get("done").and_then(Value::as_bool) == Some(false);
    record.iter().find(|(_, value)| is_cut(value)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests;
