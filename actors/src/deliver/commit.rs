//! Commit C: each change's end, on disk.
//!
//! Here: what is done around it: the look at a schema that an answer blamed, the log, the board. Not here: which end
//! (`step`, `outcome`, `bulk`), the commit itself (the store).

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use orgpipe_store::{Change, Job, Outcome, Resolve, Seq, StoreError, UnixMs};
use tokio::task::yield_now;

use super::{outgoing::Outgoing, sending::Sending, window::ChangeWindow, without_values::Values};
use crate::{
    audit_trail::Hasher,
    failpoint::Point,
    org::{context::OrgContext, describe::describe_target, step_error::StepError},
    priority::Priority,
    queue_entry::{ChangeEntry, unpack},
};

/// Dead letters from whose messages values are cut in a row. Each takes about a millisecond for values of some ten thousand
/// characters, and a thread that stands still for a minute ends the process.
const LETTERS_IN_A_ROW: usize = 16;

/// What commit C stores of changes.
#[derive(Debug, Default)]
pub(super) struct CommittedEnds {
    /// Their ends.
    pub outcomes: Vec<(Seq, Outcome)>,
    /// IDs of the records that were written, as far as the org named them.
    pub target_ids: Vec<(Seq, String)>,
}

impl CommittedEnds {
    /// Of changes that were not written, or of which no ID is known.
    pub(super) fn unnamed(outcomes: Vec<(Seq, Outcome)>) -> Self {
        Self { outcomes, target_ids: Vec::new() }
    }
}

/// Gives changes of one org their end.
#[derive(Clone)]
pub(super) struct Commit {
    org: Arc<OrgContext>,
    window: Rc<RefCell<ChangeWindow>>,
    /// What will be remembered of the records that are being written.
    sending: Rc<RefCell<Sending>>,
}

impl Commit {
    /// Of an org whose changes at hand are in `window`.
    pub(super) fn new(org: Arc<OrgContext>, window: Rc<RefCell<ChangeWindow>>) -> Self {
        Self { org, window, sending: Rc::default() }
    }

    /// These are sent with the fields that they have now.
    pub(super) async fn sent(&self, changes: &[Outgoing]) -> Result<(), StepError> {
        let hasher = self.org.store.hasher().await?;
        self.sending.borrow_mut().sent(&hasher, changes);
        Ok(())
    }

    /// Those of a job that was uploaded before a restart.
    pub(super) fn resumed(&self, hasher: &Hasher, job: &Job) {
        self.sending.borrow_mut().resumed(hasher, job);
    }

    /// Nothing became of these, or nobody knows what: they are free again.
    pub(super) async fn put_back(&self, numbers: Vec<Seq>) -> Result<(), StepError> {
        self.sending.borrow_mut().failed(&numbers);
        Ok(self.org.store.put_back(numbers).await?)
    }

    /// Gives changes their end. `received_ms`: when the oldest of their requests came.
    pub(super) async fn resolve(
        &self,
        ends: CommittedEnds,
        finished_job: Option<String>,
        received_ms: Option<UnixMs>,
    ) -> Result<(), StepError> {
        let org = &self.org;
        let CommittedEnds { outcomes, target_ids } = ends;
        let outcomes = self.mended(outcomes).await;
        let is_written =
            |outcome: &Outcome| matches!(outcome, Outcome::Written | Outcome::WrittenInPart { .. });
        let written = outcomes.iter().filter(|(_, outcome)| is_written(outcome)).count();
        for (seq, outcome) in &outcomes {
            match outcome {
                Outcome::Dead { reason, .. } => tracing::warn!(
                    org = org.id(),
                    change = seq.0,
                    "a record was not written and is a dead letter: {reason}. The letter says what to do"
                ),
                Outcome::WrittenInPart { reason } => {
                    tracing::warn!(org = org.id(), change = seq.0, "a record was written {reason}");
                }
                Outcome::Written | Outcome::Retry { .. } | Outcome::Superseded { .. } => {}
            }
        }
        let by = finished_job.as_ref().map_or_else(|| "REST".to_owned(), |job| format!("Bulk job {job}"));
        let at_ms = org.clock.now_ms();
        let changes = self.window.borrow_mut().take(outcomes.iter().map(|(seq, _)| *seq));
        let read = async |numbers| org.store.changes(numbers).await;
        let outcomes = without_values(outcomes, &changes, read).await?;
        let syncs = self.sending.borrow().syncs(&outcomes);
        let events = self.sending.borrow().events_written(&outcomes);
        let fingerprints = self.sending.borrow_mut().ended(&outcomes, org.api.time().now_ms());
        org.pass(Point::BeforeC);
        let resolve = Resolve { outcomes, finished_job, at_ms, by, changes, fingerprints, syncs, target_ids };
        org.store.resolve(resolve).await?;
        org.pass(Point::AfterC);
        let now_ms = org.clock.now_ms();
        for event_ms in events {
            org.measures.written(now_ms.since(event_ms));
        }
        if let Some(received_ms) = received_ms.filter(|_| written > 0) {
            org.board.written(received_ms, org.clock.now_ms());
        }
        Ok(())
    }

    /// Looks at the targets that an error blamed. Where fields are in quarantine since, what was put back goes out
    /// without them at once.
    async fn mended(&self, mut outcomes: Vec<(Seq, Outcome)>) -> Vec<(Seq, Outcome)> {
        let org = &self.org;
        for object in org.schemas.doubted() {
            let before = org.schemas.quarantined(&object);
            let looked = match org.api.reserve(Priority::Live, 1).await {
                Ok(reservation) => describe_target(org, &reservation, &object).await,
                Err(error) => Err(error),
            };
            match looked {
                Ok(_) if !org.schemas.quarantined(&object).is_subset(&before) => {
                    for (_, outcome) in &mut outcomes {
                        if let Outcome::Retry { due_ms, .. } = outcome {
                            *due_ms = None;
                        }
                    }
                }
                Ok(_) => {}
                // The next look-up, or the next refusal, looks again.
                Err(error) => tracing::warn!(org = org.id(), object, "the schema is in doubt: {error}"),
            }
        }
        outcomes
    }
}

/// What Salesforce said of records that are dead letters, without their values. Of a change that cannot be had nothing is kept of
/// it. A job may have ten thousand of them: a few are read and cut in a row, then others of the thread have their turn.
async fn without_values(
    mut outcomes: Vec<(Seq, Outcome)>,
    changes: &[Change],
    read: impl AsyncFn(Vec<Seq>) -> Result<Vec<Change>, StoreError>,
) -> Result<Vec<(Seq, Outcome)>, StoreError> {
    let says_something =
        |outcome: &Outcome| matches!(outcome, Outcome::Dead { errors, .. } if !errors.is_empty());
    let known: HashMap<Seq, &Change> = changes.iter().map(|change| (change.seq, change)).collect();
    let mut dead: Vec<&mut (Seq, Outcome)> =
        outcomes.iter_mut().filter(|(_, outcome)| says_something(outcome)).collect();
    for some in dead.chunks_mut(LETTERS_IN_A_ROW) {
        let missing = some.iter().map(|(seq, _)| *seq).filter(|seq| !known.contains_key(seq));
        let missing: Vec<Seq> = missing.collect();
        let missing = if missing.is_empty() { Vec::new() } else { read(missing).await? };
        for (seq, outcome) in some {
            let change = known.get(seq).copied().or_else(|| missing.iter().find(|change| change.seq == *seq));
            cut(outcome, change);
        }
        yield_now().await;
    }
    Ok(outcomes)
}

/// Takes the values of a change out of what Salesforce said of it.
fn cut(outcome: &mut Outcome, change: Option<&Change>) {
    let Outcome::Dead { errors, .. } = outcome else { return };
    let entry = change.and_then(|change| unpack::<ChangeEntry>(&change.body).ok());
    let values = entry.as_ref().map(Values::of);
    for error in errors {
        match &values {
            Some(values) => *error = values.cut(std::mem::take(error)),
            None => error.message.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use orgpipe_store::{Lane, LetterError};
    use serde_json::json;

    use super::*;

    fn change(seq: u64) -> Change {
        let entry = json!({
            "v": 1, "sync": "s", "target": "T__c", "external_id_field": "E__c", "external_id": format!("K-{seq}"),
            "source_id": "001000000000001AAA", "origin": "live", "received_ms": 1, "fields": { "N__c": format!("secret {seq}") },
        });
        Change {
            seq: Seq(seq),
            lane: Lane::Live,
            target: "T__c".into(),
            key: format!("K-{seq}"),
            subjects: Vec::new(),
            attempts: 0,
            last_reason: String::new(),
            resend: 0,
            body: serde_json::to_vec(&entry).expect("JSON"),
        }
    }

    fn dead(seq: u64) -> (Seq, Outcome) {
        let message = format!("it may not be secret {seq}");
        let errors = vec![LetterError { code: "X".into(), message, fields: Vec::new() }];
        (Seq(seq), Outcome::Dead { reason: "no".into(), hint: String::new(), errors, at_ms: UnixMs(1) })
    }

    #[actix::test]
    async fn letters_are_read_and_cut_a_few_at_a_time_and_others_have_their_turn() {
        let letters = 4 * LETTERS_IN_A_ROW as u64;
        let known: Vec<Change> = (0..letters / 2).map(change).collect();
        let (portions, turns) = (RefCell::new(Vec::new()), Cell::new(0_u64));
        let read = async |numbers: Vec<Seq>| {
            portions.borrow_mut().push(numbers.len());
            // The last one is gone.
            Ok(numbers.into_iter().filter(|seq| seq.0 + 1 < letters).map(|seq| change(seq.0)).collect())
        };
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                yield_now().await;
            }
        };
        let outcomes = tokio::select! {
            outcomes = without_values((0..letters).map(dead).collect(), &known, read) => outcomes.expect("a store"),
            () = others => Vec::new(),
        };
        assert_eq!(outcomes.len() as u64, letters);
        for (seq, outcome) in outcomes {
            let Outcome::Dead { errors, .. } = outcome else { panic!("{seq:?} is dead") };
            let expected = if seq.0 + 1 == letters { "" } else { "it may not be …" };
            assert_eq!(errors[0].message, expected, "{seq:?}");
        }
        assert_eq!(*portions.borrow(), [LETTERS_IN_A_ROW; 2]);
        assert!(turns.get() >= 4, "{}", turns.get());
    }
}
