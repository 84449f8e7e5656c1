//! Point B: requests leave ingress, and each of their records gets its place.
//!
//! Here: whether the records of a settle balance, and what it changes. Not here: which change may be taken next
//! (`egress.rs`).

use std::collections::BTreeMap;

use crate::{
    commands::{Change, End, Fingerprint, Lane, NewChange, Settle, Settled, units},
    entry::StoredChange,
    error::StoreError,
    fingerprints,
    keys::Key,
    org::{Ended, Org},
    seq::Seq,
    step::Step,
    unix_ms::UnixMs,
};

/// Why a letter is needed no more.
const HELD: &str = "the org holds what was wanted";
const NOTHING: &str = "there is nothing to write for the record any more";

impl Org {
    /// Changes that a settle will replace, unless it is refused: `settle` needs their stored form.
    pub(crate) fn replaced_by(&self, settle: &Settle) -> Vec<Seq> {
        let changes = settle.changes.iter();
        changes.flat_map(|change| self.egress.replaceable(&change.target, &change.key)).collect()
    }

    /// Point B. `stored` has the changes that `replaced_by` named.
    pub(crate) fn settle(
        &mut self,
        step: &mut Step<'_>,
        settle: Settle,
        mut stored: BTreeMap<Seq, StoredChange>,
    ) -> Result<Settled, StoreError> {
        let Settle { requests, unchanged, no_data, dead, changes, at_ms, positions, fingerprints, mended } =
            settle;
        let decided = Seq(step.mark.sequence.0 + 1);
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
            let (seq, target, key, target_id, reason) = (None, "", "", "", "");
            let ended = Ended { end, at_ms, seq, tries: 0, target, key, target_id, reason, by: "" };
            self.add_rows(step, &ended, subjects);
        }
        let mut settled = Settled::default();
        for change in changes {
            self.push(step, change, at_ms, &mut stored, &mut settled);
        }
        // Behind the changes, so that a letter has been seen later than what was decided with it: no write of those ends it.
        for letter in dead {
            self.add_new_dead_letter(step, letter);
        }
        for one in mended {
            let why = if one.key.is_some() { HELD } else { NOTHING };
            self.close_letters(step, &one, decided, (at_ms, why, ""));
        }
        settled.changes = stored.into_values().map(|stored| stored.change).collect();
        self.set_positions(step, positions);
        for Fingerprint { target, key, bytes } in fingerprints {
            self.fingerprints.set(step, fingerprints::number(&target, &key), &bytes);
        }
        Ok(settled)
    }

    fn push(
        &mut self,
        step: &mut Step<'_>,
        change: NewChange,
        at_ms: UnixMs,
        stored: &mut BTreeMap<Seq, StoredChange>,
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
                self.add_superseded_rows(step, change, at_ms, seq);
            }
            settled.replaced.push(old);
        }
        let (attempts, last_reason, resend) = (0, String::new(), 0);
        let lane = pushed.lane;
        let change = Change { seq, lane, target, key, subjects, attempts, last_reason, resend, body };
        let new = StoredChange { org: step.org.to_owned(), due_ms: None, change };
        step.put(&Key::Change(seq), &new.encode());
        stored.insert(seq, new);
        self.ledger.changes += 1;
        self.ledger.counts.open_egress += units;
    }
}
