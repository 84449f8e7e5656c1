//! One org's handle on the store: its queues, and its positions by type instead of by name.
//!
//! Here: every name under which something of an org is stored beside its queues, and how the value is written. Not here:
//! what the store does with it (`orgpipe_store`), what queue entries look like (`queue_entry`).
//!
//! Invariant: a position that was cleared reads like one that was never stored.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use orgpipe_store::{
    Append, Appended, Change, Claimed, Counts, DeadLetter, Head, Job, Lane, LedgerRow, LetterGroup,
    OpenChanges, Progress, ReasonKey, Request, Resolve, Retry, Seq, Settle, Settled, Store, StoreError,
    UnixMs,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use crate::{
    audit_trail::{self, Hasher},
    fingerprint::Fingerprint,
    queue_entry::{Unreadable, pack, unpack},
};

/// What is stored of an org beside its queues. Channels and syncs are named as in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position<'a> {
    /// A channel was once begun with new events.
    Begun(&'a str),
    /// Replay ID behind which a channel goes on, as Salesforce gave it.
    ReplayId(&'a str),
    /// When the event of that replay ID was published, by the org's clock.
    Published(&'a str),
    /// The last two events of a channel that were stored, by replay ID and time: JSON.
    LastTwo(&'a str),
    /// When a channel was heard of last, by the org's clock.
    Heard(&'a str),
    /// How far a sync's refresh is: JSON of a run; cleared while there is none.
    Run(&'a str),
    /// When a refresh of all of a sync's records was started last.
    RefreshStarted(&'a str),
    /// When a refresh of what has changed was started last.
    ChangesStarted(&'a str),
    /// Since when an operator has a sync's refresh paused; cleared while it is not.
    RefreshPaused(&'a str),
    /// Changes of a sync's records from then on are not read yet, by the org's clock: when the last run
    /// began that ended.
    RefreshedUntil(&'a str),
    /// When a run of a sync's refresh ended last.
    RefreshFinished(&'a str),
    /// How far the pushes of a sync have been read: JSON of a place.
    Pushed(&'a str),
    /// Gaps in the events, oldest first: JSON.
    Gaps,
    /// Receipts for gaps, oldest first: JSON.
    Receipts,
    /// Keys that were answered for more than one record: JSON.
    SharedKeys,
    /// Count of the gap that is being read again: JSON.
    GapTally,
    /// ID of the org that the login leads to, 18 characters.
    OrgId,
    /// Number up to which what waits was made of an org before.
    SupersededUpTo,
    /// What an operator wants of the org: JSON.
    DesiredState,
    /// Our API calls of the last day: JSON.
    ApiCalls,
    /// When a Bulk job was being opened.
    BulkOpening,
    /// Key of the hashes in the ledger and in fingerprints.
    HashKey,
    /// What the customer has granted, sealed.
    Grant,
}

const HASH_KEY: &str = "hash-key";
const GRANT: &str = "grant";

/// Names of the positions that are secrets, for whoever takes everything out of a store.
pub const SECRET_POSITIONS: [&str; 2] = [HASH_KEY, GRANT];

/// A position and its new value, as a commit takes it.
pub(crate) type Moved = (String, Vec<u8>);

impl Position<'_> {
    fn name(self) -> String {
        let name = match self {
            Self::Begun(channel) => return format!("begun {channel}"),
            Self::ReplayId(channel) => return format!("channel {channel}"),
            Self::Published(channel) => return format!("channel-time {channel}"),
            Self::LastTwo(channel) => return format!("channel-last-two {channel}"),
            Self::Heard(channel) => return format!("heard {channel}"),
            Self::Run(sync) => return format!("refresh {sync}"),
            Self::RefreshStarted(sync) => return format!("refresh-started {sync}"),
            Self::ChangesStarted(sync) => return format!("changes-started {sync}"),
            Self::RefreshPaused(sync) => return format!("refresh-paused {sync}"),
            Self::RefreshedUntil(sync) => return format!("refreshed-until {sync}"),
            Self::RefreshFinished(sync) => return format!("refresh-finished {sync}"),
            Self::Pushed(sync) => return format!("pushed {sync}"),
            Self::Gaps => "gaps",
            Self::Receipts => "receipts",
            Self::SharedKeys => "shared-keys",
            Self::GapTally => "gap-tally",
            Self::OrgId => "org-id",
            Self::SupersededUpTo => "void-up-to",
            Self::DesiredState => "operator's wish",
            Self::ApiCalls => "api-calls",
            Self::BulkOpening => "bulk-opening",
            Self::HashKey => HASH_KEY,
            Self::Grant => GRANT,
        };
        name.to_owned()
    }

    /// Bytes that only their owner understands.
    pub(crate) fn bytes(self, value: Vec<u8>) -> Moved {
        (self.name(), value)
    }

    /// A replay ID, in decimal.
    pub(crate) fn replay_id(self, id: u64) -> Moved {
        self.bytes(id.to_string().into_bytes())
    }

    /// A number of a request or change, in decimal.
    pub(crate) fn seq(self, seq: Seq) -> Moved {
        self.bytes(seq.to_string().into_bytes())
    }

    /// A moment, in decimal milliseconds.
    pub(crate) fn moment(self, at: UnixMs) -> Moved {
        self.bytes(at.to_string().into_bytes())
    }

    /// A value as JSON.
    pub(crate) fn json<T: Serialize>(self, value: &T) -> Moved {
        self.bytes(pack(value))
    }

    /// As if it had never been stored.
    pub(crate) fn cleared(self) -> Moved {
        self.bytes(Vec::new())
    }
}

/// The store of one org.
#[derive(Clone, Debug)]
pub(crate) struct OrgStore {
    store: Store,
    org: String,
    /// By the stored key, once it was needed; shared by the clones.
    hasher: Arc<Mutex<Option<Arc<Hasher>>>>,
}

impl OrgStore {
    /// The part of `store` that belongs to the org of this name.
    pub(crate) fn new(store: Store, org: &str) -> Self {
        Self { store, org: org.to_owned(), hasher: Arc::default() }
    }

    /// Makes the org's hashes; its key is made if there is none yet.
    pub(crate) async fn hasher(&self) -> Result<Arc<Hasher>, StoreError> {
        let mut known = self.hasher.lock().await;
        if let Some(hasher) = &*known {
            return Ok(Arc::clone(hasher));
        }
        let key = if let Some(key) = self.bytes(Position::HashKey).await? {
            key
        } else {
            let key = audit_trail::new_key();
            self.put(vec![Position::HashKey.bytes(key.clone())]).await?;
            key
        };
        Ok(Arc::clone(known.insert(Arc::new(Hasher::new(&key)))))
    }

    /// Makes the org's hashes like [`Self::hasher`], and stores nothing: where there is no key yet, nothing was hashed that
    /// could be like it.
    pub(crate) async fn hasher_of_now(&self) -> Result<Arc<Hasher>, StoreError> {
        if self.bytes(Position::HashKey).await?.is_some() {
            return self.hasher().await;
        }
        Ok(Arc::new(Hasher::new(&audit_trail::new_key())))
    }

    /// A new key, to be stored at once: what was hashed until now is like nothing that comes. To be called while no part
    /// runs.
    pub(crate) async fn new_hash_key(&self) -> Moved {
        *self.hasher.lock().await = None;
        Position::HashKey.bytes(audit_trail::new_key())
    }

    /// The org's name.
    pub(crate) fn org(&self) -> &str {
        &self.org
    }

    /// How often the store was read, over all orgs.
    #[cfg(test)]
    pub(crate) fn reads(&self) -> orgpipe_store::Reads {
        self.store.reads()
    }

    /// The stored value.
    pub(crate) async fn bytes(&self, position: Position<'_>) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.store.position(&self.org, &position.name()).await?.filter(|value| !value.is_empty()))
    }

    /// The stored number; none also if it cannot be read.
    pub(crate) async fn seq(&self, position: Position<'_>) -> Result<Option<Seq>, StoreError> {
        self.parsed(position).await
    }

    /// The stored moment; none also if it cannot be read.
    pub(crate) async fn moment(&self, position: Position<'_>) -> Result<Option<UnixMs>, StoreError> {
        self.parsed(position).await
    }

    async fn parsed<T: FromStr>(&self, position: Position<'_>) -> Result<Option<T>, StoreError> {
        let stored = self.bytes(position).await?;
        Ok(stored.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()))
    }

    /// The stored JSON: the inner result says whether it can be read.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        position: Position<'_>,
    ) -> Result<Option<Result<T, Unreadable>>, StoreError> {
        Ok(self.bytes(position).await?.map(|stored| unpack(&stored)))
    }

    /// Stores positions alone.
    pub(crate) async fn put(&self, positions: Vec<Moved>) -> Result<(), StoreError> {
        self.append(Append { positions, ..Append::default() }).await?;
        Ok(())
    }

    /// Commit A: takes requests in, with the positions behind them.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        self.store.append(&self.org, append).await
    }

    /// The next requests.
    pub(crate) async fn ingress_head(&self, records_max: u64) -> Result<Vec<Request>, StoreError> {
        self.store.ingress_head(&self.org, records_max).await
    }

    /// The oldest requests of a lane behind a number.
    pub(crate) async fn ingress_behind(
        &self,
        lane: Lane,
        after: Seq,
        records_max: u64,
    ) -> Result<Head, StoreError> {
        self.store.ingress_behind(&self.org, lane, after, records_max).await
    }

    /// Commit B: takes requests off ingress and puts their changes on egress.
    pub(crate) async fn settle(&self, settle: Settle) -> Result<Settled, StoreError> {
        self.store.settle(&self.org, settle).await
    }

    /// What is on egress for these keys.
    pub(crate) async fn open_changes(
        &self,
        target: &str,
        keys: Vec<String>,
    ) -> Result<OpenChanges, StoreError> {
        self.store.open_changes(&self.org, target, keys).await
    }

    /// What is remembered of these records of a target, by key.
    pub(crate) async fn fingerprints(
        &self,
        target: &str,
        keys: Vec<String>,
    ) -> Result<BTreeMap<String, Fingerprint>, StoreError> {
        let stored = self.store.fingerprints(&self.org, target, keys).await?;
        Ok(stored.into_iter().map(|(key, bytes)| (key, Fingerprint::from_bytes(&bytes))).collect())
    }

    /// Takes changes to be written, by number.
    pub(crate) async fn egress_claim(
        &self,
        now_ms: UnixMs,
        changes_max: usize,
        up_to: Seq,
    ) -> Result<Claimed, StoreError> {
        self.store.egress_claim(&self.org, now_ms, changes_max, up_to).await
    }

    /// Changes on egress, by number.
    pub(crate) async fn changes(&self, numbers: Vec<Seq>) -> Result<Vec<Change>, StoreError> {
        self.store.changes(&self.org, numbers).await
    }

    /// Frees all changes that are taken and in no job.
    pub(crate) async fn release(&self) -> Result<(), StoreError> {
        self.store.release(&self.org).await
    }

    /// Frees these changes, as nothing became of them.
    pub(crate) async fn put_back(&self, changes: Vec<Seq>) -> Result<(), StoreError> {
        self.store.put_back(&self.org, changes).await
    }

    /// Commit C: gives changes their end.
    pub(crate) async fn resolve(&self, resolve: Resolve) -> Result<(), StoreError> {
        self.store.resolve(&self.org, resolve).await
    }

    /// Stores a Bulk job before its data leaves.
    pub(crate) async fn put_job(&self, id: &str, body: Vec<u8>, changes: &[Seq]) -> Result<(), StoreError> {
        self.store.put_job(&self.org, id, body, changes).await
    }

    /// All jobs that are not finished.
    pub(crate) async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        self.store.jobs(&self.org).await
    }

    /// Where the org's records are.
    pub(crate) async fn counts(&self) -> Result<Counts, StoreError> {
        self.store.counts(&self.org).await
    }

    /// How far the org's work has come.
    pub(crate) async fn progress(&self) -> Result<Progress, StoreError> {
        self.store.progress(&self.org).await
    }

    /// The earliest due time of a change that could be taken.
    pub(crate) async fn next_due_ms(&self) -> Result<Option<UnixMs>, StoreError> {
        self.store.next_due_ms(&self.org).await
    }

    /// Dead letters with numbers below the given one, newest first.
    pub(crate) async fn dead_letters(
        &self,
        group: Option<ReasonKey>,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        match group {
            Some(group) => self.store.dead_letters_of(&self.org, group, before, limit).await,
            None => self.store.dead_letters(&self.org, before, limit).await,
        }
    }

    /// Dead letters by sync and reason.
    pub(crate) async fn letter_groups(&self) -> Result<Vec<LetterGroup>, StoreError> {
        self.store.letter_groups(&self.org).await
    }

    /// One dead letter.
    pub(crate) async fn dead_letter(&self, number: Seq) -> Result<DeadLetter, StoreError> {
        self.store.dead_letter(&self.org, number).await
    }

    /// Takes a dead letter away and takes requests in for it.
    pub(crate) async fn retry_dead_letter(&self, retry: Retry) -> Result<Appended, StoreError> {
        self.store.retry_dead_letter(&self.org, retry).await
    }

    /// Throws a dead letter away.
    pub(crate) async fn discard_letter(
        &self,
        number: Seq,
        by: &str,
        at_ms: UnixMs,
    ) -> Result<(), StoreError> {
        self.store.discard_letter(&self.org, number, by, at_ms).await
    }

    /// What the ledger remembers of a record, newest first.
    pub(crate) async fn rows(&self, record: &str, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
        self.store.rows(&self.org, record, limit).await
    }

    /// Rows that are wanted, newest first, about what ended at `since_ms` or later and perhaps some before.
    pub(crate) async fn rows_that(
        &self,
        limit: usize,
        since_ms: UnixMs,
        wanted: impl Fn(&LedgerRow) -> bool + Clone + Send + 'static,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        self.store.rows_that(&self.org, limit, since_ms, wanted).await
    }

    /// What operators did about dead letters, newest first.
    pub(crate) async fn dead_letter_commands(&self, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
        self.store.dead_letter_commands(&self.org, limit).await
    }

    /// Changes that are wanted of those that wait or are being written, oldest first.
    pub(crate) async fn changes_that(
        &self,
        limit: usize,
        wanted: impl Fn(&Change) -> bool + Clone + Send + 'static,
    ) -> Result<Vec<Change>, StoreError> {
        self.store.changes_that(&self.org, limit, wanted).await
    }

    /// The changes made for a record that wait or are being written, oldest first.
    pub(crate) async fn changes_of(&self, record: &str, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.store.changes_of(&self.org, record, limit).await
    }
}
