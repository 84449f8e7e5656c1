//! `orgpipe dead-letters ACTION ORG`: asks the running service about dead letters, and prints what it says.
//!
//! Here: which questions, and how an answer looks. Not here: what a command does (`orgpipe_actors`).

use std::process::ExitCode;

use chrono::DateTime;
use serde_json::Value;

use super::running::{self, Answer};
use crate::{
    cli::{
        DeadLettersAction, DeadLettersArgs, DeadLettersCommandArgs, DeadLettersListArgs, DeadLettersShowArgs,
    },
    output,
};

/// Does what was asked for.
pub(crate) fn run(args: &DeadLettersArgs) -> ExitCode {
    let done = match &args.action {
        DeadLettersAction::List(args) => list(args, "dead-letters", "dead_letters", &letter),
        DeadLettersAction::Audit(args) => list(args, "dead-letters/audit", "commands", &command),
        DeadLettersAction::Show(args) => show(args),
        DeadLettersAction::Retry(args) => act_on(args, "retry"),
        DeadLettersAction::Discard(args) => act_on(args, "discard"),
    };
    done.unwrap_or_else(|exit| exit)
}

fn list(
    args: &DeadLettersListArgs,
    path: &str,
    key: &str,
    line: &dyn Fn(&Value) -> String,
) -> Result<ExitCode, ExitCode> {
    let (limit, before) = (args.limit.to_string(), args.before.map(|before| before.to_string()));
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.reason.iter().map(|reason| ("reason", reason.as_str())));
    query.extend(before.iter().map(|before| ("before", before.as_str())));
    let path: Vec<&str> = ["orgs", &args.target.org].into_iter().chain(path.split('/')).collect();
    let answer = running::get(&args.target.service, &path, &query)?;
    let found = answer.body[key].as_array().map(Vec::as_slice).unwrap_or_default();
    for one in found {
        output::line(&line(one));
    }
    if found.is_empty() {
        output::line("none");
    }
    Ok(ExitCode::SUCCESS)
}

fn letter(letter: &Value) -> String {
    let target = text(letter, "target");
    let target = if target.is_empty() { target } else { format!("{target} ") };
    let (first, last) = (time(&letter["first_ms"]), time(&letter["last_ms"]));
    let when = match letter["count"].as_u64().unwrap_or(1) {
        1 => last,
        count => format!("{last} ({count} times since {first})"),
    };
    let said = letter["errors"].as_array().into_iter().flatten().filter_map(of_salesforce);
    let said = said.fold(String::new(), |all, one| all + "\n    " + &one);
    let (key, reason, hint) = (text(letter, "key"), text(letter, "reason"), text(letter, "hint"));
    format!("{}  {when}  {target}{key}\n    {reason}.{said}\n    {hint}", letter["number"])
}

/// What Salesforce says of a record, with the fields.
fn of_salesforce(error: &Value) -> Option<String> {
    let (code, message) = (text(error, "code"), text(error, "message"));
    if code.is_empty() || message.is_empty() {
        return None;
    }
    let fields: Vec<String> = error["fields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(output::part)
        .collect();
    let fields = if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) };
    Some(format!("The org says: \u{201c}{message}\u{201d}{fields}"))
}

fn command(command: &Value) -> String {
    format!(
        "{}  {} of dead letter {} by {}: record {}",
        time(&command["at_ms"]),
        text(command, "act"),
        command["letter"],
        text(command, "by"),
        text(command, "record")
    )
}

fn show(args: &DeadLettersShowArgs) -> Result<ExitCode, ExitCode> {
    let number = args.number.to_string();
    let query: &[(&str, &str)] = if args.values { &[("values", "true")] } else { &[] };
    let path = ["orgs", &args.target.org, "dead-letters", &number];
    let found = running::get(&args.target.service, &path, query)?.body;
    output::line(&letter(&found));
    for subject in found["subjects"].as_array().into_iter().flatten() {
        let trail = &subject["trail"];
        let event =
            trail["e"].as_str().map(|event| format!(", by {}", output::part(event))).unwrap_or_default();
        output::line(&format!("    record {}{event}", text(subject, "record")));
    }
    if args.values {
        output::line(&format!("    kept: {}", found["values"]));
    } else {
        output::line("    Its values are shown with --values.");
    }
    Ok(ExitCode::SUCCESS)
}

fn act_on(args: &DeadLettersCommandArgs, act: &str) -> Result<ExitCode, ExitCode> {
    let post = |path: &[&str], query: &[(&str, &str)]| -> Result<Answer, ExitCode> {
        running::post(&args.target.service, path, query)
    };
    let mut all_done = true;
    if args.numbers.is_empty() {
        let before = args.before.map(|before| before.to_string());
        let mut query: Vec<(&str, &str)> =
            args.reason.iter().map(|reason| ("reason", reason.as_str())).collect();
        query.extend(args.all.then_some(("all", "true")));
        query.extend(before.iter().map(|before| ("before", before.as_str())));
        let answer = post(&["orgs", &args.target.org, "dead-letters", act], &query)?.body;
        let refused = answer["refused"].as_array().map(Vec::as_slice).unwrap_or_default();
        all_done = refused.is_empty();
        for one in refused {
            output::line(&format!("{}: stays, as {}", one["number"], text(one, "reason")));
        }
        let done = answer["done"].as_array().map_or(0, Vec::len);
        output::line(&format!("{act} of {done} dead letters ordered"));
        if let Some(before) = answer["before"].as_u64() {
            output::line(&format!("There may be more; go on with --before {before}"));
        }
    }
    for number in &args.numbers {
        let number = number.to_string();
        match post(&["orgs", &args.target.org, "dead-letters", &number, act], &[]) {
            Ok(_) => output::line(&format!("{number}: {act} ordered")),
            // Why was printed.
            Err(_) => all_done = false,
        }
    }
    Ok(if all_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(value: &Value, key: &str) -> String {
    output::part(value[key].as_str().unwrap_or_default())
}

fn time(at_ms: &Value) -> String {
    let at = at_ms.as_i64().and_then(DateTime::from_timestamp_millis);
    at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}
