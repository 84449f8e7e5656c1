//! The file that an export writes: one JSON object a line, so that anybody can read it, and a later version as well.
//!
//! ```text
//! {"kind":"head", …}    what this is
//! {"kind":"…", …}       one entry; bytes are text where they can be, else {"base64": …}
//! {"kind":"end", …}     how many entries, a CRC-32 of all bytes before this line, and what could not be read
//! ```
//!
//! Here: the lines, to and from entries. Not here: reading and writing the store.
//!
//! A new field of an entry needs a `#[serde(default)]` here; then an export by the old version is the way to the new one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    commands::{Change, End, Lane, LedgerRow, Push, PushCounts, Request, Subject},
    dead_letter::DeadLetter,
    entry::{
        StoredChange, StoredDeadLetter, StoredPage, StoredRequest, decode_numbers, decode_push_counts,
        due_read, due_stored, encode_numbers, encode_push_counts, encode_row, number_read, number_stored,
    },
    error::StoreError,
    frame,
    keys::Key,
    ledger::{Counts, Ledger},
    refusal::{LETTER_ERRORS_MAX, LetterError},
    seq::Seq,
    sizes,
    step::Write,
    unix_ms::UnixMs,
};

/// Version of the file's form. Those before it can be read.
pub(super) const VERSION: u32 = 5;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    Head {
        orgpipe_export: u32,
        sequence: Seq,
        /// What of the store is not in the file.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<String>,
    },
    Ledger {
        org: String,
        records_in: u64,
        written: u64,
        unchanged: u64,
        no_data: u64,
        superseded: u64,
        dead: u64,
    },
    Position {
        org: String,
        name: String,
        value: Bytes,
    },
    Request {
        org: String,
        seq: Seq,
        lane: LaneName,
        records: u32,
        body: Bytes,
    },
    Change {
        org: String,
        seq: Seq,
        lane: LaneName,
        due_ms: UnixMs,
        target: String,
        key: String,
        attempts: u32,
        last_reason: String,
        #[serde(default)]
        resend: u8,
        subjects: Vec<SubjectLine>,
        body: Bytes,
    },
    DeadLetter {
        org: String,
        seq: Seq,
        /// When it was seen last.
        at_ms: UnixMs,
        target: String,
        key: String,
        reason: String,
        hint: String,
        attempts: u32,
        subjects: Vec<SubjectLine>,
        body: Bytes,
        /// None: of a version whose letters said no more.
        #[serde(default)]
        more: Option<MoreOfLetter>,
    },
    Job {
        org: String,
        id: String,
        body: Bytes,
    },
    JobChanges {
        org: String,
        id: String,
        changes: Vec<Seq>,
    },
    Fingerprint {
        org: String,
        number: u64,
        value: Bytes,
    },
    /// A value that belongs to no org; its kind is named `registry`, as `kind` is that of the line.
    Registered {
        registry: String,
        name: String,
        value: Bytes,
    },
    Push {
        seq: Seq,
        head: Bytes,
        body: Bytes,
    },
    /// What an org has counted for a push.
    PushCounts {
        org: String,
        push: Seq,
        found: u64,
        written: u64,
        unchanged: u64,
        no_data: u64,
        superseded: u64,
        dead: u64,
    },
    Rows {
        org: String,
        seq: Seq,
        last_ms: UnixMs,
        rows: Vec<RowLine>,
    },
    End {
        entries: u64,
        crc32: u32,
        lost: Vec<String>,
    },
}

/// Bytes, as text where they are text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Bytes {
    Text(String),
    Other { base64: String },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LaneName {
    Live,
    Refresh,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectLine {
    record: String,
    units: u32,
    asked_ms: UnixMs,
    trail: Bytes,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pushes: Vec<Seq>,
}

/// What a letter says since format 6.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MoreOfLetter {
    sync: String,
    first_ms: UnixMs,
    count: u64,
    seen: Seq,
    retried: bool,
    errors: Vec<ErrorLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorLine {
    code: String,
    message: String,
    fields: Vec<String>,
}

impl MoreOfLetter {
    fn check_sizes(&self, org: &str) -> Result<(), StoreError> {
        sizes::name(org, "name of a sync", &self.sync)?;
        sizes::letter_errors(org, self.errors.len(), LETTER_ERRORS_MAX)?;
        self.errors.iter().try_for_each(|error| {
            sizes::name(org, "code of an error", &error.code)?;
            sizes::text(org, &error.message)?;
            error.fields.iter().try_for_each(|field| sizes::name(org, "name of a field", field))
        })
    }
}

impl From<LetterError> for ErrorLine {
    fn from(error: LetterError) -> Self {
        let LetterError { code, message, fields } = error;
        Self { code, message, fields }
    }
}

impl From<ErrorLine> for LetterError {
    fn from(error: ErrorLine) -> Self {
        let ErrorLine { code, message, fields } = error;
        Self { code, message, fields }.bounded()
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowLine {
    subject: SubjectLine,
    end: EndName,
    ended_ms: UnixMs,
    /// 0 for none.
    seq: Seq,
    tries: u32,
    target: String,
    key: String,
    /// None of a version that did not know it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    target_id: String,
    reason: String,
    by: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EndName {
    Written,
    Unchanged,
    NoData,
    Superseded,
    Dead,
    Retried,
    Discarded,
    Closed,
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(other) => Self::Other { base64: STANDARD.encode(other.as_bytes()) },
        }
    }
}

impl Bytes {
    /// How many there are, or would be if the base64 in it is some.
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Other { base64 } => base64.len() / 4 * 3,
        }
    }

    fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Other { base64 } => STANDARD.decode(base64).ok(),
        }
    }
}

impl From<Lane> for LaneName {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Live => Self::Live,
            Lane::Refresh => Self::Refresh,
        }
    }
}

impl From<LaneName> for Lane {
    fn from(lane: LaneName) -> Self {
        match lane {
            LaneName::Live => Self::Live,
            LaneName::Refresh => Self::Refresh,
        }
    }
}

impl From<End> for EndName {
    fn from(end: End) -> Self {
        match end {
            End::Written => Self::Written,
            End::Unchanged => Self::Unchanged,
            End::NoData => Self::NoData,
            End::Superseded => Self::Superseded,
            End::Dead => Self::Dead,
            End::Retried => Self::Retried,
            End::Discarded => Self::Discarded,
            End::Closed => Self::Closed,
        }
    }
}

impl From<EndName> for End {
    fn from(end: EndName) -> Self {
        match end {
            EndName::Written => Self::Written,
            EndName::Unchanged => Self::Unchanged,
            EndName::NoData => Self::NoData,
            EndName::Superseded => Self::Superseded,
            EndName::Dead => Self::Dead,
            EndName::Retried => Self::Retried,
            EndName::Discarded => Self::Discarded,
            EndName::Closed => Self::Closed,
        }
    }
}

impl From<Subject> for SubjectLine {
    fn from(subject: Subject) -> Self {
        let Subject { record, units, asked_ms, trail, pushes } = subject;
        Self { record, units, asked_ms, trail: trail.into(), pushes }
    }
}

impl SubjectLine {
    pub(super) fn units(&self) -> u64 {
        u64::from(self.units)
    }

    fn check_sizes(&self, org: &str) -> Result<(), StoreError> {
        sizes::name(org, "name of a record", &self.record)?;
        sizes::trail_bytes(org, self.trail.len())
    }

    fn subject(self) -> Option<Subject> {
        let Self { record, units, asked_ms, trail, pushes } = self;
        Some(Subject { record, units, asked_ms, trail: trail.bytes()?, pushes })
    }
}

fn lines(subjects: Vec<Subject>) -> Vec<SubjectLine> {
    subjects.into_iter().map(SubjectLine::from).collect()
}

fn subjects(lines: Vec<SubjectLine>) -> Option<Vec<Subject>> {
    lines.into_iter().map(SubjectLine::subject).collect()
}

impl From<LedgerRow> for RowLine {
    fn from(row: LedgerRow) -> Self {
        let LedgerRow { subject, end, ended_ms, seq, tries, target, key, target_id, reason, by } = row;
        let (subject, end, seq) = (subject.into(), end.into(), number_stored(seq));
        Self { subject, end, ended_ms, seq, tries, target, key, target_id, reason, by }
    }
}

impl RowLine {
    fn row(self) -> Option<LedgerRow> {
        let Self { subject, end, ended_ms, seq, tries, target, key, target_id, reason, by } = self;
        let (subject, end, seq) = (subject.subject()?, end.into(), number_read(seq));
        Some(LedgerRow { subject, end, ended_ms, seq, tries, target, key, target_id, reason, by })
    }
}

/// The line of an entry. None: it does not have the fields it must have, or it is the format or the mark, which have
/// no line of their own.
pub(super) fn line(key: Key<'_>, payload: &[u8]) -> Option<Line> {
    Some(match key {
        Key::Format | Key::Mark | Key::History { .. } => return None,
        Key::Ledger { org } => {
            let Counts { records_in, written, unchanged, no_data, superseded, dead, .. } =
                Ledger::decode(payload)?.counts;
            Line::Ledger { org: org.to_owned(), records_in, written, unchanged, no_data, superseded, dead }
        }
        Key::Position { org, name } => {
            Line::Position { org: org.to_owned(), name: name.to_owned(), value: payload.to_vec().into() }
        }
        Key::Request(seq) => {
            let StoredRequest { org, request } = StoredRequest::decode(seq, payload)?;
            let Request { lane, records, body, .. } = request;
            Line::Request { org, seq, lane: lane.into(), records, body: body.into() }
        }
        Key::Change(seq) => {
            let StoredChange { org, due_ms, change } = StoredChange::decode(seq, payload)?;
            let Change { lane, target, key, subjects, attempts, last_reason, resend, body, .. } = change;
            let (lane, subjects, body) = (lane.into(), lines(subjects), body.into());
            Line::Change {
                org,
                seq,
                lane,
                due_ms: due_stored(due_ms),
                target,
                key,
                attempts,
                last_reason,
                resend,
                subjects,
                body,
            }
        }
        Key::DeadLetter(seq) => {
            let StoredDeadLetter { org, letter } = StoredDeadLetter::decode(seq, payload)?;
            let DeadLetter { sync, first_ms, last_ms: at_ms, count, seen, retried, errors, .. } = letter;
            let DeadLetter { subjects, target, key, reason, hint, attempts, body, .. } = letter;
            let errors = errors.into_iter().map(ErrorLine::from).collect();
            let more = Some(MoreOfLetter { sync, first_ms, count, seen, retried, errors });
            let (subjects, body) = (lines(subjects), body.into());
            Line::DeadLetter { org, seq, at_ms, target, key, reason, hint, attempts, subjects, body, more }
        }
        Key::Job { org, id } => {
            Line::Job { org: org.to_owned(), id: id.to_owned(), body: payload.to_vec().into() }
        }
        Key::Fingerprint { org, number } => {
            Line::Fingerprint { org: org.to_owned(), number, value: payload.to_vec().into() }
        }
        Key::Registered { kind, name } => Line::Registered {
            registry: kind.to_owned(),
            name: name.to_owned(),
            value: payload.to_vec().into(),
        },
        Key::Push(seq) => {
            let Push { head, body } = Push::decode(payload)?;
            Line::Push { seq, head: head.into(), body: body.into() }
        }
        Key::PushCounts { org, push } => {
            let PushCounts { found, written, unchanged, no_data, superseded, dead } =
                decode_push_counts(payload)?;
            let org = org.to_owned();
            Line::PushCounts { org, push, found, written, unchanged, no_data, superseded, dead }
        }
        Key::JobChanges { org, id } => {
            let changes = decode_numbers(payload)?;
            Line::JobChanges { org: org.to_owned(), id: id.to_owned(), changes }
        }
        Key::Page(seq) => {
            let page = StoredPage::decode(payload)?;
            let rows = page.decode_rows()?.into_iter().map(RowLine::from).collect();
            Line::Rows { org: page.org, seq, last_ms: page.last_ms, rows }
        }
    })
}

/// Numbers above this are given by nobody, and leave no room for those that come.
const SEQUENCE_MAX: u64 = u64::MAX / 2;

impl Line {
    /// What of it is larger than the store takes, in words that follow on the line's number.
    pub(super) fn too_large(&self) -> Option<String> {
        self.check_sizes().err().map(|error| format!("is of no store: {error}")).or_else(|| {
            let number = self.highest_number().filter(|number| *number > SEQUENCE_MAX)?;
            Some(format!("has the number {number}, and {SEQUENCE_MAX} is the highest that there can be"))
        })
    }

    fn check_sizes(&self) -> Result<(), StoreError> {
        match self {
            Self::Head { .. } | Self::End { .. } => Ok(()),
            Self::Ledger { org, .. } | Self::PushCounts { org, .. } => sizes::org(org),
            Self::Position { org, name, value } => {
                sizes::org(org)?;
                sizes::name(org, "name of a position", name)?;
                sizes::body_bytes(org, value.len())
            }
            Self::Request { org, body, .. } => {
                sizes::org(org)?;
                sizes::body_bytes(org, body.len())
            }
            Self::Change { org, target, key, last_reason, subjects, body, .. } => {
                names(org, target, key)?;
                sizes::text(org, last_reason)?;
                subjects.iter().try_for_each(|subject| subject.check_sizes(org))?;
                sizes::body_bytes(org, body.len())
            }
            Self::DeadLetter { org, target, key, reason, hint, subjects, body, more, .. } => {
                names(org, target, key)?;
                more.iter().try_for_each(|more| more.check_sizes(org))?;
                sizes::text(org, reason)?;
                sizes::text(org, hint)?;
                subjects.iter().try_for_each(|subject| subject.check_sizes(org))?;
                sizes::body_bytes(org, body.len())
            }
            Self::Job { org, id, body } => {
                sizes::org(org)?;
                sizes::name(org, "id of a job", id)?;
                sizes::body_bytes(org, body.len())
            }
            Self::JobChanges { org, id, changes } => {
                sizes::org(org)?;
                sizes::name(org, "id of a job", id)?;
                sizes::changes(org, changes)
            }
            Self::Fingerprint { org, value, .. } => {
                sizes::org(org)?;
                sizes::body_bytes(org, value.len())
            }
            Self::Registered { registry, name, value } => sizes::registered(registry, name, value.len()),
            Self::Push { head, body, .. } => {
                sizes::body_bytes("", head.len())?;
                sizes::body_bytes("", body.len())
            }
            Self::Rows { org, rows, .. } => rows.iter().try_for_each(|row| {
                names(org, &row.target, &row.key)?;
                sizes::name(org, "name of a record of the target", &row.target_id)?;
                sizes::text(org, &row.reason)?;
                sizes::body_bytes(org, row.by.len())?;
                row.subject.check_sizes(org)
            }),
        }
    }

    /// Numbers and counts are all of one kind here: none may come near the end of what can be counted.
    fn highest_number(&self) -> Option<u64> {
        match self {
            Self::Head { sequence, .. } => Some(sequence.0),
            Self::Request { seq, .. }
            | Self::Change { seq, .. }
            | Self::Push { seq, .. }
            | Self::Rows { seq, .. } => Some(seq.0),
            Self::DeadLetter { seq, more, .. } => {
                Some(more.as_ref().map_or(seq.0, |more| seq.0.max(more.seen.0).max(more.count)))
            }
            Self::PushCounts { push, found, written, unchanged, no_data, superseded, dead, .. } => {
                let all = [*found, *written, *unchanged, *no_data, *superseded, *dead];
                Some(all.into_iter().fold(push.0, u64::saturating_add))
            }
            Self::Ledger { records_in, written, unchanged, no_data, superseded, dead, .. } => {
                let all = [*records_in, *written, *unchanged, *no_data, *superseded, *dead];
                Some(all.into_iter().fold(0, u64::saturating_add))
            }
            Self::Position { .. }
            | Self::Job { .. }
            | Self::JobChanges { .. }
            | Self::Fingerprint { .. }
            | Self::Registered { .. }
            | Self::End { .. } => None,
        }
    }
}

fn names(org: &str, target: &str, key: &str) -> Result<(), StoreError> {
    sizes::org(org)?;
    sizes::name(org, "name of a target", target)?;
    sizes::name(org, "key of a change", key)
}

/// The entry of a line. None: something in it is no base64, or it is the ledger, the first or the last line, which are
/// no entries as they stand.
pub(super) fn entry(of: Line) -> Option<Write> {
    let (key, payload) = match of {
        Line::Head { .. } | Line::Ledger { .. } | Line::End { .. } => return None,
        Line::Position { org, name, value } => {
            (Key::Position { org: &org, name: &name }.bytes(), value.bytes()?)
        }
        Line::Request { org, seq, lane, records, body } => {
            let request = Request { seq, lane: lane.into(), records, body: body.bytes()? };
            (Key::Request(seq).bytes(), StoredRequest { org, request }.encode())
        }
        Line::Change {
            org,
            seq,
            lane,
            due_ms,
            target,
            key,
            attempts,
            last_reason,
            resend,
            subjects: of,
            body,
        } => {
            let (lane, subjects, body) = (lane.into(), subjects(of)?, body.bytes()?);
            let change = Change { seq, lane, target, key, subjects, attempts, last_reason, resend, body };
            (Key::Change(seq).bytes(), StoredChange { org, due_ms: due_read(due_ms), change }.encode())
        }
        Line::DeadLetter {
            org,
            seq,
            at_ms,
            target,
            key,
            reason,
            hint,
            attempts,
            subjects: of,
            body,
            more,
        } => {
            let (subjects, body) = (subjects(of)?, body.bytes()?);
            let more = more.unwrap_or_else(|| MoreOfLetter {
                sync: String::new(),
                first_ms: at_ms,
                count: 1,
                seen: seq,
                retried: false,
                errors: Vec::new(),
            });
            let MoreOfLetter { sync, first_ms, count, seen, retried, errors } = more;
            let errors = errors.into_iter().map(LetterError::from).collect();
            let letter = DeadLetter {
                seq,
                sync,
                first_ms,
                last_ms: at_ms,
                count,
                subjects,
                target,
                key,
                reason,
                hint,
                errors,
                attempts,
                body,
                seen,
                retried,
            };
            (Key::DeadLetter(seq).bytes(), StoredDeadLetter { org, letter }.encode())
        }
        Line::Job { org, id, body } => (Key::Job { org: &org, id: &id }.bytes(), body.bytes()?),
        Line::JobChanges { org, id, changes } => {
            (Key::JobChanges { org: &org, id: &id }.bytes(), encode_numbers(changes.iter()))
        }
        Line::Fingerprint { org, number, value } => {
            (Key::Fingerprint { org: &org, number }.bytes(), value.bytes()?)
        }
        Line::Registered { registry, name, value } => {
            (Key::Registered { kind: &registry, name: &name }.bytes(), value.bytes()?)
        }
        Line::Push { seq, head, body } => {
            (Key::Push(seq).bytes(), Push { head: head.bytes()?, body: body.bytes()? }.encode())
        }
        Line::PushCounts { org, push, found, written, unchanged, no_data, superseded, dead } => {
            let counts = PushCounts { found, written, unchanged, no_data, superseded, dead };
            (Key::PushCounts { org: &org, push }.bytes(), encode_push_counts(&counts))
        }
        Line::Rows { org, seq, last_ms, rows } => {
            let rows: Vec<LedgerRow> = rows.into_iter().map(RowLine::row).collect::<Option<_>>()?;
            let rows: Vec<u8> = rows.iter().flat_map(encode_row).collect();
            (Key::Page(seq).bytes(), StoredPage::encode(&org, last_ms, &rows))
        }
    };
    let value = frame::seal(&key, &payload);
    Some((key, Some(value)))
}
