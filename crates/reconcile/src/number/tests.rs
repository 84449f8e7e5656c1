//! Decimal rounding.

use proptest::prelude::*;

use super::*;

/// Of a double, as its shortest text says it.
fn rounded_double(number: f64, scale: u32, whole_max: u32) -> Result<f64, Misfit> {
    rounded(&format!("{number:e}"), scale, whole_max).map(Decimal::double)
}

#[test]
fn numbers_are_rounded_half_away_from_zero() {
    let cases = [
        (5.0e7, 0, Ok(50_000_000.0)),
        (1.005, 2, Ok(1.01)),
        (-1.005, 2, Ok(-1.01)),
        (2.5, 0, Ok(3.0)),
        (-2.5, 0, Ok(-3.0)),
        (0.004, 2, Ok(0.0)),
        (-0.004, 2, Ok(0.0)),
        (1e-300, 2, Ok(0.0)),
        (99_999.0, 0, Ok(99_999.0)),
        (99_999.5, 0, Err(Misfit::TooLarge)),
        (1e300, 2, Err(Misfit::TooLarge)),
        (f64::NAN, 2, Err(Misfit::NotANumber)),
        (f64::INFINITY, 2, Err(Misfit::NotANumber)),
    ];
    for (number, scale, expected) in cases {
        let whole = if number.abs() > 1e6 { 16 } else { 5 };
        assert_eq!(rounded_double(number, scale, whole), expected, "{number}");
    }
}

#[test]
fn no_digit_is_lost_and_what_json_cannot_carry_is_not_sent() {
    let rows = [
        ("9007199254740993", 0, Some("9007199254740993")),
        ("9007199254740993.0", 0, Some("9007199254740993")),
        ("9.007199254740993e15", 2, Some("9007199254740993")),
        ("-999999999999999999", 0, Some("-999999999999999999")),
        ("0.30000000000000004", 2, Some("0.3")),
        ("12.10", 2, Some("12.1")),
        ("1234567890123456.78", 2, None),
        ("0.1000000000000000055511151231257827021181583404541015625", 2, Some("0.1")),
    ];
    for (text, scale, sent) in rows {
        let sent_now = rounded(text, scale, 18).unwrap().json().map(|value| value.to_string());
        assert_eq!(sent_now.as_deref(), sent, "{text}");
    }
    for text in ["", "-", ".", "1e", "1e99999999999", "0x10", "inf", "NaN", "1,5", "1 5"] {
        assert_eq!(rounded(text, 2, 18), Err(Misfit::NotANumber), "{text}");
    }
}

#[test]
fn the_spellings_of_one_number_have_one_plain_form() {
    for text in ["42", "042", "42.0", "4.2e1", "+42", "420E-1"] {
        assert_eq!(plain(text).as_deref(), Some("42"), "{text}");
    }
    let rows = [("-1.50", Some("-1.5")), ("0.0", Some("0")), ("9007199254740993", Some("9007199254740993"))];
    for (text, expected) in rows.into_iter().chain([("K1", None), ("", None)]) {
        assert_eq!(plain(text).as_deref(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn rounding_twice_is_rounding_once(number in -1e15..1e15_f64, scale in 0..6_u32) {
        let once = rounded_double(number, scale, 18).unwrap();
        prop_assert_eq!(rounded_double(once, scale, 18), Ok(once));
    }
}
