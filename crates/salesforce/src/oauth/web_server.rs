//! A customer lets us in at Salesforce's consent page: the web server flow, with PKCE (HELP
//! `remoteaccess_oauth_web_server_flow`; PKGDOC `secure_code_ac_eca`).
//!
//! Here: the page's address, what comes back in the browser, and the exchange of the code. Not here: who may connect which
//! org, and how long what belongs to a consent is kept (the caller); chance is an argument.
//!
//! Invariant: what comes back in a browser may be anybody's. It counts only together with the state that was sent, and the
//! code only together with the verifier, which never leaves this machine before the exchange.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    basic::BasicClient,
};
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};

use super::{Login, LoginCall, Token, error::LoginError, refusal::Grant};
use crate::{call::Reply, text::one_line};

/// What an integration needs: calls, and tokens after the customer has closed the browser.
const SCOPES: [&str; 2] = ["api", "refresh_token"];
/// Bytes of a callback's query; Salesforce's have some hundred.
const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Characters of Salesforce's own words that are repeated.
const WORDS_CHARS_MAX: usize = 300;

/// What to ask of the consent page.
#[derive(Clone, Copy, Debug)]
pub struct ConsentRequest<'a> {
    /// Where the browser is sent back to; letter by letter one of the app's callback URLs.
    pub redirect_uri: &'a Url,
    /// `login`, `consent`, or both with a blank between: ask for them even if there was an answer before.
    pub prompt: Option<&'a str>,
    /// The user name that stands in the login form.
    pub login_hint: Option<&'a str>,
}

/// What belongs to one consent, kept until its callback.
#[derive(Clone, Debug)]
pub struct Consent {
    /// Comes back with the callback, and with no other.
    pub state: SecretString,
    /// Proves at the exchange that the code was asked for by us.
    pub verifier: SecretString,
}

impl Consent {
    /// A consent from 32 bytes of chance each.
    pub fn from_chance(state: [u8; 32], verifier: [u8; 32]) -> Self {
        let text = |bytes: [u8; 32]| SecretString::from(URL_SAFE_NO_PAD.encode(bytes));
        Self { state: text(state), verifier: text(verifier) }
    }

    /// Whether a callback is the answer to this consent; takes the same time for any other state.
    pub fn is_answered_by(&self, callback: &Callback) -> bool {
        let token = |state: &SecretString| CsrfToken::new(state.expose_secret().to_owned());
        token(&self.state) == token(&callback.state)
    }

    /// The address of the consent page.
    pub fn page(&self, login: &Login, request: ConsentRequest<'_>) -> Result<Url, LoginError> {
        login.check_host()?;
        let verifier = PkceCodeVerifier::new(self.verifier.expose_secret().to_owned());
        let client = BasicClient::new(ClientId::new(login.client_id().to_owned()))
            .set_auth_uri(AuthUrl::from_url(login.endpoint("authorize")))
            .set_redirect_uri(RedirectUrl::from_url(request.redirect_uri.clone()));
        let mut page = client
            .authorize_url(|| CsrfToken::new(self.state.expose_secret().to_owned()))
            .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        for (name, value) in [("prompt", request.prompt), ("login_hint", request.login_hint)] {
            if let Some(value) = value {
                page = page.add_extra_param(name, value.to_owned());
            }
        }
        Ok(page.url().0)
    }

    /// The form that exchanges the code for a token.
    pub fn exchange(&self, login: &Login, redirect_uri: &Url, code: &AuthorizationCode) -> LoginCall {
        let plain = |text: &str| SecretString::from(text);
        let mut form = vec![
            ("grant_type", plain("authorization_code")),
            ("code", plain(code.secret())),
            ("redirect_uri", plain(redirect_uri.as_str())),
            ("client_id", plain(login.client_id())),
            ("code_verifier", self.verifier.clone()),
        ];
        form.extend(login.client_secret().map(|secret| ("client_secret", secret.clone())));
        LoginCall { url: login.endpoint("token"), form }
    }
}

/// What came back in the browser.
#[derive(Debug)]
pub struct Callback {
    /// By which the consent is found.
    pub state: SecretString,
    /// The code, or why there is none.
    pub outcome: Result<AuthorizationCode, LoginError>,
}

/// Why what came back is no answer of Salesforce's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCallback {
    /// A part is missing or empty.
    #[error("the address has no `{0}`")]
    Missing(&'static str),
    /// A part is there twice.
    #[error("the address has more than one `{0}`")]
    Twice(&'static str),
    /// No such query is Salesforce's.
    #[error("the address is longer than {QUERY_BYTES_MAX} bytes")]
    TooLong,
}

/// Reads the query of the callback. What is percent-encoded in it is decoded once: codes end in `%3D%3D`.
pub fn callback(query: &str) -> Result<Callback, NoCallback> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(NoCallback::TooLong);
    }
    let part = |name: &'static str| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty());
        if values.next().is_some() { Err(NoCallback::Twice(name)) } else { Ok(value) }
    };
    let state = SecretString::from(part("state")?.ok_or(NoCallback::Missing("state"))?);
    let (code, error, description) = (part("code")?, part("error")?, part("error_description")?);
    let outcome = match (error, code) {
        (Some(error), _) => Err(LoginError::Refused {
            status: 302,
            grant: Grant::Consent,
            code: words(&error),
            description: words(&description.unwrap_or_default()),
        }),
        (None, Some(code)) => Ok(AuthorizationCode::new(code)),
        (None, None) => return Err(NoCallback::Missing("code")),
    };
    Ok(Callback { state, outcome })
}

/// Anybody can make up an address, so its words are short and on one line.
fn words(text: &str) -> String {
    one_line(text.trim()).chars().take(WORDS_CHARS_MAX).collect()
}

/// The token in the answer to [`Consent::exchange`]; it has a refresh token.
pub fn connected(login: &Login, reply: &Reply) -> Result<Token, LoginError> {
    let token = login.token_for(Grant::Code, reply)?;
    let has_scope = |wanted: &[&str]| {
        token.scope.as_ref().is_none_or(|scopes| scopes.split(' ').any(|scope| wanted.contains(&scope)))
    };
    if token.refresh_token.is_none() {
        return Err(LoginError::Scope { scope: "refresh_token" });
    }
    if !has_scope(&["api", "full"]) {
        return Err(LoginError::Scope { scope: "api" });
    }
    Ok(token)
}

#[cfg(test)]
mod tests;
