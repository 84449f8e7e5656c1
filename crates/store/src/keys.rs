//! The key of every entry.
//!
//! ```text
//! m format            m mark                 what the database is; what must be in it
//! l ORG               p LEN ORG NAME         ledger, position
//! i SEQ    e SEQ    d SEQ    r SEQ           request, change, dead letter, page of the ledger's rows
//! j LEN ORG ID        k LEN ORG ID           job's body, job's changes
//! f NUMBER ORG                               what is remembered of a record of a target
//! g LEN KIND NAME                            value of the registry
//! q SEQ    c SEQ ORG                         push, what an org has counted for it
//! h LEVEL START NAME                         value of the history
//! x …                                        kept free for `disk.rs`
//! ```
//!
//! SEQ is a u64, big-endian, out of one series for all orgs: appending at the end and removing at the front leaves no
//! half-empty pages in the database, while keys that begin with the org did (measured). LEN is a u16, LEVEL
//! a byte, START a u32, big-endian: of the history, too, the oldest goes first.
//!
//! Invariant: `parse` is the inverse of `bytes`.

use std::fmt;

use crate::seq::Seq;

/// The key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key<'a> {
    Format,
    Mark,
    Ledger { org: &'a str },
    Position { org: &'a str, name: &'a str },
    Request(Seq),
    Change(Seq),
    DeadLetter(Seq),
    Page(Seq),
    Job { org: &'a str, id: &'a str },
    JobChanges { org: &'a str, id: &'a str },
    Fingerprint { org: &'a str, number: u64 },
    Registered { kind: &'a str, name: &'a str },
    Push(Seq),
    PushCounts { org: &'a str, push: Seq },
    History { level: u8, start: u32, name: &'a str },
}

/// First byte of the keys of each kind, and what they are called together.
pub(crate) const KINDS: &[(u8, &str)] = &[
    (b'm', "the marks"),
    (b'l', "the ledgers"),
    (b'p', "the positions"),
    (b'i', "the requests"),
    (b'e', "the changes"),
    (b'j', "the jobs"),
    (b'k', "the jobs' changes"),
    (b'd', "the dead letters"),
    (b'r', "the ledger's rows"),
    (b'f', "the fingerprints"),
    (b'g', "the registered values"),
    (b'q', "the pushes"),
    (b'c', "the counts of pushes"),
    (b'h', "the history"),
];

const FORMAT: &[u8] = b"mformat";
const MARK: &[u8] = b"mmark";

impl<'a> Key<'a> {
    /// The key as it is stored.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match *self {
            Self::Format => FORMAT.to_vec(),
            Self::Mark => MARK.to_vec(),
            Self::Ledger { org } => [b"l", org.as_bytes()].concat(),
            Self::Position { org, name } => pair(b'p', org, name),
            Self::Request(seq) => numbered(b'i', seq),
            Self::Change(seq) => numbered(b'e', seq),
            Self::DeadLetter(seq) => numbered(b'd', seq),
            Self::Page(seq) => numbered(b'r', seq),
            Self::Job { org, id } => pair(b'j', org, id),
            Self::JobChanges { org, id } => pair(b'k', org, id),
            Self::Fingerprint { org, number } => {
                [b"f", number.to_be_bytes().as_slice(), org.as_bytes()].concat()
            }
            Self::Registered { kind, name } => pair(b'g', kind, name),
            Self::Push(seq) => numbered(b'q', seq),
            Self::PushCounts { org, push } => {
                [b"c", push.0.to_be_bytes().as_slice(), org.as_bytes()].concat()
            }
            Self::History { level, start, name } => {
                [&[b'h', level], start.to_be_bytes().as_slice(), name.as_bytes()].concat()
            }
        }
    }

    /// Reads a stored key; None if it is none of ours.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes == FORMAT {
            return Some(Self::Format);
        }
        if bytes == MARK {
            return Some(Self::Mark);
        }
        let (kind, rest) = bytes.split_first()?;
        Some(match kind {
            b'l' => Self::Ledger { org: str::from_utf8(rest).ok()? },
            b'p' => split(rest).map(|(org, name)| Self::Position { org, name })?,
            b'i' => Self::Request(number(rest)?),
            b'e' => Self::Change(number(rest)?),
            b'd' => Self::DeadLetter(number(rest)?),
            b'r' => Self::Page(number(rest)?),
            b'j' => split(rest).map(|(org, id)| Self::Job { org, id })?,
            b'k' => split(rest).map(|(org, id)| Self::JobChanges { org, id })?,
            b'f' => {
                let (number, org) = rest.split_first_chunk::<8>()?;
                Self::Fingerprint { org: str::from_utf8(org).ok()?, number: u64::from_be_bytes(*number) }
            }
            b'g' => split(rest).map(|(kind, name)| Self::Registered { kind, name })?,
            b'q' => Self::Push(number(rest)?),
            b'c' => {
                let (push, org) = rest.split_first_chunk::<8>()?;
                Self::PushCounts { org: str::from_utf8(org).ok()?, push: Seq(u64::from_be_bytes(*push)) }
            }
            b'h' => {
                let (level, rest) = rest.split_first()?;
                let (start, name) = rest.split_first_chunk::<4>()?;
                let (level, start) = (*level, u32::from_be_bytes(*start));
                Self::History { level, start, name: str::from_utf8(name).ok()? }
            }
            _ => return None,
        })
    }
}

/// As it is named in an error.
impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => write!(f, "the format mark"),
            Self::Mark => write!(f, "the mark"),
            Self::Ledger { org } => write!(f, "the ledger of org `{org}`"),
            Self::Position { org, name } => write!(f, "position `{name}` of org `{org}`"),
            Self::Request(seq) => write!(f, "request {seq}"),
            Self::Change(seq) => write!(f, "change {seq}"),
            Self::DeadLetter(seq) => write!(f, "dead letter {seq}"),
            Self::Page(seq) => write!(f, "page {seq} of the ledger's rows"),
            Self::Job { org, id } => write!(f, "job `{id}` of org `{org}`"),
            Self::JobChanges { org, id } => write!(f, "the list of changes of job `{id}` of org `{org}`"),
            Self::Fingerprint { org, number } => write!(f, "fingerprint {number:016x} of org `{org}`"),
            Self::Registered { kind, name } => write!(f, "the registered {kind} `{name}`"),
            Self::Push(seq) => write!(f, "push {seq}"),
            Self::PushCounts { org, push } => write!(f, "the counts of push {push} of org `{org}`"),
            Self::History { level, start, name } => {
                write!(f, "the history of level {level} from minute {start}, `{name}`")
            }
        }
    }
}

fn numbered(kind: u8, seq: Seq) -> Vec<u8> {
    [&[kind], seq.0.to_be_bytes().as_slice()].concat()
}

fn number(bytes: &[u8]) -> Option<Seq> {
    Some(Seq(u64::from_be_bytes(bytes.try_into().ok()?)))
}

fn pair(kind: u8, org: &str, name: &str) -> Vec<u8> {
    let length = u16::try_from(org.len()).expect("a name is bounded far below 64 KiB");
    [&[kind], length.to_be_bytes().as_slice(), org.as_bytes(), name.as_bytes()].concat()
}

fn split(bytes: &[u8]) -> Option<(&str, &str)> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (org, name) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((str::from_utf8(org).ok()?, str::from_utf8(name).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_key_is_read_back(org in ".{0,9}", name in ".{0,9}", seq in any::<u64>()) {
            let (org, id, name, seq) = (org.as_str(), name.as_str(), name.as_str(), Seq(seq));
            for key in [
                Key::Format, Key::Mark, Key::Ledger { org }, Key::Position { org, name }, Key::Request(seq),
                Key::Change(seq), Key::DeadLetter(seq), Key::Page(seq), Key::Job { org, id }, Key::JobChanges { org, id },
                Key::Fingerprint { org, number: seq.0 }, Key::Registered { kind: org, name },
                Key::Push(seq), Key::PushCounts { org, push: seq }, Key::History { level: 1, start: 0x0102, name },
            ] {
                let bytes = key.bytes();
                prop_assert_eq!(Key::parse(&bytes), Some(key));
                prop_assert!(KINDS.iter().any(|(kind, _)| *kind == bytes[0]));
            }
        }

        #[test]
        fn numbered_keys_sort_by_number(low in any::<u64>(), high in any::<u64>()) {
            prop_assert_eq!(low.cmp(&high), Key::Change(Seq(low)).bytes().cmp(&Key::Change(Seq(high)).bytes()));
        }

        #[test]
        fn parsing_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Some(key) = Key::parse(&bytes) {
                prop_assert_eq!(key.bytes(), bytes);
            }
        }
    }
}
