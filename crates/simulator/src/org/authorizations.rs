//! The web server flow between its requests: browsers that are logged in, authorizations under way, codes.
//!
//! Here: keeping them, and how long a code is good. Not here: the pages (`oauth/authorize`), what a code is exchanged for
//! (`oauth/token`). Source: Help "OAuth 2.0 Web Server Flow": an authorization code lives 15 minutes.

use std::collections::VecDeque;

use super::random::random_text;

/// How long a code may be exchanged, in simulated time.
const CODE_MS: i64 = 15 * 60 * 1_000;
/// Entries kept of each kind; the oldest go first.
const ENTRIES_MAX: usize = 1_000;

/// What an app asks a user for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) redirect_uri: String,
    /// Scopes, with a space between them.
    pub(crate) scope: String,
    pub(crate) state: Option<String>,
    /// The S256 challenge of PKCE.
    pub(crate) challenge: Option<String>,
    pub(crate) login_hint: String,
    /// The user shall be asked for consent even if it has given it before.
    pub(crate) asks_again: bool,
    /// The user must not be asked anything.
    pub(crate) immediate: bool,
    /// The browser session that the user goes through it with.
    pub(crate) session: Option<String>,
}

/// What a user has let the app have, until the app fetches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthorizationCode {
    pub(crate) user: String,
    pub(crate) scope: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<String>,
    made_ms: i64,
    is_spent: bool,
}

/// Why a code is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadCode {
    Unknown,
    /// It was exchanged before, or is too old.
    Over,
}

#[derive(Debug, Default)]
pub(crate) struct Authorizations {
    /// The user of each browser session.
    sessions: Kept<String>,
    under_way: Kept<Authorization>,
    codes: Kept<AuthorizationCode>,
}

impl Authorizations {
    /// A user has logged in with a browser: the session's secret.
    pub(crate) fn log_in(&mut self, user: &str) -> String {
        self.sessions.keep(random_text(2), user.to_owned())
    }

    pub(crate) fn user(&self, session: &str) -> Option<&str> {
        self.sessions.get(session).map(String::as_str)
    }

    /// Ends the browser sessions of those users.
    pub(crate) fn log_out(&mut self, is_meant: impl Fn(&str) -> bool) {
        self.sessions.entries.retain(|(_, user)| !is_meant(user));
    }

    /// An app asks: the name under which the pages know of it, which nobody can guess.
    pub(crate) fn begin(&mut self, asked: Authorization) -> String {
        self.under_way.keep(random_text(1), asked)
    }

    pub(crate) fn get(&self, source: &str) -> Option<&Authorization> {
        self.under_way.get(source)
    }

    /// The user goes through it with this session.
    pub(crate) fn join(&mut self, source: &str, session: &str) {
        if let Some(asked) = self.under_way.get_mut(source) {
            asked.session = Some(session.to_owned());
        }
    }

    /// The user has answered: a code for a yes.
    pub(crate) fn end(&mut self, source: &str, user: Option<&str>, now_ms: i64) -> Option<String> {
        let asked = self.under_way.take(source)?;
        let code = AuthorizationCode {
            user: user?.to_owned(),
            scope: asked.scope,
            redirect_uri: asked.redirect_uri,
            challenge: asked.challenge,
            made_ms: now_ms,
            is_spent: false,
        };
        Some(self.codes.keep(format!("aPrx{}==", random_text(2)), code))
    }

    /// What a code is good for.
    pub(crate) fn code(&self, code: &str, now_ms: i64) -> Result<&AuthorizationCode, BadCode> {
        let known = self.codes.get(code).ok_or(BadCode::Unknown)?;
        if known.is_spent || now_ms - known.made_ms > CODE_MS { Err(BadCode::Over) } else { Ok(known) }
    }

    /// A code has been exchanged.
    pub(crate) fn spend(&mut self, code: &str) {
        if let Some(known) = self.codes.get_mut(code) {
            known.is_spent = true;
        }
    }

    /// Makes it look as if all codes had been made so much earlier.
    pub(crate) fn age(&mut self, ms: i64) {
        for (_, code) in &mut self.codes.entries {
            code.made_ms = code.made_ms.saturating_sub(ms);
        }
    }
}

/// The newest entries of a kind.
#[derive(Debug)]
struct Kept<T> {
    entries: VecDeque<(String, T)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new() }
    }
}

impl<T> Kept<T> {
    fn keep(&mut self, name: String, entry: T) -> String {
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back((name.clone(), entry));
        name
    }

    fn get(&self, name: &str) -> Option<&T> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, entry)| entry)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.entries.iter_mut().find(|(known, _)| known == name).map(|(_, entry)| entry)
    }

    fn take(&mut self, name: &str) -> Option<T> {
        let at = self.entries.iter().position(|(known, _)| known == name)?;
        self.entries.remove(at).map(|(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Authorization {
        Authorization {
            redirect_uri: "http://localhost/callback".to_owned(),
            scope: "api".to_owned(),
            state: None,
            challenge: None,
            login_hint: String::new(),
            asks_again: false,
            immediate: false,
            session: None,
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_fifteen_minutes() {
        let mut authorizations = Authorizations::default();
        let source = authorizations.begin(asked());
        let code = authorizations.end(&source, Some("005"), 0).expect("a code");
        assert!(code.ends_with("=="));
        assert!(authorizations.end(&source, Some("005"), 0).is_none(), "one answer is all there is");
        assert!(authorizations.code(&code, CODE_MS).is_ok());
        assert_eq!(authorizations.code(&code, CODE_MS + 1), Err(BadCode::Over));
        authorizations.spend(&code);
        assert_eq!(authorizations.code(&code, 1), Err(BadCode::Over));
        assert_eq!(authorizations.code("aPrx==", 1), Err(BadCode::Unknown));
    }

    #[test]
    fn a_no_gives_no_code() {
        let mut authorizations = Authorizations::default();
        let source = authorizations.begin(asked());
        assert!(authorizations.end(&source, None, 0).is_none());
        assert!(authorizations.get(&source).is_none());
    }
}
