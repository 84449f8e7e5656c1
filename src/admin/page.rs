//! A command of the dashboard's own: a form that examines an org.
//!
//! Here: what browsers without scripts send. Not here: the pages (`dashboard`), the same over the API (`orgs`).

use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Path, Query},
};
use orgpipe_actors::Service;

use super::{orgs::problem, query::NoQuery};

/// Examines an org and shows the fleet again.
pub(super) async fn examine(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.doctor(&org).await {
        Ok(_) => HttpResponse::SeeOther().insert_header((header::LOCATION, "/")).finish(),
        Err(error) => problem(&error),
    }
}
