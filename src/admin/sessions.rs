//! Sessions of browsers: what a cookie stands for, so that a token need not stay in a browser.
//!
//! Here: beginning, telling and ending them, with time as an argument, and how one is stored. Not here: cookies (`login`).
//!
//! A session is kept as a hash, and names its token by that one's hash: with the token it is of no more use. It is in the
//! store's registry, so that who looks at the dashboard when the service is started anew still does.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use orgpipe_store::{RegistryWrite, UnixMs};
use serde::{Deserialize, Serialize};

use super::secret::SecretHash;

/// What the store's registry calls them.
pub(crate) const SESSION_KIND: &str = "admin session";
/// How long a session lasts.
pub(super) const SESSION: Duration = Duration::from_hours(12);
/// How many there may be; the one that would end first makes room.
const SESSIONS_MAX: usize = 1_000;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<SecretHash, Session>>);

#[derive(Clone, Copy, Debug)]
struct Session {
    /// The hash of the token that it was begun with.
    token: SecretHash,
    until_ms: UnixMs,
}

/// As it is stored.
#[derive(Deserialize, Serialize)]
struct StoredSession {
    token_sha256: String,
    until_ms: UnixMs,
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<SecretHash, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that were stored and last; what cannot be read is none, as whoever has its cookie can log in again.
    pub(super) fn stored(values: Vec<(String, Vec<u8>)>, now: UnixMs) -> Self {
        let read = values.into_iter().filter_map(|(name, value)| {
            let stored: StoredSession = serde_json::from_slice(&value).ok()?;
            let token = SecretHash::from_hex(&stored.token_sha256)?;
            Some((SecretHash::from_hex(&name)?, Session { token, until_ms: stored.until_ms }))
        });
        Self(Mutex::new(read.filter(|(_, session)| session.until_ms > now).collect()))
    }

    /// Begins one for the owner of a token; `cookie` is the value that it will be told by. Gives what is to be stored.
    pub(super) fn begin(&self, token: SecretHash, cookie: &str, now: UnixMs) -> Vec<RegistryWrite> {
        let mut all = self.all();
        let mut gone: Vec<SecretHash> =
            all.iter().filter(|(_, session)| session.until_ms <= now).map(|(hash, _)| *hash).collect();
        if all.len() - gone.len() >= SESSIONS_MAX {
            let lasting = all.iter().filter(|(_, session)| session.until_ms > now);
            gone.extend(lasting.min_by_key(|(_, session)| session.until_ms).map(|(hash, _)| *hash));
        }
        for hash in &gone {
            all.remove(hash);
        }
        let (hash, session) =
            (SecretHash::of(cookie), Session { token, until_ms: now.saturating_add(SESSION) });
        all.insert(hash, session);
        gone.into_iter().map(removal).chain([session.write(hash)]).collect()
    }

    /// The hash of the token that the session was begun with; None if there is no such session, or no more.
    pub(super) fn token(&self, cookie: &str, now: UnixMs) -> Option<SecretHash> {
        let all = self.all();
        all.get(&SecretHash::of(cookie)).filter(|session| session.until_ms > now).map(|session| session.token)
    }

    /// Ends one. Gives what is to be stored.
    pub(super) fn end(&self, cookie: &str) -> Vec<RegistryWrite> {
        let hash = SecretHash::of(cookie);
        self.all().remove(&hash).map(|_| removal(hash)).into_iter().collect()
    }
}

impl Session {
    fn write(self, hash: SecretHash) -> RegistryWrite {
        let stored = StoredSession { token_sha256: self.token.to_hex(), until_ms: self.until_ms };
        let value = serde_json::to_vec(&stored).expect("plain values become JSON");
        RegistryWrite { kind: SESSION_KIND.to_owned(), name: hash.to_hex(), value: Some(value) }
    }
}

fn removal(hash: SecretHash) -> RegistryWrite {
    RegistryWrite { kind: SESSION_KIND.to_owned(), name: hash.to_hex(), value: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(5_000);

    /// What a registry has after these writes.
    fn registry(writes: Vec<RegistryWrite>) -> Vec<(String, Vec<u8>)> {
        let mut kept = HashMap::new();
        for RegistryWrite { name, value, .. } in writes {
            match value {
                Some(value) => drop(kept.insert(name, value)),
                None => drop(kept.remove(&name)),
            }
        }
        kept.into_iter().collect()
    }

    #[test]
    fn a_session_ends_by_itself_and_when_it_is_asked_to() {
        let (sessions, token) = (Sessions::default(), SecretHash::of("op_1"));
        sessions.begin(token, "a", NOW);
        sessions.begin(token, "b", NOW);
        let end = NOW.saturating_add(SESSION);
        assert_eq!(sessions.token("a", UnixMs(end.0 - 1)), Some(token));
        assert_eq!(sessions.token("a", end), None);
        assert_eq!(sessions.token("c", NOW), None);
        sessions.end("a");
        assert_eq!((sessions.token("a", NOW), sessions.token("b", NOW)), (None, Some(token)));
    }

    #[test]
    fn one_that_was_stored_lasts_as_long_as_it_would_have_and_one_that_was_ended_is_not_found() {
        let (sessions, token) = (Sessions::default(), SecretHash::of("op_1"));
        let mut writes = sessions.begin(token, "a", NOW);
        writes.extend(sessions.begin(token, "b", NOW));
        writes.extend(sessions.end("b"));
        assert!(!format!("{writes:?}").contains("op_1"));
        let stored = registry(writes);
        assert_eq!(stored.len(), 1);
        let again = Sessions::stored(stored.clone(), NOW);
        let end = NOW.saturating_add(SESSION);
        assert_eq!((again.token("a", UnixMs(end.0 - 1)), again.token("a", end)), (Some(token), None));
        assert_eq!(again.token("b", NOW), None);
        assert!(Sessions::stored(stored, end).all().is_empty());
        let broken = vec![("x".to_owned(), b"{}".to_vec())];
        assert!(Sessions::stored(broken, NOW).all().is_empty());
    }

    #[test]
    fn there_are_at_most_so_many_and_the_oldest_makes_room() {
        let (sessions, token) = (Sessions::default(), SecretHash::of("op_1"));
        let begun = u64::try_from(SESSIONS_MAX).expect("a number") + 5;
        let mut writes = Vec::new();
        for ms in 0..begun {
            writes.extend(sessions.begin(token, &ms.to_string(), UnixMs(ms)));
        }
        let now = UnixMs(begun);
        let lasts = |ms: u64| sessions.token(&ms.to_string(), now).is_some();
        assert_eq!((lasts(4), lasts(5), lasts(begun - 1)), (false, true, true));
        assert_eq!(registry(writes).len(), SESSIONS_MAX, "what made room is not stored");
        sessions.begin(token, "later", now.saturating_add(SESSION));
        assert_eq!(sessions.all().len(), 1, "those that have ended are not kept");
    }
}
