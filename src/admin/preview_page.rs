//! The page of an org's previews: a form that says what each takes, and what a sync would do.
//!
//! Here: what stands where. Not here: the preview (`orgpipe_actors`), the same over the API (`previews`).

use actix_web::{
    Error, HttpResponse,
    http::StatusCode,
    web::{Data, Form, Path, Query, ReqData},
};
use askama::Template;
use orgpipe_actors::{
    PlannedChange, PlannedWrite, Preview, PreviewRequest, PreviewSide, PreviewedRecords, Quarantined, SAMPLE,
    SAMPLE_MAX, Service, WholeRun,
};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{orgs, previews, problem::ApiError, query::NoQuery};
use crate::dashboard::shell::{self, Shell, Viewer};

#[derive(Template)]
#[template(path = "preview.html")]
struct PreviewPage {
    shell: Shell,
    org: String,
    /// Each sync, and what a preview of the usual size takes.
    syncs: Vec<(String, String)>,
    /// What was asked for.
    sync: String,
    sample: usize,
    record: String,
    sample_max: usize,
    /// Why there is nothing to tell.
    wrong: String,
    told: Option<ToldPreview>,
}

/// What is told of a preview.
struct ToldPreview {
    what: String,
    counts: Vec<(&'static str, u64)>,
    whole: Vec<String>,
    changes: Vec<ToldChange>,
    /// Records, reason and hint.
    letters: Vec<(String, String, String)>,
    notes: Vec<String>,
}

struct ToldChange {
    title: String,
    /// Name, before and after.
    fields: Vec<(String, String, String)>,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewForm {
    sync: String,
    #[serde(default)]
    sample: String,
    #[serde(default)]
    record: String,
}

/// The page of an org's previews, with what each takes
#[utoipa::path(
    get,
    path = "/orgs/{org}/preview",
    operation_id = "previewPage",
    tag = "pages",
    responses(
        (status = 200, description = "The form.", content_type = "text/html", body = String),
        (status = 404, description = "There is no such org.", body = ApiError),
    )
)]
pub(super) async fn show(
    service: Data<Service>,
    viewer: ReqData<Viewer>,
    org: Path<String>,
    _: Query<NoQuery>,
) -> HttpResponse {
    page(&service, &viewer, &org, PreviewForm::default(), StatusCode::OK, Ok(None))
}

/// What a sync would do, as a page
///
/// As `POST /api/v1/orgs/{org}/preview`. What is refused is told on the page, with the same status.
#[utoipa::path(
    post,
    path = "/orgs/{org}/preview",
    operation_id = "previewFromPage",
    tag = "pages",
    request_body(content = PreviewForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What it would do.", content_type = "text/html", body = String),
        (status = 400, description = "The page, with why there is no preview; where there is no such org, that alone.", content((String = "text/html"), (ApiError = "application/json"))),
        (status = 404, description = "The page, with why there is no preview; where there is no such org, that alone.", content((String = "text/html"), (ApiError = "application/json"))),
        (status = 409, description = "The page, with why there is no preview; where there is no such org, that alone.", content((String = "text/html"), (ApiError = "application/json"))),
        (status = 503, description = "The page, with why there is no preview; where there is no such org, that alone.", content((String = "text/html"), (ApiError = "application/json"))),
        (status = 500, description = "The page, with why there is no preview; where there is no such org, that alone.", content((String = "text/html"), (ApiError = "application/json"))),
    )
)]
pub(super) async fn post(
    service: Data<Service>,
    viewer: ReqData<Viewer>,
    org: Path<String>,
    form: Result<Form<PreviewForm>, Error>,
    _: Query<NoQuery>,
) -> HttpResponse {
    let Ok(Form(form)) = form else {
        let wrong = Err("The form must have the fields `sync`, `sample` and `record`.".to_owned());
        return page(&service, &viewer, &org, PreviewForm::default(), StatusCode::BAD_REQUEST, wrong);
    };
    let records = match (form.record.trim(), form.sample.trim()) {
        ("", "") => Some(PreviewedRecords::First(SAMPLE)),
        ("", sample) => sample.parse().ok().map(PreviewedRecords::First),
        (record, _) => Some(PreviewedRecords::One(record.to_owned())),
    };
    let Some(records) = records else {
        let wrong = format!("The number of records must be one from 1 to {SAMPLE_MAX}.");
        return page(&service, &viewer, &org, form, StatusCode::BAD_REQUEST, Err(wrong));
    };
    let request = PreviewRequest { sync: form.sync.clone(), records, proposed: None };
    match service.preview(&org, request).await {
        Ok(preview) => page(&service, &viewer, &org, form, StatusCode::OK, Ok(told(&preview))),
        Err(error) => {
            let status = previews::problem(&error).status();
            let wrong = format!("{}. {}", sentence(&error.to_string()), error.hint());
            page(&service, &viewer, &org, form, status, Err(wrong))
        }
    }
}

fn page(
    service: &Service,
    viewer: &Viewer,
    org: &str,
    form: PreviewForm,
    status: StatusCode,
    told: Result<Option<ToldPreview>, String>,
) -> HttpResponse {
    let costs = match service.preview_costs(org) {
        Ok(costs) => costs,
        Err(error) => return orgs::problem(&error),
    };
    let cost = |(name, cost): (String, orgpipe_actors::PreviewCost)| {
        (
            name,
            format!("about {} API calls and {} look-ups for {SAMPLE} records", cost.api_calls, cost.lookups),
        )
    };
    let (told, wrong) = match told {
        Ok(told) => (told, String::new()),
        Err(wrong) => (None, wrong),
    };
    let page = PreviewPage {
        shell: Shell::of_org(viewer, org),
        org: org.to_owned(),
        syncs: costs.into_iter().map(cost).collect(),
        sync: form.sync,
        sample: form.sample.trim().parse().unwrap_or(SAMPLE),
        record: form.record,
        sample_max: SAMPLE_MAX,
        wrong,
        told,
    };
    shell::page(status, &page)
}

fn told(preview: &Preview) -> Option<ToldPreview> {
    let PreviewSide { counts, creates, updates, dead_letters, whole, .. } = preview.running.as_ref()?;
    let sample = &preview.sample;
    let what = if let Some(record) = &sample.record {
        format!("Sync {}, record {record}.", preview.sync)
    } else {
        let all = sample.total.map(|total| format!(" of {total}")).unwrap_or_default();
        format!("Sync {}, {}{all} records.", preview.sync, sample.read)
    };
    let letters = dead_letters.iter().map(|letters| {
        let records = format!("{}: {}", letters.count, letters.records.join(", "));
        (records, letters.reason.clone(), letters.hint.clone())
    });
    Some(ToldPreview {
        what,
        counts: vec![
            ("create", counts.creates),
            ("update", counts.updates),
            ("unchanged", counts.unchanged),
            ("no data", counts.no_data),
            ("dead letters", counts.letters),
        ],
        whole: whole.iter().flat_map(all).collect(),
        changes: creates.iter().chain(updates).map(change).collect(),
        letters: letters.collect(),
        notes: preview.running.iter().flat_map(notes).collect(),
    })
}

fn all(whole: &WholeRun) -> [String; 2] {
    let about = if whole.exact { "" } else { "about " };
    let takes = format!(
        "A refresh of all {} records writes {about}{} records of the target, with {about}{} API calls of the org and \
         {about}{} look-ups.",
        whole.records, whole.writes, whole.api_calls, whole.lookups
    );
    [takes, format!("Budget: {}.", whole.budget)]
}

fn change(change: &PlannedChange) -> ToldChange {
    let write = match change.write {
        PlannedWrite::Create => "create",
        PlannedWrite::Update => "update",
        PlannedWrite::Behind => "update, behind an open change:",
    };
    let fields = change.fields.iter().map(|field| {
        let cut = field.cut.as_ref().map(|cut| format!(" (cut {cut})")).unwrap_or_default();
        let set = if field.set_when_written { " (set when written)" } else { "" };
        (field.field.clone(), value(&field.before), format!("{}{cut}{set}", value(&field.after)))
    });
    ToldChange {
        title: format!("{write} {} for {}", change.key, change.records.join(", ")),
        fields: fields.collect(),
    }
}

/// As JSON, so that a text is told from a number.
fn value(value: &Value) -> String {
    if value.is_null() { "(empty)".to_owned() } else { value.to_string() }
}

fn notes(side: &PreviewSide) -> Vec<String> {
    let cut = side.cut.iter().map(|(field, count)| {
        format!("{field} of {count} records is longer than the field, so that only its beginning is kept.")
    });
    let shared = side
        .shared_keys
        .iter()
        .map(|shared| format!("{} was answered with the key of {}.", shared.record, shared.holder));
    cut.chain(shared).chain(side.quarantined.iter().map(Quarantined::sentence)).collect()
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_org_holds_is_text_not_markup() {
        let text = "<b>x</b>".to_owned();
        let told = ToldPreview {
            what: text.clone(),
            counts: vec![("create", 1)],
            whole: vec![text.clone()],
            changes: vec![ToldChange {
                title: text.clone(),
                fields: vec![(text.clone(), text.clone(), text.clone())],
            }],
            letters: vec![(text.clone(), text.clone(), text.clone())],
            notes: vec![text.clone()],
        };
        let page = PreviewPage {
            shell: Shell::of_org(&Viewer::default(), "acme"),
            org: "acme".to_owned(),
            syncs: vec![(text.clone(), text.clone())],
            sync: text.clone(),
            sample: 1,
            record: text.clone(),
            sample_max: 2,
            wrong: text,
            told: Some(told),
        };
        let html = page.render().expect("a page");
        assert!(!html.contains("<b>"), "{html}");
    }
}
