//! `orgpipe tree`: what runs in the running service, since when, how often it was started afresh, and why.
//!
//! Here: how it is printed. Not here: putting it together (`orgpipe_actors`).

use std::process::ExitCode;

use serde_json::Value;

use super::running;
use crate::{cli::TreeArgs, output};

/// Asks the running service and prints what it says.
pub(crate) fn run(args: &TreeArgs) -> ExitCode {
    match running::with(&args.service, async |running| running.get(&["tree"], &[]).await) {
        Ok(tree) => {
            for line in lines(&tree) {
                output::line(&line);
            }
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}

fn lines(tree: &Value) -> Vec<String> {
    let now_ms = tree["now_ms"].as_u64().unwrap_or_default();
    let since = |value: &Value| ago(now_ms.saturating_sub(value.as_u64().unwrap_or_default()));
    let mut lines = vec![format!("supervisor  up {}", since(&tree["started_ms"]))];
    for thread in list(&tree["threads"]) {
        let stalls = match thread["stalls"].as_u64() {
            None | Some(0) => String::new(),
            Some(count) => {
                let times = counted(count, "time");
                format!("  stood still {times}, at most {} ms", thread["longest_stall_ms"])
            }
        };
        let (restarts, note) = (restarts(thread), note(thread));
        lines.push(format!("├─ thread {}{stalls}{restarts}{note}", text(&thread["name"])));
        for org in list(&thread["orgs"]) {
            let waits = org["next_request_age_ms"].as_u64();
            let waits = waits.map(|age_ms| format!("  next request came {} ago", ago(age_ms)));
            lines.push(format!(
                "│  ├─ {}  {}  up {}{}{}",
                text(&org["id"]),
                text(&org["state"]),
                since(&org["started_ms"]),
                restarts_of(org),
                waits.unwrap_or_default()
            ));
            for standing in list(&org["standing"]) {
                lines.push(format!("│  │  !  {}", text(standing)));
            }
            for (part, status) in org["parts"].as_object().into_iter().flatten() {
                lines.push(format!(
                    "│  │  ├─ {part}  {}  for {}{}{}",
                    text(&status["state"]),
                    since(&status["since_ms"]),
                    restarts_of(status),
                    self::note(status)
                ));
            }
        }
    }
    lines
}

fn restarts(node: &Value) -> String {
    match node["restarts"].as_u64() {
        None | Some(0) => String::new(),
        Some(count) => format!("  {}", counted(count, "restart")),
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// With how it ended the last time.
fn restarts_of(node: &Value) -> String {
    let (restarts, last) = (restarts(node), text(&node["last_exit"]));
    if restarts.is_empty() || last.is_empty() {
        restarts
    } else {
        format!("{restarts}, the last as it {last}")
    }
}

fn note(node: &Value) -> String {
    let sentence =
        [text(&node["note"]), text(&node["hint"])].map(|text| text.trim_end_matches('.').to_owned());
    let told: Vec<String> = sentence.into_iter().filter(|text| !text.is_empty()).collect();
    if told.is_empty() { String::new() } else { format!("  {}", told.join(". ")) }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    output::part(value.as_str().unwrap_or_default())
}

/// In the largest unit that fits.
fn ago(millis: u64) -> String {
    match millis / 1000 {
        secs @ 0..120 => format!("{secs} s"),
        secs @ 120..7_200 => format!("{} min", secs / 60),
        secs @ 7_200..172_800 => format!("{} h", secs / 3_600),
        secs => format!("{} days", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_node_has_its_line_with_what_was_wrong_with_it() {
        let tree = json!({ "now_ms": 600_000, "started_ms": 0, "threads": [
            { "name": "main", "note": "", "stalls": 0, "longest_stall_ms": 0, "restarts": 0, "orgs": [] },
            { "name": "orgs 1", "note": "", "stalls": 2, "longest_stall_ms": 900, "restarts": 1, "orgs": [
                { "id": "acme", "state": "parked", "started_ms": 590_000, "restarts": 1, "last_exit": "ended with its thread",
                  "next_request_age_ms": 5_000, "parts": {
                    "writer": { "state": "parked", "since_ms": 599_000, "restarts": 5, "last_exit": "panicked: oh",
                                "note": "it panicked: oh, too often to go on", "hint": "Report this." } } }] }] });
        let expected = [
            "supervisor  up 10 min",
            "├─ thread main",
            "├─ thread orgs 1  stood still 2 times, at most 900 ms  1 restart",
            "│  ├─ acme  parked  up 10 s  1 restart, the last as it ended with its thread  next request came 5 s ago",
            "│  │  ├─ writer  parked  for 1 s  5 restarts, the last as it panicked: oh  it panicked: oh, too often to go on. Report this",
        ];
        assert_eq!(lines(&tree), expected);
    }
}
