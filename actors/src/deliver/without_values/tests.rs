use proptest::prelude::*;
use serde_json::json;

use super::*;

fn values(fields: &Value) -> Values {
    let entry = json!({
        "v": 1, "sync": "s", "target": "Enrichment__c", "external_id_field": "External_Id__c", "external_id": "ACME-77",
        "source_id": "001000000000001AAA", "origin": "live", "received_ms": 1, "fields": fields,
    });
    Values::of(&serde_json::from_value(entry).expect("an entry"))
}

fn cut(fields: &Value, message: &str) -> String {
    let fields_blamed = vec!["Other_Name".to_owned()];
    values(fields)
        .cut(LetterError { code: "X".into(), message: message.into(), fields: fields_blamed })
        .message
}

#[test]
fn what_salesforce_says_stays_and_the_values_go() {
    for (fields, message, expected) in [
        (
            json!({ "N__c": "abcdef" }),
            "N: data value too large: abcdef (max length=5)",
            "N: data value too large: … (max length=5)",
        ),
        // A value that was not sent as it is shown.
        (
            json!({}),
            "N: data value too large: from a flow (max length=255)",
            "N: data value too large: … (max length=255)",
        ),
        (
            json!({ "I__c": "US" }),
            "I: bad value for restricted picklist field: US",
            "I: bad value for restricted picklist field: …",
        ),
        (json!({}), "Email: invalid email address: jo@x.example", "Email: invalid email address: …"),
        (json!({ "C__c": 42 }), "it may not be 42 or 43", "it may not be … or 43"),
        (json!({ "C__c": 1_234_567.5 }), "1,234,567.50 is too much, 1.2345675E6 is", "… is too much, … is"),
        (
            json!({ "D__c": "2026-01-31" }),
            "Sat Jan 31 00:00:00 GMT 2026 is late",
            "Sat Jan 31 … GMT … is late",
        ),
        (
            json!({ "Account__c": "001000000000001AAA" }),
            "invalid cross reference id: 001000000000001aaa",
            "invalid cross reference id: …",
        ),
        // Another record's ID is no value.
        (
            json!({}),
            "duplicate value found: External_Id__c duplicates value on record with id: a0X000000000001AAA",
            "duplicate value found: External_Id__c duplicates value on record with id: a0X000000000001AAA",
        ),
        (json!({}), "duplicate for acme-77", "duplicate for …"),
        (json!({ "L__c": "one;two;three" }), "TWO is no entry", "… is no entry"),
        (json!({ "N__c": "a\nb long line\nc" }), "b long line is wrong", "…is wrong"),
        (json!({ "N__c": "Tom & \"Co\"" }), "Tom &amp; &quot;Co&quot; is wrong", "… is wrong"),
        (
            json!({}),
            "No such column 'N__c' on 'Other_Name', but 'secret'",
            "No such column 'N__c' on 'Other_Name', but '…'",
        ),
        (json!({}), "the customer's rule isn't met", "the customer's rule isn't met"),
        (json!({ "B__c": true }), "true is no reason", "true is no reason"),
    ] {
        assert_eq!(cut(&fields, message), expected, "{message}");
    }
    let long = "The quick brown fox jumps over the lazy dog";
    let said = cut(&json!({ "N__c": long }), "too long: The quick brown fo...");
    assert!(!said.contains("quick") && said.starts_with("too long: "), "{said}");
}

/// Of pieces that are in no message nearly all are told by their mark: what is left to be searched for is bounded.
#[test]
fn few_pieces_of_a_long_value_are_searched_for_in_a_message() {
    let mut state = 1_u64;
    let mut words = |count: usize| -> Vec<char> {
        let letter = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b"etaoinshrdlu "[usize::try_from(state >> 33).expect("31 bits") % 13])
        };
        (0..count).map(letter).collect()
    };
    let (message, text) = (words(1_000), words(32_000));
    let marks: std::collections::HashSet<usize> = message.windows(PIECE_CHARS).map(mark_of).collect();
    let searched = text.windows(PIECE_CHARS).filter(|window| marks.contains(&mark_of(window))).count();
    assert!(searched < text.len() / 10, "{searched}");
}

proptest! {
    #[test]
    fn no_value_survives_in_a_message_that_repeats_it(
        value in "[a-zA-Z0-9äÖ'\"…;:(). -]{3,30}", other in "[a-z ]{0,20}", before in "[a-zA-Z ':…]{0,15}",
        between in "[a-z…' ]{0,6}", upper in any::<bool>(),
    ) {
        let value = value.trim().to_owned();
        prop_assume!(value.chars().count() >= VALUE_CHARS_MIN);
        let shown = if upper { value.to_uppercase() } else { value.clone() };
        let message = format!("{before}{shown}{between}{value}{other}");
        let left = cut(&json!({ "N__c": value.clone(), "M__c": other }), &message);
        let lowered = |text: &str| text.chars().map(lower).collect::<String>();
        prop_assert!(!lowered(&left).contains(&lowered(&value)), "{left:?} of {message:?}");
    }

    #[test]
    fn a_long_value_is_cut_from_its_beginning_on(value in "[a-zA-Z ]{60,90}", chars in 20..60_usize) {
        let value = value.trim().to_owned();
        let beginning: String = value.chars().take(chars).collect();
        let left = cut(&json!({ "N__c": value }), &format!("bad: {beginning}..."));
        let piece: String = beginning.chars().take(PIECE_CHARS).collect();
        prop_assert!(piece.trim().len() < PIECE_CHARS || !left.contains(&piece), "{left:?}");
    }

    #[test]
    fn cutting_never_panics(message in ".{0,80}", value in ".{0,40}", number in any::<f64>()) {
        cut(&json!({ "N__c": value, "C__c": number, "L__c": ["a", null, { "b": 1 }] }), &message);
    }
}
