//! The store's thread from the inside: carries a call out in memory, collects what is to be written, commits it.
//!
//! Here: fetching what a command needs, and the one place that commits. Not here: what a command does (`append.rs`,
//! `settle.rs`, `resolve.rs`), what only reads (`queries.rs`), when to commit (`thread.rs`).
//!
//! Invariant: what a call reads includes what earlier calls of the same commit have written.
//! Invariant: after a failed commit nothing is answered from memory any more, because the disk may say otherwise.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use crate::{
    commands::{
        Append, Appended, Change, Claimed, End, HistoryWrite, Outcome, Push, PushWrite, RegistryWrite,
        Resolve, Settle, Settled,
    },
    dead_letter::{DeadLetter, Retry},
    disk::Disk,
    egress::Flight,
    entry::{FORMAT, Mark, StoredChange, StoredDeadLetter},
    error::StoreError,
    frame::{self, Writer},
    index::{Index, Rebuild, check_format},
    keys::Key,
    ledger::Counts,
    options::{Options, Room},
    org::Org,
    reads::ReadCounters,
    resolve::written,
    seq::Seq,
    sizes,
    step::{Step, Write},
    unix_ms::UnixMs,
};

/// Pages of rows removed with one command, because they are too old.
const PAGES_EXPIRED_MAX: usize = 16;

/// Why the store is of no more use.
#[derive(Clone, Debug)]
pub(crate) enum Poison {
    /// A commit failed; what the database said.
    Commit(String),
    /// The database was deleted, moved or replaced.
    Gone(PathBuf),
}

impl Poison {
    /// The answer to every call from then on.
    pub(crate) fn error(&self) -> StoreError {
        match self {
            Self::Commit(cause) => StoreError::Poisoned { cause: cause.clone() },
            Self::Gone(path) => StoreError::Gone { path: path.clone() },
        }
    }
}

/// Everything that the thread owns.
pub(crate) struct Engine {
    pub(crate) index: Index,
    depth_max: u64,
    free_bytes_min: u64,
    /// How long rows are kept.
    rows_kept: Duration,
    waiting: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// Bytes written and read since the last commit.
    bytes: usize,
    poison: Option<Poison>,
    reads: Arc<ReadCounters>,
    disk: Box<dyn Disk>,
}

impl Engine {
    /// Reads and checks every entry.
    pub(crate) fn open(
        disk: Box<dyn Disk>,
        options: Options,
        reads: Arc<ReadCounters>,
    ) -> Result<Self, StoreError> {
        let format = check_format(&*disk)?;
        let mut rebuild = Rebuild::default();
        disk.each(&mut |key, value| rebuild.add(key, value))?;
        let found = rebuild.finish(disk.given_before())?;
        let is_new = found.is_none();
        let index = found.unwrap_or_default();
        let Options { depth_max, ledger_days, free_bytes_min, .. } = options;
        let rows_kept = Duration::from_hours(24 * u64::from(ledger_days));
        let waiting = HashMap::new();
        let mut engine = Self {
            index,
            depth_max,
            free_bytes_min,
            rows_kept,
            waiting,
            bytes: 0,
            poison: None,
            reads,
            disk,
        };
        if is_new || format.is_some_and(|format| format < FORMAT) {
            let mut writes = Vec::new();
            let mut step = Step { org: "", mark: &mut Mark::default(), writes: &mut writes };
            step.put(&Key::Format, &Writer::default().u32(FORMAT).done());
            if is_new {
                step.put(&Key::Mark, &step.mark.encode());
            }
            engine.waiting.extend(writes);
            engine.commit();
            engine.alive()?;
        }
        tracing::info!(
            orgs = engine.index.orgs.len(),
            sequence = engine.index.mark.sequence.0,
            "the store is open"
        );
        Ok(engine)
    }

    /// An error once a commit has failed.
    pub(crate) fn alive(&self) -> Result<(), StoreError> {
        match &self.poison {
            Some(poison) => Err(poison.error()),
            None => Ok(()),
        }
    }

    /// Why the store is of no more use, if it is not.
    pub(crate) fn poison(&self) -> Option<&Poison> {
        self.poison.as_ref()
    }

    /// Bytes written and read since the last commit.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes what waits, and waits until it is safe. Whether there was anything to be written, and it was.
    pub(crate) fn commit(&mut self) -> bool {
        self.bytes = 0;
        if self.poison.is_some() {
            return false;
        }
        if let Some(path) = self.disk.gone() {
            tracing::error!(path = %path.display(), "the database is gone; the store answers no more calls");
            self.poison = Some(Poison::Gone(path));
            return false;
        }
        if self.waiting.is_empty() {
            return false;
        }
        if let Err(cause) = self.disk.commit(self.waiting.drain().collect()) {
            tracing::error!(cause, "a commit failed; the store answers no more calls");
            self.poison = Some(Poison::Commit(cause));
            return false;
        }
        true
    }

    /// Room on the disk.
    pub(crate) fn room(&self) -> Room {
        Room { free_bytes: self.disk.free_bytes(), free_bytes_min: self.free_bytes_min }
    }

    /// May more be taken in? What is there already always goes on, as that ends in less.
    fn check_room(&self) -> Result<(), StoreError> {
        let Room { free_bytes, free_bytes_min } = self.room();
        match free_bytes.filter(|free_bytes| *free_bytes < free_bytes_min) {
            Some(free_bytes) => Err(StoreError::NoRoom { free_bytes, free_bytes_min }),
            None => Ok(()),
        }
    }

    pub(crate) fn append(&mut self, org: &str, mut append: Append) -> Result<Appended, StoreError> {
        sizes::append(org, &append)?;
        append.found.retain(|(push, _)| self.index.pushes.contains(push));
        if !append.requests.is_empty() || !append.dead.is_empty() {
            self.check_room()?;
        }
        let letters = self.index.orgs.get(org).map(|found| found.letters.of_refusals(&append.dead));
        self.take_up(org, letters.unwrap_or_default())?;
        let depth_max = self.depth_max;
        self.step(org, |found, step| found.append(step, append, depth_max))
    }

    pub(crate) fn settle(&mut self, org: &str, settle: Settle) -> Result<Settled, StoreError> {
        sizes::settle(org, &settle)?;
        sizes::positions(org, &settle.positions)?;
        let replaced = self.index.orgs.get(org).map(|found| found.replaced_by(&settle)).unwrap_or_default();
        let stored = self.stored(replaced)?;
        let letters =
            self.index.orgs.get(org).map(|found| {
                &found.letters.of_refusals(&settle.dead) | &found.letters.of_mended(&settle.mended)
            });
        self.take_up(org, letters.unwrap_or_default())?;
        self.step(org, |found, step| found.settle(step, settle, stored))
    }

    /// Reads nothing from disk.
    pub(crate) fn egress_claim(
        &mut self,
        org: &str,
        now_ms: UnixMs,
        changes_max: usize,
        up_to: Seq,
    ) -> Claimed {
        let mut claimed = Claimed { given: self.index.mark.sequence, ..Claimed::default() };
        let Some(found) = self.index.orgs.get_mut(org) else { return claimed };
        let due = found.egress.due(now_ms, changes_max, up_to);
        claimed.lane = due.first().and_then(|seq| found.egress.get(*seq)).map(|first| first.lane);
        for seq in &due {
            found.egress.enlist(*seq, Flight::Taken);
        }
        claimed.numbers = due;
        claimed
    }

    /// Writes nothing: that a change is taken is known in memory only.
    pub(crate) fn release(&mut self, org: &str) {
        if let Some(found) = self.index.orgs.get_mut(org) {
            found.egress.free_taken();
        }
    }

    /// The same for these of them; the others stay taken.
    pub(crate) fn put_back(&mut self, org: &str, changes: &[Seq]) {
        let Some(found) = self.index.orgs.get_mut(org) else { return };
        for seq in changes {
            if found.egress.get(*seq).is_some_and(|waiting| waiting.flight == Flight::Taken) {
                found.egress.free(*seq);
            }
        }
    }

    pub(crate) fn resolve(&mut self, org: &str, mut resolve: Resolve) -> Result<(), StoreError> {
        resolve.fingerprints.iter().try_for_each(|(_, bytes)| sizes::fingerprint(org, bytes))?;
        let found = self.index.orgs.entry(org.to_owned()).or_default();
        let mut named = found.check_resolve(org, &resolve)?;
        let mut stored: BTreeMap<Seq, StoredChange> = BTreeMap::new();
        for change in std::mem::take(&mut resolve.changes) {
            let seq = change.seq;
            // What does not look like the stored one is not believed, but read.
            let same = found.egress.get(seq).is_some_and(|waiting| waiting.is_of(&change));
            if same && named.binary_search(&seq).is_ok() {
                stored.insert(seq, StoredChange { org: org.to_owned(), due_ms: None, change });
            }
        }
        named.retain(|seq| !stored.contains_key(seq));
        stored.extend(self.stored(named)?);
        let letters = self.index.orgs.get(org).map(|found| letters_of(found, &resolve, &stored));
        self.take_up(org, letters.unwrap_or_default())?;
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
        changes: &[Seq],
    ) -> Result<(), StoreError> {
        sizes::name(org, "id of a job", id)?;
        sizes::body(org, body)?;
        sizes::changes(org, changes)?;
        self.step(org, |found, step| found.put_job(step, id, body, changes))
    }

    pub(crate) fn forget(&mut self, name: &str) -> Result<Option<Counts>, StoreError> {
        sizes::org(name)?;
        let Some(org) = self.index.orgs.remove(name) else { return Ok(None) };
        let mut writes = Vec::new();
        let mut step = Step { org: name, mark: &mut self.index.mark, writes: &mut writes };
        org.forget(&mut step);
        step.mark.orgs -= u64::from(org.stored);
        let mark = step.mark.encode();
        step.put(&Key::Mark, &mark);
        for page in &org.rows.pages {
            self.index.pages.remove(page);
        }
        self.bytes += writes.iter().map(|(key, _)| key.len()).sum::<usize>();
        self.waiting.extend(writes);
        Ok(Some(org.ledger.counts))
    }

    /// Taken also while the disk is nearly full: it is little, and whom a token is taken from must lose it.
    pub(crate) fn register(&mut self, changes: &[RegistryWrite]) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        let mut step = Step { org: "", mark: &mut self.index.mark, writes: &mut writes };
        self.index.registry.write(&mut step, changes)?;
        let mark = step.mark.encode();
        step.put(&Key::Mark, &mark);
        self.take(writes);
        Ok(())
    }

    /// Taken also while the disk is nearly full: it is little, and told when it matters most.
    pub(crate) fn write_history(&mut self, write: &HistoryWrite) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        let mut step = Step { org: "", mark: &mut self.index.mark, writes: &mut writes };
        self.index.history.write(&mut step, write)?;
        let mark = step.mark.encode();
        step.put(&Key::Mark, &mark);
        self.take(writes);
        Ok(())
    }

    /// Adds and removes pushes. Gives back the number of the new one.
    pub(crate) fn write_pushes(&mut self, write: PushWrite) -> Result<Option<Seq>, StoreError> {
        let PushWrite { add, heads, remove } = write;
        let mut puts = Vec::new();
        for (seq, head) in heads {
            let push = Push { head, ..self.push(seq)? };
            sizes::push(&push)?;
            puts.push((seq, push));
        }
        if let Some(push) = &add {
            sizes::push(push)?;
            self.check_room()?;
        }
        let mut writes = Vec::new();
        for seq in remove {
            if !self.index.pushes.remove(&seq) {
                continue;
            }
            puts.retain(|(kept, _)| *kept != seq);
            for (org, found) in &mut self.index.orgs {
                let mut step = Step { org, mark: &mut self.index.mark, writes: &mut writes };
                found.pushes.forget(&mut step, seq);
            }
            Step { org: "", mark: &mut self.index.mark, writes: &mut writes }.remove(&Key::Push(seq));
        }
        let mut step = Step { org: "", mark: &mut self.index.mark, writes: &mut writes };
        let number = add.map(|push| {
            let seq = step.number();
            puts.push((seq, push));
            self.index.pushes.insert(seq);
            seq
        });
        for (seq, push) in puts {
            step.put(&Key::Push(seq), &push.encode());
        }
        step.mark.pushes = self.index.pushes.len() as u64;
        // So that one that is lost with the end of the database's log is missed at the next opening.
        step.number();
        let mark = step.mark.encode();
        step.put(&Key::Mark, &mark);
        self.take(writes);
        Ok(number)
    }

    pub(crate) fn push(&mut self, seq: Seq) -> Result<Push, StoreError> {
        if !self.index.pushes.contains(&seq) {
            return Err(StoreError::UnknownPush { seq });
        }
        self.must_read(&Key::Push(seq), Push::decode)
    }

    pub(crate) fn dead_letter(&mut self, org: &str, seq: Seq) -> Result<DeadLetter, StoreError> {
        if !self.index.orgs.get(org).is_some_and(|found| found.has_letter(seq)) {
            return Err(StoreError::UnknownLetter { org: org.to_owned(), seq });
        }
        self.letter(seq)
    }

    pub(crate) fn retry_dead_letter(&mut self, org: &str, retry: Retry) -> Result<Appended, StoreError> {
        retry.requests.iter().try_for_each(|request| sizes::body(org, &request.body))?;
        self.check_room()?;
        let letter = self.dead_letter(org, retry.letter)?;
        self.take_up(org, BTreeSet::from([retry.letter]))?;
        let depth_max = self.depth_max;
        self.step(org, |found, step| found.retry_dead_letter(step, letter, retry, depth_max))
    }

    pub(crate) fn discard_letter(
        &mut self,
        org: &str,
        seq: Seq,
        by: &str,
        at_ms: UnixMs,
    ) -> Result<(), StoreError> {
        let letter = self.dead_letter(org, seq)?;
        self.take_up(org, BTreeSet::new())?;
        self.step(org, |found, step| {
            found.remove_dead_letter(step, letter, End::Discarded, at_ms, by);
            Ok(())
        })
    }

    pub(crate) fn letter(&mut self, seq: Seq) -> Result<DeadLetter, StoreError> {
        Ok(self.must_read(&Key::DeadLetter(seq), |payload| StoredDeadLetter::decode(seq, payload))?.letter)
    }

    /// Has the letters at hand that the command under way may change.
    fn take_up(&mut self, org: &str, numbers: BTreeSet<Seq>) -> Result<(), StoreError> {
        let letters = numbers.into_iter().map(|seq| self.letter(seq)).collect::<Result<_, _>>()?;
        if let Some(found) = self.index.orgs.get_mut(org) {
            found.letters.take_up(letters);
        }
        Ok(())
    }

    fn stored(&mut self, numbers: Vec<Seq>) -> Result<BTreeMap<Seq, StoredChange>, StoreError> {
        numbers.into_iter().map(|seq| Ok((seq, self.change(seq)?))).collect()
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
        let touched = org.rows.write(&mut step);
        org.letters.write(&mut step);
        org.pushes.write(&mut step);
        org.ledger.pages = org.rows.pages.len() as u64;
        if org.ledger != ledger {
            step.put(&Key::Ledger { org: name }, &org.ledger.encode());
            step.mark.orgs += u64::from(!org.stored);
            org.stored = true;
        }
        if *step.mark != mark {
            let payload = step.mark.encode();
            step.put(&Key::Mark, &payload);
        }
        self.take(writes);
        self.forget_old_pages(name, touched);
        Ok(answer)
    }

    /// Lets entries wait for the commit.
    fn take(&mut self, writes: Vec<Write>) {
        let bytes = writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        self.bytes += bytes.sum::<usize>();
        self.waiting.extend(writes);
    }

    /// Keeps the list of all pages, and removes some that have grown too old, whoever's they are. How late it is, the
    /// newest row says: the store reads no clock.
    fn forget_old_pages(&mut self, name: &str, touched: Vec<(Seq, Option<UnixMs>)>) {
        let newest_ms = touched.iter().filter_map(|(_, last_ms)| *last_ms).max();
        for (seq, last_ms) in touched {
            match last_ms {
                Some(last_ms) => drop(self.index.pages.insert(seq, (Arc::from(name), last_ms))),
                None => drop(self.index.pages.remove(&seq)),
            }
        }
        let Some(newest_ms) = newest_ms else { return };
        let oldest_ms = newest_ms.saturating_sub(self.rows_kept);
        for _ in 0..PAGES_EXPIRED_MAX {
            let Some(first) = self.index.pages.first_entry().filter(|page| page.get().1 < oldest_ms) else {
                return;
            };
            let (seq, (owner, _)) = first.remove_entry();
            let Some(org) = self.index.orgs.get_mut(&*owner) else { continue };
            let mut writes = Vec::new();
            let mut step = Step { org: &owner, mark: &mut self.index.mark, writes: &mut writes };
            org.rows.forget(&mut step, seq);
            org.ledger.pages = org.rows.pages.len() as u64;
            step.put(&Key::Ledger { org: &owner }, &org.ledger.encode());
            self.waiting.extend(writes);
        }
    }

    pub(crate) fn changes(
        &mut self,
        numbers: impl IntoIterator<Item = Seq>,
    ) -> Result<Vec<Change>, StoreError> {
        numbers.into_iter().map(|seq| Ok(self.change(seq)?.change)).collect()
    }

    fn change(&mut self, seq: Seq) -> Result<StoredChange, StoreError> {
        self.must_read(&Key::Change(seq), |payload| StoredChange::decode(seq, payload))
    }

    pub(crate) fn must_read<T>(
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
    pub(crate) fn read(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = key.bytes();
        let value = match self.waiting.get(&bytes) {
            Some(waiting) => waiting.clone(),
            None => self.disk.get(&bytes)?,
        };
        let Some(value) = value else { return Ok(None) };
        self.reads.entry();
        self.bytes += value.len();
        let payload = frame::open(&bytes, &value).map_err(|what| StoreError::damaged(key, what))?;
        Ok(Some(payload.to_vec()))
    }
}

/// Numbers of the letters that a resolve may change.
fn letters_of(org: &Org, resolve: &Resolve, stored: &BTreeMap<Seq, StoredChange>) -> BTreeSet<Seq> {
    if org.letters.stored() == 0 {
        return BTreeSet::new();
    }
    let syncs: HashMap<Seq, &str> = resolve.syncs.iter().map(|(seq, sync)| (*seq, sync.as_str())).collect();
    let mut numbers = BTreeSet::new();
    for (seq, outcome) in &resolve.outcomes {
        let Some(StoredChange { change: Change { target, key, subjects, .. }, .. }) = stored.get(seq) else {
            continue;
        };
        let sync = syncs.get(seq).copied().unwrap_or_default();
        match outcome {
            Outcome::Written | Outcome::WrittenInPart { .. } => {
                numbers.extend(org.letters.of_mended(&written(sync, target, key, subjects)));
            }
            Outcome::Dead { reason, .. } => {
                numbers.extend(org.letters.of_refusal(sync, target, key, reason));
            }
            Outcome::Retry { .. } | Outcome::Superseded { .. } => {}
        }
    }
    numbers
}
