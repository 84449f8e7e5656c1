//! `orgpipe refresh ORG`: asks the running service to read the records of an org again, or to let that rest, go on or end.
//!
//! Here: the question, and with `--wait` how far it is. Not here: reading (`orgpipe_actors`).

use std::{process::ExitCode, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::running::{self, CommandError, Running};
use crate::{cli::RefreshArgs, output};

/// How often it is asked how far the refresh is.
const LOOK: Duration = Duration::from_millis(500);

/// Asks for a refresh, with `--wait` stays until it is through, and prints what was done.
pub(crate) fn run(args: &RefreshArgs) -> ExitCode {
    match running::with(&args.service, async |running| refresh(&running, args).await) {
        Ok(said) => {
            output::line(&said);
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}

/// What is wanted of the refresh instead of beginning one: the word of the path, and what has been done.
fn wish(args: &RefreshArgs) -> Option<(&'static str, &'static str)> {
    match (args.pause, args.resume, args.cancel) {
        (true, ..) => Some(("pause", "paused")),
        (_, true, _) => Some(("resume", "resumed")),
        (.., true) => Some(("cancel", "cancelled")),
        _ => None,
    }
}

async fn refresh(running: &Running, args: &RefreshArgs) -> Result<String, CommandError> {
    let org = args.org.as_str();
    if let Some((word, done)) = wish(args) {
        let query: Vec<(&str, &str)> = args.sync.as_deref().map(|sync| ("sync", sync)).into_iter().collect();
        let answer = running.post(&["orgs", org, "refresh", word], &query).await?;
        let consequence = answer["consequence"].as_str().unwrap_or_default();
        return Ok(format!("org {org}: refresh of {} {done}. {consequence}", names(&answer)));
    }
    let before = if args.wait { running.get(&["orgs", org], &[]).await? } else { Value::Null };
    let sync = args.sync.as_deref().map(|sync| ("sync", sync));
    let changed = args.changed.then_some(("changed", "true"));
    let query: Vec<(&str, &str)> = sync.into_iter().chain(changed).collect();
    let answer = running.post(&["orgs", org, "refresh"], &query).await?;
    let syncs = names(&answer);
    if !args.wait {
        return Ok(format!("org {org}: refresh of {syncs} begun; status on {}", running.url()));
    }
    let records = wait(running, org).await?;
    let number = |records: &Value, key: &str| records[key].as_u64().unwrap_or_default();
    let more = |key: &str| number(&records, key).saturating_sub(number(&before["records"], key));
    let ends = ["written", "unchanged", "no_data", "superseded", "dead_letters"];
    let ends = ends.map(|key| format!("{} {}", more(key), key.replace('_', " "))).join(", ");
    Ok(format!("org {org}: refresh of {syncs} is through: {} records, {ends}", more("records_in")))
}

fn names(answer: &Value) -> String {
    let names = answer["syncs"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names.collect::<Vec<_>>().join(", ")
}

/// Until all is read, and all that had come in by then is through.
async fn wait(running: &Running, org: &str) -> Result<Value, CommandError> {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {wide_bar} {pos}/{len} read, {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut came_in = None;
    loop {
        let view = running.get(&["orgs", org], &[]).await?;
        let records = &view["records"];
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let readings: Vec<&Value> =
            view["refreshes"].as_object().into_iter().flat_map(|all| all.values()).collect();
        let (open, all) = (number(&records["open"]), number(&records["records_in"]));
        if readings.is_empty() && all.saturating_sub(open) >= *came_in.get_or_insert(all) {
            bar.finish_and_clear();
            return Ok(records.clone());
        }
        if !readings.is_empty() {
            came_in = None;
            bar.set_length(
                readings.iter().map(|one| number(&one["total"]).max(number(&one["records"]))).sum(),
            );
            bar.set_position(readings.iter().map(|one| number(&one["records"])).sum());
        }
        let waits = readings.iter().filter_map(|one| one["waits"].as_str()).find(|text| !text.is_empty());
        let waits = waits.map(|text| format!(", waits for {text}")).unwrap_or_default();
        bar.set_message(format!("{open} open{waits}"));
        bar.tick();
        actix_rt::time::sleep(LOOK).await;
    }
}
