//! What the vendor says about a batch.
//!
//! Here: what is asked, and what becomes of a batch that is refused. Not here: HTTP and its errors
//! (`vendor/lookup.rs`), the bodies (`reconcile::lookup`).

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use orgpipe_reconcile::{
    RecordProblem,
    lookup::{self, Found},
};
use orgpipe_salesforce::mend::mended;
use orgpipe_store::Settle;

use super::{
    batch::{Answer, Asked, Batch, id_of},
    verdict,
};
use crate::{
    org::{context::OrgContext, step_error::StepError},
    queue_entry::Row,
    vendor::lookup::{ANSWER_BYTES_MAX, LookupAnswer, LookupError},
};

/// Asks about the records that were read and have keys, so many in a call at most. A call that is refused, or whose answer
/// cannot be read, is halved until the record that it is due to stands alone: that one is a dead letter, as is one whose part
/// of an answer cannot be read, and is taken out of `asked`.
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
        let problem = match answer {
            Ok(found) => {
                for (id, answer) in found {
                    match answer {
                        Ok(answer) => _ = answers.insert(id, answer),
                        Err(problem) => _ = refused.insert(id, problem),
                    }
                }
                continue;
            }
            Err(NoAnswer::Refused(problem)) => problem,
            // The others go on: one of them may be the one that finds out that the API is back.
            Err(NoAnswer::Down(error)) => {
                failure = Some(error);
                continue;
            }
        };
        if part.len() > 1 {
            let (first, second) = part.split_at(part.len() / 2);
            calls.extend([first, second].map(|part| call(org, batch, part)));
        } else {
            refused.extend(part.iter().filter_map(|row| id_of(row)).map(|id| (id, problem.clone())));
        }
    }
    drop(calls);
    if let Some(error) = failure {
        return Err(error.into());
    }
    for record in asked.extract_if(.., |asked| refused.contains_key(&asked.id)) {
        let problem = &refused[&record.id];
        settle.dead.push(verdict::dead(batch, record.subject(), problem));
    }
    Ok(answers)
}

/// Why a call brought nothing about any of its records.
enum NoAnswer {
    /// It may work later; nothing is wrong with the records.
    Down(LookupError),
    /// It would be so again for the same records, and may be the fault of one of them.
    Refused(RecordProblem),
}

/// What a call brought: of each of its records the answer, or why it cannot be used.
type Answers = Vec<(String, Result<Answer, RecordProblem>)>;

/// One call.
async fn call<'a>(
    org: &OrgContext,
    batch: Batch<'_>,
    part: &'a [&'a Row],
) -> (&'a [&'a Row], Result<Answers, NoAnswer>) {
    let body = lookup::body(batch.mapping, org.id(), part.iter().copied()).to_string();
    let client = org.vendor().lookup;
    let answer = match client.ask(batch.origin.into(), body).await {
        Ok(LookupAnswer { body, parent }) => {
            let mended = mended(&body);
            let body = mended.as_deref().map_or(&*body, str::as_bytes);
            match lookup::parse(body, ANSWER_BYTES_MAX) {
                Ok(found) => Ok(answers(part, found, &parent, org.clock.now_ms())),
                Err(problem) if problem.may_be_one_records() => {
                    Err(NoAnswer::Refused(RecordProblem::new("Id", problem.to_string(), problem.hint())))
                }
                Err(problem) => {
                    let hint = problem.hint();
                    let what = format!("{problem}. {}", hint.trim_end_matches('.'));
                    Err(NoAnswer::Down(client.answered_rubbish(&what)))
                }
            }
        }
        Err(error @ LookupError::Refused { .. }) => {
            Err(NoAnswer::Refused(RecordProblem::new("Id", error.to_string(), error.hint())))
        }
        Err(error @ LookupError::Down { .. }) => Err(NoAnswer::Down(error)),
    };
    (part, answer)
}

/// What is said about each record of the call; about one that is not in the answer nothing is known.
fn answers(part: &[&Row], mut found: Found, parent: &str, at_ms: u64) -> Answers {
    let ids = part.iter().filter_map(|row| id_of(row));
    ids.map(|id| {
        let answer = match found.remove(&id).unwrap_or_else(|| Ok(Vec::new())) {
            Ok(data) => Ok(Answer { data, at_ms, parent: parent.to_owned() }),
            Err(problem) => Err(RecordProblem::new("Id", problem.to_string(), problem.hint())),
        };
        (id, answer)
    })
    .collect()
}
