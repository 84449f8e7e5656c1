//! The link that an operator sends to a customer: signed, good for some days and until another one is made.
//!
//! Here: making and reading it. Not here: what it lets one do (`onboarding`). Time and chance are arguments.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};

use crate::in_force::stored_org::Invitation;

/// So that nothing else that this key might sign is taken for a link.
const AUDIENCE: &str = "orgpipe connect";
/// Characters of a link that are read at all.
const CHARS_MAX: usize = 1_024;

/// What is signed.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: String,
    /// The org.
    sub: String,
    /// Which link it is.
    jti: String,
    exp: u64,
}

/// Why a link leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoLink {
    /// Nobody here has made it, or it was cut.
    #[error("this link is not complete, or it is none of ours")]
    Unknown,
    /// It is over.
    #[error("this link has expired")]
    Expired,
    /// A newer one was made, or the org is gone.
    #[error("this link is no longer valid: a newer one was made, or it was withdrawn")]
    Replaced,
}

/// Makes and reads links by one key.
#[derive(Clone)]
pub(super) struct Links {
    sign: EncodingKey,
    check: DecodingKey,
}

impl Links {
    /// Links signed by this key.
    pub(super) fn new(key: &[u8]) -> Self {
        Self { sign: EncodingKey::from_secret(key), check: DecodingKey::from_secret(key) }
    }

    /// What is stored of a new link, and the link: the last part of its address.
    pub(super) fn make(
        &self,
        org: &str,
        by: &str,
        life: Duration,
        chance: [u8; 16],
        now_ms: UnixMs,
    ) -> (Invitation, String) {
        let (number, until_ms) = (URL_SAFE_NO_PAD.encode(chance), now_ms.saturating_add(life));
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            sub: org.to_owned(),
            jti: number.clone(),
            exp: until_ms.0 / 1_000,
        };
        let link = encode(&Header::new(Algorithm::HS256), &claims, &self.sign);
        let link = link.expect("texts and a number can be signed by a secret");
        (Invitation { number, until_ms, by: by.to_owned(), login_url: None }, link)
    }

    /// The org that a link is for, and which link it is.
    pub(super) fn read(&self, link: &str, now_ms: UnixMs) -> Result<(String, String), NoLink> {
        if link.len() > CHARS_MAX {
            return Err(NoLink::Unknown);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        // By the time that is given here, below.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["aud", "sub", "exp"]);
        let claims = decode::<Claims>(link, &self.check, &validation).map_err(|_| NoLink::Unknown)?.claims;
        if now_ms.0 / 1_000 >= claims.exp {
            return Err(NoLink::Expired);
        }
        Ok((claims.sub, claims.jti))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_772_366_400_000);
    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_link_is_good_for_its_org_until_it_ends() {
        let links = Links::new(b"a key of this service");
        let (invitation, link) = links.make("acme", "ops", DAY, [7; 16], NOW);
        assert_eq!(links.read(&link, NOW), Ok(("acme".to_owned(), invitation.number.clone())));
        let last = NOW.saturating_add(DAY.saturating_sub(Duration::from_secs(1)));
        assert!(links.read(&link, last).is_ok());
        assert_eq!(links.read(&link, NOW.saturating_add(DAY)), Err(NoLink::Expired));
        assert_eq!(invitation.until_ms, NOW.saturating_add(DAY));
        assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{link}");
    }

    #[test]
    fn a_link_that_was_changed_or_made_elsewhere_is_none() {
        let links = Links::new(b"a key of this service");
        let (_, link) = links.make("acme", "ops", DAY, [7; 16], NOW);
        let (_, other) = Links::new(b"another key").make("acme", "ops", DAY, [7; 16], NOW);
        // Signed by nobody: {"alg":"none"}.
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", link.split('.').nth(1).expect("claims"));
        let foreign = encode(
            &Header::new(Algorithm::HS256),
            &serde_json::json!({ "aud": "another use", "sub": "acme", "jti": "x", "exp": u64::MAX / 2_000 }),
            &EncodingKey::from_secret(b"a key of this service"),
        );
        let foreign = foreign.expect("a link");
        for wrong in [other.as_str(), &unsigned, &foreign, "", "a.b.c", &link[1..], &link[..link.len() - 2]] {
            assert_eq!(links.read(wrong, NOW), Err(NoLink::Unknown), "{wrong}");
        }
        assert_eq!(links.read(&"a".repeat(100_000), NOW), Err(NoLink::Unknown));
    }
}
