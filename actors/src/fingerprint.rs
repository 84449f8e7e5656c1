//! What was sent of a target's record last, and in which form the org keeps it, as keyed hashes.
//!
//! An org may keep a value in another form than it was sent in: it tidies rich text, masks what it encrypts, and a flow or a
//! trigger writes something else. Compared with what is sent, such a value differs for ever. So it counts as unchanged while
//!
//! 1. what would be sent is what was sent last,
//! 2. and what the org holds is what it held when it was seen first after that write. That first look counts if nobody but
//!    our own user had changed the record, and not later than our write was known to have ended.
//!
//! What is shown as a mask tells nothing, so there the second half of 2 has to hold at every look.
//!
//! ```text
//! sent (C) ── first look: ours ─▶ kept ── the org holds the same ─▶ unchanged
//!     │                            │
//!     └── somebody else's ─▶ gone ◀┴ another value to be sent, or another one is held: sent again
//! ```
//!
//! Here: the decision and the bytes. Not here: when a record is looked at (`decide`), what was sent (`deliver`), where it is
//! kept (the store).
//!
//! Invariant: no value is in it, only hashes under the org's key.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use orgpipe_reconcile::{
    Row, id, row,
    system::{CHANGED_AT, CHANGED_BY},
};
use orgpipe_store::UnixMs;
use serde_json::Value;

use crate::{
    audit_trail::{Digest, Hasher},
    clock::instant_ms,
};

/// What runs behind a write, still as our user, may take so long; and so far may clocks be apart.
const AFTERWARDS: Duration = Duration::from_mins(5);
/// Fields that are remembered of a record: as many as an object can have.
const FIELDS_MAX: usize = 800;

/// What is remembered of one record of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// When its last write was known to have ended, by the org's clock in seconds since 1970.
    written_secs: u32,
    /// By the hash of a field's name.
    fields: BTreeMap<u32, SentField>,
}

/// A field that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SentField {
    value: Digest,
    /// What the org made of it; none as long as that was not seen.
    kept: Option<Digest>,
}

/// Who looks at a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordLook<'a> {
    /// Makes the hashes.
    pub hasher: &'a Hasher,
    /// The ID of our own user.
    pub user: &'a str,
    /// The record as the org holds it.
    pub row: &'a Row,
}

impl RecordLook<'_> {
    /// Whether our user changed it last, and not after this time.
    fn is_ours(&self, written_secs: u32) -> bool {
        let by = row::get(self.row, CHANGED_BY).and_then(Value::as_str).and_then(id::canonical);
        let at = row::get(self.row, CHANGED_AT).and_then(Value::as_str).and_then(instant_ms);
        let until = UnixMs(u64::from(written_secs) * 1_000).saturating_add(AFTERWARDS);
        by.is_some() && by == id::canonical(self.user) && at.is_none_or(|at| at <= until)
    }
}

impl Fingerprint {
    /// Nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// What is known after a look: in which form the org keeps what was sent since the last one, or nothing of it if others
    /// may have had a hand in it.
    pub(crate) fn looked(mut self, look: RecordLook<'_>) -> Self {
        if self.is_empty() {
            return self;
        }
        let ours = look.is_ours(self.written_secs);
        let held: BTreeMap<u32, &Value> =
            look.row.iter().map(|(name, value)| (look.hasher.tag(name), value)).collect();
        self.fields.retain(|tag, sent| {
            let held = held.get(tag);
            if sent.kept.is_none() {
                sent.kept = held.filter(|_| ours).map(|value| look.hasher.digest(value));
            }
            sent.kept.is_some() && (ours || !held.is_some_and(|value| is_masked(value)))
        });
        self
    }

    /// Whether what the org holds in a field is what it makes of this value. To be asked after a look.
    pub(crate) fn keeps(&self, look: RecordLook<'_>, field: &str, value: &Value) -> bool {
        let Some(sent) = self.fields.get(&look.hasher.tag(field)) else { return false };
        let held = row::get(look.row, field).unwrap_or(&Value::Null);
        sent.value == look.hasher.digest(value) && sent.kept == Some(look.hasher.digest(held))
    }

    /// Without the fields that are about to be sent.
    pub(crate) fn without(mut self, hasher: &Hasher, fields: &Row) -> Self {
        for name in fields.keys() {
            self.fields.remove(&hasher.tag(name));
        }
        self
    }

    /// With the fields that were sent.
    pub(crate) fn sent(mut self, hasher: &Hasher, fields: &Row) -> Self {
        for (name, value) in fields.iter().take(FIELDS_MAX) {
            let sent = SentField { value: hasher.digest(value), kept: None };
            self.fields.insert(hasher.tag(name), sent);
        }
        self
    }

    /// The write is known to have ended by the org's clock.
    pub(crate) fn written(mut self, at_ms: UnixMs) -> Self {
        self.written_secs = u32::try_from(at_ms.0 / 1_000).unwrap_or(u32::MAX);
        self
    }

    /// Whether its last write may have ended after this time by the org's clock.
    pub(crate) fn is_written_since(&self, at_ms: UnixMs) -> bool {
        !self.is_empty() && u64::from(self.written_secs) * 1_000 + 1_000 > at_ms.0
    }

    /// As it is stored; no bytes if there is nothing.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut bytes = self.written_secs.to_be_bytes().to_vec();
        for (tag, SentField { value, kept }) in self.fields.iter().take(FIELDS_MAX) {
            bytes.extend(tag.to_be_bytes());
            bytes.extend(value);
            bytes.push(u8::from(kept.is_some()));
            bytes.extend(kept.iter().flatten());
        }
        bytes
    }

    /// Back; what a later version may have written counts as nothing.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    /// As a change on its way carries it; empty if there is nothing.
    pub(crate) fn to_text(&self) -> String {
        self.bytes().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Back.
    pub(crate) fn from_text(text: &str) -> Self {
        let (pairs, _) = text.as_bytes().as_chunks::<2>();
        let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes.map(|bytes| Self::from_bytes(&bytes)).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let (written, mut rest) = bytes.split_first_chunk::<4>()?;
        let mut fields = BTreeMap::new();
        while !rest.is_empty() {
            let (tag, behind) = rest.split_first_chunk::<4>()?;
            let (value, behind) = behind.split_first_chunk::<6>()?;
            let (has_kept, behind) = behind.split_first()?;
            let kept = match has_kept {
                0 => None,
                1 => Some(*behind.first_chunk::<6>()?),
                _ => return None,
            };
            rest = &behind[kept.map_or(0, |kept| kept.len())..];
            fields.insert(u32::from_be_bytes(*tag), SentField { value: *value, kept });
        }
        Some(Self { written_secs: u32::from_be_bytes(*written), fields })
    }
}

/// Whether a value is shown in part or not at all: whoever may not see encrypted text is shown `*` or `X` for its letters
/// ("Classic Encryption for Custom Fields": mask types). A text that only looks so costs a write that was not needed.
fn is_masked(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    ["**", "XX"].iter().any(|mask| text.contains(mask))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const US: &str = "005000000000001AAA";
    const SOMEBODY: &str = "005000000000002AAA";
    /// When our write had ended.
    const NOON_MS: UnixMs = UnixMs(1_772_366_400_000);

    fn object(value: Value) -> Row {
        match value {
            Value::Object(row) => row,
            other => panic!("{other} is no object"),
        }
    }

    /// A record as the org holds it.
    fn held(notes: &str, by: &str, at: &str) -> Row {
        object(json!({ "Notes__c": notes, "Size__c": 7.0, "LastModifiedById": by, "LastModifiedDate": at }))
    }

    /// We sent `a & b` and 7 and that had ended at noon.
    fn sent(hasher: &Hasher) -> Fingerprint {
        let fields = object(json!({ "Notes__c": "a & b", "Size__c": 7 }));
        Fingerprint::default().sent(hasher, &fields).written(NOON_MS)
    }

    /// Whether it counts as what the org makes of `value` after looks at these rows.
    fn keeps(rows: &[Row], value: &str) -> bool {
        let hasher = Hasher::new(b"secret");
        let mut looks = rows.iter().map(|row| RecordLook { hasher: &hasher, user: US, row });
        let looked = looks.clone().fold(sent(&hasher), Fingerprint::looked);
        looked.keeps(looks.next_back().expect("a look"), "Notes__c", &json!(value))
    }

    #[test]
    fn what_the_org_made_of_our_value_is_no_difference_until_somebody_has_a_hand_in_it() {
        let noon = "2026-03-01T12:00:00.000+0000";
        let ours = held("a &amp; b", US, noon);
        let theirs = held("a &amp; b", SOMEBODY, noon);
        for (rows, value, expected, what) in [
            (vec![ours.clone()], "a & b", true, "the first look after the write"),
            (vec![ours.clone()], "a & c", false, "our value is another one"),
            (vec![ours.clone(), ours.clone()], "a & b", true, "a later look"),
            (vec![ours.clone(), theirs.clone()], "a & b", true, "somebody changed another field"),
            (vec![theirs.clone()], "a & b", false, "who made it so is not known"),
            (vec![theirs.clone(), ours.clone()], "a & b", false, "nor after another write of ours"),
            (vec![ours.clone(), held("mine", SOMEBODY, noon)], "a & b", false, "somebody changed the field"),
            (vec![ours.clone(), held("mine", US, noon)], "a & b", false, "so did our user elsewhere"),
            (vec![held("mine", US, "2026-03-01T12:06:00.000+0000")], "a & b", false, "later than our write"),
            (vec![held("tidied", US, "2026-03-01T12:04:00.000+0000")], "a & b", true, "what runs behind it"),
            (vec![held("****", US, noon)], "a & b", true, "a mask"),
            (
                vec![held("****", US, noon), held("****", SOMEBODY, noon)],
                "a & b",
                false,
                "behind it, who knows",
            ),
            (
                vec![held("XXX-XX-1234", US, noon), held("XXX-XX-1234", SOMEBODY, noon)],
                "a & b",
                false,
                "nor here",
            ),
            (vec![held("", US, noon)], "a & b", true, "nothing was kept of it"),
        ] {
            assert_eq!(keeps(&rows, value), expected, "{what}");
        }
        let unsaid = object(json!({ "Notes__c": "a &amp; b" }));
        assert!(!keeps(&[unsaid], "a & b"), "nobody says who changed it");
    }

    #[test]
    fn a_field_that_was_not_read_or_is_sent_again_is_forgotten() {
        let hasher = Hasher::new(b"secret");
        let row = object(json!({ "Notes__c": "a &amp; b", "LastModifiedById": US }));
        let look = RecordLook { hasher: &hasher, user: US, row: &row };
        let looked = sent(&hasher).looked(look);
        assert!(looked.keeps(look, "NOTES__C", &json!("a & b")), "names have no case");
        assert!(!looked.keeps(look, "Size__c", &json!(7)), "it was not read");
        let again = looked.clone().without(&hasher, &object(json!({ "notes__c": "x" })));
        assert!(again.is_empty() && again.bytes().is_empty());
        let other = Hasher::new(b"another org's");
        let elsewhere = RecordLook { hasher: &other, ..look };
        assert!(!looked.keeps(elsewhere, "Notes__c", &json!("a & b")), "another key, another org");
    }

    #[test]
    fn it_is_read_back_and_of_broken_bytes_nothing_is_left() {
        let hasher = Hasher::new(b"secret");
        let row = held("a &amp; b", US, "2026-03-01T12:00:00.000+0000");
        let looked = sent(&hasher).looked(RecordLook { hasher: &hasher, user: US, row: &row });
        let both = looked.sent(&hasher, &object(json!({ "Phone__c": "1" })));
        for known in [Fingerprint::default(), sent(&hasher), both.clone()] {
            assert_eq!(Fingerprint::from_bytes(&known.bytes()), known);
            assert_eq!(Fingerprint::from_text(&known.to_text()), known);
        }
        let bytes = both.bytes();
        assert_eq!(bytes.len(), 4 + 3 * 11 + 2 * 6);
        for cut in 1..bytes.len() {
            let left = Fingerprint::from_bytes(&bytes[..cut]);
            assert!(left.fields.len() < 3, "cut at {cut}");
        }
        assert_eq!(Fingerprint::from_text("no"), Fingerprint::default());
        let many: Row = (0..900).map(|n| (format!("Field_{n}__c"), json!(n))).collect();
        let most = Fingerprint::default().sent(&hasher, &many);
        assert!(most.bytes().len() <= orgpipe_store::FINGERPRINT_BYTES_MAX);
    }
}
