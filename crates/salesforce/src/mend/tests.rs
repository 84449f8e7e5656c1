//! Which parts of a text are replaced, and which are left alone.

use serde_json::{Value, json};

use super::*;

#[test]
fn an_answer_with_half_a_character_is_read_and_what_is_no_json_is_not() {
    let rows: [(&[u8], Option<Value>); 5] = [
        (br#"{"Name":"a\ud83d"}"#, Some(json!({"Name": "a\u{fffd}"}))),
        (br#"{"Name":"\udc00a"}"#, Some(json!({"Name": "\u{fffd}a"}))),
        (b"{\"Name\":\"a\xf0\x9f\"}", Some(json!({"Name": "a\u{fffd}"}))),
        (br#"{"Name":"\ud83d\ude00"}"#, Some(json!({"Name": "\u{1f600}"}))),
        (br#"{"Name":"\ud83d"#, None),
    ];
    for (body, expected) in rows {
        assert_eq!(json(body).ok(), expected, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn only_halves_of_characters_are_replaced() {
    let rows: [(&[u8], Option<&str>); 9] = [
        (br#""a\ud83d""#, Some("\"a\u{fffd}\"")),
        (br#""\ud83d\ud83d\ude00\ude00x""#, Some("\"\u{fffd}\\ud83d\\ude00\u{fffd}x\"")),
        (br#""\\ud83d\n\u00e9""#, None),
        (br#""\\\ud83d""#, Some("\"\\\\\u{fffd}\"")),
        (br#""\ud83d\ude00""#, None),
        (br#""\ud83"#, None),
        (br#""\u+83d""#, None),
        (b"\"a\xffb\"", Some("\"a\u{fffd}b\"")),
        ("\"é\\".as_bytes(), None),
    ];
    for (body, expected) in rows {
        assert_eq!(mended(body).as_deref(), expected, "{}", String::from_utf8_lossy(body));
    }
}
