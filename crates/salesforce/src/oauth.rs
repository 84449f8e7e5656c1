//! Logging in: what to post to the token endpoint, and what its answer means.
//!
//! Here: JWT bearer and client credentials, the token, and the verdict on each refusal.
//! Not here: who logs in and how often (one login at a time per org is the caller's business), sockets
//! (`http/client.rs`).
//!
//! Invariant: neither a key, nor a secret, nor a token appears in a `Debug` text or in an error.

mod assertion;
pub mod refusal;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::{
    call::Reply,
    error::{ApiError, errors_in},
    mend,
};
use refusal::LoginClass;

/// Hosts that know every org; JWT assertions are addressed to them, client credentials are refused there.
const SHARED_HOSTS: [&str; 2] = ["login.salesforce.com", "test.salesforce.com"];

/// How to get a token for one org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// `https://login.salesforce.com`, `https://test.salesforce.com` or the org's My Domain.
    pub login_url: Url,
    /// Which OAuth flow.
    pub flow: Flow,
}

/// An OAuth flow that needs nobody at a browser.
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
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Flow {}

impl Flow {
    /// All that tells one flow from another: which flow it is, its texts, its secret.
    fn parts(&self) -> (u8, [&str; 2], Option<&str>, &str) {
        match self {
            Self::Jwt { client_id, username, key_pem, audience } => {
                (0, [client_id, username], audience.as_deref(), key_pem.expose_secret())
            }
            Self::ClientCredentials { client_id, client_secret } => {
                (1, [client_id, ""], None, client_secret.expose_secret())
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
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The key cannot sign an assertion.
    #[error("the private key cannot be used: {what}")]
    Key {
        /// What is wrong with it.
        what: String,
    },
    /// Nobody can log in at this host this way.
    #[error("`{host}` is no host to log in at: {what}")]
    Host {
        /// Host of `login_url`.
        host: String,
        /// Why nobody can log in there.
        what: &'static str,
    },
    /// The exchange broke off.
    #[error("the login at `{host}` failed: {text}")]
    Transport {
        /// Host of `login_url`.
        host: String,
        /// What happened, without the URL.
        text: String,
        /// False if surely nothing reached Salesforce.
        sent: bool,
    },
    /// Salesforce refused the login.
    #[error("Salesforce refused the login with `{code}` (status {status}): {description}")]
    Refused {
        /// HTTP status of the answer.
        status: u16,
        /// OAuth error code, or `HTTP_<status>` if the answer had none.
        code: String,
        /// Salesforce's text, shortened.
        description: String,
    },
    /// The answer makes no sense.
    #[error("Salesforce's answer to the login (status {status}) cannot be read: {what}")]
    Unreadable {
        /// HTTP status of the answer.
        status: u16,
        /// What is wrong with it.
        what: String,
    },
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
        };
        let mut url = self.login_url.clone();
        url.set_path("/services/oauth2/token");
        url.set_query(None);
        url.set_fragment(None);
        Ok(LoginCall { url, form })
    }

    /// The token in the answer to [`Login::call`].
    pub fn token(&self, reply: &Reply) -> Result<Token, LoginError> {
        if let Some(ApiError { status, code, mut message, .. }) = errors_in(reply).into_iter().next() {
            if let Some(host) = redirect_host(reply) {
                message = format!("a redirect to `{host}`");
            }
            return Err(LoginError::Refused { status, code, description: message });
        }
        let unreadable = |what: &str| LoginError::Unreadable { status: reply.status, what: what.to_owned() };
        let answer: Value = mend::json(&reply.body).map_err(|_| unreadable("it is no complete JSON"))?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let access_token = text("access_token").ok_or_else(|| unreadable("`access_token` is missing"))?;
        let instance_url = text("instance_url").ok_or_else(|| unreadable("`instance_url` is missing"))?;
        let instance_url =
            instance(instance_url).ok_or_else(|| unreadable("`instance_url` is no web address"))?;
        if self.login_url.scheme() == "https" && instance_url.scheme() != "https" {
            return Err(unreadable("`instance_url` is not https, and a token is not sent in the clear"));
        }
        let (org_id, user_id) = text("id")
            .and_then(identity)
            .ok_or_else(|| unreadable("`id` names no org and user (`…/id/00D…/005…`)"))?;
        Ok(Token { access_token: SecretString::from(access_token), instance_url, org_id, user_id })
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

    /// The same login, addressed to the host shared by all orgs, if Salesforce refused the audience that followed from
    /// a My Domain: some orgs take only the one, some only the other.
    pub fn readdressed(&self, error: &LoginError) -> Option<Self> {
        let Flow::Jwt { client_id, username, key_pem, audience: None } = &self.flow else { return None };
        if is_shared(self.host()) || !error.blames_audience() {
            return None;
        }
        let is_sandbox = [".sandbox.my.", ".scratch.my.", "--"].iter().any(|part| self.host().contains(part));
        let shared = SHARED_HOSTS[usize::from(is_sandbox)];
        let flow = Flow::Jwt {
            client_id: client_id.clone(),
            username: username.clone(),
            key_pem: key_pem.clone(),
            audience: Some(format!("https://{shared}")),
        };
        Some(Self { login_url: self.login_url.clone(), flow })
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
        if host.ends_with(".lightning.force.com") || host.ends_with(".salesforce-setup.com") {
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

impl LoginError {
    /// What to do about it.
    pub fn class(&self) -> LoginClass {
        match self {
            Self::Key { .. } | Self::Host { .. } => LoginClass::Settings,
            Self::Transport { .. } | Self::Unreadable { .. } => LoginClass::Transient,
            Self::Refused { status, code, description } => refusal::judge(*status, code, description).0,
        }
    }

    /// True if only the customer or the operator can mend it.
    pub fn is_permanent(&self) -> bool {
        match self.class() {
            LoginClass::Transient | LoginClass::RateLimited => false,
            LoginClass::Settings | LoginClass::App | LoginClass::User | LoginClass::Org => true,
        }
    }

    /// True if the app's policy in the customer's org keeps the user out.
    pub fn is_app_policy(&self) -> bool {
        match self {
            Self::Refused { description, .. } => refusal::is_app_policy(description),
            Self::Key { .. } | Self::Host { .. } | Self::Transport { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// True if another login was under way, which is over in a second or two, however often it is met.
    pub fn is_meeting(&self) -> bool {
        match self {
            Self::Refused { code, description, .. } => {
                code == "invalid_grant" && refusal::is_meeting(description)
            }
            Self::Key { .. } | Self::Host { .. } | Self::Transport { .. } | Self::Unreadable { .. } => false,
        }
    }

    fn blames_audience(&self) -> bool {
        match self {
            Self::Refused { code, description, .. } => {
                code == "invalid_grant" && description.to_ascii_lowercase().contains("audience")
            }
            Self::Key { .. } | Self::Host { .. } | Self::Transport { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// What somebody can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Key { .. } => {
                "Give an unencrypted RSA key of 2048 bits or more in PEM form, such as `openssl genrsa 2048` makes, \
                 whose certificate is uploaded to the external client app."
            }
            Self::Host { .. } => {
                "Set `login_url` to the org's My Domain, `https://NAME.my.salesforce.com` (Setup, My Domain)."
            }
            Self::Transport { .. } => {
                "Check that this machine reaches `login_url` over HTTPS; the login is repeated."
            }
            Self::Unreadable { .. } => "The login is repeated; if it stays, look for a proxy in between.",
            Self::Refused { status, code, description } => refusal::judge(*status, code, description).1,
        };
        Some(hint.to_owned())
    }
}

fn is_shared(host: &str) -> bool {
    SHARED_HOSTS.contains(&host)
}

/// Scheme and host of the instance; a path there is none of ours.
fn instance(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let usable = matches!(url.scheme(), "https" | "http") && url.host_str().is_some();
    if usable { Url::parse(&url.origin().ascii_serialization()).ok() } else { None }
}

/// Org and user of an identity URL, `https://login.salesforce.com/id/00D…/005…`.
fn identity(url: &str) -> Option<(String, String)> {
    let url = Url::parse(url).ok()?;
    let mut parts = url.path_segments()?.filter(|part| !part.is_empty()).rev();
    let user = long_id(parts.next()?, "005")?;
    let org = long_id(parts.next()?, "00D")?;
    Some((org, user))
}

/// The 18-character form of an ID of that kind: the 15 characters and a checksum of which of them are capitals.
fn long_id(id: &str, prefix: &str) -> Option<String> {
    if !id.starts_with(prefix) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match id.len() {
        18 => Some(id.to_owned()),
        15 => {
            let digit = |part: &[u8]| {
                let bits = part.iter().enumerate().filter(|(_, byte)| byte.is_ascii_uppercase());
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits.fold(0, |sum, (bit, _)| sum | 1 << bit)]
            };
            Some(id.chars().chain(id.as_bytes().chunks(5).map(|part| char::from(digit(part)))).collect())
        }
        _ => None,
    }
}

/// Where a redirect leads; its path may carry secrets and is left out.
fn redirect_host(reply: &Reply) -> Option<String> {
    if !(301..400).contains(&reply.status) {
        return None;
    }
    Url::parse(reply.header("location")?).ok()?.host_str().map(str::to_owned)
}

/// The form as pairs of text, for sending.
pub(crate) fn exposed(form: &[(&'static str, SecretString)]) -> Vec<(&'static str, String)> {
    form.iter().map(|(name, value)| (*name, value.expose_secret().to_owned())).collect()
}

#[cfg(test)]
pub(crate) mod tests;
