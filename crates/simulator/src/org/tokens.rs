//! Access tokens that are valid.
//!
//! Here: begin, look-up (which keeps a token alive), end. Not here: who may have one (`oauth`).

use std::collections::HashMap;
use std::time::Duration;

use super::random::random_text;

/// Tokens kept at most; a new one past it ends the one unused longest.
const TOKENS_MAX: usize = 10_000;

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessToken {
    pub(crate) user: String,
    /// Scopes, with a space between them.
    pub(crate) scope: String,
    /// The grant it came of, if a refresh token did.
    pub(crate) grant: Option<u64>,
    /// Simulated Unix milliseconds, as is the next.
    pub(crate) begun_ms: i64,
    used_ms: i64,
}

impl AccessToken {
    /// Whether it was given for any of these.
    pub(crate) fn has_scope(&self, any_of: &[&str]) -> bool {
        self.scope.split(' ').any(|scope| any_of.contains(&scope))
    }
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
    pub(crate) fn begin(
        &mut self,
        org_id: &str,
        (user, scope): (&str, &str),
        grant: Option<u64>,
        now_ms: i64,
    ) -> String {
        if self.by_token.len() >= TOKENS_MAX {
            let oldest =
                self.by_token.iter().min_by_key(|(_, known)| known.used_ms).map(|(token, _)| token.clone());
            self.by_token.remove(&oldest.unwrap_or_default());
        }
        let token = format!("{}!AQ.{}", &org_id[..15.min(org_id.len())], random_text(2));
        let known = AccessToken {
            user: user.to_owned(),
            scope: scope.to_owned(),
            grant,
            begun_ms: now_ms,
            used_ms: now_ms,
        };
        self.by_token.insert(token.clone(), known);
        token
    }

    /// What a valid token stands for; it is thereby used.
    pub(crate) fn take(&mut self, token: &str, now_ms: i64) -> Option<AccessToken> {
        let known = self.by_token.get_mut(token)?;
        if now_ms - known.used_ms > self.idle_ms {
            self.by_token.remove(token);
            return None;
        }
        known.used_ms = now_ms;
        Some(known.clone())
    }

    /// The user of a valid token, which is thereby used.
    pub(crate) fn user(&mut self, token: &str, now_ms: i64) -> Option<String> {
        self.take(token, now_ms).map(|known| known.user)
    }

    /// What a valid token stands for, and the simulated Unix milliseconds when it ends if it stays unused.
    pub(crate) fn look_at(&self, token: &str, now_ms: i64) -> Option<(&AccessToken, i64)> {
        let known = self.by_token.get(token)?;
        let ends_ms = known.used_ms.saturating_add(self.idle_ms);
        (now_ms <= ends_ms).then_some((known, ends_ms))
    }

    /// Ends a token; false if there was no valid one.
    pub(crate) fn end(&mut self, token: &str, now_ms: i64) -> bool {
        let is_valid = self.look_at(token, now_ms).is_some();
        self.by_token.remove(token);
        is_valid
    }

    /// Ends the tokens that are so.
    pub(crate) fn end_where(&mut self, mut ends: impl FnMut(&AccessToken) -> bool) {
        self.by_token.retain(|_, known| !ends(known));
    }

    /// How many came of a grant.
    pub(crate) fn count_of_grant(&self, grant: u64) -> usize {
        self.by_token.values().filter(|known| known.grant == Some(grant)).count()
    }

    pub(crate) fn end_all(&mut self) {
        self.by_token.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORG: &str = "00D000000000001AAA";

    #[test]
    fn a_session_lives_as_long_as_it_is_used() {
        let mut tokens = AccessTokens::new(Duration::from_secs(10));
        let token = tokens.begin(ORG, ("005", "api"), None, 0);
        assert!(token.starts_with("00D000000000001!"));
        assert_eq!(tokens.user(&token, 9_000).as_deref(), Some("005"));
        assert_eq!(tokens.user(&token, 19_000).as_deref(), Some("005"));
        assert!(tokens.look_at(&token, 29_000).is_some_and(|(_, ends_ms)| ends_ms == 29_000));
        assert_eq!(tokens.user(&token, 29_001), None);
        assert!(!tokens.end(&token, 29_001));
    }

    #[test]
    fn the_tokens_of_a_grant_end_together() {
        let mut tokens = AccessTokens::new(Duration::from_secs(10));
        let [one, two, other] =
            [Some(1), Some(1), Some(2)].map(|grant| tokens.begin(ORG, ("005", "api"), grant, 0));
        assert!(tokens.end(&one, 0));
        assert!(tokens.look_at(&two, 0).is_some(), "ending one session ends that one alone");
        tokens.end_where(|token| token.grant == Some(1));
        assert!(tokens.look_at(&two, 0).is_none());
        assert!(tokens.look_at(&other, 0).is_some());
    }
}
