//! Reading the records of an object page by page: by ID, or by the time of their last change.
//!
//! Here: one page, the cursor behind it, and the requests it becomes. Not here: who reads why (`refresh`, `gap_recovery`).
//!
//! A cursor names the last record read, never an offset, so it holds while records come and go. Of many records changed
//! in the same instant the ID tells which are read. A record that changes meanwhile is read twice, never not at all.

use std::{collections::BTreeSet, time::Duration};

use chrono::SecondsFormat;
use orgpipe_reconcile::row;
use orgpipe_salesforce::{
    error::ErrorClass, failure::CallError, limits::QUERY_URL_BYTES_MAX, rest::query, soql::Select,
};
use orgpipe_store::{BODY_BYTES_MAX, Lane, NewRequest, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clock::{instant_ms, time},
    org::{
        context::OrgContext,
        describe::{blame, readable},
        step_error::StepError,
    },
    queue_entry::{Origin, RequestEntry, Row, pack},
    settings::SyncSettings,
};

/// Records read with one query: one page as Salesforce cuts it (REST API Developer Guide, "Query Options Header").
pub(crate) const PAGE: usize = 2_000;
/// Bytes of the rows in one request, whatever its number of records: well below what the store takes for one.
const REQUEST_BYTES_MAX: usize = BODY_BYTES_MAX / 2;
/// Time of a record's last change by anybody, also by the system; indexed in every object.
const STAMP: &str = "SystemModstamp";
/// A record is stamped when it is saved and seen when its transaction ends: a change may appear with a time this long
/// ago. Apex transactions end after 10 minutes ("Execution Governors and Limits").
const LATE_COMMIT: Duration = Duration::from_mins(15);

/// How far an object is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// ID of the last record read; empty at the start.
    pub after: String,
    /// Only records changed since a time, in the order of their changes; none = all, in the order of their IDs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
}

/// Which changes are read, and how far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed {
    /// Changes from then on.
    pub since_ms: UnixMs,
    /// When the last record read was changed, as SOQL writes it; empty at the start.
    pub stamp: String,
}

impl Cursor {
    /// All records.
    pub(super) fn all() -> Self {
        Self::default()
    }

    /// Records changed since a time; those whose transaction ended late are among them.
    pub(super) fn changed_since(since_ms: UnixMs) -> Self {
        let since_ms = since_ms.saturating_sub(LATE_COMMIT);
        Self { after: String::new(), changed: Some(Changed { since_ms, stamp: String::new() }) }
    }

    /// The statement that reads on from here, without its fields.
    fn select(&self, object: &str, condition: &str) -> Select {
        let select = Select::from(object).where_raw(condition);
        let Some(Changed { since_ms, stamp }) = &self.changed else {
            let select = if self.after.is_empty() { select } else { select.and_gt("Id", &self.after) };
            return select.order_by("Id");
        };
        let from_here = if stamp.is_empty() {
            format!("{STAMP} >= {}", literal(*since_ms))
        } else {
            format!("{STAMP} > {stamp} OR ({STAMP} = {stamp} AND Id > '{}')", self.after)
        };
        select.where_raw(&from_here).order_by("SystemModstamp, Id")
    }

    /// The cursor behind this record; none if it lacks what a cursor is made of.
    fn behind(&self, last: &Row) -> Option<Self> {
        let after = id_of(last)?;
        let changed = match &self.changed {
            None => None,
            Some(changed) => {
                let stamp = row::get(last, STAMP).and_then(Value::as_str).and_then(instant_ms)?;
                Some(Changed { since_ms: changed.since_ms, stamp: literal(stamp) })
            }
        };
        Some(Self { after, changed })
    }
}

/// Records read, and where to go on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    pub rows: Vec<Row>,
    /// Where the next page begins; none when this was the last one.
    pub next: Option<Cursor>,
    /// API calls it took.
    pub calls: u64,
    /// Before the first of them: a change after that may not be in the rows.
    pub read_ms: UnixMs,
}

/// What is read from a cursor on.
pub(super) fn statement(sync: &SyncSettings, condition: &str, cursor: &Cursor) -> Select {
    cursor.select(sync.mapping.object(), condition).fields(sync.mapping.read_fields())
}

/// What of it has room in a URL. Rows without all that is wanted of them are read once more when they are looked up.
fn in_a_url(select: &Select, cursor: &Cursor) -> Select {
    let stamped = |select: Select| match cursor.changed {
        Some(_) => select.fields(["Id", STAMP]),
        None => select,
    };
    let whole = stamped(select.clone());
    if whole.fits(QUERY_URL_BYTES_MAX) { whole } else { stamped(select.bare()) }
}

/// Reads the page behind a cursor, without the fields that cannot be read. Salesforce may cut it into shorter ones and
/// forgets cursors as it likes: then the records at hand are a page, and the next one begins behind them.
pub(super) async fn read(
    org: &OrgContext,
    sync: &SyncSettings,
    condition: &str,
    cursor: &Cursor,
) -> Result<Page, StepError> {
    let sync = &*readable(org, Lane::Refresh, sync).await?;
    let page = read_whole(org, sync, condition, cursor).await;
    page.inspect_err(|error| blame(org, &sync.name, error))
}

async fn read_whole(
    org: &OrgContext,
    sync: &SyncSettings,
    condition: &str,
    cursor: &Cursor,
) -> Result<Page, StepError> {
    let select = in_a_url(&statement(sync, condition, cursor).limit(PAGE), cursor);
    let (rows, calls, read_ms, cut) = select_all(org, &select).await?;
    let next = match rows.last().filter(|_| cut || rows.len() >= PAGE) {
        Some(last) => Some(cursor.behind(last).ok_or_else(|| CallError::Unreadable {
            status: 200,
            what: format!("a record of {} without `Id` or `{STAMP}`", sync.mapping.object()),
        })?),
        None => None,
    };
    Ok(Page { rows, next, calls, read_ms })
}

/// The records of a statement, the calls that it took, when it began, and whether Salesforce gave up before the end.
async fn select_all(org: &OrgContext, select: &Select) -> Result<(Vec<Row>, u64, UnixMs, bool), StepError> {
    let pages = org.vendor().pages;
    let _turn = pages.acquire().await;
    let read_ms = org.clock.now_ms();
    let mut page = query::page(&org.api.call(Lane::Refresh, &query::query(&select.to_soql())).await?)?;
    let (mut rows, mut calls) = (page.records, 1);
    while let Some(url) = page.next.take() {
        calls += 1;
        match query::page(&org.api.call(Lane::Refresh, &query::next(&url)).await?) {
            Ok(more) => {
                rows.extend(more.records);
                page.next = more.next;
            }
            Err(CallError::Refused(error)) if error.is_lost_locator() => {
                return Ok((rows, calls, read_ms, true));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((rows, calls, read_ms, false))
}

/// The first records of what a run over all reads, at most a page of them, with these fields as well; and when reading began.
pub(crate) async fn first(
    org: &OrgContext,
    sync: &SyncSettings,
    more_fields: &[String],
    condition: &str,
    records_max: usize,
) -> Result<(Vec<Row>, UnixMs), StepError> {
    let cursor = Cursor::all();
    let readable = readable(org, Lane::Refresh, sync).await?;
    let select = statement(&readable, condition, &cursor).fields(more_fields.iter().cloned());
    let read = select_all(org, &in_a_url(&select.limit(records_max.min(PAGE)), &cursor)).await;
    let (mut rows, _, read_ms, _) = read.inspect_err(|error| {
        // Where it is for want of one of the others nothing is wrong with the sync.
        if more_fields.is_empty() {
            blame(org, &sync.name, error);
        }
    })?;
    rows.iter_mut().for_each(without_type);
    Ok((rows, read_ms))
}

/// Counts what a run over all would read; none if the org does not say.
pub(crate) async fn count_all(org: &OrgContext, sync: &SyncSettings, condition: &str) -> Option<u64> {
    count(org, sync, condition, &Cursor::all()).await
}

/// Counts what a run will read; none if the org does not say.
pub(super) async fn count(
    org: &OrgContext,
    sync: &SyncSettings,
    condition: &str,
    cursor: &Cursor,
) -> Option<u64> {
    let soql = cursor.select(sync.mapping.object(), condition).to_count();
    let reply = org.api.call(Lane::Refresh, &query::query(&soql)).await.ok()?;
    query::page(&reply).ok().map(|page| page.total)
}

/// Which records have changed since then, or were deleted; none if nobody can tell, or if they are more than a page.
pub(super) async fn changed(
    org: &OrgContext,
    sync: &SyncSettings,
    since_ms: UnixMs,
) -> Result<Option<BTreeSet<String>>, StepError> {
    let cursor = Cursor::changed_since(since_ms);
    let soql = cursor.select(sync.mapping.object(), "").unordered().limit(PAGE).to_soql();
    match query::page(&org.api.call(Lane::Refresh, &query::query_all(&soql)).await?) {
        Ok(page) if page.next.is_some() || page.records.len() >= PAGE => Ok(None),
        Ok(page) => Ok(Some(page.records.iter().filter_map(id_of).collect())),
        // Not every object has the field.
        Err(CallError::Refused(error)) if error.class() == ErrorClass::Schema => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A page as requests of `batch` records. `run` names who reads it.
pub(super) fn requests(
    sync: &SyncSettings,
    batch: usize,
    origin: Origin,
    run: &str,
    mut rows: Vec<Row>,
    read_ms: UnixMs,
) -> Vec<NewRequest> {
    let mut requests = Vec::with_capacity(rows.len().div_ceil(batch.max(1)));
    while !rows.is_empty() {
        let rest = rows.split_off(fitting(&rows, batch));
        let mut part = std::mem::replace(&mut rows, rest);
        part.iter_mut().for_each(without_type);
        let records = part.len();
        let ids = part.iter().filter_map(id_of).collect();
        let entry = RequestEntry { rows: Some(part), ..entry(sync, origin, run, ids, read_ms) };
        requests.push(request(records, &entry));
    }
    requests
}

/// Type and URL of a record are as long as the fields we want, and never looked at.
fn without_type(row: &mut Row) {
    row.remove("attributes");
}

/// How many of the rows make a request: at most `batch`, and no more than fit in its bytes, but one at least.
fn fitting(rows: &[Row], batch: usize) -> usize {
    let mut bytes = 0;
    let fits = rows.iter().take(batch.max(1)).take_while(|row| {
        bytes += bytes_of_row(row);
        bytes <= REQUEST_BYTES_MAX
    });
    fits.count().max(1)
}

/// About how many bytes a row takes as JSON, at most.
pub(super) fn bytes_of_row(row: &Row) -> usize {
    row.iter().map(|(name, value)| name.len() + bytes_of(value)).sum()
}

/// About how many bytes a value takes as JSON, at most.
pub(super) fn bytes_of(value: &Value) -> usize {
    match value {
        Value::String(text) => {
            // A control character takes six.
            let escaped = text.bytes().filter(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\'));
            text.len() + 5 * escaped.count() + 4
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::Array(items) => items.iter().map(bytes_of).sum::<usize>() + 4,
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + bytes_of(value)).sum::<usize>() + 4
        }
    }
}

/// The same of records whose rows are read when they are looked up.
pub(super) fn rowless(
    sync: &SyncSettings,
    batch: usize,
    origin: Origin,
    run: &str,
    ids: &[String],
    read_ms: UnixMs,
) -> Vec<NewRequest> {
    let parts = ids.chunks(batch.max(1));
    parts.map(|ids| request(ids.len(), &entry(sync, origin, run, ids.to_vec(), read_ms))).collect()
}

fn entry(sync: &SyncSettings, origin: Origin, run: &str, ids: Vec<String>, read_ms: UnixMs) -> RequestEntry {
    RequestEntry {
        v: 1,
        sync: sync.name.clone(),
        origin,
        ids,
        rows: None,
        pushed: Vec::new(),
        event_id: run.to_owned(),
        correlation_id: None,
        received_ms: read_ms,
    }
}

fn request(records: usize, entry: &RequestEntry) -> NewRequest {
    let records = u32::try_from(records).unwrap_or(u32::MAX);
    NewRequest { lane: Lane::Refresh, records, body: pack(entry) }
}

pub(super) fn id_of(row: &Row) -> Option<String> {
    row::get(row, "Id").and_then(Value::as_str).map(str::to_owned)
}

/// A time as SOQL writes it.
fn literal(at: UnixMs) -> String {
    time(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{queue_entry::unpack, settings::tests::org};

    fn row(id: u32, stamp: &str) -> Row {
        Row::from_iter([
            ("Id".to_owned(), json!(format!("001{id:012}AAA"))),
            (STAMP.to_owned(), json!(stamp)),
            ("attributes".to_owned(), json!({ "type": "Account" })),
        ])
    }

    #[test]
    fn a_place_reads_on_behind_its_record_also_among_records_of_one_instant() {
        let all = Cursor::all();
        assert_eq!(all.select("Account", "").to_soql(), "SELECT Id FROM Account ORDER BY Id");
        let on = all.behind(&row(7, "x")).expect("a cursor");
        let soql = on.select("Account", "Website != null").to_soql();
        let expected =
            "SELECT Id FROM Account WHERE (Website != null) AND Id > '001000000000007AAA' ORDER BY Id";
        assert_eq!(soql, expected);

        let changed = Cursor::changed_since(UnixMs(1_500).saturating_add(LATE_COMMIT));
        let soql = changed.select("Account", "").to_soql();
        let start = "SELECT Id FROM Account WHERE (SystemModstamp >= 1970-01-01T00:00:01.500Z) ORDER BY SystemModstamp, Id";
        assert_eq!(soql, start);
        let on = changed.behind(&row(7, "2026-01-31T10:00:00.000+0000")).expect("a cursor");
        let soql = on.select("Account", "").to_soql();
        let stamp = "2026-01-31T10:00:00.000Z";
        let expected = format!(
            "SELECT Id FROM Account WHERE (SystemModstamp > {stamp} OR (SystemModstamp = {stamp} AND Id > \
             '001000000000007AAA')) ORDER BY SystemModstamp, Id"
        );
        assert_eq!(soql, expected);
        let stored: Cursor = unpack(&pack(&on)).expect("readable");
        assert_eq!(stored, on);
        assert_eq!(on.behind(&Row::new()), None);
        assert_eq!(on.behind(&row(7, "soon")), None);
    }

    #[test]
    fn a_page_becomes_batches_without_loss() {
        let org = org();
        for (count, batches) in [(0, 0), (1, 1), (100, 1), (1_050, 11), (2_000, 20)] {
            let rows = (0..count).map(|n| row(n, "")).collect();
            let requests = requests(&org.syncs[0], 100, Origin::Refresh, "run", rows, UnixMs(5));
            assert_eq!(requests.len(), batches);
            assert_eq!(requests.iter().map(|request| request.records).sum::<u32>(), count);
            for request in &requests {
                let entry: RequestEntry = unpack(&request.body).expect("readable");
                assert_eq!(entry.ids.len(), entry.rows.as_ref().map_or(0, Vec::len));
                assert!(entry.rows.iter().flatten().all(|row| !row.contains_key("attributes")));
            }
        }
    }
}
