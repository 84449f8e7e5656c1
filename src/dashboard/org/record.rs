//! The story of a record as a timeline, found by its ID, by that of the record written for it, or by its external ID.
//!
//! Here: the page. Not here: finding and telling (`Service::find_records`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query, ReqData},
};
use askama::Template;
use orgpipe_actors::{
    Candidate, Chapter, FIND_CHARS_MAX, Fate, FoundBy, OrgError, RecordSearch, Service, Story,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    absent,
    overview::letters,
    top::{Tab, Top},
};
use crate::dashboard::{
    marked::Marked,
    shell::{self, Shell, Viewer},
    words,
};

/// Requests that have ended, told of a record.
const CHAPTERS_MAX: usize = 50;

/// `?find=TEXT`
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
    found: Option<FoundView>,
    wrong: String,
}

struct FoundView {
    /// What was looked for.
    find: String,
    /// The records that may be meant, if they are several.
    candidates: Vec<CandidateView>,
    story: Option<StoryView>,
    /// How far it was looked.
    notes: Vec<String>,
}

struct CandidateView {
    record: String,
    found_by: &'static str,
    syncs: String,
    fate: &'static str,
    badge: &'static str,
    last: (String, String),
}

struct StoryView {
    title: String,
    chapters: Vec<ChapterView>,
}

struct ChapterView {
    /// The class of its mark.
    kind: &'static str,
    fate: &'static str,
    badge: &'static str,
    asked: (String, String),
    ended: Option<(String, String)>,
    about: String,
    story: Vec<Marked>,
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
        (status = 200, description = "The story of the record, or the records that may be meant.", content_type = "text/html", body = String),
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
    if find.chars().count() > FIND_CHARS_MAX {
        wrong = format!("No ID has more than {FIND_CHARS_MAX} characters.");
    } else if !find.is_empty() {
        match service.find_records(&org, find, CHAPTERS_MAX).await {
            Ok(records) => found = Some(found_view(&records)),
            Err(error) => wrong = words::sentence(&error.to_string()),
        }
    }
    let fleet = service.fleet().await;
    let page = RecordPage {
        shell: Shell::of_org(&viewer, &view.id),
        top: Top::new(&view, letters(&fleet, &view.id), Tab::Record, &viewer),
        find: find.chars().take(FIND_CHARS_MAX).collect(),
        found,
        wrong,
    };
    shell::page(StatusCode::OK, &page)
}

fn found_view(found: &RecordSearch) -> FoundView {
    let mut notes = Vec::new();
    if found.more {
        notes.push("There are more: these are the records of which something is known last.".to_owned());
    }
    let waits = found.story.as_ref().map(|story| (story.waiting, story.searched));
    let (waiting, searched) = waits.unwrap_or((found.waiting, found.searched));
    if searched < waiting {
        notes.push(format!(
            "Of {} records that wait for their look-up, only the first {} were searched.",
            words::count(waiting),
            words::count(searched)
        ));
    }
    let several = found.candidates.len() > 1;
    FoundView {
        find: found.find.clone(),
        candidates: found.candidates.iter().filter(|_| several).map(candidate).collect(),
        story: found.story.as_ref().map(story_view),
        notes,
    }
}

fn candidate(candidate: &Candidate) -> CandidateView {
    let (_, fate, badge) = shown(candidate.fate);
    CandidateView {
        record: candidate.record.clone(),
        found_by: match candidate.found_by {
            FoundBy::SourceId => "its own ID",
            FoundBy::TargetId => "ID of the record written for it",
            FoundBy::Key => "external ID",
        },
        syncs: candidate.syncs.join(", "),
        fate,
        badge,
        last: (words::machine_time(candidate.last_ms), words::moment(candidate.last_ms)),
    }
}

fn story_view(story: &Story) -> StoryView {
    StoryView {
        title: format!("Record {}", story.record),
        chapters: story.open.iter().chain(&story.ended).map(chapter).collect(),
    }
}

/// The class of the mark of what became of a record, what it is called, and its badge.
fn shown(fate: Fate) -> (&'static str, &'static str, &'static str) {
    match fate {
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
    }
}

fn chapter(chapter: &Chapter) -> ChapterView {
    let (kind, fate, badge) = shown(chapter.fate);
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
        story: chapter.story.iter().map(|sentence| Marked::of(sentence)).collect(),
        is_letter: chapter.fate == Fate::DeadLetter,
    }
}
