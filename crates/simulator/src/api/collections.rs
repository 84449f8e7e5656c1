//! sObject Collections: up to 200 records in one call.
//!
//! Here: the request's own rules and the list of results. Not here: what a write checks (`data`, `org/writes`).
//! Source: REST guide "sObject Collections". A well-formed request answers 200 even if every record failed.

use std::iter;

use serde_json::{Value, json};

use super::call::{Call, unreadable};
use crate::answer::Answer;
use crate::data::{Refusal, Schema, Tables, Writer, canonical_id};
use crate::org::outcome::{RecordOutcome, RecordWrite, WriteOperation, WriteRules};
use crate::org::writes::write;
use crate::org::{Org, OrgState};
use crate::row::Row;

const RECORDS_MAX: usize = 200;
const RETRIEVE_MAX: usize = 2_000;
/// Runs of records of one object in a request.
const CHUNKS_MAX: usize = 10;

pub(crate) fn create(
    org: &Org,
    state: &mut OrgState,
    (seen, call): (&Schema, &Call),
    writer: &Writer,
) -> Answer {
    write_all(org, state, (seen, call), &WriteOperation::Insert, None, writer)
}

pub(crate) fn update(
    org: &Org,
    state: &mut OrgState,
    (seen, call): (&Schema, &Call),
    writer: &Writer,
) -> Answer {
    write_all(org, state, (seen, call), &WriteOperation::Update, None, writer)
}

pub(crate) fn upsert(
    org: &Org,
    state: &mut OrgState,
    (seen, call): (&Schema, &Call),
    object: &str,
    field: &str,
    writer: &Writer,
) -> Answer {
    let Some(found) = seen.object(object) else { return Answer::not_found() };
    let key = found.field(field).filter(|field| field.external_id || field.name == "Id");
    let Some(key) = key.map(|field| field.name.clone()) else {
        let message = format!("Provided external ID field does not exist or is not accessible: {field}");
        return Answer::error(404, "NOT_FOUND", &message);
    };
    let object = found.name.clone();
    write_all(
        org,
        state,
        (seen, call),
        &WriteOperation::Upsert { by: key, update_only: false },
        Some(&object),
        writer,
    )
}

pub(crate) fn delete(
    org: &Org,
    state: &mut OrgState,
    (seen, call): (&Schema, &Call),
    writer: &Writer,
) -> Answer {
    let ids: Vec<&str> =
        call.parameter("ids").unwrap_or_default().split(',').filter(|id| !id.is_empty()).collect();
    if let Some(refused) = wrong_count(ids.len()) {
        return refused;
    }
    let wanted: Vec<RecordWrite> = ids
        .iter()
        .map(|id| {
            let object = id.get(..3).and_then(|prefix| seen.by_prefix(prefix));
            RecordWrite {
                object: object.map_or_else(String::new, |object| object.name.clone()),
                operation: WriteOperation::Delete,
                row: [("Id".to_owned(), json!(id))].into_iter().collect(),
            }
        })
        .collect();
    let all_or_none = call.parameter("allOrNone") == Some("true");
    finish(org, state, &wanted, all_or_none, writer)
}

/// Records by id, `null` where there is none.
pub(crate) fn retrieve(state: &OrgState, (seen, call): (&Schema, &Call), object: &str) -> Answer {
    let Some(object) = seen.object(object) else { return Answer::not_found() };
    let list = |text: Option<&str>| -> Vec<String> {
        text.unwrap_or_default().split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (ids, fields) = if call.method == "GET" {
        (list(call.parameter("ids")), list(call.parameter("fields")))
    } else {
        let body = match call.object() {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        let texts = |name: &str| -> Vec<String> {
            let all = body.get(name).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        (texts("ids"), texts("fields"))
    };
    if ids.len() > RETRIEVE_MAX {
        return Answer::error(
            400,
            "EXCEEDED_ID_LIMIT",
            "record limit reached. cannot submit more than 2000 records into this call",
        );
    }
    let mut chosen = Vec::new();
    for name in &fields {
        match object.field(name) {
            Some(field) => chosen.push(field),
            None => return Answer::refused(&Refusal::no_column(name, &object.name)),
        }
    }
    let show = |id: &String| {
        let id = canonical_id(id)?;
        let row = state.tables.row(&object.name, &id).filter(|row| object.shows(row))?;
        let mut shown: Row =
            chosen.iter().map(|field| (field.name.clone(), Tables::cell(field, row).clone())).collect();
        let url = format!("{}/sobjects/{}/{id}", call.base(), object.name);
        shown.insert("attributes".to_owned(), json!({"type": object.name, "url": url}));
        shown.insert("Id".to_owned(), json!(id));
        Some(Value::Object(shown))
    };
    let records: Vec<Value> = ids.iter().map(|id| show(id).unwrap_or_default()).collect();
    Answer::json(200, &Value::from(records))
}

fn write_all(
    org: &Org,
    state: &mut OrgState,
    (seen, call): (&Schema, &Call),
    operation: &WriteOperation,
    object: Option<&str>,
    writer: &Writer,
) -> Answer {
    let mut body = match call.object() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let all_or_none = body.get("allOrNone").and_then(Value::as_bool).unwrap_or(false);
    let Some(Value::Array(records)) = body.remove("records") else {
        return unreadable("Required field 'records' is missing or not an array");
    };
    if let Some(refused) = wrong_count(records.len()) {
        return refused;
    }
    let mut wanted = Vec::with_capacity(records.len());
    for record in records {
        let Value::Object(mut row) = record else { return unreadable("Each record must be an object") };
        let given = row.remove("attributes");
        let given = given.as_ref().and_then(|attributes| attributes.get("type")).and_then(Value::as_str);
        let right = given.filter(|given| object.is_none_or(|object| object.eq_ignore_ascii_case(given)));
        let Some(found) = right.and_then(|name| seen.object(name)) else {
            let message = format!("sObject type '{}' is not supported.", given.unwrap_or("null"));
            return Answer::error(400, "INVALID_TYPE", &message);
        };
        wanted.push(RecordWrite { object: found.name.clone(), operation: operation.clone(), row });
    }
    let chunks = 1 + wanted.windows(2).filter(|pair| pair[0].object != pair[1].object).count();
    if chunks > CHUNKS_MAX {
        let message =
            format!("Operation has {chunks} chunks of objects, more than the maximum of {CHUNKS_MAX}");
        return Answer::error(400, "LIMIT_EXCEEDED", &message);
    }
    finish(org, state, &wanted, all_or_none, writer)
}

fn finish(
    org: &Org,
    state: &mut OrgState,
    wanted: &[RecordWrite],
    all_or_none: bool,
    writer: &Writer,
) -> Answer {
    let rules = WriteRules { all_or_none, whole_on_wrong_type: true };
    match write(org, state, wanted, rules, writer) {
        Ok(outcomes) => {
            let results: Vec<Value> =
                outcomes.iter().zip(wanted).map(|(outcome, wanted)| result(outcome, wanted)).collect();
            Answer::json(200, &Value::from(results))
        }
        Err(refusal) => Answer::refused(&refusal),
    }
}

fn result(outcome: &RecordOutcome, wanted: &RecordWrite) -> Value {
    match outcome {
        RecordOutcome::Written(written) if matches!(wanted.operation, WriteOperation::Upsert { .. }) => {
            json!({"id": written.id, "success": true, "errors": [], "created": written.created})
        }
        RecordOutcome::Written(written) => json!({"id": written.id, "success": true, "errors": []}),
        RecordOutcome::Deleted { id } => json!({"id": id, "success": true, "errors": []}),
        RecordOutcome::Published { id, uuid } => {
            let errors = json!([{"statusCode": "OPERATION_ENQUEUED", "message": uuid, "fields": []}]);
            json!({"id": id, "success": true, "errors": errors})
        }
        RecordOutcome::Many(ids) => {
            let message = format!("More than one record found for external id field: [{}]", ids.join(", "));
            json!({"success": false, "errors": [{"statusCode": "DUPLICATE_EXTERNAL_ID", "message": message, "fields": []}]})
        }
        RecordOutcome::Refused(refusal) => {
            let error =
                |one: &Refusal| json!({"statusCode": one.code, "message": one.message, "fields": one.fields});
            let errors: Vec<Value> = iter::once(refusal).chain(&refusal.further).map(error).collect();
            let id = wanted.row.iter().find(|(name, _)| name.eq_ignore_ascii_case("Id")).map(|(_, id)| id);
            match id.filter(|_| wanted.operation == WriteOperation::Update) {
                Some(id) => json!({"id": id, "success": false, "errors": errors}),
                None => json!({"success": false, "errors": errors}),
            }
        }
    }
}

fn wrong_count(count: usize) -> Option<Answer> {
    match count {
        0 => Some(Answer::error(400, "REQUIRED_FIELD_MISSING", "At least 1 record is required")),
        count if count > RECORDS_MAX => {
            let message = "record limit reached. cannot submit more than 200 records into this call";
            Some(Answer::error(400, "EXCEEDED_ID_LIMIT", message))
        }
        _ => None,
    }
}
