//! Record IDs: 15 characters with case, or 18 whose last three encode the case of the first 15.
//!
//! Here: the long form of either. Not here: whether there is such a record.

const CHECK: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18-character form, or `None` if this is no record ID.
///
/// An 18-character ID that a spreadsheet or URL forced into one case gets its case back.
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
            Some(text.to_owned())
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
