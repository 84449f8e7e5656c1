//! `orgpipe reload`: has the running service read its settings again, and prints what came of it.
//!
//! Here: how the answer is printed. Not here: reading the file (`admin/reload.rs`), what differs (`orgpipe_actors`).

use std::process::ExitCode;

use serde_json::Value;

use super::running;
use crate::{cli::ReloadArgs, output};

/// Asks the service to read them.
pub(crate) fn run(args: &ReloadArgs) -> ExitCode {
    match running::post(&args.service, &["reload"], &[]) {
        Ok(answer) => {
            for line in lines(&answer.body) {
                output::line(&line);
            }
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}

/// What the answer says, line by line.
fn lines(answer: &Value) -> Vec<String> {
    let names = |key: &str| {
        let names = answer[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    let told = [
        ("orgs added", "added"),
        ("orgs changed and started afresh", "changed"),
        ("orgs removed; what is stored of them, if anything, stays", "removed"),
        ("exchanged for all orgs", "exchanged"),
        ("left as before until the next start", "needs_restart"),
    ];
    let lines = told.into_iter().map(|(what, key)| (what, names(key))).filter(|(_, names)| !names.is_empty());
    let mut lines: Vec<String> = lines.map(|(what, names)| format!("{what}: {names}")).collect();
    lines.push(format!("orgs not touched: {}", answer["unchanged"]));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_happened_is_told() {
        let answer = json!({ "added": ["a", "b"], "changed": [], "removed": [], "unchanged": 3,
                             "exchanged": [], "needs_restart": ["service.listen"] });
        let expected = [
            "orgs added: a, b",
            "left as before until the next start: service.listen",
            "orgs not touched: 3",
        ];
        assert_eq!(lines(&answer), expected);
    }
}
