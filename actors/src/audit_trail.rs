//! What led to a record's end, as its row in the ledger keeps it: the material of `orgpipe explain`.
//!
//! Here: the trail, its bytes, and the hashes that stand for values. Not here: the steps that leave it (`decide`), the
//! story told from it (`explain`).
//!
//! Invariant: no value of a record is in a trail. A hash under a key of the org tells whether two values are the same,
//! and nothing else to whoever does not have the data directory.

use aws_lc_rs::hmac;
use orgpipe_store::{Seq, TRAIL_BYTES_MAX, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    queue_entry::{Origin, pack},
    trace::Cause,
};

/// Bytes kept of a name that somebody else chose: the sync, the event, its correlation ID, the key.
const NAME_BYTES_MAX: usize = 100;
/// Bytes of an org's key.
const KEY_BYTES: usize = 32;
/// Digits of the hash of an answer.
const ANSWER_DIGITS: usize = 12;
/// Digits of the hash of one field's value.
const VALUE_DIGITS: usize = 8;

/// Hash of one value among millions. That two share one by chance is as likely as 1 in 2^48.
pub(crate) type Digest = [u8; 6];

/// A key for the hashes of one org, from the crypto library's generator.
pub(crate) fn new_key() -> Vec<u8> {
    let mut key = vec![0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).expect("the system's generator of random numbers works");
    key
}

/// The trail of one record. Names are short, as there may be hundreds of thousands of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuditTrail {
    /// Name of the sync.
    #[serde(rename = "s")]
    pub sync: String,
    /// Why it was asked for.
    #[serde(rename = "o")]
    pub origin: Origin,
    /// `EventUuid` of the event, or an ID of the refresh run or gap.
    #[serde(rename = "e")]
    pub event_id: String,
    /// The event's own correlation ID, if it has one.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What the vendor's API answered, if it was asked.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
    /// Why there is nothing to compare.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub nothing: Option<Nothing>,
    /// Which record of the target is wanted, as the queue spells it; a change says it itself.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the org held of it.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// Another record that was answered with the same key.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedWith>,
    /// The fields to be written.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDiff>,
    /// Fields whose values are longer than they are, so that only a part of them is kept.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<String>,
    /// Characters of each of these values, and of the part that is kept. Trails of earlier versions have none.
    #[serde(rename = "l", default, skip_serializing_if = "Vec::is_empty")]
    pub cut_chars: Vec<(usize, usize)>,
    /// Fields that the org keeps in another form than they were sent in, unchanged since.
    #[serde(rename = "z", default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// So many more fields to be written than there was room for.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub more_fields: u32,
}

/// An answer of the vendor's API about one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// Of what was answered about the record.
    #[serde(rename = "h")]
    pub hash: String,
    /// When.
    #[serde(rename = "t")]
    pub at_ms: UnixMs,
    /// `parent-id` of the call's `traceparent`: the vendor's own log may have it. Empty if no call was made.
    #[serde(rename = "p")]
    pub parent: String,
    /// Number of the push that brought it, if one did.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Seq>,
}

/// Why there is nothing to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Nothing {
    /// The record is not in the org any more, or the integration user may not see it.
    Gone,
    /// The record is a lead that has been converted.
    Converted,
    /// None of the sync's keys has a value, so there was nothing to ask.
    NoKeys,
    /// The vendor's API knows nothing about it.
    Unknown,
}

/// What the org held of the wanted record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Found {
    /// No record.
    #[serde(rename = "no")]
    None,
    /// One, with this ID.
    One(String),
    /// It was not compared, as an earlier change of it was still under way.
    Open,
}

/// Another record of the org that was answered with the same key, by ID: the record of the target belongs to one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SharedWith {
    /// To this one, not to the other.
    #[serde(rename = "h")]
    Holds(String),
    /// To the other.
    #[serde(rename = "y")]
    Yields(String),
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FieldDiff(
    /// API name.
    pub String,
    /// Hash of what the org held; empty if nothing, none if that was not compared.
    pub Option<String>,
    /// Hash of what is written; empty if it is cleared.
    pub String,
);

impl AuditTrail {
    /// Where it begins: somebody asks for the record.
    pub(crate) fn new(sync: &str, origin: Origin, event_id: &str, correlation_id: Option<&str>) -> Self {
        Self {
            sync: short(sync),
            origin,
            event_id: short(event_id),
            correlation_id: correlation_id.map(short),
            answer: None,
            nothing: None,
            key: None,
            found: None,
            shared: None,
            fields: Vec::new(),
            cut: Vec::new(),
            cut_chars: Vec::new(),
            kept: Vec::new(),
            more_fields: 0,
        }
    }

    /// What it was asked for by.
    pub(crate) fn cause(&self) -> Cause<'_> {
        Cause {
            origin: self.origin,
            event_id: &self.event_id,
            correlation_id: self.correlation_id.as_deref(),
        }
    }

    /// Whether it names this record of the target.
    pub(crate) fn names(&self, key: &str) -> bool {
        !key.is_empty() && self.key.as_deref() == Some(&key[..key.floor_char_boundary(NAME_BYTES_MAX)])
    }

    /// ID of the record of the target that the org held, if it held one.
    pub(crate) fn found_id(&self) -> Option<&str> {
        match self.found.as_ref()? {
            Found::One(id) => Some(id),
            Found::None | Found::Open => None,
        }
    }

    /// What stands in the bytes of each trail that names this key or ID, and in hardly any other; never empty.
    pub(crate) fn mark_of(name: &str) -> Vec<u8> {
        pack(&short(name))
    }

    /// Which record of the target is wanted, where no change follows that would tell.
    pub(crate) fn target(&mut self, key: &str) {
        self.key = Some(short(key));
    }

    /// As stored: fields that find no room are only counted.
    pub(crate) fn pack(mut self) -> Vec<u8> {
        loop {
            let bytes = pack(&self);
            if bytes.len() <= TRAIL_BYTES_MAX {
                return bytes;
            }
            if self.fields.pop().is_some() {
                self.more_fields += 1;
            } else if self.cut.len() > 1 {
                self.cut.pop();
                self.cut_chars.truncate(self.cut.len());
            } else if self.kept.len() > 1 {
                self.kept.pop();
            } else {
                // Only names full of characters that JSON escapes come here.
                self = Self::new("", self.origin, "", None);
            }
        }
    }
}

fn short(name: &str) -> String {
    name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Makes the hashes of one org.
#[derive(Debug)]
pub(crate) struct Hasher(hmac::Key);

impl Hasher {
    /// By a secret of the org.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Of an answer.
    pub(crate) fn answer(&self, text: &str) -> String {
        self.digits(text, ANSWER_DIGITS)
    }

    /// Of one value.
    pub(crate) fn value(&self, text: &str) -> String {
        self.digits(text, VALUE_DIGITS)
    }

    /// Of a field's name, whatever its case.
    pub(crate) fn tag(&self, field: &str) -> u32 {
        let tag = self.sign(&field.to_ascii_lowercase());
        u32::from_be_bytes([tag[0], tag[1], tag[2], tag[3]])
    }

    /// Of a value as it is sent or answered, in few bytes.
    pub(crate) fn digest(&self, value: &Value) -> Digest {
        self.sign(&value.to_string()).first_chunk().copied().unwrap_or_default()
    }

    fn sign(&self, text: &str) -> [u8; 8] {
        let tag = hmac::sign(&self.0, text.as_bytes());
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    fn digits(&self, text: &str, count: usize) -> String {
        let mut digits = format!("{:016x}", u64::from_be_bytes(self.sign(text)));
        digits.truncate(count);
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue_entry::unpack;

    #[test]
    fn a_trail_never_grows_past_its_room_and_says_what_it_left_out() {
        let hasher = Hasher::new(b"secret");
        let mut trail = AuditTrail::new("accounts", Origin::Live, &"e".repeat(500), Some(&"ü".repeat(500)));
        trail.target(&"k".repeat(500));
        trail.found = Some(Found::One("0015000000Gv7qJAAR".into()));
        for n in 0..40 {
            let name = format!("acmeco__Field_{n}__c");
            trail.fields.push(FieldDiff(name, Some(hasher.value("1")), hasher.value("2")));
        }
        let bytes = trail.pack();
        assert!(bytes.len() <= TRAIL_BYTES_MAX && bytes.len() > TRAIL_BYTES_MAX - 60, "{}", bytes.len());
        let back: AuditTrail = unpack(&bytes).expect("readable");
        assert_eq!(back.fields.len() + back.more_fields as usize, 40);
        assert!(back.fields.len() >= 8, "{}", back.fields.len());
        let odd = AuditTrail::new(&"\u{1}".repeat(200), Origin::Heal, &"\u{1}".repeat(200), None);
        assert_eq!(unpack::<AuditTrail>(&odd.pack()).expect("readable").origin, Origin::Heal);
    }

    #[test]
    fn a_hash_tells_equal_from_different_and_nothing_without_the_secret() {
        let (one, other) = (Hasher::new(b"one"), Hasher::new(b"other"));
        assert_eq!(one.value("7"), one.value("7"));
        assert_ne!(one.value("7"), one.value("8"));
        assert_ne!(one.value("7"), other.value("7"));
        assert_eq!((one.value("7").len(), one.answer("7").len()), (8, 12));
    }
}
