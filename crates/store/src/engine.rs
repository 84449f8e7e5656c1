//! The store's thread from the inside: carries a call out in memory, collects what is to be written, commits it.
//!
//! Here: fetching what a move needs, and the one place that commits. Not here: what a move does (`org.rs`), when to
//! commit (`thread.rs`).
//!
//! Invariant: what a call reads includes what earlier calls of the same commit have written.
//! Invariant: after a failed commit nothing is answered from memory any more, because the disk may say otherwise.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    disk::Disk,
    egress::Flight,
    entry::{FORMAT, Mark, StoredChange, StoredDeadLetter, StoredRequest},
    error::StoreError,
    frame::{self, Writer},
    index::{Index, Rebuild},
    keys::Key,
    ledger::Counts,
    moves::{Append, Change, DeadLetter, HEAD_BYTES_MAX, Job, Progress, Request, Resolve, Settle},
    org::{Org, Step},
    sizes,
};

/// Everything that the thread owns.
pub(crate) struct Engine {
    index: Index,
    depth_max: u64,
    waiting: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// Bytes written and read since the last commit.
    bytes: usize,
    poison: Option<String>,
    disk: Box<dyn Disk>,
}

impl Engine {
    /// Reads and checks every entry.
    pub(crate) fn open(disk: Box<dyn Disk>, depth_max: u64) -> Result<Self, StoreError> {
        let mut rebuild = Rebuild::default();
        disk.each(&mut |key, value| rebuild.add(key, value))?;
        let found = rebuild.finish()?;
        let is_new = found.is_none();
        let index = found.unwrap_or_default();
        let mut engine = Self { index, depth_max, waiting: HashMap::new(), bytes: 0, poison: None, disk };
        if is_new {
            let mut writes = Vec::new();
            let mut step = Step { org: "", mark: &mut Mark::default(), writes: &mut writes };
            step.put(&Key::Format, &Writer::default().u32(FORMAT).done());
            step.put(&Key::Mark, &step.mark.encode());
            engine.waiting.extend(writes);
            engine.commit();
            engine.alive()?;
        }
        tracing::info!(
            orgs = engine.index.orgs.len(),
            sequence = engine.index.mark.sequence,
            "the store is open"
        );
        Ok(engine)
    }

    /// An error once a commit has failed.
    pub(crate) fn alive(&self) -> Result<(), StoreError> {
        match &self.poison {
            Some(cause) => Err(StoreError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Bytes written and read since the last commit.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes what waits, and waits until it is safe.
    pub(crate) fn commit(&mut self) {
        self.bytes = 0;
        if self.waiting.is_empty() || self.poison.is_some() {
            return;
        }
        if let Err(cause) = self.disk.commit(self.waiting.drain().collect()) {
            tracing::error!(cause, "a commit failed; the store answers no more calls");
            self.poison = Some(cause);
        }
    }

    pub(crate) fn append(&mut self, org: &str, append: Append) -> Result<(), StoreError> {
        sizes::append(org, &append)?;
        let depth_max = self.depth_max;
        self.step(org, |found, step| found.append(step, append, depth_max))
    }

    pub(crate) fn position(&mut self, org: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        sizes::org(org)?;
        sizes::name(org, "name of a position", name)?;
        self.read(&Key::Position { org, name })
    }

    pub(crate) fn ingress_head(&mut self, org: &str, records_max: u64) -> Result<Vec<Request>, StoreError> {
        let (mut requests, mut bytes) = (Vec::new(), 0);
        for seq in self.index.orgs.get(org).map(|found| found.head(records_max)).unwrap_or_default() {
            let key = Key::Request(seq);
            let stored = self.must_read(&key, |payload| StoredRequest::decode(seq, payload))?;
            bytes += stored.request.body.len();
            if bytes > HEAD_BYTES_MAX && !requests.is_empty() {
                break;
            }
            requests.push(stored.request);
        }
        Ok(requests)
    }

    pub(crate) fn settle(&mut self, org: &str, settle: Settle) -> Result<(), StoreError> {
        sizes::settle(org, &settle)?;
        sizes::positions(org, &settle.positions)?;
        self.step(org, |found, step| found.settle(step, settle))
    }

    pub(crate) fn open_keys(&self, org: &str, target: &str, keys: Vec<String>) -> BTreeSet<String> {
        let Some(found) = self.index.orgs.get(org) else { return BTreeSet::new() };
        keys.into_iter().filter(|key| found.egress.is_open(target, key)).collect()
    }

    pub(crate) fn egress_take(
        &mut self,
        org: &str,
        now_ms: u64,
        changes_max: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let due = self.index.orgs.get_mut(org).map(|found| found.egress.due(now_ms, changes_max));
        let changes = self.changes(due.unwrap_or_default())?;
        if let Some(found) = self.index.orgs.get_mut(org) {
            for change in &changes {
                found.egress.enlist(change.seq, Flight::Taken);
            }
        }
        Ok(changes)
    }

    /// Writes nothing: that a change is taken is known in memory only.
    pub(crate) fn release(&mut self, org: &str) {
        if let Some(found) = self.index.orgs.get_mut(org) {
            found.egress.free_taken();
        }
    }

    pub(crate) fn resolve(&mut self, org: &str, resolve: Resolve) -> Result<(), StoreError> {
        let mut stored = BTreeMap::new();
        let wanted = self.index.orgs.entry(org.to_owned()).or_default().check_resolve(org, &resolve)?;
        for seq in wanted {
            stored.insert(seq, self.change(seq)?);
        }
        self.step(org, |found, step| {
            found.resolve(step, resolve, stored);
            Ok(())
        })
    }

    pub(crate) fn put_job(
        &mut self,
        org: &str,
        id: &str,
        body: &[u8],
        changes: &[u64],
    ) -> Result<(), StoreError> {
        sizes::name(org, "id of a job", id)?;
        sizes::body(org, body)?;
        sizes::changes(org, changes)?;
        self.step(org, |found, step| found.put_job(step, id, body, changes))
    }

    pub(crate) fn jobs(&mut self, org: &str) -> Result<Vec<Job>, StoreError> {
        let jobs = self.index.orgs.get(org).map(|found| found.jobs.clone()).unwrap_or_default();
        let mut answer = Vec::with_capacity(jobs.len());
        for (id, changes) in jobs {
            let body = self.must_read(&Key::Job { org, id: &id }, |body| Some(body.to_vec()))?;
            answer.push(Job { id: id.to_string(), body, changes: self.changes(changes)? });
        }
        Ok(answer)
    }

    pub(crate) fn counts(&self, org: &str) -> Counts {
        self.index.orgs.get(org).map(|found| found.ledger.counts).unwrap_or_default()
    }

    pub(crate) fn progress(&self, org: &str) -> Progress {
        let given = self.index.mark.sequence;
        let none = Progress { given, oldest_request: None, oldest_change: None };
        self.index.orgs.get(org).map_or(none, |found| found.progress(given))
    }

    pub(crate) fn next_due_ms(&self, org: &str) -> Option<u64> {
        self.index.orgs.get(org)?.egress.next_due_ms()
    }

    pub(crate) fn dead_letters(&mut self, org: &str, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let found = self.index.orgs.get(org);
        let newest = found.map(|found| found.dead.iter().rev().take(limit).copied().collect::<Vec<_>>());
        let mut letters = Vec::new();
        for seq in newest.unwrap_or_default() {
            let key = Key::DeadLetter(seq);
            letters.push(self.must_read(&key, |payload| StoredDeadLetter::decode(seq, payload))?.letter);
        }
        Ok(letters)
    }

    /// Lets an org decide, and adds what it wants written, with its ledger and the mark if they moved.
    fn step<T>(
        &mut self,
        name: &str,
        decide: impl FnOnce(&mut Org, &mut Step<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        sizes::org(name)?;
        let org = self.index.orgs.entry(name.to_owned()).or_default();
        let (ledger, mark) = (org.ledger, self.index.mark);
        let mut writes = Vec::new();
        let mut step = Step { org: name, mark: &mut self.index.mark, writes: &mut writes };
        let answer = decide(org, &mut step)?;
        if org.ledger != ledger {
            step.put(&Key::Ledger { org: name }, &org.ledger.encode());
            step.mark.orgs += u64::from(!org.stored);
            org.stored = true;
        }
        if *step.mark != mark {
            let payload = step.mark.encode();
            step.put(&Key::Mark, &payload);
        }
        self.bytes +=
            writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        self.waiting.extend(writes);
        Ok(answer)
    }

    fn changes(&mut self, numbers: impl IntoIterator<Item = u64>) -> Result<Vec<Change>, StoreError> {
        numbers.into_iter().map(|seq| Ok(self.change(seq)?.change)).collect()
    }

    fn change(&mut self, seq: u64) -> Result<StoredChange, StoreError> {
        self.must_read(&Key::Change(seq), |payload| StoredChange::decode(seq, payload))
    }

    fn must_read<T>(
        &mut self,
        key: &Key<'_>,
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, StoreError> {
        let (payload, missing) = (self.read(key)?, "is missing");
        let decoded =
            payload.as_deref().map(|payload| decode(payload).ok_or("does not have the fields it must have"));
        decoded.unwrap_or(Err(missing)).map_err(|what| StoreError::damaged(key, what))
    }

    /// The payload under a key, as of the last call, committed or not.
    fn read(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = key.bytes();
        let value = match self.waiting.get(&bytes) {
            Some(waiting) => waiting.clone(),
            None => self.disk.get(&bytes)?,
        };
        let Some(value) = value else { return Ok(None) };
        self.bytes += value.len();
        let payload = frame::open(&bytes, &value).map_err(|what| StoreError::damaged(key, what))?;
        Ok(Some(payload.to_vec()))
    }
}
