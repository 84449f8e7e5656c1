//! Writing a few records: one by upsert, up to 200 by sObject Collections; what goes by record ID always by those.
//!
//! Here: one call and what each record came to. Not here: what to write (`writer`), the verdict (`outcome`).

use orgpipe_reconcile::{Operation, Row, route::COLLECTIONS_MAX};
use orgpipe_salesforce::{
    error::ErrorClass,
    failure::CallError,
    limits::COLLECTION_RECORDS_MAX,
    rest::{RowResult, collections, upsert},
};
use orgpipe_store::Outcome;

use super::outcome::{Moment, Outgoing, Sent, fields_of, of_error, of_row};
use crate::{
    org::{context::OrgContext, step_error::StepError},
    priority::Priority,
};

// Otherwise the route would be chosen for other calls than are made here.
const _: () = assert!(COLLECTIONS_MAX == COLLECTION_RECORDS_MAX);

/// Writes changes of one target and operation, all of them or none decided: an error means that none may be taken as decided,
/// although some may be written, and that all should be tried again.
pub(super) async fn write(
    org: &OrgContext,
    priority: Priority,
    changes: &[Outgoing],
) -> Result<Vec<(u64, Outcome)>, StepError> {
    let fields = fields_of(changes);
    let mut outcomes = Vec::with_capacity(changes.len());
    let mut parts: Vec<&[Outgoing]> = changes.chunks(COLLECTION_RECORDS_MAX).rev().collect();
    while let Some(part) = parts.pop() {
        let results = send(org, priority, part).await;
        if blames_schema(&results)
            && let Some(change) = part.first()
        {
            org.schemas.doubt(&change.entry.target);
        }
        let moment = Moment { now_ms: org.clock.now_ms(), jitter: org.clock.jitter() };
        let operation = part.first().map(|change| change.entry.operation).unwrap_or_default();
        let sent = Sent { operation, fields: &fields };
        match results {
            Ok(results) => outcomes.extend(
                part.iter()
                    .zip(&results)
                    .map(|(change, result)| (change.seq, of_row(result, sent, change.tried(), moment))),
            ),
            Err(StepError::Call(CallError::Refused(error))) => match error.class() {
                // One of them cannot be said in a request: find it.
                ErrorClass::Record | ErrorClass::Bug if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                ErrorClass::Record | ErrorClass::Bug | ErrorClass::Schema => outcomes.extend(
                    part.iter().map(|change| (change.seq, of_error(&error, sent, change.tried(), moment))),
                ),
                _ => return Err(error.into()),
            },
            Err(error) => return Err(error),
        }
    }
    Ok(outcomes)
}

fn blames_schema(results: &Result<Vec<RowResult>, StepError>) -> bool {
    match results {
        Ok(results) => results
            .iter()
            .any(|row| matches!(row, RowResult::Failed(error) if error.class() == ErrorClass::Schema)),
        Err(error) => error.class() == Some(ErrorClass::Schema),
    }
}

async fn send(
    org: &OrgContext,
    priority: Priority,
    changes: &[Outgoing],
) -> Result<Vec<RowResult>, StepError> {
    let Some(first) = changes.first() else { return Ok(Vec::new()) };
    let (target, field) = (first.entry.target.as_str(), first.entry.external_id_field.as_str());
    let operation = first.entry.operation;
    if (changes.len(), operation) == (1, Operation::Upsert)
        && let Some(call) = upsert::one(target, field, &first.entry.external_id, &first.entry.fields)
    {
        return Ok(vec![upsert::result(&org.api.call(priority, &call).await?)?]);
    }
    let rows: Vec<(&str, &Row)> =
        changes.iter().map(|change| (change.key().1, &change.entry.fields)).collect();
    let call = match operation {
        Operation::Upsert => collections::upsert(target, field, &rows),
        Operation::Update => collections::update(target, &rows),
        Operation::Delete => {
            let ids: Vec<&str> = rows.iter().map(|(id, _)| *id).collect();
            collections::delete(&ids)
        }
    };
    Ok(collections::results(&org.api.call(priority, &call).await?, rows.len())?)
}
