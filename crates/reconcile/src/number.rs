//! Decimal rounding as Salesforce does it: half away from zero at the field's scale.
//!
//! Here: one number. Not here: which fields hold numbers (`describe`, `stored`).

/// Digits after the point when describe gives no scale.
pub(crate) const SCALE_MAX: u32 = 18;

/// Why a number does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Not a decimal number.
    NotANumber,
    /// More digits before the point than the field has.
    TooLarge,
}

/// Rounds to `scale`; refuses more than `whole_max` digits before the point.
///
/// Takes the shortest decimal of the double, so `1.005` is one thousand and five thousandths, not 1.00499….
pub(crate) fn rounded(number: f64, scale: u32, whole_max: u32) -> Result<f64, Misfit> {
    let scale = scale.min(SCALE_MAX);
    let (mantissa, exponent) = decimal(&format!("{number:e}")).ok_or(Misfit::NotANumber)?;
    let shift = exponent + i32::try_from(scale).map_err(|_| Misfit::TooLarge)?;
    let units = if shift >= 0 {
        power(shift.unsigned_abs()).and_then(|power| mantissa.checked_mul(power)).ok_or(Misfit::TooLarge)?
    } else {
        power(shift.unsigned_abs()).map_or(0, |power| {
            let half = power / 2 * mantissa.signum();
            (mantissa + half) / power
        })
    };
    if power(whole_max.saturating_add(scale)).is_some_and(|bound| units.abs() >= bound) {
        return Err(Misfit::TooLarge);
    }
    let rounded: f64 = format!("{units}e-{scale}").parse().map_err(|_| Misfit::NotANumber)?;
    Ok(if rounded == 0.0 { 0.0 } else { rounded })
}

/// `1.25e3` as mantissa 125 and exponent 1.
fn decimal(text: &str) -> Option<(i128, i32)> {
    let (digits, exponent) = text.split_once('e')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa = format!("{whole}{fraction}").parse().ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    Some((mantissa, exponent - i32::try_from(fraction.len()).ok()?))
}

fn power(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

#[cfg(test)]
mod tests;
