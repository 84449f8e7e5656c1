//! What may differ between one Salesforce endpoint and another, as settings.
//!
//! Here: allocations, sizes, and the questions that public material does not settle. Not here: faults (`faults`),
//! which hit single requests.

use serde::{Deserialize, Serialize};

use super::cookies::STICKY_MS;

/// How long a poll without events is held, in milliseconds ("Streaming API Timeouts": 110 seconds).
pub(super) const HOLD_MS: i64 = 110_000;

/// How an org's CometD endpoint behaves. The defaults are what was seen on the wire, or else what CometD 3.1 does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "one for each question with two answers")]
pub struct Streaming {
    /// Live sessions allowed ("Platform Event Allocations": 20 in a Developer Edition).
    pub clients_max: usize,
    /// Events delivered in 24 hours, once per subscriber; past it subscriptions are cut and refused. Default: no limit.
    pub deliveries_max: Option<u64>,
    /// Events in one answer. Real answers have held over 5,000; the default is enough to be called many.
    pub answer_events_max: usize,
    /// Payload bytes in one answer, unless its first event alone is larger. Clients shall take 10 MB.
    pub answer_bytes_max: usize,
    /// How long a poll without events is held, simulated milliseconds.
    pub hold_ms: i64,
    /// Open question: how long the balancer's cookie leads to the session. Simulated milliseconds, default 3 hours.
    pub sticky_ms: i64,
    /// Open question: whether a request lengthens that cookie's life. Default false.
    pub sticky_renewed: bool,
    /// Open question: whether several messages, or an array of subscriptions, are taken in one request. Default true;
    /// if not they are `403::Unknown client`, as some clients report.
    pub batches: bool,
    /// Open question: `handshake` or `none` as the advice of `403::Unknown client` on a connect. Default `handshake`.
    pub unknown_advice: String,
    /// Open question: HTTP status of a refused token. Default 200, with the reason in the body.
    pub auth_status: u16,
    /// Open question: HTTP status of a refused API version. Default 400.
    pub version_status: u16,
    /// Open question: whether a retired API version is served as the latest one, as one page of the guide has it, instead
    /// of refused, as another has it. Default false.
    pub retired_served: bool,
    /// Open question: whether only answers to polls carry events, which is an option of CometD 3.1. Default false: those
    /// that wait come with the answer to any message.
    pub polls_deliver_only: bool,
    /// Open question: whether `payload.format` is advertised; nobody knows its meaning. Default true.
    pub payload_format: bool,
    /// Open question: whether a replay ID within the retained ones that no event of the channel has is taken as "events
    /// after it". Default true; if not it is invalid.
    pub foreign_ids: bool,
    /// Open question: whether events of an answer that broke off are delivered again to the same session. Default
    /// false, as in CometD 3.1.
    pub redelivers: bool,
    /// Open question: when the place of a client is free again whose connection has just dropped.
    pub hang_up: HangUp,
    /// Open question: the wording of refusals.
    pub wording: Wording,
}

/// What becomes of a session whose client drops the connection of a held poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HangUp {
    /// It ends at once.
    AtOnce,
    /// It ends 40 seconds later.
    #[default]
    Swept,
    /// Nobody notices: it ends 40 seconds after the poll would have.
    Unnoticed,
}

/// The words of a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wording {
    /// As captured: "does not exist", two spaces after "was invalid.", `403::Unknown client`.
    #[default]
    Wire,
    /// As the guide has it: "doesn't exist", one space.
    Guide,
    /// As a stock CometD server: `402::session_unknown`.
    Stock,
}

impl Default for Streaming {
    fn default() -> Self {
        Self {
            clients_max: 20,
            deliveries_max: None,
            answer_events_max: 2_000,
            answer_bytes_max: 8 * 1024 * 1024,
            hold_ms: HOLD_MS,
            sticky_ms: STICKY_MS,
            sticky_renewed: false,
            batches: true,
            unknown_advice: "handshake".to_owned(),
            auth_status: 200,
            version_status: 400,
            retired_served: false,
            polls_deliver_only: false,
            payload_format: true,
            foreign_ids: true,
            redelivers: false,
            hang_up: HangUp::default(),
            wording: Wording::default(),
        }
    }
}
