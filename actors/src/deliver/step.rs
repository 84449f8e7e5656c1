//! One call's answer, or one job's results → what becomes of each change that was in it. Pure.
//!
//! A call that fails as a whole says nothing about its records: they are sent again in halves until the culprit stands alone,
//! and the others pass meanwhile. Only what would hit any call, such as a login that is refused, leaves all undecided.
//!
//! Here: whose fault an answer may be, and what follows for the rows. Not here: the verdict on one row (`outcome`), making the
//! call (`rest`), who waits for whom (`writer`).

use std::collections::{BTreeMap, HashMap};

use orgpipe_reconcile::{id, route::COLLECTIONS_MAX};
use orgpipe_salesforce::{
    bulk::BulkRow,
    error::{ApiError, ErrorClass},
    failure::CallError,
    rest::RowResult,
};
use orgpipe_store::{Outcome, Seq, UnixMs};

use super::{
    outcome::{self, Moment, Sent, of_error, of_job, unanswered, unanswered_like_all, unknown},
    outgoing::{LeftOut, Outgoing, Tried, fields_of},
};
use crate::{org::step_error::StepError, problem::Problem, queue_entry::JobEntry};

/// Times that one record is sent again at once without fields that were refused.
const LEAVE_OUT_MAX: usize = 20;

/// Whom a call without an answer may be due to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Nobody answers: it is due to none of the records.
    Nobody,
    /// The org answers, and no write of ours was answered meanwhile.
    Org,
    /// Other writes were answered meanwhile.
    Others,
}

/// What is known beside the answer.
#[derive(Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// Now and chance.
    pub moment: Moment,
    /// Whether the running user lacks a right on the target, as its describe says.
    pub closed: bool,
    /// Of a call without an answer.
    pub reached: Reached,
    /// It took so long that with fewer records it may be done in time.
    pub slow: bool,
    /// Whether this field of the change may be left out.
    pub may_leave_out: &'a dyn Fn(&Outgoing, &str) -> bool,
}

/// What becomes of the changes of one call. Each of them is in exactly one of these.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Their ends.
    pub outcomes: Vec<(Seq, Outcome)>,
    /// IDs of those records that were written, as far as they are known.
    pub target_ids: Vec<(Seq, String)>,
    /// To be sent at once, each list by a call of its own.
    pub again: Vec<Vec<Outgoing>>,
    /// Undecided, and why.
    pub undecided: Option<(Vec<Seq>, StepError)>,
    /// By code: what is waited for until somebody has mended it.
    pub waits: BTreeMap<String, Problem>,
    /// Rows that failed of their transaction.
    pub limited: usize,
}

/// Whether a call may be without an answer because of what was in it.
pub(super) fn is_unanswered(error: &StepError) -> bool {
    match error {
        StepError::Call(CallError::Transport { sent, .. }) => *sent,
        StepError::Call(CallError::Unreadable { .. }) => true,
        StepError::Call(CallError::Refused(error)) => {
            (error.is_failure_inside() || error.is_of_something_between()) && !error.is_read_only()
        }
        _ => false,
    }
}

/// Whether rows or the whole of an answer say that the running user may not write.
pub(super) fn is_denied(answer: &Result<Vec<RowResult>, StepError>) -> bool {
    refusals(answer).any(ApiError::is_denied)
}

/// Whether rows or the whole of an answer blame the schema.
pub(super) fn blames_schema(answer: &Result<Vec<RowResult>, StepError>) -> bool {
    refusals(answer).any(|error| error.class() == ErrorClass::Schema)
}

fn refusals(answer: &Result<Vec<RowResult>, StepError>) -> impl Iterator<Item = &ApiError> {
    let (rows, whole) = match answer {
        Ok(rows) => (rows.as_slice(), None),
        Err(error) => (&[][..], error.refusal()),
    };
    let rows = rows.iter().filter_map(|row| match row {
        RowResult::Failed(error) => Some(error),
        RowResult::Written { .. } => None,
    });
    rows.chain(whole)
}

/// What becomes of the changes of a call: of one target and operation, at least one.
pub(super) fn ends(
    part: Vec<Outgoing>,
    answer: Result<Vec<RowResult>, StepError>,
    known: Circumstances<'_>,
) -> Ends {
    let error = match answer {
        Ok(rows) => return of_rows(part, rows, known),
        Err(error) => error,
    };
    if is_unanswered(&error) {
        return without_an_answer(&part, error, known);
    }
    match &error {
        StepError::Call(CallError::Refused(refusal)) => match refusal.class() {
            _ if refusal.is_for_others_to_mend() => refused_alike(&part, refusal, known),
            // One of them cannot be said in a request: find it.
            ErrorClass::Record | ErrorClass::Bug if part.len() > 1 => in_halves(part),
            ErrorClass::Record | ErrorClass::Bug | ErrorClass::Schema => refused_alike(&part, refusal, known),
            _ => undecided(&part, error),
        },
        _ => undecided(&part, error),
    }
}

fn undecided(part: &[Outgoing], error: StepError) -> Ends {
    let numbers = part.iter().map(|change| change.seq).collect();
    Ends { undecided: Some((numbers, error)), ..Ends::default() }
}

fn in_halves(mut part: Vec<Outgoing>) -> Ends {
    let second = part.split_off(part.len() / 2);
    Ends { again: vec![part, second], ..Ends::default() }
}

fn refused_alike(part: &[Outgoing], refusal: &ApiError, known: Circumstances<'_>) -> Ends {
    let fields = fields_of(part);
    let sent = sent(part, &fields, 0, known);
    let mut ends = Ends::default();
    for change in part {
        ends.note_wait(refusal, sent);
        ends.outcomes.push((change.seq, of_error(refusal, sent, change.tried(), known.moment)));
    }
    ends
}

fn without_an_answer(part: &[Outgoing], error: StepError, known: Circumstances<'_>) -> Ends {
    if known.reached == Reached::Nobody {
        return undecided(part, error);
    }
    let together = part.len();
    let what = match error.refusal() {
        Some(refusal) => outcome::reason(refusal, &[]),
        None if known.slow => format!("no answer in time to a call of {}", records(together)),
        None => format!("no whole answer to a call of {}", records(together)),
    };
    let end = |change: &Outgoing| {
        let tried = change.tried();
        let outcome = if together == 1 && known.reached == Reached::Org {
            unanswered_like_all(&what, tried, known.moment)
        } else {
            // An answer that was lost on the way is asked for once more as it was.
            let halve = known.slow || tried.attempts > 0;
            unanswered(&what, together, halve, tried, known.moment)
        };
        (change.seq, outcome)
    };
    Ends { outcomes: part.iter().map(end).collect(), ..Ends::default() }
}

fn records(count: usize) -> String {
    if count == 1 { "one record".to_owned() } else { format!("{count} records") }
}

fn sent<'a>(part: &[Outgoing], fields: &'a [String], alike: usize, known: Circumstances<'_>) -> Sent<'a> {
    let operation = part.first().map(|change| change.entry.operation).unwrap_or_default();
    Sent { operation, fields, together: part.len(), alike, closed: known.closed }
}

fn of_rows(part: Vec<Outgoing>, rows: Vec<RowResult>, known: Circumstances<'_>) -> Ends {
    let fields = fields_of(&part);
    let of_transaction =
        |row: &&RowResult| matches!(row, RowResult::Failed(error) if error.is_of_transaction());
    let limited = rows.iter().filter(of_transaction).count();
    let sent = sent(&part, &fields, limited, known);
    let mut ends = Ends { limited, ..Ends::default() };
    let mut again = Vec::new();
    for (mut change, row) in part.into_iter().zip(rows) {
        match row {
            RowResult::Written { id, .. } => {
                ends.name(&change, &id);
                ends.outcomes.push((change.seq, outcome::written(&change.left_out)));
            }
            RowResult::Failed(error) if leave_out(&mut change, &error, known) => {
                if change.is_spent() {
                    ends.name(&change, "");
                    ends.outcomes.push((change.seq, outcome::written(&change.left_out)));
                } else {
                    again.push(change);
                }
            }
            RowResult::Failed(error) => {
                ends.note_wait(&error, sent);
                let outcome = of_error(&error, sent, change.tried(), known.moment);
                ends.outcomes.push((change.seq, outcome));
            }
        }
    }
    if !again.is_empty() {
        ends.again.push(again);
    }
    ends
}

/// A job that has ended, beside what its result files say.
#[derive(Clone, Copy)]
pub(super) struct EndedJob<'a> {
    /// What was uploaded.
    pub entry: &'a JobEntry,
    /// The fields in its file.
    pub fields: &'a [String],
    /// What is remembered of each change, by sequence number.
    pub tried: &'a HashMap<Seq, Tried>,
    /// Why it failed as a whole.
    pub cause: Option<&'a ApiError>,
    /// Whether it was aborted.
    pub aborted: bool,
    /// Whether the running user lacks a right on the target, as its describe says.
    pub closed: bool,
    /// Now and chance.
    pub moment: Moment,
}

/// What becomes of the changes of a job, by what its result files say of each.
pub(super) fn ends_of_job(job: EndedJob<'_>, rows: Vec<BulkRow>) -> Ends {
    let EndedJob { entry, fields, tried, cause, aborted, closed, moment } = job;
    let of_transaction = |row: &&BulkRow| matches!(row, BulkRow::Failed(error) if error.is_of_transaction());
    let limited = rows.iter().filter(of_transaction).count();
    let together = entry.rows.len();
    // Rows go into the org by transactions of 200, whichever these are.
    let alike = limited.min(COLLECTIONS_MAX);
    let sent = Sent { operation: entry.operation, fields, together, alike, closed };
    let mut ends = Ends { limited, ..Ends::default() };
    for ((seq, _), row) in entry.rows.iter().zip(rows) {
        let tried = tried.get(seq).copied().unwrap_or_default();
        let outcome = match row {
            BulkRow::Written { id, .. } => {
                ends.target_ids.extend(id::canonical(&id).map(|id| (*seq, id)));
                Outcome::Written
            }
            // Without the field by REST, where the sync says so.
            BulkRow::Failed(error) if tried.leaves_out && !error.refused_fields(fields).is_empty() => {
                outcome::by_rest(&outcome::reason(&error, &error.fields), together, tried, moment)
            }
            BulkRow::Failed(error) => {
                ends.note_wait(&error, sent);
                of_error(&error, sent, tried, moment)
            }
            BulkRow::Unprocessed => match cause {
                Some(error) => of_job(error, together, tried, moment),
                None if aborted => {
                    outcome::by_rest("the Bulk job was aborted before this record", together, tried, moment)
                }
                None => unknown("the Bulk job ended before this record", together, tried, moment),
            },
            BulkRow::Unknown => {
                unknown("the Bulk job's results do not name this record", together, tried, moment)
            }
        };
        ends.outcomes.push((*seq, outcome));
    }
    ends
}

/// Takes the fields out whose values were refused, where the sync says so; false if there is none.
fn leave_out(change: &mut Outgoing, error: &ApiError, known: Circumstances<'_>) -> bool {
    let sent: Vec<String> = change.entry.fields.keys().cloned().collect();
    let mut refused = error.refused_fields(&sent);
    refused.retain(|field| field != change.key().0 && (known.may_leave_out)(change, field));
    if refused.is_empty() || change.left_out.len() >= LEAVE_OUT_MAX {
        return false;
    }
    for field in refused {
        change.entry.fields.remove(&field);
        change.left_out.push(LeftOut { field, code: error.code.clone() });
    }
    true
}

impl Ends {
    /// A change was written, to the record of this ID; an older version of the API does not say which.
    fn name(&mut self, change: &Outgoing, id: &str) {
        let known = change.entry.target_id.as_deref().unwrap_or_default();
        let id = id::canonical(if id.is_empty() { known } else { id });
        self.target_ids.extend(id.map(|id| (change.seq, id)));
    }

    /// By when all of them have been sent again that wait without a try being counted; none if none waits.
    pub(super) fn again_ms(&self) -> Option<UnixMs> {
        let waits = |(_, outcome): &(Seq, Outcome)| match outcome {
            Outcome::Retry { due_ms, counted: false, .. } => *due_ms,
            _ => None,
        };
        self.outcomes.iter().filter_map(waits).max()
    }

    fn note_wait(&mut self, error: &ApiError, sent: Sent<'_>) {
        if outcome::waits(error, sent).is_none() || self.waits.contains_key(&error.code) {
            return;
        }
        let (reason, hint) = (outcome::reason(error, &error.fields), error.hint().unwrap_or_default());
        self.waits.insert(error.code.clone(), Problem::new(reason, hint));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::deliver::resend::Resend;

    fn change(target_id: &Value, fields: &Value, receipts: &Value) -> Outgoing {
        let entry = json!({
            "v": 1, "sync": "s", "target": "T", "external_id_field": "X", "external_id": "5", "source_id": "001",
            "origin": "refresh", "received_ms": 1, "target_id": target_id, "fields": fields, "receipts": receipts,
        });
        let entry = serde_json::from_value(entry).expect("an entry");
        Outgoing { seq: Seq(1), attempts: 0, resend: Resend::default(), entry, left_out: Vec::new() }
    }

    #[test]
    fn without_a_refused_field_what_only_tells_of_the_write_is_not_written() {
        let (is_there, told) = (&json!("a00000000000001AAA"), &json!(["Hash__c", "Synced__c"]));
        for (change, is_again) in [
            (change(is_there, &json!({ "A__c": 1, "Hash__c": "h", "Synced__c": "s" }), told), false),
            // The external ID is among the fields where it is a number.
            (change(is_there, &json!({ "A__c": 1, "X": 5, "Synced__c": "s" }), told), false),
            (change(is_there, &json!({ "A__c": 1 }), &json!([])), false),
            (change(is_there, &json!({ "A__c": 1, "B__c": 2, "Synced__c": "s" }), told), true),
            (change(&Value::Null, &json!({ "A__c": 1, "Synced__c": "s" }), told), true),
            // An older version did not say which of them tell of the write.
            (change(is_there, &json!({ "A__c": 1, "Synced__c": "s" }), &json!([])), true),
        ] {
            let refused = ApiError {
                status: 400,
                code: "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST".to_owned(),
                message: String::new(),
                fields: vec!["A__c".to_owned()],
                also: Vec::new(),
            };
            let known = Circumstances {
                moment: Moment { now_ms: UnixMs(1), jitter: 0.0 },
                closed: false,
                reached: Reached::Others,
                slow: false,
                may_leave_out: &|_, _| true,
            };
            let entry = format!("{:?}", change.entry);
            let ends = ends(vec![change], Ok(vec![RowResult::Failed(refused)]), known);
            assert_eq!(ends.again.len(), usize::from(is_again), "{entry}");
            let in_part = matches!(ends.outcomes.as_slice(), [(_, Outcome::WrittenInPart { .. })]);
            assert_eq!(in_part, !is_again, "{entry}: {:?}", ends.outcomes);
        }
    }

    #[test]
    fn what_was_written_is_named_as_the_org_names_it() {
        let (short, long, known) = ("a00000000000002", "a00000000000002AAA", "a00000000000001AAA");
        let written = |id: &str| RowResult::Written { id: id.to_owned(), created: true };
        for (before, answered, expected) in [
            (Value::Null, short, Some(long)),
            (Value::Null, long, Some(long)),
            (json!(known), long, Some(long)),
            // Older versions of the API do not say it.
            (json!(known), "", Some(known)),
            (Value::Null, "", None),
            (Value::Null, "no ID, but a value", None),
        ] {
            let change = change(&before, &json!({ "A__c": 1 }), &json!([]));
            let known = Circumstances {
                moment: Moment { now_ms: UnixMs(1), jitter: 0.0 },
                closed: false,
                reached: Reached::Others,
                slow: false,
                may_leave_out: &|_, _| true,
            };
            let ends = ends(vec![change], Ok(vec![written(answered)]), known);
            assert_eq!(ends.outcomes, [(Seq(1), Outcome::Written)]);
            let named = ends.target_ids.iter().map(|(seq, id)| (*seq, id.as_str())).collect::<Vec<_>>();
            let expected = expected.map(|id| (Seq(1), id)).into_iter().collect::<Vec<_>>();
            assert_eq!(named, expected, "{before} {answered}");
        }
    }
}
