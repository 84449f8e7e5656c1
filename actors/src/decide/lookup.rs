//! What the vendor says about a batch.
//!
//! Here: what is asked, and what becomes of a batch that is refused or on which the API fails. Not here: HTTP and its
//! errors (`vendor/lookup.rs`), the bodies (`reconcile::lookup`).
//!
//! Invariant: a failure of the API is held against a record only if it came three times when the API was asked about that
//! one alone, and if the API answered about another one, the witness, after each of them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use orgpipe_reconcile::{
    RecordProblem,
    lookup::{self, Found},
};
use orgpipe_salesforce::mend::mended;
use orgpipe_store::{Settle, UnixMs};

use super::{
    batch::{Answer, Asked, Batch, id_of},
    verdict,
};
use crate::{
    org::{context::OrgContext, culprit::problem, step_error::StepError},
    queue_entry::Row,
    trace::steps::StepSpan,
    vendor::lookup::{ANSWER_BYTES_MAX, LookupAnswer, LookupCall, LookupError},
};

/// Failures of the API in a row until the witness is asked: fewer than open the breaker that all orgs share, as some records
/// of one org are not an outage.
const FAILURES_MAX: usize = 3;
/// How often a record is asked about alone before the API's failure is held against it, and how long it waits in between.
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

/// Asks the vendor's API about one org's records.
pub(super) struct Lookups {
    org: Arc<OrgContext>,
    /// By sync, a record that the API has answered about.
    witnesses: RefCell<BTreeMap<String, Rc<Row>>>,
}

impl Lookups {
    /// Knows no witness yet.
    pub(super) fn new(org: Arc<OrgContext>) -> Self {
        Self { org, witnesses: RefCell::default() }
    }

    /// Asks about the records that were read and have keys, but those that a push has brought an answer about. A call that is refused, on which the API fails or whose answer
    /// cannot be read is asked in halves until the record that it is due to stands alone: that one is a dead letter, as is
    /// one whose part of an answer cannot be read, and is taken out of `asked`.
    pub(super) async fn ask(
        &self,
        (batch, step): (Batch<'_>, &StepSpan),
        pace: Pace,
        asked: &mut Vec<Asked>,
        settle: &mut Settle,
    ) -> Result<BTreeMap<String, Answer>, StepError> {
        let pushed: BTreeMap<String, Answer> = asked
            .iter_mut()
            .filter_map(|asked| Some((asked.id.clone(), asked.given.take()?.into())))
            .collect();
        let rows: Vec<&Row> = asked
            .iter()
            .filter(|asked| !pushed.contains_key(&asked.id))
            .filter_map(|asked| asked.row.as_ref())
            .filter(|row| lookup::has_keys(batch.mapping, row) && !lookup::is_converted(batch.mapping, row))
            .collect();
        let (answers, refused) = (pushed, BTreeMap::new());
        let (org, witnesses) = (&self.org, &self.witnesses);
        let mut inquiry = Inquiry { org, witnesses, batch, step, answers, refused };
        let suspects = inquiry.ask_all(pace, &rows).await?;
        inquiry.ask_alone(suspects).await?;
        let Inquiry { answers, refused, .. } = inquiry;
        verdict::dead_letters(batch, &refused, asked, settle);
        Ok(answers)
    }
}

/// A record about which the API failed when it was asked about that one alone, and how.
type Suspect<'a> = (&'a [&'a Row], LookupError);

/// The calls about one batch, and what they came to.
struct Inquiry<'a> {
    org: &'a OrgContext,
    witnesses: &'a RefCell<BTreeMap<String, Rc<Row>>>,
    batch: Batch<'a>,
    /// Within which the calls are made.
    step: &'a StepSpan,
    answers: BTreeMap<String, Answer>,
    refused: BTreeMap<String, RecordProblem>,
}

impl Inquiry<'_> {
    /// Asks about all of them, and in halves where that fails; gives back those about which the API fails alone.
    async fn ask_all<'r>(&mut self, pace: Pace, rows: &'r [&'r Row]) -> Result<Vec<Suspect<'r>>, StepError> {
        let (org, batch, step) = (self.org, self.batch, self.step);
        let size = (pace.records_max >> pace.tries.min(usize::BITS - 1)).max(1);
        let mut waiting: VecDeque<&[&Row]> = rows.chunks(size).collect();
        // Not always the same ones first, so that those that the API answers get their turn.
        let turn = (pace.tries as usize).saturating_mul(FAILURES_MAX);
        waiting.rotate_left(turn.checked_rem(waiting.len()).unwrap_or_default());
        // The first failure of all may be an outage: who has a witness asks it at once.
        let (mut failures, mut failures_max) = (0, if self.witness().is_some() { 1 } else { FAILURES_MAX });
        let mut room = if pace.tries > 0 { failures_max } else { usize::MAX };
        let (mut doubt, mut suspects, mut under_way) = (None, Vec::new(), FuturesUnordered::new());
        loop {
            while doubt.is_none()
                && under_way.len() < room
                && let Some(part) = waiting.pop_front()
            {
                under_way.push(call(org, (batch, step), part));
            }
            // The others go on: one of them may be the one that finds out that the API is back.
            let Some((part, answer)) = under_way.next().await else {
                match doubt.take() {
                    None => return Ok(suspects),
                    Some(Doubt::Down(error)) => return Err(error.into()),
                    Some(Doubt::Failed(error)) => self.ask_witness(error).await?,
                }
                (failures, failures_max) = (0, FAILURES_MAX);
                room = failures_max;
                continue;
            };
            match answer {
                Ok(found) => {
                    failures = 0;
                    doubt = doubt.filter(|doubt| matches!(doubt, Doubt::Down(_)));
                    self.add(part, found);
                }
                Err(NoAnswer::Down(error)) => doubt = Some(Doubt::Down(error)),
                Err(NoAnswer::Refused(problem)) => match halves(part) {
                    Some(halves) => waiting.extend(halves),
                    None => self.refuse(part, &problem),
                },
                Err(NoAnswer::Failed(error)) => {
                    failures += 1;
                    room = failures_max.saturating_sub(failures).max(1);
                    if failures >= failures_max {
                        doubt = doubt.or_else(|| Some(Doubt::Failed(error.clone())));
                    }
                    match halves(part) {
                        Some(halves) => waiting.extend(halves),
                        None => suspects.push((part, error)),
                    }
                }
            }
        }
    }

    /// Asks about each of them alone some times more. Those about which the API fails each time are refused.
    async fn ask_alone(&mut self, mut suspects: Vec<Suspect<'_>>) -> Result<(), StepError> {
        for _ in 1..ALONE_TRIES {
            let asked = std::mem::take(&mut suspects);
            for group in asked.chunks(FAILURES_MAX) {
                self.ask_witness(group[0].1.clone()).await?;
                tokio::time::sleep(ALONE_WAIT).await;
                let calls = group.iter().map(|(part, _)| call(self.org, (self.batch, self.step), part));
                for (part, answer) in join_all(calls).await {
                    match answer {
                        Ok(found) => self.add(part, found),
                        Err(NoAnswer::Refused(problem)) => self.refuse(part, &problem),
                        Err(NoAnswer::Down(error)) => return Err(error.into()),
                        Err(NoAnswer::Failed(error)) => suspects.push((part, error)),
                    }
                }
            }
        }
        if let Some((_, error)) = suspects.first() {
            self.ask_witness(error.clone()).await?;
        }
        for (part, error) in suspects {
            self.refuse(part, &problem("Id", &error.into()));
        }
        Ok(())
    }

    /// Whether the API answers about a record that it has answered about before. If not, or if there is none, `error` or a
    /// later one is no record's fault.
    async fn ask_witness(&self, error: LookupError) -> Result<(), StepError> {
        let Some(witness) = self.witness() else { return Err(error.into()) };
        match call(self.org, (self.batch, self.step), &[&*witness]).await.1 {
            Ok(_) | Err(NoAnswer::Refused(_)) => Ok(()),
            Err(NoAnswer::Down(error)) => Err(error.into()),
            Err(NoAnswer::Failed(error)) => {
                // It may be this one's fault by now, so that the next one is another.
                self.witnesses.borrow_mut().remove(self.batch.mapping.sync());
                Err(error.into())
            }
        }
    }

    fn witness(&self) -> Option<Rc<Row>> {
        self.witnesses.borrow().get(self.batch.mapping.sync()).cloned()
    }

    fn add(&mut self, part: &[&Row], found: Answers) {
        if let Some(&row) = part.first()
            && self.witness().is_none()
        {
            let sync = self.batch.mapping.sync().to_owned();
            self.witnesses.borrow_mut().insert(sync, Rc::new(row.clone()));
        }
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

/// Why no more is asked.
enum Doubt {
    /// The API is down.
    Down(LookupError),
    /// It fails so often that it may be.
    Failed(LookupError),
}

/// Both halves of more than one record.
fn halves<'a>(part: &'a [&'a Row]) -> Option<[&'a [&'a Row]; 2]> {
    (part.len() > 1).then(|| part.split_at(part.len() / 2).into())
}

/// Why a call brought nothing about any of its records.
enum NoAnswer {
    /// It may work later; nothing is wrong with the records.
    Down(LookupError),
    /// The API failed on the call, which may be the fault of one of them.
    Failed(LookupError),
    /// It would be so again for the same records, and may be the fault of one of them.
    Refused(RecordProblem),
}

/// What a call brought: of each of its records the answer, or why it cannot be used.
type Answers = Vec<(String, Result<Answer, RecordProblem>)>;

/// One call.
async fn call<'a>(
    org: &OrgContext,
    (batch, step): (Batch<'_>, &StepSpan),
    part: &'a [&'a Row],
) -> (&'a [&'a Row], Result<Answers, NoAnswer>) {
    let body = lookup::body(batch.mapping, org.id(), part.iter().copied()).to_string();
    let client = org.vendor().lookup;
    let asked = LookupCall {
        body,
        records: part.len(),
        trace: step.context,
        correlation_id: step.correlation_id.clone(),
    };
    let answer = match client.ask(batch.origin.into(), asked).await {
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
                    Err(NoAnswer::Failed(client.answered_rubbish(what)))
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
fn answers(part: &[&Row], mut found: Found, parent: &str, at_ms: UnixMs) -> Answers {
    let ids = part.iter().filter_map(|row| id_of(row));
    ids.map(|id| {
        let answer = match found.remove(&id).unwrap_or_else(|| Ok(Vec::new())) {
            Ok(data) => Ok(Answer { data, at_ms, parent: parent.to_owned(), push: None }),
            Err(problem) => Err(RecordProblem::new("Id", problem.to_string(), problem.hint())),
        };
        (id, answer)
    })
    .collect()
}
