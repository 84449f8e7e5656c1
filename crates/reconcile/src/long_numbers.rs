//! Numbers in JSON that have more digits than a double.
//!
//! Here: making text of them before they are read, so that no digit is lost. Not here: whether a field holds them
//! (`stored`), which takes a number's text as well as a number.

use std::borrow::Cow;

/// Digits that every double keeps.
const DOUBLE_DIGITS: usize = 15;
/// Digits of the whole numbers that are read exactly without a point (`i64`).
const WHOLE_DIGITS: usize = 18;

/// The JSON with quotes around each number that would be rounded when it is read. Anything else is left as it is, valid
/// or not.
pub(crate) fn quoted(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let (mut new, mut copied, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = after_text(bytes, at),
            b'-' | b'0'..=b'9' => {
                let end = at + bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                if is_long(&bytes[at..end]) {
                    new.push_str(&json[copied..at]);
                    new.extend(["\"", &json[at..end], "\""]);
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    new.push_str(&json[copied..]);
    Cow::Owned(new)
}

/// Behind the text that begins here.
fn after_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

fn is_long(number: &[u8]) -> bool {
    let mantissa = number.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or(number);
    let is_whole = mantissa.len() == number.len() && !mantissa.contains(&b'.');
    let digits = mantissa.iter().filter(|byte| byte.is_ascii_digit());
    digits.skip_while(|byte| **byte == b'0').count() > if is_whole { WHOLE_DIGITS } else { DOUBLE_DIGITS }
}

#[cfg(test)]
mod tests;
