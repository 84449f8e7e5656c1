//! The fields of every entry, in the order in which they are stored.
//!
//! Here: one `encode` and one `decode` per kind. Not here: the frame round them (`frame.rs`), their keys (`keys.rs`).
//!
//! A new field needs a new `FORMAT` and a step from the old one.

use crate::{
    commands::{Change, End, Lane, LedgerRow, Push, PushCounts, Request, Subject},
    dead_letter::DeadLetter,
    frame::{Reader, Writer},
    ledger::{Counts, Ledger},
    refusal::LetterError,
    seq::Seq,
    unix_ms::UnixMs,
};

/// Attempts of a change that its three bytes hold; more count as so many.
const ATTEMPTS_STORED_MAX: u32 = 0x00ff_ffff;

/// Format of the database as a whole. The one before had no history, which a program of that time would not know, dead letters
/// that said less, and rows that did not say what the record of the target is called; the one before that no pushes, the one before that no registry, and the one before that no fingerprints.
pub(crate) const FORMAT: u32 = 6;
/// The oldest that is read as it is; opened by the service, it becomes the one of today.
const FORMAT_OLDEST: u32 = 2;

/// Can a database of this format be read?
pub(crate) fn is_known_format(format: u32) -> bool {
    (FORMAT_OLDEST..=FORMAT).contains(&format)
}

/// A request as it is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoredRequest {
    pub(crate) org: String,
    pub(crate) request: Request,
}

impl StoredRequest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Request { seq: _, lane, records, body } = &self.request;
        Writer::default().text(&self.org).u8(lane_code(*lane)).u32(*records).bytes(body).done()
    }

    pub(crate) fn decode(seq: Seq, payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let org = reader.text()?;
        let request =
            Request { seq, lane: lane(reader.u8()?)?, records: reader.u32()?, body: reader.bytes()? };
        reader.end()?;
        Some(Self { org, request })
    }
}

/// A change as it is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoredChange {
    pub(crate) org: String,
    /// Not to be offered before; none: at once.
    pub(crate) due_ms: Option<UnixMs>,
    pub(crate) change: Change,
}

impl StoredChange {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Change { seq: _, lane, target, key, subjects, attempts, last_reason, resend, body } =
            &self.change;
        let [_, tries @ ..] = attempts.min(&ATTEMPTS_STORED_MAX).to_be_bytes();
        let writer = Writer::default()
            .text(&self.org)
            .u64(due_stored(self.due_ms).0)
            .u8(lane_code(*lane))
            .text(target)
            .text(key)
            .u8(*resend)
            .raw(&tries)
            .text(last_reason)
            .bytes(body);
        write_subjects(writer, subjects).done()
    }

    pub(crate) fn decode(seq: Seq, payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let org = reader.text()?;
        let due_ms = due_read(UnixMs(reader.u64()?));
        let (lane, target, key) = (lane(reader.u8()?)?, reader.text()?, reader.text()?);
        // Before there was `resend`, four bytes held the attempts, of which the first was always 0.
        let [resend, tries @ ..] = reader.u32()?.to_be_bytes();
        let attempts = u32::from_be_bytes([0, tries[0], tries[1], tries[2]]);
        let change = Change {
            seq,
            lane,
            target,
            key,
            attempts,
            resend,
            last_reason: reader.text()?,
            body: reader.bytes()?,
            subjects: read_subjects(&mut reader)?,
        };
        reader.end()?;
        Some(Self { org, due_ms, change })
    }
}

/// A due time as it is stored: the beginning of 1970 for none.
pub(crate) fn due_stored(due_ms: Option<UnixMs>) -> UnixMs {
    due_ms.unwrap_or(UnixMs::EPOCH)
}

/// A stored due time.
pub(crate) fn due_read(stored: UnixMs) -> Option<UnixMs> {
    Some(stored).filter(|due_ms| *due_ms > UnixMs::EPOCH)
}

/// A dead letter as it is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoredDeadLetter {
    pub(crate) org: String,
    pub(crate) letter: DeadLetter,
}

impl StoredDeadLetter {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let DeadLetter { seq: _, sync, first_ms, last_ms, count, subjects, target, key, reason, .. } =
            &self.letter;
        let DeadLetter { hint, errors, attempts, body, seen, retried, .. } = &self.letter;
        let writer = Writer::default()
            .text(&self.org)
            .u64(last_ms.0)
            .text(target)
            .text(key)
            .text(reason)
            .text(hint)
            .u32(*attempts)
            .bytes(body);
        let writer = write_subjects(writer, subjects)
            .short_bytes(sync.as_bytes())
            .short(first_ms.0)
            .short(*count)
            .short(seen.0)
            .u8(u8::from(*retried))
            .short(errors.len() as u64);
        errors.iter().fold(writer, write_error).done()
    }

    pub(crate) fn decode(seq: Seq, payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let org = reader.text()?;
        let at_ms = UnixMs(reader.u64()?);
        let mut letter = DeadLetter {
            seq,
            sync: String::new(),
            first_ms: at_ms,
            last_ms: at_ms,
            count: 1,
            target: reader.text()?,
            key: reader.text()?,
            reason: reader.text()?,
            hint: reader.text()?,
            attempts: reader.u32()?,
            body: reader.bytes()?,
            subjects: read_subjects(&mut reader)?,
            errors: Vec::new(),
            seen: seq,
            retried: false,
        };
        // Up to format 5 a letter said no more.
        if !reader.is_empty() {
            letter.sync = reader.short_text()?;
            letter.first_ms = UnixMs(reader.short()?);
            letter.count = reader.short()?;
            letter.seen = Seq(reader.short()?);
            letter.retried = reader.u8()? == 1;
            letter.errors = (0..reader.short()?).map(|_| read_error(&mut reader)).collect::<Option<_>>()?;
        }
        reader.end()?;
        Some(Self { org, letter })
    }
}

fn write_error(writer: Writer, error: &LetterError) -> Writer {
    let LetterError { code, message, fields } = error;
    let writer =
        writer.short_bytes(code.as_bytes()).short_bytes(message.as_bytes()).short(fields.len() as u64);
    fields.iter().fold(writer, |writer, field| writer.short_bytes(field.as_bytes()))
}

fn read_error(reader: &mut Reader<'_>) -> Option<LetterError> {
    let (code, message) = (reader.short_text()?, reader.short_text()?);
    let fields = (0..reader.short()?).map(|_| reader.short_text()).collect::<Option<_>>()?;
    Some(LetterError { code, message, fields })
}

impl Ledger {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Counts { records_in, written, unchanged, no_data, superseded, dead, open_ingress, open_egress } =
            self.counts;
        let stored = [self.requests, self.changes, self.jobs, self.dead_letters, self.positions, self.pages];
        [records_in, written, unchanged, no_data, superseded, dead, open_ingress, open_egress]
            .into_iter()
            .chain(stored)
            .fold(Writer::default(), Writer::u64)
            .done()
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let counts = Counts {
            records_in: reader.u64()?,
            written: reader.u64()?,
            unchanged: reader.u64()?,
            no_data: reader.u64()?,
            superseded: reader.u64()?,
            dead: reader.u64()?,
            open_ingress: reader.u64()?,
            open_egress: reader.u64()?,
        };
        let ledger = Self {
            counts,
            requests: reader.u64()?,
            changes: reader.u64()?,
            jobs: reader.u64()?,
            dead_letters: reader.u64()?,
            positions: reader.u64()?,
            pages: reader.u64()?,
        };
        reader.end()?;
        Some(ledger)
    }
}

/// Bits of a number that are the units of a subject.
const UNITS_BITS: u32 = u32::BITS;

fn write_subjects(writer: Writer, subjects: &[Subject]) -> Writer {
    let writer = writer.short(subjects.len() as u64);
    subjects.iter().fold(writer, write_subject)
}

/// The number of pushes stands above the units, in one number: up to format 4 there were only units.
fn write_subject(writer: Writer, subject: &Subject) -> Writer {
    let Subject { record, units, asked_ms, trail, pushes } = subject;
    let numbers = (pushes.len() as u64) << UNITS_BITS | u64::from(*units);
    let writer = writer.short_bytes(record.as_bytes()).short(numbers).short(asked_ms.0).short_bytes(trail);
    pushes.iter().fold(writer, |writer, push| writer.short(push.0))
}

fn read_subjects(reader: &mut Reader<'_>) -> Option<Vec<Subject>> {
    (0..reader.short()?).map(|_| read_subject(reader)).collect()
}

fn read_subject(reader: &mut Reader<'_>) -> Option<Subject> {
    let (record, numbers) = (reader.short_text()?, reader.short()?);
    let units = u32::try_from(numbers & u64::from(u32::MAX)).ok()?;
    let (asked_ms, trail) = (UnixMs(reader.short()?), reader.short_bytes()?);
    let pushes = (0..numbers >> UNITS_BITS).map(|_| reader.short().map(Seq)).collect::<Option<_>>()?;
    Some(Subject { record, units, asked_ms, trail, pushes })
}

/// Several rows of one org's ledger in one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredPage {
    pub(crate) org: String,
    /// When the newest of its rows ended.
    pub(crate) last_ms: UnixMs,
    /// Its rows one behind the other, as `encode_row` gives them.
    pub(crate) rows: Vec<u8>,
}

impl StoredPage {
    pub(crate) fn encode(org: &str, last_ms: UnixMs, rows: &[u8]) -> Vec<u8> {
        Writer::default().text(org).u64(last_ms.0).raw(rows).done()
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        Some(Self { org: reader.text()?, last_ms: UnixMs(reader.u64()?), rows: reader.rest() })
    }

    /// Its rows, oldest first.
    pub(crate) fn decode_rows(&self) -> Option<Vec<LedgerRow>> {
        let mut reader = Reader::new(&self.rows);
        let mut rows = Vec::new();
        while !reader.is_empty() {
            rows.push(decode_row(&mut reader)?);
        }
        Some(rows)
    }
}

/// The number in a row as it is stored: 0, which is never given, for none.
pub(crate) fn number_stored(seq: Option<Seq>) -> Seq {
    seq.unwrap_or(Seq::MIN)
}

/// A stored number of a row.
pub(crate) fn number_read(stored: Seq) -> Option<Seq> {
    Some(stored).filter(|seq| *seq > Seq::MIN)
}

/// Bit of the end's code in a row behind which it is told what the record of the target is called there. Rows of earlier
/// versions do not have it.
const NAMED: u8 = 0x80;

/// A row, for a page.
pub(crate) fn encode_row(row: &LedgerRow) -> Vec<u8> {
    let LedgerRow { subject, end, ended_ms, seq, tries, target, key, target_id, reason, by } = row;
    let named = if target_id.is_empty() { 0 } else { NAMED };
    let writer = write_subject(Writer::default().u8(end_code(*end) | named), subject)
        .short(ended_ms.0)
        .short(number_stored(*seq).0)
        .short(u64::from(*tries))
        .short_bytes(target.as_bytes())
        .short_bytes(key.as_bytes())
        .short_bytes(reason.as_bytes())
        .short_bytes(by.as_bytes());
    if target_id.is_empty() { writer.done() } else { writer.short_bytes(target_id.as_bytes()).done() }
}

fn decode_row(reader: &mut Reader<'_>) -> Option<LedgerRow> {
    let code = reader.u8()?;
    let end = end(code & !NAMED)?;
    let mut row = LedgerRow {
        subject: read_subject(reader)?,
        end,
        ended_ms: UnixMs(reader.short()?),
        seq: number_read(Seq(reader.short()?)),
        tries: u32::try_from(reader.short()?).ok()?,
        target: reader.short_text()?,
        key: reader.short_text()?,
        target_id: String::new(),
        reason: reader.short_text()?,
        by: reader.short_text()?,
    };
    if code & NAMED != 0 {
        row.target_id = reader.short_text()?;
    }
    Some(row)
}

/// What must be in the database as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The highest number given; the next one is higher, whatever was removed since.
    pub(crate) sequence: Seq,
    /// Orgs that have a ledger.
    pub(crate) orgs: u64,
    /// Values of the registry.
    pub(crate) registered: u64,
    /// Pushes.
    pub(crate) pushes: u64,
    /// What orgs have counted for them, over all orgs.
    pub(crate) push_counts: u64,
    /// Values of the history.
    pub(crate) history: u64,
}

impl Mark {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Writer::default()
            .u64(self.sequence.0)
            .u64(self.orgs)
            .u64(self.registered)
            .u64(self.pushes)
            .u64(self.push_counts)
            .u64(self.history)
            .done()
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let (sequence, orgs) = (Seq(reader.u64()?), reader.u64()?);
        // Up to format 3 there was no registry.
        let registered = if reader.is_empty() { 0 } else { reader.u64()? };
        // Up to format 4 there were no pushes.
        let (pushes, push_counts) = if reader.is_empty() { (0, 0) } else { (reader.u64()?, reader.u64()?) };
        // Up to format 5 there was no history.
        let history = if reader.is_empty() { 0 } else { reader.u64()? };
        let mark = Self { sequence, orgs, registered, pushes, push_counts, history };
        reader.end()?;
        Some(mark)
    }
}

impl Push {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Writer::default().bytes(&self.head).bytes(&self.body).done()
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let push = Self { head: reader.bytes()?, body: reader.bytes()? };
        reader.end()?;
        Some(push)
    }
}

/// What an org has counted for a push.
pub(crate) fn encode_push_counts(counts: &PushCounts) -> Vec<u8> {
    let PushCounts { found, written, unchanged, no_data, superseded, dead } = *counts;
    let all = [found, written, unchanged, no_data, superseded, dead];
    all.into_iter().fold(Writer::default(), Writer::short).done()
}

/// The same, read back.
pub(crate) fn decode_push_counts(payload: &[u8]) -> Option<PushCounts> {
    let mut reader = Reader::new(payload);
    let counts = PushCounts {
        found: reader.short()?,
        written: reader.short()?,
        unchanged: reader.short()?,
        no_data: reader.short()?,
        superseded: reader.short()?,
        dead: reader.short()?,
    };
    reader.end()?;
    Some(counts)
}

/// The list of a job's changes.
pub(crate) fn encode_numbers<'a>(numbers: impl Iterator<Item = &'a Seq>) -> Vec<u8> {
    numbers.fold(Writer::default(), |writer, number| writer.u64(number.0)).done()
}

/// The list of a job's changes, read back.
pub(crate) fn decode_numbers(payload: &[u8]) -> Option<Vec<Seq>> {
    let (numbers, rest) = payload.as_chunks::<8>();
    rest.is_empty().then(|| numbers.iter().map(|number| Seq(u64::from_be_bytes(*number))).collect())
}

fn lane_code(lane: Lane) -> u8 {
    match lane {
        Lane::Live => 0,
        Lane::Refresh => 1,
    }
}

fn lane(code: u8) -> Option<Lane> {
    match code {
        0 => Some(Lane::Live),
        1 => Some(Lane::Refresh),
        _ => None,
    }
}

const ENDS: [End; 8] = [
    End::Written,
    End::Unchanged,
    End::NoData,
    End::Superseded,
    End::Dead,
    End::Retried,
    End::Discarded,
    End::Closed,
];

fn end_code(end: End) -> u8 {
    match end {
        End::Written => 0,
        End::Unchanged => 1,
        End::NoData => 2,
        End::Superseded => 3,
        End::Dead => 4,
        End::Retried => 5,
        End::Discarded => 6,
        End::Closed => 7,
    }
}

fn end(code: u8) -> Option<End> {
    ENDS.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_moment() -> impl Strategy<Value = UnixMs> {
        any::<u64>().prop_map(UnixMs)
    }

    prop_compose! {
        fn any_subject()(
            record in ".{0,6}", units in any::<u32>(), asked_ms in any_moment(),
            trail in prop::collection::vec(any::<u8>(), 0..200), pushes in prop::collection::vec(any::<u64>().prop_map(Seq), 0..3),
        ) -> Subject {
            Subject { record, units, asked_ms, trail, pushes }
        }
    }

    prop_compose! {
        fn any_change()(
            seq in any::<u64>().prop_map(Seq), live in any::<bool>(), target in ".{0,6}", key in ".{0,6}",
            subjects in prop::collection::vec(any_subject(), 0..4), attempts in 0..=ATTEMPTS_STORED_MAX,
            resend in any::<u8>(), last_reason in ".{0,6}", body in prop::collection::vec(any::<u8>(), 0..9),
        ) -> Change {
            let lane = if live { Lane::Live } else { Lane::Refresh };
            Change { seq, lane, target, key, subjects, attempts, last_reason, resend, body }
        }
    }

    prop_compose! {
        fn any_row()(change in any_change(), subject in any_subject(), code in 0..8_usize, target_id in "(a0X)?") -> LedgerRow {
            let Change { seq, attempts: tries, target, key, last_reason: reason, .. } = change;
            LedgerRow { ended_ms: UnixMs(seq.0), seq: number_read(seq), tries, end: ENDS[code], by: key.clone(), target, key, target_id, reason, subject }
        }
    }

    proptest! {
        #[test]
        fn entries_are_read_back(change in any_change(), org in ".{0,6}", due_ms in any_moment(), n in any::<[u64; 14]>()) {
            let request = Request { seq: change.seq, lane: change.lane, records: change.attempts, body: change.body.clone() };
            let stored = StoredRequest { org: org.clone(), request };
            prop_assert_eq!(StoredRequest::decode(change.seq, &stored.encode()), Some(stored));
            let letter = DeadLetter {
                seq: change.seq, sync: org.clone(), first_ms: UnixMs(n[0]), last_ms: due_ms, count: n[1],
                subjects: change.subjects.clone(), target: change.target.clone(),
                key: change.key.clone(), reason: change.last_reason.clone(), hint: org.clone(),
                errors: vec![LetterError { code: org.clone(), message: change.key.clone(), fields: vec![org.clone(); 2] }; (n[2] % 3) as usize],
                attempts: change.attempts, body: change.body.clone(), seen: Seq(n[3]), retried: n[4] % 2 == 1,
            };
            let stored = StoredDeadLetter { org: org.clone(), letter };
            prop_assert_eq!(StoredDeadLetter::decode(change.seq, &stored.encode()), Some(stored));
            let seq = change.seq;
            let stored = StoredChange { org, due_ms: due_read(due_ms), change };
            prop_assert_eq!(StoredChange::decode(seq, &stored.encode()), Some(stored));
            let n = n.map(Seq);
            let payload = encode_numbers(n.iter());
            prop_assert_eq!(decode_numbers(&payload), Some(n.to_vec()));
            prop_assert_eq!(Ledger::decode(&payload).map(|ledger| ledger.encode()), Some(payload));
        }

        #[test]
        fn pushes_are_read_back(head in prop::collection::vec(any::<u8>(), 0..9), n in any::<[u64; 6]>()) {
            let push = Push { body: head.iter().rev().copied().collect(), head };
            prop_assert_eq!(Push::decode(&push.encode()), Some(push));
            let [found, written, unchanged, no_data, superseded, dead] = n;
            let counts = PushCounts { found, written, unchanged, no_data, superseded, dead };
            prop_assert_eq!(decode_push_counts(&encode_push_counts(&counts)), Some(counts));
        }

        #[test]
        fn rows_are_read_back(rows in prop::collection::vec(any_row(), 0..5), org in ".{0,6}", last_ms in any_moment()) {
            let encoded: Vec<u8> = rows.iter().flat_map(encode_row).collect();
            let page = StoredPage::decode(&StoredPage::encode(&org, last_ms, &encoded)).expect("a page");
            prop_assert_eq!((&page.org, page.last_ms), (&org, last_ms));
            prop_assert_eq!(page.decode_rows(), Some(rows));
        }

        #[test]
        fn a_row_without_a_name_of_the_target_is_stored_as_before_there_were_any(row in any_row()) {
            let (unnamed, named) = (LedgerRow { target_id: String::new(), ..row.clone() }, LedgerRow { target_id: "a0X".into(), ..row });
            let (short, long) = (encode_row(&unnamed), encode_row(&named));
            prop_assert_eq!(short[0], end_code(unnamed.end));
            prop_assert_eq!(&long[1..short.len()], &short[1..]);
            prop_assert_eq!(&long[short.len()..], b"\x03a0X");
        }

        #[test]
        fn decoding_any_bytes_never_panics(payload in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (StoredRequest::decode(Seq(1), &payload), StoredChange::decode(Seq(1), &payload));
            let _ = (StoredDeadLetter::decode(Seq(1), &payload), decode_numbers(&payload), Ledger::decode(&payload));
            let _ = (Push::decode(&payload), decode_push_counts(&payload));
            let _ = StoredPage::decode(&payload).and_then(|page| page.decode_rows());
        }
    }
}
