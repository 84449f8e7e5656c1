//! Record IDs: 15 characters with case, or 18 whose last three encode the case of the first 15.
//!
//! Here: the long form of either. Not here: whether there is such a record.
//!
//! Invariant: an ID of 18 characters whose check letters contradict its first 15 is none: it could only be a typing error,
//! and a query with it would be refused for all the records that it asks for.

const CHECK: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// Why a text is no record ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has not 15 or 18 letters and digits.
    NoId,
    /// It has 18, but the last three do not belong to the others.
    CheckLetters,
}

impl Fault {
    /// What is wrong, as the rest of a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoId => "is no record ID of 15 or 18 characters",
            Self::CheckLetters => "is no record ID: its last three characters do not belong to the first 15",
        }
    }
}

/// The 18-character form, or why it has none.
pub fn check(text: &str) -> Result<String, Fault> {
    let is_long = |text: &str| text.len() == 18 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    canonical(text).ok_or_else(|| if is_long(text.trim()) { Fault::CheckLetters } else { Fault::NoId })
}

/// The 18-character form, or `None` if this is no record ID.
///
/// An 18-character ID that a spreadsheet or URL forced into one case gets its case back. One whose check letters do not
/// belong to its first 15 characters is none.
pub fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match text.len() {
        15 => Some(format!("{text}{}", checksum(text))),
        18 => {
            let (stem, check) = text.split_at(15);
            if one_case(text)
                && let Some(restored) = restore(stem, check)
            {
                return Some(restored);
            }
            let right = checksum(stem);
            right.eq_ignore_ascii_case(check).then(|| format!("{stem}{right}"))
        }
        _ => None,
    }
}

fn one_case(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_uppercase()) || !text.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn checksum(stem: &str) -> String {
    let group = |bytes: &[u8]| {
        let bits = bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_uppercase());
        char::from(CHECK[bits.map(|(place, _)| 1 << place).sum::<usize>()])
    };
    stem.as_bytes().chunks(5).map(group).collect()
}

fn restore(stem: &str, check: &str) -> Option<String> {
    let check = check.to_ascii_uppercase();
    let mut restored = String::with_capacity(18);
    for (group, code) in stem.as_bytes().chunks(5).zip(check.bytes()) {
        let bits = CHECK.iter().position(|known| *known == code)?;
        for (place, byte) in group.iter().enumerate() {
            let upper = bits & (1 << place) != 0;
            if upper && !byte.is_ascii_alphabetic() {
                return None;
            }
            let byte = if upper { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
            restored.push(char::from(byte));
        }
    }
    restored.push_str(&check);
    Some(restored)
}

#[cfg(test)]
mod tests;
