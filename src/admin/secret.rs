//! Secrets that we make, and what is kept of them.
//!
//! Here: random values and their hashes. Not here: whose they are (`tokens`, `sessions`).
//!
//! What is hashed here has 256 random bits, so that one round of SHA-256 is enough: nobody tries them out.

use std::fmt::{self, Write as _};

use aws_lc_rs::{
    constant_time,
    digest::{self, SHA256, SHA256_OUTPUT_LEN},
    error::Unspecified,
    rand,
};
use secrecy::SecretString;

/// Random bytes of a secret.
const RANDOM_BYTES: usize = 32;

/// The machine gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("this machine gives no random numbers to make a secret from")]
pub(crate) struct NoChance;

/// A new secret behind a prefix by which people and scanners know what it is.
pub(super) fn random(prefix: &str) -> Result<SecretString, NoChance> {
    let mut bytes = [0; RANDOM_BYTES];
    rand::fill(&mut bytes).map_err(|Unspecified| NoChance)?;
    Ok(SecretString::from(format!("{prefix}{}", hex(&bytes))))
}

/// What is kept of a secret: it tells the secret when it comes again, and not what it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SecretHash([u8; SHA256_OUTPUT_LEN]);

impl SecretHash {
    /// The hash of a text that may be a secret.
    pub(super) fn of(text: &str) -> Self {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest::digest(&SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }

    /// Whether both are of the same secret; takes the same time either way.
    pub(super) fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// As it is stored.
    pub(super) fn to_hex(self) -> String {
        hex(&self.0)
    }

    /// As it was stored; None if that is no hash.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        if text.len() != 2 * hash.len() || !text.is_ascii() {
            return None;
        }
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_hash_is_read_back_and_tells_secrets_apart() {
        let hash = SecretHash::of("abc");
        // FIPS 180-2, appendix B.1.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_hex(), known);
        let read = SecretHash::from_hex(known).expect("a hash");
        assert!(read.is(&hash) && !read.is(&SecretHash::of("abd")));
        for text in ["", "ba", &known[2..], &known.replace('b', "g"), &format!("{known}00")] {
            assert!(SecretHash::from_hex(text).is_none(), "{text}");
        }
        assert!(!format!("{hash:?}").contains("ba78"));
    }

    #[test]
    fn every_secret_is_another_one() {
        let [one, other] = [(); 2].map(|()| random("op_").expect("a secret").expose_secret().to_owned());
        assert!(one.starts_with("op_") && one.len() == 3 + 64 && one != other);
    }
}
