//! Who asks, and whether they may: from a request's token or cookie to a caller with a role.
//!
//! Here: telling callers, and the words for those who are none. Not here: where a request may come from (`guard`), which
//! path takes which role (`routes`), the tokens themselves (`tokens`).
//!
//! Whoever shows a wrong token is answered only so often. One who shows a right token never waits for that: with 256 random
//! bits there is nothing to try out, and nobody who floods the address locks its operator out.

use std::{fmt, num::NonZeroU32, time::Duration};

use actix_web::{
    HttpResponse,
    cookie::{Cookie, SameSite},
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use orgpipe_actors::{Service, clock::Clock};
use orgpipe_store::StoreError;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    login_page,
    secret::{self, SecretHash},
    sessions::{SESSION, SESSION_KIND, Sessions},
    tokens::{Role, Tokens},
};
use crate::dashboard::shell::Viewer;

/// Wrong tokens that are answered in a row, and each minute after that.
const WRONG_IN_A_ROW: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
const WRONG_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).expect("not zero");

type Limiter = RateLimiter<NotKeyed, InMemoryState, Clock, NoOpMiddleware<Duration>>;

/// Somebody with a token.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The token's name, under which what they do is remembered.
    pub(super) name: String,
    pub(super) role: Role,
    /// The token's hash.
    token: SecretHash,
    /// Whether a browser's cookie says so: it comes along without anybody's doing.
    pub(super) by_cookie: bool,
}

impl Caller {
    /// Whether they may do what that role may.
    pub(super) fn check(&self, needed: Role) -> Result<(), Denied> {
        if self.role >= needed {
            return Ok(());
        }
        Err(Denied::Role { name: self.name.clone(), role: self.role, needed })
    }

    /// As pages know them.
    pub(super) fn viewer(&self) -> Viewer {
        Viewer {
            name: self.name.clone(),
            role: self.role.name(),
            may_operate: self.check(Role::Operate).is_ok(),
            by_cookie: self.by_cookie,
        }
    }
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    #[error("this needs a token, and there is none with the request")]
    NoToken,
    #[error("the token is not known: it is mistyped, or it was revoked")]
    Wrong,
    #[error("too many wrong tokens were tried; the next one is looked at in {wait_secs} s")]
    TooMany { wait_secs: u64 },
    #[error("no session can be begun: {0}")]
    NoSession(String),
    #[error("the token `{name}` has the role {}, and this needs {}", role.name(), needed.name())]
    Role { name: String, role: Role, needed: Role },
}

impl Denied {
    fn hint(&self) -> &'static str {
        match self {
            Self::NoToken => {
                "Send `Authorization: Bearer TOKEN`, or log in at /login. The first token is in the file `data.token` beside \
                 the data directory; `orgpipe tokens add` makes more."
            }
            Self::Wrong | Self::TooMany { .. } => {
                "`orgpipe tokens list` shows those there are. If all are lost, stop the service and make a new one with \
                 `orgpipe tokens reset`."
            }
            Self::NoSession(_) => "Ask with the token itself, by the command line.",
            Self::Role { .. } => "Ask with another token; `orgpipe tokens add NAME --role ROLE` makes one.",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::Wrong => StatusCode::UNAUTHORIZED,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NoSession(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Role { .. } => StatusCode::FORBIDDEN,
        }
    }

    /// As it is answered; to a browser as the page to log in on.
    pub(super) fn answer(&self, to_browser: bool) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status());
        if self.status() == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3.
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"orgpipe\""));
        }
        if let Self::TooMany { wait_secs } = self {
            answer.insert_header((header::RETRY_AFTER, wait_secs.to_string()));
        }
        match self {
            Self::NoToken if to_browser => login_page::page(answer, ""),
            Self::Wrong | Self::TooMany { .. } | Self::NoSession(_) if to_browser => {
                login_page::page(answer, &self.to_string())
            }
            _ => answer.json(json!({ "error": self.to_string(), "hint": self.hint() })),
        }
    }
}

/// The cookie that a session is told by. Cookies know no ports, so that the name does.
#[derive(Clone, Debug)]
pub(super) struct CookieRule {
    name: String,
    secure: bool,
}

impl CookieRule {
    /// `secure`: browsers reach the service by TLS, and are to send the cookie by nothing else.
    pub(super) fn new(port: u16, secure: bool) -> Self {
        // A cookie of this prefix no other host can have set (RFC 6265bis, section 4.1.3.2).
        let prefix = if secure { "__Host-" } else { "" };
        Self { name: format!("{prefix}orgpipe_{port}"), secure }
    }

    fn cookie(&self, value: &str, lasts: Duration) -> Cookie<'static> {
        let lasts = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        Cookie::build(self.name.clone(), value.to_owned())
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(self.secure)
            .max_age(actix_web::cookie::time::Duration::seconds(lasts))
            .finish()
    }

    /// The value that a request brings.
    fn value<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let cookies = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| name.trim() == self.name).map(|(_, value)| value.trim())
    }
}

/// Everything by which a caller is told.
pub(super) struct Access {
    pub(super) tokens: Tokens,
    sessions: Sessions,
    cookies: CookieRule,
    wrong: Limiter,
    clock: Clock,
    service: Service,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("cookies", &self.cookies).finish_non_exhaustive()
    }
}

impl Access {
    /// With the sessions that are stored.
    pub(super) async fn load(
        tokens: Tokens,
        cookies: CookieRule,
        service: Service,
    ) -> Result<Self, StoreError> {
        let clock = service.clock();
        let quota = Quota::per_minute(WRONG_PER_MINUTE).allow_burst(WRONG_IN_A_ROW);
        let wrong = RateLimiter::direct_with_clock(quota, clock);
        let sessions = Sessions::stored(service.registry(SESSION_KIND).await?, clock.now_ms());
        Ok(Self { tokens, sessions, cookies, wrong, clock, service })
    }

    /// Who sends a request with these headers. A token that is there counts, whatever cookie comes beside it.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Denied> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let value = value.to_str().map_err(|_| self.refused())?;
            return match value.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self.owner(token.trim()),
                _ => Err(Denied::NoToken),
            };
        }
        let session = self.cookies.value(headers);
        let token = session.and_then(|value| self.sessions.token(value, self.clock.now_ms()));
        let token = token.and_then(|hash| self.tokens.find(&hash)).ok_or(Denied::NoToken)?;
        Ok(Caller { name: token.name, role: token.role, token: token.hash, by_cookie: true })
    }

    /// The owner of a token.
    fn owner(&self, token: &str) -> Result<Caller, Denied> {
        match self.tokens.find(&SecretHash::of(token)) {
            Some(token) => {
                Ok(Caller { name: token.name, role: token.role, token: token.hash, by_cookie: false })
            }
            None => Err(self.refused()),
        }
    }

    fn refused(&self) -> Denied {
        match self.wrong.check() {
            Ok(()) => {
                tracing::warn!("a request with a token that is not known was refused");
                Denied::Wrong
            }
            Err(refused) => {
                let wait = refused.wait_time_from(self.clock.monotonic());
                Denied::TooMany { wait_secs: wait.as_secs() + 1 }
            }
        }
    }

    /// Begins a session for the owner of a token; gives the cookie that it is told by.
    pub(super) async fn log_in(&self, token: &str) -> Result<Cookie<'static>, Denied> {
        let caller = self.owner(token)?;
        let value = secret::random("").map_err(|error| Denied::NoSession(error.to_string()))?;
        let writes = self.sessions.begin(caller.token, value.expose_secret(), self.clock.now_ms());
        if let Err(error) = self.service.register(writes).await {
            // On a full disk one must be able to look, too.
            tracing::warn!("a session is not stored, and will end with this process: {error}");
        }
        tracing::info!(by = caller.name, "a browser was logged in to the dashboard");
        Ok(self.cookies.cookie(value.expose_secret(), SESSION))
    }

    /// Ends the session that a request comes with; gives the cookie that takes its cookie away.
    pub(super) async fn end_session(&self, headers: &HeaderMap) -> Cookie<'static> {
        let writes = self.cookies.value(headers).map(|value| self.sessions.end(value)).unwrap_or_default();
        if !writes.is_empty()
            && let Err(error) = self.service.register(writes).await
        {
            tracing::warn!("that a session was ended is not stored: {error}");
        }
        self.cookies.cookie("", Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{HttpMessage as _, test::TestRequest};

    use super::*;

    #[test]
    fn a_cookie_is_only_for_this_service_and_not_for_scripts() {
        let plain = CookieRule::new(8787, false).cookie("value", SESSION).to_string();
        assert_eq!(plain, "orgpipe_8787=value; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200");
        let secure = CookieRule::new(443, true).cookie("value", SESSION).to_string();
        let expected = "__Host-orgpipe_443=value; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=43200";
        assert_eq!(secure, expected);
        let gone = CookieRule::new(443, true).cookie("", Duration::ZERO).to_string();
        assert!(gone.ends_with("Max-Age=0"), "{gone}");
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let rule = CookieRule::new(8787, false);
        for (sent, found) in [
            ("orgpipe_8787=abc", Some("abc")),
            ("a=b; orgpipe_8787=abc; c=d", Some("abc")),
            ("orgpipe_8788=abc", None),
            ("xorgpipe_8787=abc", None),
            ("orgpipe_8787", None),
            ("", None),
        ] {
            let request = TestRequest::default().insert_header(("cookie", sent)).to_request();
            assert_eq!(rule.value(request.headers()), found, "{sent}");
        }
    }

    #[test]
    fn a_role_may_what_the_lower_ones_may() {
        for role in [Role::Read, Role::Operate, Role::Admin] {
            let caller = Caller { name: "ci".into(), role, token: SecretHash::of("op_1"), by_cookie: false };
            for needed in [Role::Read, Role::Operate, Role::Admin] {
                assert_eq!(caller.check(needed).is_ok(), role >= needed, "{role:?} for {needed:?}");
            }
        }
        let caller =
            Caller { name: "ci".into(), role: Role::Read, token: SecretHash::of("x"), by_cookie: false };
        let denied = caller.check(Role::Admin).expect_err("too low");
        assert_eq!(denied.to_string(), "the token `ci` has the role read, and this needs admin");
    }
}
