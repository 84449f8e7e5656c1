//! What a login that succeeds is answered with.
//!
//! Here: the token's JSON, and the users' fields in answers. Not here: who gets one (`token`).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::org::{Org, OrgState};

/// What a login gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The user's ID.
    pub(crate) user: String,
    pub(crate) scope: String,
    /// What the access token came of, if a user has approved it.
    pub(crate) grant: Option<u64>,
    /// Told only when it is new.
    pub(crate) refresh_token: Option<String>,
}

/// A token's JSON. `issued_at` is a text of milliseconds; there is no `expires_in`.
pub(crate) fn token(org: &Org, state: &mut OrgState, granted: &Granted) -> Answer {
    let Granted { user, scope, grant, refresh_token } = granted;
    let org_id = org.org_id(state);
    let token = state.logins.tokens.begin(&org_id, (user, scope), *grant, org.clock.now_ms());
    let id = org.identity_url(state, user);
    let issued_at = org.clock.wall_ms().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, org.facts.client_secret.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{id}{issued_at}").as_bytes()));
    let instance_url = state.instance_url.as_ref().unwrap_or(&org.base_url);
    let mut body = json!({
        "access_token": token, "instance_url": instance_url, "id": id, "issued_at": issued_at,
        "signature": signature, "token_type": "Bearer", "scope": scope,
    });
    if let Some(refresh_token) = refresh_token {
        body["refresh_token"] = json!(refresh_token);
    }
    Answer::json(200, &body).with("Cache-Control", "no-store")
}

/// A field of a user; null if there is no such user.
pub(crate) fn user_field(state: &OrgState, user: &str, field: &str) -> Value {
    state.tables.row("User", user).and_then(|row| row.get(field)).cloned().unwrap_or_default()
}
