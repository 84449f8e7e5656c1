//! Which events are taken for repeats, and how many of them are remembered.

use serde_json::Value;

use super::*;

#[test]
fn no_two_names_of_events_are_taken_for_one() {
    let key =
        |uuid: &str| Key::of(&Event { replay_id: Some(1), uuid: Some(uuid.to_owned()), data: Value::Null });
    let number = 0x2ec0_e371_1395_457f_9275_be1b_527a_72f7;
    assert_eq!(key("2ec0e371-1395-457f-9275-be1b527a72f7"), Some(Key::Uuid(number)));
    for other in [
        "2ec0e3711395457f9275be1b527a72f7",
        "2EC0e371-1395-457f-9275-be1b527a72f7",
        "2ec0e371-1395-457f-9275-be1b527a72g7",
        "2ec0e371-1395-457f-9275-be1b527a72f7 ",
        "2ec0e371-1395-457f09275-be1b527a72f7",
        "2ec0e37-11395-457f-9275-be1b527a72f7",
        "u-1",
    ] {
        assert_eq!(key(other), Some(Key::Name(other.into())));
    }
    assert_eq!(key(&"x".repeat(65)), None);
}

#[test]
fn what_is_remembered_is_bounded_and_recent() {
    let mut seen = Seen::default();
    let knows =
        |seen: &Seen, id| seen.young.contains(&Key::Replay(id)) || seen.old.contains(&Key::Replay(id));
    let mut last = 0;
    for count in [1, 499, 3, 10_000, 7, 500] {
        seen.add((last..last + count).map(Key::Replay).collect());
        last += count;
        assert!(seen.young.len() <= SEEN_MAX && seen.old.len() <= SEEN_MAX);
        assert!((last.saturating_sub(500).max(0)..last).all(|id| knows(&seen, id)), "of {last}");
    }
    assert!(!knows(&seen, 0));
}
