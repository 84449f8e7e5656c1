//! `orgpipe dead-letters ACTION ORG`: asks the running service about dead letters, and prints what it says.
//!
//! Here: which questions, and how an answer looks. Not here: what a command does (`orgpipe_actors`), what came of a retry
//! (`retried`).

use std::process::ExitCode;

use chrono::DateTime;
use serde_json::Value;

use super::{
    retried::{self, RetriedLetters},
    running::{self, Answer},
};
use crate::{
    cli::{
        DeadLettersAction, DeadLettersArgs, DeadLettersAuditArgs, DeadLettersDiscardArgs,
        DeadLettersListArgs, DeadLettersRetryArgs, DeadLettersShowArgs, DeadLettersWhichArgs,
    },
    output,
};

/// Does what was asked for.
pub(crate) fn run(args: &DeadLettersArgs) -> ExitCode {
    let done = match &args.action {
        DeadLettersAction::List(args) => list(args),
        DeadLettersAction::Audit(args) => audit(args),
        DeadLettersAction::Show(args) => show(args),
        DeadLettersAction::Retry(args) => retry(args),
        DeadLettersAction::Discard(args) => discard(args),
    };
    done.unwrap_or_else(|exit| exit)
}

fn list(args: &DeadLettersListArgs) -> Result<ExitCode, ExitCode> {
    let (org, service) = (args.target.org.as_str(), &args.target.service);
    if let Some(None) = args.group {
        let answer = running::get(service, &["orgs", org, "dead-letters", "groups"], &[])?;
        lines(&answer.body["groups"], &group);
        return Ok(ExitCode::SUCCESS);
    }
    let (limit, before) = (args.limit.to_string(), args.before.map(|before| before.to_string()));
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.reason.iter().map(|reason| ("reason", reason.as_str())));
    query.extend(args.group.iter().flatten().map(|group| ("group", group.as_str())));
    query.extend(before.iter().map(|before| ("before", before.as_str())));
    let found = running::get(service, &["orgs", org, "dead-letters"], &query)?.body["dead_letters"].take();
    lines(&found, &letter);
    let last =
        found.as_array().filter(|found| found.len() as u64 >= args.limit).and_then(|found| found.last());
    if let Some(last) = last {
        output::line(&format!("There may be more; go on with --before {}", last["number"]));
    }
    Ok(ExitCode::SUCCESS)
}

fn audit(args: &DeadLettersAuditArgs) -> Result<ExitCode, ExitCode> {
    let path = ["orgs", &args.target.org, "dead-letters", "audit"];
    let answer = running::get(&args.target.service, &path, &[("limit", &args.limit.to_string())])?;
    lines(&answer.body["commands"], &command);
    Ok(ExitCode::SUCCESS)
}

/// Prints each of a list, or that there is none.
fn lines(list: &Value, line: &dyn Fn(&Value) -> String) {
    let found = list.as_array().map(Vec::as_slice).unwrap_or_default();
    for one in found {
        output::line(&line(one));
    }
    if found.is_empty() {
        output::line("none");
    }
}

fn group(group: &Value) -> String {
    let number = |key: &str| group[key].as_u64().unwrap_or_default();
    let about = ["sync", "target"].map(|key| text(group, key));
    let about: Vec<&str> = about.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let (key, reason, hint) = (text(group, "key"), text(group, "reason"), text(group, "hint"));
    format!(
        "{key}  {}, {} in {}: {}\n    {reason}.\n    {hint}",
        time(&group["last_ms"]),
        told(number("letters"), "dead letter"),
        about.join(", "),
        told(number("records"), "record"),
    )
}

/// A number of things.
fn told(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
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

fn retry(args: &DeadLettersRetryArgs) -> Result<ExitCode, ExitCode> {
    let mut retried = RetriedLetters::default();
    let all_done = act_on(&args.which, "retry", None, &mut |answer| retried.add(answer))?;
    if !args.wait {
        return Ok(exit(all_done));
    }
    let target = &args.which.target;
    let all_well = running::with(&target.service, async |running| {
        retried::wait(&running, &target.org, retried, args.timeout_secs).await
    })?;
    Ok(exit(all_done && all_well))
}

fn discard(args: &DeadLettersDiscardArgs) -> Result<ExitCode, ExitCode> {
    let which = &args.which;
    let (mut letters, mut newest) = (which.numbers.len() as u64, None);
    if which.numbers.is_empty() && !args.yes {
        let mut query = chosen(which);
        query.push(("dry_run", "true".to_owned()));
        let path = ["orgs", &which.target.org, "dead-letters", "discard"];
        let answer = running::post(&which.target.service, &path, &borrowed(&query))?.body;
        letters = answer["letters"].as_u64().unwrap_or_default();
        newest = answer["newest"].as_u64();
        if letters == 0 {
            output::line("discard of 0 dead letters ordered");
            return Ok(ExitCode::SUCCESS);
        }
    }
    if letters > 1 && !args.yes {
        match output::confirmed(&format!("Throw {letters} dead letters away? This cannot be taken back.")) {
            Some(true) => {}
            Some(false) => {
                output::line("nothing was thrown away");
                return Ok(ExitCode::FAILURE);
            }
            None => {
                let what =
                    format!("{letters} dead letters would be thrown away, and nobody can be asked first");
                let hint =
                    "Nothing was done. Say `--yes` if they are to go; `list` shows which ones they are.";
                return Ok(output::wrong_arguments(&what, hint));
            }
        }
    }
    // Those that have come since stay: nobody was asked about them.
    let below = newest.map(|newest| newest.saturating_add(1));
    Ok(exit(act_on(which, "discard", below, &mut |_| ())?))
}

fn exit(all_done: bool) -> ExitCode {
    if all_done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How several letters are chosen, as the API is asked.
fn chosen(which: &DeadLettersWhichArgs) -> Vec<(&'static str, String)> {
    let mut query: Vec<(&'static str, String)> = Vec::new();
    query.extend(which.reason.clone().map(|reason| ("reason", reason)));
    query.extend(which.group.clone().map(|group| ("group", group)));
    query.extend(which.all.then(|| ("all", "true".to_owned())));
    query.extend(which.before.map(|before| ("before", before.to_string())));
    query
}

fn borrowed<'q>(query: &'q [(&'static str, String)]) -> Vec<(&'static str, &'q str)> {
    query.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

/// Gives the command, and prints what could not be done. `below`: of several letters only those with numbers below this one.
/// `done`: takes each answer. Gives back whether all was done.
fn act_on(
    which: &DeadLettersWhichArgs,
    act: &str,
    below: Option<u64>,
    done: &mut dyn FnMut(&Value),
) -> Result<bool, ExitCode> {
    let post = |path: &[&str], query: &[(&str, &str)]| -> Result<Answer, ExitCode> {
        running::post(&which.target.service, path, query)
    };
    let mut all_done = true;
    if which.numbers.is_empty() {
        let mut query = chosen(which);
        if let Some(below) = below {
            query.retain(|(key, _)| *key != "before");
            query.push(("before", below.to_string()));
        }
        let answer = post(&["orgs", &which.target.org, "dead-letters", act], &borrowed(&query))?.body;
        let refused = answer["refused"].as_array().map(Vec::as_slice).unwrap_or_default();
        all_done = refused.is_empty();
        for one in refused {
            output::line(&format!("{}: stays, as {}", one["number"], text(one, "reason")));
        }
        let letters = answer["done"].as_array().map_or(0, Vec::len);
        output::line(&format!("{act} of {} ordered", told(letters as u64, "dead letter")));
        if let Some(before) = answer["before"].as_u64() {
            output::line(&format!("There may be more; go on with --before {before}"));
        }
        done(&answer);
    }
    for number in &which.numbers {
        let number = number.to_string();
        match post(&["orgs", &which.target.org, "dead-letters", &number, act], &[]) {
            Ok(answer) => {
                output::line(&format!("{number}: {act} ordered"));
                done(&answer.body);
            }
            // Why was printed.
            Err(_) => all_done = false,
        }
    }
    Ok(all_done)
}

fn text(value: &Value, key: &str) -> String {
    output::part(value[key].as_str().unwrap_or_default())
}

fn time(at_ms: &Value) -> String {
    let at = at_ms.as_i64().and_then(DateTime::from_timestamp_millis);
    at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}
