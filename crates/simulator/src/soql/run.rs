//! Running a bound query over the records.
//!
//! Here: filter, sort, cut, and the shape of a record in JSON and CSV. Not here: names and literals (`bind`).
//! Salesforce's comparisons know two values only: null differs from every text, and is neither less nor more.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::bind::{Filter, Plan, ResolvedField, Sorting, set_text};
use super::like;
use super::parse::Operator;
use crate::data::{Field, FieldKind, KeyMatch, Tables};
use crate::row::Row;

/// Children of one record in a page: more come by a cursor of their own (REST API Developer Guide, "Query").
const CHILDREN_MAX: usize = 500;

/// The records that a query found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// Records that match, LIMIT and OFFSET considered.
    pub(crate) total: usize,
    /// The records as the REST API shows them; none for `COUNT()`.
    pub(crate) records: Vec<Value>,
}

/// The records of a query in JSON; `base` is `/services/data/vNN.0`.
pub(crate) fn find(tables: &Tables, plan: &Plan, base: &str) -> Found {
    let rows = select(tables, plan);
    let records = if plan.count_only {
        Vec::new()
    } else {
        rows.iter().map(|row| record(tables, plan, row, base)).collect()
    };
    Found { total: rows.len(), records }
}

/// The values of a query's fields, record by record, in the order selected.
pub(crate) fn cells(tables: &Tables, plan: &Plan) -> Vec<Vec<Value>> {
    let line =
        |row: &&Row| plan.fields.iter().map(|resolved| value_at(tables, resolved, row).clone()).collect();
    select(tables, plan).iter().map(line).collect()
}

fn select<'a>(tables: &'a Tables, plan: &Plan) -> Vec<&'a Row> {
    let keep = |row: &&Row| {
        plan.object.shows(row) && plan.filter.as_ref().is_none_or(|filter| passes(tables, filter, row))
    };
    let filter = plan.filter.as_ref();
    let object = &plan.object.name;
    let candidates: Box<dyn Iterator<Item = &'a Row>> =
        match filter.and_then(|filter| few(tables, plan, filter)) {
            _ if plan.with_deleted => Box::new(tables.rows(object).chain(tables.deleted(object))),
            Some(ids) => Box::new(ids.into_iter().filter_map(|id| tables.row(object, &id))),
            None => Box::new(tables.rows_from(object, filter.and_then(first).unwrap_or_default())),
        };
    let (matches, most) = (candidates.filter(keep), plan.limit.unwrap_or(usize::MAX));
    // They come in the order of their ids, deleted ones behind: who pages by id need not wait for all of them.
    let by_id = |sorting: &Sorting| is_id(&sorting.resolved) && !sorting.descending && !plan.with_deleted;
    if plan.order.first().is_none_or(by_id) {
        return matches.skip(plan.offset).take(most).collect();
    }
    let mut rows: Vec<&Row> = matches.collect();
    rows.sort_by(|left, right| {
        plan.order
            .iter()
            .map(|sorting| ranked(tables, sorting, left, right))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    rows.into_iter().skip(plan.offset).take(most).collect()
}

fn is_id(resolved: &ResolvedField) -> bool {
    resolved.steps.is_empty() && resolved.field.kind == FieldKind::Id
}

/// No match has a lower id.
fn first(filter: &Filter) -> Option<&str> {
    match filter {
        Filter::All(terms) => terms.iter().find_map(first),
        Filter::Compare(resolved, Operator::More | Operator::MoreOrEqual, value) if is_id(resolved) => {
            value.as_str()
        }
        _ => None,
    }
}

/// Ids in order among which all matches are, if the filter names them by an indexed field.
fn few(tables: &Tables, plan: &Plan, filter: &Filter) -> Option<Vec<String>> {
    let (resolved, values): (&ResolvedField, Vec<Value>) = match filter {
        Filter::All(terms) => return terms.iter().find_map(|term| few(tables, plan, term)),
        Filter::Compare(resolved, Operator::Equal, value) if !value.is_null() => {
            (resolved, vec![value.clone()])
        }
        Filter::Among { resolved, values, null: false, negated: false } => {
            (resolved, values.iter().map(|value| Value::from(value.as_str())).collect())
        }
        _ => return None,
    };
    let indexed = resolved.field.external_id && matches!(resolved.field.kind, FieldKind::Text { .. });
    if !(is_id(resolved) || indexed && resolved.steps.is_empty()) {
        return None;
    }
    let mut ids = Vec::new();
    for value in values {
        match tables.find(&plan.object.name, &resolved.field.name, &value) {
            Ok(KeyMatch::One(id)) => ids.push(id),
            Ok(KeyMatch::Many(more)) => ids.extend(more),
            Ok(KeyMatch::None) => {}
            Err(_) => return None,
        }
    }
    ids.sort();
    ids.dedup();
    Some(ids)
}

/// The value at the end of a path; null if a lookup on the way is empty.
fn value_at<'a>(tables: &'a Tables, resolved: &ResolvedField, row: &'a Row) -> &'a Value {
    let mut here = row;
    for (_, lookup) in &resolved.steps {
        match Tables::cell(lookup, here).as_str().and_then(|id| tables.any_row(id)) {
            Some((_, parent)) => here = parent,
            None => return &Value::Null,
        }
    }
    Tables::cell(&resolved.field, here)
}

fn passes(tables: &Tables, filter: &Filter, row: &Row) -> bool {
    match filter {
        Filter::All(terms) => terms.iter().all(|term| passes(tables, term, row)),
        Filter::Any(terms) => terms.iter().any(|term| passes(tables, term, row)),
        Filter::Not(term) => !passes(tables, term, row),
        Filter::Compare(resolved, operator, value) => {
            compared(resolved, *operator, value_at(tables, resolved, row), value)
        }
        Filter::Like(resolved, pattern) => value_at(tables, resolved, row).as_str().is_some_and(|text| {
            let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
            like::matches(pattern, &text)
        }),
        Filter::Among { resolved, values, null, negated } => {
            let value = value_at(tables, resolved, row);
            let among =
                if value.is_null() { *null } else { values.contains(&set_text(&resolved.field, value)) };
            among != *negated
        }
    }
}

fn compared(resolved: &ResolvedField, operator: Operator, left: &Value, right: &Value) -> bool {
    let order = compare(&resolved.field, left, right);
    match operator {
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::Unequal => order != Some(Ordering::Equal),
        _ if left.is_null() || right.is_null() => false,
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::More => order == Some(Ordering::Greater),
        Operator::MoreOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Operator::Like | Operator::In | Operator::NotIn => false,
    }
}

/// Text without regard to case unless its field tells it apart, ids with it, times as they are written; null only equals null.
fn compare(field: &Field, left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::String(left), Value::String(right)) => Some(match &field.kind {
            _ if field.case_sensitive => left.cmp(right),
            FieldKind::Id | FieldKind::Lookup { .. } | FieldKind::Date | FieldKind::DateTime => {
                left.cmp(right)
            }
            _ => left.to_lowercase().cmp(&right.to_lowercase()),
        }),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Nulls come first in both directions unless the query says otherwise.
fn ranked(tables: &Tables, sorting: &Sorting, left: &Row, right: &Row) -> Ordering {
    let (left, right) =
        (value_at(tables, &sorting.resolved, left), value_at(tables, &sorting.resolved, right));
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if sorting.nulls_last {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, true) => {
            if sorting.nulls_last {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, false) => {
            let order = compare(&sorting.resolved.field, left, right).unwrap_or(Ordering::Equal);
            if sorting.descending { order.reverse() } else { order }
        }
    }
}

fn record(tables: &Tables, plan: &Plan, row: &Row, base: &str) -> Value {
    let mut record = attributes(&plan.object.name, row, base);
    for resolved in &plan.fields {
        place(tables, &mut record, &resolved.steps, resolved, row, base);
    }
    for children in &plan.children {
        let id = row.get("Id").cloned().unwrap_or_default();
        let mine = |child: &&&Row| Tables::cell(&children.by, child) == &id;
        let rows: Vec<Value> = select(tables, &Plan { limit: None, offset: 0, ..children.plan.clone() })
            .iter()
            .filter(mine)
            .skip(children.plan.offset)
            .take(children.plan.limit.unwrap_or(usize::MAX))
            .map(|child| self::record(tables, &children.plan, child, base))
            .collect();
        let shown = if rows.is_empty() {
            Value::Null
        } else {
            let (total, done) = (rows.len(), rows.len() <= CHILDREN_MAX);
            let shown: Vec<Value> = rows.into_iter().take(CHILDREN_MAX).collect();
            let mut list = json!({"totalSize": total, "done": done, "records": shown});
            if !done {
                // Their own cursor, which goes with the next page of the parents; it is not kept here.
                list["nextRecordsUrl"] = json!(format!("{base}/query/01gchildren-{CHILDREN_MAX}"));
            }
            list
        };
        record.insert(children.name.clone(), shown);
    }
    Value::Object(record)
}

/// Puts a field into the record, inside its parents' objects.
fn place(
    tables: &Tables,
    into: &mut Row,
    steps: &[(String, crate::data::Field)],
    resolved: &ResolvedField,
    row: &Row,
    base: &str,
) {
    let Some(((name, lookup), rest)) = steps.split_first() else {
        into.insert(resolved.field.name.clone(), Tables::cell(&resolved.field, row).clone());
        return;
    };
    let Some((object, parent)) = Tables::cell(lookup, row).as_str().and_then(|id| tables.any_row(id)) else {
        into.insert(name.clone(), Value::Null);
        return;
    };
    let inner =
        into.entry(name.clone()).or_insert_with(|| Value::Object(attributes(&object.name, parent, base)));
    if let Value::Object(inner) = inner {
        place(tables, inner, rest, resolved, parent, base);
    }
}

fn attributes(object: &str, row: &Row, base: &str) -> Row {
    let id = row.get("Id").and_then(Value::as_str).unwrap_or_default();
    let mut record = Row::new();
    record.insert(
        "attributes".to_owned(),
        json!({"type": object, "url": format!("{base}/sobjects/{object}/{id}")}),
    );
    record
}
