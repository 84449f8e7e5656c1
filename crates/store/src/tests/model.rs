//! The store as one would write it without a disk and without a thought for speed: lists, searched from the front.

use std::collections::BTreeMap;

use crate::{Append, Counts, End, Lane, Mended, Outcome, Seq, Settle, Subject, UnixMs};

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
    made: u64,
}

#[derive(Clone, Debug)]
pub(super) struct ModelLetter {
    pub(super) target: String,
    pub(super) key: String,
    pub(super) subjects: Vec<Subject>,
    pub(super) count: u64,
    reason: String,
    retried: bool,
    seen: u64,
    commit: u64,
}

impl ModelLetter {
    fn is_at(&self, target: &str, key: &str) -> bool {
        self.target == target && self.key == key
    }
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) requests: Vec<(Lane, u64, Vec<u8>)>,
    pub(super) changes: Vec<ModelChange>,
    pub(super) jobs: BTreeMap<String, Vec<u8>>,
    /// Oldest first, all of one sync.
    letters: Vec<ModelLetter>,
    /// Rises with each change and letter.
    tick: u64,
    commit: u64,
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
        self.commit += 1;
        self.positions.extend(append.positions);
        append.ended_positions.iter().for_each(|name| drop(self.positions.remove(name)));
        for request in append.requests {
            self.counts.records_in += u64::from(request.records);
            self.requests.push((request.lane, u64::from(request.records), request.body));
        }
        for letter in append.dead {
            self.counts.records_in += u64::from(letter.subject.units);
            self.dead_letter(vec![letter.subject], "", &letter.key, &letter.reason);
        }
    }

    fn dead_letter(&mut self, subjects: Vec<Subject>, target: &str, key: &str, reason: &str) {
        self.counts.dead += units(&subjects);
        self.end(subjects.clone(), End::Dead);
        self.tick += 1;
        let (commit, seen, target) = (self.commit, self.tick, target.to_owned());
        self.letters.retain(|other| !(other.is_at(&target, key) && other.retried && other.reason != reason));
        let same = |other: &&mut ModelLetter| other.is_at(&target, key) && other.reason == reason;
        let new = ModelLetter {
            target: target.clone(),
            key: key.to_owned(),
            subjects,
            count: 1,
            reason: reason.to_owned(),
            retried: false,
            seen,
            commit,
        };
        let Some(known) = self.letters.iter_mut().find(same) else { return self.letters.push(new) };
        let before = known.clone();
        *known = new;
        known.count = before.count + u64::from(before.commit != commit);
        if !before.retried {
            let is_there = |subject: &Subject| known.subjects.iter().any(|new| new.record == subject.record);
            let others: Vec<_> = before.subjects.into_iter().filter(|subject| !is_there(subject)).collect();
            known.subjects.extend(others);
        }
    }

    /// Those that stand.
    pub(super) fn standing(&self) -> impl DoubleEndedIterator<Item = &ModelLetter> {
        self.letters.iter().filter(|letter| !letter.retried)
    }

    fn close(&mut self, mended: &Mended, seen_before: u64) {
        let commit = self.commit;
        let goes = |letter: &ModelLetter| {
            let is_meant = match &mended.key {
                None => letter.subjects.iter().any(|subject| subject.record == mended.record),
                Some((target, key)) => letter.is_at(target, key) || letter.is_at("", &mended.record),
            };
            is_meant && letter.seen < seen_before && letter.commit != commit
        };
        let gone: Vec<_> = self.letters.iter().filter(|letter| goes(letter)).cloned().collect();
        self.letters.retain(|letter| !goes(letter));
        // In the order in which the store looks for them: by key, then by record.
        let by_key = gone.iter().filter(|letter| !letter.target.is_empty() || mended.key.is_none());
        let early = gone.iter().filter(|letter| letter.target.is_empty() && mended.key.is_some());
        for letter in by_key.chain(early).filter(|letter| !letter.retried) {
            let none = letter.subjects.iter().map(|subject| Subject { units: 0, ..subject.clone() });
            self.rows.extend(none.map(|subject| (subject, End::Closed)));
        }
    }

    fn end(&mut self, subjects: Vec<Subject>, end: End) {
        self.rows.extend(subjects.into_iter().map(|subject| (subject, end)));
    }

    /// The letter that is so many from the end goes; for a retry a request of one record comes.
    pub(super) fn remove_letter(&mut self, from_end: usize, retry: Option<Vec<u8>>, subjects: &[Subject]) {
        self.commit += 1;
        let standing: Vec<usize> = (0..self.letters.len()).filter(|at| !self.letters[*at].retried).collect();
        let at = standing[standing.len() - 1 - from_end];
        if retry.is_some() {
            (self.letters[at].retried, self.letters[at].commit) = (true, self.commit);
        } else {
            self.letters.remove(at);
        }
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
        self.commit += 1;
        let begun = self.tick + 1;
        self.requests.retain(|request| !bodies.contains(&request.2));
        self.counts.unchanged += units(&settle.unchanged);
        self.counts.no_data += units(&settle.no_data);
        self.end(settle.unchanged, End::Unchanged);
        self.end(settle.no_data, End::NoData);
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
            self.tick += 1;
            let made = self.tick;
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
                made,
            });
            self.changes = kept;
        }
        for letter in settle.dead {
            self.dead_letter(vec![letter.subject], "", &letter.key, &letter.reason);
        }
        for mended in settle.mended {
            self.close(&mended, begun);
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
        let ModelChange { target, key, subjects, made, .. } = self.changes[at].clone();
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
                for subject in &subjects {
                    let key = Some((target.clone(), key.clone()));
                    let mended = Mended { sync: String::new(), record: subject.record.clone(), key };
                    self.close(&mended, made);
                }
                self.end(subjects, End::Written);
            }
            Outcome::Dead { reason, .. } => self.dead_letter(subjects, &target, &key, reason),
        }
        self.changes.remove(at);
    }

    /// Outcomes that follow are of a commit of their own.
    pub(super) fn begin(&mut self) {
        self.commit += 1;
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
