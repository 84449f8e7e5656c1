//! Access tokens that are valid.
//!
//! Here: begin, look-up (which keeps a token alive), end. Not here: who may have one (`oauth`).

use std::collections::HashMap;
use std::time::Duration;

/// Tokens kept at most; a new one past it ends the one unused longest.
const TOKENS_MAX: usize = 10_000;

#[derive(Debug)]
struct AccessToken {
    user: String,
    used_ms: i64,
}

#[derive(Debug)]
pub(crate) struct AccessTokens {
    idle_ms: i64,
    by_token: HashMap<String, AccessToken>,
}

impl AccessTokens {
    /// Tokens end when unused for so long, in simulated time.
    pub(crate) fn new(idle: Duration) -> Self {
        Self { idle_ms: i64::try_from(idle.as_millis()).unwrap_or(i64::MAX), by_token: HashMap::new() }
    }

    /// A new token of the usual look: the org's id, an exclamation mark, and what nobody can guess.
    pub(crate) fn begin(&mut self, org_id: &str, user: &str, now_ms: i64) -> String {
        if self.by_token.len() >= TOKENS_MAX {
            let oldest =
                self.by_token.iter().min_by_key(|(_, known)| known.used_ms).map(|(token, _)| token.clone());
            self.by_token.remove(&oldest.unwrap_or_default());
        }
        let [left, right] = [(); 2].map(|()| uuid::Uuid::new_v4().simple().to_string());
        let token = format!("{}!AQ.{left}_{right}", &org_id[..15.min(org_id.len())]);
        self.by_token.insert(token.clone(), AccessToken { user: user.to_owned(), used_ms: now_ms });
        token
    }

    /// The user of a valid token, which is thereby used.
    pub(crate) fn user(&mut self, token: &str, now_ms: i64) -> Option<String> {
        let known = self.by_token.get_mut(token)?;
        if now_ms - known.used_ms > self.idle_ms {
            self.by_token.remove(token);
            return None;
        }
        known.used_ms = now_ms;
        Some(known.user.clone())
    }

    /// Ends a token; false if there was none.
    pub(crate) fn end(&mut self, token: &str) -> bool {
        self.by_token.remove(token).is_some()
    }

    pub(crate) fn end_all(&mut self) {
        self.by_token.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lives_as_long_as_it_is_used() {
        let mut tokens = AccessTokens::new(Duration::from_secs(10));
        let token = tokens.begin("00D000000000001AAA", "005", 0);
        assert!(token.starts_with("00D000000000001!"));
        assert_eq!(tokens.user(&token, 9_000).as_deref(), Some("005"));
        assert_eq!(tokens.user(&token, 19_000).as_deref(), Some("005"));
        assert_eq!(tokens.user(&token, 29_001), None);
        assert!(!tokens.end(&token));
    }
}
