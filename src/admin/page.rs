//! A command of the dashboard's own: a form that examines an org.
//!
//! Here: what browsers without scripts send. Not here: the pages (`dashboard`), the same over the API (`orgs`).

use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Path, Query},
};
use orgpipe_actors::Service;

use super::{orgs::problem, problem::ApiError, query::NoQuery};

/// The dashboard's button: examine an org
#[utoipa::path(
    post,
    path = "/orgs/{org}/doctor",
    operation_id = "examineFromPage",
    tag = "pages",
    responses(
        (status = 303, description = "To the dashboard, with what was found.", headers(("Location" = String))),
        (status = 404, description = "There is no such org.", body = ApiError),
        (
            status = 429,
            description = "The org was examined a moment ago; or too many wrong tokens were tried.",
            body = ApiError,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
        (status = 500, description = "Something failed inside.", body = ApiError),
    )
)]
pub(super) async fn examine(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.doctor(&org).await {
        Ok(_) => HttpResponse::SeeOther().insert_header((header::LOCATION, "/")).finish(),
        Err(error) => problem(&error),
    }
}
