//! The store as one would write it without a disk and without a thought for speed: lists, searched from the front.

use std::collections::BTreeMap;

use crate::{Append, Counts, End, Lane, Outcome, Seq, Settle, Subject, UnixMs};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ModelFlight {
    Free,
    Taken,
    Job(String),
}

#[derive(Clone, Debug)]
pub(super) struct ModelChange {
    pub(super) lane: Lane,
    pub(super) target: String,
    pub(super) key: String,
    pub(super) subjects: Vec<Subject>,
    pub(super) attempts: u32,
    pub(super) body: Vec<u8>,
    pub(super) flight: ModelFlight,
    pub(super) seq: Option<Seq>,
    due_ms: UnixMs,
    due_stored_ms: UnixMs,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) requests: Vec<(Lane, u64, Vec<u8>)>,
    pub(super) changes: Vec<ModelChange>,
    pub(super) jobs: BTreeMap<String, Vec<u8>>,
    /// Records and key, oldest first.
    pub(super) dead: Vec<(u64, String)>,
    pub(super) positions: BTreeMap<String, Vec<u8>>,
    pub(super) counts: Counts,
    /// Subject and end, oldest first.
    pub(super) rows: Vec<(Subject, End)>,
}

pub(super) fn units(subjects: &[Subject]) -> u64 {
    subjects.iter().map(|subject| u64::from(subject.units)).sum()
}

impl Model {
    pub(super) fn append(&mut self, append: Append) {
        self.positions.extend(append.positions);
        append.ended_positions.iter().for_each(|name| drop(self.positions.remove(name)));
        for request in append.requests {
            self.counts.records_in += u64::from(request.records);
            self.requests.push((request.lane, u64::from(request.records), request.body));
        }
        for letter in append.dead {
            self.counts.records_in += u64::from(letter.subject.units);
            self.dead_letter(vec![letter.subject], letter.key);
        }
    }

    fn dead_letter(&mut self, subjects: Vec<Subject>, key: String) {
        self.counts.dead += units(&subjects);
        self.dead.push((units(&subjects), key));
        self.end(subjects, End::Dead);
    }

    fn end(&mut self, subjects: Vec<Subject>, end: End) {
        self.rows.extend(subjects.into_iter().map(|subject| (subject, end)));
    }

    /// The letter that is so many from the end goes; for a retry a request of one record comes.
    pub(super) fn remove_letter(&mut self, from_end: usize, retry: Option<Vec<u8>>, subjects: &[Subject]) {
        self.dead.remove(self.dead.len() - 1 - from_end);
        let end = if retry.is_some() { End::Retried } else { End::Discarded };
        let none = subjects.iter().map(|subject| Subject { units: 0, ..subject.clone() });
        self.rows.extend(none.map(|subject| (subject, end)));
        if let Some(body) = retry {
            self.counts.records_in += 1;
            self.requests.push((Lane::Live, 1, body));
        }
    }

    pub(super) fn head(&self, records_max: u64) -> Vec<&(Lane, u64, Vec<u8>)> {
        let live = self.requests.iter().filter(|request| request.0 == Lane::Live);
        let all = live.chain(self.requests.iter().filter(|request| request.0 == Lane::Refresh));
        let (mut sum, mut head) = (0, Vec::new());
        for request in all {
            sum += request.1;
            if !head.is_empty() && sum > records_max {
                break;
            }
            head.push(request);
        }
        head
    }

    pub(super) fn settle(&mut self, bodies: &[Vec<u8>], settle: Settle) {
        self.requests.retain(|request| !bodies.contains(&request.2));
        self.counts.unchanged += units(&settle.unchanged);
        self.counts.no_data += units(&settle.no_data);
        self.end(settle.unchanged, End::Unchanged);
        self.end(settle.no_data, End::NoData);
        for letter in settle.dead {
            self.dead_letter(vec![letter.subject], letter.key);
        }
        for new in settle.changes {
            let (mut lane, mut kept) = (new.lane, Vec::new());
            for old in std::mem::take(&mut self.changes) {
                let same = old.target == new.target && old.key == new.key;
                lane = if same { lane.min(old.lane) } else { lane };
                if same && old.flight == ModelFlight::Free {
                    self.counts.superseded += units(&old.subjects);
                    self.end(old.subjects, End::Superseded);
                } else {
                    kept.push(old);
                }
            }
            let (flight, subjects) = (ModelFlight::Free, new.subjects);
            let (attempts, seq, due_ms, due_stored_ms) = (0, None, UnixMs::EPOCH, UnixMs::EPOCH);
            let (target, key, body) = (new.target, new.key, new.body);
            kept.push(ModelChange {
                lane,
                target,
                key,
                subjects,
                attempts,
                body,
                flight,
                seq,
                due_ms,
                due_stored_ms,
            });
            self.changes = kept;
        }
    }

    /// Positions in the list of those that may be offered at all.
    fn offered(&self) -> Vec<usize> {
        let same = |a: &ModelChange, b: &ModelChange| a.target == b.target && a.key == b.key;
        let first = |at: &usize| !self.changes[..*at].iter().any(|other| same(other, &self.changes[*at]));
        (0..self.changes.len())
            .filter(first)
            .filter(|at| self.changes[*at].flight == ModelFlight::Free)
            .collect()
    }

    /// Takes; the answer is where they are in the list.
    pub(super) fn take(&mut self, now_ms: UnixMs, changes_max: usize) -> Vec<usize> {
        let mut due = self.offered();
        due.retain(|at| self.changes[*at].due_ms <= now_ms);
        for at in &due {
            self.changes[*at].due_ms = UnixMs::EPOCH;
        }
        due.sort_by_key(|at| (self.changes[*at].lane, *at));
        let first = due.first().map(|at| (self.changes[*at].lane, self.changes[*at].target.clone()));
        due.retain(|at| Some((self.changes[*at].lane, self.changes[*at].target.clone())) == first);
        let lane = due.first().map(|at| self.changes[*at].lane);
        due.retain(|at| Some(self.changes[*at].lane) == lane);
        due.truncate(changes_max);
        for at in &due {
            self.changes[*at].flight = ModelFlight::Taken;
        }
        due
    }

    pub(super) fn next_due_ms(&self) -> Option<UnixMs> {
        self.offered().into_iter().map(|at| self.changes[at].due_ms).min()
    }

    pub(super) fn release(&mut self) {
        let taken = self.changes.iter_mut().filter(|waiting| waiting.flight == ModelFlight::Taken);
        taken.for_each(|waiting| waiting.flight = ModelFlight::Free);
    }

    /// Those that are in a job stay there.
    pub(super) fn put_back(&mut self, numbers: &[Seq]) {
        let named = |waiting: &&mut ModelChange| waiting.seq.is_some_and(|seq| numbers.contains(&seq));
        let taken = self.changes.iter_mut().filter(named);
        let taken = taken.filter(|waiting| waiting.flight == ModelFlight::Taken);
        taken.for_each(|waiting| waiting.flight = ModelFlight::Free);
    }

    pub(super) fn reopen(&mut self) {
        self.release();
        self.changes.iter_mut().for_each(|waiting| waiting.due_ms = waiting.due_stored_ms);
    }

    pub(super) fn resolve(&mut self, seq: Seq, outcome: &Outcome) {
        let at = self.changes.iter().position(|waiting| waiting.seq == Some(seq)).expect("it was taken");
        let ModelChange { target, key, subjects, .. } = self.changes[at].clone();
        let units = units(&subjects);
        let newer = self.changes[at + 1..].iter().any(|other| other.target == target && other.key == key);
        match outcome {
            Outcome::Retry { due_ms, counted, .. } if !newer => {
                let waiting = &mut self.changes[at];
                waiting.attempts += u32::from(*counted);
                waiting.due_ms = due_ms.unwrap_or(UnixMs::EPOCH);
                waiting.due_stored_ms = waiting.due_ms;
                waiting.flight = ModelFlight::Free;
                return;
            }
            Outcome::Retry { .. } | Outcome::Superseded { .. } => {
                self.counts.superseded += units;
                self.end(subjects, End::Superseded);
            }
            Outcome::Written | Outcome::WrittenInPart { .. } => {
                self.counts.written += units;
                self.end(subjects, End::Written);
            }
            Outcome::Dead { .. } => self.dead_letter(subjects, key),
        }
        self.changes.remove(at);
    }

    pub(super) fn put_job(&mut self, id: &str, body: Vec<u8>, changes: &[Seq]) {
        self.jobs.insert(id.to_owned(), body);
        for waiting in &mut self.changes {
            let listed = waiting.seq.is_some_and(|seq| changes.contains(&seq));
            let was = waiting.flight == ModelFlight::Job(id.to_owned());
            match (listed, was) {
                (true, _) => waiting.flight = ModelFlight::Job(id.to_owned()),
                (false, true) => waiting.flight = ModelFlight::Taken,
                (false, false) => {}
            }
        }
    }

    pub(super) fn finish_job(&mut self, id: &str) {
        self.jobs.remove(id);
        let left =
            self.changes.iter_mut().filter(|waiting| waiting.flight == ModelFlight::Job(id.to_owned()));
        left.for_each(|waiting| waiting.flight = ModelFlight::Free);
    }

    pub(super) fn counts(&self) -> Counts {
        let open_ingress = self.requests.iter().map(|request| request.1).sum();
        let open_egress = self.changes.iter().map(|waiting| units(&waiting.subjects)).sum();
        Counts { open_ingress, open_egress, ..self.counts }
    }
}
