//! A change unpacked for sending, and what is remembered of it while it is under way.
//!
//! Here: from the stored change to the row that is sent. Not here: with which others it goes (`parts`), what becomes of it
//! (`outcome`).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use orgpipe_reconcile::Operation;
use orgpipe_store::{Change, Outcome, Seq, UnixMs};

use super::resend::Resend;
use crate::{
    audit_trail::AuditTrail,
    org::context::OrgContext,
    queue_entry::{ChangeEntry, Unreadable, unpack},
    trace::steps::{CAUSES_MAX, Traces},
};

/// A change unpacked for sending.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// Its number in the store.
    pub seq: Seq,
    /// Tries so far.
    pub attempts: u32,
    /// How to send it.
    pub resend: Resend,
    /// What to write.
    pub entry: ChangeEntry,
    /// Fields that were taken out of it since it was taken, as their values were refused, and with which code.
    pub left_out: Vec<LeftOut>,
}

/// A field that is not written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// API name.
    pub field: String,
    /// Salesforce's code.
    pub code: String,
}

/// What is remembered of a change while it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// Tries before this one.
    pub attempts: u32,
    /// How it was sent.
    pub resend: Resend,
    /// Stands for the record that its own hangs on.
    pub parent: u64,
    /// Its sync leaves fields out whose values are refused.
    pub leaves_out: bool,
}

impl Outgoing {
    /// What its row is found by in Salesforce, and in which field that stands.
    pub(super) fn key(&self) -> (&str, &str) {
        match self.entry.operation {
            Operation::Upsert => (&self.entry.external_id_field, &self.entry.external_id),
            Operation::Update | Operation::Delete => {
                ("Id", self.entry.target_id.as_deref().unwrap_or_default())
            }
        }
    }

    /// Whether nothing is left to write of a record that is there: what only tells of the write is no reason for one.
    pub(super) fn is_spent(&self) -> bool {
        let ChangeEntry { external_id_field, fields, receipts, target_id, .. } = &self.entry;
        target_id.is_some()
            && fields.keys().all(|field| field == external_id_field || receipts.contains(field))
    }

    /// What is to be remembered of it.
    pub(super) fn tried(&self) -> Tried {
        let mut hasher = DefaultHasher::new();
        self.entry.source_id.hash(&mut hasher);
        Tried { attempts: self.attempts, resend: self.resend, parent: hasher.finish(), leaves_out: false }
    }
}

/// The fields of changes that go together, the key first, each once.
pub(super) fn fields_of(changes: &[Outgoing]) -> Vec<String> {
    let Some(first) = changes.first() else { return Vec::new() };
    let mut fields = vec![first.key().0.to_owned()];
    for name in changes.iter().flat_map(|change| change.entry.fields.keys()) {
        if !fields.contains(name) {
            fields.push(name.clone());
        }
    }
    fields
}

/// The traces of what asked for changes.
pub(super) fn traces<'a>(org: &OrgContext, changes: impl IntoIterator<Item = &'a Change>) -> Traces {
    // While no trace is told the first stands for all.
    let looked_at = if org.sampling.is_on() { CAUSES_MAX } else { 1 };
    let subjects = changes.into_iter().flat_map(|change| &change.subjects).take(looked_at);
    let trails: Vec<AuditTrail> = subjects.filter_map(|subject| unpack(&subject.trail).ok()).collect();
    Traces::of(org.id(), org.sampling, trails.iter().map(AuditTrail::cause))
}

/// Unpacks one change.
pub(super) fn unpack_one(change: &Change) -> Result<Outgoing, Unreadable> {
    let resend = Resend::from_stored(change.resend, change.attempts);
    unpack(&change.body).map(|entry| Outgoing {
        seq: change.seq,
        attempts: change.attempts,
        resend,
        entry,
        left_out: Vec::new(),
    })
}

/// Unpacks; what cannot be read is a dead letter at once.
pub(super) fn unpack_all<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
    now_ms: UnixMs,
) -> (Vec<Outgoing>, Vec<(Seq, Outcome)>) {
    let (mut outgoing, mut outcomes) = (Vec::new(), Vec::new());
    for change in changes {
        match unpack_one(change) {
            Ok(change) => outgoing.push(change),
            Err(problem) => {
                let hint = "Report this as a bug of orgpipe, with the version that ran before.".to_owned();
                outcomes.push((
                    change.seq,
                    Outcome::Dead { reason: problem.to_string(), hint, errors: Vec::new(), at_ms: now_ms },
                ));
            }
        }
    }
    (outgoing, outcomes)
}
