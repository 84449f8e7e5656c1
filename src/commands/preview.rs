//! `orgpipe preview ORG --sync NAME`: has the running service look at some records of an org and tell what the sync would do
//! with them; says first what that takes. Writes nothing.
//!
//! Here: how it is asked for and printed, values of records included: the person who asks may see them. Not here: the
//! preview (`orgpipe_actors`).

use std::{fs, process::ExitCode};

use serde_json::{Map, Value, json};

use super::running;
use crate::{cli::PreviewArgs, output};

/// Exit code for settings that cannot be read, as for wrong ones.
const SETTINGS_ARE_WRONG: u8 = 2;

/// Has the service look, and prints what it tells.
pub(crate) fn run(args: &PreviewArgs) -> ExitCode {
    let mut body = json!({ "sync": args.sync });
    match &args.record {
        Some(record) => body["record"] = json!(record),
        None => body["sample"] = json!(args.sample),
    }
    if let Some(file) = &args.settings {
        match fs::read_to_string(file) {
            Ok(text) => body["settings"] = json!(text),
            Err(cause) => {
                let file = file.display().to_string();
                let error = SettingsUnread { file, cause };
                output::failure(&error, Some("Name a settings file with `--settings FILE`."));
                return ExitCode::from(SETTINGS_ARE_WRONG);
            }
        }
    }
    let told = running::with(&args.service, async |running| {
        let mut cost = body.clone();
        cost["cost_only"] = json!(true);
        let cost = running.preview(&args.org, &cost).await?;
        if !args.json {
            output::line(&cost_line(&cost));
        }
        if args.cost_only { Ok(cost) } else { running.preview(&args.org, &body).await }
    });
    let told = match told {
        Ok(told) => told,
        Err(exit) => return exit,
    };
    if args.json {
        output::line(&format!("{told:#}"));
    } else if !args.cost_only {
        for line in lines(&told) {
            output::line(&line);
        }
    }
    ExitCode::SUCCESS
}

/// A settings file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the settings `{file}` cannot be read")]
struct SettingsUnread {
    file: String,
    #[source]
    cause: std::io::Error,
}

fn cost_line(cost: &Value) -> String {
    let calls = count(&cost["cost"]["api_calls"], "API call");
    let lookups = count(&cost["cost"]["lookups"], "look-up");
    format!(
        "this takes about {calls} of {} and {lookups} in your API, and writes nothing",
        text(&cost["org"])
    )
}

/// So many things.
fn count(number: &Value, thing: &str) -> String {
    if number.as_u64() == Some(1) { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

fn text(value: &Value) -> String {
    output::part(value.as_str().unwrap_or_default())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn pairs(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// All of it.
fn lines(preview: &Value) -> Vec<String> {
    let sample = &preview["sample"];
    let of_all = sample["total"].as_u64().map(|total| format!(" of {total}")).unwrap_or_default();
    let what = match sample["record"].as_str() {
        Some(record) => format!("record {}", output::part(record)),
        None => format!("{}{of_all} records", sample["read"]),
    };
    let mut lines = vec![format!("org {}, sync {}: {what}", text(&preview["org"]), text(&preview["sync"]))];
    let (running, proposed) = (&preview["running"], &preview["proposed"]);
    if proposed.is_null() {
        lines.extend(side(running));
    } else if running.is_null() {
        lines.push("the sync does not run yet; by the new settings it would do this:".to_owned());
        lines.extend(side(proposed));
    } else {
        lines.extend(counts(&[("runs now", &running["counts"]), ("new", &proposed["counts"])]));
        lines.extend(difference(&preview["difference"]));
        let selected = [running, proposed].map(|side| &side["whole"]["records"]);
        if selected[0] != selected[1] && selected.iter().all(|records| records.is_u64()) {
            lines.push(String::new());
            lines.push(format!(
                "by the new settings a refresh reads {}, and {} now; these are of those that it reads now",
                count(selected[1], "record"),
                selected[0]
            ));
        }
        lines.push(String::new());
        lines.push("by the new settings:".to_owned());
        lines.extend(told(proposed));
    }
    lines
}

/// What one mapping would do.
fn side(side: &Value) -> Vec<String> {
    let mut lines = counts(&[("", &side["counts"])]);
    lines.extend(told(side));
    lines
}

/// A line for each kind, a column for each mapping.
fn counts(columns: &[(&str, &Value)]) -> Vec<String> {
    let kinds = [
        ("create", "creates", true),
        ("update", "updates", true),
        ("unchanged", "unchanged", true),
        ("no record to change", "absent", false),
        ("no data", "no_data", true),
        ("dead letters", "letters", true),
        ("shared keys", "shared_keys", false),
        ("behind an open change", "behind", false),
    ];
    let mut lines = Vec::new();
    if columns.len() > 1 {
        lines.push(row("", columns.iter().map(|(head, _)| (*head).to_owned())));
    }
    for (name, key, always) in kinds {
        let numbers: Vec<u64> = columns.iter().map(|(_, counts)| counts[key].as_u64().unwrap_or(0)).collect();
        if always || numbers.iter().any(|number| *number > 0) {
            lines.push(row(name, numbers.iter().map(u64::to_string)));
        }
    }
    lines
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    cells.fold(format!("  {name:<22}"), |line, cell| format!("{line}{cell:>10}"))
}

/// Everything but the counts.
fn told(side: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for change in list(&side["creates"]).chain(list(&side["updates"])) {
        lines.push(String::new());
        lines.extend(self::change(change));
    }
    for letters in list(&side["dead_letters"]) {
        let records: Vec<String> = list(&letters["records"]).map(text).collect();
        lines.push(String::new());
        lines.push(format!("{} dead: {}", letters["count"], text(&letters["reason"])));
        lines.push(format!("    {}", text(&letters["hint"])));
        lines.push(format!("    {}", records.join(", ")));
    }
    let mut notes = notes(side);
    if !notes.is_empty() {
        notes.insert(0, String::new());
    }
    lines.extend(notes);
    lines.extend(whole(&side["whole"]));
    lines
}

fn change(change: &Value) -> Vec<String> {
    let records: Vec<String> = list(&change["records"]).map(text).collect();
    let write = text(&change["write"]).replace("behind", "update, behind an open change:");
    let mut lines = vec![format!("{write} {} for {}", text(&change["key"]), records.join(", "))];
    for field in list(&change["fields"]) {
        let name = text(&field["field"]);
        let cut =
            field["cut"].as_str().map(|cut| format!("  (cut {})", output::part(cut))).unwrap_or_default();
        let set = if field["set_when_written"] == true { "  (set when written)" } else { "" };
        lines.push(format!("    {name}: {} → {}{cut}{set}", value(&field["before"]), value(&field["after"])));
    }
    lines
}

/// A record's value, as JSON so that a text is told from a number.
fn value(value: &Value) -> String {
    if value.is_null() { "(empty)".to_owned() } else { output::part(&value.to_string()) }
}

fn notes(side: &Value) -> Vec<String> {
    let no_data = pairs(&side["no_data"]).map(|(why, count)| {
        let why = match why.as_str() {
            "gone" => "not there, or not to be seen by the integration user",
            "converted" => "a converted lead",
            "no_keys" => "without a value in any key",
            "unknown" => "unknown to your API",
            _ => "answered with a key that belongs to another record",
        };
        format!("no data: {count} {why}")
    });
    let cut = pairs(&side["cut"]).map(|(field, count)| {
        format!("cut: {} of {count} records is longer than the field", output::part(field))
    });
    let kept = pairs(&side["kept"]).map(|(field, count)| {
        format!("kept: {} of {count} records differs only in the org's own form", output::part(field))
    });
    let shared = list(&side["shared_keys"]).map(|shared| {
        format!(
            "shared key: {} was answered with the key of {}",
            text(&shared["record"]),
            text(&shared["holder"])
        )
    });
    let quarantined = list(&side["quarantined"]).map(|one| {
        let done = if one["access"] == "read" { "read" } else { "written" };
        let (object, field, why) = (text(&one["object"]), text(&one["field"]), text(&one["why"]));
        format!("left out: {object}.{field} is not {done}: {why}. {}", text(&one["hint"]))
    });
    no_data.chain(cut).chain(kept).chain(shared).chain(quarantined).collect()
}

/// What a refresh of all would take.
fn whole(whole: &Value) -> Vec<String> {
    if whole.is_null() {
        return Vec::new();
    }
    let about = if whole["exact"] == true { "" } else { "about " };
    let by = if whole["reads_by_bulk"] == true { "Bulk query" } else { "REST pages" };
    let by_write = match whole["writes_by"].as_str() {
        Some("bulk") => "Bulk API 2.0",
        Some("collections") => "sObject Collections",
        _ => "REST",
    };
    let calls =
        ["preparing_calls", "reading_calls", "matching_calls", "writing_calls"].map(|key| &whole[key]);
    let [preparing, reading, matching, writing] = calls;
    vec![
        String::new(),
        format!(
            "a refresh of all, {}, writes {about}{} of the target",
            count(&whole["records"], "record"),
            count(&whole["writes"], "record")
        ),
        format!(
            "    {about}{} of the org: {preparing} to count and describe, {reading} to read ({by}), {matching} to match, {writing} \
             to write ({by_write})",
            count(&whole["api_calls"], "API call")
        ),
        format!("    {about}{} in your API", count(&whole["lookups"], "look-up")),
        format!("    today: {}", text(&whole["budget"])),
    ]
}

fn difference(difference: &Value) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        format!("{} records end alike, {} do not", difference["same"], difference["different"]),
    ];
    for (field, count) in pairs(&difference["fields"]) {
        lines.push(format!("    {} would be written otherwise for {count}", output::part(field)));
    }
    for record in list(&difference["records"]) {
        let ends = |side: &Value| {
            let ends: Vec<String> = list(&side["ends"]).map(|end| text(end).replace('_', " ")).collect();
            let reason = side["reason"].as_str().map(|reason| format!(" ({})", output::part(reason)));
            format!("{}{}", ends.join(", "), reason.unwrap_or_default())
        };
        let (now, new) = (ends(&record["running"]), ends(&record["proposed"]));
        lines.push(format!("{}: {now} now, {new} by the new settings", text(&record["record"])));
        for field in list(&record["fields"]) {
            let would = |side: &str| field.get(side).map_or_else(|| "not written".to_owned(), value);
            let (now, new) = (would("running"), would("proposed"));
            lines.push(format!("    {}: {now} → {new}", text(&field["field"])));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts_of(updates: u64) -> Value {
        json!({ "creates": 1, "updates": updates, "unchanged": 7, "no_data": 1, "dead_letters": 2, "letters": 2, "absent": 0, "behind": 0,
            "shared_keys": 0 })
    }

    fn side_of(updates: u64) -> Value {
        json!({
            "counts": counts_of(updates),
            "creates": [{ "write": "create", "key": "K1", "records": ["001A"], "fields": [
                { "field": "Name__c", "before": null, "after": "a\nb", "cut": "from 5 to 3 characters" }, { "field": "Count__c", "before": 7, "after": null }] }],
            "updates": [],
            "dead_letters": [{ "reason": "it is empty", "hint": "Fill it.", "count": 2, "records": ["001B", "001C"] }],
            "no_data": { "unknown": 1 }, "cut": { "Name__c": 3 }, "kept": {}, "shared_keys": [], "quarantined": [],
            "whole": { "records": 100, "exact": false, "writes": 30, "api_calls": 12, "preparing_calls": 2,
                "reading_calls": 1, "reads_by_bulk": false, "matching_calls": 1, "writing_calls": 8, "writes_by": "bulk",
                "lookups": 1, "budget": "12 of the 50 calls that are left" }
        })
    }

    #[test]
    fn a_preview_is_told_with_counts_values_reasons_and_calls() {
        let cost = json!({ "org": "acme", "cost": { "api_calls": 4, "lookups": 1 } });
        assert_eq!(
            cost_line(&cost),
            "this takes about 4 API calls of acme and 1 look-up in your API, and writes nothing"
        );
        let sample = json!({ "record": null, "asked": 20, "read": 20, "total": 100 });
        let mut preview = json!({ "org": "acme", "sync": "accounts", "sample": sample, "running": side_of(3),
            "proposed": null, "difference": null });
        let told = lines(&preview).join("\n");
        for part in [
            "org acme, sync accounts: 20 of 100 records\n  create                         1\n  update                         3",
            "create K1 for 001A\n    Name__c: (empty) → \"a\\nb\"  (cut from 5 to 3 characters)\n    Count__c: 7 → (empty)",
            "2 dead: it is empty\n    Fill it.\n    001B, 001C",
            "no data: 1 unknown to your API",
            "cut: Name__c of 3 records",
            "a refresh of all, 100 records, writes about 30 records of the target",
            "about 12 API calls of the org: 2 to count and describe, 1 to read (REST pages), 1 to match, 8 to write (Bulk API 2.0)",
            "about 1 look-up in your API\n    today: 12 of the 50",
        ] {
            assert!(told.contains(part), "{part:?} is not in\n{told}");
        }
        assert!(!told.contains("behind"), "what there is none of is not told: {told}");

        preview["proposed"] = side_of(4);
        preview["difference"] = json!({ "same": 19, "different": 1, "fields": { "Name__c": 1 }, "records": [
            { "record": "001D", "running": { "ends": ["dead_letter"], "keys": [], "reason": "it is empty" },
              "proposed": { "ends": ["update"], "keys": ["K1"], "reason": null },
              "fields": [{ "field": "Name__c", "proposed": null }, { "field": "Count__c", "running": 1, "proposed": 2 }] }] });
        preview["proposed"]["whole"]["records"] = json!(1);
        let told = lines(&preview).join("\n");
        for part in [
            "by the new settings a refresh reads 1 record, and 100 now; these are of those",
            "runs now       new",
            "  update                         3         4",
            "19 records end alike, 1 do not\n    Name__c would be written otherwise for 1",
            "001D: dead letter (it is empty) now, update by the new settings\n    Name__c: not written → (empty)\n    Count__c: 1 → 2",
        ] {
            assert!(told.contains(part), "{part:?} is not in\n{told}");
        }
    }
}
