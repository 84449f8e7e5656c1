//! A message on the wire: CloudEvents 1.0, Slack's incoming webhook, PagerDuty's Events API v2. Pure.
//!
//! Here: headers and body for each kind of receiver, the signature, and what an answer means. Not here: HTTP
//! (`service/notify.rs`).
//!
//! Nothing that is sent holds a value of a record or a secret: a message says what is wrong, where, and what to do.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
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
    /// Every message is refused until somebody mends the settings or the receiver.
    Refused,
}

impl ReplyVerdict {
    /// By the status of an answer.
    pub(crate) fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            408 | 425 | 429 | 500.. => Self::Later,
            400 | 413 | 422 => Self::Unfit,
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
    json!({
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
            "component": alert.org,
            "class": alert.kind.name(),
            "custom_details": {
                "next_step": alert.hint,
                "subject": alert.subject,
                "since": time(alert.since_ms).to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                "count": message.count,
                "orgs": message.orgs,
            },
        },
    })
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

/// How long to wait after so many failures in a row; what the receiver asks for counts, within bounds.
pub(crate) fn wait(failures: u32, verdict: ReplyVerdict, asked: Option<Duration>, jitter: f64) -> Duration {
    let (first, cap) = match verdict {
        ReplyVerdict::Refused => (Duration::from_mins(1), Duration::from_mins(10)),
        ReplyVerdict::Taken | ReplyVerdict::Later | ReplyVerdict::Unfit => {
            (Duration::from_secs(1), Duration::from_mins(5))
        }
    };
    let own = before_attempt(failures.saturating_sub(1), first, cap, jitter);
    own.max(asked.unwrap_or_default().min(Duration::from_hours(1)))
}

#[cfg(test)]
mod tests;
