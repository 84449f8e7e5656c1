//! What the vendor says about a batch.
//!
//! Here: what is asked, and what becomes of a batch that is refused. Not here: HTTP and its errors (`lookup`).

use std::collections::BTreeMap;

use orgpipe_reconcile::{RecordProblem, lookup};
use orgpipe_store::Settle;
use serde_json::Value;

use super::{
    batch::{Asked, Batch, id_of},
    halt::Halt,
    lookup::{ANSWER_BYTES_MAX, Answered, SourceError},
    verdict,
};
use crate::{parcel::Row, supervise::context::OrgContext};

/// What the vendor's API answered about one record it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    /// One object per target record; empty if nothing is known.
    pub data: Vec<Value>,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// `parent-id` of the call's `traceparent`.
    pub parent: String,
}

/// Asks about the records that were read and have keys. A batch that is refused is halved until the record that is
/// refused stands alone: that one is a dead letter, and is taken out of `asked`.
pub(super) async fn look_up(
    org: &OrgContext,
    batch: Batch<'_>,
    asked: &mut Vec<Asked>,
    settle: &mut Settle,
) -> Result<BTreeMap<String, Answer>, Halt> {
    let rows: Vec<Row> = asked
        .iter()
        .filter_map(|asked| asked.row.as_ref())
        .filter(|row| lookup::has_keys(batch.mapping, row))
        .cloned()
        .collect();
    let mut answers = BTreeMap::new();
    let mut parts: Vec<&[Row]> = rows.chunks(lookup::RECORDS_MAX).rev().collect();
    while let Some(part) = parts.pop() {
        let body = lookup::body(batch.mapping, org.id(), part).to_string();
        let source = org.ways().source;
        match source.ask(body).await {
            Ok(Answered { body, parent }) => {
                let mut found = lookup::parse(&body, ANSWER_BYTES_MAX).map_err(|problem| {
                    let hint = problem.hint();
                    source.answered_rubbish(&format!("{problem}. {}", hint.trim_end_matches('.')))
                })?;
                let at_ms = org.clock.now_ms();
                for id in part.iter().filter_map(id_of) {
                    let data = found.remove(&id).unwrap_or_default();
                    answers.insert(id, Answer { data, at_ms, parent: parent.clone() });
                }
            }
            Err(SourceError::Refused { .. }) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(error @ SourceError::Refused { .. }) => {
                let id = part.first().and_then(id_of).unwrap_or_default();
                if let Some(place) = asked.iter().position(|asked| asked.id == id) {
                    let record = asked.remove(place);
                    let problem = RecordProblem::new("Id", error.to_string(), error.hint());
                    settle.dead.push(verdict::dead(batch, record.subject(), &problem));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(answers)
}
