//! `orgpipe doctor ORG`: has the running service ask one org, as its integration user, for everything that its syncs need;
//! says what is missing, who can give it and where to click. Writes nothing.
//!
//! Here: how a report is printed. Not here: the examination (`orgpipe_actors`).

use std::process::ExitCode;

use serde_json::Value;

use super::running;
use crate::{cli::DoctorArgs, output};

/// Exit code when there are warnings and nothing worse.
const ONLY_WARNINGS: u8 = 3;

/// Has the org examined and prints what was found.
pub(crate) fn run(args: &DoctorArgs) -> ExitCode {
    let report = match running::with(&args.service, async |running| running.examine(&args.org).await) {
        Ok(report) => report,
        Err(exit) => return exit,
    };
    if args.json {
        output::line(&format!("{report:#}"));
    } else {
        for line in lines(&report) {
            output::line(&line);
        }
    }
    match report["worst"].as_str() {
        None | Some("note") => ExitCode::SUCCESS,
        Some("warning") => ExitCode::from(ONLY_WARNINGS),
        Some(_) => ExitCode::FAILURE,
    }
}

fn lines(report: &Value) -> Vec<String> {
    let text = |value: &Value| output::part(value.as_str().unwrap_or_default());
    let mut lines = vec![head(report)];
    for finding in report["findings"].as_array().into_iter().flatten() {
        lines.push(format!("{:<8} {}", text(&finding["severity"]), text(&finding["message"])));
        let fix = text(&finding["fix"]);
        if !fix.is_empty() {
            lines.push(format!("{:<8} {fix}", ""));
        }
    }
    if matches!(report["worst"].as_str(), None | Some("note")) {
        lines.push("all that the syncs need is there".to_owned());
    }
    let set = &report["permission_set"];
    if let Some(source) = set["source"].as_str() {
        lines.push(format!(
            "This permission set mends what a permission set can. Save it as permissionsets/{} of an sf project, run `sf project \
             deploy start`, and assign it to the user:",
            text(&set["file"])
        ));
        lines.push(source.trim_end().to_owned());
    }
    lines
}

fn head(report: &Value) -> String {
    let text = |key: &str| report[key].as_str().map(output::part);
    let mut facts = Vec::new();
    if let (Some(user), Some(org)) = (text("user_id"), text("org_id")) {
        facts.push(format!("user {user} of org {org}"));
    }
    if let [used, max] = report["api_calls"].as_array().map(Vec::as_slice).unwrap_or_default() {
        facts.push(format!("{used} of {max} API calls used"));
    }
    facts.extend(text("package_version").map(|version| format!("package {version}")));
    let org = text("org").unwrap_or_default();
    if facts.is_empty() {
        return format!("org {org}: not logged in");
    }
    format!("org {org}: {}", facts.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_told_with_what_mends_it() {
        let report = json!({
            "org": "acme", "worst": "error", "org_id": "00D1", "user_id": "0051", "api_calls": [5, 100],
            "package_version": "1.0.0",
            "findings": [{ "severity": "error", "message": "it may only be read", "fix": "Click here." },
                         { "severity": "note", "message": "so it is", "fix": "" }],
            "permission_set": { "file": "Sync.xml", "source": "<PermissionSet/>\n" }
        });
        let told = lines(&report);
        let expected = [
            "org acme: user 0051 of org 00D1, 5 of 100 API calls used, package 1.0.0",
            "error    it may only be read",
            "         Click here.",
            "note     so it is",
        ];
        assert_eq!(told[..4], expected);
        assert!(told[4].contains("permissionsets/Sync.xml") && told[5] == "<PermissionSet/>", "{told:?}");
        let sound =
            json!({ "org": "acme", "worst": null, "findings": [], "permission_set": null, "user_id": null });
        assert_eq!(lines(&sound), ["org acme: not logged in", "all that the syncs need is there"]);
    }
}
