//! Which numbers become text.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn only_numbers_that_would_be_rounded_become_text() {
    let rows = [
        (r#"{"a":9007199254740993}"#, r#"{"a":9007199254740993}"#),
        (r#"{"a":9007199254740993.0,"b":1.5}"#, r#"{"a":"9007199254740993.0","b":1.5}"#),
        (r"[-9.007199254740993e15]", r#"["-9.007199254740993e15"]"#),
        (r"[12345678901234567890]", r#"["12345678901234567890"]"#),
        (
            r#"["9007199254740993.0", "\\", 0.10000000000000001]"#,
            r#"["9007199254740993.0", "\\", "0.10000000000000001"]"#,
        ),
        (
            r#"{"9007199254740993.0":0.000000000000000000015}"#,
            r#"{"9007199254740993.0":0.000000000000000000015}"#,
        ),
        (r#"["\"9007199254740993.0"]"#, r#"["\"9007199254740993.0"]"#),
    ];
    for (json, expected) in rows {
        assert_eq!(quoted(json), expected);
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_valid_json_stays_valid(text in "[0-9.eE+\\-\"\\\\,{}\\[\\]:a ]{0,60}") {
        let new = quoted(&text);
        if serde_json::from_str::<Value>(&text).is_ok() {
            prop_assert!(serde_json::from_str::<Value>(&new).is_ok(), "{new}");
        }
    }
}
