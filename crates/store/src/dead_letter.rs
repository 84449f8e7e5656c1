//! A dead letter: what it says, and by what it is told from others.
//!
//! Here: plain data, and the two questions about it: whether two letters are about one thing, and which letters stand together
//! for an operator. Not here: which letters are kept (`letters.rs`), how one looks on disk (`entry.rs`).

use std::{fmt, num::ParseIntError, str::FromStr};

use crate::{
    commands::{NewRequest, Subject, units},
    refusal::LetterError,
    seq::Seq,
    unix_ms::UnixMs,
};

/// Dead letters kept per org; the one that was not seen for longest makes room. The count of dead records is not reduced by
/// that.
pub const DEAD_LETTERS_MAX: usize = 10_000;
/// Records named by a letter; of more the newest.
pub(crate) const LETTER_SUBJECTS_MAX: usize = 1_000;
/// Groups in one answer.
pub const LETTER_GROUPS_MAX: usize = 200;

/// Letters and digits of a record ID of Salesforce's, of which so many are digits at least.
const ID_CHARS: [usize; 2] = [15, 18];
const ID_DIGITS_MIN: usize = 5;

/// A record, or several that are written as one, that cannot be written, and why. The same refusal that comes again is the
/// same letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number; rises over all orgs and is never given twice.
    pub seq: Seq,
    /// Name of the sync; empty for what belongs to none, and in letters of versions that did not store it.
    pub sync: String,
    /// When it was refused for the first time.
    pub first_ms: UnixMs,
    /// When it was refused last.
    pub last_ms: UnixMs,
    /// How often it was refused.
    pub count: u64,
    /// Records that ended here, each as it did last.
    pub subjects: Vec<Subject>,
    /// Where to it would have gone; empty if it ended before that was known.
    pub target: String,
    /// Which record it is.
    pub key: String,
    /// Why it ended, as a sentence without the record's values.
    pub reason: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// What was said about it last, one by one.
    pub errors: Vec<LetterError>,
    /// How often it had been put back before.
    pub attempts: u32,
    /// What is needed to try again; opaque here.
    pub body: Vec<u8>,
    /// The highest number given when it was refused last: whatever has a higher one was decided later.
    pub seen: Seq,
    /// Its records have been asked for once more, and nothing is known of that yet: the letter does not stand, but if it is
    /// refused again for the same reason, it is this one.
    pub retried: bool,
}

impl DeadLetter {
    /// Records that ended here, as often as they were asked for the last time.
    pub fn records(&self) -> u64 {
        units(&self.subjects)
    }

    /// With which others it stands together.
    pub fn reason_key(&self) -> ReasonKey {
        ReasonKey::of(&self.sync, &self.reason)
    }

    /// What tells it from others of its sync and target.
    pub(crate) fn name(&self) -> &str {
        match self.subjects.first() {
            Some(subject) if self.target.is_empty() => &subject.record,
            _ => &self.key,
        }
    }
}

/// Stands for a sync and a reason, whatever the record: letters with the same one have the same cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReasonKey(u64);

impl ReasonKey {
    /// Of a sync and a reason.
    pub fn of(sync: &str, reason: &str) -> Self {
        Self(hash([sync, &cause(reason)]))
    }
}

/// As an operator gives it.
impl fmt::Display for ReasonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ReasonKey {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// Letters of one sync that have the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterGroup {
    /// What they are named by.
    pub key: ReasonKey,
    /// How many there are.
    pub letters: u64,
    /// Records in them.
    pub records: u64,
    /// How often they were refused, all together.
    pub count: u64,
    /// When the first of them was refused for the first time.
    pub first_ms: UnixMs,
    /// When one of them was refused last.
    pub last_ms: UnixMs,
    /// The highest number among them.
    pub highest: Seq,
    /// The one that was refused last.
    pub sample: DeadLetter,
}

/// An operator's command to try a dead letter again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Number of the letter.
    pub letter: Seq,
    /// What to do instead: counted as come in anew.
    pub requests: Vec<NewRequest>,
    /// Who gives it.
    pub by: String,
    /// When.
    pub at_ms: UnixMs,
}

/// A reason without what may differ when the same comes again: numbers and record IDs.
pub(crate) fn cause(reason: &str) -> String {
    let mut cause = String::with_capacity(reason.len());
    for part in reason.split_inclusive(|c: char| !is_of_word(c)) {
        let word = part.trim_end_matches(|c: char| !is_of_word(c));
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_id = ID_CHARS.contains(&word.len()) && digits >= ID_DIGITS_MIN && !word.contains('_');
        if digits > 0 && (digits == word.len() || is_id) {
            cause.push('#');
        } else {
            cause.push_str(word);
        }
        cause.push_str(&part[word.len()..]);
    }
    cause
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A number that stands for some texts, in their order; the same for ever, as operators may keep it.
pub(crate) fn hash<const N: usize>(parts: [&str; N]) -> u64 {
    // FNV-1a, and its bits mixed once more.
    let bytes = parts.into_iter().flat_map(|part| part.bytes().chain([0xff]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_same_whatever_its_numbers_and_records_are() {
        for (one, other, is_same) in [
            (
                "`N__c`: the value has 93 characters, the field takes 80",
                "`N__c`: the value has 120 characters, the field takes 80",
                true,
            ),
            ("no whole answer to a call of 37 records", "no whole answer to a call of 4 records", true),
            (
                "Account 0015000000Gv7qJAAR was answered with the ID that 0015000000Gv7qKAAR has",
                "Account 0015000000Gv7qLAAR was answered with the ID that 0015000000Gv7qMAAR has",
                true,
            ),
            (
                "Salesforce refused it with STRING_TOO_LONG (A1__c)",
                "Salesforce refused it with STRING_TOO_LONG (A2__c)",
                false,
            ),
            (
                "Salesforce refused it with STRING_TOO_LONG (A__c)",
                "Salesforce refused it with INVALID_EMAIL_ADDRESS (A__c)",
                false,
            ),
            ("`Größe 5`: x", "`Größe 7`: x", true),
            ("", "x", false),
        ] {
            assert_eq!(cause(one) == cause(other), is_same, "{one} {other}");
            assert_eq!(ReasonKey::of("s", one) == ReasonKey::of("s", other), is_same, "{one} {other}");
        }
        assert_ne!(ReasonKey::of("s", "x"), ReasonKey::of("t", "x"));
        let key = ReasonKey::of("s", "x");
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(hash(["a", "bc"]), hash(["ab", "c"]));
        assert_ne!(hash(["a", ""]), hash(["", "a"]));
    }
}
