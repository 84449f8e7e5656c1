//! Decimal rounding.

use proptest::prelude::*;

use super::*;

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
        assert_eq!(rounded(number, scale, whole), expected, "{number}");
    }
}

proptest! {
    #[test]
    fn rounding_twice_is_rounding_once(number in -1e15..1e15_f64, scale in 0..6_u32) {
        let once = rounded(number, scale, 18).unwrap();
        prop_assert_eq!(rounded(once, scale, 18), Ok(once));
    }
}
