//! Writing records as one request: each alone or all or none, and events.
//!
//! Here: what holds between the records of a request, and what is published once they are in.
//! Not here: the checks of one record (`data`), the package's flows (`flow`), HTTP shapes (`api`).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::facts::CHANGE_CHANNEL;
use super::outcome::{RecordOutcome, RecordWrite, WriteOperation, WriteRules};
use super::{Org, OrgState, flow};
use crate::data::{KeyMatch, Refusal, Schema, Tables, Writer, WrittenRecord, java_text};
use crate::log::LoggedWrite;
use crate::row::Row;

/// One outcome per record, in order; `Err` if the whole request was refused and nothing was written.
pub(crate) fn write(
    org: &Org,
    state: &mut OrgState,
    wanted: &[RecordWrite],
    rules: WriteRules,
    writer: &Writer,
) -> Result<Vec<RecordOutcome>, Refusal> {
    let writer = &Writer { sees: Some(state.views.seen(&writer.user)), ..writer.clone() };
    let twice = keys_given_twice(&state.tables.schema, wanted);
    let whole = chunk_refused(org, state, wanted, writer);
    let mut events: Vec<(String, Row, String)> = Vec::new();
    let mut outcomes = Vec::with_capacity(wanted.len());
    state.tables.begin();
    for (wanted, twice) in wanted.iter().zip(twice) {
        let refusal = whole.clone().or(twice).or_else(|| refused(org, state, wanted, writer));
        let outcome = match refusal {
            Some(refusal) => RecordOutcome::Refused(refusal),
            None => one(state, wanted, writer, &mut events),
        };
        if let RecordOutcome::Refused(refusal) = &outcome
            && rules.whole_on_wrong_type
            && refusal.wrong_type.is_some()
        {
            state.tables.rollback();
            return Err(refusal.clone());
        }
        outcomes.push(outcome);
    }
    if rules.all_or_none
        && outcomes
            .iter()
            .any(|outcome| matches!(outcome, RecordOutcome::Refused(_) | RecordOutcome::Many(_)))
    {
        state.tables.rollback();
        outcomes.iter_mut().for_each(roll_back);
        return Ok(outcomes);
    }
    state.tables.commit();
    log(org, state, wanted, &outcomes, writer);
    for (event, payload, uuid) in events {
        org.cometd.publish_as(&uuid, &event, payload, &writer.user);
    }
    flow::run(org, state, &outcomes, writer);
    capture_changes(org, &outcomes, writer);
    Ok(outcomes)
}

/// What a client wrote, for tests to read.
fn log(org: &Org, state: &mut OrgState, wanted: &[RecordWrite], outcomes: &[RecordOutcome], writer: &Writer) {
    if writer.user != org.facts.integration_user {
        return;
    }
    for (wanted, outcome) in wanted.iter().zip(outcomes) {
        if let RecordOutcome::Written(WrittenRecord { object, id, .. }) = outcome {
            let (object, id, row) = (object.clone(), id.clone(), wanted.row.clone());
            state.writes.push(LoggedWrite { object, id, row });
        }
    }
}

fn one(
    state: &mut OrgState,
    wanted: &RecordWrite,
    writer: &Writer,
    events: &mut Vec<(String, Row, String)>,
) -> RecordOutcome {
    let seen = state.views.seen(&writer.user);
    let tables = &mut state.tables;
    let Some(object) = seen.object(&wanted.object) else {
        return RecordOutcome::Refused(Refusal::no_object(&wanted.object));
    };
    let (is_event, may_publish, object) = (object.is_event(), object.open_for.create, object.name.clone());
    if is_event && !may_publish {
        let message = format!("entity type cannot be inserted: {object}");
        return RecordOutcome::Refused(Refusal::new("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message));
    }
    if is_event {
        return match (&wanted.operation, tables.event(&object, &wanted.row)) {
            (WriteOperation::Insert, Ok(payload)) => {
                let uuid = uuid::Uuid::new_v4().to_string();
                events.push((object, payload, uuid.clone()));
                RecordOutcome::Published { id: tables.new_id("e01"), uuid }
            }
            (WriteOperation::Insert, Err(refusal)) => RecordOutcome::Refused(refusal),
            _ => RecordOutcome::Refused(Refusal::new(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "platform events can only be created",
            )),
        };
    }
    let written = match &wanted.operation {
        WriteOperation::Insert => tables.insert(&object, &wanted.row, writer),
        WriteOperation::Upsert { by, update_only } => {
            match upsert(tables, &object, by, *update_only, &wanted.row, writer) {
                Ok(written) => Ok(written),
                Err(Err(refusal)) => Err(refusal),
                Err(Ok(ids)) => return RecordOutcome::Many(ids),
            }
        }
        WriteOperation::Update | WriteOperation::Delete => {
            let Some(id) = id_of(&wanted.row) else {
                let what = if wanted.operation == WriteOperation::Delete { "delete" } else { "update" };
                let message = format!("Id not specified in an {what} call");
                return RecordOutcome::Refused(Refusal::new("MISSING_ARGUMENT", message).on("Id"));
            };
            if wanted.operation == WriteOperation::Delete {
                return match tables.delete(&object, &id, writer) {
                    Ok(()) => RecordOutcome::Deleted { id },
                    Err(refusal) => RecordOutcome::Refused(refusal),
                };
            }
            let others = wanted.row.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Id"));
            let others: Row = others.map(|(name, value)| (name.clone(), value.clone())).collect();
            tables.update(&object, &id, &others, writer)
        }
    };
    written.map_or_else(RecordOutcome::Refused, RecordOutcome::Written)
}

fn upsert(
    tables: &mut Tables,
    object: &str,
    by: &str,
    update_only: bool,
    row: &Row,
    writer: &Writer,
) -> Result<WrittenRecord, Result<Vec<String>, Refusal>> {
    let key = row.iter().find(|(name, _)| name.eq_ignore_ascii_case(by)).map(|(_, value)| value);
    if let (true, Some(key)) = (update_only, key)
        && tables.find(object, by, key).map_err(Err)? == KeyMatch::None
    {
        return Err(Err(Refusal::new("NOT_FOUND", "The requested resource does not exist")));
    }
    tables.upsert(object, by, row, writer)
}

/// Every record whose external ID another record of the same request has too is refused.
fn keys_given_twice(schema: &Schema, wanted: &[RecordWrite]) -> Vec<Option<Refusal>> {
    let keys: Vec<Option<(String, String)>> = wanted.iter().map(|wanted| key_of(schema, wanted)).collect();
    let mut counts: HashMap<&(String, String), usize> = HashMap::new();
    for key in keys.iter().flatten() {
        *counts.entry(key).or_default() += 1;
    }
    let refusal = |(field, key): &(String, String)| {
        if field == "Id" {
            Refusal::new("DUPLICATE_VALUE", format!("duplicate id in list: {key}"))
        } else {
            Refusal::new("DUPLICATE_VALUE", format!("Duplicate external id specified: {key}")).on(field)
        }
    };
    keys.iter().map(|key| key.as_ref().filter(|key| counts[key] > 1).map(refusal)).collect()
}

fn key_of(schema: &Schema, wanted: &RecordWrite) -> Option<(String, String)> {
    let by = match &wanted.operation {
        WriteOperation::Insert => return None,
        WriteOperation::Upsert { by, .. } => by,
        WriteOperation::Update | WriteOperation::Delete => "Id",
    };
    let (_, value) = wanted.row.iter().find(|(name, _)| name.eq_ignore_ascii_case(by))?;
    let field = schema.object(&wanted.object).and_then(|object| object.field(by));
    let exact = by == "Id" || field.is_some_and(|field| field.case_sensitive);
    let text = match value {
        Value::String(text) if exact => text.trim_end().to_owned(),
        Value::String(text) => text.trim_end().to_lowercase(),
        Value::Number(number) => number.as_f64().map(java_text)?,
        _ => return None,
    };
    (!text.is_empty()).then(|| (by.to_owned(), text))
}

/// What refuses all records of a transaction of a client.
fn chunk_refused(org: &Org, state: &OrgState, wanted: &[RecordWrite], writer: &Writer) -> Option<Refusal> {
    if writer.user != org.facts.integration_user {
        return None;
    }
    if state.read_only {
        let message = "The organization is in read-only mode during maintenance";
        return Some(Refusal::new("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", message));
    }
    let fault = state.chunk_fault.as_ref().filter(|fault| wanted.len() > fault.records_max)?;
    let has = |key: &String| {
        wanted.iter().any(|wanted| wanted.row.values().any(|value| value.as_str() == Some(key)))
    };
    if !fault.key.as_ref().is_none_or(has) {
        return None;
    }
    Some(Refusal::new(fault.code.clone(), fault.message.clone()))
}

/// A test's refusals and row locks hit clients, not the test's own writes.
fn refused(org: &Org, state: &mut OrgState, wanted: &RecordWrite, writer: &Writer) -> Option<Refusal> {
    if writer.user != org.facts.integration_user {
        return None;
    }
    if let Some(refusal) = state.row_faults.trigger(&wanted.row) {
        return Some(refusal);
    }
    if state.locked_writes == 0 {
        return None;
    }
    state.locked_writes -= 1;
    let id = id_of(&wanted.row).unwrap_or_default();
    let message = format!("unable to obtain exclusive access to this record or 1 records: {id}");
    Some(Refusal::new("UNABLE_TO_LOCK_ROW", message))
}

fn roll_back(outcome: &mut RecordOutcome) {
    if !matches!(outcome, RecordOutcome::Refused(_) | RecordOutcome::Many(_)) {
        let message = "Record rolled back because not all records were valid and the request was using AllOrNone header";
        *outcome = RecordOutcome::Refused(Refusal::new("ALL_OR_NONE_OPERATION_ROLLED_BACK", message));
    }
}

fn id_of(row: &Row) -> Option<String> {
    let (_, id) = row.iter().find(|(name, _)| name.eq_ignore_ascii_case("Id"))?;
    id.as_str().filter(|id| !id.is_empty()).map(str::to_owned)
}

/// Change Data Capture of Account, one event for each record ("Change Event Message Structure", Change Data Capture
/// Developer Guide).
pub(crate) fn capture_changes(org: &Org, outcomes: &[RecordOutcome], writer: &Writer) {
    if !org.facts.change_data {
        return;
    }
    let transaction = uuid::Uuid::new_v4().to_string();
    let mut sequence = 0;
    for outcome in outcomes {
        let (id, kind, changed) = match outcome {
            RecordOutcome::Written(written) if written.object != "Account" => continue,
            RecordOutcome::Written(written) if written.created => (&written.id, "CREATE", Vec::new()),
            RecordOutcome::Written(written) if written.changed.is_empty() => continue,
            RecordOutcome::Written(written) => (&written.id, "UPDATE", written.changed.clone()),
            RecordOutcome::Deleted { id } if id.starts_with("001") => (id, "DELETE", Vec::new()),
            _ => continue,
        };
        sequence += 1;
        let stamp = (!changed.is_empty()).then(|| "LastModifiedDate".to_owned());
        let changed: Vec<String> = changed.iter().map(|name| part_of_compound(name)).chain(stamp).collect();
        let header = json!({
            "entityName": "Account", "recordIds": [id], "changeType": kind, "changedFields": changed,
            "changeOrigin": writer.origin, "transactionKey": transaction,
            "sequenceNumber": sequence, "commitTimestamp": writer.now_ms, "commitNumber": writer.now_ms,
            "commitUser": writer.user,
        });
        let payload = Row::from_iter([("ChangeEventHeader".to_owned(), header)]);
        org.cometd.publish_on(CHANGE_CHANNEL, payload);
    }
}

/// How a change event names a part of an address or geolocation: `BillingCity` is `BillingAddress.City`,
/// `Place__Latitude__s` is `Place__c.Latitude` (same guide, "Change Event Fields").
fn part_of_compound(field: &str) -> String {
    if let Some((place, part)) = field.strip_suffix("__s").and_then(|stem| stem.rsplit_once("__")) {
        return format!("{place}__c.{part}");
    }
    let kinds = ["Billing", "Shipping"];
    match kinds.iter().find_map(|kind| Some((kind, field.strip_prefix(kind)?))) {
        Some((kind, part)) if !field.contains('_') && !part.is_empty() => format!("{kind}Address.{part}"),
        _ => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_compound_fields_are_named_with_a_dot() {
        for (field, name) in [
            ("BillingCity", "BillingAddress.City"),
            ("ShippingPostalCode", "ShippingAddress.PostalCode"),
            ("Place__Latitude__s", "Place__c.Latitude"),
            ("Billing_Note__c", "Billing_Note__c"),
            ("Website", "Website"),
        ] {
            assert_eq!(part_of_compound(field), name);
        }
    }
}
