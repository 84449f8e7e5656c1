//! Escaping, statements and the cutting of IN lists.

use proptest::prelude::*;

use super::*;

#[test]
fn whatever_could_end_a_literal_is_escaped() {
    for (text, literal) in [
        ("plain", "'plain'"),
        ("", "''"),
        ("O'Neil", r"'O\'Neil'"),
        (r"a\", r"'a\\'"),
        (r"\' OR Name != '", r"'\\\' OR Name != \''"),
        ("a\nb\r\tc", r"'a\nb\r\tc'"),
        ("\u{8}\u{c}\u{0}\u{7f}", r"'\b\f\u0000\u007F'"),
        ("50%_\"é漢", "'50%_\"é漢'"),
    ] {
        assert_eq!(quote(text), literal);
    }
}

#[test]
fn names_are_letters_digits_underscores_and_dots() {
    for name in ["Id", "ns__Field__c", "Account.Owner.Name", "Custom_Thing__r.Name"] {
        assert!(is_name(name), "{name}");
    }
    for name in ["", "1st", "_x", "a b", "a,b", "a.", ".a", "a'", "Name)", "é"] {
        assert!(!is_name(name), "{name}");
    }
}

#[test]
fn statements() {
    let all = Select::from("Account");
    for (select, soql) in [
        (all.clone(), "SELECT Id FROM Account"),
        (
            all.clone()
                .fields(["Id", "Website", "id"])
                .where_raw("Website != null OR Name = 'x'")
                .and_gt("Id", "001")
                .order_by("Id")
                .limit(200),
            "SELECT Id,Website FROM Account WHERE (Website != null OR Name = 'x') AND Id > '001' ORDER BY Id LIMIT 200",
        ),
        (all.clone().where_in("Name", &["a", "O'B"]), r"SELECT Id FROM Account WHERE Name IN ('a','O\'B')"),
        (
            all.clone().where_among("Number__c", &["42".to_owned(), "-1.5".to_owned()]),
            "SELECT Id FROM Account WHERE Number__c IN (42,-1.5)",
        ),
        (all.clone().where_in::<&str>("Name", &[]), "SELECT Id FROM Account WHERE Id = null"),
        (all.where_raw("  "), "SELECT Id FROM Account"),
    ] {
        assert_eq!(select.to_soql(), soql);
    }
}

#[test]
fn a_literal_has_a_length() {
    assert!(fits_literal(&"a".repeat(3_998)));
    assert!(!fits_literal(&"'".repeat(2_000)));
}

#[test]
fn no_values_make_no_parts() {
    assert!(Select::from("Account").chunks("Id", &[], 8_000).is_empty());
}

/// Reads a literal back by the escape rules of the reference.
fn unquote(literal: &str) -> Option<String> {
    let inner = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut text = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => return None,
            '\\' => text.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                c @ ('\'' | '\\' | '"') => c,
                'u' => {
                    let hex: String = chars.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?
                }
                _ => return None,
            }),
            c => text.push(c),
        }
    }
    Some(text)
}

proptest! {
    #[test]
    fn a_literal_reads_back_as_the_text(text in any::<String>()) {
        prop_assert_eq!(unquote(&quote(&text)), Some(text));
    }

    #[test]
    fn parts_hold_every_value_once_and_fit_the_budget(
        values in proptest::collection::vec("[a-z'%é ]{1,30}", 0..600), budget in 300_usize..4_000,
    ) {
        let select = Select::from("Account").fields(["Id", "Website"]);
        let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
        let parts = select.chunks("Website", &values, budget);
        prop_assert_eq!(parts.concat(), values.clone());
        for part in parts {
            prop_assert!(!part.is_empty() && part.len() <= IN_LIST_MAX);
            let bytes = encoded_len(&select.clone().where_among("Website", part).to_soql());
            prop_assert!(bytes <= budget || part.len() == 1, "{} over {}", bytes, budget);
        }
    }
}
