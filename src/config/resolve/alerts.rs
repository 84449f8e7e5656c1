//! `[alerts]` and `[[notify]]`: when something is an alert, and who is told.
//!
//! Here: from the tables to settings. Not here: what is wrong and how it is told (`orgpipe_actors`).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use orgpipe_actors::{
    AlertKind, AlertSeverity,
    settings::{AlertSettings, ReceiverKind, ReceiverSettings},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    credential::{Kind, Named, SecretFiles, credential},
    value::{base_url, duplicate, name, url},
};
use crate::config::{
    reader::{Section, Written},
    report::{Report, closest},
    secrets::Environment,
    tables::{AlertsTable, NotifyTable},
};

/// Where PagerDuty takes events, unless the file says otherwise.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// Where secrets come from.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) folder: &'a Path,
    pub(super) environment: &'a Environment,
}

/// `connect_url`: where customers reach the service, which is where links lead unless the table says otherwise.
pub(super) fn alerts(
    table: Option<&AlertsTable<'_>>,
    receivers: &[NotifyTable<'_>],
    connect_url: Option<&Url>,
    from: From<'_>,
    report: &mut Report<'_>,
) -> Option<AlertSettings> {
    let default = AlertSettings { base_url: connect_url.cloned(), ..AlertSettings::default() };
    let settings = match table {
        Some(table) => thresholds(table, default, report),
        None => Some(default),
    };
    let (mut seen, mut files) = (BTreeMap::new(), SecretFiles::default());
    let receivers: Vec<Option<ReceiverSettings>> =
        receivers.iter().map(|table| receiver(table, from, &mut seen, &mut files, report)).collect();
    Some(AlertSettings { receivers: receivers.into_iter().collect::<Option<_>>()?, ..settings? })
}

fn thresholds(
    table: &AlertsTable<'_>,
    default: AlertSettings,
    report: &mut Report<'_>,
) -> Option<AlertSettings> {
    let own_url = match table.base_url.as_ref().filter(|written| !written.value.is_empty()) {
        Some(written) => Some(base_url(&table.section, report, "base_url", written)?),
        None => None,
    };
    let or = |written: &Option<Written<u32>>, default: u64| {
        written.as_ref().map_or(default, |written| u64::from(written.value))
    };
    let hours = or(&table.no_event_hours, default.no_event.unwrap_or_default().as_secs() / 3_600);
    Some(AlertSettings {
        base_url: own_url.or(default.base_url),
        dead_letters_max: or(&table.dead_letters_max, default.dead_letters_max),
        no_event: (hours > 0).then(|| Duration::from_hours(hours)),
        waiting: Duration::from_secs(60 * or(&table.waiting_minutes, default.waiting.as_secs() / 60)),
        hold: Duration::from_secs(or(&table.hold_secs, default.hold.as_secs())),
        clear: Duration::from_secs(or(&table.clear_secs, default.clear.as_secs())),
        group_from: table.group_from.as_ref().map_or(default.group_from, |written| written.value as usize),
        receivers: Vec::new(),
    })
}

fn receiver(
    table: &NotifyTable<'_>,
    from: From<'_>,
    seen: &mut BTreeMap<String, usize>,
    files: &mut SecretFiles,
    report: &mut Report<'_>,
) -> Option<ReceiverSettings> {
    let section = &table.section;
    let hint = "Give it a name, such as `name = \"on-call\"`; commands and messages use it.";
    let its_name = section.demand(report, "name", table.name.as_ref(), hint).and_then(|written| {
        duplicate(section, report, "name", written, seen);
        name(section, report, "name", written)
    });
    let hint = "Write `kind = \"webhook\"`, \"slack\" or \"pagerduty\".";
    let kind = section.demand(report, "kind", table.kind.as_ref(), hint).and_then(|written| {
        let names = ReceiverKind::ALL.map(ReceiverKind::name);
        let kind = ReceiverKind::ALL.into_iter().find(|kind| kind.name() == written.value);
        kind.or_else(|| unknown(section, report, ("kind", "kind of receiver"), written, &names))
    });
    let alerts = kinds(table, report);
    let severity_min = match &table.severity_min {
        None => Some(AlertSeverity::default()),
        Some(written) => AlertSeverity::of_name(&written.value).or_else(|| {
            let names = AlertSeverity::ALL.map(AlertSeverity::name);
            unknown(section, report, ("severity_min", "severity"), written, &names)
        }),
    };
    let kind = kind?;
    let address = address(table, kind, from, files, report);
    let named = Named {
        kind: Kind::Word,
        env: ("secret_env", table.secret_env.as_ref()),
        file: ("secret_file", table.secret_file.as_ref()),
        missing: match kind {
            ReceiverKind::PagerDuty => {
                "Name the environment variable that holds the integration's routing key, or its file: `secret_file`."
            }
            _ => {
                "Name the environment variable that holds what messages are signed with, or its file: `secret_file`."
            }
        },
    };
    let secret = match kind {
        ReceiverKind::Slack if named.is_written(section) => {
            let hint = "Take it out: Slack's URL is the secret, and goes to `url_env` or `url_file`.";
            section.say(report, section.line, "has a secret that Slack does not know", hint);
            None
        }
        ReceiverKind::Slack => Some(None),
        _ => credential(section, named, from.folder, from.environment, files, report).map(Some),
    };
    Some(ReceiverSettings {
        name: its_name?,
        kind,
        url: address?,
        secret: secret?,
        alerts: alerts?,
        orgs: table.orgs.iter().flatten().map(|written| written.value.clone()).collect(),
        severity_min: severity_min?,
    })
}

/// Where it is reached: in the file, or named by it where it is a secret.
fn address(
    table: &NotifyTable<'_>,
    kind: ReceiverKind,
    from: From<'_>,
    files: &mut SecretFiles,
    report: &mut Report<'_>,
) -> Option<SecretString> {
    let section = &table.section;
    let named = Named {
        kind: Kind::Word,
        env: ("url_env", table.url_env.as_ref()),
        file: ("url_file", table.url_file.as_ref()),
        missing: "Name the environment variable that holds the URL, or its file: `url_file`.",
    };
    if named.is_written(section) {
        if let Some(written) = &table.url {
            section.problem(
                report,
                written.line,
                "url",
                "stands beside one that is named",
                "Keep one of them.",
            );
            return None;
        }
        let secret = credential(section, named, from.folder, from.environment, files, report)?;
        if !from.environment.looks() {
            return Some(secret);
        }
        let key = if section.has("url_env") { "url_env" } else { "url_file" };
        let text = Written { value: secret.expose_secret().to_owned(), line: section.line };
        return url(section, report, key, &text).map(|_| secret);
    }
    match (kind, &table.url) {
        (ReceiverKind::Slack, Some(written)) => {
            let message = "holds a secret: whoever knows it can write to the channel";
            let hint = "Give it to an environment variable or a file, and name that: `url_env`, `url_file`.";
            section.problem(report, written.line, "url", message, hint);
            None
        }
        (ReceiverKind::Slack, None) => {
            section.problem(report, section.line, "url_env", "is missing", named.missing);
            None
        }
        (ReceiverKind::PagerDuty, None) if !section.has("url") => Some(SecretString::from(PAGERDUTY)),
        (_, written) => {
            let hint = "Write where messages are posted, such as `url = \"https://ops.example.com/alerts\"`.";
            let written = section.demand(report, "url", written.as_ref(), hint)?;
            url(section, report, "url", written).map(|url| SecretString::from(String::from(url)))
        }
    }
}

fn kinds(table: &NotifyTable<'_>, report: &mut Report<'_>) -> Option<BTreeSet<AlertKind>> {
    let names = AlertKind::ALL.map(AlertKind::name);
    let mut kinds = Some(BTreeSet::new());
    for written in table.alerts.iter().flatten() {
        let kind = AlertKind::of_name(&written.value)
            .or_else(|| unknown(&table.section, report, ("alerts", "kind of alert"), written, &names));
        match (kind, &mut kinds) {
            (Some(kind), Some(kinds)) => drop(kinds.insert(kind)),
            _ => kinds = None,
        }
    }
    kinds
}

/// Reports a word that is none of these.
fn unknown<T>(
    section: &Section<'_>,
    report: &mut Report<'_>,
    (key, what): (&str, &str),
    written: &Written<String>,
    names: &[&'static str],
) -> Option<T> {
    let hint = match closest(&written.value, names.iter().copied()) {
        Some(meant) => format!("Did you mean \"{meant}\"?"),
        None => format!("Write one of: {}.", names.join(", ")),
    };
    let message = format!("has `{}`, which is no {what}", written.value);
    section.problem(report, written.line, key, &message, hint);
    None
}
