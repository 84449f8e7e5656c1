//! A selection of records by a list of values, in as few calls as it takes.
//!
//! Here: over how many statements it goes, by the bytes that a URL takes, and what is done about a value that the org refuses
//! to be asked about. Not here: what is selected (`decide/fetch.rs`, `capture/push.rs`).

use std::{cell::Cell, collections::BTreeMap};

use futures_util::future::join_all;
use orgpipe_reconcile::{RecordProblem, id, matching::KEYS_MAX, row};
use orgpipe_salesforce::{
    call::{Call, Reply},
    failure::CallError,
    limits::{COLUMNS_URL_BYTES_MAX, IN_LIST_MAX, QUERY_URL_BYTES_MAX, RETRIEVE_RECORDS_MAX},
    rest::{collections, query as rest_query},
    soql::{Select, quote},
};
use serde_json::Value;

use super::{
    api::gate::Reservation,
    context::OrgContext,
    culprit::{may_be_one_records, problem},
    step_error::StepError,
};
use crate::queue_entry::Row;

const _: () = assert!(IN_LIST_MAX <= RETRIEVE_RECORDS_MAX);

/// The API calls of one batch.
#[derive(Debug)]
pub(crate) struct Calls {
    reservation: Reservation,
    made: Cell<u64>,
    /// How often in a row batches of its kind could not be decided.
    tries: u32,
}

impl Calls {
    /// None was made yet.
    pub(crate) fn new(reservation: Reservation, tries: u32) -> Self {
        Self { reservation, made: Cell::new(0), tries }
    }

    /// How many were made so far.
    pub(crate) fn made(&self) -> u64 {
        self.made.get()
    }

    /// One more is made: from this reservation.
    pub(crate) fn next(&self) -> &Reservation {
        self.made.set(self.made.get() + 1);
        &self.reservation
    }
}

/// How often in a row a batch has waited when an answer that cannot be read is held against the record that it is about, if
/// the org's answers about others can be read. Before, the org or a proxy may mend it.
const UNREADABLE_TRIES: u32 = 3;

/// What becomes of a selection when an answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenUnreadable {
    /// It is asked for in halves.
    Halved,
    /// It fails: there is another way.
    Told,
}

/// What a selection came to.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    pub rows: Vec<Row>,
    /// Literals that the org refuses to be asked about, and why.
    pub refused: BTreeMap<String, RecordProblem>,
}

/// How a selection is read.
#[derive(Debug, PartialEq)]
enum ReadBy {
    /// By queries for all fields.
    Whole,
    /// The IDs by queries, then the fields by those, as their names have no room in a URL.
    Ids,
    /// By queries for a part of the fields each.
    Columns(Vec<Select>),
}

/// The way that takes the fewest calls of those that have room in a URL.
fn reading(select: &Select, field: &str, literals: &[String]) -> ReadBy {
    let parts = |select: &Select| chunks(select, field, literals).len();
    let longest = literals.iter().max_by_key(|literal| literal.len());
    let has_room = |select: &Select| {
        select.clone().where_among(field, longest.map_or(&[], std::slice::from_ref)).fits(QUERY_URL_BYTES_MAX)
    };
    // A path leads to another record, a statement in parentheses to several; only a query follows them.
    let follows = |name: &String| name.contains(['.', '(']);
    let by_id = if field == "Id" { 1 } else { parts(&select.bare()) + 1 };
    let is_plain = !select.names().iter().any(follows);
    if has_room(select) && (!is_plain || parts(select) <= by_id) {
        ReadBy::Whole
    } else if is_plain {
        ReadBy::Ids
    } else {
        ReadBy::Columns(select.columns(COLUMNS_URL_BYTES_MAX))
    }
}

fn chunks<'a>(select: &Select, field: &str, literals: &'a [String]) -> Vec<&'a [String]> {
    literals.chunks(KEYS_MAX).flat_map(|keys| select.chunks(field, keys, QUERY_URL_BYTES_MAX)).collect()
}

/// All records whose `field` is one of these literals, whatever is selected of them.
pub(crate) async fn select_among(
    org: &OrgContext,
    calls: &Calls,
    select: &Select,
    field: &str,
    literals: &[String],
    unreadable: WhenUnreadable,
) -> Result<Selected, StepError> {
    let columns = match reading(select, field, literals) {
        by @ (ReadBy::Whole | ReadBy::Ids) => {
            let source = Source { org, calls, select, field, by_ids: by == ReadBy::Ids };
            return source.among(literals, unreadable).await;
        }
        ReadBy::Columns(columns) => columns,
    };
    let mut whole = Selected::default();
    for (at, select) in columns.iter().enumerate() {
        let source = Source { org, calls, select, field, by_ids: false };
        let Selected { rows, refused } = source.among(literals, unreadable).await?;
        whole.refused.extend(refused);
        whole.rows = if at == 0 { rows } else { joined(whole.rows, rows) };
    }
    Ok(whole)
}

/// The records of both, each with the fields of both; one that only one of them has was deleted in between.
fn joined(rows: Vec<Row>, more: Vec<Row>) -> Vec<Row> {
    let mut more: BTreeMap<String, Row> =
        more.into_iter().filter_map(|row| Some((id_of(&row)?, row))).collect();
    let both = rows.into_iter().filter_map(|mut row| {
        let more = more.remove(&id_of(&row)?)?;
        merge(&mut row, more);
        Some(row)
    });
    both.collect()
}

/// Adds the fields of `more`; of a record that both lead to, such as an owner, the fields of both are kept.
fn merge(row: &mut Row, more: Row) {
    for (name, value) in more {
        match (row.get_mut(&name), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => merge(ours, theirs),
            (_, value) => _ = row.insert(name, value),
        }
    }
}

/// All records whose `field` of text is one of `values`.
pub(crate) async fn select_in(
    org: &OrgContext,
    calls: &Calls,
    select: &Select,
    field: &str,
    values: &[String],
) -> Result<Selected, StepError> {
    let literals: Vec<String> = values.iter().map(|value| quote(value)).collect();
    select_among(org, calls, select, field, &literals, WhenUnreadable::Halved).await
}

/// What is selected, and the way to it.
struct Source<'a> {
    org: &'a OrgContext,
    calls: &'a Calls,
    select: &'a Select,
    field: &'a str,
    /// By queries for the IDs, then by those.
    by_ids: bool,
}

impl Source<'_> {
    /// All records whose field is one of these literals, over as many calls as URL and list lengths ask for. They are under
    /// way together, as far as the org's gate lets them. What is refused for good or whose answer cannot be read is asked in
    /// halves until the literal that it is due to stands alone, if the org answers the statement for another value.
    async fn among(&self, literals: &[String], unreadable: WhenUnreadable) -> Result<Selected, StepError> {
        let may_be_one_records = |error: &StepError| {
            may_be_one_records(error) || is_unreadable(error) && unreadable == WhenUnreadable::Halved
        };
        let bare = self.select.bare();
        let asked = if self.by_ids { &bare } else { self.select };
        let mut parts: Vec<Vec<String>> =
            chunks(asked, self.field, literals).into_iter().map(<[String]>::to_vec).collect();
        let (mut selected, mut sound) = (Selected::default(), false);
        while !parts.is_empty() {
            let answers = join_all(parts.iter().map(|part| self.read(part))).await;
            for (mut part, answer) in std::mem::take(&mut parts).into_iter().zip(answers) {
                match answer {
                    Ok(rows) => selected.rows.extend(rows),
                    Err(error) if !may_be_one_records(&error) => return Err(error),
                    // Before any halving, as no half helps where it is the statement's fault or the org's.
                    Err(error) if !sound && self.read(&[unknown(&literals[0])]).await.is_err() => {
                        return Err(error);
                    }
                    Err(_) if part.len() > 1 => {
                        sound = true;
                        let second = part.split_off(part.len() / 2);
                        parts.extend([part, second]);
                    }
                    Err(error) if is_unreadable(&error) && self.calls.tries < UNREADABLE_TRIES => {
                        return Err(error);
                    }
                    Err(error) => {
                        sound = true;
                        let refused = part.pop().map(|literal| (literal, problem(self.field, &error)));
                        selected.refused.extend(refused);
                    }
                }
            }
        }
        Ok(selected)
    }

    async fn read(&self, literals: &[String]) -> Result<Vec<Row>, StepError> {
        if !self.by_ids {
            return self.query(self.select.clone().where_among(self.field, literals)).await;
        }
        let ids: Vec<String> = if self.field == "Id" {
            literals.iter().map(|literal| literal.trim_matches('\'').to_owned()).collect()
        } else {
            let found = self.query(self.select.bare().where_among(self.field, literals)).await?;
            found.iter().filter_map(id_of).collect()
        };
        let mut rows = Vec::new();
        for ids in ids.chunks(RETRIEVE_RECORDS_MAX) {
            let call = collections::retrieve(self.select.object(), ids, self.select.names());
            rows.extend(collections::retrieved(&self.call(&call).await?)?);
        }
        Ok(rows)
    }

    async fn query(&self, select: Select) -> Result<Vec<Row>, StepError> {
        let (mut rows, mut call) = (Vec::new(), rest_query::query(&select.to_soql()));
        loop {
            let page = rest_query::page(&self.call(&call).await?)?;
            rows.extend(page.records);
            let Some(next) = page.next else { return Ok(rows) };
            call = rest_query::next(&next);
        }
    }

    async fn call(&self, call: &Call) -> Result<Reply, StepError> {
        self.org.api.call_reserved(self.calls.next(), call).await
    }
}

/// Too large, cut off or garbled: if not by a proxy, by a value of one of the records.
pub(crate) fn is_unreadable(error: &StepError) -> bool {
    matches!(error, StepError::Call(CallError::Unreadable { .. }))
}

fn id_of(row: &Row) -> Option<String> {
    row::get(row, "Id").and_then(Value::as_str).and_then(id::canonical)
}

/// A literal of the same kind that no record has.
fn unknown(literal: &str) -> String {
    if literal.starts_with('\'') { quote("000000000000000AAA") } else { "-1".to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn literals(count: usize) -> Vec<String> {
        (0..count).map(|n| quote(&format!("K{n:09}"))).collect()
    }

    fn wide(fields: usize) -> Select {
        Select::from("T").fields((0..fields).map(|n| format!("Quite_A_Long_Name_Of_A_Field_{n:04}__c")))
    }

    #[test]
    fn the_way_with_the_fewest_calls_that_fits_is_taken() {
        let path = |select: Select| select.fields(["Owner.Name"]);
        for (select, field, count, expected) in [
            (wide(10), "K", 200, ReadBy::Whole),
            (wide(10), "Id", 1, ReadBy::Whole),
            (wide(10), "K", 1_000, ReadBy::Whole),
            (wide(500), "K", 1, ReadBy::Ids),
            (wide(500), "K", 200, ReadBy::Ids),
            (wide(500), "Id", 1, ReadBy::Ids),
            // It fits, but with few values beside so many names.
            (wide(190), "K", 200, ReadBy::Ids),
            (wide(190), "K", 1, ReadBy::Whole),
            (path(wide(10)), "K", 200, ReadBy::Whole),
        ] {
            let found = reading(&select, field, &literals(count));
            assert_eq!(found, expected, "{} fields, {count} values of {field}", select.names().len());
        }
        let ReadBy::Columns(parts) = reading(&path(wide(500)), "Id", &literals(200)) else {
            panic!("a path is followed by queries only")
        };
        assert!(parts.iter().all(|part| part.fits(COLUMNS_URL_BYTES_MAX + 100)), "{}", parts.len());
        let names: Vec<String> = parts.iter().flat_map(|part| part.names()[1..].to_vec()).collect();
        assert_eq!(names, path(wide(500)).names());
        assert!(parts.iter().all(|part| part.names()[0] == "Id"));
    }

    #[test]
    fn what_was_read_in_parts_is_put_together_by_record() {
        let id = |n: u64| format!("00100000000000{n}AAA");
        let rows = |value: Value| -> Vec<Row> {
            let mut rows: Vec<Row> = serde_json::from_value(value).expect("rows");
            for row in &mut rows {
                let n = row["Id"].as_str().and_then(|id| id.parse().ok()).expect("a number");
                row.insert("Id".to_owned(), json!(id(n)));
            }
            rows
        };
        let one = rows(json!([
            { "Id": "1", "A": 1, "Owner": { "Name": "Ann" } }, { "Id": "2", "A": 2 }, { "Id": "3", "A": 3, "Owner": null }
        ]));
        let other = rows(json!([
            { "Id": "3", "B": 6, "Owner": null }, { "Id": "1", "B": 4, "Owner": { "Email": "a@b.c" } }, { "Id": "4", "B": 7 }
        ]));
        let both = rows(json!([
            { "Id": "1", "A": 1, "B": 4, "Owner": { "Name": "Ann", "Email": "a@b.c" } },
            { "Id": "3", "A": 3, "B": 6, "Owner": null }
        ]));
        assert_eq!(joined(one, other), both);
    }
}
