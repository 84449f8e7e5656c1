//! One org's queues and ledger in memory, and what each move does to them.
//!
//! Here: every decision. A move checks all it was given first, then changes the memory and says what is to be
//! written; a refused move has changed nothing. Not here: reading or writing (`engine.rs`), the order in which
//! changes are offered (`egress.rs`).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use crate::{
    egress::{Egress, Flight},
    entry::{Mark, StoredChange, StoredDeadLetter, StoredRequest, encode_numbers},
    error::StoreError,
    frame,
    keys::Key,
    ledger::Ledger,
    moves::{
        Append, Appended, Change, DEAD_LETTERS_MAX, DeadLetter, End, Lane, LedgerRow, NewChange, NewDead,
        NewRequest, Outcome, Progress, Request, Resolve, Retry, Settle, Settled, Subject, units,
    },
    rows::Rows,
    sizes::cut,
};

/// A key, and its new framed value or None to remove it.
pub(crate) type Write = (Vec<u8>, Option<Vec<u8>>);

/// What a move has at hand: the org's name, the numbers already given, and the list of what is to be written.
pub(crate) struct Step<'a> {
    pub(crate) org: &'a str,
    pub(crate) mark: &'a mut Mark,
    pub(crate) writes: &'a mut Vec<Write>,
}

impl Step<'_> {
    pub(crate) fn number(&mut self) -> u64 {
        self.mark.sequence += 1;
        self.mark.sequence
    }

    pub(crate) fn put(&mut self, key: &Key<'_>, payload: &[u8]) {
        let key = key.bytes();
        let value = frame::seal(&key, payload);
        self.writes.push((key, Some(value)));
    }

    pub(crate) fn remove(&mut self, key: &Key<'_>) {
        self.writes.push((key.bytes(), None));
    }
}

/// One org.
#[derive(Debug, Default)]
pub(crate) struct Org {
    pub(crate) ledger: Ledger,
    /// Has the ledger ever been written?
    pub(crate) stored: bool,
    pub(crate) positions: BTreeSet<String>,
    /// Waiting requests of both lanes with their records, in the order in which they are offered.
    pub(crate) ingress: BTreeMap<(Lane, u64), u32>,
    pub(crate) egress: Egress,
    /// Per job its changes that have no outcome yet.
    pub(crate) jobs: BTreeMap<Arc<str>, BTreeSet<u64>>,
    /// Numbers of the dead letters that are kept, oldest first.
    pub(crate) dead: VecDeque<u64>,
    pub(crate) rows: Rows,
    /// Number of the newest request since the store was opened, or that waited then.
    pub(crate) newest_request: u64,
}

/// What is known of an ended record beside its subject.
struct Ended<'a> {
    end: End,
    at_ms: u64,
    seq: u64,
    tries: u32,
    target: &'a str,
    key: &'a str,
    reason: &'a str,
    by: &'a str,
}

impl Org {
    /// Every entry of it is to go.
    /// Also one for which no record has come in has something stored: its positions.
    pub(crate) fn has_anything(&self) -> bool {
        self.ledger.counts.records_in > 0 || !self.positions.is_empty()
    }

    pub(crate) fn forget(&self, step: &mut Step<'_>) {
        let org = step.org;
        step.remove(&Key::Ledger { org });
        for name in &self.positions {
            step.remove(&Key::Position { org, name });
        }
        for id in self.jobs.keys() {
            step.remove(&Key::Job { org, id });
            step.remove(&Key::JobChanges { org, id });
        }
        let requests = self.ingress.keys().map(|(_, seq)| Key::Request(*seq));
        let changes = self.egress.after(0, usize::MAX).into_iter().map(Key::Change);
        let letters = self.dead.iter().copied().map(Key::DeadLetter);
        let pages = self.rows.pages.iter().copied().map(Key::Page);
        for key in requests.chain(changes).chain(letters).chain(pages) {
            step.remove(&key);
        }
    }

    /// Point A.
    pub(crate) fn append(
        &mut self,
        step: &mut Step<'_>,
        append: Append,
        depth_max: u64,
    ) -> Result<Appended, StoreError> {
        let Append { positions, requests, dead } = append;
        self.check_room(step.org, &requests, depth_max)?;
        self.move_positions(step, positions);
        let appended = self.take_in(step, requests);
        for letter in dead {
            self.ledger.counts.records_in += u64::from(letter.subject.units);
            self.bury_new(step, letter);
        }
        Ok(appended)
    }

    /// May so much be taken in, with what is open already? If nothing is open, anything may.
    fn check_room(&self, org: &str, requests: &[NewRequest], depth_max: u64) -> Result<(), StoreError> {
        let open = self.ledger.counts.open();
        let more: u64 = requests.iter().map(|request| u64::from(request.records)).sum();
        if !requests.is_empty() && open > 0 && open.saturating_add(more) > depth_max {
            return Err(StoreError::Full { org: org.to_owned(), open, more, depth_max });
        }
        Ok(())
    }

    fn take_in(&mut self, step: &mut Step<'_>, requests: Vec<NewRequest>) -> Appended {
        let mut appended =
            Appended { after: self.newest_request, requests: Vec::with_capacity(requests.len()) };
        for NewRequest { lane, records, body } in requests {
            let seq = step.number();
            let stored =
                StoredRequest { org: step.org.to_owned(), request: Request { seq, lane, records, body } };
            step.put(&Key::Request(seq), &stored.encode());
            self.ingress.insert((lane, seq), records);
            self.ledger.requests += 1;
            self.ledger.counts.records_in += u64::from(records);
            self.ledger.counts.open_ingress += u64::from(records);
            self.newest_request = seq;
            appended.requests.push(stored.request);
        }
        appended
    }

    fn move_positions(&mut self, step: &mut Step<'_>, positions: Vec<(String, Vec<u8>)>) {
        for (name, value) in positions {
            step.put(&Key::Position { org: step.org, name: &name }, &value);
            self.positions.insert(name);
        }
        self.ledger.positions = self.positions.len() as u64;
    }

    /// How far its work has come.
    pub(crate) fn progress(&self, given: u64) -> Progress {
        let first = |lane| self.ingress.range((lane, 0)..=(lane, u64::MAX)).next().map(|((_, seq), _)| *seq);
        let oldest_request = [Lane::Live, Lane::Refresh].into_iter().filter_map(first).min();
        let (oldest_change, ended_changes) = (self.egress.oldest(), self.egress.ended());
        Progress { given, oldest_request, oldest_change, ended_changes }
    }

    /// Numbers of the next requests, live first, oldest first, as far as they fit.
    pub(crate) fn head(&self, records_max: u64) -> Vec<u64> {
        let mut sum = 0_u64;
        let fits = self.ingress.iter().enumerate().take_while(|(at, (_, records))| {
            sum = sum.saturating_add(u64::from(**records));
            *at == 0 || sum <= records_max
        });
        fits.map(|(_, ((_, seq), _))| *seq).collect()
    }

    /// Numbers of the oldest requests of a lane behind a number, as far as they fit, and whether these are all.
    pub(crate) fn behind(&self, lane: Lane, after: u64, records_max: u64) -> (Vec<u64>, bool) {
        let (mut sum, mut numbers) = (0_u64, Vec::new());
        for ((_, seq), records) in self.ingress.range((lane, after.saturating_add(1))..=(lane, u64::MAX)) {
            sum = sum.saturating_add(u64::from(*records));
            if sum > records_max && !numbers.is_empty() {
                return (numbers, false);
            }
            numbers.push(*seq);
        }
        (numbers, true)
    }

    /// Changes that a settle will replace, unless it is refused: `settle` needs their stored form.
    pub(crate) fn replaced_by(&self, settle: &Settle) -> Vec<u64> {
        let changes = settle.changes.iter();
        changes.flat_map(|change| self.egress.replaceable(&change.target, &change.key)).collect()
    }

    /// Point B. `stored` has the changes that `replaced_by` named.
    pub(crate) fn settle(
        &mut self,
        step: &mut Step<'_>,
        settle: Settle,
        mut stored: BTreeMap<u64, StoredChange>,
    ) -> Result<Settled, StoreError> {
        let Settle { requests, unchanged, no_data, dead, changes, at_ms, positions } = settle;
        let mut taken = BTreeMap::new();
        for seq in requests {
            let known =
                [Lane::Live, Lane::Refresh].into_iter().find(|lane| self.ingress.contains_key(&(*lane, seq)));
            let (Some(lane), false) = (known, taken.contains_key(&seq)) else {
                return Err(StoreError::UnknownRequest { org: step.org.to_owned(), seq });
            };
            taken.insert(seq, lane);
        }
        let records = taken.iter().filter_map(|(seq, lane)| self.ingress.get(&(*lane, *seq)));
        let records: u64 = records.map(|records| u64::from(*records)).sum();
        let lost = dead.iter().map(|letter| u64::from(letter.subject.units)).sum();
        let written: u64 = changes.iter().map(|change| units(&change.subjects)).sum();
        let given = [units(&unchanged), units(&no_data), written].into_iter().fold(lost, u64::saturating_add);
        if given != records {
            return Err(StoreError::Unbalanced { org: step.org.to_owned(), taken: records, given });
        }
        for (seq, lane) in taken {
            self.ingress.remove(&(lane, seq));
            step.remove(&Key::Request(seq));
            self.ledger.requests -= 1;
        }
        self.ledger.counts.open_ingress -= records;
        self.ledger.counts.unchanged += units(&unchanged);
        self.ledger.counts.no_data += units(&no_data);
        for (end, subjects) in [(End::Unchanged, unchanged), (End::NoData, no_data)] {
            let ended = Ended { end, at_ms, seq: 0, tries: 0, target: "", key: "", reason: "", by: "" };
            self.note(step, &ended, subjects);
        }
        for letter in dead {
            self.bury_new(step, letter);
        }
        let mut settled = Settled::default();
        for change in changes {
            self.push(step, change, at_ms, &mut stored, &mut settled);
        }
        settled.changes = stored.into_values().map(|stored| stored.change).collect();
        self.move_positions(step, positions);
        Ok(settled)
    }

    /// One row per subject.
    fn note(&mut self, step: &mut Step<'_>, ended: &Ended<'_>, subjects: Vec<Subject>) {
        for subject in subjects {
            let row = LedgerRow {
                subject,
                end: ended.end,
                ended_ms: ended.at_ms,
                seq: ended.seq,
                tries: ended.tries,
                target: ended.target.to_owned(),
                key: ended.key.to_owned(),
                reason: ended.reason.to_owned(),
                by: ended.by.to_owned(),
            };
            self.rows.add(step, row);
        }
    }

    fn push(
        &mut self,
        step: &mut Step<'_>,
        change: NewChange,
        at_ms: u64,
        stored: &mut BTreeMap<u64, StoredChange>,
        settled: &mut Settled,
    ) {
        let NewChange { lane, target, key, subjects, body } = change;
        let (seq, units) = (step.number(), units(&subjects));
        let pushed = self.egress.push(seq, lane, &target, &key, units);
        for (old, units) in pushed.replaced {
            step.remove(&Key::Change(old));
            self.ledger.changes -= 1;
            self.ledger.counts.open_egress -= units;
            self.ledger.counts.superseded += units;
            if let Some(StoredChange { change, .. }) = stored.remove(&old) {
                self.note_superseded(step, change, at_ms, seq);
            }
            settled.replaced.push(old);
        }
        let (lane, attempts, last_reason, resend) = (pushed.lane, 0, String::new(), 0);
        let change = Change { seq, lane, target, key, subjects, attempts, last_reason, resend, body };
        let new = StoredChange { org: step.org.to_owned(), due_ms: 0, change };
        step.put(&Key::Change(seq), &new.encode());
        stored.insert(seq, new);
        self.ledger.changes += 1;
        self.ledger.counts.open_egress += units;
    }

    fn note_superseded(&mut self, step: &mut Step<'_>, change: Change, at_ms: u64, newer: u64) {
        let Change { seq, target, key, subjects, attempts: tries, .. } = change;
        let (end, reason) = (End::Superseded, format!("change {newer} came after it"));
        let ended = Ended { end, at_ms, seq, tries, target: &target, key: &key, reason: &reason, by: "" };
        self.note(step, &ended, subjects);
    }

    /// Point C, after `check_resolve`. `stored` has the changes that it named.
    pub(crate) fn resolve(
        &mut self,
        step: &mut Step<'_>,
        resolve: Resolve,
        mut stored: BTreeMap<u64, StoredChange>,
    ) {
        let Resolve { outcomes, finished_job, at_ms, by, changes: _ } = resolve;
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
            self.resolve_one(step, outcome, stored.remove(&seq), seq, (at_ms, &by));
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

    /// Is every change in flight and named once, and is the job known? Names the changes, whose stored form
    /// `resolve` needs.
    pub(crate) fn check_resolve(&self, org: &str, resolve: &Resolve) -> Result<Vec<u64>, StoreError> {
        let mut named = BTreeSet::new();
        for (seq, _) in &resolve.outcomes {
            self.in_flight(org, *seq)?;
            if !named.insert(*seq) {
                return Err(StoreError::UnknownChange { org: org.to_owned(), seq: *seq });
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

    fn in_flight(&self, org: &str, seq: u64) -> Result<&Flight, StoreError> {
        match self.egress.get(seq).map(|waiting| &waiting.flight) {
            None => Err(StoreError::UnknownChange { org: org.to_owned(), seq }),
            Some(Flight::Free) => Err(StoreError::NotTaken { org: org.to_owned(), seq }),
            Some(flight) => Ok(flight),
        }
    }

    fn resolve_one(
        &mut self,
        step: &mut Step<'_>,
        outcome: Outcome,
        stored: Option<StoredChange>,
        seq: u64,
        (at_ms, by): (u64, &str),
    ) {
        // `check_resolve` named it, so its stored form is here; without it, it must stay as it is.
        let Some(StoredChange { org, change, .. }) = stored else { return self.egress.free(seq) };
        let units = units(&change.subjects);
        match outcome {
            Outcome::Written => {
                self.ledger.counts.written += units;
                let Change { target, key, subjects, attempts, last_reason, .. } = change;
                let tries = attempts.saturating_add(1);
                let (end, target, key, reason) = (End::Written, &*target, &*key, &*last_reason);
                self.note(step, &Ended { end, at_ms, seq, tries, target, key, reason, by }, subjects);
            }
            Outcome::Retry { due_ms, reason, resend } => {
                let Some(newer) = self.egress.newer(seq) else {
                    let attempts = change.attempts.saturating_add(1);
                    let change = Change { attempts, last_reason: cut(reason), resend, ..change };
                    step.put(&Key::Change(seq), &StoredChange { org, due_ms, change }.encode());
                    return self.egress.retry(seq, due_ms);
                };
                self.ledger.counts.superseded += units;
                let attempts = change.attempts.saturating_add(1);
                self.note_superseded(step, Change { attempts, ..change }, at_ms, newer);
            }
            Outcome::Superseded { reason } => {
                self.ledger.counts.superseded += units;
                let Change { target, key, subjects, attempts: tries, .. } = change;
                let (end, target, key, reason) = (End::Superseded, &*target, &*key, &*cut(reason));
                self.note(step, &Ended { end, at_ms, seq, tries, target, key, reason, by: "" }, subjects);
            }
            Outcome::Dead { reason, hint, at_ms } => {
                let Change { target, key, subjects, attempts, body, .. } = change;
                let letter =
                    DeadLetter { seq: 0, at_ms, subjects, target, key, reason, hint, attempts, body };
                self.bury(step, letter, by);
            }
        }
        step.remove(&Key::Change(seq));
        self.ledger.changes -= 1;
        self.ledger.counts.open_egress -= units;
        self.egress.end(seq);
    }

    fn bury_new(&mut self, step: &mut Step<'_>, letter: NewDead) {
        let NewDead { subject, key, reason, hint, body, at_ms } = letter;
        let (target, subjects) = (String::new(), vec![subject]);
        let letter =
            DeadLetter { seq: 0, at_ms, subjects, target, key: cut(key), reason, hint, attempts: 0, body };
        self.bury(step, letter, "");
    }

    fn bury(&mut self, step: &mut Step<'_>, letter: DeadLetter, by: &str) {
        let seq = step.number();
        self.ledger.counts.dead += letter.records();
        let letter = DeadLetter { seq, reason: cut(letter.reason), hint: cut(letter.hint), ..letter };
        let DeadLetter { target, key, reason, .. } = &letter;
        let tries = if target.is_empty() { 0 } else { letter.attempts.saturating_add(1) };
        let ended = Ended { end: End::Dead, at_ms: letter.at_ms, seq, tries, target, key, reason, by };
        self.note(step, &ended, letter.subjects.clone());
        let stored = StoredDeadLetter { org: step.org.to_owned(), letter };
        step.put(&Key::DeadLetter(seq), &stored.encode());
        self.dead.push_back(seq);
        if self.dead.len() > DEAD_LETTERS_MAX
            && let Some(oldest) = self.dead.pop_front()
        {
            step.remove(&Key::DeadLetter(oldest));
        }
        self.ledger.dead_letters = self.dead.len() as u64;
    }

    /// Is the letter kept?
    pub(crate) fn has_letter(&self, seq: u64) -> bool {
        self.dead.binary_search(&seq).is_ok()
    }

    /// An operator has the letter tried again: it goes, and what is to be done instead comes in anew.
    pub(crate) fn retry_letter(
        &mut self,
        step: &mut Step<'_>,
        letter: DeadLetter,
        retry: Retry,
        depth_max: u64,
    ) -> Result<Appended, StoreError> {
        self.check_room(step.org, &retry.requests, depth_max)?;
        let appended = self.take_in(step, retry.requests);
        self.unbury(step, letter, End::Retried, retry.at_ms, &cut(retry.by));
        Ok(appended)
    }

    /// The letter goes, by an operator's order. Its records stay counted as dead: that is how they ended.
    pub(crate) fn unbury(&mut self, step: &mut Step<'_>, letter: DeadLetter, end: End, at_ms: u64, by: &str) {
        let DeadLetter { seq, subjects, target, key, attempts: tries, .. } = letter;
        let (target, key, reason) = (&*target, &*key, "");
        let subjects = subjects.into_iter().map(|subject| Subject { units: 0, ..subject }).collect();
        self.note(step, &Ended { end, at_ms, seq, tries, target, key, reason, by }, subjects);
        step.remove(&Key::DeadLetter(seq));
        self.dead.retain(|kept| *kept != seq);
        self.ledger.dead_letters = self.dead.len() as u64;
    }

    /// Stores a job or replaces its body. `changes` are all changes it has left.
    pub(crate) fn put_job(
        &mut self,
        step: &mut Step<'_>,
        id: &str,
        body: &[u8],
        changes: &[u64],
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
        let now: BTreeSet<u64> = changes.iter().copied().collect();
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
}
