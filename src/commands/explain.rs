//! `orgpipe explain ORG RECORD`: the whole story of one record, as the running service tells it.
//!
//! Here: how a story is printed, and the records that may be meant. Not here: finding and telling (`orgpipe_actors`).

use std::process::ExitCode;

use chrono::DateTime;
use serde_json::Value;

use super::running;
use crate::{cli::ExplainArgs, output};

/// Asks the running service and prints what it tells.
pub(crate) fn run(args: &ExplainArgs) -> ExitCode {
    let path = ["orgs", &args.target.org, "records"];
    let limit = args.limit.to_string();
    let query = [("find", args.record.as_str()), ("limit", &limit)];
    match running::with(&args.target.service, async |running| running.get(&path, &query).await) {
        Ok(found) => {
            for line in lines(&found) {
                output::line(&line);
            }
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}

fn text(value: &Value) -> String {
    output::part(value.as_str().unwrap_or_default())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What was found: the records that may be meant if they are several, then the story of the one that is.
fn lines(found: &Value) -> Vec<String> {
    let (candidates, story) = (list(&found["candidates"]), &found["story"]);
    let mut lines = Vec::new();
    if candidates.len() > 1 {
        let count = candidates.len();
        lines.push(format!("org {}, {count} records for {}", text(&found["org"]), text(&found["find"])));
        lines.extend(candidates.iter().map(candidate));
        if found["more"] == true {
            lines.push("  There are more: these are the ones of which something is known last.".to_owned());
        }
        lines.push(String::new());
    }
    match story {
        Value::Null if candidates.is_empty() => lines.extend(nothing(found)),
        Value::Null => lines.push(
            "Name one of them by its own ID to be told its story: orgpipe explain ORG RECORD".to_owned(),
        ),
        story => lines.extend(told(story)),
    }
    let waits = if story.is_null() { found } else { story };
    let (waiting, searched) = (number(&waits["waiting"]), number(&waits["searched"]));
    if searched < waiting {
        lines.push(format!(
            "Of {waiting} records that wait for their look-up, only the first {searched} were searched."
        ));
    }
    lines
}

fn candidate(candidate: &Value) -> String {
    let by = match candidate["found_by"].as_str() {
        Some("source_id") => "its own ID",
        Some("target_id") => "the record written for it",
        _ => "its external ID",
    };
    let syncs: Vec<String> = list(&candidate["syncs"]).iter().map(text).collect();
    let fate = text(&candidate["fate"]).replace('_', " ");
    let at = candidate["last_ms"].as_i64().and_then(DateTime::from_timestamp_millis);
    let at = at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    format!("  {}  by {by}, sync {}, {fate} {at}", text(&candidate["record"]), syncs.join(" and "))
}

fn nothing(found: &Value) -> [String; 2] {
    [
        format!("org {}, {}", text(&found["org"]), text(&found["find"])),
        "Nothing is known of it: neither as the ID of a customer's record that was asked for, nor as the ID or the external \
         ID of a record written for one; or that is longer ago than `ledger_days`."
            .to_owned(),
    ]
}

fn told(story: &Value) -> Vec<String> {
    let mut lines = vec![format!("org {}, record {}", text(&story["org"]), text(&story["record"]))];
    for chapter in list(&story["open"]).iter().chain(list(&story["ended"])) {
        lines.push(String::new());
        let times = match number(&chapter["records"]) {
            0 | 1 => String::new(),
            times => format!(", asked for {times} times"),
        };
        lines.push(format!("{}{times}", text(&chapter["fate"]).replace('_', " ")));
        lines.extend(list(&chapter["story"]).iter().map(|sentence| format!("  {}", text(sentence))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chapter(fate: &str, records: u32) -> Value {
        json!({ "fate": fate, "records": records, "story": ["So."] })
    }

    fn candidate(record: &str, found_by: &str) -> Value {
        let syncs = ["accounts", "leads"];
        json!({ "record": record, "found_by": found_by, "syncs": syncs, "fate": "no_data", "last_ms": 1_000 })
    }

    #[test]
    fn open_work_comes_first_and_what_was_not_searched_is_said() {
        let story = json!({ "org": "acme", "record": "001", "open": [chapter("waiting", 1)],
            "ended": [chapter("dead_letter", 3)], "waiting": 9_000, "searched": 4_000 });
        let found =
            json!({ "org": "acme", "find": "k", "candidates": [candidate("001", "key")], "story": story });
        let expected =
            ["org acme, record 001", "", "waiting", "  So.", "", "dead letter, asked for 3 times", "  So."];
        let told = lines(&found);
        assert_eq!(told[..7], expected);
        assert!(told[7].contains("only the first 4000"), "{told:?}");
    }

    #[test]
    fn of_several_records_each_is_listed_and_of_none_it_is_said_what_was_looked_for() {
        let two = [candidate("001", "key"), candidate("002", "target_id")];
        let found = |candidates: Value, story: Value| {
            let (waiting, searched) = (7, 5);
            json!({ "org": "acme", "find": "k1", "candidates": candidates, "more": true, "story": story,
                "waiting": waiting, "searched": searched })
        };
        let listed = [
            "org acme, 2 records for k1",
            "  001  by its external ID, sync accounts and leads, no data 1970-01-01 00:00:01 UTC",
            "  002  by the record written for it, sync accounts and leads, no data 1970-01-01 00:00:01 UTC",
        ];
        let several = lines(&found(json!(two), Value::Null));
        assert_eq!(several[..3], listed);
        assert!(several[3].contains("There are more") && several[5].starts_with("Name one"), "{several:?}");
        assert!(several[6].contains("only the first 5"), "{several:?}");
        let story = json!({ "org": "acme", "record": "001", "open": [], "ended": [chapter("written", 1)],
            "waiting": 0, "searched": 0 });
        let meant = lines(&found(json!(two), story));
        assert_eq!(
            (&meant[..3], meant[5].as_str(), meant.len()),
            (&listed.map(str::to_owned)[..], "org acme, record 001", 9)
        );
        let none = lines(&found(json!([]), Value::Null));
        assert_eq!(none[0], "org acme, k1");
        assert!(none[1].starts_with("Nothing is known") && none[2].contains("only the first 5"), "{none:?}");
    }
}
