//! Refresh tokens: what users have approved for the app, and the exchange of a token for access.
//!
//! Here: approvals, exchanges that are under way, rotation, reuse, idle limit. Not here: access tokens (`tokens`), and
//! ending those of a grant (`logins`). Sources: Help "Refresh Token Rotation", "Manage OAuth Access Policies for a Connected
//! App"; release notes Summer '24 "Simultaneous Refresh Token Requests".

use std::collections::VecDeque;

use super::random::random_text;

/// Approvals of one user for one app; a further one ends the oldest.
const APPROVALS_MAX: usize = 5;
/// Used-up tokens that are remembered over all grants, so that their reuse is noticed.
const RETIRED_MAX: usize = 10_000;

/// What a user has approved, with its refresh token.
#[derive(Clone, Debug)]
pub(crate) struct RefreshGrant {
    pub(crate) id: u64,
    pub(crate) user: String,
    /// Scopes, with a space between them.
    pub(crate) scope: String,
    pub(crate) token: String,
    /// Simulated Unix milliseconds, as is the next.
    pub(crate) approved_ms: i64,
    pub(crate) used_ms: i64,
    /// A token request with its token is being processed.
    busy: bool,
}

/// Why a refresh token is not exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotExchanged {
    /// There is no such token, or no longer.
    Unknown,
    /// It was not used for longer than it may be; its grant has to end.
    Idle(u64),
    /// Another request with it is being processed.
    Busy(u64),
    /// It has been exchanged before; its grant has to end.
    Reused(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Grants {
    made: u64,
    /// In the order of their approval.
    live: Vec<RefreshGrant>,
    /// Tokens that have been exchanged for others, with their grants; the oldest first.
    retired: VecDeque<(String, u64)>,
}

impl Grants {
    /// A user approves the app: the new grant's number, and those that end by it.
    pub(crate) fn approve(&mut self, user: &str, scope: &str, now_ms: i64) -> (u64, Vec<u64>) {
        let ids: Vec<u64> =
            self.live.iter().filter(|grant| grant.user == user).map(|grant| grant.id).collect();
        let excess = (ids.len() + 1).saturating_sub(APPROVALS_MAX);
        self.made += 1;
        self.live.push(RefreshGrant {
            id: self.made,
            user: user.to_owned(),
            scope: scope.to_owned(),
            token: make_token(),
            approved_ms: now_ms,
            used_ms: now_ms,
            busy: false,
        });
        (self.made, ids[..excess].to_vec())
    }

    /// Begins the exchange of a token: until it is finished, others with the same token are refused.
    pub(crate) fn begin_exchange(
        &mut self,
        token: &str,
        idle_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<u64, NotExchanged> {
        if let Some((_, id)) = self.retired.iter().find(|(used, _)| used == token) {
            return Err(NotExchanged::Reused(*id));
        }
        let grant = self.live.iter_mut().find(|grant| grant.token == token).ok_or(NotExchanged::Unknown)?;
        if idle_ms.is_some_and(|idle_ms| now_ms - grant.used_ms > idle_ms) {
            return Err(NotExchanged::Idle(grant.id));
        }
        if grant.busy {
            return Err(NotExchanged::Busy(grant.id));
        }
        grant.busy = true;
        Ok(grant.id)
    }

    /// Does the exchange; `rotate` gives a new token in place of the one used. `None` if the grant was ended meanwhile.
    pub(crate) fn finish_exchange(&mut self, id: u64, rotate: bool, now_ms: i64) -> Option<RefreshGrant> {
        let grant = self.live.iter_mut().find(|grant| grant.id == id)?;
        grant.busy = false;
        grant.used_ms = now_ms;
        if rotate {
            let used = std::mem::replace(&mut grant.token, make_token());
            if self.retired.len() >= RETIRED_MAX {
                self.retired.pop_front();
            }
            self.retired.push_back((used, id));
        }
        Some(grant.clone())
    }

    /// No exchange is under way any more.
    pub(crate) fn release(&mut self, id: u64) {
        for grant in self.live.iter_mut().filter(|grant| grant.id == id) {
            grant.busy = false;
        }
    }

    /// Ends a grant; its tokens, used or not, are unknown from now on.
    pub(crate) fn end(&mut self, id: u64) {
        self.live.retain(|grant| grant.id != id);
        self.retired.retain(|(_, grant)| *grant != id);
    }

    pub(crate) fn get(&self, id: u64) -> Option<&RefreshGrant> {
        self.live.iter().find(|grant| grant.id == id)
    }

    /// The grant whose token this is, unless it was unused for too long.
    pub(crate) fn by_token(&self, token: &str, idle_ms: Option<i64>, now_ms: i64) -> Option<&RefreshGrant> {
        let grant = self.live.iter().find(|grant| grant.token == token)?;
        idle_ms.is_none_or(|idle_ms| now_ms - grant.used_ms <= idle_ms).then_some(grant)
    }

    /// All of them, the oldest approval first.
    pub(crate) fn live(&self) -> &[RefreshGrant] {
        &self.live
    }

    /// Makes it look as if nothing had been used for so long.
    pub(crate) fn age(&mut self, ms: i64) {
        for grant in &mut self.live {
            grant.used_ms = grant.used_ms.saturating_sub(ms);
        }
    }
}

fn make_token() -> String {
    format!("5Aep861{}", random_text(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(grants: &Grants, id: u64) -> String {
        grants.get(id).expect("a grant").token.clone()
    }

    #[test]
    fn a_sixth_approval_ends_the_oldest_of_the_same_user() {
        let mut grants = Grants::default();
        let (other, _) = grants.approve("other", "api", 0);
        let ids: Vec<u64> = (1..=5).map(|at| grants.approve("005", "api", at).0).collect();
        let (_, ended) = grants.approve("005", "api", 6);
        assert_eq!(ended, [ids[0]]);
        assert!(grants.get(other).is_some());
    }

    #[test]
    fn two_exchanges_of_one_token_do_not_overlap() {
        let mut grants = Grants::default();
        let (id, _) = grants.approve("005", "api", 0);
        let first = token(&grants, id);
        assert_eq!(grants.begin_exchange(&first, None, 1), Ok(id));
        assert_eq!(grants.begin_exchange(&first, None, 2), Err(NotExchanged::Busy(id)));
        assert_eq!(grants.finish_exchange(id, false, 3).map(|grant| grant.token), Some(first.clone()));
        assert_eq!(grants.begin_exchange(&first, None, 4), Ok(id));
        grants.release(id);
        assert_eq!(grants.begin_exchange(&first, None, 5), Ok(id));
    }

    #[test]
    fn a_rotated_token_is_known_as_used_until_its_grant_ends() {
        let mut grants = Grants::default();
        let (id, _) = grants.approve("005", "api", 0);
        let first = token(&grants, id);
        grants.begin_exchange(&first, None, 1).expect("it is the current one");
        let second = grants.finish_exchange(id, true, 1).expect("the grant lives").token;
        assert_ne!(first, second);
        assert_eq!(grants.begin_exchange(&first, None, 2), Err(NotExchanged::Reused(id)));
        assert_eq!(grants.begin_exchange(&second, None, 2), Ok(id));
        grants.end(id);
        assert!(grants.finish_exchange(id, true, 3).is_none());
        for gone in [&first, &second] {
            assert_eq!(grants.begin_exchange(gone, None, 4), Err(NotExchanged::Unknown));
        }
    }

    #[test]
    fn the_idle_limit_counts_from_the_last_exchange() {
        let mut grants = Grants::default();
        let (id, _) = grants.approve("005", "api", 0);
        let token = token(&grants, id);
        for now in [100, 200] {
            assert_eq!(grants.begin_exchange(&token, Some(100), now), Ok(id));
            assert!(grants.finish_exchange(id, false, now).is_some());
        }
        grants.age(1);
        assert!(grants.by_token(&token, Some(100), 299).is_some());
        assert!(grants.by_token(&token, Some(100), 300).is_none());
        assert_eq!(grants.begin_exchange(&token, Some(100), 300), Err(NotExchanged::Idle(id)));
        assert_eq!(grants.begin_exchange(&token, None, 300), Ok(id));
    }
}
