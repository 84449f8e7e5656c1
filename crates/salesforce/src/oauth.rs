//! Logging in: what to post to the token endpoint, and what its answer means.
//!
//! Here: JWT bearer, client credentials and refresh token; the token, and the verdict on each refusal.
//! Not here: how a customer gives the refresh token (`web_server`), who logs in and how often (one login at a time per org is
//! the caller's business), sockets (`http/client.rs`).
//!
//! Invariant: neither a key, nor a secret, nor a token appears in a `Debug` text or in an error.

pub mod answer;
mod assertion;
pub mod attempts;
pub mod error;
pub mod instance;
pub mod login_host;
pub mod refusal;
pub mod revocation;
pub mod web_server;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::{
    call::Reply,
    error::{ApiError, errors_in},
    mend,
    text::one_line,
};
use error::LoginError;
use refusal::Grant;

/// Hosts that know every org; JWT assertions are addressed to them, client credentials are refused there.
const SHARED_HOSTS: [&str; 2] = ["login.salesforce.com", "test.salesforce.com"];

/// How to get a token for one org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// `https://login.salesforce.com`, `https://test.salesforce.com` or the org's My Domain.
    pub login_url: Url,
    /// Which OAuth flow.
    pub flow: Flow,
    /// Hosts beside Salesforce's own that a token may be sent to, such as a gateway's.
    pub instance_hosts: Vec<String>,
}

/// An OAuth flow. None needs anybody at a browser, but for the consent that a refresh token comes from.
#[derive(Clone, Debug)]
pub enum Flow {
    /// JWT bearer (HELP `remoteaccess_oauth_jwt_flow`).
    Jwt {
        /// Consumer key of the external client app.
        client_id: String,
        /// Name of the running user.
        username: String,
        /// RSA private key, PEM, PKCS#1 or PKCS#8, not encrypted.
        key_pem: SecretString,
        /// Whom the assertion is addressed to, if not the one that follows from `login_url`.
        audience: Option<String>,
    },
    /// Client credentials; works at the org's My Domain only (HELP `remoteaccess_oauth_client_credentials_flow`).
    ClientCredentials {
        /// Consumer key of the external client app.
        client_id: String,
        /// Consumer secret of the external client app.
        client_secret: SecretString,
    },
    /// Refresh token (HELP `remoteaccess_oauth_refresh_token_flow`).
    RefreshToken {
        /// Consumer key of the external client app.
        client_id: String,
        /// Consumer secret of the external client app, unless it is a public one.
        client_secret: Option<SecretString>,
        /// What the customer's consent gave; none if that is kept elsewhere, or was not given yet.
        refresh_token: Option<SecretString>,
    },
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Flow {}

impl Flow {
    /// All that tells one flow from another: which flow it is, its texts, its secrets.
    fn parts(&self) -> (Grant, [Option<&str>; 3], [Option<&str>; 2]) {
        match self {
            Self::Jwt { client_id, username, key_pem, audience } => (
                Grant::Assertion,
                [Some(client_id), Some(username), audience.as_deref()],
                [Some(key_pem.expose_secret()), None],
            ),
            Self::ClientCredentials { client_id, client_secret } => {
                (Grant::Client, [Some(client_id), None, None], [Some(client_secret.expose_secret()), None])
            }
            Self::RefreshToken { client_id, client_secret, refresh_token } => {
                let secrets = [client_secret, refresh_token];
                let secrets = secrets.map(|secret| secret.as_ref().map(ExposeSecret::expose_secret));
                (Grant::Refresh, [Some(client_id), None, None], secrets)
            }
        }
    }
}

/// A form for the token endpoint.
#[derive(Clone)]
pub struct LoginCall {
    /// The token endpoint.
    pub url: Url,
    /// What is posted, not yet encoded.
    pub form: Vec<(&'static str, SecretString)>,
}

impl fmt::Debug for LoginCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.form.iter().map(|(name, _)| name).collect();
        f.debug_struct("LoginCall").field("url", &self.url.as_str()).field("form", &names).finish()
    }
}

/// What a login gives. It tells no end of life: a token is good until a call is refused with 401.
#[derive(Clone, Debug)]
pub struct Token {
    /// Sent as `Authorization: Bearer`.
    pub access_token: SecretString,
    /// Where all calls go; may change from login to login.
    pub instance_url: Url,
    /// The org, 18 characters; a refreshed sandbox has a new one under the old host.
    pub org_id: String,
    /// The running user, 18 characters.
    pub user_id: String,
    /// Given where a customer connects, and at a refresh if refresh tokens are rotated: then the one that was sent is spent,
    /// and this one has to be on disk before the token is used (HELP 005316711).
    pub refresh_token: Option<SecretString>,
    /// What the token may do, separated by blanks, if the answer told it.
    pub scope: Option<String>,
}

impl Login {
    /// The form to post, signed for a life of three minutes from `now_secs` (seconds since 1970).
    pub fn call(&self, now_secs: i64) -> Result<LoginCall, LoginError> {
        self.check_host()?;
        let form = match &self.flow {
            Flow::Jwt { client_id, username, key_pem, .. } => {
                let assertion = assertion::sign(key_pem, client_id, username, &self.audience(), now_secs)
                    .map_err(key_problem)?;
                vec![
                    ("grant_type", SecretString::from("urn:ietf:params:oauth:grant-type:jwt-bearer")),
                    ("assertion", SecretString::from(assertion)),
                ]
            }
            Flow::ClientCredentials { client_id, client_secret } => vec![
                ("grant_type", SecretString::from("client_credentials")),
                ("client_id", SecretString::from(client_id.as_str())),
                ("client_secret", client_secret.clone()),
            ],
            Flow::RefreshToken { client_id, client_secret, refresh_token } => {
                let refresh_token = refresh_token.clone().ok_or(LoginError::NotConnected)?;
                let mut form = vec![
                    ("grant_type", SecretString::from("refresh_token")),
                    ("refresh_token", refresh_token),
                    ("client_id", SecretString::from(client_id.as_str())),
                ];
                form.extend(client_secret.clone().map(|secret| ("client_secret", secret)));
                form
            }
        };
        Ok(LoginCall { url: self.endpoint("token"), form })
    }

    /// One of the host's OAuth endpoints, such as `token`.
    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.login_url.clone();
        url.set_path(&format!("/services/oauth2/{name}"));
        url.set_query(None);
        url.set_fragment(None);
        url
    }

    /// The refresh token of the settings, or that [`Login::with_refresh_token`] put in.
    pub fn refresh_token(&self) -> Option<&SecretString> {
        match &self.flow {
            Flow::RefreshToken { refresh_token, .. } => refresh_token.as_ref(),
            Flow::Jwt { .. } | Flow::ClientCredentials { .. } => None,
        }
    }

    /// The same login with this refresh token; the same login if its flow has none.
    pub fn with_refresh_token(&self, refresh_token: SecretString) -> Self {
        let mut login = self.clone();
        if let Flow::RefreshToken { refresh_token: old, .. } = &mut login.flow {
            *old = Some(refresh_token);
        }
        login
    }

    /// Consumer key of the external client app.
    pub fn client_id(&self) -> &str {
        match &self.flow {
            Flow::Jwt { client_id, .. }
            | Flow::ClientCredentials { client_id, .. }
            | Flow::RefreshToken { client_id, .. } => client_id,
        }
    }

    /// Consumer secret of the external client app, if the flow has one.
    fn client_secret(&self) -> Option<&SecretString> {
        match &self.flow {
            Flow::Jwt { .. } => None,
            Flow::ClientCredentials { client_secret, .. } => Some(client_secret),
            Flow::RefreshToken { client_secret, .. } => client_secret.as_ref(),
        }
    }

    /// True if a login may use up what it logs in with. Where refresh tokens are rotated, one that is sent a second time ends
    /// the customer's whole grant (HELP 005316711), so nobody but the one who keeps the newest may log in.
    pub fn is_used_up(&self) -> bool {
        matches!(self.flow, Flow::RefreshToken { .. })
    }

    /// With what [`Login::call`] asks for a token.
    pub fn grant(&self) -> Grant {
        self.flow.parts().0
    }

    /// The token in the answer to [`Login::call`].
    ///
    /// Where refresh tokens are rotated an answer may hold a new one although there is no token to use:
    /// [`answer::refresh_token`].
    pub fn token(&self, reply: &Reply) -> Result<Token, LoginError> {
        self.token_for(self.grant(), reply)
    }

    /// The same for an answer to another grant than the login's own.
    fn token_for(&self, grant: Grant, reply: &Reply) -> Result<Token, LoginError> {
        if let Some(ApiError { status, code, mut message, .. }) = errors_in(reply).into_iter().next() {
            if let Some(host) = answer::redirect_host(reply) {
                message = format!("a redirect to `{host}`");
            }
            return Err(LoginError::Refused { status, grant, code, description: message });
        }
        let unreadable = |what: &str| LoginError::Unreadable { status: reply.status, what: what.to_owned() };
        let answer: Value = mend::json(&reply.body).map_err(|_| unreadable("it is no complete JSON"))?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        // Old answers have no type (HELP `remoteaccess_oauth_web_server_flow`).
        if let Some(kind) = text("token_type").filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(unreadable(&format!("`token_type` is `{}`, not `Bearer`", one_line(kind))));
        }
        let access_token = text("access_token").ok_or_else(|| unreadable("`access_token` is missing"))?;
        let instance_url = text("instance_url").ok_or_else(|| unreadable("`instance_url` is missing"))?;
        let instance_url =
            answer::instance(instance_url).ok_or_else(|| unreadable("`instance_url` is no web address"))?;
        instance::accepts(&instance_url, &self.login_url, &self.instance_hosts).map_err(|why| {
            LoginError::Instance { host: instance_url.host_str().unwrap_or_default().to_owned(), why }
        })?;
        let (org_id, user_id) = text("id")
            .and_then(answer::identity)
            .ok_or_else(|| unreadable("`id` names no org and user (`…/id/00D…/005…`)"))?;
        Ok(Token {
            access_token: SecretString::from(access_token),
            instance_url,
            org_id,
            user_id,
            refresh_token: text("refresh_token").map(SecretString::from),
            scope: text("scope").map(one_line),
        })
    }

    /// Whom an assertion is addressed to. The two shared hosts are named literally; a My Domain by its own origin.
    pub fn audience(&self) -> String {
        if let Flow::Jwt { audience: Some(audience), .. } = &self.flow {
            return audience.clone();
        }
        match self.login_url.host_str() {
            Some(host) if is_shared(host) => format!("https://{host}"),
            _ => self.login_url.origin().ascii_serialization(),
        }
    }

    /// Whom else an assertion may be addressed to: some orgs take only the host that all orgs share, some only their own.
    fn other_audiences(&self) -> Vec<String> {
        let own = self.login_url.origin().ascii_serialization();
        if is_shared(self.host()) {
            return vec![own];
        }
        let is_sandbox = [".sandbox.my.", ".scratch.my.", "--"].iter().any(|part| self.host().contains(part));
        vec![format!("https://{}", SHARED_HOSTS[usize::from(is_sandbox)]), own]
    }

    /// Name of the host logged in at, for messages.
    pub fn host(&self) -> &str {
        self.login_url.host_str().unwrap_or_default()
    }

    fn check_host(&self) -> Result<(), LoginError> {
        let host = self.host();
        let refuse = |what| Err(LoginError::Host { host: host.to_owned(), what });
        if host.is_empty() || !matches!(self.login_url.scheme(), "https" | "http") {
            return refuse("it is no web address");
        }
        if instance::serves_pages(host) {
            return refuse("it serves pages, not the API");
        }
        if is_shared(host) && matches!(self.flow, Flow::ClientCredentials { .. }) {
            return refuse("client credentials work at an org's own My Domain only");
        }
        Ok(())
    }
}

/// Says whether a private key can sign assertions, by signing one.
pub fn check_key(pem: &str) -> Result<(), LoginError> {
    assertion::sign(&SecretString::from(pem), "", "", "", 0).map(drop).map_err(key_problem)
}

fn key_problem(what: &str) -> LoginError {
    LoginError::Key { what: what.to_owned() }
}

fn is_shared(host: &str) -> bool {
    SHARED_HOSTS.contains(&host)
}

/// The form as pairs of text, for sending.
pub(crate) fn exposed(form: &[(&'static str, SecretString)]) -> Vec<(&'static str, String)> {
    form.iter().map(|(name, value)| (*name, value.expose_secret().to_owned())).collect()
}

#[cfg(test)]
pub(crate) mod tests;
