//! What becomes of a change after Salesforce answered about it. Pure.

use std::time::Duration;

use orgpipe_reconcile::Operation;
use orgpipe_salesforce::{
    error::{ApiError, ErrorClass},
    rest::RowResult,
};
use orgpipe_store::{Change, Outcome};

use crate::{
    parcel::{ChangeParcel, unpack},
    retry::before_attempt,
};

/// Tries of one change before it becomes a dead letter.
const ATTEMPTS_MAX: u32 = 12;
/// First and longest wait after what passes by itself.
const PASSING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// First and longest wait after what somebody has to mend in the org.
const MENDING: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// Now and chance, for a batch of outcomes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Unix milliseconds.
    pub now_ms: u64,
    /// From 0 to 1.
    pub dice: f64,
}

/// A change unpacked for sending.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// Its number in the store.
    pub seq: u64,
    /// Tries so far.
    pub attempts: u32,
    /// What to write.
    pub parcel: ChangeParcel,
}

impl Outgoing {
    /// What its row is found by in Salesforce, and in which field that stands.
    pub(super) fn key(&self) -> (&str, &str) {
        match self.parcel.operation {
            Operation::Upsert => (&self.parcel.external_id_field, &self.parcel.external_id),
            Operation::Update | Operation::Delete => {
                ("Id", self.parcel.target_id.as_deref().unwrap_or_default())
            }
        }
    }
}

/// Unpacks; what cannot be read is a dead letter at once.
pub(super) fn unpack_all(changes: Vec<Change>, now_ms: u64) -> (Vec<Outgoing>, Vec<(u64, Outcome)>) {
    let (mut outgoing, mut outcomes) = (Vec::with_capacity(changes.len()), Vec::new());
    for change in changes {
        match unpack(&change.body) {
            Ok(parcel) => outgoing.push(Outgoing { seq: change.seq, attempts: change.attempts, parcel }),
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
pub(super) fn of_row(result: &RowResult, operation: Operation, attempts: u32, moment: Moment) -> Outcome {
    match result {
        RowResult::Written { .. } => Outcome::Written,
        RowResult::Failed(error) => of_error(error, operation, attempts, moment),
    }
}

/// By class: what passes is tried again soon, what somebody may mend seldom, and the record's own fault never.
pub(super) fn of_error(error: &ApiError, operation: Operation, attempts: u32, moment: Moment) -> Outcome {
    if operation == Operation::Delete && error.is_gone() {
        // A deletion whose answer was lost, or somebody else's.
        return Outcome::Written;
    }
    let waits = match error.class() {
        ErrorClass::Record | ErrorClass::Bug => None,
        ErrorClass::Schema | ErrorClass::Org => Some(MENDING),
        ErrorClass::Auth | ErrorClass::DailyLimit | ErrorClass::Concurrency | ErrorClass::Transient => {
            Some(PASSING)
        }
    };
    match waits {
        Some(waits) => again(&reason(error), attempts, waits, moment),
        None => dead(&reason(error), error.hint(), moment),
    }
}

/// The row's end is not known, or it was not looked at: once more, since a write may be repeated.
pub(super) fn unknown(what: &str, attempts: u32, moment: Moment) -> Outcome {
    again(what, attempts, PASSING, moment)
}

fn again(reason: &str, attempts: u32, waits: (Duration, Duration), moment: Moment) -> Outcome {
    if attempts + 1 >= ATTEMPTS_MAX {
        let hint = format!("It was tried {ATTEMPTS_MAX} times; mend the cause, then refresh the record.");
        return dead(reason, Some(hint), moment);
    }
    let wait = before_attempt(attempts, waits.0, waits.1, moment.dice);
    let due_ms = moment.now_ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    Outcome::Retry { due_ms, reason: reason.to_owned() }
}

fn dead(reason: &str, hint: Option<String>, moment: Moment) -> Outcome {
    Outcome::Dead { reason: reason.to_owned(), hint: hint.unwrap_or_default(), at_ms: moment.now_ms }
}

/// The code and the fields. Salesforce's text may quote the record, so it goes into the store only as far as it
/// carries no values: not at all.
fn reason(error: &ApiError) -> String {
    let fields =
        if error.fields.is_empty() { String::new() } else { format!(" ({})", error.fields.join(", ")) };
    format!("Salesforce refused with `{}`{fields}", error.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment = Moment { now_ms: 1_000, dice: 1.0 };

    fn error(code: &str) -> ApiError {
        ApiError {
            status: 400,
            code: code.into(),
            message: "secret value".into(),
            fields: vec!["Name".into()],
        }
    }

    #[test]
    fn the_class_decides_and_the_attempts_are_bounded() {
        let cases = [
            ("UNABLE_TO_LOCK_ROW", 0, Some(2_000)),
            ("UNABLE_TO_LOCK_ROW", 3, Some(9_000)),
            ("UNABLE_TO_LOCK_ROW", 11, None),
            ("STORAGE_LIMIT_EXCEEDED", 0, Some(61_000)),
            ("INVALID_FIELD", 0, Some(61_000)),
            ("FIELD_CUSTOM_VALIDATION_EXCEPTION", 0, None),
        ];
        for (code, attempts, due) in cases {
            match (of_error(&error(code), Operation::Upsert, attempts, MOMENT), due) {
                (Outcome::Retry { due_ms, .. }, Some(due)) => assert_eq!(due_ms, due, "{code}"),
                (Outcome::Dead { reason, .. }, None) => {
                    assert!(reason.contains(code) && reason.contains("Name") && !reason.contains("secret"));
                }
                (outcome, due) => panic!("{code} after {attempts}: {outcome:?}, expected {due:?}"),
            }
        }
        let gone = error("ENTITY_IS_DELETED");
        assert_eq!(of_error(&gone, Operation::Delete, 0, MOMENT), Outcome::Written);
        assert!(matches!(of_error(&gone, Operation::Update, 0, MOMENT), Outcome::Dead { .. }));
    }
}
