//! Every row of the catalogue of failures, and what each calls for.

use super::*;
use crate::cometd::wire;

const SOON: Reaction = Reaction::BackOff(Duration::ZERO);
const SECONDS_LATER: Reaction = Reaction::BackOff(SECONDS);
const MINUTES_LATER: Reaction = Reaction::BackOff(MINUTES);
const MUCH_LATER: Reaction = Reaction::BackOff(ALLOCATION);

fn judged(place: Place, reason: Option<&str>, error: Option<&str>) -> Reaction {
    let reply = MetaReply {
        error: error.map(str::to_owned),
        failure_reason: reason.map(str::to_owned),
        ..MetaReply::default()
    };
    of_reply(place, &reply).reaction
}

/// Every error that Salesforce documents for streaming, and how stock CometD servers put the same.
pub(in crate::cometd) const CATALOGUE: &[(Place, &str, Reaction)] = {
    use Place::{Connect, Disconnect, Handshake, Subscribe};
    use Reaction as R;
    &[
        (Handshake, "400::API version in the URI is mandatory. URI format: '/cometd/66.0'", R::Bug),
        (
            Handshake,
            "400::Unsupported API version. Only API versions '37.0' and later are supported. URI format: '/cometd/66.0'",
            R::Bug,
        ),
        (
            Handshake,
            "400::Unsupported API version. Only API versions '23.0' and above are supported.",
            R::Bug,
        ),
        (Connect, "400::Invalid connection type {websocket}", R::Bug),
        (Subscribe, "400::The channel you requested to subscribe to does not exist {/topic/X}", R::Refused),
        (
            Subscribe,
            "400::The channel you requested to subscribe to doesn\u{2019}t exist {/topic/X}",
            R::Refused,
        ),
        (Subscribe, "400::Channel name not specified", R::Bug),
        (Subscribe, "400::Channel subscriptions must start with a leading '/'", R::Bug),
        (Subscribe, "400::Query fields {A} do not exist on the topic entity", R::Bug),
        (
            Connect,
            "400::Client {5ra} has established a session, but no BAYEUX_BROWSER cookie present",
            R::Handshake,
        ),
        (
            Subscribe,
            "400::The replayId {46} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events.",
            R::Replay,
        ),
        (Subscribe, "400::The replayId {46} you provided was invalid. Please provide a valid ID", R::Replay),
        (
            Subscribe,
            "400::The replayId for channel {/topic/T} wasn't found using the provided replay ID map {{}}. Ensure that the channel name you provided in the replay map is valid",
            R::Bug,
        ),
        (Connect, "400::Authenticated user id does not match the session's user id", R::Handshake),
        (Connect, "401::Authentication invalid", R::Login),
        (Handshake, "401::Request requires authentication", R::LoginThenBug),
        (Connect, "402::Unknown client", R::Handshake),
        (Connect, "402::session_unknown", R::Handshake),
        (Connect, "403::Unknown client", R::Handshake),
        (Subscribe, "403::Unknown client", R::Handshake),
        (Disconnect, "403::Unknown client", R::Handshake),
        (Handshake, "403::Handshake denied", R::Denied),
        (Connect, "403::Client has not completed handshake", R::Handshake),
        (Handshake, "403::Organization concurrent user limit exceeded", MINUTES_LATER),
        (Subscribe, "403::Organization total events daily limit exceeded", MUCH_LATER),
        (Connect, "403::Organization total events daily limit exceeded", MUCH_LATER),
        (Subscribe, "403::Subscription limit exceeded for this topic", MINUTES_LATER),
        (Handshake, "403::User not enabled for streaming", R::Refused),
        (Subscribe, "403::User not allowed to subscribe CDC without View All Data permissions", R::Refused),
        (Subscribe, "403::Restricted channel", R::Refused),
        (Subscribe, "403::Subscriber does not have access to the entity in this topic", R::Refused),
        (
            Subscribe,
            "403::Subscriber doesn't have access to all fields referenced in the where clause of the PushTopic",
            R::Refused,
        ),
        (Subscribe, "403::Cannot create channel {/u/x}", R::Refused),
        (Subscribe, "403::No access on channel", R::Refused),
        (Subscribe, "403:denied_by_security_policy:create_denied", R::LoginThenRefused),
        (Subscribe, "403:denied_by_security_policy:subscribe_denied", R::Refused),
        (
            Handshake,
            "403::To protect all customers from excessive use and Denial of Service attacks, we limit the number of simultaneous connections per server. Your request has been denied because this limit has been exceeded. Please try your request again later.",
            SECONDS_LATER,
        ),
        (Connect, "503::Server is too busy.  Please try your request again later.", SECONDS_LATER),
        (Connect, "413::Maximum Request Size Exceeded", R::Bug),
        (
            Subscribe,
            "403::Unable to create channel dynamically, maximum channel limit has been exceeded",
            R::Refused,
        ),
        (Subscribe, "404::channel names may not vary only by case", R::Refused),
        (Subscribe, "404::Unknown channel", R::Refused),
        // Where else it may stand, and how a stock CometD server says it.
        (
            Handshake,
            "To protect all customers from excessive use and Denial of Service attacks, we limit the number of simultaneous connections per server.",
            SECONDS_LATER,
        ),
        (Handshake, "403::handshake_denied", R::Denied),
        (Subscribe, "403:denied_by_not_granting:create denied", R::LoginThenRefused),
        (Subscribe, "403:denied_by_not_granting:subscribe_denied", R::Refused),
        (Subscribe, "403::subscription_invalid", R::Refused),
        (Subscribe, "400::channel_missing", R::Bug),
        (Connect, "404::message deleted", R::Handshake),
    ]
};

#[test]
fn the_catalogue_is_followed() {
    for (place, text, expected) in CATALOGUE {
        assert_eq!(judged(*place, None, Some(text)), *expected, "as error: {text}");
        assert_eq!(judged(*place, Some(text), Some("403::Handshake denied")), *expected, "as reason: {text}");
    }
}

#[test]
fn a_busy_server_behind_401_is_no_reason_to_log_in() {
    let busy = "503::Server is too busy.  Please try your request again later.";
    assert_eq!(judged(Place::Connect, Some(busy), Some("401::Authentication invalid")), SECONDS_LATER);
    let denied = "403:denied_by_security_policy:subscribe_denied";
    assert_eq!(judged(Place::Subscribe, Some(busy), Some(denied)), SECONDS_LATER);
}

#[test]
fn unknown_texts_are_judged_by_code_then_by_advice() {
    assert_eq!(judged(Place::Subscribe, None, Some("403::Something new")), Reaction::Refused);
    assert_eq!(judged(Place::Connect, None, Some("403::Something new")), Reaction::Handshake);
    assert_eq!(judged(Place::Handshake, Some("403::Something new"), None), Reaction::Denied);
    assert_eq!(judged(Place::Connect, None, Some("500::Oops")), SECONDS_LATER);
    assert_eq!(judged(Place::Connect, None, Some("Oops")), Reaction::Handshake);
    assert_eq!(judged(Place::Connect, None, None), Reaction::Handshake);
    assert_eq!(judged(Place::Handshake, None, None), Reaction::Denied);
    let none = wire::Advice { reconnect: Some(Reconnect::None), ..wire::Advice::default() };
    assert_eq!(of_reply(Place::Connect, &MetaReply { advice: none, ..MetaReply::default() }).reaction, SOON);
}

#[test]
fn cookie_trouble_is_an_alarm() {
    let error =
        Some("400::Client {x} has established a session, but no BAYEUX_BROWSER cookie present".to_owned());
    assert!(of_reply(Place::Connect, &MetaReply { error, ..MetaReply::default() }).alarm);
    let error = Some("403::Unknown client".to_owned());
    assert!(!of_reply(Place::Connect, &MetaReply { error, ..MetaReply::default() }).alarm);
}

/// Answers without a Bayeux reply.
#[test]
fn http_answers_are_judged() {
    let rows: &[(u16, &str, Reaction)] = &[
        (400, "", Reaction::Bug),
        (401, "<html>", Reaction::Login),
        (403, r#"[{"errorCode":"INVALID_SESSION_ID"}]"#, Reaction::Login),
        (405, "Only POST allowed", Reaction::Bug),
        (404, "<html>Not Found</html>", SOON),
        (406, "", SOON),
        (406, "CustomNotAcceptable", SOON),
        (408, "", Reaction::Handshake),
        (413, "Maximum Request Size Exceeded", Reaction::Bug),
        (414, "", Reaction::Bug),
        (420, "<html>We are setting things up</html>", SOON),
        (425, "", SOON),
        (429, "", MINUTES_LATER),
        (431, "", Reaction::Bug),
        (500, "", Reaction::Handshake),
        (500, "<html>", SOON),
        (502, "<html>", SOON),
        (503, "upstream connect error or disconnect/reset before headers", SOON),
        (504, "", SOON),
        (200, "", Reaction::Handshake),
        (200, "null", Reaction::Handshake),
        (200, "[]", Reaction::Handshake),
        (200, "<html>We are down</html>", SOON),
        (200, "<html>Login | Salesforce</html>", Reaction::Login),
        (302, "", Reaction::Login),
        (200, r#"[{"channel":"/meta/conn"#, SOON),
    ];
    for (status, body, expected) in rows {
        let unreadable = wire::read(body.as_bytes()).err();
        assert_eq!(of_http(*status, unreadable.as_ref()).reaction, *expected, "{status} {body}");
    }
}

#[test]
fn a_cut_poll_means_a_new_session() {
    let broken = Failure::Broken("EOF".to_owned());
    assert_eq!(of_failure(Place::Connect, &broken).reaction, Reaction::Handshake);
    assert_eq!(of_failure(Place::Connect, &Failure::TimedOut).reaction, Reaction::Handshake);
    assert_eq!(of_failure(Place::Handshake, &Failure::TimedOut).reaction, SOON);
    assert_eq!(of_failure(Place::Connect, &Failure::Unreachable("DNS".to_owned())).reaction, SOON);
    assert_eq!(
        of_failure(Place::Connect, &Failure::TooLarge("it is larger than 9 bytes".into())).reaction,
        MINUTES_LATER
    );
}
