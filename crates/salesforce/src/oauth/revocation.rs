//! Giving a grant back (HELP `remoteaccess_revoke_token`).
//!
//! Here: what to post, and what the answer means. Not here: when. An org that is taken out for good is when; the end of this
//! process is not: the session may be shared with whoever else logs in as the same user, and the grant is needed tomorrow.

use secrecy::SecretString;
use url::form_urlencoded;

use super::{Login, LoginCall, error::LoginError};
use crate::{
    call::Reply,
    error::{ApiError, errors_in},
};

/// Salesforce's words for a token that is none, or none any more.
const GONE: [&str; 2] = ["invalid_token", "unsupported_token_type"];

/// The form that ends a refresh token with all tokens that it gave, or an access token alone.
pub fn revoke(login: &Login, token: SecretString) -> LoginCall {
    LoginCall { url: login.endpoint("revoke"), form: vec![("token", token)] }
}

/// Whether the token is good for nothing now. One that was ended before counts.
pub fn revoked(login: &Login, reply: &Reply) -> Result<(), LoginError> {
    let Some(ApiError { status, code, message, .. }) = errors_in(reply).into_iter().next() else {
        return Ok(());
    };
    // This endpoint may answer in the form of a query.
    let mut pairs = form_urlencoded::parse(&reply.body);
    let code = pairs.find(|(name, _)| name == "error").map_or(code, |(_, code)| code.into_owned());
    if GONE.contains(&code.as_str()) {
        return Ok(());
    }
    Err(LoginError::Refused { status, grant: login.grant(), code, description: message })
}

#[cfg(test)]
mod tests;
