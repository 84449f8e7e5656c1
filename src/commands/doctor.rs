//! `orgpipe doctor ORG`: asks one org, as its integration user, for everything that its syncs need; says what is
//! missing, who can give it and where to click. Writes nothing.
//!
//! Here: how a report is printed. Not here: the examination (`orgpipe_actors::doctor`).

use std::process::ExitCode;

use orgpipe_actors::{Finding, Report, Severity};

use crate::{
    cli::DoctorArgs,
    config::{self, Environment},
    output,
};

/// Exit code when there are warnings and nothing worse.
const ONLY_WARNINGS: u8 = 3;

/// Why there is no examination.
#[derive(Debug, thiserror::Error)]
#[error("there is no org `{0}` in the settings")]
struct NoSuchOrg(String);

/// Examines the org and prints what was found.
pub(crate) fn run(args: &DoctorArgs) -> ExitCode {
    let config = match config::load(&args.config, &Environment::of_process()) {
        Ok(config) => config,
        Err(problems) => return output::problems(&args.config, &problems),
    };
    let orgs = &config.settings.orgs;
    let Some(settings) = orgs.iter().find(|org| org.id == args.org) else {
        let names: Vec<&str> = orgs.iter().map(|org| org.id.as_str()).collect();
        let hint = format!("There are: {}.", names.join(", "));
        return output::failure(&NoSuchOrg(args.org.clone()), Some(&hint));
    };
    let report = match actix_rt::System::new().block_on(orgpipe_actors::doctor(settings)) {
        Ok(report) => report,
        Err(error) => return output::failure(&error, error.hint().as_deref()),
    };
    if args.json {
        match serde_json::to_string_pretty(&report) {
            Ok(json) => output::line(&json),
            Err(error) => return output::failure(&error, None),
        }
    } else {
        for line in lines(&report) {
            output::line(&line);
        }
    }
    match report.worst {
        None | Some(Severity::Note) => ExitCode::SUCCESS,
        Some(Severity::Warning) => ExitCode::from(ONLY_WARNINGS),
        Some(Severity::Error) => ExitCode::FAILURE,
    }
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![head(report)];
    for Finding { severity, message, fix, .. } in &report.findings {
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        lines.push(format!("{severity:<8} {message}"));
        if !fix.is_empty() {
            lines.push(format!("{:<8} {fix}", ""));
        }
    }
    if report.worst.is_none_or(|worst| worst == Severity::Note) {
        lines.push(report.sentence());
    }
    if let Some(set) = &report.permission_set {
        lines.push(format!(
            "This permission set mends what a permission set can. Save it as permissionsets/{} of an sf project, run `sf project \
             deploy start`, and assign it to the user:",
            set.file
        ));
        lines.push(set.source.trim_end().to_owned());
    }
    lines
}

fn head(report: &Report) -> String {
    let mut facts = Vec::new();
    if let (Some(user), Some(org)) = (&report.user_id, &report.org_id) {
        facts.push(format!("user {user} of org {org}"));
    }
    if let Some((used, max)) = report.api_calls {
        facts.push(format!("{used} of {max} API calls used"));
    }
    facts.extend(report.package_version.as_ref().map(|version| format!("package {version}")));
    if facts.is_empty() {
        return format!("org {}: not logged in", report.org);
    }
    format!("org {}: {}", report.org, facts.join(", "))
}
