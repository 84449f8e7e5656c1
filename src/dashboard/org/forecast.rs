//! What a refresh of each sync would take, asked for by a click as it takes API calls itself.
//!
//! Here: the piece of the overview that is answered. Not here: counting (`Service::forecasts`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, ReqData},
};
use askama::Template;
use orgpipe_actors::Service;

use crate::dashboard::{
    shell::{self, Viewer},
    words,
};

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"{% if let Some(wrong) = wrong %}<p class="callout bad" role="alert">{{ wrong }}</p>{% endif %}{% if sentences.is_empty() && wrong.is_none() %}<p class="quiet">No sync of this org is refreshed.</p>{% endif %}<ul>{% for sentence in sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>"#
)]
struct ForecastPiece {
    sentences: Vec<String>,
    wrong: Option<String>,
}

/// What a refresh would take, as a piece of a page
#[utoipa::path(
    post,
    path = "/orgs/{org}/forecast",
    operation_id = "forecastPiece",
    tag = "pages",
    responses(
        (status = 200, description = "What a refresh of each sync takes, as a piece of a page; also why that is not known.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn post(
    service: Data<Service>,
    _viewer: ReqData<Viewer>,
    org: Path<String>,
) -> HttpResponse {
    let piece = match service.forecasts(&org).await {
        Ok(forecasts) => {
            let sentences = forecasts.iter().map(|forecast| words::sentence(&forecast.sentence)).collect();
            ForecastPiece { sentences, wrong: None }
        }
        Err(error) => {
            ForecastPiece { sentences: Vec::new(), wrong: Some(words::sentence(&error.to_string())) }
        }
    };
    shell::page(StatusCode::OK, &piece)
}
