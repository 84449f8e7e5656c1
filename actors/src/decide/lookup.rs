//! What the vendor says about a batch.
//!
//! Here: what is asked, and what becomes of a batch that is refused. Not here: HTTP and its errors
//! (`vendor/lookup.rs`), the bodies (`reconcile::lookup`).

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use orgpipe_reconcile::{RecordProblem, lookup};
use orgpipe_store::Settle;
use serde_json::Value;

use super::{
    batch::{Answer, Asked, Batch, id_of},
    verdict,
};
use crate::{
    org::{context::OrgContext, step_error::StepError},
    queue_entry::Row,
    vendor::lookup::{ANSWER_BYTES_MAX, LookupAnswer, LookupError},
};

/// Asks about the records that were read and have keys, so many in a call at most. A call that is refused is halved until the
/// record that is refused stands alone: that one is a dead letter, and is taken out of `asked`.
pub(super) async fn look_up(
    org: &OrgContext,
    batch: Batch<'_>,
    records_max: usize,
    asked: &mut Vec<Asked>,
    settle: &mut Settle,
) -> Result<BTreeMap<String, Answer>, StepError> {
    let rows: Vec<&Row> = asked
        .iter()
        .filter_map(|asked| asked.row.as_ref())
        .filter(|row| lookup::has_keys(batch.mapping, row) && !lookup::is_converted(batch.mapping, row))
        .collect();
    let (mut answers, mut refused, mut failure) = (BTreeMap::new(), BTreeMap::new(), None);
    let mut calls: FuturesUnordered<_> =
        rows.chunks(records_max).map(|part| call(org, batch, part)).collect();
    while let Some((part, answer)) = calls.next().await {
        match answer {
            Ok(found) => answers.extend(found),
            Err(LookupError::Refused { .. }) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                calls.extend([first, second].map(|part| call(org, batch, part)));
            }
            Err(error @ LookupError::Refused { .. }) => {
                refused.extend(part.iter().filter_map(|row| id_of(row)).map(|id| (id, error.clone())));
            }
            // The others go on: one of them may be the one that finds out that the API is back.
            Err(error @ LookupError::Down { .. }) => failure = Some(error),
        }
    }
    drop(calls);
    if let Some(error) = failure {
        return Err(error.into());
    }
    for record in asked.extract_if(.., |asked| refused.contains_key(&asked.id)) {
        let error = &refused[&record.id];
        let problem = RecordProblem::new("Id", error.to_string(), error.hint());
        settle.dead.push(verdict::dead(batch, record.subject(), &problem));
    }
    Ok(answers)
}

/// One call.
async fn call<'a>(
    org: &OrgContext,
    batch: Batch<'_>,
    part: &'a [&'a Row],
) -> (&'a [&'a Row], Result<Vec<(String, Answer)>, LookupError>) {
    let body = lookup::body(batch.mapping, org.id(), part.iter().copied()).to_string();
    let client = org.vendor().lookup;
    let answer = match client.ask(batch.origin.into(), body).await {
        Ok(LookupAnswer { body, parent }) => lookup::parse(&body, ANSWER_BYTES_MAX)
            .map(|found| answers(part, found, &parent, org.clock.now_ms()))
            .map_err(|problem| {
                let hint = problem.hint();
                client.answered_rubbish(&format!("{problem}. {}", hint.trim_end_matches('.')))
            }),
        Err(error) => Err(error),
    };
    (part, answer)
}

/// What is said about each record of the call; about one that is not in the answer nothing is known.
fn answers(
    part: &[&Row],
    mut found: BTreeMap<String, Vec<Value>>,
    parent: &str,
    at_ms: u64,
) -> Vec<(String, Answer)> {
    let ids = part.iter().filter_map(|row| id_of(row));
    ids.map(|id| {
        let data = found.remove(&id).unwrap_or_default();
        (id, Answer { data, at_ms, parent: parent.to_owned() })
    })
    .collect()
}
