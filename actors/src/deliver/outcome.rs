//! What becomes of a change after Salesforce answered about it. Pure.
//!
//! Here: the end, and how long to wait for another try. Not here: with which others it is tried again (`parts`).

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use orgpipe_reconcile::Operation;
use orgpipe_salesforce::{
    error::{ApiError, ErrorClass},
    rest::RowResult,
};
use orgpipe_store::{Change, Outcome};

use crate::{
    queue_entry::{ChangeEntry, unpack},
    retry::before_attempt,
};

/// Tries of one change before it becomes a dead letter.
const ATTEMPTS_MAX: u32 = 12;
/// Tries of a record that was refused because its own external ID had come up meanwhile: the next one finds it.
const RACES_MAX: u32 = 2;
/// First and longest wait after what passes by itself.
const PASSING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// First and longest wait after what somebody has to mend in the org, or a day to end.
const MENDING: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));
/// Moments over which records that lost a lock are spread. Few, so that they still share calls.
const LOCK_SLOTS: u32 = 4;

/// Now and chance, for a batch of outcomes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Unix milliseconds.
    pub now_ms: u64,
    /// From 0 to 1.
    pub jitter: f64,
}

/// How a change is to be sent, from what became of it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resend {
    /// Like any other.
    Usual,
    /// It lost a lock: with few others.
    Apart,
    /// By REST, which tells record by record what is wrong.
    ByRest,
}

/// A change unpacked for sending.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// Its number in the store.
    pub seq: u64,
    /// Tries so far.
    pub attempts: u32,
    /// How to send it.
    pub resend: Resend,
    /// What to write.
    pub entry: ChangeEntry,
}

/// What is remembered of a change while it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// Tries before this one.
    pub attempts: u32,
    /// Stands for the record that its own hangs on.
    parent: u64,
}

/// What was sent, for changes that went together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'a> {
    /// What was asked for.
    pub operation: Operation,
    /// The fields, the key first.
    pub fields: &'a [String],
}

impl Resend {
    /// As the store keeps it.
    const fn stored(self) -> u8 {
        match self {
            Self::Usual => 0,
            Self::Apart => 1,
            Self::ByRest => 2,
        }
    }

    /// One that a later version stored is sent like any other.
    fn from_stored(stored: u8) -> Self {
        [Self::Apart, Self::ByRest].into_iter().find(|one| one.stored() == stored).unwrap_or(Self::Usual)
    }
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

    /// What is to be remembered of it.
    pub(super) fn tried(&self) -> Tried {
        let mut hasher = DefaultHasher::new();
        self.entry.source_id.hash(&mut hasher);
        Tried { attempts: self.attempts, parent: hasher.finish() }
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

/// Unpacks one change.
pub(super) fn unpack_one(change: &Change) -> Result<Outgoing, crate::queue_entry::Unreadable> {
    let resend = Resend::from_stored(change.resend);
    unpack(&change.body).map(|entry| Outgoing { seq: change.seq, attempts: change.attempts, resend, entry })
}

/// Unpacks; what cannot be read is a dead letter at once.
pub(super) fn unpack_all<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
    now_ms: u64,
) -> (Vec<Outgoing>, Vec<(u64, Outcome)>) {
    let (mut outgoing, mut outcomes) = (Vec::new(), Vec::new());
    for change in changes {
        match unpack_one(change) {
            Ok(change) => outgoing.push(change),
            Err(problem) => {
                let hint = "Report this as a bug of orgpipe, with the version that ran before.".to_owned();
                outcomes
                    .push((change.seq, Outcome::Dead { reason: problem.to_string(), hint, at_ms: now_ms }));
            }
        }
    }
    (outgoing, outcomes)
}

/// By what Salesforce answered for one row.
pub(super) fn of_row(result: &RowResult, sent: Sent<'_>, tried: Tried, moment: Moment) -> Outcome {
    match result {
        RowResult::Written { .. } => Outcome::Written,
        RowResult::Failed(error) => of_error(error, sent, tried, moment),
    }
}

/// By class: what passes is tried again soon, what somebody may mend seldom, and the record's own fault never.
pub(super) fn of_error(error: &ApiError, sent: Sent<'_>, tried: Tried, moment: Moment) -> Outcome {
    if sent.operation == Operation::Delete && error.is_gone() {
        // A deletion whose answer was lost, or somebody else's.
        return Outcome::Written;
    }
    let blamed = error.blamed(sent.fields);
    let reason = reason(error, &blamed);
    if error.is_lock() {
        return lost_a_lock(&reason, tried, moment);
    }
    let key = sent.fields.first().map(String::as_str);
    if error.is_duplicate() && blamed.first().map(String::as_str) == key && tried.attempts < RACES_MAX {
        return again(&reason, tried.attempts, PASSING, moment);
    }
    match error.class() {
        ErrorClass::Record | ErrorClass::Bug => dead(&reason, hint(error), moment),
        ErrorClass::Schema | ErrorClass::Org | ErrorClass::DailyLimit => {
            again(&reason, tried.attempts, MENDING, moment)
        }
        ErrorClass::Auth | ErrorClass::Concurrency | ErrorClass::Transient => {
            again(&reason, tried.attempts, PASSING, moment)
        }
    }
}

/// Records of one parent come at one moment, so that they share a call instead of fighting for its lock.
fn lost_a_lock(reason: &str, tried: Tried, moment: Moment) -> Outcome {
    let (reason, moment) = (format!("a lock was in the way: {reason}"), by_parent(tried, moment));
    again_so(Resend::Apart, &reason, tried.attempts, PASSING, moment)
}

/// A row that was not looked at because its job failed as a whole.
pub(super) fn of_job(cause: &ApiError, tried: Tried, moment: Moment) -> Outcome {
    let reason = reason(cause, &[]);
    if cause.is_lock() {
        return lost_a_lock(&reason, tried, moment);
    }
    match cause.class() {
        ErrorClass::Transient | ErrorClass::Auth | ErrorClass::Concurrency => {
            again(&reason, tried.attempts, PASSING, moment)
        }
        // A column that is not there, a day's batches used up: one record's fault, or none's.
        ErrorClass::Schema
        | ErrorClass::Org
        | ErrorClass::Record
        | ErrorClass::Bug
        | ErrorClass::DailyLimit => {
            let reason = format!("the Bulk job failed as a whole: {reason}");
            again_so(Resend::ByRest, &reason, tried.attempts, PASSING, moment)
        }
    }
}

/// The row's end is not known, or it was not looked at: once more, since a write may be repeated.
pub(super) fn unknown(what: &str, tried: Tried, moment: Moment) -> Outcome {
    again(what, tried.attempts, PASSING, moment)
}

/// Records of one parent come together, those of different parents at different moments.
fn by_parent(tried: Tried, moment: Moment) -> Moment {
    let slot = u32::try_from(tried.parent % u64::from(LOCK_SLOTS)).unwrap_or_default();
    Moment { jitter: (f64::from(slot) + moment.jitter) / f64::from(LOCK_SLOTS), ..moment }
}

fn again(reason: &str, attempts: u32, waits: (Duration, Duration), moment: Moment) -> Outcome {
    again_so(Resend::Usual, reason, attempts, waits, moment)
}

fn again_so(
    resend: Resend,
    reason: &str,
    attempts: u32,
    waits: (Duration, Duration),
    moment: Moment,
) -> Outcome {
    if attempts + 1 >= ATTEMPTS_MAX {
        let hint = format!("It was tried {ATTEMPTS_MAX} times; mend the cause, then refresh the record.");
        return dead(reason, Some(hint), moment);
    }
    let wait = before_attempt(attempts, waits.0, waits.1, moment.jitter);
    let due_ms = moment.now_ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    Outcome::Retry { due_ms, reason: reason.to_owned(), resend: resend.stored() }
}

fn dead(reason: &str, hint: Option<String>, moment: Moment) -> Outcome {
    Outcome::Dead { reason: reason.to_owned(), hint: hint.unwrap_or_default(), at_ms: moment.now_ms }
}

/// What to do, behind what the org's own rule says about it: a letter may hold that.
fn hint(error: &ApiError) -> Option<String> {
    let hint = error.hint();
    match error.words_of_the_org() {
        Some(words) => Some(format!("The org says: \u{201c}{words}\u{201d}. {}", hint.unwrap_or_default())),
        None => hint,
    }
}

/// The code and the fields. Salesforce's text may quote the record, so it goes into the store only as far as it
/// carries no values: names of fields.
fn reason(error: &ApiError, blamed: &[String]) -> String {
    let fields = if blamed.is_empty() { String::new() } else { format!(" ({})", blamed.join(", ")) };
    format!("Salesforce refused with `{}`{fields}", error.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment = Moment { now_ms: 1_000, jitter: 1.0 };

    fn error(code: &str, message: &str, fields: &[&str]) -> ApiError {
        let fields = fields.iter().map(|&field| field.to_owned()).collect();
        ApiError { status: 400, code: code.into(), message: message.into(), fields }
    }

    fn tried(attempts: u32, parent: u64) -> Tried {
        Tried { attempts, parent }
    }

    fn change(resend: u8) -> Change {
        let body = br#"{"v":1,"sync":"s","target":"T","external_id_field":"X","external_id":"k","fields":{},
            "source_id":"001","origin":"live","received_ms":1}"#;
        Change {
            seq: 1,
            lane: orgpipe_store::Lane::Live,
            target: "T".into(),
            key: "k".into(),
            subjects: Vec::new(),
            attempts: 1,
            last_reason: String::new(),
            resend,
            body: body.to_vec(),
        }
    }

    #[test]
    fn the_class_decides_and_the_attempts_are_bounded() {
        let fields = ["X__c".to_owned(), "Name".to_owned(), "Size__c".to_owned()];
        let sent = |operation| Sent { operation, fields: &fields };
        let (upsert, delete) = (sent(Operation::Upsert), sent(Operation::Delete));
        let secret = "secret value";
        // What is answered, after how many tries, when it is due again or which fields its dead letter names.
        let cases: &[(ApiError, Sent<'_>, u32, Result<u64, &str>)] = &[
            (error("UNABLE_TO_LOCK_ROW", secret, &[]), upsert, 0, Ok(2_000)),
            (error("UNABLE_TO_LOCK_ROW", secret, &[]), upsert, 3, Ok(9_000)),
            (error("UNABLE_TO_LOCK_ROW", secret, &["Name"]), upsert, 11, Err("Name")),
            (error("STORAGE_LIMIT_EXCEEDED", secret, &[]), upsert, 0, Ok(61_000)),
            (error("LIMIT_EXCEEDED", secret, &[]), upsert, 0, Ok(61_000)),
            (error("INVALID_FIELD", secret, &[]), upsert, 0, Ok(61_000)),
            (error("FIELD_CUSTOM_VALIDATION_EXCEPTION", secret, &["Name"]), upsert, 0, Err("Name")),
            // The field is taken from the text where the list of fields is empty, but no more than the field.
            (error("NUMBER_OUTSIDE_VALID_RANGE", "secret Size__c: 7", &[]), upsert, 0, Err("Size__c")),
            (error("DUPLICATE_VALUE", "duplicate value found: Name secret", &[]), upsert, 0, Err("Name")),
            // Another writer made the record in between: the next upsert finds it. But not for ever.
            (error("DUPLICATE_VALUE", "duplicate value found: X__c secret", &[]), upsert, 0, Ok(2_000)),
            (error("DUPLICATE_VALUE", "duplicate value found: X__c secret", &[]), upsert, 2, Err("X__c")),
            (error("ENTITY_IS_DELETED", secret, &["Name"]), upsert, 0, Err("Name")),
            (error("DELETE_FAILED", secret, &["Name"]), delete, 0, Err("Name")),
        ];
        for (error, sent, attempts, expected) in cases {
            match (of_error(error, *sent, tried(*attempts, 3), MOMENT), expected) {
                (Outcome::Retry { due_ms, .. }, Ok(due)) => assert_eq!(due_ms, *due, "{error}"),
                (Outcome::Dead { reason, .. }, Err(field)) => {
                    assert!(reason.ends_with(&format!("`{}` ({field})", error.code)), "{reason}");
                }
                (outcome, expected) => panic!("{error} after {attempts}: {outcome:?}, not {expected:?}"),
            }
        }
        let gone = error("ENTITY_IS_DELETED", secret, &[]);
        assert_eq!(of_error(&gone, delete, tried(0, 0), MOMENT), Outcome::Written);
    }

    #[test]
    fn the_orgs_own_words_are_in_the_letter_and_salesforces_are_not() {
        let sent = Sent { operation: Operation::Upsert, fields: &[] };
        let cases = [
            ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Employees must be under 5", true),
            ("CANNOT_EXECUTE_FLOW_TRIGGER", "Ask the office first", true),
            ("DUPLICATES_DETECTED", "Use one of these records?", true),
            ("NUMBER_OUTSIDE_VALID_RANGE", "Size: value outside of valid range: 7", false),
        ];
        for (code, words, told) in cases {
            match of_error(&error(code, words, &[]), sent, tried(0, 0), MOMENT) {
                Outcome::Dead { reason, hint, .. } => {
                    assert!(!reason.contains(words), "{reason}");
                    assert_eq!(
                        hint.contains(&format!("The org says: \u{201c}{words}\u{201d}")),
                        told,
                        "{hint}"
                    );
                }
                outcome => panic!("{code}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn losers_of_a_lock_come_again_parent_by_parent() {
        let (sent, half) =
            (Sent { operation: Operation::Upsert, fields: &[] }, Moment { jitter: 0.5, ..MOMENT });
        let lock = error("UNABLE_TO_LOCK_ROW", "", &[]);
        let due = |parent| match of_error(&lock, sent, tried(3, parent), half) {
            Outcome::Retry { due_ms, .. } => due_ms,
            outcome => panic!("{outcome:?}"),
        };
        assert_eq!([due(0), due(1), due(2), due(3), due(4)], [2_000, 4_000, 6_000, 8_000, 2_000]);
    }

    #[test]
    fn what_became_of_a_change_decides_how_it_is_sent_again() {
        let resend = |outcome| match outcome {
            Outcome::Retry { resend, .. } => resend,
            outcome => panic!("{outcome:?}"),
        };
        let sent = Sent { operation: Operation::Upsert, fields: &[] };
        let of_row = |code| resend(of_error(&error(code, "", &[]), sent, tried(0, 0), MOMENT));
        let job = |code| resend(of_job(&error(code, "", &[]), tried(0, 0), MOMENT));
        for (stored, expected) in [
            (0, Resend::Usual),
            (99, Resend::Usual),
            (of_row("UNKNOWN_EXCEPTION"), Resend::Usual),
            (of_row("UNABLE_TO_LOCK_ROW"), Resend::Apart),
            (job("InternalServerError"), Resend::Usual),
            (job("TooManyLockFailure"), Resend::Apart),
            (job("InvalidBatch"), Resend::ByRest),
            (job("ExceededQuota"), Resend::ByRest),
            (job("ClientInputError"), Resend::ByRest),
        ] {
            let change = unpack_one(&change(stored)).expect("readable");
            assert_eq!(change.resend, expected, "{stored}");
        }
    }
}
