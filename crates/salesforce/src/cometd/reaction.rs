//! What a failure calls for: the catalogue of Salesforce's errors as a table ("Streaming API Error Codes").
//!
//! Here: from a reply, an HTTP answer or a broken connection to one `Verdict`. Not here: delays and counters
//! (`session`).
//!
//! Order: `ext.sfdc.failureReason`, then `error`, then advice, then HTTP. The first wins because Salesforce hides
//! "server is too busy" behind `401::Authentication invalid` ("Handling Streaming API Errors"): who reads `error`
//! alone throws a good token away and storms the login of a server that is overloaded.

use std::time::Duration;

use super::{
    Failure, Fault,
    wire::{MetaReply, Reconnect, Unreadable},
};
use crate::text::one_line;

/// Which question failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Handshake,
    Connect,
    Subscribe,
    Disconnect,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// A new handshake with an empty cookie jar and the same token; then all channels are subscribed to again.
    Handshake,
    /// A new token, then a new handshake.
    Login,
    /// A new token once; if that does not help, the same as `Refused`.
    LoginThenRefused,
    /// A new token once; if that does not help, the same as `Bug`.
    LoginThenBug,
    /// A few waits with the same token, then a new one.
    Denied,
    /// A wait of at least this long, then a new handshake.
    BackOff(Duration),
    /// Only the customer can mend it, so it is tried again slowly.
    Refused,
    /// The replay id is not valid any more.
    Replay,
    /// It is a mistake of orgpipe's own, which is reported as such.
    Bug,
}

/// A judged failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) reaction: Reaction,
    /// What went wrong, in Salesforce's words.
    pub(super) reason: String,
    /// What an operator can do; empty when there is nothing to do.
    pub(super) hint: &'static str,
    /// True when a Bayeux reply said so, so that it may concern one channel only.
    pub(super) told: bool,
    /// True when it should not happen with a client in order.
    pub(super) alarm: bool,
    /// The kind of trouble that it counts as.
    pub(super) fault: Fault,
}

/// A server that is too busy is often well again with the next request; who finds it busy again waits longer each time
/// (`session/trouble.rs`).
const SECONDS: Duration = Duration::from_secs(1);
/// Caps on clients, and what is known to last; Salesforce asks to try "later".
const MINUTES: Duration = Duration::from_mins(2);
/// The delivery allocation is a rolling 24 hours, so minutes do not help.
const ALLOCATION: Duration = Duration::from_mins(15);
/// Characters kept of a reason.
const REASON_CHARS_MAX: usize = 300;

struct Rule {
    /// The code that the text must begin with; none if any will do.
    code: Option<&'static str>,
    /// One of these must occur; normalized like the text. Empty = any text.
    texts: &'static [&'static str],
    reaction: Reaction,
    hint: &'static str,
    /// True when it should not happen with a client in order, though it is mended like any other trouble.
    alarm: bool,
}

/// A rule for one code; without texts, whatever follows the code.
const fn coded(
    code: &'static str,
    texts: &'static [&'static str],
    reaction: Reaction,
    hint: &'static str,
) -> Rule {
    Rule { code: Some(code), texts, reaction, hint, alarm: false }
}

/// A rule for a text, whatever code it follows.
const fn worded(texts: &'static [&'static str], reaction: Reaction, hint: &'static str) -> Rule {
    Rule { code: None, texts, reaction, hint, alarm: false }
}

/// A rule for what happens only if orgpipe mixed up its cookies.
const fn cookie_lost(code: &'static str, texts: &'static [&'static str]) -> Rule {
    Rule { code: Some(code), texts, reaction: Reaction::Handshake, hint: COOKIE, alarm: true }
}

const VERSION: &str = "Set an API version that Salesforce supports, such as 66.0.";
const ALLOW: &str = "Give the integration user permission to read this event, in its permission set.";
const EXISTS: &str =
    "Check the channel's name and namespace, that it is deployed, and that the user may read it.";
const CLIENTS: &str = "End other CometD clients of this org; the limit is shared by all vendors.";
const SPENT: &str = "The org's event deliveries of 24 hours are used up; they come back by themselves.";
const COOKIE: &str = "The session cookie was lost or mixed up; report this as a bug of orgpipe.";
const OURS: &str = "Salesforce did not understand orgpipe; report this as a bug of orgpipe.";
const LOGIN: &str = "If it goes on, check the connected app and the user's login.";

/// The rules in order; the first that matches counts.
const RULES: &[Rule] = &[
    worded(&["limit the number of simultaneous connections"], Reaction::BackOff(SECONDS), ""),
    worded(&["server is too busy"], Reaction::BackOff(SECONDS), ""),
    worded(&["concurrent user limit exceeded"], Reaction::BackOff(MINUTES), CLIENTS),
    worded(&["events daily limit exceeded"], Reaction::BackOff(ALLOCATION), SPENT),
    worded(&["subscription limit exceeded"], Reaction::BackOff(MINUTES), CLIENTS),
    coded("400", &["api version"], Reaction::Bug, VERSION),
    coded("400", &["invalid connection type"], Reaction::Bug, OURS),
    coded("400", &["you requested to subscribe to does not exist"], Reaction::Refused, EXISTS),
    coded("400", &["channel name not specified", "must start with a leading"], Reaction::Bug, EXISTS),
    coded("400", &["do not exist on the topic entity"], Reaction::Bug, "Correct the channel's filter."),
    cookie_lost("400", &["no bayeux_browser cookie"]),
    cookie_lost("400", &["user id does not match"]),
    coded("400", &["the replayid for channel", "was not found using the provided"], Reaction::Bug, OURS),
    coded("400", &["you provided was invalid"], Reaction::Replay, ""),
    coded("401", &["request requires authentication"], Reaction::LoginThenBug, OURS),
    coded("401", &[], Reaction::Login, LOGIN),
    coded("402", &[], Reaction::Handshake, ""),
    worded(&["unknown client", "session_unknown"], Reaction::Handshake, ""),
    worded(&["has not completed handshake"], Reaction::Handshake, ""),
    coded("403", &["handshake denied", "handshake_denied"], Reaction::Denied, LOGIN),
    coded("403", &["create_denied", "create denied"], Reaction::LoginThenRefused, EXISTS),
    coded("403", &["subscribe_denied"], Reaction::Refused, ALLOW),
    coded(
        "403",
        &[
            "not enabled for streaming",
            "not allowed to subscribe",
            "restricted channel",
            "does not have access",
            "where clause of the pushtopic",
            "cannot create channel",
            "no access on channel",
        ],
        Reaction::Refused,
        ALLOW,
    ),
    coded("403", &["unable to create channel dynamically"], Reaction::Refused, EXISTS),
    coded("404", &["only by case", "unknown channel"], Reaction::Refused, EXISTS),
    coded("413", &[], Reaction::Bug, OURS),
    worded(&["maximum request size exceeded"], Reaction::Bug, OURS),
];

/// Judges a reply that is not a success.
pub(super) fn of_reply(place: Place, reply: &MetaReply) -> Verdict {
    let texts = [reply.failure_reason.as_deref(), reply.error.as_deref()];
    let told = |reaction, reason: &str, hint, alarm| Verdict {
        reaction,
        reason: shorten(reason),
        hint,
        told: true,
        alarm,
        fault: fault(reaction, true),
    };
    for text in texts.into_iter().flatten() {
        let plain = normalize(text);
        let code = plain.split([':', ' ']).next().unwrap_or_default();
        let found = RULES.iter().find(|rule| {
            rule.code.is_none_or(|expected| expected == code)
                && (rule.texts.is_empty() || rule.texts.iter().any(|part| plain.contains(part)))
        });
        if let Some(rule) = found {
            return told(rule.reaction, text, rule.hint, rule.alarm);
        }
        if let Some(reaction) = of_code(place, code) {
            return told(reaction, text, "", false);
        }
    }
    let reason = reply.error.as_deref().or(reply.failure_reason.as_deref()).unwrap_or("no reason given");
    match (place, reply.advice.reconnect) {
        (Place::Handshake, _) => told(Reaction::Denied, reason, LOGIN, false),
        (_, Some(Reconnect::Handshake) | None) => told(Reaction::Handshake, reason, "", false),
        (_, Some(Reconnect::Retry | Reconnect::None)) => {
            told(Reaction::BackOff(Duration::ZERO), reason, "", false)
        }
    }
}

/// Judges an HTTP answer without a usable reply.
pub(super) fn of_http(status: u16, body: Option<&Unreadable>) -> Verdict {
    let reaction = match (status, body) {
        (200..=299, Some(Unreadable::Html { login: true })) | (300..=399 | 401 | 403, _) => Reaction::Login,
        (200..=299 | 500, Some(Unreadable::Empty)) | (408, _) => Reaction::Handshake,
        (429, _) => Reaction::BackOff(MINUTES),
        // Only these say something about the message. What else a 4xx stands for comes from hosts on the way, and passes:
        // a 406 without a body, a 420 with a page while the org is moved.
        (400 | 405 | 411 | 413..=415 | 431, _) => Reaction::Bug,
        _ => Reaction::BackOff(Duration::ZERO),
    };
    let what = match body {
        Some(Unreadable::Empty) => "an empty body",
        Some(Unreadable::Html { login: true }) => "a login page",
        Some(Unreadable::Html { login: false }) => "a web page",
        Some(Unreadable::Other(cause)) => cause,
        None => "no reply to what was asked",
    };
    let reason = shorten(&format!("HTTP {status} with {what}"));
    let hint = match reaction {
        Reaction::Bug => OURS,
        Reaction::Login => LOGIN,
        _ => "",
    };
    Verdict { reaction, reason, hint, told: false, alarm: false, fault: fault(reaction, false) }
}

/// Judges a missing answer. Salesforce empties its queue before it writes, so an answer cut off may have taken
/// events with it: a new session with replay, never a plain retry.
pub(super) fn of_failure(place: Place, failure: &Failure) -> Verdict {
    let reaction = match (place, failure) {
        (Place::Connect | Place::Subscribe, Failure::TimedOut | Failure::Broken(_)) => Reaction::Handshake,
        (_, Failure::Unreachable(_) | Failure::TimedOut | Failure::Broken(_)) => {
            Reaction::BackOff(Duration::ZERO)
        }
        (_, Failure::TooLarge(_)) => Reaction::BackOff(MINUTES),
    };
    let hint = match failure {
        Failure::TooLarge(_) => {
            "Many events waited, and Salesforce sends them in one answer. Report this as a bug of orgpipe."
        }
        Failure::Unreachable(_) | Failure::TimedOut | Failure::Broken(_) => "",
    };
    let alarm = matches!(failure, Failure::TooLarge(_));
    let fault = Fault::Transport;
    Verdict { reaction, reason: shorten(&failure.to_string()), hint, told: false, alarm, fault }
}

/// Judges a `/meta/disconnect` nobody asked for, which may stand beside a successful reply.
pub(super) fn of_disconnect(reason: &str) -> Verdict {
    let (reason, reaction) = (shorten(reason), Reaction::Handshake);
    Verdict { reaction, reason, hint: "", told: true, alarm: false, fault: Fault::Session }
}

fn fault(reaction: Reaction, told: bool) -> Fault {
    match reaction {
        Reaction::Handshake | Reaction::BackOff(Duration::ZERO) if !told => Fault::Transport,
        Reaction::Handshake | Reaction::BackOff(Duration::ZERO) => Fault::Session,
        Reaction::Login | Reaction::LoginThenBug | Reaction::Denied => Fault::Login,
        Reaction::BackOff(_) => Fault::Limit,
        Reaction::LoginThenRefused | Reaction::Refused => Fault::Permission,
        Reaction::Replay => Fault::Replay,
        Reaction::Bug => Fault::Protocol,
    }
}

fn of_code(place: Place, code: &str) -> Option<Reaction> {
    match (place, code) {
        (Place::Subscribe, "403" | "404") => Some(Reaction::Refused),
        (Place::Handshake, "403") => Some(Reaction::Denied),
        (Place::Subscribe, "400") | (Place::Handshake, "400" | "404") => Some(Reaction::Bug),
        (_, "400" | "403" | "404") => Some(Reaction::Handshake),
        (_, code) if code.len() == 3 && code.starts_with('5') => Some(Reaction::BackOff(SECONDS)),
        _ => None,
    }
}

/// Salesforce's wording changes between pages and releases: case, blanks, quotes, contractions.
fn normalize(text: &str) -> String {
    let plain = text.to_lowercase().replace(['\u{2018}', '\u{2019}'], "'").replace("n't", " not");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shorten(reason: &str) -> String {
    let shortened: String = reason.chars().take(REASON_CHARS_MAX).collect();
    one_line(&shortened)
}

#[cfg(test)]
pub(super) mod tests;
