//! A message on the wire: CloudEvents 1.0, Slack's incoming webhook, PagerDuty's Events API v2. Pure.
//!
//! Here: headers and body for each kind of receiver, the signature, and what an answer means. Not here: HTTP
//! (`service/notify.rs`).
//!
//! Nothing that is sent holds a value of a record or a secret: a message says what is wrong, where, and what to do.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::message::{Action, Message};
use crate::{
    alert_kind::AlertSeverity,
    clock::time,
    retry::before_attempt,
    settings::{ReceiverKind, ReceiverSettings},
};

/// Characters of a PagerDuty summary.
const SUMMARY_CHARS_MAX: usize = 1_024;
/// Bytes of a part of a URL that may be a secret.
const SECRET_BYTES_MIN: usize = 6;
/// In front of a secret that is written in Base64 (Standard Webhooks).
const BASE64_SECRET: &str = "whsec_";

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    /// Beside those of HTTP itself.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

/// What an answer means for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyVerdict {
    /// It was taken.
    Taken,
    /// It may be taken later.
    Later,
    /// This message is refused, and would be again.
    Unfit,
    /// This message is refused, or every one: so PagerDuty answers a wrong routing key as well as a message that it cannot read.
    Doubtful,
    /// Every message is refused until somebody mends the settings or the receiver.
    Refused,
}

impl ReplyVerdict {
    /// By the status of an answer.
    pub(crate) fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            408 | 425 | 429 | 500.. => Self::Later,
            400 => Self::Doubtful,
            413 | 422 => Self::Unfit,
            _ => Self::Refused,
        }
    }
}

/// A message as its receiver wants it, sent at this time (Unix seconds).
pub(crate) fn posting(
    receiver: &ReceiverSettings,
    message: &Message,
    base_url: Option<&Url>,
    now_secs: i64,
) -> Posting {
    let link = base_url.and_then(|base| link(base, message));
    match receiver.kind {
        ReceiverKind::Webhook => {
            webhook(receiver.secret.as_ref(), message, base_url, link.as_deref(), now_secs)
        }
        ReceiverKind::Slack => Posting { headers: Vec::new(), body: slack(message, link).to_string() },
        ReceiverKind::PagerDuty => {
            let body = pagerduty(receiver.secret.as_ref(), message, base_url, link);
            Posting { headers: Vec::new(), body: body.to_string() }
        }
    }
}

/// The page of the org, or of all.
fn link(base: &Url, message: &Message) -> Option<String> {
    let mut url = base.clone();
    if let Some(org) = &message.alert.org {
        url.path_segments_mut().ok()?.pop_if_empty().extend(["orgs", org]);
    }
    Some(url.into())
}

fn webhook(
    secret: Option<&SecretString>,
    message: &Message,
    base_url: Option<&Url>,
    link: Option<&str>,
    now_secs: i64,
) -> Posting {
    let alert = &message.alert;
    let subject: Vec<&str> =
        [alert.kind.name(), alert.org.as_deref().unwrap_or_default(), &alert.subject].into();
    let event = json!({
        "specversion": "1.0",
        "id": message.id,
        "source": base_url.map_or("/orgpipe", Url::as_str),
        "type": format!("dev.orgpipe.alert.{}", message.action.name()),
        "subject": subject.join("/").trim_end_matches('/'),
        "time": time(message.at_ms).to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "datacontenttype": "application/json",
        "data": {
            "incident": message.incident,
            "kind": alert.kind,
            "org": alert.org,
            "subject": alert.subject,
            "severity": alert.severity,
            "summary": alert.summary,
            "hint": alert.hint,
            "since_ms": alert.since_ms,
            "count": message.count,
            "orgs": message.orgs,
            "link": link,
        },
    });
    let body = event.to_string();
    let mut headers = vec![
        ("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
        ("webhook-id", message.id.clone()),
        ("webhook-timestamp", now_secs.to_string()),
    ];
    if let Some(secret) = secret {
        headers.push(("webhook-signature", signature(secret, &message.id, now_secs, &body)));
    }
    Posting { headers, body }
}

/// HMAC-SHA256 over ID, time and body, as Standard Webhooks has it.
fn signature(secret: &SecretString, id: &str, now_secs: i64, body: &str) -> String {
    let text = secret.expose_secret();
    let decoded = text.strip_prefix(BASE64_SECRET).and_then(|encoded| STANDARD.decode(encoded).ok());
    let key = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("{id}.{now_secs}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

fn slack(message: &Message, link: Option<String>) -> Value {
    let alert = &message.alert;
    let mark = match (message.action, alert.severity) {
        (Action::Resolved, _) => ":white_check_mark: Over",
        (Action::Test, _) => ":wave: Test",
        (_, AlertSeverity::Critical) => ":red_circle: Critical",
        (_, AlertSeverity::Warning) => ":large_orange_circle: Warning",
        (_, AlertSeverity::Info) => ":large_blue_circle: Info",
    };
    let text = format!("{mark}: {}", escaped(&headline(message)));
    let mut lines = vec![format!("*{text}*")];
    if message.action != Action::Resolved && !alert.hint.is_empty() {
        lines.push(escaped(&alert.hint));
    }
    if !message.orgs.is_empty() {
        lines.push(escaped(&others(message)));
    }
    let about =
        format!("`{}` since {}", alert.kind.name(), time(alert.since_ms).format("%Y-%m-%d %H:%M UTC"));
    let about = match link {
        Some(link) => format!("{about} · <{}|open in orgpipe>", escaped(&link)),
        None => about,
    };
    json!({
        "text": text,
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": lines.join("\n") } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": about }] },
        ],
    })
}

/// The characters that are markup to Slack, in the order in which they must be replaced.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn pagerduty(
    key: Option<&SecretString>,
    message: &Message,
    base_url: Option<&Url>,
    link: Option<String>,
) -> Value {
    let alert = &message.alert;
    let action = if message.action == Action::Resolved { "resolve" } else { "trigger" };
    let summary: String = headline(message).chars().take(SUMMARY_CHARS_MAX).collect();
    let links: Vec<Value> =
        link.into_iter().map(|href| json!({ "href": href, "text": "open in orgpipe" })).collect();
    let mut event = json!({
        "routing_key": key.map(|key| key.expose_secret().to_owned()),
        "event_action": action,
        "dedup_key": message.incident,
        "client": "orgpipe",
        "links": links,
        "payload": {
            "summary": summary,
            "source": base_url.and_then(Url::host_str).unwrap_or("orgpipe"),
            "severity": alert.severity.name(),
            "timestamp": time(message.at_ms).to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "class": alert.kind.name(),
            "custom_details": {
                "next_step": alert.hint,
                "subject": alert.subject,
                "since": time(alert.since_ms).to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                "count": message.count,
                "orgs": message.orgs,
            },
        },
    });
    if let Some(org) = &alert.org {
        event["payload"]["component"] = json!(org);
    }
    event
}

/// The org, and what is wrong with it.
fn headline(message: &Message) -> String {
    match &message.alert.org {
        Some(org) => format!("{org}: {}", message.alert.summary),
        None => message.alert.summary.clone(),
    }
}

fn others(message: &Message) -> String {
    let (named, more) = (message.orgs.join(", "), message.count.saturating_sub(message.orgs.len() as u64));
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// What a receiver said, on one line of so many bytes at most, without what is secret of how it is reached: its key, and path,
/// query and password of its URL, which a webhook's token may stand in. `is_cut`: it said more.
pub(crate) fn told_answer(said: &str, is_cut: bool, receiver: &ReceiverSettings, bytes_max: usize) -> String {
    let secrets = secrets(receiver);
    let mut said = said.to_owned();
    for secret in &secrets {
        said = said.replace(secret, "…");
    }
    if is_cut {
        // The beginning of one may be all that is left of it.
        let longest = secrets.first().map_or(0, String::len);
        said.truncate(said.floor_char_boundary(said.len().saturating_sub(longest)));
    }
    let line: String = said.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    let line = line.trim();
    line[..line.floor_char_boundary(bytes_max)].trim_end().to_owned()
}

/// Longest first, as one may be a part of another.
fn secrets(receiver: &ReceiverSettings) -> Vec<String> {
    let mut found: Vec<String> = receiver.secret.iter().map(|key| key.expose_secret().to_owned()).collect();
    let text = receiver.url.expose_secret();
    let behind_host =
        text.split_once("://").and_then(|(_, rest)| rest.find(['/', '?']).map(|at| &rest[at..]));
    let mut of_url: Vec<String> = behind_host.into_iter().map(str::to_owned).collect();
    if let Ok(url) = Url::parse(text) {
        let (path, query) = (url.path(), url.query().unwrap_or_default());
        of_url.extend([path, query, url.password().unwrap_or_default()].map(str::to_owned));
        of_url.push(format!("{path}?{query}"));
        // Single ones too, as an answer may write what stands between them in another way.
        of_url.extend(path.split('/').chain(query.split('&')).map(str::to_owned));
        of_url.extend(query.split(['&', '=']).map(str::to_owned));
    }
    let decoded = |one: &String| percent_decode_str(one).decode_utf8_lossy().into_owned();
    let spaced = |one: &String| decoded(&one.replace('+', " "));
    let more: Vec<String> = of_url.iter().flat_map(|one| [decoded(one), spaced(one)]).collect();
    of_url.extend(more);
    // A shorter one is no secret, and would be found in every other word.
    of_url.retain(|one| one.len() >= SECRET_BYTES_MIN);
    found.extend(of_url);
    found.retain(|one| !one.is_empty());
    found.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    found.dedup();
    found
}

/// How long to wait after so many failures in a row; what the receiver asks for counts, within bounds.
pub(crate) fn wait(failures: u32, verdict: ReplyVerdict, asked: Option<Duration>, jitter: f64) -> Duration {
    let (first, cap) = match verdict {
        ReplyVerdict::Refused | ReplyVerdict::Doubtful => (Duration::from_mins(1), Duration::from_mins(10)),
        ReplyVerdict::Taken | ReplyVerdict::Later | ReplyVerdict::Unfit => {
            (Duration::from_secs(1), Duration::from_mins(5))
        }
    };
    let own = before_attempt(failures.saturating_sub(1), first, cap, jitter);
    own.max(asked.unwrap_or_default().min(Duration::from_hours(1)))
}

#[cfg(test)]
mod tests;
