//! What a session does on each input.
//!
//! Here: the way in, advice, age, stopping. Below: two connections (`beside`), events, trouble, whatever holds in any order
//! (`properties`, `seeds`); a session with the invariants of each step (`talk`) and the server it talks to (`org`).

mod beside;
mod events;
mod org;
mod properties;
mod seeds;
mod talk;
mod trouble;

use std::time::Duration;

use super::Stage;
use crate::cometd::{Answer, Failure, Input};
use talk::{Talk, ok, shown};

const SHAKEN: &str =
    r#"[{"channel":"/meta/handshake","successful":true,"clientId":"c1","ext":{"replay":true}}]"#;
const SUBSCRIBED: &str = r#"[{"channel":"/meta/subscribe","successful":true,"clientId":"c1"}]"#;
const CONNECTED: &str = r#"[{"channel":"/meta/connect","successful":true,"clientId":"c1","advice":{"interval":0,"timeout":110000,"reconnect":"retry"}}]"#;
const HELD: &str = r#"[{"channel":"/meta/connect","successful":true,"clientId":"c1"}]"#;
const LEFT: &str = r#"[{"channel":"/meta/disconnect","successful":true,"clientId":"c1"}]"#;
const UNKNOWN: &str = r#"{"channel":"/meta/connect","error":"403::Unknown client","successful":false,"advice":{"interval":0,"reconnect":"handshake"}}"#;
const AGED: &str = r#"[{"channel":"/meta/subscribe","error":"400::The replayId {7} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events.","successful":false}]"#;

fn event(channel: &str, id: i64) -> String {
    format!(
        r#"{{"channel":"/event/{channel}__e","data":{{"event":{{"replayId":{id},"EventUuid":"u-{channel}-{id}"}}}}}}"#
    )
}

fn named(channel: &str, id: i64, uuid: &str) -> String {
    format!(
        r#"{{"channel":"/event/{channel}__e","data":{{"event":{{"replayId":{id},"EventUuid":"{uuid}"}}}}}}"#
    )
}

fn nameless(channel: &str, id: i64) -> String {
    format!(r#"{{"channel":"/event/{channel}__e","data":{{"event":{{"replayId":{id}}}}}}}"#)
}

/// These messages in one array, in Salesforce's order: events first.
fn with(events: &[String], reply: &str) -> String {
    let reply = reply.trim_start_matches('[').trim_end_matches(']');
    let all: Vec<&str> = events.iter().map(String::as_str).chain([reply]).collect();
    format!("[{}]", all.join(","))
}

fn refusal(place: &str, error: &str, reason: Option<&str>) -> String {
    let ext = reason
        .map(|reason| format!(r#","ext":{{"sfdc":{{"failureReason":"{reason}"}}}}"#))
        .unwrap_or_default();
    format!(
        r#"[{{"channel":"/meta/{place}","successful":false,"error":"{error}","advice":{{"reconnect":"none"}}{ext}}}]"#
    )
}

#[expect(clippy::unnecessary_wraps, reason = "stands in tables beside failures")]
fn http(status: u16, body: &str) -> Result<Answer, Failure> {
    Ok(Answer { status, ..ok(body) })
}

fn shaking(channels: &[&str]) -> Talk {
    let mut talk = Talk::new(channels);
    assert_eq!(shown(&talk.tell(Input::Start)), ["token stale=false"]);
    assert_eq!(shown(&talk.tell(Input::TokenReady)), ["/handshake"]);
    talk
}

fn subscribing(channels: &[&str]) -> Talk {
    let mut talk = shaking(channels);
    talk.hears(SHAKEN);
    talk
}

/// All channels subscribed to, first connect answered, second one under way.
fn polling(channels: &[&str]) -> Talk {
    let mut talk = subscribing(channels);
    while talk.phase() == Stage::Subscribing {
        talk.hears(SUBSCRIBED);
    }
    assert_eq!(talk.hears(CONNECTED), ["/connect"]);
    talk
}

fn storing(channels: &[&str]) -> Talk {
    let mut talk = polling(channels);
    let actions = talk.after(5.0).hears(&with(&[event("A", 8)], HELD));
    assert_eq!(actions, ["store /event/A__e [8] to 8", "wake 30"]);
    talk
}

#[test]
fn the_way_in_is_one_request_after_the_other() {
    let mut talk = shaking(&["/event/A__e", "/event/B__e@7", "/event/C__e@all", "/event/A__e@9"]);
    assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:-1}"]);
    assert_eq!(talk.hears(SUBSCRIBED), ["subscribed /event/A__e -1", "/subscribe {/event/B__e:7}"]);
    assert_eq!(talk.hears(SUBSCRIBED), ["subscribed /event/B__e 7", "/subscribe {/event/C__e:-2}"]);
    assert_eq!(talk.hears(SUBSCRIBED), ["subscribed /event/C__e -2", "/connect at once"]);
    assert_eq!(talk.sends[0].message["clientId"], "c1");
    assert_eq!(talk.hears(CONNECTED), ["/connect"]);
    assert_eq!(talk.sends[0].timeout, Duration::from_secs(125));
    assert_eq!(talk.after(110.0).hears(HELD), ["/connect"]);
}

#[test]
fn cookies_of_every_answer_are_sent_until_the_next_handshake() {
    let mut talk = shaking(&["/event/A__e"]);
    assert_eq!(talk.sends[0].cookies, None);
    let cookies = |list: &[&str], body| {
        let set_cookies = list.iter().map(|&cookie| cookie.to_owned()).collect();
        Ok(Answer { set_cookies, ..ok(body) })
    };
    talk.answer(cookies(&["BAYEUX_BROWSER=b; Path=/cometd/", "sfdc-stream=1; path=/"], SHAKEN));
    assert_eq!(talk.sends[0].cookies.as_deref(), Some("BAYEUX_BROWSER=b; sfdc-stream=1"));
    talk.answer(cookies(&["sfdc-stream=2; path=/"], SUBSCRIBED));
    assert_eq!(talk.sends[0].cookies.as_deref(), Some("BAYEUX_BROWSER=b; sfdc-stream=2"));
    assert_eq!(talk.answer(cookies(&["sfdc-stream=3; path=/"], UNKNOWN)), ["lost 0", "/handshake"]);
    assert_eq!(talk.sends[0].cookies, None);
}

#[test]
fn an_old_session_is_replaced_before_its_cookie_dies() {
    let mut talk = polling(&["/event/A__e@7"]);
    for _ in 0..89 {
        assert_eq!(talk.after(110.0).hears(HELD), ["/connect"]);
    }
    assert_eq!(talk.after(110.0).hears(HELD), ["/disconnect", "wake 15"]);
    assert_eq!(talk.hears(LEFT), ["/handshake"]);
    assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:7}"]);
}

#[test]
fn advice_is_heeded_within_bounds() {
    let advised = |advice| HELD.replace('}', &format!(r#","advice":{advice}}}"#));
    let mut talk = polling(&["/event/A__e@7"]);
    let shared = advised(r#"{"multiple-clients":true,"reconnect":"retry","interval":2000}"#);
    assert_eq!(talk.after(9.0).hears(&shared), ["multiple clients", "wake 2"]);
    assert_eq!(talk.wakes(), ["/connect"]);
    assert_eq!(talk.after(9.0).hears(&shared), ["wake 2"]);
    talk.wakes();
    // The time for storing counts as part of the interval.
    talk.hears(&with(&[event("A", 8)], HELD));
    assert_eq!(talk.after(1.5).stored(), ["wake 0.5"]);
    talk.wakes();
    assert_eq!(talk.after(9.0).hears(&advised(r#"{"interval":86400000}"#)), ["wake 30"]);
    talk.wakes();
    assert_eq!(talk.after(9.0).hears(&advised(r#"{"interval":-1,"timeout":5}"#)), ["/connect"]);
    assert_eq!(talk.sends[0].timeout, Duration::from_millis(15_005));
    talk.after(9.0).hears(&advised(r#"{"timeout":1e300}"#));
    assert_eq!(talk.sends[0].timeout, Duration::from_secs(615));
}

/// aiocometd#1: a handshake's reply carries no advice, and an old one must not outlive its session.
#[test]
fn advice_to_reconnect_counts_once() {
    let mut talk = polling(&["/event/A__e@7"]);
    talk.hears(&format!("[{UNKNOWN}]"));
    talk.hears(SHAKEN);
    talk.hears(SUBSCRIBED);
    assert_eq!(talk.hears(HELD), ["/connect"]);
    assert_eq!(talk.after(9.0).hears(HELD), ["/connect"]);
}

#[test]
fn polls_that_are_not_held_slow_down() {
    let mut talk = polling(&["/event/A__e@7"]);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let action = talk.hears(HELD).remove(0);
        if talk.phase() == Stage::Waiting {
            talk.wakes();
        }
        waits.push(action);
    }
    assert_eq!(waits.join("|"), "/connect|wake 0.25|wake 0.5|wake 1|wake 2|wake 4|wake 8|wake 10|wake 10");
    assert_eq!(talk.after(1.0).hears(HELD), ["/connect"]);
}

#[test]
fn a_stop_ends_every_phase() {
    let stop = |talk: &mut Talk| shown(&talk.tell(Input::Stop));
    let none = Vec::<String>::new();
    // No session: at once.
    assert_eq!(stop(&mut Talk::new(&["/event/A__e"])), ["done"]);
    let mut talk = Talk::new(&["/event/A__e"]);
    talk.tell(Input::Start);
    assert_eq!(stop(&mut talk), ["done"]);
    let mut talk = shaking(&["/event/A__e"]);
    talk.answer(Err(Failure::TimedOut));
    assert_eq!(stop(&mut talk), ["done"]);
    // S21: a handshake under way may succeed, and its session must not be left behind.
    let mut talk = shaking(&["/event/A__e"]);
    assert_eq!(stop(&mut talk), ["wake 10"]);
    assert_eq!(talk.after(9.0).hears(SHAKEN), ["connected", "/disconnect"]);
    assert_eq!(talk.wakes(), ["wake 14"]);
    assert_eq!(talk.hears(LEFT), ["done"]);
    let mut talk = shaking(&["/event/A__e"]);
    stop(&mut talk);
    assert_eq!(talk.answer(Err(Failure::TimedOut)), ["done"]);
    let mut talk = shaking(&["/event/A__e"]);
    stop(&mut talk);
    assert_eq!(talk.wakes(), ["done"]);
    // What a subscribe brings is stored.
    let mut talk = subscribing(&["/event/A__e@7"]);
    assert_eq!(stop(&mut talk), ["wake 10"]);
    let actions = talk.hears(&with(&[event("A", 8)], SUBSCRIBED));
    assert_eq!(actions, ["subscribed /event/A__e 7", "store /event/A__e [8] to 8", "/disconnect"]);
    assert_eq!(talk.hears(LEFT), none);
    assert_eq!(talk.stored(), ["done"]);
    // A held connect is not cut: the disconnect releases it.
    let mut talk = polling(&["/event/A__e@7"]);
    assert_eq!(stop(&mut talk), ["/disconnect", "wake 15"]);
    assert_eq!(stop(&mut talk), none);
    assert_eq!(talk.hears(&with(&[event("A", 8)], HELD)), ["store /event/A__e [8] to 8"]);
    assert_eq!(talk.stored(), none);
    assert_eq!(talk.hears(LEFT), ["done"]);
    // The server is gone.
    let mut talk = polling(&["/event/A__e@7"]);
    stop(&mut talk);
    assert_eq!(talk.wakes(), ["done"]);
    // A pause.
    let mut talk = polling(&["/event/A__e@7"]);
    talk.after(9.0).hears(&HELD.replace('}', r#","advice":{"interval":2000}}"#));
    assert_eq!(stop(&mut talk)[0], "/disconnect");
    assert_eq!(talk.answer(Err(Failure::TimedOut)), ["done"]);
    // A store is waited for, however long it takes, and what it says is known afterwards.
    let mut talk = storing(&["/event/A__e@7"]);
    assert_eq!(stop(&mut talk), ["/disconnect", "wake 15"]);
    while !talk.wakes.is_empty() {
        talk.wakes();
    }
    assert_eq!(talk.after(3600.0).stored(), ["done"]);
    assert_eq!(shown(&talk.tell(Input::Start)), ["token stale=false"]);
    talk.tell(Input::TokenReady);
    assert_eq!(talk.hears(SHAKEN)[1], "/subscribe {/event/A__e:8}");
    let mut talk = storing(&["/event/A__e@7"]);
    stop(&mut talk);
    talk.hears(LEFT);
    assert_eq!(talk.not_stored(), ["done"]);
    // A store behind a lost session.
    let mut talk = polling(&["/event/A__e@7"]);
    talk.hears(&with(&[event("A", 8)], UNKNOWN));
    assert_eq!(stop(&mut talk), none);
    assert_eq!(talk.stored(), ["done"]);
    // Leaving already.
    let mut talk = storing(&["/event/A__e@7"]);
    talk.wakes();
    assert_eq!(stop(&mut talk), none);
    talk.hears(LEFT);
    assert_eq!(talk.stored(), ["done"]);
}

#[test]
fn what_nobody_asked_for_changes_nothing() {
    let mut talk = polling(&["/event/A__e@7"]);
    let old = talk.sends[0].request - 1;
    let rows = [
        (Input::Start, "unasked Start"),
        (Input::TokenReady, "unasked TokenReady"),
        (Input::TokenFailed { permanent: true }, "unasked TokenFailed"),
        (Input::Answer { request: old, http: http(500, "") }, "unasked Answer"),
        (Input::Answer { request: 99, http: Err(Failure::TimedOut) }, "unasked Answer"),
        (Input::Stored { request: old }, "unasked Stored"),
        (Input::StoreFailed { request: 99 }, "unasked StoreFailed"),
        (Input::Woke { timer: 99 }, "unasked Woke"),
    ];
    for (input, expected) in rows {
        assert_eq!(shown(&talk.tell(input)), [expected]);
    }
    // A timer that was superseded is no surprise.
    assert_eq!(shown(&talk.tell(Input::Woke { timer: old })), Vec::<String>::new());
    assert_eq!(talk.hears(HELD), ["/connect"]);
}
