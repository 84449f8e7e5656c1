//! Sessions of browsers: what a cookie stands for, so that a token need not stay in a browser.
//!
//! Here: beginning, telling and ending them, with time as an argument. Not here: cookies (`login`).
//!
//! A session is kept in memory, as a hash, and names its token by that one's hash: with the token it is of no more use. A
//! restart ends all.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::secret::SecretHash;

/// How long a session lasts.
pub(super) const SESSION: Duration = Duration::from_hours(12);
/// How many there may be; the one that would end first makes room.
const SESSIONS_MAX: usize = 1_000;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<SecretHash, Session>>);

#[derive(Debug)]
struct Session {
    /// The hash of the token that it was begun with.
    token: SecretHash,
    /// Its end, as time since the start.
    until: Duration,
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<SecretHash, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one for the owner of a token; `cookie` is the value that it will be told by.
    pub(super) fn begin(&self, token: SecretHash, cookie: &str, now: Duration) {
        let mut all = self.all();
        all.retain(|_, session| session.until > now);
        if all.len() >= SESSIONS_MAX
            && let Some(first) = all.iter().min_by_key(|(_, session)| session.until).map(|(hash, _)| *hash)
        {
            all.remove(&first);
        }
        all.insert(SecretHash::of(cookie), Session { token, until: now + SESSION });
    }

    /// The hash of the token that the session was begun with; None if there is no such session, or no more.
    pub(super) fn token(&self, cookie: &str, now: Duration) -> Option<SecretHash> {
        let all = self.all();
        all.get(&SecretHash::of(cookie)).filter(|session| session.until > now).map(|session| session.token)
    }

    /// Ends one.
    pub(super) fn end(&self, cookie: &str) {
        self.all().remove(&SecretHash::of(cookie));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_itself_and_when_it_is_asked_to() {
        let (sessions, token, now) = (Sessions::default(), SecretHash::of("op_1"), Duration::from_secs(5));
        sessions.begin(token, "a", now);
        sessions.begin(token, "b", now);
        let just_before = Duration::from_secs(4) + SESSION;
        assert_eq!(sessions.token("a", just_before), Some(token));
        assert_eq!(sessions.token("a", now + SESSION), None);
        assert_eq!(sessions.token("c", now), None);
        sessions.end("a");
        assert_eq!((sessions.token("a", now), sessions.token("b", now)), (None, Some(token)));
    }

    #[test]
    fn there_are_at_most_so_many_and_the_oldest_makes_room() {
        let (sessions, token) = (Sessions::default(), SecretHash::of("op_1"));
        let begun = u64::try_from(SESSIONS_MAX).expect("a number") + 5;
        for secs in 0..begun {
            sessions.begin(token, &secs.to_string(), Duration::from_secs(secs));
        }
        let now = Duration::from_secs(begun);
        let lasts = |secs: u64| sessions.token(&secs.to_string(), now).is_some();
        assert_eq!((lasts(4), lasts(5), lasts(begun - 1)), (false, true, true));
        sessions.begin(token, "later", now + SESSION);
        assert_eq!(sessions.all().len(), 1, "those that have ended are not kept");
    }
}
