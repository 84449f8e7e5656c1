//! What the doctor found in an org the last time, with where to click.
//!
//! Here: the page. Not here: examining (`Service::doctor`).

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::{Data, Path, ReqData},
};
use askama::Template;
use orgpipe_actors::{Finding, OrgError, Report, Service, Severity};

use super::{
    absent,
    overview::letters,
    parts::moment,
    top::{Tab, Top},
};
use crate::{
    audit_log::nothing_done,
    dashboard::{
        shell::{self, Shell, Viewer},
        words,
    },
};

#[derive(Template)]
#[template(path = "org_doctor.html")]
struct DoctorPage {
    shell: Shell,
    top: Top,
    may_operate: bool,
    report: Option<ReportView>,
    /// Why there is no newer one.
    refused: String,
}

struct ReportView {
    at: (String, String),
    told: String,
    facts: Vec<(&'static str, String)>,
    findings: Vec<FindingView>,
    /// The permission set's name and its file, if one mends something.
    permission_set: Option<(String, String)>,
}

struct FindingView {
    severity: &'static str,
    message: String,
    fix: String,
    subject: String,
}

/// The page of the doctor
#[utoipa::path(
    get,
    path = "/orgs/{org}/doctor",
    operation_id = "doctorPage",
    tag = "pages",
    responses(
        (status = 200, description = "What was found the last time.", content_type = "text/html", body = String),
        (status = 404, description = "There is no such org.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn show(service: Data<Service>, viewer: ReqData<Viewer>, org: Path<String>) -> HttpResponse {
    answer(&service, &viewer, &org, String::new()).await
}

/// Examine an org from the page
#[utoipa::path(
    post,
    path = "/orgs/{org}/doctor",
    operation_id = "examineFromPage",
    tag = "pages",
    responses(
        (status = 200, description = "It was examined a moment ago: what was found then.", content_type = "text/html", body = String),
        (status = 303, description = "To the page of what was found.", headers(("Location" = String))),
        (status = 404, description = "There is no such org.", content_type = "text/html", body = String),
        (status = 500, description = "The store does not answer.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn post(service: Data<Service>, viewer: ReqData<Viewer>, org: Path<String>) -> HttpResponse {
    match service.doctor(&org).await {
        Ok(_) => {
            let page = format!("/orgs/{org}/doctor");
            HttpResponse::SeeOther().insert_header((header::LOCATION, page)).finish()
        }
        Err(error @ OrgError::TooSoon { .. }) => {
            nothing_done(answer(&service, &viewer, &org, words::sentence(&error.to_string())).await)
        }
        Err(error) => absent(&viewer, &error),
    }
}

async fn answer(service: &Service, viewer: &Viewer, org: &str, refused: String) -> HttpResponse {
    let Some(view) = service.org(org).await else {
        return absent(viewer, &OrgError::Unknown(org.to_owned()));
    };
    let fleet = service.fleet().await;
    let report = service.doctor_report(org);
    let page = DoctorPage {
        shell: Shell::of_org(viewer, &view.id),
        top: Top::new(&view, letters(&fleet, &view.id), Tab::Doctor, viewer),
        may_operate: viewer.may_operate,
        report: report.map(|report| report_view(&report, service.clock().now_ms())),
        refused,
    };
    shell::page(StatusCode::OK, &page)
}

fn report_view(report: &Report, now: orgpipe_store::UnixMs) -> ReportView {
    let mut facts = Vec::new();
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("Salesforce org", report.org_id.clone());
    fact("Integration user", report.user_id.clone());
    fact("Package", report.package_version.clone());
    let calls =
        report.api_calls.map(|(used, all)| format!("{} of {}", words::count(used), words::count(all)));
    fact("API calls of 24 hours", calls);
    let set = report.permission_set.as_ref();
    ReportView {
        at: moment(report.at_ms, now),
        told: words::sentence(&report.sentence()),
        facts,
        findings: report.findings.iter().map(finding).collect(),
        permission_set: set.map(|set| (set.file.clone(), set.source.clone())),
    }
}

fn finding(finding: &Finding) -> FindingView {
    FindingView {
        severity: match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        message: words::sentence(&finding.message),
        fix: finding.fix.clone(),
        subject: finding.subject.clone(),
    }
}
