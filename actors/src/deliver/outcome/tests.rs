//! The verdict on each kind of refusal, and how a change is sent again.

use super::*;

const MOMENT: Moment = Moment { now_ms: UnixMs(1_000), jitter: 1.0 };

fn error(code: &str, message: &str, fields: &[&str]) -> ApiError {
    let fields = fields.iter().map(|&field| field.to_owned()).collect();
    ApiError { status: 400, code: code.into(), message: message.into(), fields, also: Vec::new() }
}

fn tried(attempts: u32, parent: u64) -> Tried {
    Tried { attempts, parent, ..Tried::default() }
}

fn sent(operation: Operation, fields: &[String]) -> Sent<'_> {
    Sent { operation, fields, together: 1, alike: 0, closed: false }
}

#[test]
fn the_class_decides_and_the_attempts_are_bounded() {
    let fields = ["X__c".to_owned(), "Name".to_owned(), "Size__c".to_owned()];
    let (upsert, delete) = (sent(Operation::Upsert, &fields), sent(Operation::Delete, &fields));
    let secret = "secret value";
    // What is answered, after how many tries, when it is due again or which fields its dead letter names.
    let cases: &[(ApiError, Sent<'_>, u32, Result<u64, &str>)] = &[
        (error("UNABLE_TO_LOCK_ROW", secret, &[]), upsert, 0, Ok(2_000)),
        (error("UNABLE_TO_LOCK_ROW", secret, &[]), upsert, 3, Ok(9_000)),
        (error("UNABLE_TO_LOCK_ROW", secret, &["Name"]), upsert, 11, Err("Name")),
        (error("STORAGE_LIMIT_EXCEEDED", secret, &[]), upsert, 0, Ok(90_000)),
        (error("LIMIT_EXCEEDED", secret, &[]), upsert, 0, Ok(90_000)),
        (error("INVALID_FIELD", secret, &[]), upsert, 0, Ok(90_000)),
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
            (Outcome::Retry { due_ms, .. }, Ok(due)) => assert_eq!(due_ms, Some(UnixMs(*due)), "{error}"),
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
fn what_salesforce_says_is_among_the_errors_and_nowhere_else() {
    let sent = sent(Operation::Upsert, &[]);
    let cases = [
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Employees must be under 5"),
        ("CANNOT_EXECUTE_FLOW_TRIGGER", "Ask the office first"),
        ("NUMBER_OUTSIDE_VALID_RANGE", "Size: value outside of valid range: 7"),
    ];
    for (code, words) in cases {
        match of_error(&error(code, words, &[]), sent, tried(0, 0), MOMENT) {
            Outcome::Dead { reason, hint, errors, .. } => {
                assert!(!reason.contains(words) && !hint.contains(words), "{reason} {hint}");
                assert_eq!((errors[0].code.as_str(), errors[0].message.as_str()), (code, words));
            }
            outcome => panic!("{code}: {outcome:?}"),
        }
    }
}

#[test]
fn losers_of_a_lock_come_again_parent_by_parent() {
    let (sent, half) = (sent(Operation::Upsert, &[]), Moment { jitter: 0.5, ..MOMENT });
    let lock = error("UNABLE_TO_LOCK_ROW", "", &[]);
    let due = |parent| match of_error(&lock, sent, tried(3, parent), half) {
        Outcome::Retry { due_ms, .. } => due_ms.expect("a wait").0,
        outcome => panic!("{outcome:?}"),
    };
    assert_eq!([due(0), due(1), due(2), due(3), due(4)], [2_000, 4_000, 6_000, 8_000, 2_000]);
}

/// How it is sent again, and whether the try counts.
fn again(outcome: Outcome) -> (Resend, bool) {
    match outcome {
        Outcome::Retry { resend, counted, .. } => (Resend::from_stored(resend, 0), counted),
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn what_became_of_a_change_decides_how_it_is_sent_again() {
    let way = |way, halvings| Resend { way, halvings, waits: 0 };
    let alone = sent(Operation::Upsert, &[]);
    let of_row = |code| again(of_error(&error(code, "", &[]), alone, tried(0, 0), MOMENT));
    let job = |code| again(of_job(&error(code, "", &[]), 20, tried(0, 0), MOMENT));
    for (what, (resend, counted), expected) in [
        ("a passing row", of_row("UNKNOWN_EXCEPTION"), way(Way::Usual, 0)),
        ("a lock", of_row("UNABLE_TO_LOCK_ROW"), way(Way::Apart, 1)),
        ("a job that failed by itself", job("InternalServerError"), way(Way::Usual, 0)),
        ("a job that lost locks", job("TooManyLockFailure"), way(Way::Apart, 1)),
        ("a job's fields", job("InvalidBatch"), way(Way::ByRest, 0)),
        ("a job's quota", job("ExceededQuota"), way(Way::ByRest, 0)),
        ("a job's file", job("ClientInputError"), way(Way::ByRest, 0)),
    ] {
        assert_eq!((resend, counted), (expected, true), "{what}");
    }
}

#[test]
fn a_refused_transaction_is_sent_in_smaller_ones_until_a_record_fails_alone() {
    let soql = "T: System.LimitException: Too many SOQL queries: 101";
    for code in ["CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER", "APEX_ERROR"] {
        let limit = error(code, soql, &[]);
        let with = |alike, together, resend| {
            let sent = Sent { together, alike, ..sent(Operation::Upsert, &[]) };
            // However often it was tried before: what hits all is not held against one.
            of_error(&limit, sent, Tried { attempts: 30, resend, ..Tried::default() }, MOMENT)
        };
        let (mut resend, mut sizes) = (Resend::default(), vec![20]);
        while *sizes.last().expect("one") > 1 {
            let together = sizes[sizes.len() - 1];
            let (next, counted) = again(with(together, together, resend));
            assert!(counted, "{code}");
            resend = next;
            sizes.push(group::size(resend));
        }
        assert_eq!(sizes, [20, 6, 3, 1], "{code}");
        // One of many is tried alone the next time.
        assert_eq!(group::size(again(with(1, 70, Resend::default())).0), 1);
        assert!(matches!(with(1, 1, resend), Outcome::Dead { .. }), "{code}");
    }
}

#[test]
fn what_somebody_else_must_mend_waits_and_no_try_is_counted() {
    let fields = ["X__c".to_owned()];
    let refused = |code: &str, message: &str, attempts, waits, closed| {
        let sent = Sent { closed, ..sent(Operation::Upsert, &fields) };
        let resend = Resend { waits, ..Resend::default() };
        of_error(&error(code, message, &[]), sent, Tried { attempts, resend, ..Tried::default() }, MOMENT)
    };
    let no_create = ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "entity type cannot be inserted: Enrichment");
    for ((code, message), closed, first_secs, last_secs) in [
        (no_create, false, 60, 3_600),
        (("INSUFFICIENT_ACCESS_OR_READONLY", ""), true, 60, 3_600),
        (("STORAGE_LIMIT_EXCEEDED", ""), false, 60, 3_600),
        (("ENTITY_IS_LOCKED", ""), false, 60, 3_600),
        (("LIMIT_EXCEEDED", ""), false, 60, 3_600),
        (("INVALID_FIELD", "No such column"), false, 60, 3_600),
        (("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", ""), false, 1, 128),
    ] {
        for (waits, secs) in [(0, first_secs), (WAITS_MAX, last_secs)] {
            match refused(code, message, 11, waits, closed) {
                Outcome::Retry { due_ms, counted, resend, .. } => {
                    let due = 1_000 + 1_000 * secs;
                    let due = if secs < 30 { due } else { u64::next_multiple_of(due, SHARED_MS) };
                    assert_eq!((due_ms, counted), (Some(UnixMs(due)), false), "{code} after {waits}");
                    assert_eq!(Resend::from_stored(resend, 0).waits, (waits + 1).min(WAITS_MAX), "{code}");
                }
                outcome => panic!("{code}: {outcome:?}"),
            }
        }
    }
    // A right on the object is there: it is this record that may not be written.
    let by_sharing = refused("INSUFFICIENT_ACCESS_OR_READONLY", "", 0, 0, false);
    assert!(matches!(by_sharing, Outcome::Dead { .. }), "{by_sharing:?}");
}

#[test]
fn the_last_try_in_company_is_followed_by_one_alone() {
    let busy = error("UNKNOWN_EXCEPTION", "", &[]);
    let lock = error("UNABLE_TO_LOCK_ROW", "", &[]);
    let company = Sent { together: 20, ..sent(Operation::Upsert, &[]) };
    for error in [&busy, &lock] {
        let (resend, _) = again(of_error(error, company, tried(11, 0), MOMENT));
        assert_eq!(group::size(resend), 1, "{error}");
        let last = of_error(error, sent(Operation::Upsert, &[]), tried(12, 0), MOMENT);
        assert!(matches!(last, Outcome::Dead { .. }), "{error}: {last:?}");
    }
}
