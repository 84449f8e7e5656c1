//! Decimal rounding as Salesforce does it: half away from zero at the field's scale.
//!
//! Here: one number, exactly. Not here: which fields hold numbers (`describe`, `stored`).

use serde_json::{Number, Value};

/// Digits after the point when describe gives no scale.
pub(crate) const SCALE_MAX: u32 = 18;
/// Significant digits that are looked at; no field has more than 18.
const DIGITS_MAX: usize = 36;
/// From here on (2^53) a double stands for several whole numbers.
const EXACT_MAX: u128 = 1 << 53;

/// Why a number does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Not a decimal number.
    NotANumber,
    /// More digits before the point than the field has.
    TooLarge,
}

/// A number at a field's scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// In units of the last digit.
    pub(crate) units: i128,
    scale: u32,
}

impl Decimal {
    /// The nearest double.
    pub(crate) fn double(self) -> f64 {
        let nearest = format!("{}e-{}", self.units, self.scale).parse().unwrap_or(f64::NAN);
        // There is no negative nothing.
        if nearest == 0.0 { 0.0 } else { nearest }
    }

    /// True if a double may stand for this number and for others.
    pub(crate) fn is_past_doubles(self) -> bool {
        self.units.unsigned_abs() >= EXACT_MAX
    }

    /// The JSON for it; `None` if no number in JSON carries all its digits. A whole number is sent without a point: Bulk
    /// CSV and `int` fields refuse `3.0`.
    pub(crate) fn json(self) -> Option<Value> {
        let mut plain = self;
        while plain.scale > 0 && plain.units % 10 == 0 {
            plain = Self { units: plain.units / 10, scale: plain.scale - 1 };
        }
        if plain.scale == 0 {
            return i64::try_from(plain.units).ok().map(|whole| Value::Number(whole.into()));
        }
        let double = plain.double();
        let same = rounded(&format!("{double:e}"), plain.scale, u32::MAX) == Ok(plain);
        Number::from_f64(double).filter(|_| same).map(Value::Number)
    }
}

/// Rounds a decimal text to `scale`; refuses more than `whole_max` digits before the point.
///
/// A double is given as its shortest text, so `1.005` is one and five thousandths, not 1.00499….
pub(crate) fn rounded(text: &str, scale: u32, whole_max: u32) -> Result<Decimal, Misfit> {
    let scale = scale.min(SCALE_MAX);
    let (mantissa, exponent) = decimal(text).ok_or(Misfit::NotANumber)?;
    if mantissa == 0 {
        return Ok(Decimal { units: 0, scale });
    }
    let shift = exponent + i64::from(scale);
    let step = u32::try_from(shift.unsigned_abs()).ok().and_then(power);
    let units = if shift >= 0 {
        step.and_then(|step| mantissa.checked_mul(step)).ok_or(Misfit::TooLarge)?
    } else {
        step.map_or(0, |step| (mantissa + step / 2 * mantissa.signum()) / step)
    };
    if power(whole_max.saturating_add(scale)).is_some_and(|bound| units.abs() >= bound) {
        return Err(Misfit::TooLarge);
    }
    Ok(Decimal { units, scale })
}

/// A whole or other number in the one way that all its spellings share: `42` for `042`, `42.0` and `4.2e1`.
pub(crate) fn plain(text: &str) -> Option<String> {
    let number = rounded(text, SCALE_MAX, SCALE_MAX).ok()?;
    let (units, unit) = (number.units.unsigned_abs(), power(number.scale)?.unsigned_abs());
    let sign = if number.units < 0 { "-" } else { "" };
    let fraction = format!("{:0width$}", units % unit, width = number.scale as usize);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{}{point}{fraction}", units / unit))
}

/// `-1.25e3` as mantissa -125 and exponent 1. Digits past [`DIGITS_MAX`] are dropped: half away from zero looks at none.
fn decimal(text: &str) -> Option<(i128, i64)> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let kept = &digits[..digits.len().min(DIGITS_MAX)];
    let mantissa: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    let dropped = i64::try_from(digits.len() - kept.len()).ok()?;
    let exponent = i64::from(exponent.parse::<i32>().ok()?) + dropped - i64::try_from(fraction.len()).ok()?;
    Some((sign * mantissa, exponent))
}

fn power(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

#[cfg(test)]
mod tests;
