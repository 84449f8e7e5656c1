//! What goes into the store and what comes out of it.
//!
//! Here: the three commands (append, settle, resolve) and what they carry, as plain data; the size limits.
//! Not here: what a command does (`append.rs`, `settle.rs`, `resolve.rs`), how its entries look on disk (`entry.rs`).

use std::collections::BTreeMap;

use crate::{
    refusal::{LetterError, Mended},
    seq::Seq,
    unix_ms::UnixMs,
};

/// Bytes of one body; larger ones are refused.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a name: org, position, target, key of a change, job id.
pub const NAME_BYTES_MAX: usize = 1_024;
/// Bytes kept of a reason or a hint; the rest is cut off, at a character's end.
pub const TEXT_BYTES_MAX: usize = 2_000;
/// Bytes of bodies in one answer of `ingress_head`, except that one request is always given.
pub const HEAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a subject's trail; larger ones are refused.
pub const TRAIL_BYTES_MAX: usize = 1_024;

/// Bytes kept of what the record of a target is called there.
pub const TARGET_ID_BYTES_MAX: usize = 64;

/// Bytes of one fingerprint; larger ones are refused.
pub const FINGERPRINT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of all fingerprints of one org; some of those that are there make room for new ones.
pub const FINGERPRINTS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of one value of the registry; larger ones are refused.
pub const REGISTRY_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Values of the registry, of all kinds.
pub const REGISTRY_VALUES_MAX: usize = 100_000;
/// Bytes of all values of the registry.
pub const REGISTRY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of one value of the history; larger ones are refused.
pub const HISTORY_VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of all values of the history with their keys. Whoever writes them keeps far below.
pub const HISTORY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Where a value of the history stands: by level, then moment, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HistoryKey {
    /// How fine it is, as its owner says.
    pub level: u8,
    /// What it begins with, in minutes since 1970.
    pub start: u32,
    /// Tells several of the same moment apart; may be empty.
    pub name: String,
}

/// What changes about the history, in one commit: first some go, then others are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryWrite {
    /// Those that go.
    pub remove: Vec<HistoryKey>,
    /// Those that are set, in the place of what stood there.
    pub put: Vec<(HistoryKey, Vec<u8>)>,
}

/// What is asked of several orgs at once: one value, however many they are. Both parts are opaque here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Push {
    /// What is known of it at once.
    pub head: Vec<u8>,
    /// What each of the orgs reads when its turn comes.
    pub body: Vec<u8>,
}

/// What changes about pushes, in one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushWrite {
    /// One that is new.
    pub add: Option<Push>,
    /// Others that get another head.
    pub heads: Vec<(Seq, Vec<u8>)>,
    /// Others that go, with what every org has counted for them.
    pub remove: Vec<Seq>,
}

/// What became of the records that a push has asked one org for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushCounts {
    /// Records that came in for it.
    pub found: u64,
    /// Of these, those that were written to the org.
    pub written: u64,
    /// Those that needed no write.
    pub unchanged: u64,
    /// Those about which nothing is known.
    pub no_data: u64,
    /// Those whose change made room for a newer one.
    pub superseded: u64,
    /// Those that ended as dead letters.
    pub dead: u64,
}

impl PushCounts {
    /// Records that have not ended.
    pub fn open(&self) -> u64 {
        let ended = self.written + self.unchanged + self.no_data + self.superseded + self.dead;
        self.found.saturating_sub(ended)
    }
}

/// A value of the service as a whole that is set or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryWrite {
    /// What kind of value it is, such as the hash of a token.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
    /// Its content, in the place of what was there; opaque here. None: it is removed, if it is there.
    pub value: Option<Vec<u8>>,
}

/// What is remembered of a record of a target beside its changes, in the place of what was remembered before; opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Where to, as a change names it.
    pub target: String,
    /// Which record of the target, as a change names it.
    pub key: String,
    /// Its content; empty if nothing is to be remembered any more.
    pub bytes: Vec<u8>,
}

/// Which of two queues: live goes before refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Somebody just changed a record and may be looking at it.
    Live,
    /// A scheduled pass; nobody waits.
    Refresh,
}

/// Point A: what arrived, and how far the source has been read with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Append {
    /// Name and new value of each position that is set. An empty value is stored, but is answered as none.
    pub positions: Vec<(String, Vec<u8>)>,
    /// Names of positions that end: nothing is stored of them afterwards, even if `positions` sets them. They need not be
    /// stored.
    pub ended_positions: Vec<String>,
    /// Work that arrived, in order.
    pub requests: Vec<NewRequest>,
    /// What could not even be read: counted as come in and dead.
    pub dead: Vec<NewDead>,
    /// How many of these records came in for which push; one that is there no more counts nothing.
    pub found: Vec<(Seq, u64)>,
}

/// One request to look records up, before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRequest {
    /// Queue it waits in.
    pub lane: Lane,
    /// Records it stands for in the ledger.
    pub records: u32,
    /// Its content; opaque here.
    pub body: Vec<u8>,
}

/// One stored request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number; rises over all orgs and is never given twice.
    pub seq: Seq,
    /// Queue it waits in.
    pub lane: Lane,
    /// Records it stands for in the ledger.
    pub records: u32,
    /// Its content.
    pub body: Vec<u8>,
}

/// What an append came to: its requests with their numbers, to be passed on without reading them back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Number of the newest request of the org before these; [`Seq::MIN`] if none has waited since the store was opened. Whoever has seen
    /// all up to that one and these has seen all.
    pub after: Seq,
    /// As they are stored, in order.
    pub requests: Vec<Request>,
}

/// Waiting requests of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Oldest first.
    pub requests: Vec<Request>,
    /// Whether these are all that waited behind the number that was asked with.
    pub complete: bool,
    /// The highest number given over all orgs when they were read.
    pub given: Seq,
}

/// By key, the content of each change on egress, oldest first; keys without any are not in it.
pub type OpenChanges = BTreeMap<String, Vec<Vec<u8>>>;

/// A record that was asked for. It is in exactly one place until it ends; then the ledger has a row about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Which record: what [`Store::rows`](crate::Store::rows) finds it by.
    pub record: String,
    /// How often it was asked for, that is records it stands for in the counts; 0 if they are counted elsewhere.
    pub units: u32,
    /// When it was asked for.
    pub asked_ms: UnixMs,
    /// What led to its end, for whoever asks later; opaque here, at most [`TRAIL_BYTES_MAX`].
    pub trail: Vec<u8>,
    /// The pushes that asked for it, each of which counts its end; each is one of the `units`.
    pub pushes: Vec<Seq>,
}

/// How a record ended, or what an operator did about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is in the org.
    Written,
    /// It was already as it should be.
    Unchanged,
    /// Nothing is known about it.
    NoData,
    /// A newer change of the same key took its place, or something else did.
    Superseded,
    /// It became a dead letter.
    Dead,
    /// An operator had its dead letter tried again. The record's end is the row before it; this one counts nothing.
    Retried,
    /// An operator threw its dead letter away. The record's end is the row before it; this one counts nothing.
    Discarded,
    /// Its dead letter was needed no more, as it ended well since. This row counts nothing.
    Closed,
}

/// What the ledger remembers of one record. There is one row per subject, written in the commit that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The record.
    pub subject: Subject,
    /// How it ended.
    pub end: End,
    /// When it ended.
    pub ended_ms: UnixMs,
    /// Number of the change that carried it or of the dead letter it became, if there was one of them.
    pub seq: Option<Seq>,
    /// How often the change was sent.
    pub tries: u32,
    /// Where to; empty if it ended before that was known.
    pub target: String,
    /// Which record of the target; the dead letter's name if there is no target.
    pub key: String,
    /// What whoever was written to calls the record of the target; empty if that is the key, if it was not written, or if that is
    /// not known.
    pub target_id: String,
    /// Why it was put back last or ended badly, shortened; for a superseded one by what.
    pub reason: String,
    /// By what or by whom: as given with the resolve, or the operator.
    pub by: String,
}

/// Records that end before a change came of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDead {
    /// The record, with all units that end here.
    pub subject: Subject,
    /// Name of the sync; empty if it belongs to none.
    pub sync: String,
    /// Which record it is, for the operator.
    pub key: String,
    /// Why it ended, as a sentence.
    pub reason: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// What is wrong, one by one, without the record's values.
    pub errors: Vec<LetterError>,
    /// What is needed to try again; opaque here.
    pub body: Vec<u8>,
    /// When.
    pub at_ms: UnixMs,
}

/// Point B: requests leave ingress, and each of their records gets its place.
///
/// The records of `requests` must equal the units of all subjects in the other lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settle {
    /// Numbers of the requests that are done.
    pub requests: Vec<Seq>,
    /// Records that were already as they should be.
    pub unchanged: Vec<Subject>,
    /// Records about which nothing is known.
    pub no_data: Vec<Subject>,
    /// Records that ended badly.
    pub dead: Vec<NewDead>,
    /// Writes that follow, in order.
    pub changes: Vec<NewChange>,
    /// Name and new value of each position that is set with it, such as a count of these records.
    pub positions: Vec<(String, Vec<u8>)>,
    /// What is remembered from then on of records of a target.
    pub fingerprints: Vec<Fingerprint>,
    /// What is found to be as it should, so that dead letters about it are needed no more.
    pub mended: Vec<Mended>,
    /// When this was decided.
    pub at_ms: UnixMs,
}

/// What a settle came to: its changes with their numbers, to be passed on without reading them back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// As they are stored, in order, without those that a later one of the same settle replaced.
    pub changes: Vec<Change>,
    /// Numbers of the changes on egress that they replaced.
    pub replaced: Vec<Seq>,
}

/// Changes that somebody takes to write them: of one target and lane, oldest first, one per key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Their numbers.
    pub numbers: Vec<Seq>,
    /// Their lane; none if there are none.
    pub lane: Option<Lane>,
    /// The highest number given over all orgs when they were taken.
    pub given: Seq,
}

/// One write to one record, before it has a number.
///
/// A waiting change of the same target and key is replaced by it and its units are counted superseded. It takes over
/// the better lane of those it stands behind or replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChange {
    /// Queue it waits in.
    pub lane: Lane,
    /// Where to: changes of one target may be written together.
    pub target: String,
    /// Which record of the target: changes of one key are written in order, one at a time.
    pub key: String,
    /// Records that it is written for.
    pub subjects: Vec<Subject>,
    /// Its content; opaque here.
    pub body: Vec<u8>,
}

/// One stored change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number; rises over all orgs and is never given twice.
    pub seq: Seq,
    /// Queue it waits in.
    pub lane: Lane,
    /// Where to.
    pub target: String,
    /// Which record of the target.
    pub key: String,
    /// Records that it is written for.
    pub subjects: Vec<Subject>,
    /// How often it has been tried and put back; the times that did not count are not among them.
    pub attempts: u32,
    /// Why it was put back last; empty if it never was.
    pub last_reason: String,
    /// How whoever put it back last wants it sent; opaque here, 0 if it never was.
    pub resend: u8,
    /// Its content.
    pub body: Vec<u8>,
}

/// Point C: what became of changes that were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolve {
    /// Number of a taken change, and its end.
    pub outcomes: Vec<(Seq, Outcome)>,
    /// The job that is over. Changes of it without an outcome are free again at once.
    pub finished_job: Option<String>,
    /// When it was learnt.
    pub at_ms: UnixMs,
    /// What wrote it, for the ledger's rows: the call or the job, in a few words.
    pub by: String,
    /// Those of the changes that the caller still has as it was given them; the others are read from disk.
    pub changes: Vec<Change>,
    /// By the number of a change that has an outcome here: what is remembered from then on of the record that it is for.
    /// Empty: nothing.
    pub fingerprints: Vec<(Seq, Vec<u8>)>,
    /// By the number of a change that has an outcome here: name of the sync that it is of. What is written ends the dead
    /// letters about it of that sync; without a name it ends none.
    pub syncs: Vec<(Seq, String)>,
    /// By the number of a change that has an outcome here: what whoever was written to calls the record that it is for, for
    /// the ledger's rows about what is written. At most [`TARGET_ID_BYTES_MAX`] of it are kept.
    pub target_ids: Vec<(Seq, String)>,
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the org.
    Written,
    /// It is in the org, but not all of it. It counts as written.
    WrittenInPart {
        /// What is missing and why, as a sentence.
        reason: String,
    },
    /// Try again, unless a newer change of the same key has come: then it is superseded by that.
    Retry {
        /// Not before this time; none: at once.
        due_ms: Option<UnixMs>,
        /// Why, as a sentence.
        reason: String,
        /// How it is to be sent then; opaque here.
        resend: u8,
        /// Whether this time counts among its tries. One that only waits, for somebody to mend something, does not.
        counted: bool,
    },
    /// It is not to be written any more, and something else will see to its records.
    Superseded {
        /// Why, as a sentence.
        reason: String,
    },
    /// It will not go in.
    Dead {
        /// Why, as a sentence.
        reason: String,
        /// What to do about it; may be empty.
        hint: String,
        /// What is wrong, one by one, without the record's values.
        errors: Vec<LetterError>,
        /// When.
        at_ms: UnixMs,
    },
}

/// How far the work of an org has come, by the numbers that requests and changes are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The highest number given so far, over all orgs.
    pub given: Seq,
    /// The oldest request that waits.
    pub oldest_request: Option<Seq>,
    /// The oldest change that is open, waiting or in flight.
    pub oldest_change: Option<Seq>,
    /// Changes that are open no more, written or not, since the store was opened. While it is the same number, no record
    /// of the org has been written by us.
    pub ended_changes: u64,
}

/// One stored job: changes that somebody else is writing for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What is needed to go on with it; opaque here.
    pub body: Vec<u8>,
    /// Its changes that have no outcome yet, oldest first.
    pub changes: Vec<Change>,
}

/// Records that the subjects stand for.
pub fn units(subjects: &[Subject]) -> u64 {
    subjects.iter().map(|subject| u64::from(subject.units)).sum()
}
