//! `orgpipe alerts` and `orgpipe notify ACTION`: what is wrong now, and whether those are reached who are told.
//!
//! Here: which questions, and how an answer looks. Not here: what is wrong (`orgpipe_actors`).

use std::process::ExitCode;

use chrono::DateTime;
use serde_json::Value;

use super::running;
use crate::{
    cli::{AlertsArgs, NotifyAction, NotifyArgs, NotifyTestArgs},
    output,
};

/// Prints what is wrong now.
pub(crate) fn run(args: &AlertsArgs) -> ExitCode {
    match running::get(&args.service, &["alerts"], &[]) {
        Ok(answer) => {
            for line in lines(&answer.body) {
                output::line(&line);
            }
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}

/// Does what was asked for about those who are told.
pub(crate) fn notify(args: &NotifyArgs) -> ExitCode {
    let done = match &args.action {
        NotifyAction::List(args) => running::get(&args.service, &["notify"], &[]).map(|answer| {
            for line in receivers(&answer.body) {
                output::line(&line);
            }
            ExitCode::SUCCESS
        }),
        NotifyAction::Test(args) => test(args),
    };
    done.unwrap_or_else(|exit| exit)
}

/// Sends a test to one of them or to each; whether all took it is the exit code.
fn test(args: &NotifyTestArgs) -> Result<ExitCode, ExitCode> {
    let names: Vec<String> = if let Some(name) = &args.name {
        vec![name.clone()]
    } else {
        let answer = running::get(&args.service, &["notify"], &[])?;
        items(&answer.body, "receivers").map(|one| text(one, "name").to_owned()).collect()
    };
    if names.is_empty() {
        output::line("nobody is told about alerts: the settings have no `[[notify]]`");
    }
    let mut all_taken = true;
    for name in names {
        let answer = running::post(&args.service, &["notify", &name, "test"], &[])?;
        let taken = answer.body["taken"] == true;
        all_taken &= taken;
        let how = if taken { "took it" } else { "did NOT take it" };
        output::line(&format!(
            "{}: {how}: {}",
            output::part(&name),
            output::part(text(&answer.body, "what"))
        ));
    }
    Ok(if all_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lines(body: &Value) -> Vec<String> {
    let total = body["total"].as_u64().unwrap_or_default();
    if total == 0 {
        return vec!["nothing is wrong".to_owned()];
    }
    let mut lines = Vec::new();
    for alert in items(body, "alerts") {
        let org = alert["org"].as_str().map(|org| format!("{}: ", output::part(org))).unwrap_or_default();
        let (severity, kind) = (text(alert, "severity"), text(alert, "kind"));
        let summary = output::part(text(alert, "summary"));
        lines.push(format!("{severity:<8} {kind} since {}  {org}{summary}", time(&alert["since_ms"])));
        if !text(alert, "hint").is_empty() {
            lines.push(format!("         {}", output::part(text(alert, "hint"))));
        }
    }
    let shown = items(body, "alerts").count() as u64;
    if shown < total {
        lines.push(format!("and {} more", total - shown));
    }
    lines
}

fn receivers(body: &Value) -> Vec<String> {
    let line = |one: &Value| {
        let number = |key: &str| one[key].as_u64().unwrap_or_default();
        let last =
            if one["last_sent_ms"].is_null() { "never".to_owned() } else { time(&one["last_sent_ms"]) };
        let error =
            one["error"].as_str().map(|error| format!("; {}", output::part(error))).unwrap_or_default();
        let (name, kind) = (output::part(text(one, "name")), text(one, "kind"));
        format!("{name} ({kind}): last taken {last}, {} waiting{error}", number("waiting"))
    };
    let lines: Vec<String> = items(body, "receivers").map(line).collect();
    if lines.is_empty() {
        return vec!["nobody is told about alerts: the settings have no `[[notify]]`".to_owned()];
    }
    lines
}

fn items<'a>(body: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    body[key].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn time(ms: &Value) -> String {
    let at = ms.as_i64().and_then(DateTime::from_timestamp_millis);
    at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_alert_is_a_line_with_its_next_step_below() {
        let alert = json!({ "kind": "org_parked", "org": "acme", "subject": "writer", "severity": "critical",
                            "summary": "its part writer is parked", "hint": "Resume it.", "since_ms": 0 });
        let told = lines(&json!({ "total": 3, "alerts": [alert] }));
        let expected = [
            "critical org_parked since 1970-01-01 00:00 UTC  acme: its part writer is parked",
            "         Resume it.",
            "and 2 more",
        ];
        assert_eq!(told, expected);
        assert_eq!(lines(&json!({ "total": 0, "alerts": [] })), ["nothing is wrong"]);
    }
}
