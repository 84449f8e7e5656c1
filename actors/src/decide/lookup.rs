//! What the vendor says about a batch.
//!
//! Here: what is asked, and what becomes of a batch that is refused. Not here: HTTP and its errors
//! (`vendor/lookup.rs`), the bodies (`reconcile::lookup`).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use orgpipe_reconcile::{
    RecordProblem,
    lookup::{self, Found},
};
use orgpipe_salesforce::mend::mended;
use orgpipe_store::Settle;

use super::{
    batch::{Answer, Asked, Batch, id_of},
    culprit::problem,
    verdict,
};
use crate::{
    org::{context::OrgContext, step_error::StepError},
    queue_entry::Row,
    vendor::lookup::{ANSWER_BYTES_MAX, LookupAnswer, LookupError},
};

/// Calls of one batch under way together, at most, while it is not known that the API answers.
const CAUTIOUS: usize = 2;
/// Failures after which the API is left alone if it has answered none of the batch's calls.
const FAILURES_MAX: usize = 8;
/// How often a record is asked about alone before its failure is held against it, and how long it waits in between.
const ALONE_TRIES: u32 = 3;
const ALONE_WAIT: Duration = Duration::from_millis(200);

/// How a batch is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Records of a call.
    pub records_max: usize,
    /// How often in a row batches of its kind could not be decided: each time the calls are half as large.
    pub tries: u32,
}

/// Asks about the records that were read and have keys. A call that is refused, that fails inside the API or whose answer
/// cannot be read is asked in halves until the record that it is due to stands alone: that one is a dead letter, as is one
/// whose part of an answer cannot be read, and is taken out of `asked`. A failure inside the API is held against a record only
/// if the API answers about others meanwhile.
pub(super) async fn look_up(
    org: &OrgContext,
    batch: Batch<'_>,
    pace: Pace,
    asked: &mut Vec<Asked>,
    settle: &mut Settle,
) -> Result<BTreeMap<String, Answer>, StepError> {
    let rows: Vec<&Row> = asked
        .iter()
        .filter_map(|asked| asked.row.as_ref())
        .filter(|row| lookup::has_keys(batch.mapping, row) && !lookup::is_converted(batch.mapping, row))
        .collect();
    let found = ask_all(org, batch, pace, &rows).await?;
    verdict::dead_letters(batch, &found.refused, asked, settle);
    Ok(found.answers)
}

/// What the calls of a batch came to.
#[derive(Default)]
struct Outcome {
    answers: BTreeMap<String, Answer>,
    refused: BTreeMap<String, RecordProblem>,
    /// Calls that the API answered.
    answered: usize,
}

impl Outcome {
    fn add(&mut self, found: Answers) {
        self.answered += 1;
        for (id, answer) in found {
            match answer {
                Ok(answer) => _ = self.answers.insert(id, answer),
                Err(problem) => _ = self.refused.insert(id, problem),
            }
        }
    }

    fn refuse(&mut self, part: &[&Row], problem: &RecordProblem) {
        self.refused.extend(part.iter().filter_map(|row| id_of(row)).map(|id| (id, problem.clone())));
    }
}

async fn ask_all(
    org: &OrgContext,
    batch: Batch<'_>,
    pace: Pace,
    rows: &[&Row],
) -> Result<Outcome, StepError> {
    let size = (pace.records_max >> pace.tries.min(usize::BITS - 1)).max(1);
    let mut waiting: VecDeque<&[&Row]> = rows.chunks(size).collect();
    // Not always the same ones first, so that those that the API answers get their turn.
    let turn = (pace.tries as usize).saturating_mul(FAILURES_MAX);
    waiting.rotate_left(turn.checked_rem(waiting.len()).unwrap_or_default());
    let (mut outcome, mut failed, mut alone) = (Outcome::default(), 0, Vec::new());
    let mut down = None;
    let mut under_way = FuturesUnordered::new();
    loop {
        let room = if failed > 0 && outcome.answered == 0 { CAUTIOUS } else { usize::MAX };
        while under_way.len() < room
            && down.is_none()
            && let Some(part) = waiting.pop_front()
        {
            under_way.push(call(org, batch, part));
        }
        let Some((part, answer)) = under_way.next().await else { break };
        match answer {
            Ok(found) => outcome.add(found),
            // The others go on: one of them may be the one that finds out that the API is back.
            Err(NoAnswer::Down(error)) => down = Some(error),
            Err(NoAnswer::Refused(_)) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                waiting.extend([first, second]);
            }
            Err(NoAnswer::Refused(problem)) => {
                outcome.answered += 1;
                outcome.refuse(part, &problem);
            }
            Err(NoAnswer::Failed(error)) => {
                failed += 1;
                if outcome.answered == 0 && failed >= FAILURES_MAX {
                    down = Some(error);
                } else if part.len() > 1 {
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.extend([first, second]);
                } else {
                    alone.push((part, error));
                }
            }
        }
    }
    drop(under_way);
    if let Some(error) = down {
        return Err(error.into());
    }
    for (part, error) in alone {
        ask_alone(org, batch, part, error, &mut outcome).await?;
    }
    Ok(outcome)
}

/// A record about which the API fails when it is asked about that one alone: some tries more, then it is its fault, if the API
/// answers about others.
async fn ask_alone(
    org: &OrgContext,
    batch: Batch<'_>,
    part: &[&Row],
    mut error: LookupError,
    outcome: &mut Outcome,
) -> Result<(), StepError> {
    let since = org.clock.monotonic();
    for _ in 1..ALONE_TRIES {
        tokio::time::sleep(ALONE_WAIT).await;
        match call(org, batch, part).await.1 {
            Ok(found) => {
                outcome.add(found);
                return Ok(());
            }
            Err(NoAnswer::Refused(problem)) => {
                outcome.refuse(part, &problem);
                return Ok(());
            }
            Err(NoAnswer::Down(error)) => return Err(error.into()),
            Err(NoAnswer::Failed(again)) => error = again,
        }
    }
    if outcome.answered == 0 && !org.vendor().lookup.answered_since(since) {
        return Err(error.into());
    }
    outcome.refuse(part, &problem("Id", &error.into()));
    Ok(())
}

/// Why a call brought nothing about any of its records.
enum NoAnswer {
    /// It may work later; nothing is wrong with the records.
    Down(LookupError),
    /// Something went wrong inside the API, which may be the fault of one of them.
    Failed(LookupError),
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
        Err(error @ LookupError::Failed { .. }) => Err(NoAnswer::Failed(error)),
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
