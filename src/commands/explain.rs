//! `orgpipe explain ORG RECORD`: the whole story of one record, as the running service tells it.
//!
//! Here: how a story is printed. Not here: the story (`orgpipe_actors`).

use std::process::ExitCode;

use serde_json::Value;

use super::running;
use crate::{cli::ExplainArgs, output};

/// Asks the running service and prints what it tells.
pub(crate) fn run(args: &ExplainArgs) -> ExitCode {
    let path = ["orgs", &args.target.org, "records", &args.record];
    let limit = args.limit.to_string();
    let told =
        running::with(&args.target.service, async |running| running.get(&path, &[("limit", &limit)]).await);
    match told {
        Ok(story) => {
            for line in lines(&story) {
                output::line(&line);
            }
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}

fn lines(story: &Value) -> Vec<String> {
    let text = |value: &Value| output::part(value.as_str().unwrap_or_default());
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let mut lines = vec![format!("org {}, record {}", text(&story["org"]), text(&story["record"]))];
    let list = |key: &str| story[key].as_array().cloned().unwrap_or_default();
    for chapter in list("open").iter().chain(&list("ended")) {
        lines.push(String::new());
        let times = match number(&chapter["records"]) {
            0 | 1 => String::new(),
            times => format!(", asked for {times} times"),
        };
        lines.push(format!("{}{times}", text(&chapter["fate"]).replace('_', " ")));
        let told = chapter["story"].as_array().into_iter().flatten();
        lines.extend(told.map(|sentence| format!("  {}", text(sentence))));
    }
    if lines.len() == 1 {
        lines.push(
            "Nothing is known of it: it was never asked for, or that is longer ago than `ledger_days`."
                .to_owned(),
        );
    }
    let (waiting, searched) = (number(&story["waiting"]), number(&story["searched"]));
    if searched < waiting {
        lines.push(format!(
            "Of {waiting} records that wait for their look-up, only the first {searched} were searched."
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn open_work_comes_first_and_what_was_not_searched_is_said() {
        let chapter =
            |fate: &str, records: u32| json!({ "fate": fate, "records": records, "story": ["So."] });
        let story = json!({ "org": "acme", "record": "001", "open": [chapter("waiting", 1)],
            "ended": [chapter("dead_letter", 3)], "waiting": 9_000, "searched": 4_000 });
        let expected =
            ["org acme, record 001", "", "waiting", "  So.", "", "dead letter, asked for 3 times", "  So."];
        let told = lines(&story);
        assert_eq!(told[..7], expected);
        assert!(told[7].contains("only the first 4000"), "{told:?}");
        let nothing =
            json!({ "org": "acme", "record": "001", "open": [], "ended": [], "waiting": 0, "searched": 0 });
        assert!(lines(&nothing)[1].starts_with("Nothing is known"));
    }
}
