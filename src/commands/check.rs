//! `orgpipe check`: every problem of the settings at once; then whether your API answers, and whether each org lets us
//! in and has the mapped fields. Writes nothing.
//!
//! Here: the summary. Not here: the checks (`config`, `orgpipe_actors::check`).

use std::process::ExitCode;

use orgpipe_actors::settings::{DayWindow, OrgSettings, SyncSettings};
use orgpipe_salesforce::oauth::Flow;

use crate::{
    cli::CheckArgs,
    config::{self, Config, Environment},
    effective::{self, EffectiveSync},
    output,
};

/// Checks the settings and prints what they mean.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    match config::load(&args.config, &Environment::of_process()) {
        Ok(config) => {
            let problems = if args.offline {
                Vec::new()
            } else {
                actix_rt::System::new().block_on(orgpipe_actors::check(&config.settings))
            };
            for line in summary(&config) {
                output::line(&line);
            }
            if let Some(Err(error)) = args.mapping.as_deref().map(|org| show_mappings(&config, org)) {
                let hint = "Name one of the orgs above; `orgpipe sync show` tells of those that are kept in the store.";
                return output::failure(&error, Some(hint));
            }
            output::warnings(&config.warnings);
            if !args.offline {
                for org in unasked(&config) {
                    output::line(&format!(
                        "org {org} was not asked: its refresh token may serve only once, and is for the running service; \
                         `orgpipe doctor {org}` asks there"
                    ));
                }
            }
            if !problems.is_empty() {
                return output::check_problems(&problems);
            }
            let asked = match unasked(&config).count() {
                _ if args.offline => "nothing was asked",
                0 => "your API and every org answered",
                _ => "your API answered, and so did every org that was asked",
            };
            output::line(&format!("{}: no problems found; {asked}", args.config.display()));
            ExitCode::SUCCESS
        }
        Err(problems) => output::problems(&args.config, &problems),
    }
}

/// Orgs that a check must not log in to.
fn unasked(config: &Config) -> impl Iterator<Item = &str> {
    config.settings.orgs.iter().filter(|org| org.login.is_used_up()).map(|org| org.id.as_str())
}

fn summary(config: &Config) -> Vec<String> {
    let Config { admin, settings, .. } = config;
    let source = &settings.source;
    let mut address = source.url.clone();
    // A query may carry a secret.
    address.set_query(None);
    let survives = if settings.durable_against_power_loss { "a power cut" } else { "a killed process only" };
    let mut lines = vec![
        format!("  data    {}, survives {survives}", settings.data_dir.display()),
        format!(
            "  admin   {}://{}{}",
            if admin.certificate.is_some() { "https" } else { "http" },
            admin.listen,
            if admin.behind_proxy { ", behind a proxy" } else { "" }
        ),
        format!(
            "  source  {address}, {} requests/s, {} at once, {}",
            source.requests_per_second,
            source.concurrent_max,
            if source.token.is_some() { "with a token" } else { "without a token" },
        ),
    ];
    for org in &settings.orgs {
        lines.push(org_line(org));
        for sync in &org.syncs {
            lines.push(sync_line(sync));
            if !sync.own.is_empty() {
                let own: Vec<&str> = sync.own.iter().map(String::as_str).collect();
                lines.push(format!("      of this org: {}", own.join(", ")));
            }
        }
    }
    lines.push(match settings.orgs.len() {
        1 => "1 org".to_owned(),
        count => format!("{count} orgs"),
    });
    lines
}

/// An org that the settings do not have.
#[derive(Debug, thiserror::Error)]
#[error("the settings have no org {0}, so there is no mapping of it to show")]
struct NoOrg(String);

/// Prints the syncs of this org.
fn show_mappings(config: &Config, org: &str) -> Result<(), NoOrg> {
    let known = config.settings.orgs.iter().find(|known| known.id == org);
    for sync in &known.ok_or_else(|| NoOrg(org.to_owned()))?.syncs {
        for line in effective::lines(org, &EffectiveSync::of(sync).json()) {
            output::line(&line);
        }
    }
    Ok(())
}

fn org_line(org: &OrgSettings) -> String {
    let host = org.login.host();
    let who = match &org.login.flow {
        Flow::Jwt { username, .. } => format!("{username} at {host} (jwt)"),
        Flow::ClientCredentials { .. } => format!("an app at {host} (client credentials)"),
        Flow::RefreshToken { .. } => format!("whoever connected it at {host} (refresh token)"),
    };
    let package = match org.namespace.as_str() {
        "" => "unmanaged package".to_owned(),
        namespace => format!("package {namespace}"),
    };
    format!(
        "  org {}: {who}, {package}, API {}, {}, at most {}% of its calls",
        org.id,
        org.api_version,
        org.time_zone,
        (org.limits.daily_share * 1000.0).round() / 10.0,
    )
}

fn sync_line(sync: &SyncSettings) -> String {
    let refresh = match &sync.refresh {
        None => "live only".to_owned(),
        Some(refresh) => match (&refresh.schedule, refresh.window) {
            (None, _) => "refreshed on demand".to_owned(),
            (Some(schedule), None) => format!("refreshed at `{schedule}`"),
            (Some(schedule), Some(DayWindow { from, to })) => {
                format!("refreshed at `{schedule}` within {}–{}", from.format("%H:%M"), to.format("%H:%M"))
            }
        },
    };
    let mapping = &sync.mapping;
    format!("    {}: {} → {} on {}, {refresh}", sync.name, mapping.object(), mapping.target(), sync.channel)
}
