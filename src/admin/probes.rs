//! What machines ask to know whether the service lives, and whether it does its work.
//!
//! Here: the two answers. Not here: the reasons (`orgpipe_actors::NotReady`). Anybody may ask, so no org is named.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use orgpipe_actors::{NotReady, Service};
use serde::Serialize;

use super::query::NoQuery;

/// Whether the service does its work.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    /// Why not; empty if it is.
    reasons: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Reason {
    reason: NotReady,
    /// As a sentence.
    what: &'static str,
}

/// The process lives and answers: who hears nothing starts it afresh.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// 200 if the service does its work, else 503 with the reasons.
pub(super) async fn ready(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    let reasons: Vec<Reason> = service
        .not_ready()
        .await
        .into_iter()
        .map(|reason| Reason { reason, what: reason.sentence() })
        .collect();
    let ready = reasons.is_empty();
    let mut answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.json(Readiness { ready, reasons })
}
