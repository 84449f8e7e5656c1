//! `orgpipe refresh ORG`: asks the running service to read all records of an org again.

use std::process::ExitCode;

use serde_json::Value;

use super::running;
use crate::{cli::RefreshArgs, output};

/// Asks for a refresh and prints what was begun.
pub(crate) fn run(args: &RefreshArgs) -> ExitCode {
    let query: Vec<(&str, &str)> = args.sync.iter().map(|sync| ("sync", sync.as_str())).collect();
    match running::post(&args.config, &["orgs", &args.org, "refresh"], &query) {
        Ok(answer) => {
            let names = answer.body["syncs"].as_array().into_iter().flatten().filter_map(Value::as_str);
            output::line(&format!(
                "org {}: refresh of {} begun; status on http://{}",
                args.org,
                names.collect::<Vec<_>>().join(", "),
                answer.listen
            ));
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}
