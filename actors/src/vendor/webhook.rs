//! Tells the vendor's own systems what happened: a POST of JSON to the address in the settings.
//!
//! Here: HTTP. Not here: what is told and when (`capture/gap_recovery.rs`).

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{receipt::Receipt, settings::WebhookSettings, trace::TraceContext};

/// How long one post may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a post did not get through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    /// The way there.
    #[error("the webhook is not answering: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// The answer is none of 2xx.
    #[error("the webhook answered status {0}")]
    Refused(u16),
}

/// The way to the address.
#[derive(Debug)]
pub(crate) struct Webhook {
    settings: WebhookSettings,
    http: reqwest::Client,
}

impl Webhook {
    /// Nothing is sent yet. Fails only if the TLS library cannot start.
    pub(crate) fn new(settings: WebhookSettings) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("orgpipe/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { settings, http })
    }

    /// Posts a receipt, in that trace; it may arrive twice, and its `id` tells.
    pub(crate) async fn post(
        &self,
        org: &str,
        receipt: &Receipt,
        trace: TraceContext,
    ) -> Result<(), WebhookError> {
        let event =
            json!({ "type": "gap_closed", "org": org, "text": receipt.sentence(), "receipt": receipt });
        let request = self.http.post(self.settings.url.clone()).header("traceparent", trace.traceparent());
        let mut request = request.json(&event);
        if let Some(token) = &self.settings.token
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
        {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let reply = request.send().await.map_err(reqwest::Error::without_url)?;
        match reply.status() {
            status if status.is_success() => Ok(()),
            status => Err(WebhookError::Refused(status.as_u16())),
        }
    }
}
