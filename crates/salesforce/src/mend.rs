//! Bodies that are JSON but for half a character, such as a text that was cut in the middle of an emoji.
//!
//! Here: the replacement, and reading with it. Whatever answers JSON is read so: the event endpoint, an org's API, the login,
//! and the vendor's look-up API, as an answer that can never be read would be asked for for ever.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// Reads JSON; if that fails and there are halves of characters, once more without them.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body).or_else(|error| match mended(body) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
}

/// The text with U+FFFD for each half of a surrogate pair that stands alone, and for bytes that are no UTF-8; none if
/// there is neither.
pub fn mended(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let mut new = String::new();
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        new.push_str(before);
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                new.push('\u{fffd}');
                rest = &escape[6..];
                continue;
            }
            (Some(_), _) => 6,
            // The backslash and what it stands before.
            (None, _) => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        let (kept, behind) = escape.split_at(length);
        new.push_str(kept);
        rest = behind;
    }
    new.push_str(rest);
    (matches!(text, Cow::Owned(_)) || new != *text).then_some(new)
}

/// The UTF-16 unit that a text begins with, written as `\ud83d`.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
