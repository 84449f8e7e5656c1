//! `orgpipe sync show ORG [SYNC]`: what a sync comes to in one org, with what that org has otherwise.
//!
//! Here: asking the running service and printing. Not here: how it is told (`effective`).

use std::process::ExitCode;

use serde_json::Value;

use super::running;
use crate::{
    cli::{SyncAction, SyncArgs, SyncShowArgs},
    effective, output,
};

/// A name that the org's syncs do not have.
#[derive(Debug, thiserror::Error)]
#[error("org {org} has no sync `{name}`")]
struct NoSync {
    org: String,
    name: String,
}

/// Does what was asked for.
pub(crate) fn run(args: &SyncArgs) -> ExitCode {
    match &args.action {
        SyncAction::Show(args) => show(args),
    }
}

fn show(args: &SyncShowArgs) -> ExitCode {
    let body = match running::get(&args.service, &["orgs", &args.org, "syncs"], &[]) {
        Ok(answer) => answer.body,
        Err(exit) => return exit,
    };
    let all: Vec<&Value> = body["syncs"].as_array().into_iter().flatten().collect();
    let is_it = |sync: &&Value| args.sync.as_deref().is_none_or(|name| sync["name"] == name);
    let shown: Vec<&Value> = all.iter().copied().filter(is_it).collect();
    if shown.is_empty() {
        let names: Vec<&str> = all.iter().filter_map(|sync| sync["name"].as_str()).collect();
        let name = args.sync.clone().unwrap_or_default();
        let error = NoSync { org: args.org.clone(), name };
        return output::failure(&error, Some(&format!("It has: {}.", names.join(", "))));
    }
    if args.json {
        output::line(&format!("{:#}", shown.into_iter().cloned().collect::<Value>()));
        return ExitCode::SUCCESS;
    }
    for sync in shown {
        for line in effective::lines(&args.org, sync) {
            output::line(&line);
        }
    }
    ExitCode::SUCCESS
}
