//! Events, positions and the store.

use super::*;

#[test]
fn events_are_stored_before_the_next_poll() {
    let mut talk = storing(&["/event/A__e@7"]);
    assert_eq!(talk.stored(), ["/connect"]);
    let both = [event("B", 3), event("A", 12), event("B", 4), event("X", 1)];
    let mut talk = polling(&["/event/A__e@7", "/event/B__e"]);
    assert_eq!(talk.hears(&with(&both, HELD))[0], "store /event/A__e [12] to 12, /event/B__e [3, 4] to 4");
    talk.stored();
    talk.hears(&format!("[{UNKNOWN}]"));
    assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:12}"]);
    assert_eq!(talk.hears(SUBSCRIBED)[1], "/subscribe {/event/B__e:4}");
}

/// Salesforce has forgotten them by then.
#[test]
fn events_count_wherever_they_come() {
    let mut talk = subscribing(&["/event/A__e@7", "/event/B__e@1"]);
    // Ahead of the subscribe's own reply; an event of a channel not yet asked for waits for its turn.
    let actions = talk.hears(&with(&[event("A", 8), event("B", 2)], SUBSCRIBED));
    assert_eq!(actions[..2], ["subscribed /event/A__e 7", "store /event/A__e [8] to 8"]);
    assert_eq!(talk.stored(), ["/subscribe {/event/B__e:1}"]);
    // With an answer that fails.
    let actions = talk.hears(&with(&[event("A", 9)], &refusal("subscribe", "403::Restricted channel", None)));
    assert_eq!(actions[..2], ["refused /event/B__e 900", "store /event/A__e [9] to 9"]);
    assert_eq!(talk.stored(), ["/connect at once"]);
    // With the end of the session.
    let end = format!(r#"{{"channel":"/meta/disconnect","successful":true}},{UNKNOWN}"#);
    assert_eq!(talk.hears(&with(&[event("A", 10)], &end)), ["lost 0", "store /event/A__e [10] to 10"]);
    assert_eq!(talk.stored(), ["/handshake"]);
    assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:10}"]);
}

#[test]
fn events_that_are_not_stored_are_asked_for_again() {
    let mut talk = storing(&["/event/A__e@7"]);
    assert_eq!(talk.not_stored(), ["lost 0.2", "/disconnect", "wake 15"]);
    assert_eq!(talk.hears(LEFT), ["wake 0.2"]);
    assert_eq!(talk.wakes(), ["/handshake"]);
    assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:7}"]);
    talk.hears(&with(&[event("A", 8)], SUBSCRIBED));
    assert_eq!(talk.stored(), ["/connect at once"]);
}

#[test]
fn a_slow_store_ends_the_session_before_salesforce_does() {
    let mut talk = storing(&["/event/A__e@7"]);
    assert_eq!(talk.wakes(), ["lost 0", "/disconnect", "wake 15"]);
    // What comes with the disconnect is not taken; it is after 8 and comes again.
    assert_eq!(talk.hears(&with(&[event("A", 9)], LEFT)), Vec::<String>::new());
    assert_eq!(talk.after(3600.0).stored(), ["/handshake"]);
    assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:8}"]);
    // The other order: the store is done first, and the server never answers.
    let mut talk = storing(&["/event/A__e@7"]);
    talk.wakes();
    assert_eq!(talk.stored(), Vec::<String>::new());
    assert_eq!(talk.wakes(), ["/handshake"]);
}

#[test]
fn a_busy_channel_leaves_one_timer_behind() {
    let mut talk = polling(&["/event/A__e@7"]);
    for id in 8..500 {
        talk.after(0.05).hears(&with(&[event("A", id)], HELD));
        talk.stored();
    }
    assert_eq!(talk.wakes.len(), 1);
    // It rings in time for a store that began later, and is set anew.
    talk.hears(&with(&[event("A", 500)], HELD));
    let left = talk.wakes().remove(0);
    assert!(left.starts_with("wake 2"), "{left}");
    assert_eq!(talk.wakes()[1], "/disconnect");
}

#[test]
fn an_aged_position_is_a_gap_and_the_rest_is_replayed() {
    let mut talk = subscribing(&["/event/A__e@7", "/event/B__e@1"]);
    assert_eq!(talk.hears(AGED), ["gap /event/A__e after 7", "/subscribe {/event/A__e:-2}"]);
    assert_eq!(talk.hears(SUBSCRIBED), ["subscribed /event/A__e -2", "/subscribe {/event/B__e:1}"]);
    talk.hears(SUBSCRIBED);
    talk.hears(CONNECTED);
    // Still without a position: the gap is known already.
    talk.hears(&format!("[{UNKNOWN}]"));
    assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:-2}"]);
    talk.hears(&with(&[event("A", 3)], SUBSCRIBED));
    talk.stored();
    talk.hears(SUBSCRIBED);
    talk.hears(&format!("[{UNKNOWN}]"));
    talk.wakes();
    assert_eq!(talk.hears(SHAKEN), ["connected", "/subscribe {/event/A__e:3}"]);
    // If even -2 is "invalid", the channel waits.
    let mut talk = subscribing(&["/event/A__e@all"]);
    assert_eq!(talk.hears(AGED), ["refused /event/A__e 900", "/connect at once", "wake 900"]);
}

#[test]
fn a_position_that_is_no_replay_id_is_a_gap() {
    for position in ["x", "-1", "99999999999999999999"] {
        let channel = format!("/event/A__e@{position}");
        let mut talk = shaking(&[&channel]);
        let gap = format!("gap /event/A__e after {position}");
        assert_eq!(talk.hears(SHAKEN), ["connected", &gap, "/subscribe {/event/A__e:-2}"]);
    }
}

#[test]
fn a_new_session_without_a_position_asks_for_all_that_is_retained() {
    let mut talk = polling(&["/event/A__e"]);
    talk.hears(&format!("[{UNKNOWN}]"));
    talk.hears(SHAKEN);
    let actions = talk.hears(SUBSCRIBED);
    assert_eq!(actions, ["subscribed /event/A__e -2", "/connect at once"]);
}

#[test]
fn repeated_events_are_known_by_name_not_by_size() {
    let mut talk = polling(&["/event/A__e@7"]);
    let mut batch = |events: &[String]| {
        let actions = talk.hears(&with(events, HELD));
        while talk.phase() != Stage::Polling {
            if talk.phase() == Stage::Storing {
                talk.stored()
            } else {
                talk.wakes()
            };
        }
        actions[0].clone()
    };
    assert_eq!(batch(&[named("A", 8, "x"), named("A", 9, "y")]), "store /event/A__e [8, 9] to 9");
    // S26: the same event again, with the same id and with another one.
    assert_eq!(batch(&[named("A", 9, "y")]), "/connect");
    assert_eq!(batch(&[named("A", 10, "y")]), "store /event/A__e [] to 10");
    assert_eq!(batch(&[named("A", 11, "z"), named("A", 11, "z")]), "store /event/A__e [11] to 11");
    // S25: after a migration ids begin lower and mean other events.
    assert_eq!(batch(&[named("A", 9, "n"), named("A", 3, "m")]), "store /event/A__e [9, 3] to 3");
    // Without a uuid the id is all there is.
    assert_eq!(batch(&[nameless("A", 3), nameless("A", 4), nameless("A", 4)]), "store /event/A__e [4] to 4");
    assert_eq!(batch(&[nameless("A", 4)]), "/connect");
}
