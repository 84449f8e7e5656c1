//! Numbers as Salesforce keeps and prints them.
//!
//! Here: rounding to a field's scale, and Java's text of a double (used in Bulk results). Not here: ranges (`value`).

/// Rounds half away from zero at so many decimals, on the decimal text, so that 1.005 at two decimals is 1.01.
/// Values of 1e18 and more come back as they are: no field holds them.
pub(crate) fn round(value: f64, scale: u8) -> f64 {
    let text = format!("{}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let scale = usize::from(scale);
    if fraction.len() <= scale || value.abs() >= 1e18 {
        return value;
    }
    let kept: u128 = format!("{whole}{}", &fraction[..scale]).parse().unwrap_or(0);
    let up = u128::from(fraction.as_bytes()[scale] >= b'5');
    let digits = format!("{:0>width$}", kept + up, width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let rounded: f64 = format!("{whole}.{fraction}0").parse().unwrap_or(value);
    if value < 0.0 && rounded > 0.0 { -rounded } else { rounded }
}

/// What Java's `Double.toString` prints: `5.0`, `0.001`, `9.12260031E8`.
pub(crate) fn java_text(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, power)) if !digits.contains('.') => format!("{digits}.0E{power}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_half_away_from_zero() {
        for (value, scale, rounded) in [
            (1.005, 2, 1.01),
            (2.5, 0, 3.0),
            (-2.5, 0, -3.0),
            (0.4, 0, 0.0),
            (-0.4, 0, 0.0),
            (9.999, 2, 10.0),
            (12.0, 0, 12.0),
            (1e-9, 2, 0.0),
        ] {
            assert_eq!(round(value, scale).to_string(), rounded.to_string(), "{value} at {scale}");
        }
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        for (value, text) in [
            (5.0, "5.0"),
            (912_260_031.0, "9.12260031E8"),
            (1e7, "1.0E7"),
            (0.25, "0.25"),
            (0.0005, "5.0E-4"),
        ] {
            assert_eq!(java_text(value), text);
        }
    }
}
