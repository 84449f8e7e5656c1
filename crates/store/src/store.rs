//! The handle: every call of the store, sent to its thread.
//!
//! Here: which call there is, and what it promises. Not here: carrying it out (`engine.rs`), when it is committed
//! (`thread.rs`).
//!
//! Invariant: a call is answered only after the commit that makes its answer true.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use crate::{
    commands::{
        Append, Appended, Change, Claimed, End, Head, HistoryKey, HistoryWrite, Job, Lane, LedgerRow,
        OpenChanges, Progress, Push, PushCounts, PushWrite, RegistryWrite, Request, Resolve, Settle, Settled,
    },
    commits::Commits,
    dead_letter::{DeadLetter, LetterGroup, ReasonKey, Retry},
    disk::{Disk, SledDisk},
    engine::Engine,
    error::StoreError,
    ledger::{Counts, KeptCounts},
    memory::MemoryDisk,
    options::{Options, Room},
    reads::{Read, ReadCounters, Reads},
    seq::Seq,
    thread::Worker,
    unix_ms::UnixMs,
};

/// Values of the history read in one call.
const HISTORY_READ_MAX: usize = 64;

/// The handle. Clones share one thread. Dropping the last one commits what waits and blocks until the thread has ended;
/// `close` first where that must not block.
///
/// A call that is dropped before its answer may still be carried out.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) worker: Arc<Worker>,
    reads: Arc<ReadCounters>,
}

impl Store {
    /// Opens the directory, creating it if need be, checks every entry and starts the thread. Blocks for it.
    ///
    /// # Errors
    /// Another process has it, the database is damaged or from another version, or a file cannot be used.
    pub fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        Self::start(Box::new(SledDisk::open(dir, options)?), options)
    }

    /// Opens the directory of a service that does not run, and that has a database, with little memory. Blocks for it.
    ///
    /// # Errors
    /// [`StoreError::NoStore`] if there is no database, [`StoreError::Locked`] while a service runs; as for `open`.
    pub fn open_existing(dir: &Path) -> Result<Self, StoreError> {
        Self::start(Box::new(SledDisk::open_existing(dir, Options::OFFLINE)?), Options::OFFLINE)
    }

    /// A store in memory, of which nothing survives: for tests of what stands on one. Calls are carried out on the calling
    /// thread, each in a commit of its own.
    ///
    /// # Errors
    /// None that can come up with an empty store.
    pub fn in_memory(options: Options) -> Result<Self, StoreError> {
        let reads = Arc::new(ReadCounters::default());
        let engine = Engine::open(Box::new(MemoryDisk::default()), options, Arc::clone(&reads))?;
        Ok(Self { worker: Arc::new(Worker::inline(engine)), reads })
    }

    pub(crate) fn start(disk: Box<dyn Disk>, options: Options) -> Result<Self, StoreError> {
        let reads = Arc::new(ReadCounters::default());
        let engine = Engine::open(disk, options, Arc::clone(&reads))?;
        Ok(Self { worker: Arc::new(Worker::start(engine)?), reads })
    }

    /// How often the store was read since it was opened. Costs no way to the thread, and is answered after a failure, too.
    pub fn reads(&self) -> Reads {
        self.reads.now()
    }

    /// How long commits took since it was opened, and how many calls shared one. Answered as [`Store::reads`] is.
    pub fn commits(&self) -> Commits {
        self.worker.commits()
    }

    /// A call that reads: counted, whatever comes of it.
    async fn read<T: Send + 'static>(
        &self,
        read: Read,
        work: impl FnOnce(&mut Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reads.call(read);
        self.worker.call(work).await
    }

    /// Waits until the store is of no more use, because a commit failed or its thread has ended, and says why.
    pub async fn failed(&self) -> StoreError {
        self.worker.failed().await
    }

    /// Room on the disk.
    pub async fn room(&self) -> Result<Room, StoreError> {
        self.worker.call(|engine| Ok(engine.room())).await
    }

    /// Commits all that waits and ends the thread; the directory is free when this returns. Later calls are refused.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.worker.close().await
    }

    /// Point A: stores requests together with the positions up to which their source has been read.
    ///
    /// # Errors
    /// [`StoreError::Full`] if requests are among it and too much waits already, [`StoreError::NoRoom`] if they or dead
    /// letters are among it and the disk is nearly full.
    pub async fn append(&self, org: &str, append: Append) -> Result<Appended, StoreError> {
        let org = org.to_owned();
        self.worker.call(move |engine| engine.append(&org, append)).await
    }

    /// The last stored value of a position, for instance that of a channel; None if it was never set or has ended. An
    /// empty value counts as none: up to version 0.1.0 it was stored for a position that ended.
    pub async fn position(&self, org: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (org, name) = (org.to_owned(), name.to_owned());
        self.read(Read::Position, move |engine| engine.position(&org, &name)).await
    }

    /// What is remembered of these records of a target, by key; those of which nothing is are not in it, and cost no look at
    /// the disk.
    pub async fn fingerprints(
        &self,
        org: &str,
        target: &str,
        keys: Vec<String>,
    ) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let (org, target) = (org.to_owned(), target.to_owned());
        self.read(Read::Fingerprints, move |engine| engine.fingerprints(&org, &target, keys)).await
    }

    /// The next requests: live ones first, then oldest first, as many as fit in `records_max` records, but one at
    /// least if any waits. They stay until they are settled. May be cut short by [`HEAD_BYTES_MAX`](crate::HEAD_BYTES_MAX).
    pub async fn ingress_head(&self, org: &str, records_max: u64) -> Result<Vec<Request>, StoreError> {
        let org = org.to_owned();
        self.read(Read::IngressHead, move |engine| engine.ingress_head(&org, records_max)).await
    }

    /// The oldest requests of one lane with numbers behind `after`, as many as fit in `records_max` records, but one at
    /// least if any waits. May be cut short by [`HEAD_BYTES_MAX`](crate::HEAD_BYTES_MAX).
    pub async fn ingress_behind(
        &self,
        org: &str,
        lane: Lane,
        after: Seq,
        records_max: u64,
    ) -> Result<Head, StoreError> {
        let org = org.to_owned();
        let read = move |engine: &mut Engine| engine.ingress_behind(&org, lane, after, records_max);
        self.read(Read::IngressBehind, read).await
    }

    /// Point B: takes requests off ingress and stores what follows from them.
    ///
    /// # Errors
    /// [`StoreError::Unbalanced`] if records would be lost or invented, [`StoreError::UnknownRequest`].
    pub async fn settle(&self, org: &str, settle: Settle) -> Result<Settled, StoreError> {
        let org = org.to_owned();
        self.worker.call(move |engine| engine.settle(&org, settle)).await
    }

    /// What is on egress for these keys, waiting or in flight.
    pub async fn open_changes(
        &self,
        org: &str,
        target: &str,
        keys: Vec<String>,
    ) -> Result<OpenChanges, StoreError> {
        let (org, target) = (org.to_owned(), target.to_owned());
        self.read(Read::OpenChanges, move |engine| engine.open_changes(&org, &target, keys)).await
    }

    /// Takes changes to be written: due ones of one target and lane, live ones first, oldest first, one per key.
    /// They are not offered again until they are resolved as to be retried, or released.
    pub async fn egress_take(
        &self,
        org: &str,
        now_ms: UnixMs,
        changes_max: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let claimed = self.egress_claim(org, now_ms, changes_max, Seq::MAX).await?;
        self.changes(org, claimed.numbers).await
    }

    /// The same by numbers only, of those up to `up_to`: whoever has the changes need not read them back.
    pub async fn egress_claim(
        &self,
        org: &str,
        now_ms: UnixMs,
        changes_max: usize,
        up_to: Seq,
    ) -> Result<Claimed, StoreError> {
        let org = org.to_owned();
        let claim = move |engine: &mut Engine| Ok(engine.egress_claim(&org, now_ms, changes_max, up_to));
        self.worker.call(claim).await
    }

    /// Those of the changes of these numbers that are on egress, in the order of `numbers`.
    pub async fn changes(&self, org: &str, numbers: Vec<Seq>) -> Result<Vec<Change>, StoreError> {
        let org = org.to_owned();
        self.read(Read::Changes, move |engine| engine.open_changes_of(&org, &numbers)).await
    }

    /// Frees all changes that are taken and belong to no stored job: whoever took them is gone.
    pub async fn release(&self, org: &str) -> Result<(), StoreError> {
        let org = org.to_owned();
        let release = move |engine: &mut Engine| {
            engine.release(&org);
            Ok(())
        };
        self.worker.call(release).await
    }

    /// Frees those of the changes of these numbers that are taken and belong to no stored job, as nothing became of them.
    pub async fn put_back(&self, org: &str, changes: Vec<Seq>) -> Result<(), StoreError> {
        let org = org.to_owned();
        let put_back = move |engine: &mut Engine| {
            engine.put_back(&org, &changes);
            Ok(())
        };
        self.worker.call(put_back).await
    }

    /// Point C: records what became of taken changes.
    ///
    /// # Errors
    /// [`StoreError::UnknownChange`], [`StoreError::NotTaken`], [`StoreError::UnknownJob`].
    pub async fn resolve(&self, org: &str, resolve: Resolve) -> Result<(), StoreError> {
        let org = org.to_owned();
        self.worker.call(move |engine| engine.resolve(&org, resolve)).await
    }

    /// Stores a job before its data leaves, or replaces its body. `changes` are all changes of the job that have no
    /// outcome yet; they must be taken, and stay so over a restart until they are resolved.
    ///
    /// # Errors
    /// [`StoreError::UnknownChange`], [`StoreError::NotTaken`], [`StoreError::InAnotherJob`].
    pub async fn put_job(
        &self,
        org: &str,
        id: &str,
        body: Vec<u8>,
        changes: &[Seq],
    ) -> Result<(), StoreError> {
        let (org, id, changes) = (org.to_owned(), id.to_owned(), changes.to_vec());
        self.worker.call(move |engine| engine.put_job(&org, &id, &body, &changes)).await
    }

    /// All jobs that are not finished, with their changes that have no outcome yet.
    pub async fn jobs(&self, org: &str) -> Result<Vec<Job>, StoreError> {
        let org = org.to_owned();
        self.read(Read::Jobs, move |engine| engine.jobs(&org)).await
    }

    /// The values of a kind that belong to the service as a whole, in the order of their names.
    pub async fn registry(&self, kind: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let kind = kind.to_owned();
        self.read(Read::Registry, move |engine| engine.registry(&kind)).await
    }

    /// One value that belongs to the service as a whole.
    pub async fn registered(&self, kind: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.read(Read::Registry, move |engine| engine.registered(&kind, &name)).await
    }

    /// Sets and removes values that belong to the service as a whole: all of them in one commit, in order. Taken also while
    /// the disk is nearly full.
    ///
    /// # Errors
    /// [`StoreError::RegistryValue`] for one that is too large, [`StoreError::RegistryFull`] if there would be too many.
    pub async fn register(&self, writes: Vec<RegistryWrite>) -> Result<(), StoreError> {
        self.worker.call(move |engine| engine.register(&writes)).await
    }

    /// Sets and removes values of the history, in one commit. Taken also while the disk is nearly full.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::HistoryFull`]
    pub async fn write_history(&self, write: HistoryWrite) -> Result<(), StoreError> {
        self.worker.call(move |engine| engine.write_history(&write)).await
    }

    /// Where the history has values, in order, with the bytes that each takes with its key.
    pub async fn history_keys(&self) -> Result<Vec<(HistoryKey, u64)>, StoreError> {
        self.read(Read::History, |engine| Ok(engine.index.history.all())).await
    }

    /// The values of the history at these places, none where there is none. Not all in one go, so that nobody waits long.
    pub async fn history(&self, keys: Vec<HistoryKey>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(HISTORY_READ_MAX) {
            let some = some.to_vec();
            values.extend(self.read(Read::History, move |engine| engine.history(&some)).await?);
        }
        Ok(values)
    }

    /// Adds a push, removes others, or both in one commit. Gives back the number of the new one.
    ///
    /// # Errors
    /// [`StoreError::NoRoom`] if one is added and the disk is nearly full, [`StoreError::TooLarge`],
    /// [`StoreError::UnknownPush`] for another head of one that is gone.
    pub async fn write_pushes(&self, write: PushWrite) -> Result<Option<Seq>, StoreError> {
        self.worker.call(move |engine| engine.write_pushes(write)).await
    }

    /// Numbers of all pushes, oldest first.
    pub async fn pushes(&self) -> Result<Vec<Seq>, StoreError> {
        self.read(Read::Pushes, |engine| Ok(engine.pushes())).await
    }

    /// One push.
    ///
    /// # Errors
    /// [`StoreError::UnknownPush`]
    pub async fn push(&self, number: Seq) -> Result<Push, StoreError> {
        self.read(Read::Pushes, move |engine| engine.push(number)).await
    }

    /// What the orgs have counted for a push, by name; those in which no record was found for it are not among them.
    pub async fn push_counts(&self, number: Seq) -> Result<Vec<(String, PushCounts)>, StoreError> {
        self.read(Read::Pushes, move |engine| Ok(engine.push_counts(number))).await
    }

    /// How many such counts are kept, over all orgs and pushes.
    pub async fn push_counts_kept(&self) -> Result<u64, StoreError> {
        self.read(Read::Pushes, |engine| Ok(engine.push_counts_kept())).await
    }

    /// Every org that records have come in for, whether anybody still asks for it or not.
    pub async fn orgs(&self) -> Result<Vec<(String, Counts)>, StoreError> {
        self.read(Read::Orgs, |engine| Ok(engine.orgs())).await
    }

    /// The counts of the same orgs by name, with the dead letters that are kept of each: one look at all of them.
    pub async fn ledgers(&self) -> Result<HashMap<String, KeptCounts>, StoreError> {
        self.read(Read::Orgs, |engine| Ok(engine.ledgers())).await
    }

    /// Removes all that is stored of an org, its counts too, and gives what they were; none if nothing was. In one
    /// commit, for which the others wait: with a million records some seconds.
    pub async fn forget(&self, org: &str) -> Result<Option<Counts>, StoreError> {
        let org = org.to_owned();
        self.worker.call(move |engine| engine.forget(&org)).await
    }

    /// Where the org's records are.
    pub async fn counts(&self, org: &str) -> Result<Counts, StoreError> {
        let org = org.to_owned();
        self.read(Read::Counts, move |engine| Ok(engine.counts(&org))).await
    }

    /// How far the org's work has come: what had a number up to `given` at one look is done when, at a later one, the
    /// oldest request and the oldest change have higher numbers.
    pub async fn progress(&self, org: &str) -> Result<Progress, StoreError> {
        let org = org.to_owned();
        self.read(Read::Progress, move |engine| Ok(engine.progress(&org))).await
    }

    /// The earliest due time among the changes that `egress_take` could offer; the beginning of 1970 for one that never was
    /// put back or was due at an earlier `egress_take`. None if there is no such change.
    pub async fn next_due_ms(&self, org: &str) -> Result<Option<UnixMs>, StoreError> {
        let org = org.to_owned();
        self.read(Read::NextDue, move |engine| Ok(engine.next_due_ms(&org))).await
    }

    /// Dead letters that stand, with numbers below the given one, newest first.
    pub async fn dead_letters(
        &self,
        org: &str,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let org = org.to_owned();
        self.read(Read::DeadLetters, move |engine| engine.dead_letters(&org, None, before, limit)).await
    }

    /// The same of one group.
    pub async fn dead_letters_of(
        &self,
        org: &str,
        group: ReasonKey,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let org = org.to_owned();
        self.read(Read::DeadLetters, move |engine| engine.dead_letters(&org, Some(group), before, limit))
            .await
    }

    /// Dead letters that stand, by sync and reason, the largest group first, at most
    /// [`LETTER_GROUPS_MAX`](crate::LETTER_GROUPS_MAX). Reads one letter of each.
    pub async fn letter_groups(&self, org: &str) -> Result<Vec<LetterGroup>, StoreError> {
        let org = org.to_owned();
        self.read(Read::DeadLetters, move |engine| engine.letter_groups(&org)).await
    }

    /// One dead letter.
    ///
    /// # Errors
    /// [`StoreError::UnknownLetter`]
    pub async fn dead_letter(&self, org: &str, seq: Seq) -> Result<DeadLetter, StoreError> {
        let org = org.to_owned();
        self.read(Read::DeadLetter, move |engine| engine.dead_letter(&org, seq)).await
    }

    /// Sets a dead letter aside and takes requests in for it, in one commit: it stands no more, unless it is refused again for
    /// the same reason. Its records stay counted as dead, and
    /// those of the requests count as come in; the ledger gets a row that says who ordered it.
    ///
    /// # Errors
    /// [`StoreError::UnknownLetter`], [`StoreError::Full`] and [`StoreError::NoRoom`] as for an append.
    pub async fn retry_dead_letter(&self, org: &str, retry: Retry) -> Result<Appended, StoreError> {
        let org = org.to_owned();
        self.worker.call(move |engine| engine.retry_dead_letter(&org, retry)).await
    }

    /// Throws a dead letter away. Its records stay counted as dead; the ledger gets a row that says who ordered it.
    ///
    /// # Errors
    /// [`StoreError::UnknownLetter`]
    pub async fn discard_letter(
        &self,
        org: &str,
        seq: Seq,
        by: &str,
        at_ms: UnixMs,
    ) -> Result<(), StoreError> {
        let (org, by) = (org.to_owned(), by.to_owned());
        self.worker.call(move |engine| engine.discard_letter(&org, seq, &by, at_ms)).await
    }

    /// What the ledger remembers of a record, newest first. Reads the org's rows, not all of them in one go.
    pub async fn rows(&self, org: &str, record: &str, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
        let record = record.to_owned();
        self.rows_that(org, limit, UnixMs::EPOCH, move |row| row.subject.record == record).await
    }

    /// What was done about dead letters, newest first: the rows that end in [`End::Retried`], [`End::Discarded`] or
    /// [`End::Closed`], one per record. Reads the org's rows, not all of them in one go.
    pub async fn dead_letter_commands(&self, org: &str, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
        let is_command = |row: &LedgerRow| matches!(row.end, End::Retried | End::Discarded | End::Closed);
        self.rows_that(org, limit, UnixMs::EPOCH, is_command).await
    }

    /// Rows that are wanted, newest first, of pages whose newest row ended at `since_ms` or later.
    pub async fn rows_that(
        &self,
        org: &str,
        limit: usize,
        since_ms: UnixMs,
        wanted: impl Fn(&LedgerRow) -> bool + Clone + Send + 'static,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let (mut rows, mut before) = (Vec::new(), Some(Seq::MAX));
        while let Some(page) = before.filter(|_| rows.len() < limit) {
            let (org, wanted) = (org.to_owned(), wanted.clone());
            let (found, older) =
                self.read(Read::Rows, move |engine| engine.rows(&org, wanted, page, since_ms)).await?;
            rows.extend(found);
            before = older;
        }
        rows.truncate(limit);
        Ok(rows)
    }

    /// The changes made for a record that wait or are being written, oldest first.
    pub async fn changes_of(&self, org: &str, record: &str, limit: usize) -> Result<Vec<Change>, StoreError> {
        let record = record.to_owned();
        let is_of = move |change: &Change| change.subjects.iter().any(|subject| subject.record == record);
        self.changes_that(org, limit, is_of).await
    }

    /// Changes that are wanted of those that wait or are being written, oldest first. Reads the org's changes, not all of
    /// them in one go.
    pub async fn changes_that(
        &self,
        org: &str,
        limit: usize,
        wanted: impl Fn(&Change) -> bool + Clone + Send + 'static,
    ) -> Result<Vec<Change>, StoreError> {
        let (mut changes, mut after) = (Vec::new(), Some(Seq::MIN));
        while let Some(seq) = after.filter(|_| changes.len() < limit) {
            let (org, wanted) = (org.to_owned(), wanted.clone());
            let (found, newer) =
                self.read(Read::ChangesOf, move |engine| engine.changes_that(&org, wanted, seq)).await?;
            changes.extend(found);
            after = newer;
        }
        changes.truncate(limit);
        Ok(changes)
    }
}
