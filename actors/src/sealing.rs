//! Sealing: how a secret is stored, so that a copy of the data directory alone gives nobody a way into an org.
//!
//! XChaCha20-Poly1305 with a random nonce; the name of the place is authenticated with it, so that a value that was moved
//! to another place does not open. Here: keys, sealing, opening. In `key_file`: where a key stands. Not here: what is
//! sealed (`org/grant.rs`).
//!
//! ```text
//! 's' '1' │ key's mark, 4 bytes │ nonce, 24 bytes │ ciphertext with tag
//! ```

pub(crate) mod key_file;

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    Key, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use secrecy::SecretString;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// By these it is told which key sealed a value.
const MARK_BYTES: usize = 4;
/// Format of sealed values.
const MAGIC: [u8; 2] = *b"s1";

/// A key that seals secrets at rest.
#[derive(Clone)]
pub struct SealingKey {
    mark: [u8; MARK_BYTES],
    cipher: XChaCha20Poly1305,
    /// Other keys come of it.
    root: hmac::Key,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a vault key is 32 random bytes in Base64, and this is not (it is not shown, as it may be a secret)")]
pub struct NoKey;

impl NoKey {
    /// What to do about it.
    pub const HINT: &str = "Make one with `openssl rand -base64 32`.";
}

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealProblem {
    /// Another key sealed it.
    #[error("another vault key sealed it")]
    OtherKey,
    /// It is not as it was sealed, or not where.
    #[error("it is not as it was sealed")]
    Malformed,
}

impl SealingKey {
    /// A key as people write it.
    pub fn parse(text: &str) -> Result<Self, NoKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| NoKey)?;
        Self::of_bytes(&bytes).ok_or(NoKey)
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != KEY_BYTES {
            return None;
        }
        let digest = digest::digest(&digest::SHA256, bytes);
        let mark = digest.as_ref().first_chunk().copied()?;
        let (cipher, root) =
            (XChaCha20Poly1305::new(Key::from_slice(bytes)), hmac::Key::new(hmac::HMAC_SHA256, bytes));
        Some(Self { mark, cipher, root })
    }

    /// A key for one other purpose, which tells nothing of this one.
    pub(crate) fn derived(&self, purpose: &str) -> Vec<u8> {
        hmac::sign(&self.root, purpose.as_bytes()).as_ref().to_vec()
    }

    /// A new key as text, from the crypto library's generator.
    pub(crate) fn generate() -> SecretString {
        SecretString::from(STANDARD.encode(random::<KEY_BYTES>()))
    }

    /// The secret as it is stored at this place.
    pub(crate) fn seal(&self, place: &str, secret: &[u8]) -> Vec<u8> {
        let nonce = random::<NONCE_BYTES>();
        let payload = Payload { msg: secret, aad: place.as_bytes() };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.expect("only what fills the memory of the machine cannot be sealed");
        [&MAGIC[..], &self.mark, &nonce, &sealed].concat()
    }

    /// The secret that was sealed for this place.
    pub(crate) fn open(&self, place: &str, value: &[u8]) -> Result<Vec<u8>, SealProblem> {
        let (mark, nonce, sealed) = split(value).ok_or(SealProblem::Malformed)?;
        if mark != self.mark {
            return Err(SealProblem::OtherKey);
        }
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| SealProblem::Malformed)
    }
}

/// Two keys are the same if their marks are: those are hashes, of which no two keys of one operator share the beginning.
impl PartialEq for SealingKey {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

impl Eq for SealingKey {}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SealingKey").finish_non_exhaustive()
    }
}

/// Mark, nonce, ciphertext.
fn split(value: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let rest = value.strip_prefix(&MAGIC)?;
    let (mark, rest) = rest.split_at_checked(MARK_BYTES)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
    Some((mark, nonce, sealed))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's generator of random numbers works");
    bytes
}

#[cfg(test)]
pub(crate) mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    /// A key for the tests of this crate.
    pub(crate) fn key() -> SealingKey {
        SealingKey::of_bytes(&[7; KEY_BYTES]).expect("so many bytes")
    }

    #[test]
    fn a_sealed_value_opens_with_its_key_at_its_place_only() {
        let (key, other) = (key(), SealingKey::parse(SealingKey::generate().expose_secret()).expect("a key"));
        let sealed = key.seal("grant acme", b"5Aep861.secret");
        assert_eq!(key.open("grant acme", &sealed), Ok(b"5Aep861.secret".to_vec()));
        assert_eq!(key.open("grant globex", &sealed), Err(SealProblem::Malformed));
        assert_eq!(other.open("grant acme", &sealed), Err(SealProblem::OtherKey));
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed, key.seal("grant acme", b"5Aep861.secret"), "each has a nonce of its own");
    }

    #[test]
    fn a_value_with_any_bit_turned_does_not_open() {
        let key = key();
        let sealed = key.seal("place", b"secret");
        for bit in 0..sealed.len() * 8 {
            let mut turned = sealed.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open("place", &turned).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(key.open("place", &sealed[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn keys_for_other_purposes_are_their_own() {
        let (key, other) = (key(), SealingKey::of_bytes(&[8; KEY_BYTES]).expect("so many bytes"));
        assert_eq!(key.derived("links"), key.derived("links"));
        assert_ne!(key.derived("links"), key.derived("others"));
        assert_ne!(key.derived("links"), other.derived("links"));
    }

    #[test]
    fn only_32_bytes_in_base64_are_a_key() {
        let right = STANDARD.encode([1; KEY_BYTES]);
        for (text, is_key) in [
            (right.as_str(), true),
            (&format!(" {right}\n"), true),
            ("", false),
            ("secret", false),
            (&STANDARD.encode([1; 31]), false),
            (&STANDARD.encode([1; 33]), false),
        ] {
            assert_eq!(SealingKey::parse(text).is_ok(), is_key, "{text}");
        }
        assert!(!format!("{:?}", SealingKey::parse(&right)).contains(&right));
    }
}
