//! `orgpipe push`: tells the running service what has changed in the vendor's data, and shows what became of it.
//!
//! Here: the body, from options or a file, and how the answer looks. Not here: finding the records (`orgpipe_actors`).

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use orgpipe_actors::PUSH_BYTES_MAX;
use serde_json::{Map, Value, json};

use super::running::{self, CommandError, Running};
use crate::{cli::PushArgs, output};

/// How often it is asked what has become of a push.
const LOOK: Duration = Duration::from_millis(500);
/// Columns of a file whose items are no keys.
const EXTERNAL_ID: &str = "external_id";
const RECORD_ID: &str = "record_id";

/// Why there is nothing to push.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct NoItems {
    what: String,
    hint: &'static str,
}

/// Pushes, with `--wait` stays until all is through, or shows a push; prints what was done.
pub(crate) fn run(args: &PushArgs) -> ExitCode {
    let body = match body(args) {
        Ok(body) => body,
        Err(error) => return output::failure(&error, Some(error.hint)),
    };
    match running::with(&args.service, async |running| push(&running, args, body).await) {
        Ok(said) => {
            output::line(&said);
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}

async fn push(running: &Running, args: &PushArgs, body: Option<Value>) -> Result<String, CommandError> {
    let number = match (args.show, body) {
        (None, Some(body)) => {
            let headers: Vec<(&str, &str)> =
                args.idempotency_key.iter().map(|key| ("Idempotency-Key", key.as_str())).collect();
            let answer = running.send_with(&["changes"], &body, &headers).await?;
            let (number, again) = (number(&answer["number"]), answer["repeated"] == true);
            if !args.wait {
                let (items, orgs) = (number_of(&answer, "items"), number_of(&answer, "orgs"));
                let again = if again { "; it had been taken in before" } else { "" };
                return Ok(format!(
                    "push {number}: {items} items for {orgs} orgs are taken in{again}; see `orgpipe push --show {number}`"
                ));
            }
            number
        }
        (Some(number), _) if !args.wait => {
            return Ok(shown(&running.get(&["changes", &number.to_string()], &[]).await?));
        }
        (Some(number), _) => number,
        (None, None) => return Ok(listed(&running.get(&["changes"], &[]).await?)),
    };
    wait(running, number).await.map(|view| shown(&view))
}

/// Until every org has looked, and all that was found is through.
async fn wait(running: &Running, push: u64) -> Result<Value, CommandError> {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {wide_bar} {pos}/{len} orgs have looked, {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    loop {
        let view = running.get(&["changes", &push.to_string()], &[]).await?;
        if view["done"] == true {
            bar.finish_and_clear();
            return Ok(view);
        }
        let (orgs, searching) = (number_of(&view, "orgs_total"), number_of(&view, "searching"));
        bar.set_length(orgs);
        bar.set_position(orgs.saturating_sub(searching));
        bar.set_message(format!("{} found, {} open", number_of(&view, "found"), number_of(&view, "open")));
        bar.tick();
        actix_rt::time::sleep(LOOK).await;
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn number_of(view: &Value, key: &str) -> u64 {
    number(&view[key])
}

/// What became of records, in the order of a line.
const ENDS: [&str; 7] = ["found", "written", "unchanged", "no_data", "superseded", "dead_letters", "open"];

/// One push, org by org.
fn shown(view: &Value) -> String {
    let text = |key: &str| view[key].as_str().unwrap_or_default();
    let ends = ENDS.map(|end| format!("{} {}", number_of(view, end), end.replace('_', " "))).join(", ");
    let (orgs, searching) = (number_of(view, "orgs_total"), number_of(view, "searching"));
    let head = format!(
        "push {} to `{}`, {} items for {orgs} orgs: {ends}; {searching} orgs have still to look",
        number_of(view, "number"),
        text("sync"),
        number_of(view, "items")
    );
    let told: Vec<&Value> = view["orgs"].as_array().into_iter().flatten().collect();
    if told.is_empty() {
        return head;
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let names = ENDS.map(|end| end.replace('_', " "));
    table.set_header(["org".to_owned()].into_iter().chain(names).chain([String::new()]));
    for org in told {
        let name = output::part(org["org"].as_str().unwrap_or_default());
        let numbers = ENDS.map(|end| number_of(org, end).to_string());
        let looks = if org["searching"] == true { "has still to look" } else { "" };
        table.add_row([name].into_iter().chain(numbers).chain([looks.to_owned()]));
    }
    format!("{head}\n{}", table.trim_fmt())
}

/// The newest pushes, one a line.
fn listed(answer: &Value) -> String {
    let pushes: Vec<&Value> = answer["changes"].as_array().into_iter().flatten().collect();
    if pushes.is_empty() {
        return "there are no pushes".to_owned();
    }
    pushes.into_iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// What is pushed; none where only something is to be shown.
fn body(args: &PushArgs) -> Result<Option<Value>, NoItems> {
    let Some(sync) = &args.sync else { return Ok(None) };
    let mut body = match &args.file {
        Some(file) => of_file(file, &read(file)?)?,
        None if !args.external_id.is_empty() => object("external_ids", json!(args.external_id)),
        None if !args.record.is_empty() => object("record_ids", json!(args.record)),
        None if !args.key.is_empty() => {
            let items: Result<Vec<Value>, NoItems> = args.key.iter().map(|pair| key(pair)).collect();
            object("keys", json!(items?))
        }
        None => {
            return Err(NoItems {
                what: "it is not said what has changed".to_owned(),
                hint: "Give `--external-id`, `--key`, `--record` or `--file`.",
            });
        }
    };
    if let Some(file) = &args.data {
        let data = serde_json::from_str(&read(file)?).map_err(|cause| not_json(file, &cause))?;
        body.insert("data".to_owned(), data);
    }
    body.insert("sync".to_owned(), json!(sync));
    if !args.org.is_empty() {
        body.insert("orgs".to_owned(), json!(args.org));
    }
    Ok(Some(Value::Object(body)))
}

fn object(key: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), value)])
}

/// `domain=acme.com`
fn key(pair: &str) -> Result<Value, NoItems> {
    match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(json!({ name: value })),
        _ => Err(NoItems {
            what: format!("`--key {pair}` is no key with a value"),
            hint: "Write `--key NAME=VALUE`, such as `--key domain=acme.com`.",
        }),
    }
}

fn read(file: &Path) -> Result<String, NoItems> {
    let failed = |cause: io::Error| NoItems {
        what: format!("`{}` cannot be read: {cause}", file.display()),
        hint: "Name a file of text, or `-` for standard input.",
    };
    let mut text = String::new();
    let limit = PUSH_BYTES_MAX as u64 + 1;
    if file == Path::new("-") {
        io::stdin().take(limit).read_to_string(&mut text).map_err(failed)?;
    } else {
        std::fs::File::open(file)
            .and_then(|opened| opened.take(limit).read_to_string(&mut text))
            .map_err(failed)?;
    }
    if text.len() > PUSH_BYTES_MAX {
        let what = format!("`{}` has more than the {PUSH_BYTES_MAX} bytes of a push", file.display());
        return Err(NoItems { what, hint: "Cut it in parts, and push each." });
    }
    Ok(text)
}

fn not_json(file: &Path, cause: &serde_json::Error) -> NoItems {
    NoItems {
        what: format!("`{}` is no JSON: {cause}", file.display()),
        hint: "Nothing was pushed; correct the file.",
    }
}

/// A file by its ending; without one by its first character.
fn of_file(file: &Path, text: &str) -> Result<Map<String, Value>, NoItems> {
    let ending = file.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("json") => of_json(file, text),
        Some("csv") => of_csv(file, text),
        _ if text.trim_start().starts_with(['{', '[']) => of_json(file, text),
        _ => {
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            Ok(object("external_ids", json!(lines)))
        }
    }
}

/// A list of external IDs or of keys, or the body as the service takes it.
fn of_json(file: &Path, text: &str) -> Result<Map<String, Value>, NoItems> {
    match serde_json::from_str(text).map_err(|cause| not_json(file, &cause))? {
        Value::Object(body) => Ok(body),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            Ok(object("external_ids", Value::Array(items)))
        }
        Value::Array(items) => Ok(object("keys", Value::Array(items))),
        _ => Err(NoItems {
            what: format!("`{}` has neither a list nor an object", file.display()),
            hint: "Write a list of external IDs or of keys, or the body that `POST /api/v1/changes` takes.",
        }),
    }
}

/// A column `external_id` or `record_id`, or a column for each key.
fn of_csv(file: &Path, text: &str) -> Result<Map<String, Value>, NoItems> {
    let wrong = |cause: csv::Error| NoItems {
        what: format!("`{}` is no CSV: {cause}", file.display()),
        hint: "The first line names the columns: `external_id`, `record_id`, or the sync's keys.",
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    let rows = reader.records().collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    for (column, list) in [(EXTERNAL_ID, "external_ids"), (RECORD_ID, "record_ids")] {
        if let Some(at) = columns.iter().position(|name| name == column) {
            let values: Vec<&str> = rows.iter().filter_map(|row| row.get(at)).collect();
            return Ok(object(list, json!(values)));
        }
    }
    let item = |row: &csv::StringRecord| -> BTreeMap<String, String> {
        let pairs = columns.iter().zip(row.iter()).filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| (name.clone(), value.to_owned())).collect()
    };
    Ok(object("keys", json!(rows.iter().map(item).collect::<Vec<_>>())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_items_by_its_ending() {
        let ids = json!({ "external_ids": ["a", "b"] });
        for (file, text, expected) in [
            ("items.txt", "a\n\n b \n", ids.clone()),
            ("-", "a\nb", ids.clone()),
            ("-", r#"["a", "b"]"#, ids.clone()),
            ("items.json", r#"{ "external_ids": ["a", "b"] }"#, ids.clone()),
            ("items.csv", "name,external_id\nx,a\ny,b\n", ids),
            ("items.csv", "record_id\n001\n", json!({ "record_ids": ["001"] })),
            (
                "items.csv",
                "domain,country\na,DE\n\"b,c\",\n",
                json!({ "keys": [{ "domain": "a", "country": "DE" }, { "domain": "b,c" }] }),
            ),
            ("items.json", r#"[{ "domain": "a" }]"#, json!({ "keys": [{ "domain": "a" }] })),
        ] {
            let found = of_file(Path::new(file), text).expect("items");
            assert_eq!(Value::Object(found), expected, "{file}");
        }
        for (file, text) in [("items.json", "7"), ("items.json", "{"), ("items.csv", "a,b\n1\n")] {
            assert!(of_file(Path::new(file), text).is_err(), "{text}");
        }
        assert_eq!(key("domain=a=b").ok(), Some(json!({ "domain": "a=b" })));
        assert!(key("domain").is_err() && key("=a").is_err());
    }

    #[test]
    fn a_push_is_told_in_a_line_and_org_by_org() {
        let view = json!({ "number": 7, "sync": "accounts", "items": 2, "orgs_total": 3, "searching": 1, "found": 2, "written": 2,
            "orgs": [{ "org": "acme", "searching": true, "found": 2, "written": 2 }] });
        let said = shown(&view);
        assert!(
            said.starts_with("push 7 to `accounts`, 2 items for 3 orgs: 2 found, 2 written, 0 unchanged"),
            "{said}"
        );
        assert!(said.contains("acme") && said.contains("has still to look"), "{said}");
    }
}
