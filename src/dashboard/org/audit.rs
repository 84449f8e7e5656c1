//! Who gave which command about an org, and what was done about each record of a dead letter, newest first.
//!
//! Here: the page. Not here: what is kept (`audit_log`, and of dead letters `orgpipe_actors`).

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
use crate::{
    audit_log::AuditLog,
    dashboard::shell::{self, Shell, Viewer},
};

/// Commands that are shown, and as many about dead letters.
const COMMANDS_MAX: usize = 100;

#[derive(Template)]
#[template(path = "org_audit.html")]
struct AuditPage {
    shell: Shell,
    top: Top,
    commands: Vec<AuditLine>,
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
pub(crate) async fn show(
    service: Data<Service>,
    log: Data<AuditLog>,
    viewer: ReqData<Viewer>,
    org: Path<String>,
) -> HttpResponse {
    let Some(view) = service.org(&org).await else {
        return absent(&viewer, &OrgError::Unknown(org.into_inner()));
    };
    let acts = service.dead_letter_commands(&org, COMMANDS_MAX).await.unwrap_or_default();
    let (fleet, now) = (service.fleet().await, service.clock().now_ms());
    let commands = log.entries(Some(&view.id), None, COMMANDS_MAX).into_iter().map(|entry| AuditLine {
        at: moment(entry.at_ms, now),
        what: format!("{} ({})", entry.told(), entry.answered()),
        by: entry.by,
    });
    let lines = acts.into_iter().map(|command| {
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
        commands: commands.collect(),
        letters: lines.collect(),
    };
    shell::page(StatusCode::OK, &page)
}
