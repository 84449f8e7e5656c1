//! Whether a message reaches its session.
//!
//! Here: token, cookies, client ID and user, in this order, and the reply to a message that fails on one of them. Not
//! here: what the message wants.
//!
//! A session is found under its browser cookie first and its client ID second (CometD 3.1, `BayeuxServerImpl`). The
//! sticky cookie is the balancer's: without the right one the request ends on a server that knows no such session.
//! Error forms as captured in "Handling Streaming API Errors"; the advice after a `400` is the one documented for the
//! user mismatch.

use serde_json::{Value, json};

use super::{Caller, CometdState, Now};
use crate::cometd::cookies;
use crate::cometd::wire::{self, CONNECT, Message, Reply, SUBSCRIBE};

/// Why a message does not reach its session.
pub(super) enum Rejection {
    /// The token is not valid (any more).
    Token,
    /// No such session under this browser cookie.
    Unknown,
    /// The balancer led the request to a server without the session, and sets a new cookie for that server.
    Misled,
    /// The session is there, the cookie it is filed under is not.
    NoBrowserCookie,
    /// The session belongs to another user.
    OtherUser,
}

impl CometdState {
    /// Whether the message reaches its session. The session of a request is that of its first message.
    pub(super) fn admit<'m>(
        &self,
        message: &'m Message,
        client_id: Option<&str>,
        caller: &Caller<'_>,
        now_ms: i64,
    ) -> Result<&'m str, Rejection> {
        if !caller.request.token_ok {
            return Err(Rejection::Token);
        }
        let sticky = caller.cookie(cookies::STICKY);
        let unknown = if sticky.is_none() { Rejection::Misled } else { Rejection::Unknown };
        let Some(own) = message.client_id.as_deref().filter(|own| Some(*own) == client_id) else {
            return Err(unknown);
        };
        let Some(session) = self.sessions.get(own) else {
            return Err(unknown);
        };
        if !session.is_led_to_by(sticky, now_ms) {
            return Err(Rejection::Misled);
        }
        match caller.cookie(cookies::BROWSER) {
            None => Err(Rejection::NoBrowserCookie),
            Some(browser) if browser != session.browser => Err(Rejection::Unknown),
            Some(_) if caller.request.user_id != session.user_id => Err(Rejection::OtherUser),
            Some(_) => Ok(own),
        }
    }

    pub(super) fn refuse(
        &mut self,
        message: &Message,
        refusal: &Rejection,
        now: Now,
        set_cookies: &mut Vec<String>,
    ) -> Reply {
        let channel = message.channel.as_deref().unwrap_or_default();
        let id = message.id.as_ref();
        let client_id = message.client_id.as_deref().unwrap_or_default();
        // CometD gives advice with a failed connect only.
        let (error, advice): (String, &str) = match refusal {
            Rejection::Token => (wire::AUTHENTICATION_INVALID.to_owned(), "none"),
            Rejection::Unknown | Rejection::Misled => (
                wire::unknown_client(self.settings.wording).to_owned(),
                self.settings.unknown_advice.as_str(),
            ),
            Rejection::NoBrowserCookie => (wire::no_browser_cookie(client_id), "none"),
            Rejection::OtherUser => (wire::OTHER_USER.to_owned(), "none"),
        };
        if matches!(refusal, Rejection::Misled) {
            let sticky = cookies::new_sticky(&mut self.rng);
            set_cookies.push(cookies::set_sticky(&sticky, now.wall_ms + self.settings.sticky_ms));
        }
        let reply = match (refusal, channel) {
            (Rejection::Token, SUBSCRIBE) => Reply::failure(channel, id, wire::CREATE_DENIED)
                .with("ext", json!({ "sfdc": { "failureReason": error } })),
            _ => Reply::failure(channel, id, &error),
        };
        let reply = match refusal {
            Rejection::Unknown | Rejection::Misled => reply,
            _ => reply.with_some("clientId", message.client_id.clone().map(Value::from).as_ref()),
        };
        let reply = reply.with_some("subscription", message.subscription.as_ref());
        if channel == CONNECT { reply.advise(advice) } else { reply }
    }
}
