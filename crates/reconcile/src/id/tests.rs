//! Record IDs of 15 and of 18 characters.

use proptest::prelude::*;

use super::*;

#[test]
fn both_forms_have_one_canonical_form() {
    let cases = [
        ("0015000000Gv7qJ", Some("0015000000Gv7qJAAR")),
        ("0015000000Gv7qJAAR", Some("0015000000Gv7qJAAR")),
        (" 0015000000Gv7qJAAR ", Some("0015000000Gv7qJAAR")),
        ("0015000000GV7QJAAR", Some("0015000000Gv7qJAAR")),
        ("0015000000gv7qjaar", Some("0015000000Gv7qJAAR")),
        // Salesforce does not tell the case of the check letters apart.
        ("0015000000Gv7qJaar", Some("0015000000Gv7qJAAR")),
        ("001000000000001AAA", Some("001000000000001AAA")),
        ("001000000000001ZZZ", None),
        ("0015000000Gv7qJAAS", None),
        ("0015000000Gv7qjAAR", None),
        ("001D000000IqhSLIAA", None),
        ("001", None),
        ("0015000000Gv7q-", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(canonical(text).as_deref(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn case_survives_upper_and_lower_casing(stem in "[0-9a-zA-Z]{15}") {
        let id = canonical(&stem).unwrap();
        prop_assert_eq!(canonical(&id), Some(id.clone()));
        prop_assert_eq!(canonical(&id.to_uppercase()), Some(id.clone()));
        prop_assert_eq!(canonical(&id.to_lowercase()), Some(id));
    }
}
