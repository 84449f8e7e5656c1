//! All that logins leave behind in an org: tokens of both kinds, and the history.
//!
//! Here: putting the parts together, ending a grant with its access tokens, the limit of logins.
//! Not here: who gets a token (`oauth`).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::authorizations::Authorizations;
use super::grants::Grants;
use super::tokens::AccessTokens;
use crate::log::LoginHistory;
use crate::options::LoginPolicy;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const HOUR_MS: i64 = 60 * 60 * 1_000;

#[derive(Debug)]
pub(crate) struct Logins {
    pub(crate) policy: LoginPolicy,
    pub(crate) tokens: AccessTokens,
    pub(crate) grants: Grants,
    pub(crate) authorizations: Authorizations,
    pub(crate) history: LoginHistory,
    /// While set, no login succeeds: `error` and `error_description`.
    pub(crate) refused: Option<(String, String)>,
    /// Requests to the token endpoint so far, answered or not.
    pub(crate) token_calls: u64,
    /// Requests to the token endpoint that are being held.
    pub(crate) held_calls: usize,
    /// When each user has logged in during the last hour, simulated Unix milliseconds.
    recent: HashMap<String, VecDeque<i64>>,
}

impl Logins {
    pub(crate) fn new(policy: LoginPolicy, session_idle: Duration) -> Self {
        Self {
            policy,
            tokens: AccessTokens::new(session_idle),
            grants: Grants::default(),
            authorizations: Authorizations::default(),
            history: LoginHistory::default(),
            refused: None,
            token_calls: 0,
            held_calls: 0,
            recent: HashMap::new(),
        }
    }

    /// How long a refresh token may be unused.
    pub(crate) fn idle_ms(&self) -> Option<i64> {
        self.policy.refresh_token_idle_days.map(|days| i64::from(days) * DAY_MS)
    }

    /// A user approves the app. The answer is the grant's number.
    pub(crate) fn approve(&mut self, user: &str, scope: &str, now_ms: i64) -> u64 {
        let (id, ended) = self.grants.approve(user, scope, now_ms);
        for old in ended {
            self.end_grant(old);
        }
        id
    }

    /// Ends a grant and the access tokens that came of it.
    pub(crate) fn end_grant(&mut self, id: u64) {
        self.grants.end(id);
        self.tokens.end_where(|token| token.grant == Some(id));
    }

    pub(crate) fn end_grants(&mut self) {
        let ids: Vec<u64> = self.grants.live().iter().map(|grant| grant.id).collect();
        for id in ids {
            self.end_grant(id);
        }
    }

    /// Counts a login of a user; false if there were too many within an hour.
    pub(crate) fn count(&mut self, user: &str, now_ms: i64) -> bool {
        let recent = self.recent.entry(user.to_owned()).or_default();
        while recent.front().is_some_and(|at| now_ms - at >= HOUR_MS) {
            recent.pop_front();
        }
        let is_let_in = recent.len() < usize::try_from(self.policy.logins_per_hour).unwrap_or(usize::MAX);
        if is_let_in {
            recent.push_back(now_ms);
        }
        is_let_in
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_logins_is_that_of_the_last_hour_and_of_each_user() {
        let policy = LoginPolicy { logins_per_hour: 2, ..LoginPolicy::default() };
        let mut logins = Logins::new(policy, Duration::from_hours(2));
        let counted =
            [("a", 0), ("a", 1), ("a", 2), ("b", 2), ("a", HOUR_MS), ("a", HOUR_MS), ("a", HOUR_MS + 1)]
                .map(|(user, at)| logins.count(user, at));
        assert_eq!(counted, [true, true, false, true, true, false, true]);
    }
}
