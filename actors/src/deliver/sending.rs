//! What will be remembered of the records that are being written, once it is known that they were.
//!
//! Here: the fingerprint of each change in flight, and what commit C stores of it. Not here: what a fingerprint tells
//! (`fingerprint`), sending (`rest`, `bulk`).
//!
//! Invariant: only fields that were sent are remembered as sent. Of a change of which that is not known nothing is.

use std::collections::BTreeMap;

use orgpipe_reconcile::Operation;
use orgpipe_store::{Job, Outcome, Seq, UnixMs};

use super::outgoing::Outgoing;
use crate::{
    audit_trail::Hasher,
    fingerprint::Fingerprint,
    queue_entry::{ChangeEntry, JobEntry, Origin, unpack},
};

/// The changes in flight, by number.
#[derive(Debug, Default)]
pub(super) struct Sending(BTreeMap<Seq, Remembering>);

#[derive(Debug)]
struct Remembering {
    /// As the record was looked at before.
    before: Fingerprint,
    /// With what is sent.
    after: Fingerprint,
    /// Name of the sync that it is of.
    sync: String,
    /// When the event came that asked for it, if one did.
    event_ms: Option<UnixMs>,
}

impl Remembering {
    fn new(hasher: &Hasher, entry: &ChangeEntry) -> Self {
        let before = Fingerprint::from_text(&entry.fingerprint);
        let after = match entry.operation {
            Operation::Delete => Fingerprint::default(),
            Operation::Upsert | Operation::Update => before.clone().sent(hasher, &entry.fields),
        };
        let event_ms = (entry.origin == Origin::Live).then_some(entry.received_ms);
        Self { before, after, event_ms, sync: entry.sync.clone() }
    }
}

impl Sending {
    /// These are sent with the fields that they have now.
    pub(super) fn sent(&mut self, hasher: &Hasher, changes: &[Outgoing]) {
        for change in changes {
            self.0.insert(change.seq, Remembering::new(hasher, &change.entry));
        }
    }

    /// Those of a job that was uploaded before a restart. Fields that its file lacks were in quarantine then.
    pub(super) fn resumed(&mut self, hasher: &Hasher, job: &Job) {
        let Some(fields) = unpack::<JobEntry>(&job.body).ok().and_then(|entry| entry.fields) else { return };
        for change in &job.changes {
            if let Ok(mut entry) = unpack::<ChangeEntry>(&change.body) {
                entry.fields.retain(|field, _| fields.contains(field));
                self.0.insert(change.seq, Remembering::new(hasher, &entry));
            }
        }
    }

    /// What became of these is not known, so they are sent again.
    pub(super) fn failed(&mut self, numbers: &[Seq]) {
        for number in numbers {
            self.0.remove(number);
        }
    }

    /// Which sync each of these is of, as far as that is known. To be asked before `ended`.
    pub(super) fn syncs(&self, outcomes: &[(Seq, Outcome)]) -> Vec<(Seq, String)> {
        let one = |(seq, _): &(Seq, Outcome)| Some((*seq, self.0.get(seq)?.sync.clone()));
        outcomes.iter().filter_map(one).collect()
    }

    /// When the events came whose records are written with these outcomes; to be asked before they have `ended`.
    pub(super) fn events_written(&self, outcomes: &[(Seq, Outcome)]) -> Vec<UnixMs> {
        let is_written =
            |outcome: &Outcome| matches!(outcome, Outcome::Written | Outcome::WrittenInPart { .. });
        let written = outcomes.iter().filter(|(_, outcome)| is_written(outcome));
        written.filter_map(|(number, _)| self.0.get(number)?.event_ms).collect()
    }

    /// What commit C stores for these. `now_ms`: by the org's clock.
    pub(super) fn ended(&mut self, outcomes: &[(Seq, Outcome)], now_ms: UnixMs) -> Vec<(Seq, Vec<u8>)> {
        let mut remembered = Vec::with_capacity(outcomes.len());
        for (number, outcome) in outcomes {
            let in_flight = self.0.remove(number);
            let fingerprint = match outcome {
                // It stays on egress, and whatever is decided for its record is written behind it without a look.
                Outcome::Retry { .. } => continue,
                Outcome::Written | Outcome::WrittenInPart { .. } => {
                    in_flight.map(|change| change.after.written(now_ms))
                }
                // A try may have been written all the same: what was sent last is in doubt, but not what it left alone.
                Outcome::Dead { .. } | Outcome::Superseded { .. } => in_flight.map(|change| change.before),
            };
            remembered.push((*number, fingerprint.unwrap_or_default().bytes()));
        }
        remembered
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_store::{Change, Lane};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        deliver::outgoing::unpack_one,
        fingerprint::RecordLook,
        queue_entry::{Row, pack},
    };

    fn object(value: Value) -> Row {
        match value {
            Value::Object(row) => row,
            other => panic!("{other} is no object"),
        }
    }

    /// A change of `Notes__c` and `Size__c` of a record whose `Phone__c` is known.
    fn change(hasher: &Hasher, seq: u64, operation: &str) -> Change {
        let known = Fingerprint::default().sent(hasher, &object(json!({ "Phone__c": "1" })));
        let body = json!({
            "v": 1, "sync": "s", "target": "T", "external_id_field": "X", "external_id": "k", "source_id": "001",
            "origin": "live", "received_ms": 1, "operation": operation, "fingerprint": known.to_text(),
            "fields": { "Notes__c": "a & b", "Size__c": 7 },
        });
        let (target, key, last_reason) = ("T".into(), "k".into(), String::new());
        let (lane, subjects, attempts, resend) = (Lane::Live, Vec::new(), 0, 0);
        Change {
            seq: Seq(seq),
            lane,
            target,
            key,
            subjects,
            attempts,
            last_reason,
            resend,
            body: pack(&body),
        }
    }

    /// Which of the fields are remembered as sent.
    fn fields(hasher: &Hasher, bytes: &[u8]) -> Vec<&'static str> {
        let us = "005000000000001AAA";
        let row = json!({ "Notes__c": "n", "Size__c": "s", "Phone__c": "p", "LastModifiedById": us });
        let look = RecordLook { hasher, user: us, row: &object(row) };
        let looked = Fingerprint::from_bytes(bytes).looked(look);
        let sent = [("Notes__c", json!("a & b")), ("Size__c", json!(7)), ("Phone__c", json!("1"))];
        sent.iter().filter(|(name, value)| looked.keeps(look, name, value)).map(|(name, _)| *name).collect()
    }

    #[test]
    fn what_was_sent_is_remembered_once_it_is_written_and_no_other_field() {
        let hasher = Hasher::new(b"secret");
        let again = || Outcome::Retry { due_ms: None, reason: String::new(), resend: 0, counted: true };
        let dead = || {
            let (reason, hint, errors) = (String::new(), String::new(), Vec::new());
            Outcome::Dead { reason, hint, errors, at_ms: UnixMs(0) }
        };
        let mut sending = Sending::default();
        let mut stripped = unpack_one(&change(&hasher, 2, "upsert")).expect("readable");
        stripped.entry.fields.remove("Size__c");
        let whole = |seq| unpack_one(&change(&hasher, seq, "upsert")).expect("readable");
        let deleted = unpack_one(&change(&hasher, 6, "delete")).expect("readable");
        sending.sent(&hasher, &[whole(1), stripped, whole(3), whole(4), whole(5), deleted]);
        sending.failed(&[Seq(5)]);
        let written = || Outcome::Written;
        let outcomes = [written(), written(), again(), dead(), written(), written()];
        let outcomes: Vec<_> = (1..).map(Seq).zip(outcomes).collect();
        let ended = sending.ended(&outcomes, UnixMs(1_000));
        let remembered: Vec<_> = ended.iter().map(|(seq, bytes)| (seq.0, fields(&hasher, bytes))).collect();
        let all = vec!["Notes__c", "Size__c", "Phone__c"];
        let expected = [
            (1, all),
            (2, vec!["Notes__c", "Phone__c"]),
            (4, vec!["Phone__c"]),
            (5, Vec::new()),
            (6, Vec::new()),
        ];
        assert_eq!(remembered, expected);
        assert!(sending.0.is_empty(), "nothing stays in memory");
    }

    #[test]
    fn after_a_restart_only_what_is_in_the_jobs_file_counts_as_sent() {
        let hasher = Hasher::new(b"secret");
        let job = |fields: Option<Value>| {
            let mut entry = json!({ "v": 1, "content_url": "u", "external_id_field": "X", "rows": [] });
            entry
                .as_object_mut()
                .expect("an object")
                .extend(fields.map(|fields| ("fields".to_owned(), fields)));
            Job { id: "750".into(), body: pack(&entry), changes: vec![change(&hasher, 1, "upsert")] }
        };
        for (stored, expected) in [
            (Some(json!(["X", "Notes__c"])), vec!["Notes__c", "Phone__c"]),
            // An older version did not say.
            (None, Vec::new()),
        ] {
            let mut sending = Sending::default();
            sending.resumed(&hasher, &job(stored));
            let ended = sending.ended(&[(Seq(1), Outcome::Written)], UnixMs(1_000));
            assert_eq!(fields(&hasher, &ended[0].1), expected);
        }
    }
}
