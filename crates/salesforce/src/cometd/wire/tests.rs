//! Bayeux messages as they are captured, damaged ones included.

use super::*;

#[test]
fn events_and_replies_are_told_apart() {
    let received = read(
        r#"[{"channel":"/event/A__e","clientId":"x","data":{"event":{"EventUuid":"u1","replayId":7},"payload":{}}},
            {"channel":"/event/A__e","data":{"event":{"replayId":"8"}},"unknown":[1]},
            {"channel":"/event/A__e"}, 5,
            {"channel":"/meta/connect","id":"3","successful":true,"clientId":"x",
             "advice":{"interval":-5,"timeout":110000,"reconnect":"retry","multiple-clients":true}}]"#
            .as_bytes(),
    )
    .expect("readable");
    let ids: Vec<_> =
        received.events.iter().map(|(_, event)| (event.replay_id, event.uuid.as_deref())).collect();
    assert_eq!(ids, [(Some(7), Some("u1")), (Some(8), None)]);
    let [reply] = received.replies.as_slice() else { panic!("one reply: {:?}", received.replies) };
    assert!(reply.successful);
    let timeout = Some(Duration::from_secs(110));
    let advice = Advice {
        reconnect: Some(Reconnect::Retry),
        interval: Some(Duration::ZERO),
        timeout,
        multiple_clients: true,
    };
    assert_eq!(reply.advice, advice);
}

#[test]
fn one_object_without_channel_is_a_reply() {
    let received = read(br#" {"error":"401::Request requires authentication","successful":false}"#);
    let error = Some("401::Request requires authentication".to_owned());
    assert_eq!(received.expect("readable").replies, [MetaReply { error, ..MetaReply::default() }]);
}

#[test]
fn the_reason_is_found_in_ext() {
    let received = read(br#"[{"channel":"/meta/connect","ext":{"sfdc":{"failureReason":"503::busy"}}}]"#);
    let reply = received.expect("readable").replies.remove(0);
    assert_eq!((reply.failure_reason.as_deref(), reply.successful), (Some("503::busy"), false));
}

#[test]
fn bodies_without_messages_are_named() {
    for empty in ["", "  \n", "null", "[]", "[1]", "{}", "[{}]"] {
        assert_eq!(read(empty.as_bytes()), Err(Unreadable::Empty), "{empty:?}");
    }
    assert_eq!(read(b"<html>Maintenance</html>"), Err(Unreadable::Html { login: false }));
    assert_eq!(read(b"\n<!DOCTYPE html><title>Login</title>"), Err(Unreadable::Html { login: true }));
    for broken in [&b"[{\"channel\":\"/meta/co"[..], b"Only POST allowed", b"7", b"\xff\xfe[]"] {
        assert!(matches!(read(broken), Err(Unreadable::Other(_))), "{broken:?}");
    }
}

/// An answer that can never be read would come again for ever.
#[test]
fn half_a_character_costs_no_event() {
    for name in [&br"cut \ud83d"[..], b"cut \xf0\x9f"] {
        let parts: [&[u8]; 3] = [
            br#"[{"channel":"/event/A__e","data":{"event":{"replayId":7},"payload":{"Name__c":""#,
            name,
            br#""}}},{"channel":"/meta/connect","successful":true}]"#,
        ];
        let received = read(&parts.concat()).expect("readable");
        let payload = &received.events[0].1.data["payload"];
        assert_eq!((received.replies.len(), payload["Name__c"].as_str()), (1, Some("cut \u{fffd}")));
    }
}

#[test]
fn messages_are_as_captured() {
    assert_eq!(
        subscribe(4, "5ra", "/topic/T?Name='x'", -1),
        r#"[{"channel":"/meta/subscribe","clientId":"5ra","ext":{"replay":{"/topic/T":-1}},"id":"4","subscription":"/topic/T?Name='x'"}]"#
    );
    assert!(connect(2, "5ra", true).contains(r#""advice":{"timeout":0}"#));
    assert!(!connect(3, "5ra", false).contains("advice"));
    assert!(handshake(1).contains(r#""supportedConnectionTypes":["long-polling"]"#));
    assert_eq!(disconnect(9, "5ra"), r#"[{"channel":"/meta/disconnect","clientId":"5ra","id":"9"}]"#);
}
