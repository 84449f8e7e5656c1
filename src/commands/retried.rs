//! What came of the records that `orgpipe dead-letters retry --wait` has asked for anew.
//!
//! Here: waiting for their ends, and telling each. Not here: the retry itself (`dead_letters`).
//!
//! The service is asked about a bounded number of records at a time, those still under way by turns, until all have ended or the
//! time is over. The records go on whether somebody waits for them or not.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::running::{CommandError, Running};
use crate::output;

/// How long nothing is asked after no record had ended, or no answer came.
const LOOK: Duration = Duration::from_millis(500);
/// Records asked about at a time: an address of them fits into every server's limit.
const RECORDS_AT_A_TIME: usize = 200;

/// The letters that were retried, with the records that are asked for in their place.
#[derive(Debug, Default)]
pub(super) struct RetriedLetters {
    /// When the first retry began, by the service's clock.
    since_ms: Option<u64>,
    /// Number of the letter, and a record of it.
    records: Vec<(u64, String)>,
}

impl RetriedLetters {
    /// Takes what the service answered to a retry.
    pub(super) fn add(&mut self, answer: &Value) {
        let at_ms = answer["at_ms"].as_u64();
        self.since_ms = self.since_ms.into_iter().chain(at_ms).min();
        for letter in answer["asked"].as_array().into_iter().flatten() {
            let number = letter["number"].as_u64().unwrap_or_default();
            let records = letter["records"].as_array().into_iter().flatten().filter_map(Value::as_str);
            self.records.extend(records.map(|record| (number, record.to_owned())));
        }
    }
}

/// What is known of them by now.
#[derive(Debug, Default)]
struct RetriedEnds {
    /// How those have ended that have, by record.
    ends: BTreeMap<String, Value>,
    /// Why the last question had no answer, if it had none.
    trouble: Option<String>,
}

/// Waits for at most so many seconds until all of these records have ended, and prints what came of each, also where the service
/// could not be asked to the end. Gives back whether all have ended, and none as a dead letter again.
pub(super) async fn wait(
    running: &Running,
    org: &str,
    retried: RetriedLetters,
    timeout_secs: u64,
) -> Result<bool, CommandError> {
    let since_ms = retried.since_ms.unwrap_or_default().to_string();
    let ask = async |records: &str| {
        let query = [("records", records), ("since_ms", since_ms.as_str())];
        running.get(&["orgs", org, "dead-letters", "retried"], &query).await
    };
    let mut known = RetriedEnds::default();
    let waited = watch(&retried, &mut known, ask);
    let in_time = actix_rt::time::timeout(Duration::from_secs(timeout_secs), waited).await;
    let RetriedEnds { ends, trouble } = known;
    for (letter, record) in &retried.records {
        output::line(&line(*letter, record, ends.get(record)));
    }
    output::line(&sum(&retried, &ends));
    if let Ok(watched) = in_time {
        watched?;
    }
    let open = retried.records.iter().filter(|(_, record)| !ends.contains_key(record)).count();
    if open > 0 {
        let trouble = trouble.map(|trouble| format!("; the last question had no answer: {trouble}"));
        let trouble = trouble.unwrap_or_default();
        let what = format!("records that have not ended within {timeout_secs} s: {open}{trouble}");
        let hint = format!("They go on; `orgpipe explain {org} RECORD` tells how far one is.");
        return Err(CommandError::NotInTime { what, hint });
    }
    Ok(!ends.values().any(is_dead))
}

/// Asks until all have ended. A question that has no answer is asked again: the service may be about to start anew.
async fn watch(
    retried: &RetriedLetters,
    known: &mut RetriedEnds,
    ask: impl AsyncFn(&str) -> Result<Value, CommandError>,
) -> Result<(), CommandError> {
    let mut open: VecDeque<&str> = retried.records.iter().map(|(_, record)| record.as_str()).collect();
    let bar = ProgressBar::new(open.len() as u64);
    let style = ProgressStyle::with_template("{spinner} {wide_bar} {pos}/{len} records have ended");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    while !open.is_empty() {
        let asked: Vec<&str> = open.drain(..open.len().min(RECORDS_AT_A_TIME)).collect();
        let before = known.ends.len();
        match ask(&asked.join(",")).await {
            Ok(answer) => {
                known.trouble = None;
                for one in answer["records"].as_array().into_iter().flatten() {
                    if let (Some(record), end @ Value::Object(_)) = (one["record"].as_str(), &one["end"]) {
                        known.ends.insert(record.to_owned(), end.clone());
                    }
                }
            }
            Err(error) if error.passes() => known.trouble = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        let still = asked.into_iter().filter(|record| !known.ends.contains_key(*record));
        open.extend(still);
        bar.set_position((retried.records.len() - open.len()) as u64);
        bar.tick();
        if known.ends.len() == before && !open.is_empty() {
            actix_rt::time::sleep(LOOK).await;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn is_dead(end: &Value) -> bool {
    end["fate"] == "dead_letter"
}

/// `7: record 001… written`
fn line(letter: u64, record: &str, end: Option<&Value>) -> String {
    let Some(end) = end else { return format!("{letter}: record {record} has not ended") };
    let reason = output::part(end["reason"].as_str().unwrap_or_default());
    let fate = if is_dead(end) {
        format!("is dead letter {} again", end["letter"])
    } else {
        words(end["fate"].as_str().unwrap_or_default())
    };
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("{letter}: record {record} {fate}{why}")
}

fn words(fate: &str) -> String {
    fate.replace('_', " ")
}

/// How many came to what.
fn sum(retried: &RetriedLetters, ends: &BTreeMap<String, Value>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, record) in &retried.records {
        let fate = ends.get(record).map(|end| match end["fate"].as_str().unwrap_or_default() {
            "dead_letter" => "dead letter again".to_owned(),
            fate => words(fate),
        });
        *counts.entry(fate.unwrap_or_else(|| "not ended".to_owned())).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(fate, count)| format!("{count} {fate}")).collect();
    match counts.as_slice() {
        [] => "no record is asked for anew".to_owned(),
        counts => {
            let records = retried.records.len();
            let plural = if records == 1 { "" } else { "s" };
            format!("{records} record{plural} asked for anew: {}", counts.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;

    use super::*;

    fn refused(status: u16) -> CommandError {
        CommandError::Refused { status, text: "no".to_owned(), hint: String::new() }
    }

    #[actix_rt::test]
    async fn a_question_without_an_answer_is_asked_again_and_what_is_known_stays_known() {
        let mut retried = RetriedLetters::default();
        retried.add(&json!({ "at_ms": 9, "asked": [{ "number": 7, "records": ["001A", "001B"] }] }));
        let told = |record: &str| json!({ "records": [{ "record": record, "end": { "fate": "written" } }] });
        let answers = RefCell::new(VecDeque::from([
            Err(refused(503)),
            Ok(told("001A")),
            Err(CommandError::NotOrgpipe { url: "http://x".to_owned(), status: 502 }),
            Ok(told("001B")),
        ]));
        let mut known = RetriedEnds::default();
        let ask = async |_: &str| answers.borrow_mut().pop_front().expect("nothing more is asked");
        watch(&retried, &mut known, ask).await.expect("it is answered in the end");
        assert_eq!((known.ends.len(), known.trouble), (2, None));

        let answers = RefCell::new(VecDeque::from([Ok(told("001A")), Err(refused(500)), Err(refused(403))]));
        let mut known = RetriedEnds::default();
        let ask = async |_: &str| answers.borrow_mut().pop_front().expect("nothing more is asked");
        watch(&retried, &mut known, ask).await.expect_err("it will not be allowed later");
        assert_eq!((known.ends.len(), known.trouble.as_deref()), (1, Some("no")));
    }

    #[test]
    fn each_record_is_told_with_its_letter_and_all_of_them_are_counted() {
        let mut retried = RetriedLetters::default();
        retried.add(&json!({ "at_ms": 9, "asked": [{ "number": 7, "records": ["001A", "001B"] }] }));
        retried.add(&json!({ "at_ms": 5, "asked": [{ "number": 8, "records": ["001C", "001D"] }] }));
        retried.add(&json!({ "at_ms": 6, "asked": [] }));
        assert_eq!(retried.since_ms, Some(5));
        let ends = BTreeMap::from([
            ("001A".to_owned(), json!({ "fate": "written", "letter": null, "reason": "" })),
            ("001B".to_owned(), json!({ "fate": "no_data", "letter": null, "reason": "" })),
            ("001C".to_owned(), json!({ "fate": "dead_letter", "letter": 8, "reason": "too long" })),
        ]);
        let told: Vec<String> =
            retried.records.iter().map(|(letter, record)| line(*letter, record, ends.get(record))).collect();
        let expected = [
            "7: record 001A written",
            "7: record 001B no data",
            "8: record 001C is dead letter 8 again: too long",
            "8: record 001D has not ended",
        ];
        assert_eq!(told, expected);
        let expected = "4 records asked for anew: 1 dead letter again, 1 no data, 1 not ended, 1 written";
        assert_eq!(sum(&retried, &ends), expected);
        assert_eq!(sum(&RetriedLetters::default(), &ends), "no record is asked for anew");
    }
}
