//! Point C: what became of changes that were taken, and the jobs that have taken them.
//!
//! Here: which changes may be named, and what their outcomes change. Not here: which change may be taken next
//! (`egress.rs`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    commands::{Change, End, Outcome, Resolve, Subject, TARGET_ID_BYTES_MAX, units},
    dead_letter::DeadLetter,
    egress::Flight,
    entry::{StoredChange, encode_numbers},
    error::StoreError,
    fingerprints,
    keys::Key,
    org::{Ended, Org},
    refusal::Mended,
    seq::Seq,
    sizes::cut,
    step::Step,
    unix_ms::UnixMs,
};

/// A change that has an outcome.
struct ResolvedChange {
    seq: Seq,
    /// As it is stored, as far as that is known.
    stored: Option<StoredChange>,
    /// Name of the sync that it is of; empty if that is not known.
    sync: String,
    /// What the record that it is for is called where it was written to; empty if that is not known.
    target_id: String,
}

/// Why a letter is needed no more.
const WRITTEN: &str = "it has been written since";

/// What is as its sync wants it once a change is written; nothing is known of one whose sync is not.
pub(crate) fn written(sync: &str, target: &str, key: &str, subjects: &[Subject]) -> Vec<Mended> {
    if sync.is_empty() {
        return Vec::new();
    }
    let one = |subject: &Subject| Mended {
        sync: sync.to_owned(),
        record: subject.record.clone(),
        key: Some((target.to_owned(), key.to_owned())),
    };
    subjects.iter().map(one).collect()
}

impl Org {
    /// Is every change in flight and named once, and is the job known? Names the changes, whose stored form
    /// `resolve` needs.
    pub(crate) fn check_resolve(&self, org: &str, resolve: &Resolve) -> Result<Vec<Seq>, StoreError> {
        let mut named = BTreeSet::new();
        for seq in resolve.outcomes.iter().map(|(seq, _)| *seq) {
            self.in_flight(org, seq)?;
            if !named.insert(seq) {
                return Err(StoreError::UnknownChange { org: org.to_owned(), seq });
            }
        }
        match &resolve.finished_job {
            Some(id) if !self.jobs.contains_key(id.as_str()) => {
                return Err(StoreError::UnknownJob { org: org.to_owned(), job: id.clone() });
            }
            _ => {}
        }
        Ok(named.into_iter().collect())
    }

    /// Point C, after `check_resolve`. `stored` has the changes that it named.
    pub(crate) fn resolve(
        &mut self,
        step: &mut Step<'_>,
        resolve: Resolve,
        mut stored: BTreeMap<Seq, StoredChange>,
    ) {
        let Resolve { outcomes, finished_job, at_ms, by, changes: _, fingerprints, syncs, target_ids } =
            resolve;
        let mut syncs: HashMap<Seq, String> = syncs.into_iter().collect();
        let mut target_ids: HashMap<Seq, String> = target_ids.into_iter().collect();
        for (seq, bytes) in fingerprints {
            // Of a change that is not named nothing is known.
            if let Some(StoredChange { change, .. }) = stored.get(&seq) {
                self.fingerprints.set(step, fingerprints::number(&change.target, &change.key), &bytes);
            }
        }
        let by = cut(by);
        let mut touched = BTreeSet::new();
        for (seq, outcome) in outcomes {
            let job = self.egress.get(seq).map(|waiting| waiting.flight.clone());
            if let Some(Flight::Job(id)) = job {
                if let Some(changes) = self.jobs.get_mut(&id) {
                    changes.remove(&seq);
                }
                touched.insert(id);
            }
            let change = ResolvedChange {
                seq,
                stored: stored.remove(&seq),
                sync: syncs.remove(&seq).unwrap_or_default(),
                target_id: target_ids.remove(&seq).unwrap_or_default(),
            };
            self.resolve_one(step, outcome, change, (at_ms, &by));
        }
        if let Some(id) = finished_job {
            for seq in self.jobs.remove(id.as_str()).unwrap_or_default() {
                self.egress.free(seq);
            }
            step.remove(&Key::Job { org: step.org, id: &id });
            step.remove(&Key::JobChanges { org: step.org, id: &id });
            self.ledger.jobs -= 1;
        }
        for id in touched {
            if let Some(changes) = self.jobs.get(&id) {
                step.put(&Key::JobChanges { org: step.org, id: &id }, &encode_numbers(changes.iter()));
            }
        }
    }

    fn resolve_one(
        &mut self,
        step: &mut Step<'_>,
        outcome: Outcome,
        ResolvedChange { seq, stored, sync, mut target_id }: ResolvedChange,
        (at_ms, by): (UnixMs, &str),
    ) {
        // `check_resolve` named it, so its stored form is here; without it, it must stay as it is.
        let Some(StoredChange { org, change, .. }) = stored else { return self.egress.free(seq) };
        let (units, carried_by) = (units(&change.subjects), Some(seq));
        match outcome {
            Outcome::Written | Outcome::WrittenInPart { .. } => {
                self.ledger.counts.written += units;
                let Change { target, key, subjects, attempts, last_reason, .. } = change;
                let tries = attempts.saturating_add(1);
                let reason = match outcome {
                    Outcome::WrittenInPart { reason } => cut(reason),
                    _ => last_reason,
                };
                for mended in written(&sync, &target, &key, &subjects) {
                    self.close_letters(step, &mended, seq, (at_ms, WRITTEN, by));
                }
                // The key is kept anyway.
                if target_id == key {
                    target_id.clear();
                }
                target_id.truncate(target_id.floor_char_boundary(TARGET_ID_BYTES_MAX));
                let (end, seq) = (End::Written, carried_by);
                let (target, key, target_id, reason) = (&*target, &*key, &*target_id, &*reason);
                let ended = Ended { end, at_ms, seq, tries, target, key, target_id, reason, by };
                self.add_rows(step, &ended, subjects);
            }
            Outcome::Retry { due_ms, reason, resend, counted } => {
                let attempts = change.attempts.saturating_add(u32::from(counted));
                let Some(newer) = self.egress.newer(seq) else {
                    let change = Change { attempts, last_reason: cut(reason), resend, ..change };
                    step.put(&Key::Change(seq), &StoredChange { org, due_ms, change }.encode());
                    return self.egress.retry(seq, due_ms);
                };
                self.ledger.counts.superseded += units;
                self.add_superseded_rows(step, Change { attempts, ..change }, at_ms, newer);
            }
            Outcome::Superseded { reason } => {
                self.ledger.counts.superseded += units;
                let Change { target, key, subjects, attempts: tries, .. } = change;
                let (end, seq, reason) = (End::Superseded, carried_by, &*cut(reason));
                let (target, key, target_id) = (&*target, &*key, "");
                let ended = Ended { end, at_ms, seq, tries, target, key, target_id, reason, by: "" };
                self.add_rows(step, &ended, subjects);
            }
            Outcome::Dead { reason, hint, errors, at_ms } => {
                let Change { target, key, subjects, attempts, body, .. } = change;
                let letter = DeadLetter {
                    seq: Seq::MIN,
                    sync,
                    first_ms: at_ms,
                    last_ms: at_ms,
                    count: 1,
                    subjects,
                    target,
                    key,
                    reason,
                    hint,
                    errors,
                    attempts,
                    body,
                    seen: Seq::MIN,
                    retried: false,
                };
                self.add_dead_letter(step, letter, by);
            }
        }
        step.remove(&Key::Change(seq));
        self.ledger.changes -= 1;
        self.ledger.counts.open_egress -= units;
        self.egress.end(seq);
    }

    /// Stores a job or replaces its body. `changes` are all changes it has left.
    pub(crate) fn put_job(
        &mut self,
        step: &mut Step<'_>,
        id: &str,
        body: &[u8],
        changes: &[Seq],
    ) -> Result<(), StoreError> {
        for seq in changes {
            if let Flight::Job(other) = self.in_flight(step.org, *seq)?
                && **other != *id
            {
                let (org, job) = (step.org.to_owned(), other.to_string());
                return Err(StoreError::InAnotherJob { org, seq: *seq, job });
            }
        }
        let id: Arc<str> = Arc::from(id);
        let now: BTreeSet<Seq> = changes.iter().copied().collect();
        step.put(&Key::Job { org: step.org, id: &id }, body);
        step.put(&Key::JobChanges { org: step.org, id: &id }, &encode_numbers(now.iter()));
        for seq in &now {
            self.egress.enlist(*seq, Flight::Job(Arc::clone(&id)));
        }
        let before = self.jobs.insert(id, now.clone());
        if before.is_none() {
            self.ledger.jobs += 1;
        }
        for seq in before.unwrap_or_default().difference(&now) {
            self.egress.enlist(*seq, Flight::Taken);
        }
        Ok(())
    }

    fn in_flight(&self, org: &str, seq: Seq) -> Result<&Flight, StoreError> {
        match self.egress.get(seq).map(|waiting| &waiting.flight) {
            None => Err(StoreError::UnknownChange { org: org.to_owned(), seq }),
            Some(Flight::Free) => Err(StoreError::NotTaken { org: org.to_owned(), seq }),
            Some(flight) => Ok(flight),
        }
    }
}
