//! Logins: tokens for assertions, secrets, codes and refresh tokens, and what can be asked about a token.
//!
//! Here: the token endpoint as a whole, with the time that it takes. In `token`: each grant type. In `inspect`: revocation,
//! introspection, identity. In `admit`: whom an org lets in. In `authorize`: login and consent in a browser. Not here: which calls need a token (`api`).
//! Sources: Help "OAuth Authorization Flows", "OAuth Authorization Flow Errors"; REST guide "Authorize with OAuth".

mod admit;
pub(crate) mod authorize;
mod denied;
mod inspect;
mod jwt;
mod pages;
mod reply;
mod request;
mod token;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use inspect::{identity, introspect, revoke};
pub(crate) use request::TokenRequest;

use crate::answer::Answer;
use crate::org::Org;

/// Real time that the exchange of a refresh token takes at least, so that two at once do meet.
const EXCHANGE_MIN: Duration = Duration::from_millis(20);

/// `POST /services/oauth2/token`. Once begun it is done, whether the client still waits or not.
pub(crate) async fn token(org: Arc<Org>, request: TokenRequest) -> Answer {
    let processed = actix_rt::spawn(process(org, request)).await;
    processed.unwrap_or_else(|_| Answer::error(500, "UNKNOWN_EXCEPTION", "The request was not processed"))
}

async fn process(org: Arc<Org>, request: TokenRequest) -> Answer {
    let begun = token::begin(&org, &mut org.state(), &request);
    if begun.is_ok() {
        org.state().logins.held_calls += 1;
        // The sender is a part of the org.
        let _ = org.token_calls_held.subscribe().wait_for(|held| !held).await;
        org.state().logins.held_calls -= 1;
    }
    let takes = if matches!(begun, Ok(Some(_))) { EXCHANGE_MIN } else { Duration::ZERO };
    let takes = takes.max(org.facts.answer_after);
    if !takes.is_zero() {
        actix_rt::time::sleep(takes).await;
    }
    token::finish(&org, &mut org.state(), &request, begun)
}

#[cfg(test)]
mod tests;
