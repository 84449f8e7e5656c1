//! Record ids: 15 characters that tell case apart, and the 18-character form that carries the case in a checksum.
//!
//! Here: making, checking and comparing ids. Not here: which object a prefix means (`schema`).

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECK: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
/// Characters of an id without its checksum.
pub(crate) const SHORT: usize = 15;

/// Hands out ids that never repeat within an org and grow in the order they are made.
#[derive(Debug)]
pub(crate) struct IdGenerator {
    pod: String,
    next: u64,
}

impl IdGenerator {
    /// Ids of two orgs differ by the two characters after the prefix, taken from this number.
    pub(crate) fn new(org_number: u64) -> Self {
        let digit = |n: u64| char::from(DIGITS[usize::try_from(n % 62).unwrap_or(0)]);
        Self { pod: format!("{}{}0", digit(org_number / 62 + 10), digit(org_number)), next: 1 }
    }

    /// A new 18-character id with this three-character prefix.
    pub(crate) fn make(&mut self, prefix: &str) -> String {
        let mut tail = [b'0'; 9];
        let mut rest = self.next;
        self.next += 1;
        for place in tail.iter_mut().rev() {
            *place = DIGITS[usize::try_from(rest % 62).unwrap_or(0)];
            rest /= 62;
        }
        let short = format!("{prefix}{}{}", self.pod, String::from_utf8_lossy(&tail));
        let check = checksum(&short);
        short + &check
    }
}

/// The 18-character form of a 15- or 18-character id; `None` if it is neither, or its checksum is wrong.
pub(crate) fn canonical(text: &str) -> Option<String> {
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) || !matches!(text.len(), 15 | 18) {
        return None;
    }
    let (short, check) = text.split_at(SHORT);
    let right = checksum(short);
    (check.is_empty() || check.eq_ignore_ascii_case(&right)).then(|| format!("{short}{right}"))
}

/// One character for each five: bit n is set if character n is upper case.
fn checksum(short: &str) -> String {
    short
        .as_bytes()
        .chunks(5)
        .map(|five| {
            let bits = five
                .iter()
                .enumerate()
                .fold(0, |bits, (n, byte)| bits | (usize::from(byte.is_ascii_uppercase()) << n));
            char::from(CHECK[bits])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_salesforce() {
        // Ids printed in Salesforce's own guides.
        for (short, long) in [
            ("001D000000IqhSL", "001D000000IqhSLIAZ"),
            ("005D0000001cSZs", "005D0000001cSZsIAM"),
            ("750ak000009Bkrx", "750ak000009BkrxAAC"),
        ] {
            assert_eq!(canonical(short).as_deref(), Some(long));
            assert_eq!(canonical(long).as_deref(), Some(long));
        }
        for wrong in ["", "001D000000IqhSLIAA", "001D000000IqhS", "001D000000IqhS/"] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn made_ids_are_right_and_grow() {
        let mut mint = IdGenerator::new(7);
        let ids: Vec<_> = (0..200).map(|_| mint.make("a00")).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.iter().all(|id| canonical(id).as_deref() == Some(id)));
    }
}
