//! The story of a record as a timeline, found by any of its IDs.
//!
//! Here: the page. Not here: finding and telling (`Service::explain`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query, ReqData},
};
use askama::Template;
use orgpipe_actors::{Chapter, Fate, OrgError, Service, Story};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    absent,
    overview::letters,
    top::{Tab, Top},
};
use crate::dashboard::{
    shell::{self, Shell, Viewer},
    words,
};

/// Requests that have ended, told of a record.
const CHAPTERS_MAX: usize = 50;
/// Characters of an ID that is looked for.
const ID_CHARS_MAX: usize = 300;

/// `?find=ID`
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FindQuery {
    #[serde(default)]
    find: String,
}

#[derive(Template)]
#[template(path = "org_record.html")]
struct RecordPage {
    shell: Shell,
    top: Top,
    find: String,
    found: Option<StoryView>,
    wrong: String,
}

struct StoryView {
    title: String,
    chapters: Vec<ChapterView>,
    /// How far it was looked.
    notes: Vec<String>,
}

struct ChapterView {
    /// The class of its mark.
    kind: &'static str,
    fate: &'static str,
    badge: &'static str,
    asked: (String, String),
    ended: Option<(String, String)>,
    about: String,
    story: Vec<String>,
    /// Whether the letter can be looked at.
    is_letter: bool,
}

/// The page of a record
#[utoipa::path(
    get,
    path = "/orgs/{org}/records",
    operation_id = "recordPage",
    tag = "pages",
    params(FindQuery),
    responses(
        (status = 200, description = "The story of the record.", content_type = "text/html", body = String),
        (status = 404, description = "There is no such org.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn show(
    service: Data<Service>,
    viewer: ReqData<Viewer>,
    org: Path<String>,
    query: Query<FindQuery>,
) -> HttpResponse {
    let Some(view) = service.org(&org).await else {
        return absent(&viewer, &OrgError::Unknown(org.into_inner()));
    };
    let find = query.find.trim();
    let (mut found, mut wrong) = (None, String::new());
    if find.chars().count() > ID_CHARS_MAX {
        wrong = format!("No ID has more than {ID_CHARS_MAX} characters.");
    } else if !find.is_empty() {
        match service.explain(&org, find, CHAPTERS_MAX).await {
            Ok(story) => found = Some(story_view(&story)),
            Err(error) => wrong = words::sentence(&error.to_string()),
        }
    }
    let fleet = service.fleet().await;
    let page = RecordPage {
        shell: Shell::of_org(&viewer, &view.id),
        top: Top::new(&view, letters(&fleet, &view.id), Tab::Record, &viewer),
        find: find.chars().take(ID_CHARS_MAX).collect(),
        found,
        wrong,
    };
    shell::page(StatusCode::OK, &page)
}

fn story_view(story: &Story) -> StoryView {
    let mut notes = Vec::new();
    if story.searched < story.waiting {
        notes.push(format!(
            "Of {} records that wait for their look-up, only the first {} were searched.",
            words::count(story.waiting),
            words::count(story.searched)
        ));
    }
    StoryView {
        title: format!("Record {}", story.record),
        chapters: story.open.iter().chain(&story.ended).map(chapter).collect(),
        notes,
    }
}

fn chapter(chapter: &Chapter) -> ChapterView {
    let (kind, fate, badge) = match chapter.fate {
        Fate::Waiting => ("some", "waits for its look-up", "waiting"),
        Fate::Writing => ("some", "being written", "starting"),
        Fate::Written => ("good", "written", "done"),
        Fate::Unchanged => ("good", "unchanged", "done"),
        Fate::NoData => ("", "no data", "stopped"),
        Fate::Superseded => ("", "superseded", "stopped"),
        Fate::DeadLetter => ("bad", "dead letter", "error"),
        Fate::Retried => ("", "retried", "note"),
        Fate::Discarded => ("", "discarded", "stopped"),
        Fate::Closed => ("good", "dead letter closed", "done"),
    };
    let mut about = vec![chapter.sync.clone()];
    if !chapter.target.is_empty() {
        about.push(format!("{} {}", chapter.target, chapter.key));
    }
    if !chapter.event_id.is_empty() {
        about.push(format!("event {}", chapter.event_id));
    }
    let time = |at| (words::machine_time(at), words::moment(at));
    ChapterView {
        kind,
        fate,
        badge,
        asked: time(chapter.asked_ms),
        ended: chapter.ended_ms.map(time),
        about: about.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
        story: chapter.story.clone(),
        is_letter: chapter.fate == Fate::DeadLetter,
    }
}
