//! Single values: names, addresses, URLs, versions, time zones, times of day, schedules.
//!
//! Here: from a text to a type, or a problem on its line. Not here: which key holds which (`tables`).

use std::{collections::BTreeMap, net::IpAddr, str::FromStr};

use chrono::NaiveTime;
use croner::Cron;
use orgpipe_actors::settings::DayWindow;
use orgpipe_reconcile::name::is_namespace;
use url::{Host, Url};

use super::super::{
    reader::{Section, Written},
    report::{Report, closest},
};

/// Characters of an org's id and of a sync's name; they become keys on disk, parts of URLs and labels of metrics.
const NAME_CHARS_MAX: usize = 64;
/// Fields of a cron expression: minute, hour, day of month, month, day of week.
const CRON_FIELDS: usize = 5;
/// Oldest API version accepted; every call orgpipe makes has been there for years by then.
const API_VERSION_MIN: u16 = 50;

/// A name of letters, digits, `.`, `-` and `_`.
pub(super) fn name(
    section: &Section<'_>,
    report: &mut Report<'_>,
    key: &str,
    written: &Written<String>,
) -> Option<String> {
    let text = &written.value;
    let right = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= NAME_CHARS_MAX
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if right {
        return Some(text.clone());
    }
    let hint = format!(
        "Use 1 to {NAME_CHARS_MAX} letters, digits, `.`, `-` and `_`, a letter or digit first; it names things on disk."
    );
    section.problem(report, written.line, key, "is no usable name", hint);
    None
}

/// Reports a name that came before; upper and lower case are the same.
pub(super) fn duplicate(
    section: &Section<'_>,
    report: &mut Report<'_>,
    key: &str,
    written: &Written<String>,
    seen: &mut BTreeMap<String, usize>,
) {
    if let Some(line) = seen.insert(written.value.to_lowercase(), written.line) {
        let message = format!("is the same as on line {line}");
        section.problem(report, written.line, key, &message, "Rename one of the two, or remove it.");
    }
}

/// Names of hosts, without scheme and port.
pub(super) fn host_names(
    section: &Section<'_>,
    report: &mut Report<'_>,
    key: &str,
    written: &[Written<String>],
    hint: &str,
) -> Option<Vec<String>> {
    let mut names: Option<Vec<String>> = Some(Vec::new());
    for host in written {
        if Host::parse(&host.value).is_ok_and(|parsed| matches!(parsed, Host::Domain(_))) {
            if let Some(names) = &mut names {
                names.push(host.value.clone());
            }
        } else {
            let message = format!("has `{}`, which is no host name", host.value);
            section.problem(report, host.line, key, &message, hint);
            names = None;
        }
    }
    names
}

/// A URL secrets may be sent to: https, or http on this machine.
pub(super) fn url(
    section: &Section<'_>,
    report: &mut Report<'_>,
    key: &str,
    written: &Written<String>,
) -> Option<Url> {
    let mut wrong = |message: &str, hint: &str| {
        section.problem(report, written.line, key, message, hint);
        None
    };
    // The value itself is shown nowhere: URLs are where people leave passwords.
    let url = match Url::parse(&written.value) {
        Ok(url) => url,
        Err(cause) => {
            return wrong(&format!("is no URL: {cause}"), "Write it whole, with `https://` in front.");
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong(
            "has a user name or password in it",
            "Secrets do not stand in this file; name an environment variable instead.",
        );
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return wrong(
                "starts with http://, so secrets would travel in the clear",
                "Write `https://`; http is accepted for this machine only (127.0.0.1, ::1, localhost).",
            );
        }
        scheme => return wrong(&format!("starts with {scheme}:"), "Write `https://`."),
    }
    if url.fragment().is_some() {
        return wrong("has a `#` part, which is never sent", "Remove it.");
    }
    Some(url)
}

/// A URL of a host, with nothing behind it.
pub(super) fn base_url(
    section: &Section<'_>,
    report: &mut Report<'_>,
    key: &str,
    written: &Written<String>,
) -> Option<Url> {
    let url = url(section, report, key, written)?;
    if url.path() == "/" && url.query().is_none() {
        return Some(url);
    }
    let hint =
        "Write the host only, such as `https://login.salesforce.com` or `https://acme.my.salesforce.com`.";
    section.problem(report, written.line, key, "has something behind the host", hint);
    None
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// An API version, such as `66.0`.
pub(super) fn api_version(
    section: &Section<'_>,
    report: &mut Report<'_>,
    written: &Written<String>,
) -> Option<String> {
    let number = written.value.strip_suffix(".0").filter(|number| !number.starts_with(['+', '0']));
    if number
        .and_then(|number| number.parse::<u16>().ok())
        .is_some_and(|number| (API_VERSION_MIN..1000).contains(&number))
    {
        return Some(written.value.clone());
    }
    let message = format!("is `{}`, which is no API version orgpipe can use", written.value);
    let hint = format!("Write it as Salesforce does, such as \"66.0\"; {API_VERSION_MIN}.0 is the oldest.");
    section.problem(report, written.line, "api_version", &message, hint);
    None
}

/// A time zone of the IANA database.
pub(super) fn time_zone(
    section: &Section<'_>,
    report: &mut Report<'_>,
    written: &Written<String>,
) -> Option<chrono_tz::Tz> {
    if let Ok(zone) = written.value.parse() {
        return Some(zone);
    }
    let hint = match closest(&written.value, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())) {
        Some(meant) => format!("Did you mean `{meant}`?"),
        None => "Write a name of the IANA time zone database, such as \"Europe/Berlin\".".to_owned(),
    };
    let message = format!("is `{}`, which is no time zone", written.value);
    section.problem(report, written.line, "time_zone", &message, hint);
    None
}

/// The namespace of a package, or nothing.
pub(super) fn namespace(
    section: &Section<'_>,
    report: &mut Report<'_>,
    written: &Written<String>,
) -> Option<String> {
    if is_namespace(&written.value) {
        return Some(written.value.clone());
    }
    let message = format!("is `{}`, which is no namespace", written.value);
    let hint = "Write it without `__`: 1 to 15 letters, digits and single underscores; \"\" for an unmanaged package.";
    section.problem(report, written.line, "namespace", &message, hint);
    None
}

/// Two times of day, such as `22:00-04:00`; the end may lie behind midnight.
pub(super) fn window(
    section: &Section<'_>,
    report: &mut Report<'_>,
    written: &Written<String>,
) -> Option<DayWindow> {
    let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
    let times = written.value.split_once('-').and_then(|(start, end)| Some((time(start)?, time(end)?)));
    let message = match times {
        Some((from, to)) if from != to => return Some(DayWindow { from, to }),
        Some(_) => format!("is `{}`, which ends when it starts", written.value),
        None => format!("is `{}`, which is no time of day from–to", written.value),
    };
    let hint =
        "Write two times from 00:00 to 23:59, such as \"02:00-06:00\"; \"22:00-04:00\" goes over midnight.";
    section.problem(report, written.line, "window", &message, hint);
    None
}

/// A cron expression of five fields that is due at some time.
pub(super) fn schedule(
    section: &Section<'_>,
    report: &mut Report<'_>,
    key: &str,
    written: &Written<String>,
) -> Option<String> {
    let text = written.value.trim();
    let fields = text.split_whitespace().count();
    let problem = if fields == CRON_FIELDS {
        match Cron::from_str(text) {
            // Any start will do: what is due at all is due within a few years of it.
            Ok(cron) => match cron.find_next_occurrence(&chrono::DateTime::UNIX_EPOCH, true) {
                Ok(_) => return Some(text.to_owned()),
                Err(_) => "never comes".to_owned(),
            },
            Err(cause) => format!("is no cron expression: {}", cause.to_string().trim_end_matches('.')),
        }
    } else {
        format!("has {fields} fields instead of {CRON_FIELDS}")
    };
    let message = format!("is `{text}`, which {problem}");
    let hint = "Write minute, hour, day of month, month, day of week; \"0 2 * * SAT\" is Saturdays at 02:00.";
    section.problem(report, written.line, key, &message, hint);
    None
}
