//! `orgpipe audit [ORG]`: who gave the running service which command.
//!
//! Here: how a line looks. Not here: what is kept (`audit_log`).

use std::process::ExitCode;

use chrono::DateTime;

use super::running;
use crate::{audit_log::AuditEntry, cli::AuditArgs, output};

/// Asks the running service and prints what it tells.
pub(crate) fn run(args: &AuditArgs) -> ExitCode {
    let path = match &args.org {
        Some(org) => vec!["orgs", org.as_str(), "audit"],
        None => vec!["audit"],
    };
    let (limit, before) = (args.limit.to_string(), args.before.map(|before| before.to_string()));
    let mut query = vec![("limit", limit.as_str())];
    query.extend(before.iter().map(|before| ("before", before.as_str())));
    let answer = match running::get(&args.service, &path, &query) {
        Ok(answer) => answer.body,
        Err(exit) => return exit,
    };
    if args.json {
        output::line(&format!("{answer:#}"));
        return ExitCode::SUCCESS;
    }
    let commands = answer["commands"].as_array().map(Vec::as_slice).unwrap_or_default();
    let entries: Vec<AuditEntry> =
        commands.iter().filter_map(|one| serde_json::from_value(one.clone()).ok()).collect();
    for entry in &entries {
        output::line(&line(entry));
    }
    if entries.is_empty() {
        output::line("none");
    }
    if entries.len() as u64 == args.limit
        && let Some(last) = entries.last()
    {
        output::line(&format!("There may be more; go on with --before {}", last.number));
    }
    ExitCode::SUCCESS
}

fn line(entry: &AuditEntry) -> String {
    let at = i64::try_from(entry.at_ms.0).ok().and_then(DateTime::from_timestamp_millis);
    let at = at.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    let org = entry.org.as_deref().map(|org| format!(" of org {org}")).unwrap_or_default();
    let line = format!("{at}  {}{org} by {}: {}", entry.told(), entry.by, entry.answered());
    output::part(&line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_is_one_line() {
        let entry = json!({ "number": 7, "at_ms": 1_000, "by": "jo", "command": "refresh", "org": "acme",
            "details": { "sync": "accounts" }, "status": 202 });
        let entry: AuditEntry = serde_json::from_value(entry).expect("an entry");
        assert_eq!(
            line(&entry),
            "1970-01-01 00:00:01 UTC  refresh, sync accounts of org acme by jo: status 202"
        );
        let gone = AuditEntry { org: None, status: None, ..entry };
        assert!(
            line(&gone).ends_with("refresh, sync accounts by jo: not answered, as whoever asked was gone")
        );
    }
}
