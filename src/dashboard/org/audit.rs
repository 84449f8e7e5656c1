//! Who gave which command about an org, newest first.
//!
//! Here: the page. Not here: what is remembered (`orgpipe_actors`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, ReqData},
};
use askama::Template;
use orgpipe_actors::{DeadLetterAction, OrgError, Service};

use super::{
    absent,
    overview::letters,
    parts::moment,
    top::{Tab, Top},
};
use crate::dashboard::shell::{self, Shell, Viewer};

/// Commands about dead letters that are shown.
const COMMANDS_MAX: usize = 100;

#[derive(Template)]
#[template(path = "org_audit.html")]
struct AuditPage {
    shell: Shell,
    top: Top,
    letters: Vec<AuditLine>,
}

struct AuditLine {
    at: (String, String),
    by: String,
    what: String,
}

/// The page of who gave which command
#[utoipa::path(
    get,
    path = "/orgs/{org}/audit",
    operation_id = "auditPage",
    tag = "pages",
    responses(
        (status = 200, description = "Who gave which command.", content_type = "text/html", body = String),
        (status = 404, description = "There is no such org.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn show(service: Data<Service>, viewer: ReqData<Viewer>, org: Path<String>) -> HttpResponse {
    let Some(view) = service.org(&org).await else {
        return absent(&viewer, &OrgError::Unknown(org.into_inner()));
    };
    let commands = service.dead_letter_commands(&org, COMMANDS_MAX).await.unwrap_or_default();
    let (fleet, now) = (service.fleet().await, service.clock().now_ms());
    let lines = commands.into_iter().map(|command| {
        let act = match command.act {
            DeadLetterAction::Retry => "retried",
            DeadLetterAction::Discard => "threw away",
            DeadLetterAction::Close => "had no more need of",
        };
        let what = format!("{act} dead letter {} (record {})", command.letter, command.record);
        AuditLine { at: moment(command.at_ms, now), by: command.by, what }
    });
    let page = AuditPage {
        shell: Shell::of_org(&viewer, &view.id),
        top: Top::new(&view, letters(&fleet, &view.id), Tab::Audit, &viewer),
        letters: lines.collect(),
    };
    shell::page(StatusCode::OK, &page)
}
