//! Single records: create, read, update, upsert by external ID, delete.
//!
//! Here: status codes and bodies. Not here: what a write checks (`data`).
//! Source: REST guide "sObject Rows", "sObject Rows by External ID", "Insert or Update (Upsert) a Record".

use serde_json::{Value, json};

use super::call::Call;
use crate::answer::Answer;
use crate::data::{KeyMatch, Refusal, Schema, Tables, Writer};
use crate::org::outcome::{RecordOutcome, RecordWrite, WriteOperation, WriteRules};
use crate::org::writes::write;
use crate::org::{Org, OrgState};
use crate::row::Row;

const RULES: WriteRules = WriteRules { all_or_none: false, whole_on_wrong_type: true };

pub(crate) fn create(
    org: &Org,
    state: &mut OrgState,
    (seen, call): (&Schema, &Call),
    object: &str,
    writer: &Writer,
) -> Answer {
    let row = match writable(seen, call, object) {
        Ok(row) => row,
        Err(answer) => return answer,
    };
    match single(org, state, object, WriteOperation::Insert, row, writer) {
        RecordOutcome::Written(written) => {
            let location = format!("{}/sobjects/{}/{}", call.base(), written.object, written.id);
            let body = json!({"id": written.id, "success": true, "errors": []});
            Answer::json(201, &body).with("Location", location)
        }
        RecordOutcome::Published { id, uuid } => {
            // A queued event is reported as an error that is none.
            let errors = json!([{"statusCode": "OPERATION_ENQUEUED", "message": uuid, "fields": []}]);
            Answer::json(201, &json!({"id": id, "success": true, "errors": errors}))
        }
        other => failed(&other, call, object),
    }
}

pub(crate) fn get(
    state: &OrgState,
    (seen, call): (&Schema, &Call),
    object: &str,
    field: &str,
    key: &str,
) -> Answer {
    let Some(object) = seen.object(object).filter(|object| !object.is_event()) else {
        return Answer::not_found();
    };
    let id = match state.tables.find(&object.name, field, &Value::from(key)) {
        Ok(KeyMatch::One(id)) => id,
        Ok(KeyMatch::Many(ids)) => return several(&ids, call, &object.name),
        Ok(KeyMatch::None) => return Answer::not_found(),
        Err(refusal) if refusal.code == "MALFORMED_ID" => {
            let message = format!("Provided external ID field does not exist or is not accessible: {key}");
            return Answer::error(404, "NOT_FOUND", &message);
        }
        Err(refusal) => return Answer::refused(&refusal),
    };
    let row = state.tables.row(&object.name, &id).filter(|row| object.shows(row));
    let Some(row) = row else { return Answer::not_found() };
    let mut shown = Row::new();
    let url = format!("{}/sobjects/{}/{id}", call.base(), object.name);
    shown.insert("attributes".to_owned(), json!({"type": object.name, "url": url}));
    match call.parameter("fields") {
        None => shown.extend(Tables::whole(object, row)),
        Some(fields) => {
            for name in fields.split(',').map(str::trim).chain(["Id"]) {
                let Some(field) = object.field(name) else {
                    return Answer::refused(&Refusal::no_column(name, &object.name));
                };
                shown.insert(field.name.clone(), Tables::cell(field, row).clone());
            }
        }
    }
    Answer::json(200, &Value::Object(shown))
}

pub(crate) fn update(
    org: &Org,
    state: &mut OrgState,
    (seen, call): (&Schema, &Call),
    object: &str,
    id: &str,
    writer: &Writer,
) -> Answer {
    let mut row = match writable(seen, call, object) {
        Ok(row) => row,
        Err(answer) => return answer,
    };
    if let Some(refusal) = key_in_body(&row, "Id") {
        return Answer::refused(&refusal);
    }
    row.insert("Id".to_owned(), Value::from(id));
    match single(org, state, object, WriteOperation::Update, row, writer) {
        RecordOutcome::Written(_) => Answer::empty(204),
        other => failed(&other, call, object),
    }
}

pub(crate) fn upsert(
    org: &Org,
    state: &mut OrgState,
    (seen, call): (&Schema, &Call),
    object: &str,
    field: &str,
    key: &str,
    writer: &Writer,
) -> Answer {
    // Salesforce takes such an ending for a file extension and finds nothing.
    if key.to_lowercase().ends_with(".inc") {
        return Answer::not_found();
    }
    let mut row = match writable(seen, call, object) {
        Ok(row) => row,
        Err(answer) => return answer,
    };
    if let Some(refusal) = key_in_body(&row, field).or_else(|| key_in_body(&row, "Id")) {
        return Answer::refused(&refusal);
    }
    row.insert(field.to_owned(), Value::from(key));
    let update_only = call.parameter("updateOnly") == Some("true");
    match single(
        org,
        state,
        object,
        WriteOperation::Upsert { by: field.to_owned(), update_only },
        row,
        writer,
    ) {
        RecordOutcome::Written(written) => {
            let body = json!({"id": written.id, "success": true, "errors": [], "created": written.created});
            Answer::json(if written.created { 201 } else { 200 }, &body)
        }
        other => failed(&other, call, object),
    }
}

pub(crate) fn delete(
    org: &Org,
    state: &mut OrgState,
    seen: &Schema,
    object: &str,
    field: &str,
    key: &str,
    writer: &Writer,
) -> Answer {
    let Some(object) = seen.object(object).map(|object| object.name.clone()) else {
        return Answer::not_found();
    };
    let id = if field == "Id" {
        key.to_owned()
    } else {
        match state.tables.find(&object, field, &Value::from(key)) {
            Ok(KeyMatch::One(id)) => id,
            Ok(_) => return Answer::not_found(),
            Err(refusal) => return Answer::refused(&refusal),
        }
    };
    let row: Row = [("Id".to_owned(), Value::from(id))].into_iter().collect();
    match single(org, state, &object, WriteOperation::Delete, row, writer) {
        RecordOutcome::Deleted { .. } => Answer::empty(204),
        RecordOutcome::Refused(refusal) => Answer::refused(&refusal),
        _ => Answer::not_found(),
    }
}

fn single(
    org: &Org,
    state: &mut OrgState,
    object: &str,
    operation: WriteOperation,
    row: Row,
    writer: &Writer,
) -> RecordOutcome {
    let wanted = [RecordWrite { object: object.to_owned(), operation, row }];
    match write(org, state, &wanted, RULES, writer) {
        Ok(mut outcomes) if outcomes.len() == 1 => outcomes.remove(0),
        Ok(_) => RecordOutcome::Refused(Refusal::new("UNKNOWN_EXCEPTION", "no result")),
        Err(refusal) => RecordOutcome::Refused(refusal),
    }
}

fn failed(outcome: &RecordOutcome, call: &Call, object: &str) -> Answer {
    match outcome {
        RecordOutcome::Many(ids) => several(ids, call, object),
        RecordOutcome::Refused(refusal) => Answer::refused(refusal),
        _ => Answer::not_found(),
    }
}

/// 300 with the records' addresses; nothing was written.
fn several(ids: &[String], call: &Call, object: &str) -> Answer {
    let urls: Vec<String> = ids.iter().map(|id| format!("{}/sobjects/{object}/{id}", call.base())).collect();
    Answer::json(300, &json!(urls))
}

/// The body, if the object is there.
fn writable(seen: &Schema, call: &Call, object: &str) -> Result<Row, Answer> {
    if seen.object(object).is_none() {
        return Err(Answer::not_found());
    }
    call.object()
}

fn key_in_body(row: &Row, field: &str) -> Option<Refusal> {
    let given = row.keys().any(|name| name.eq_ignore_ascii_case(field));
    let message = || format!("The {field} field should not be specified in the sobject data.");
    given.then(|| Refusal::new("INVALID_FIELD", message()).on(field))
}
