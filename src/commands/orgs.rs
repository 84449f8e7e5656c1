//! `orgpipe orgs ACTION`: the orgs of the running service, and those that are kept in its store.
//!
//! Here: which questions, and how an answer looks. Not here: commands about the work of an org (`org`), what an invitation is
//! (`connect`).

use std::{path::Path, process::ExitCode};

use chrono::DateTime;
use comfy_table::{Table, presets};
use serde_json::{Map, Value, json};

use super::running;
use crate::{
    cli::{OrgsAction, OrgsAddArgs, OrgsArgs, OrgsInviteArgs},
    output,
};

/// Does what was asked for.
pub(crate) fn run(args: &OrgsArgs) -> ExitCode {
    let done = match &args.action {
        OrgsAction::List(args) => running::get(&args.service, &["orgs"], &[]).map(|answer| {
            output::line(&table(&answer.body).to_string());
        }),
        OrgsAction::Show(target) => {
            running::get(&target.service, &["orgs"], &[]).and_then(|answer| show(&answer.body, &target.org))
        }
        OrgsAction::Add(args) => add(args),
        OrgsAction::Invite(args) => invite(args),
        OrgsAction::Remove(target) => running::post(&target.service, &["orgs", &target.org, "remove"], &[])
            .map(|answer| {
                output::line(&format!("org {} is removed", target.org));
                output::line(answer.text("consequence"));
            }),
        OrgsAction::Pause(target) => running::post(&target.service, &["orgs", &target.org, "pause"], &[])
            .map(|answer| {
                output::line(&format!("org {} is being paused", target.org));
                output::line(answer.text("consequence"));
            }),
        OrgsAction::Resume(target) => running::post(&target.service, &["orgs", &target.org, "resume"], &[])
            .map(|_| output::line(&format!("org {} runs again", target.org))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit,
    }
}

/// Adds the orgs of a file with `[[org]]` tables.
fn add(args: &OrgsAddArgs) -> Result<(), ExitCode> {
    let tables = read(&args.file).map_err(|error| output::failure(&error, Some(AddError::HINT)))?;
    for table in tables {
        let id = table.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = Value::Object(table);
        let added = running::with(&args.service, async |running| running.send(&["orgs"], &body).await)?;
        let by_consent = added["by_consent"].as_bool().unwrap_or_default();
        let next = format!(": now invite the customer with `orgpipe orgs invite {id}`");
        output::line(&format!("org {id} is added{}", if by_consent { next.as_str() } else { " and starts" }));
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum AddError {
    #[error("`{0}` cannot be read: {1}")]
    Unreadable(String, #[source] std::io::Error),
    #[error("`{0}` is not TOML: {1}")]
    NoToml(String, #[source] toml::de::Error),
    #[error("`{0}` has no `[[org]]` table")]
    NoOrg(String),
}

impl AddError {
    const HINT: &str =
        "Give a file with `[[org]]` tables as in the settings (config/example.toml); secrets by name only.";
}

fn read(file: &Path) -> Result<Vec<Map<String, Value>>, AddError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|cause| AddError::Unreadable(name.clone(), cause))?;
    let document: Value = toml::from_str(&text).map_err(|cause| AddError::NoToml(name.clone(), cause))?;
    let tables: Vec<_> =
        document["org"].as_array().into_iter().flatten().filter_map(Value::as_object).cloned().collect();
    if tables.is_empty() { Err(AddError::NoOrg(name)) } else { Ok(tables) }
}

fn invite(args: &OrgsInviteArgs) -> Result<(), ExitCode> {
    let mut body = Map::new();
    if let Some(url) = &args.login_url {
        body.insert("login_url".to_owned(), json!(url));
    }
    if let Some(days) = args.days {
        body.insert("days".to_owned(), json!(days));
    }
    let path = ["orgs", &args.target.org, "invite"];
    let body = Value::Object(body);
    let made = running::with(&args.target.service, async |running| running.send(&path, &body).await)?;
    // Alone on its line, so that a script takes it as it is.
    output::line(made["link"].as_str().unwrap_or_default());
    let until = time(&made["until_ms"]);
    output::line(&format!(
        "Send it to the customer's admin; it is good until {until}. An older link is no longer."
    ));
    Ok(())
}

fn table(body: &Value) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["org", "state", "kept in", "connected", "note"]);
    let stored = body["stored"].as_array().cloned().unwrap_or_default();
    let of = |id: &str| stored.iter().find(|org| org["id"] == id);
    let running = body["orgs"].as_array().cloned().unwrap_or_default();
    for org in &running {
        let id = org["id"].as_str().unwrap_or_default();
        let kept = of(id).filter(|stored| stored["in_file"] != true);
        table.add_row([
            output::part(id),
            output::part(org["state"].as_str().unwrap_or_default()),
            if kept.is_some() { "store" } else { "settings" }.to_owned(),
            of(id).map(connected).unwrap_or_default(),
            trouble(org),
        ]);
    }
    for org in stored.iter().filter(|org| !running.iter().any(|other| other["id"] == org["id"])) {
        let id = org["id"].as_str().unwrap_or_default();
        let state = if org["connected"].is_null() { "invited" } else { "left out" };
        table.add_row([output::part(id), state.to_owned(), "store".to_owned(), connected(org), note(org)]);
    }
    table
}

fn connected(org: &Value) -> String {
    match org["connected"]["org_id"].as_str() {
        Some(org_id) => format!("{} {}", output::part(org_id), time(&org["connected"]["at_ms"])),
        None => String::new(),
    }
}

/// Why an org that is there does not work: what its parts say, those that are parked first.
fn trouble(org: &Value) -> String {
    let parts = org["parts"].as_object().into_iter().flatten().map(|(_, part)| part);
    let mut told: Vec<&Value> =
        parts.filter(|part| part["state"] == "parked" || part["state"] == "waiting").collect();
    told.sort_by_key(|part| part["state"] != "parked");
    let text = |part: &Value, key: &str| part[key].as_str().unwrap_or_default().to_owned();
    told.first()
        .map(|part| output::part(&format!("{}. {}", text(part, "note"), text(part, "hint"))))
        .unwrap_or_default()
}

/// Why it does not run.
fn note(org: &Value) -> String {
    let problems = org["problems"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let problems: Vec<&str> = problems.collect();
    if !problems.is_empty() {
        return output::part(&problems.join(" "));
    }
    match org["invited_until_ms"].as_i64() {
        Some(_) => format!("link good until {}", time(&org["invited_until_ms"])),
        None => "not invited yet".to_owned(),
    }
}

fn show(body: &Value, id: &str) -> Result<(), ExitCode> {
    let find = |key: &str| body[key].as_array().into_iter().flatten().find(|org| org["id"] == id).cloned();
    let (running, stored) = (find("orgs"), find("stored"));
    if running.is_none() && stored.is_none() {
        let error = UnknownOrg(id.to_owned());
        return Err(output::failure(&error, Some("`orgpipe orgs list` shows those there are.")));
    }
    let shown = json!({ "org": id, "running": running, "stored": stored });
    output::line(&serde_json::to_string_pretty(&shown).unwrap_or_default());
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("there is no org `{0}`")]
struct UnknownOrg(String);

fn time(ms: &Value) -> String {
    let at = ms.as_i64().and_then(DateTime::from_timestamp_millis);
    at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}
