//! Two connections: a refused channel is asked for again while the poll is held.

use super::*;

const PUT_OFF: &str =
    r#"[{"channel":"/meta/subscribe","successful":false,"advice":{"reconnect":"retry","interval":0}}]"#;
const NOTHING: [&str; 0] = [];

/// A was refused for a moment, B delivers, and A's time has come while the poll is held.
fn asking() -> Talk {
    let mut talk = subscribing(&["/event/A__e@7", "/event/B__e@1"]);
    assert_eq!(talk.hears(PUT_OFF), ["refused /event/A__e 0.2", "/subscribe {/event/B__e:1}"]);
    assert_eq!(talk.hears(SUBSCRIBED), ["subscribed /event/B__e 1", "/connect at once", "wake 0.2"]);
    assert_eq!(talk.hears(CONNECTED), ["/connect"]);
    assert_eq!(talk.wakes(), ["/subscribe {/event/A__e:7}"]);
    assert_eq!(talk.sends[1].timeout, Duration::from_secs(30));
    talk
}

/// The subscribe is answered, which is the younger request, or alone.
fn second(talk: &mut Talk, http: Result<Answer, Failure>) -> Vec<String> {
    let request = talk.sends.last().expect("an open request").request;
    shown(&talk.tell(Input::Answer { request, http }))
}

fn says(talk: &mut Talk, body: &str) -> Vec<String> {
    second(talk, Ok(ok(body)))
}

#[test]
fn a_refused_channel_is_asked_for_again_while_the_poll_is_held() {
    let mut talk = asking();
    assert_eq!(says(&mut talk, PUT_OFF), ["refused /event/A__e 0.4", "wake 0.4"]);
    assert_eq!(talk.phase(), Stage::Polling);
    assert_eq!(talk.wakes(), ["/subscribe {/event/A__e:7}"]);
    assert_eq!(says(&mut talk, AGED), ["gap /event/A__e after 7", "/subscribe {/event/A__e:-2}"]);
    assert_eq!(says(&mut talk, SUBSCRIBED), ["subscribed /event/A__e -2"]);
    assert_eq!(talk.hears(&with(&[event("A", 8)], HELD))[0], "store /event/A__e [8] to 8");
    assert_eq!(talk.stored(), ["/connect"]);
}

#[test]
fn of_two_answers_one_may_bring_events() {
    // The poll ends first; its answer waits, and no poll leaves meanwhile.
    let mut talk = asking();
    assert_eq!(talk.hears(&with(&[event("B", 2)], HELD)), NOTHING);
    assert_eq!(says(&mut talk, SUBSCRIBED)[..2], ["subscribed /event/A__e 7", "store /event/B__e [2] to 2"]);
    assert_eq!(talk.stored(), ["/connect"]);
    let mut talk = asking();
    assert_eq!(talk.hears(HELD), NOTHING);
    let brought = with(&[event("A", 8)], SUBSCRIBED);
    assert_eq!(says(&mut talk, &brought)[..2], ["subscribed /event/A__e 7", "store /event/A__e [8] to 8"]);
    assert_eq!(talk.stored(), ["/connect"]);
    let mut talk = asking();
    talk.hears(&format!("[{UNKNOWN}]"));
    assert_eq!(says(&mut talk, SUBSCRIBED), ["subscribed /event/A__e 7", "lost 0", "/handshake"]);
}

/// Nobody knows which was written first, so they are asked for again.
#[test]
fn events_whose_order_is_not_sure_come_again() {
    let brought = with(&[event("A", 8)], SUBSCRIBED);
    let rows: &[(&str, Option<&str>, Result<Answer, Failure>)] = &[
        ("the poll is held", None, Ok(ok(&brought))),
        ("both bring events", Some(&with(&[event("A", 9)], HELD)), Ok(ok(&brought))),
        ("the poll's answer is lost", Some(""), Ok(ok(&brought))),
        ("the subscribe's answer is lost", Some(&with(&[event("B", 2)], HELD)), Err(Failure::TimedOut)),
        ("so it is, and the poll is held", None, Err(Failure::Broken("EOF".to_owned()))),
    ];
    for (name, poll, subscribe) in rows {
        let mut talk = asking();
        let polled = poll.map(|body| talk.hears(body));
        assert!(polled.is_none_or(|actions| actions.is_empty()), "{name}");
        assert_eq!(second(&mut talk, subscribe.clone()), ["lost 0", "/disconnect", "wake 15"], "{name}");
        if poll.is_none() {
            assert_eq!(talk.hears(&with(&[event("B", 2)], HELD)), ["unasked Answer"], "{name}");
        }
        assert_eq!(talk.hears(LEFT), ["/handshake"], "{name}");
        assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:7}"], "{name}");
        assert_eq!(talk.hears(SUBSCRIBED)[1], "/subscribe {/event/B__e:1}", "{name}");
    }
}

#[test]
fn a_stop_waits_for_the_subscribe_first() {
    let stop = |talk: &mut Talk| shown(&talk.tell(Input::Stop));
    let mut talk = asking();
    assert_eq!(stop(&mut talk), ["wake 10"]);
    assert_eq!(says(&mut talk, SUBSCRIBED), ["subscribed /event/A__e 7", "/disconnect"]);
    assert_eq!(talk.hears(&with(&[event("B", 2)], HELD)), ["store /event/B__e [2] to 2"]);
    assert_eq!(talk.hears(LEFT), NOTHING);
    assert_eq!(talk.stored(), ["done"]);
    // What the subscribe brings may be behind what the poll is about to bring.
    let mut talk = asking();
    stop(&mut talk);
    assert_eq!(says(&mut talk, &with(&[event("A", 8)], SUBSCRIBED)), ["/disconnect"]);
    assert_eq!(says(&mut talk, LEFT), ["done"]);
    let mut talk = asking();
    talk.hears(&with(&[event("B", 2)], HELD));
    stop(&mut talk);
    assert_eq!(says(&mut talk, PUT_OFF), ["store /event/B__e [2] to 2", "/disconnect"]);
    assert_eq!((talk.hears(LEFT).len(), talk.stored()), (0, vec!["done".to_owned()]));
    let mut talk = asking();
    stop(&mut talk);
    assert_eq!(talk.wakes(), ["done"]);
}
