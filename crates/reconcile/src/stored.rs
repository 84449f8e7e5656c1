//! How Salesforce keeps a value: what to send, and the form in which two values are compared.
//!
//! Here: one value and its field. Not here: records (`diff`).
//!
//! Invariant: what we send, stored and read back, has the same [`Key`]. A naive comparison rewrites records for ever.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use serde_json::Value;

use crate::{
    describe::{Field, Kind},
    id,
    identity::Identity,
    number::{Decimal, Misfit, SCALE_MAX, rounded},
    plan::RecordProblem,
    row,
    value::Overlong,
};

/// Whole digits when describe gives no precision ("Custom Field Types": 18 digits).
const DIGITS_MAX: u32 = 18;

/// Texts of at most so many characters are codes (`USA`, `de_DE`): a part of one is another one, so they are never cut.
const CODE_CHARS_MAX: usize = 9;

/// The form in which values are compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// Nothing: null, empty text, blanks.
    Null,
    /// Text, picklist value or record ID, folded as the field demands.
    Text(String),
    /// Values of a multi-select picklist, sorted.
    Set(Vec<String>),
    /// Value of a checkbox.
    Flag(bool),
    /// Number at the field's scale.
    Number(Amount),
    /// Days, seconds or milliseconds: date, instant, time of day.
    Time(i64),
    /// A stored value we cannot read; equal to nothing we send.
    Unreadable,
}

/// A number at its field's scale, as it is compared. Salesforce answers doubles: beyond 2^53 one of those stands for
/// several numbers, and then only the nearest double can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// In units of the last digit, if all of them are known.
    exact: Option<i128>,
    nearest: f64,
}

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        match (self.exact, other.exact) {
            (Some(one), Some(other)) => one == other,
            _ => self.nearest.to_bits() == other.nearest.to_bits(),
        }
    }
}

/// A value ready to send, and its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The JSON that is sent.
    pub value: Value,
    /// What is compared with the stored value's key.
    pub key: Key,
}

/// Brings a wanted value into the form in which the field keeps it, or says why it cannot be kept. `overlong`: what the
/// operator said of a text that is longer than the field.
pub fn prepare(field: &Field, value: &Value, overlong: Option<Overlong>) -> Result<Prepared, RecordProblem> {
    if field.kind == Kind::Unsupported {
        let hint = "Map to a plain field; compound and binary fields cannot be written.";
        return Err(refuse(field, "its type cannot be written by a mapping", hint));
    }
    if row::is_empty(value) {
        return Ok(empty(field.kind));
    }
    match field.kind {
        Kind::Text | Kind::TextArea => free_text(field, value, overlong),
        Kind::ExactText | Kind::Picklist => exact_text(field, value),
        Kind::MultiPicklist => multi_picklist(field, value),
        Kind::Checkbox => checkbox(field, value),
        Kind::Int | Kind::Number => number(field, value),
        Kind::Date | Kind::DateTime | Kind::Time => moment(field, value),
        Kind::Reference => reference(field, value),
        Kind::Unsupported => Ok(empty(field.kind)),
    }
}

/// The key of a value read from the org. Never fails: what cannot be read differs from everything.
pub fn key(field: &Field, value: &Value) -> Key {
    // Lengths and ranges bound what we send; what is stored already fits, whatever describe says today.
    let unbounded = Field { length: 0, precision: 0, ..field.clone() };
    prepare(&unbounded, value, None).map_or(Key::Unreadable, |prepared| prepared.key)
}

fn empty(kind: Kind) -> Prepared {
    match kind {
        Kind::Checkbox => Prepared { value: Value::Bool(false), key: Key::Flag(false) },
        _ => Prepared { value: Value::Null, key: Key::Null },
    }
}

/// Characters that a value has, and those that are left of it, if it is longer than its field and will be cut.
pub fn cut_chars(field: &Field, value: &Value, overlong: Option<Overlong>) -> Option<(usize, usize)> {
    let text =
        matches!(field.kind, Kind::Text | Kind::TextArea).then(|| value.as_str()).flatten()?.trim_end();
    let left = cut(text, field.length);
    let is_cut = is_cut_when_overlong(field, overlong) && left != text;
    is_cut.then(|| (text.encode_utf16().count(), left.encode_utf16().count()))
}

/// Whether a part of a value of this field still says something: free text does; external IDs, codes, addresses, numbers
/// and values of lists do not.
pub fn may_be_cut(field: &Field) -> bool {
    matches!(field.kind, Kind::Text | Kind::TextArea)
        && !field.external_id
        && (field.length == 0 || field.length > CODE_CHARS_MAX)
}

fn is_cut_when_overlong(field: &Field, overlong: Option<Overlong>) -> bool {
    match overlong {
        None | Some(Overlong::Truncate) => may_be_cut(field),
        Some(Overlong::Refuse) => false,
    }
}

/// Free text is cut to the field's length, since the REST API refuses what is longer (`STRING_TOO_LONG`).
/// An external ID is never cut, as two records could become one, nor is a code.
fn free_text(field: &Field, value: &Value, overlong: Option<Overlong>) -> Result<Prepared, RecordProblem> {
    let text = scalar(field, value)?;
    let text = text.trim_end();
    let text = if is_cut_when_overlong(field, overlong) {
        cut(text, field.length).trim_end()
    } else {
        check_length(field, text)?;
        text
    };
    Ok(text_prepared(field, text))
}

fn exact_text(field: &Field, value: &Value) -> Result<Prepared, RecordProblem> {
    let text = scalar(field, value)?;
    let text = text.trim();
    check_length(field, text)?;
    Ok(text_prepared(field, text))
}

fn text_prepared(field: &Field, text: &str) -> Prepared {
    // A value cut to blanks is null too.
    if text.trim().is_empty() {
        return empty(field.kind);
    }
    Prepared { value: Value::String(text.to_owned()), key: Key::Text(folded(field, text)) }
}

/// Leading blanks are ignored and line ends are one character, whichever of them Salesforce keeps.
fn folded(field: &Field, text: &str) -> String {
    let text = text.trim().replace("\r\n", "\n").replace('\r', "\n");
    if field.kind == Kind::Picklist {
        return text.to_lowercase();
    }
    if field.external_id { Identity::of_field(field).key(&text) } else { text }
}

fn multi_picklist(field: &Field, value: &Value) -> Result<Prepared, RecordProblem> {
    let texts: Vec<String> = match value {
        Value::Array(items) => items.iter().map(|item| scalar(field, item)).collect::<Result<_, _>>()?,
        other => vec![scalar(field, other)?],
    };
    let mut sent: Vec<&str> = Vec::new();
    for text in texts.iter().flat_map(|text| text.split(';')).map(str::trim).filter(|text| !text.is_empty()) {
        if !sent.iter().any(|known| known.to_lowercase() == text.to_lowercase()) {
            sent.push(text);
        }
    }
    if sent.is_empty() {
        return Ok(empty(field.kind));
    }
    let joined = sent.join(";");
    check_length(field, &joined)?;
    let mut members: Vec<String> = sent.iter().map(|text| text.to_lowercase()).collect();
    members.sort();
    Ok(Prepared { value: Value::String(joined), key: Key::Set(members) })
}

fn checkbox(field: &Field, value: &Value) -> Result<Prepared, RecordProblem> {
    let flag = match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Value::Number(number) => match number.as_i64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    flag.map(|flag| Prepared { value: Value::Bool(flag), key: Key::Flag(flag) })
        .ok_or_else(|| refuse(field, "the value is neither true nor false", "Answer `true` or `false`."))
}

fn number(field: &Field, value: &Value) -> Result<Prepared, RecordProblem> {
    let not_a_number = || refuse(field, "the value is not a number", "Answer a number, such as `1250.5`.");
    // A double that was read is known by its shortest text.
    let (text, read) = match value {
        Value::Number(number) => (number.to_string(), number.is_f64()),
        Value::String(text) => (text.trim().to_owned(), false),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(not_a_number()),
    };
    let scale = field.scale.unwrap_or(SCALE_MAX);
    let whole_max = match field.precision {
        0 => DIGITS_MAX,
        precision => precision.saturating_sub(scale),
    };
    let too_large = || {
        let message = format!("the value has more than {whole_max} digits before the point");
        refuse(field, message, "Give the field more digits in Setup, or answer a smaller number.")
    };
    let number = match rounded(&text, scale, whole_max) {
        Ok(number) if field.kind == Kind::Int && number.double().abs() > f64::from(i32::MAX) => {
            return Err(too_large());
        }
        Ok(number) => number,
        Err(Misfit::NotANumber) => return Err(not_a_number()),
        Err(Misfit::TooLarge) => return Err(too_large()),
    };
    let value = number.json().ok_or_else(|| {
        let hint = "Answer a number of at most 15 digits, or give the field fewer decimals in Setup.";
        refuse(field, "the value has more digits than Salesforce takes exactly", hint)
    })?;
    Ok(Prepared { value, key: Key::Number(amount(number, read)) })
}

fn amount(number: Decimal, read_as_double: bool) -> Amount {
    let exact = (!read_as_double || !number.is_past_doubles()).then_some(number.units);
    Amount { exact, nearest: number.double() }
}

fn moment(field: &Field, value: &Value) -> Result<Prepared, RecordProblem> {
    let text = value.as_str().map(str::trim);
    let parsed = match field.kind {
        Kind::Date => text.and_then(date).map(|date| (date.to_string(), date.to_epoch_days().into())),
        Kind::Time => text.and_then(time).map(|time| {
            let millis =
                i64::from(time.num_seconds_from_midnight()) * 1000 + i64::from(time.nanosecond() / 1_000_000);
            (time.format("%H:%M:%S%.3fZ").to_string(), millis)
        }),
        // Custom fields keep seconds and answer `.000`.
        _ => text.and_then(instant).and_then(|instant| {
            let seconds = instant.and_utc().timestamp();
            let sent = DateTime::from_timestamp(seconds, 0)?.format("%Y-%m-%dT%H:%M:%S.000Z").to_string();
            Some((sent, seconds))
        }),
    };
    let (sent, key) = parsed.ok_or_else(|| {
        let (what, example) = match field.kind {
            Kind::Date => ("a date", "2026-01-31"),
            Kind::Time => ("a time of day", "13:05:00.000Z"),
            _ => ("a date with time and zone", "2026-01-31T13:05:00Z"),
        };
        refuse(
            field,
            format!("the value is not {what}"),
            format!("Answer ISO 8601 text, such as `{example}`."),
        )
    })?;
    Ok(Prepared { value: Value::String(sent), key: Key::Time(key) })
}

/// A date, or the day written in a date-time (in its own zone).
fn date(text: &str) -> Option<NaiveDate> {
    let day = text.get(..10).filter(|_| text.len() == 10 || instant(text).is_some())?;
    NaiveDate::parse_from_str(day, "%Y-%m-%d").ok().filter(|date| in_range(*date))
}

fn time(text: &str) -> Option<NaiveTime> {
    let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|format| NaiveTime::parse_from_str(text, format).ok())
}

/// An instant with any spelling of the zone; a day alone is its midnight in UTC.
fn instant(text: &str) -> Option<NaiveDateTime> {
    let zoned = text.strip_suffix(['Z', 'z']).map_or_else(|| text.to_owned(), |text| format!("{text}+0000"));
    ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z"]
        .iter()
        .find_map(|format| DateTime::parse_from_str(&zoned, format).ok())
        .map(|instant| instant.naive_utc())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
        .filter(|instant| in_range(instant.date()))
}

/// Days Salesforce keeps ("Date Formats and Date Literals": 1700-01-01 to 4000-12-31).
fn in_range(date: NaiveDate) -> bool {
    use chrono::Datelike;
    (1700..=4000).contains(&date.year())
}

fn reference(field: &Field, value: &Value) -> Result<Prepared, RecordProblem> {
    let id = value.as_str().and_then(id::canonical).ok_or_else(|| {
        let hint = "Map it to a record ID, such as `$Id`.";
        refuse(field, "the value is no record ID of 15 or 18 characters", hint)
    })?;
    Ok(Prepared { value: Value::String(id.clone()), key: Key::Text(id) })
}

fn scalar(field: &Field, value: &Value) -> Result<String, RecordProblem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => {
            Err(refuse(field, "a list or object cannot be kept as text", "Point at one of its values."))
        }
    }
}

/// Length as UTF-16 units, the larger of the ways Salesforce is seen to count. 0 = unbounded.
fn check_length(field: &Field, text: &str) -> Result<(), RecordProblem> {
    let (length, max) = (text.encode_utf16().count(), field.length);
    if max == 0 || length <= max {
        return Ok(());
    }
    let message = format!("the value has {length} characters, the field takes {max}");
    Err(refuse(field, message, "Give the field more characters in Setup, or answer a shorter value."))
}

fn cut(text: &str, length: usize) -> &str {
    if length == 0 {
        return text;
    }
    let mut units = 0;
    for (at, letter) in text.char_indices() {
        units += letter.len_utf16();
        if units > length {
            return &text[..at];
        }
    }
    text
}

fn refuse(field: &Field, message: impl Into<String>, hint: impl Into<String>) -> RecordProblem {
    RecordProblem::new(&field.name, message, hint)
}

#[cfg(test)]
mod tests;
