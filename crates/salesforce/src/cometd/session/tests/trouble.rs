//! Every kind of trouble, and how long it is waited for.

use super::*;
use crate::cometd::reaction::{Place, Reaction, tests::CATALOGUE};

/// What a row of the catalogue makes of the subscription, be it the error or the reason behind a misleading one.
#[test]
fn every_row_of_the_catalogue_leads_to_its_reaction() {
    for (place, text, reaction) in CATALOGUE {
        for (error, reason) in [(*text, None), ("403::Handshake denied", Some(*text))] {
            let (mut talk, name) = match place {
                Place::Handshake => (shaking(&["/event/A__e@7"]), "handshake"),
                Place::Subscribe => (subscribing(&["/event/A__e@7"]), "subscribe"),
                Place::Connect => (polling(&["/event/A__e@7"]), "connect"),
                // Whatever it says, the session has been left.
                Place::Disconnect => continue,
            };
            let actions = talk.after(20.0).hears(&refusal(name, error, reason));
            let whom = if *place == Place::Subscribe { "refused /event/A__e" } else { "refused all" };
            let later = |least: &Duration| match place {
                Place::Subscribe => format!("{whom} {}", least.as_secs()),
                _ => format!("lost {}", least.as_secs()),
            };
            let expected = match reaction {
                Reaction::Handshake => vec!["lost 0".to_owned(), "/handshake".to_owned()],
                Reaction::Login | Reaction::LoginThenRefused | Reaction::LoginThenBug => {
                    vec!["lost 0".to_owned(), "token stale=true".to_owned()]
                }
                Reaction::Denied => vec!["lost 0.2".to_owned(), "wake 0.2".to_owned()],
                Reaction::BackOff(least) => vec![later(least)],
                Reaction::Refused => vec![format!("{whom} 900")],
                Reaction::Bug => vec!["bug".to_owned(), format!("{whom} 900")],
                Reaction::Replay => {
                    vec!["gap /event/A__e after 7".to_owned(), "/subscribe {/event/A__e:-2}".to_owned()]
                }
            };
            let found: Vec<_> = actions.iter().filter(|action| expected.contains(action)).collect();
            assert!(found.iter().copied().eq(&expected), "{text}: {actions:?}, not {expected:?}");
        }
    }
}

/// The stored position is what counts: only when that is refused, too, something may be missing.
#[test]
fn a_position_before_the_stored_one_is_asked_for_first_and_given_up_for_it() {
    let aged = |id: u32| {
        let text = format!("400::The replayId {{{id}}} you provided was invalid.  Please provide a valid ID");
        refusal("subscribe", &text, None)
    };
    let mut talk = shaking(&["/event/A__e@7<5"]);
    let actions = talk.hears(SHAKEN);
    assert!(actions.contains(&"/subscribe {/event/A__e:5}".to_owned()), "{actions:?}");
    let actions = talk.hears(&aged(5));
    assert!(actions.contains(&"/subscribe {/event/A__e:7}".to_owned()), "{actions:?}");
    assert!(!actions.iter().any(|action| action.starts_with("gap")), "{actions:?}");
    let actions = talk.hears(&aged(7));
    let expected = ["gap /event/A__e after 7", "/subscribe {/event/A__e:-2}"];
    assert!(expected.iter().all(|action| actions.iter().any(|found| found == action)), "{actions:?}");
}

#[test]
fn trouble_while_polling_is_answered_by_the_table() {
    let rows: &[(&str, Result<Answer, Failure>, &[&str])] = &[
        ("S01 unknown", http(200, &format!("[{UNKNOWN}]")), &["lost 0", "/handshake"]),
        ("S02 none", http(200, &refusal("connect", "403::Unknown client", None)), &["lost 0", "/handshake"]),
        ("S03 unasked", http(200, r#"[{"channel":"/meta/disconnect"}]"#), &["lost 0", "/handshake"]),
        (
            "success with advice",
            http(200, &HELD.replace('}', r#","advice":{"reconnect":"none"}}"#)),
            &["lost 0", "/handshake"],
        ),
        (
            "S06 token",
            http(200, &refusal("connect", "401::Authentication invalid", None)),
            &["lost 0", "token stale=true"],
        ),
        (
            "S07 hidden 503",
            http(
                200,
                &refusal(
                    "connect",
                    "401::Authentication invalid",
                    Some("503::Server is too busy.  Please try your request again later."),
                ),
            ),
            &["lost 1", "wake 1"],
        ),
        (
            "S11 allocation",
            http(200, &refusal("connect", "403::Organization total events daily limit exceeded", None)),
            &["lost 900", "wake 900"],
        ),
        (
            "no channel",
            http(200, r#"[{"error":"401::Request requires authentication","successful":false}]"#),
            &["lost 0", "token stale=true"],
        ),
        ("S14 broken", Err(Failure::Broken("EOF".to_owned())), &["lost 0", "/handshake"]),
        ("S31 timeout", Err(Failure::TimedOut), &["lost 0", "/handshake"]),
        ("unreachable", Err(Failure::Unreachable("DNS".to_owned())), &["lost 0.2", "wake 0.2"]),
        (
            "S17 too large",
            Err(Failure::TooLarge("it is larger than 9 bytes".into())),
            &["bug", "lost 120", "wake 120"],
        ),
        ("S15 duplicate connect", http(500, ""), &["lost 0", "/handshake"]),
        ("S16 HTML", http(503, "<html>Maintenance</html>"), &["lost 0.2", "wake 0.2"]),
        ("S16 empty", http(200, ""), &["lost 0", "/handshake"]),
        ("S16 login page", http(200, "<html><title>Login"), &["lost 0", "token stale=true"]),
        ("S30 redirect", http(302, ""), &["lost 0", "token stale=true"]),
        (
            "401 before CometD",
            http(401, r#"[{"errorCode":"INVALID_SESSION_ID","message":"x"}]"#),
            &["lost 0", "token stale=true"],
        ),
        ("413", http(413, "Maximum Request Size Exceeded"), &["bug", "refused all 900", "wake 900"]),
        (
            "S23 cookie",
            http(
                200,
                &refusal(
                    "connect",
                    "400::Client 5ra has established a session, but no BAYEUX_BROWSER cookie present",
                    None,
                ),
            ),
            &["bug", "lost 0", "/handshake"],
        ),
        ("reply to another question", http(200, SUBSCRIBED), &["lost 0.2", "wake 0.2"]),
    ];
    for (name, http, expected) in rows {
        let mut talk = polling(&["/event/A__e@7"]);
        assert_eq!(talk.after(20.0).answer(http.clone()), *expected, "{name}");
    }
}

#[test]
fn trouble_in_the_handshake_is_answered_by_the_table() {
    let denied = |reason| http(200, &refusal("handshake", "403::Handshake denied", reason));
    let rows: &[(&str, Result<Answer, Failure>, &[&str])] = &[
        ("S06 token", denied(Some("401::Authentication invalid")), &["lost 0", "token stale=true"]),
        ("S09 bare", http(200, r#"[{"successful":false}]"#), &["lost 0.2", "wake 0.2"]),
        (
            "S10 clients",
            denied(Some("403::Organization concurrent user limit exceeded")),
            &["lost 120", "wake 120"],
        ),
        ("user", denied(Some("403::User not enabled for streaming")), &["refused all 900", "wake 900"]),
        (
            "version",
            http(400, &refusal("handshake", "400::Unsupported API version.", None)),
            &["bug", "refused all 900", "wake 900"],
        ),
        ("S21 no answer", Err(Failure::TimedOut), &["lost 0.2", "wake 0.2"]),
        (
            "no client",
            http(200, r#"[{"channel":"/meta/handshake","successful":true}]"#),
            &["lost 0.2", "wake 0.2"],
        ),
    ];
    for (name, http, expected) in rows {
        let mut talk = shaking(&["/event/A__e@7"]);
        assert_eq!(talk.answer(http.clone()), *expected, "{name}");
    }
}

#[test]
fn a_refused_channel_does_not_stop_the_others() {
    let told = |error, reason| refusal("subscribe", error, reason);
    let denied = "403:denied_by_security_policy:subscribe_denied";
    let rows: &[(String, &[&str], u64)] = &[
        (told(denied, None), &["refused /event/A__e 900"], 900),
        (told(denied, Some("503::Server is too busy.")), &["refused /event/A__e 1"], 1),
        (
            told("403::Organization total events daily limit exceeded", None),
            &["refused /event/A__e 900"],
            900,
        ),
        (told("400::Channel name not specified", None), &["bug", "refused /event/A__e 900"], 900),
    ];
    for (answer, reports, secs) in rows {
        let mut talk = subscribing(&["/event/A__e@7", "/event/B__e@1"]);
        let (last, first) = (talk.hears(answer), reports.len());
        assert_eq!(last[..first], **reports, "{answer}");
        assert_eq!(last[first..], ["/subscribe {/event/B__e:1}"], "{answer}");
        talk.hears(SUBSCRIBED);
        assert_eq!(talk.hears(CONNECTED), ["/connect"]);
        // A new session does not shorten its wait.
        talk.hears(&format!("[{UNKNOWN}]"));
        assert_eq!(talk.hears(SHAKEN)[1], "/subscribe {/event/B__e:1}");
        talk.hears(SUBSCRIBED);
        assert_eq!(talk.hears(CONNECTED), ["/connect"]);
        talk.now += Duration::from_secs(*secs);
        assert_eq!(talk.hears(HELD), ["/subscribe {/event/A__e:7}"], "{answer}");
        assert_eq!(talk.hears(SUBSCRIBED), ["subscribed /event/A__e 7", "/connect"], "{answer}");
    }
}

/// Nothing was said about the channel, so it is the session's trouble, and the channel's turn comes at once.
#[test]
fn a_subscribe_without_a_reply_is_trouble_of_the_session() {
    let rows: &[(Result<Answer, Failure>, &[&str])] = &[
        (Err(Failure::TimedOut), &["lost 0", "/handshake"]),
        (Err(Failure::Unreachable("DNS".to_owned())), &["lost 0.2", "wake 0.2"]),
        (http(503, "<html>Maintenance</html>"), &["lost 0.2", "wake 0.2"]),
        (http(401, "<html>"), &["lost 0", "token stale=true"]),
        (http(200, HELD), &["lost 0.2", "wake 0.2"]),
        (http(200, &refusal("subscribe", "403::Unknown client", None)), &["lost 0", "/handshake"]),
    ];
    for (http, expected) in rows {
        let mut talk = subscribing(&["/event/A__e@7", "/event/B__e@1"]);
        assert_eq!(talk.answer(http.clone()), *expected, "{http:?}");
        talk.wakes();
        talk.tell(Input::TokenReady);
        assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:7}"]);
    }
}

#[test]
fn a_channel_that_may_lack_a_login_gets_one() {
    let denied = refusal("subscribe", "403:denied_by_security_policy:create_denied", None);
    let mut talk = subscribing(&["/event/A__e@7", "/event/B__e@1"]);
    assert_eq!(talk.hears(&denied), ["lost 0", "token stale=true"]);
    talk.tell(Input::TokenReady);
    talk.hears(SHAKEN);
    assert_eq!(talk.hears(&denied), ["refused /event/A__e 900", "/subscribe {/event/B__e:1}"]);
    talk.hears(SUBSCRIBED);
    talk.hears(CONNECTED);
    // Long healthy, and asked again: the other channel is not torn down with it once more.
    while talk.phase() == Stage::Polling {
        talk.after(100.0).hears(HELD);
    }
    assert_eq!(talk.hears(&denied), ["refused /event/A__e 900", "/connect"]);
}

#[test]
fn waits_grow_until_the_session_has_been_healthy() {
    let unknown = format!("[{UNKNOWN}]");
    let mut talk = polling(&["/event/A__e@7"]);
    let mut waits = Vec::new();
    for _ in 0..12 {
        talk.after(5.0);
        waits.push(talk.hears(&unknown).remove(0));
        if talk.phase() == Stage::Resting {
            talk.wakes();
        }
        talk.hears(SHAKEN);
        talk.hears(SUBSCRIBED);
        talk.hears(CONNECTED);
    }
    let expected = "lost 0|lost 0.4|lost 0.8|lost 1.6|lost 3.2|lost 6.4|lost 12.8|lost 25.6|lost 51.2|lost 60|lost 60|lost 60";
    assert_eq!(waits.join("|"), expected);
    assert_eq!(talk.after(60.0).hears(HELD), ["/connect"]);
    assert_eq!(talk.hears(&unknown), ["lost 0", "/handshake"]);
    talk.jitter = 1.0;
    assert_eq!(talk.hears(&refusal("handshake", "403::Handshake denied", None))[0], "lost 2");
}

#[test]
fn logins_are_bounded() {
    let mut talk = polling(&["/event/A__e@7"]);
    let revoked = refusal("handshake", "403::Handshake denied", Some("401::Authentication invalid"));
    assert_eq!(
        talk.hears(&refusal("connect", "401::Authentication invalid", None)),
        ["lost 0", "token stale=true"]
    );
    for expected in ["lost 0.4", "lost 0.8", "refused all 900", "refused all 900"] {
        talk.tell(Input::TokenReady);
        assert_eq!(talk.hears(&revoked)[0], expected);
        assert_eq!(talk.wakes(), ["token stale=true"]);
    }
    // No reason given: the same token a few times, then a new one.
    let mut talk = shaking(&["/event/A__e@7"]);
    let denied = refusal("handshake", "403::Handshake denied", None);
    for expected in ["/handshake", "/handshake", "token stale=true"] {
        assert!(talk.hears(&denied)[0].starts_with("lost"));
        assert_eq!(talk.wakes(), [expected]);
    }
    // The header was missing, it seems; if a new token does not help, it is our mistake.
    let mut talk = shaking(&["/event/A__e@7"]);
    let missing = refusal("handshake", "401::Request requires authentication", None);
    assert_eq!(talk.hears(&missing), ["lost 0", "token stale=true"]);
    talk.tell(Input::TokenReady);
    assert_eq!(talk.hears(&missing), ["bug", "refused all 900", "wake 900"]);
}

#[test]
fn a_missing_token_is_asked_for_again() {
    let mut talk = Talk::new(&["/event/A__e"]);
    talk.tell(Input::Start);
    let failed = |permanent| Input::TokenFailed { permanent };
    assert_eq!(shown(&talk.tell(failed(false))), ["no token permanent=false 0.2", "wake 0.2"]);
    assert_eq!(talk.wakes(), ["token stale=false"]);
    assert_eq!(shown(&talk.tell(failed(true))), ["no token permanent=true 900", "wake 900"]);
    assert_eq!(talk.wakes(), ["token stale=false"]);
}
