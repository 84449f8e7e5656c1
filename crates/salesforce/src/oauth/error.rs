//! Why a login gave no token.
//!
//! Here: every way in which it can fail, with its verdict and its hint. Not here: what Salesforce's refusals mean (`refusal`).

use super::{
    instance::ForeignInstance,
    refusal::{self, Grant, LoginClass},
};

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
    /// Nobody has let us in yet.
    #[error("the org is not connected: nobody has given a refresh token for it")]
    NotConnected,
    /// The answer would send us, with the token, to somebody else.
    #[error("the token is for `{host}`, and is not sent there: {why}")]
    Instance {
        /// The host that the answer names.
        host: String,
        /// Why not.
        why: ForeignInstance,
    },
    /// The consent does not reach as far as we need.
    #[error("the consent did not give what is needed: the scope `{scope}` is missing")]
    Scope {
        /// What is missing.
        scope: &'static str,
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
        /// With what the token was asked for.
        grant: Grant,
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

impl LoginError {
    /// What to do about it.
    pub fn class(&self) -> LoginClass {
        match self {
            Self::Key { .. } | Self::Host { .. } | Self::Instance { .. } => LoginClass::Settings,
            Self::NotConnected => LoginClass::Reauthorise,
            Self::Scope { .. } => LoginClass::App,
            Self::Transport { .. } | Self::Unreadable { .. } => LoginClass::Transient,
            Self::Refused { status, grant, code, description } => {
                refusal::judge(*grant, *status, code, description).0
            }
        }
    }

    /// True if only the customer or the operator can mend it.
    pub fn is_permanent(&self) -> bool {
        match self.class() {
            LoginClass::Transient | LoginClass::RateLimited => false,
            LoginClass::Resign
            | LoginClass::Audience
            | LoginClass::Settings
            | LoginClass::Reauthorise
            | LoginClass::App
            | LoginClass::User
            | LoginClass::Org => true,
        }
    }

    /// True if the app's policy in the customer's org keeps the user out.
    pub fn is_app_policy(&self) -> bool {
        matches!(self, Self::Refused { description, .. } if refusal::is_app_policy(description))
    }

    /// True if another login was under way, which is over in a second or two, however often it is met.
    pub fn is_meeting(&self) -> bool {
        match self {
            Self::Refused { grant, code, description, .. } => {
                code == "invalid_grant" && refusal::is_meeting(*grant, description)
            }
            _ => false,
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
            Self::NotConnected => {
                "Send the customer a link to connect with (`orgpipe orgs invite ID` makes one), or name a refresh token in \
                 the settings (`refresh_token_env` or `refresh_token_file`)."
            }
            Self::Instance { why: ForeignInstance::Elsewhere, .. } => {
                "If this is a gateway of yours, name the host in `instance_hosts`; if not, find out who answers at \
                 `login_url`."
            }
            Self::Instance { .. } => {
                "Set `login_url` to the org's My Domain; if it stays, look for a proxy in between."
            }
            Self::Scope { .. } => {
                "Add \"Manage user data via APIs (api)\" and \"Perform requests at any time (refresh_token, \
                 offline_access)\" to the app's selected OAuth scopes (Setup, External Client App Manager, Settings), and \
                 connect again."
            }
            Self::Transport { .. } => {
                "Check that this machine reaches `login_url` over HTTPS; the login is repeated."
            }
            Self::Unreadable { .. } => "The login is repeated; if it stays, look for a proxy in between.",
            Self::Refused { status, grant, code, description } => {
                refusal::judge(*grant, *status, code, description).1
            }
        };
        Some(hint.to_owned())
    }
}
