//! What the queues carry, as versioned bytes.
//!
//! Here: the entries of ingress and egress, of a Bulk job, of a dead letter's event and of a gap's tally. Not here: other
//! values in the store, which stand with what they are about (a run in `capture/run.rs`, a gap in
//! `capture/gap_recovery.rs`, a trail in `audit_trail`), and the frames around all of them (the store).
//!
//! Invariant: an entry that an older version wrote is read as what it meant then.

use orgpipe_reconcile::Operation;
use orgpipe_store::{Seq, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A Salesforce record as it came over the wire.
pub(crate) type Row = Map<String, Value>;

/// Why a request exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// A platform event.
    Live,
    /// A scheduled or demanded refresh.
    Refresh,
    /// Re-reading of a gap in the event stream.
    Heal,
    /// An operator has a dead letter tried again.
    Retry,
    /// A refresh found a record of the target without the record that it was made for: the IDs are the target's.
    Orphan,
    /// The vendor says that its data about them has changed.
    Push,
}

/// Look up these records: one entry of the ingress queue. Records of one object, at most as many as a look-up carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestEntry {
    /// Format version, now 1.
    pub v: u8,
    /// Name of the sync that asked.
    pub sync: String,
    /// Why it was asked for.
    pub origin: Origin,
    /// Record IDs as received, in order.
    pub ids: Vec<String>,
    /// The records' key and `$` fields when the asker has them already (a refresh page has).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<Row>>,
    /// Parallel to `ids`: which pushes asked for each, and what they brought. Empty if none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pushed: Vec<PushedRecord>,
    /// `EventUuid` of the event, the ID of the run or gap that read it, or the number of the push.
    pub event_id: String,
    /// The event's own correlation ID, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// When it came.
    pub received_ms: UnixMs,
}

/// What pushes say about one record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PushedRecord {
    /// Their numbers: each counts what becomes of it.
    pub by: Vec<Seq>,
    /// What a look-up would answer; none: it is looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<PushedData>,
}

/// An answer about a record that a push brought along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PushedData {
    /// Number of the push; of the newest one if several brought it.
    pub push: Seq,
    /// When it was accepted; of the oldest one.
    pub at_ms: UnixMs,
    /// One object per record of the target.
    pub data: Vec<Value>,
}

/// An event that could not be read, as a dead letter keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventEntry {
    /// Format version, now 1.
    pub v: u8,
    /// Where it came, namespace applied.
    pub channel: String,
    /// The event's `data`, as it came unless it is `cut`.
    pub event: Value,
    /// Bytes of an event that was too large to be kept: of its texts there are only the beginnings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<usize>,
}

/// Write these fields: one entry of the egress queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChangeEntry {
    /// Format version, now 1.
    pub v: u8,
    /// Name of the sync it belongs to.
    pub sync: String,
    /// sObject written, namespace applied.
    pub target: String,
    /// External ID field, namespace applied.
    pub external_id_field: String,
    /// External ID value as the vendor's API gave it.
    pub external_id: String,
    /// What is done to the record.
    #[serde(default)]
    pub operation: Operation,
    /// ID of the target record, if it was there; always for what goes by it, which is all but an upsert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// The fields that differ, external ID not among them; `null` empties a field.
    pub fields: Row,
    /// Those of the fields that only tell of the write: without another field there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<String>,
    /// What is remembered of the record's other fields, by the look that it was decided with; as `Fingerprint` writes it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// The source record it was made for.
    pub source_id: String,
    /// Why it was asked for.
    pub origin: Origin,
    /// The gap in the events that it helps to recover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// When its request came.
    pub received_ms: UnixMs,
}

/// What became of the records of a gap that is being recovered, counted in the commits that decide them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// The gap.
    pub gap: String,
    /// The org held the right values.
    pub unchanged: u64,
    /// Nothing is known about them, or they are gone.
    pub no_data: u64,
    /// They became dead letters.
    pub failed: u64,
    /// They became changes.
    pub changes: u64,
    /// API calls it took.
    pub calls: u64,
}

impl Tally {
    /// The stored count, if it is of this gap; else a new one.
    pub(crate) fn of(gap: &str, stored: Option<&[u8]>) -> Self {
        let known = stored.and_then(|stored| unpack::<Self>(stored).ok()).filter(|known| known.gap == gap);
        known.unwrap_or_else(|| Self { gap: gap.to_owned(), ..Self::default() })
    }
}

/// A Bulk API 2.0 job under way, as much as is needed to go on with it after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobEntry {
    /// Format version, now 1.
    pub v: u8,
    /// Where its data is uploaded, as Salesforce told.
    pub content_url: String,
    /// Field the rows are matched by: the external ID, or `Id`.
    pub external_id_field: String,
    /// What is done to the records.
    #[serde(default)]
    pub operation: Operation,
    /// When it was created; none if an earlier version created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_ms: Option<UnixMs>,
    /// Sequence number and key of each uploaded row, in order.
    pub rows: Vec<(Seq, String)>,
    /// The fields in the file; none if it was opened by a version that did not store them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
}

/// An entry that cannot be read back: written by a newer version, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("a queue entry cannot be read: {0}")]
pub(crate) struct Unreadable(#[from] serde_json::Error);

/// The entry as stored bytes.
pub(crate) fn pack<T: Serialize>(entry: &T) -> Vec<u8> {
    serde_json::to_vec(entry).expect("an entry holds only strings, numbers and JSON values")
}

/// A stored entry, back.
pub(crate) fn unpack<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
    Ok(serde_json::from_slice(bytes)?)
}
