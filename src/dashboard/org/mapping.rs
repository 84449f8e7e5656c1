//! The syncs of an org as they are in force, key by key.
//!
//! Here: the page. Not here: what the keys say (`effective`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, ReqData},
};
use askama::Template;
use orgpipe_actors::{OrgError, Service};

use super::{
    absent,
    overview::letters,
    top::{Tab, Top},
};
use crate::{
    dashboard::shell::{self, Shell, Viewer},
    effective::{self, EffectiveSync, Entry},
};

#[derive(Template)]
#[template(path = "org_mapping.html")]
struct MappingPage {
    shell: Shell,
    top: Top,
    syncs: Vec<(String, Vec<Entry>)>,
}

/// The page of an org's mapping
#[utoipa::path(
    get,
    path = "/orgs/{org}/mapping",
    operation_id = "mappingPage",
    tag = "pages",
    responses(
        (status = 200, description = "Its syncs as they are in force.", content_type = "text/html", body = String),
        (status = 404, description = "There is no such org.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn show(service: Data<Service>, viewer: ReqData<Viewer>, org: Path<String>) -> HttpResponse {
    let Some(view) = service.org(&org).await else {
        return absent(&viewer, &OrgError::Unknown(org.into_inner()));
    };
    let fleet = service.fleet().await;
    let syncs = service.settings_of(&org).map(|settings| settings.syncs.clone()).unwrap_or_default();
    let page = MappingPage {
        shell: Shell::of_org(&viewer, &view.id),
        top: Top::new(&view, letters(&fleet, &view.id), Tab::Mapping, &viewer),
        syncs: syncs
            .iter()
            .map(|sync| (sync.name.clone(), effective::entries(&EffectiveSync::of(sync).json())))
            .collect(),
    };
    shell::page(StatusCode::OK, &page)
}
