//! What becomes of a change after Salesforce answered about it. Pure.
//!
//! Here: the end, and how long to wait for another try. Not here: what one call came to (`step`), with which others a change
//! is tried again (`group`, `parts`).
//!
//! Invariant: a change becomes a dead letter only by a verdict about its own values, or after it has failed alone.
//! Invariant: what only somebody else can mend is waited for, and no try is counted.

use std::time::Duration;

use orgpipe_reconcile::Operation;
use orgpipe_salesforce::error::{ApiError, ErrorClass};
use orgpipe_store::{LetterError, Outcome, UnixMs};

use super::{
    group,
    outgoing::{LeftOut, Tried},
    resend::{Resend, WAITS_MAX, Way},
};
use crate::retry::before_attempt;

/// Tries of one change before it becomes a dead letter.
const ATTEMPTS_MAX: u32 = 12;
/// Tries of a record that was refused because its own external ID had come up meanwhile: the next one finds it.
const RACES_MAX: u32 = 2;
/// First and longest wait after what passes by itself.
const PASSING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// First and longest wait after what somebody has to mend in the org, or a day to end.
const MENDING: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));
/// What waits for others and for longer than this comes again at a whole multiple of it, so that records that were refused at
/// different moments share calls.
const SHARED_MS: u64 = 30_000;
const SHARED: Duration = Duration::from_millis(SHARED_MS);
/// Moments over which records that lost a lock are spread. Few, so that they still share calls.
const LOCK_SLOTS: u32 = 4;

/// Now and chance, for a batch of outcomes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// What time it is.
    pub now_ms: UnixMs,
    /// From 0 to 1.
    pub jitter: f64,
}

/// What was sent, for changes that went together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'a> {
    /// What was asked for.
    pub operation: Operation,
    /// The fields, the key first.
    pub fields: &'a [String],
    /// How many went together.
    pub together: usize,
    /// How many of them failed of their transaction.
    pub alike: usize,
    /// Whether the running user lacks a right on the target, as its describe says.
    pub closed: bool,
}

/// What is waited for without a try being counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitFor {
    /// It passes within minutes, often.
    Passing,
    /// Somebody has to do something.
    Mending,
}

/// By class: what passes is tried again soon, what somebody may mend seldom, and the record's own fault never.
pub(super) fn of_error(error: &ApiError, sent: Sent<'_>, tried: Tried, moment: Moment) -> Outcome {
    if sent.operation == Operation::Delete && error.is_gone() {
        // A deletion whose answer was lost, or somebody else's.
        return Outcome::Written;
    }
    let blamed = error.blamed(sent.fields);
    let reason = reasons(error, sent.fields);
    if error.is_lock() {
        return with_errors(lost_a_lock(&reason, sent.together, tried, moment), error, sent);
    }
    let key = sent.fields.first().map(String::as_str);
    if error.is_duplicate() && blamed.first().map(String::as_str) == key && tried.attempts < RACES_MAX {
        return retry(tried.resend, &reason, tried.attempts, moment);
    }
    if let Some(wait) = waits(error, sent) {
        // Written alone, the path holds the key, which may be what is not found; a list is told row by row.
        let by_list = sent.together == 1 && error.class() == ErrorClass::Schema;
        let way = if by_list { Way::ByRest } else { tried.resend.way };
        return put_back(wait, Resend { way, ..tried.resend }, &reason, moment);
    }
    if error.is_of_transaction() && sent.together > 1 {
        return smaller(&reason, sent, tried, moment);
    }
    match error.class() {
        ErrorClass::Record
        | ErrorClass::Bug
        | ErrorClass::Schema
        | ErrorClass::Org
        | ErrorClass::DailyLimit => dead(&reason, error.hint(), errors(error, sent.fields), moment),
        ErrorClass::Auth | ErrorClass::Concurrency | ErrorClass::Transient => {
            let outcome =
                counted(group::again(tried.resend, tried.attempts), &reason, sent.together, tried, moment);
            with_errors(outcome, error, sent)
        }
    }
}

/// A dead letter says what was said last.
fn with_errors(outcome: Outcome, error: &ApiError, sent: Sent<'_>) -> Outcome {
    match outcome {
        Outcome::Dead { reason, hint, at_ms, .. } => {
            Outcome::Dead { reason, hint, errors: errors(error, sent.fields), at_ms }
        }
        other => other,
    }
}

/// Whether a refusal is nobody's fault here: what it blames is for somebody else to mend, whatever is in the record.
pub(super) fn waits(error: &ApiError, sent: Sent<'_>) -> Option<WaitFor> {
    if error.is_read_only() {
        return Some(WaitFor::Passing);
    }
    let of_org = matches!(error.class(), ErrorClass::Schema | ErrorClass::Org | ErrorClass::DailyLimit);
    (of_org || error.is_for_others_to_mend() || sent.closed && error.is_denied()).then_some(WaitFor::Mending)
}

/// Records of one parent come at one moment, so that they share a call instead of fighting for its lock.
fn lost_a_lock(reason: &str, together: usize, tried: Tried, moment: Moment) -> Outcome {
    let (reason, moment) = (format!("a lock was in the way: {reason}"), by_parent(tried, moment));
    counted(group::apart(tried.resend), &reason, together, tried, moment)
}

/// The transaction was refused: the same record with fewer others, at once.
fn smaller(reason: &str, sent: Sent<'_>, tried: Tried, moment: Moment) -> Outcome {
    let reason = match sent.alike {
        0 | 1 => format!("{reason}; it is sent again alone"),
        alike => format!("{reason}, as were {} others of its call; it is sent again with fewer", alike - 1),
    };
    retry(group::halved(tried.resend, sent.alike.min(sent.together)), &reason, 0, moment)
}

/// Nobody knows what became of a call of so many records. `halve`: with so many it is not to be tried once more.
pub(super) fn unanswered(what: &str, together: usize, halve: bool, tried: Tried, moment: Moment) -> Outcome {
    let again = if halve && together > 1 {
        group::halved(tried.resend, together)
    } else {
        group::again(tried.resend, tried.attempts)
    };
    counted(again, what, together, tried, moment)
}

/// The same of a record alone, while no other write of the org is answered either: that is not the record's fault.
pub(super) fn unanswered_like_all(what: &str, tried: Tried, moment: Moment) -> Outcome {
    put_back(WaitFor::Passing, tried.resend, what, moment)
}

/// A row that was not looked at because its job failed as a whole.
pub(super) fn of_job(cause: &ApiError, together: usize, tried: Tried, moment: Moment) -> Outcome {
    let reason = reason(cause, &[]);
    if cause.is_lock() {
        return lost_a_lock(&reason, together, tried, moment);
    }
    match cause.class() {
        ErrorClass::Transient | ErrorClass::Auth | ErrorClass::Concurrency => {
            counted(group::again(tried.resend, tried.attempts), &reason, together, tried, moment)
        }
        // A column that is not there, a day's batches used up: one record's fault, or none's.
        ErrorClass::Schema
        | ErrorClass::Org
        | ErrorClass::Record
        | ErrorClass::Bug
        | ErrorClass::DailyLimit => {
            by_rest(&format!("the Bulk job failed as a whole: {reason}"), together, tried, moment)
        }
    }
}

/// A row whose job was given up: the other way.
pub(super) fn by_rest(reason: &str, together: usize, tried: Tried, moment: Moment) -> Outcome {
    let resend = group::again(Resend { way: Way::ByRest, ..tried.resend }, tried.attempts);
    counted(resend, reason, together, tried, moment)
}

/// The row's end is not known, or it was not looked at: once more, since a write may be repeated.
pub(super) fn unknown(what: &str, together: usize, tried: Tried, moment: Moment) -> Outcome {
    counted(group::again(tried.resend, tried.attempts), what, together, tried, moment)
}

/// It is in the org, without these fields.
pub(super) fn written(left_out: &[LeftOut]) -> Outcome {
    let Some(first) = left_out.first() else { return Outcome::Written };
    let fields: Vec<&str> = left_out.iter().map(|one| one.field.as_str()).collect();
    let reason = format!(
        "without `{}`, as Salesforce refused the value with `{}` and the sync says `on_refused_field = \"leave_out\"`",
        fields.join("`, `"),
        first.code
    );
    Outcome::WrittenInPart { reason }
}

/// Records of one parent come together, those of different parents at different moments.
fn by_parent(tried: Tried, moment: Moment) -> Moment {
    let slot = u32::try_from(tried.parent % u64::from(LOCK_SLOTS)).unwrap_or_default();
    Moment { jitter: (f64::from(slot) + moment.jitter) / f64::from(LOCK_SLOTS), ..moment }
}

/// A try that failed. After the last one it is a dead letter if it was alone, and alone otherwise.
fn counted(again: Resend, reason: &str, together: usize, tried: Tried, moment: Moment) -> Outcome {
    if tried.attempts + 1 < ATTEMPTS_MAX {
        return retry(again, reason, tried.attempts, moment);
    }
    if together > 1 {
        return retry(group::alone(again), reason, tried.attempts, moment);
    }
    let hint = format!("It was tried {ATTEMPTS_MAX} times; mend the cause, then refresh the record.");
    dead(reason, Some(hint), Vec::new(), moment)
}

fn retry(again: Resend, reason: &str, attempts: u32, moment: Moment) -> Outcome {
    let wait = before_attempt(attempts, PASSING.0, PASSING.1, moment.jitter);
    let (due_ms, resend) = (Some(moment.now_ms.saturating_add(wait)), Resend { waits: 0, ..again }.stored());
    Outcome::Retry { due_ms, reason: reason.to_owned(), resend, counted: true }
}

/// Kept until somebody else has done something. The waits grow by their number, which the change remembers.
fn put_back(wait: WaitFor, resend: Resend, reason: &str, moment: Moment) -> Outcome {
    let waited = match wait {
        WaitFor::Passing => before_attempt(resend.waits.into(), PASSING.0, PASSING.1, moment.jitter),
        WaitFor::Mending => {
            before_attempt(resend.waits.into(), MENDING.0, MENDING.1, moment.jitter).max(MENDING.0)
        }
    };
    let resend = Resend { waits: resend.waits.saturating_add(1).min(WAITS_MAX), ..resend };
    let due_ms = moment.now_ms.saturating_add(waited);
    let due_ms = Some(if waited < SHARED { due_ms } else { UnixMs(due_ms.0.next_multiple_of(SHARED_MS)) });
    Outcome::Retry { due_ms, reason: reason.to_owned(), resend: resend.stored(), counted: false }
}

fn dead(reason: &str, hint: Option<String>, errors: Vec<LetterError>, moment: Moment) -> Outcome {
    let (reason, hint) = (reason.to_owned(), hint.unwrap_or_default());
    Outcome::Dead { reason, hint, errors, at_ms: moment.now_ms }
}

/// All that Salesforce says about the record, as it says it: `commit` takes the record's values out before anybody sees it.
fn errors(error: &ApiError, fields: &[String]) -> Vec<LetterError> {
    let one = |error: &ApiError| LetterError {
        code: error.code.clone(),
        message: error.message.clone(),
        fields: error.blamed(fields),
    };
    error.all().map(one).collect()
}

/// Of all that is wrong with a record the codes and the fields, always in the same order.
fn reasons(error: &ApiError, fields: &[String]) -> String {
    let mut all: Vec<String> = error.all().map(|error| code(error, &error.blamed(fields))).collect();
    all.sort();
    all.dedup();
    format!("Salesforce refused with {}", all.join("; "))
}

/// The code and the fields. Salesforce's text may quote the record, so it goes into the store only as far as it
/// carries no values: names of fields.
pub(super) fn reason(error: &ApiError, blamed: &[String]) -> String {
    format!("Salesforce refused with {}", code(error, blamed))
}

fn code(error: &ApiError, blamed: &[String]) -> String {
    let fields = if blamed.is_empty() { String::new() } else { format!(" ({})", blamed.join(", ")) };
    format!("`{}`{fields}", error.code)
}

#[cfg(test)]
mod tests;
