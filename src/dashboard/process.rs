//! The process itself: its threads, its store, its disk, and orgs that it has only stored.
//!
//! Here: the page. Not here: the numbers (`Service::process_view`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, ReqData},
};
use askama::Template;
use orgpipe_actors::{Left, ProcessView, Service, ThreadStatus};

use super::{
    shell::{self, Place, Shell, Viewer},
    words,
};

/// Orgs that are gone from the settings and shown.
const LEFT_MAX: usize = 50;

#[derive(Template)]
#[template(path = "process.html")]
struct ProcessPage {
    shell: Shell,
    tiles: Vec<(&'static str, String, String, &'static str)>,
    disk_warning: String,
    threads: Vec<ThreadView>,
    store: Vec<(&'static str, String)>,
    left: Vec<(String, String, String)>,
    left_more: usize,
}

struct ThreadView {
    name: String,
    badge: &'static str,
    word: &'static str,
    note: String,
    stalls: String,
    longest: String,
    restarts: u32,
}

/// The page of the process
#[utoipa::path(
    get,
    path = "/process",
    operation_id = "processPage",
    tag = "pages",
    responses(
        (status = 200, description = "The page of the process.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn show(service: Data<Service>, viewer: ReqData<Viewer>) -> HttpResponse {
    let view = service.process_view().await;
    let left = service.left().await.unwrap_or_default();
    shell::page(StatusCode::OK, &ProcessPage::new(&view, &left, &viewer))
}

impl ProcessPage {
    fn new(view: &ProcessView, left: &[Left], viewer: &Viewer) -> Self {
        let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "–".to_owned(), words::bytes);
        let secs = |secs: Option<f64>| secs.map_or_else(|| "–".to_owned(), words::duration);
        let (store, data) = (&view.store, &view.data);
        let tiles = vec![
            ("Version", view.version.to_owned(), "of orgpipe".to_owned(), ""),
            (
                "Uptime",
                words::seconds(view.uptime_secs),
                format!("since {}", words::moment(view.started_ms)),
                "",
            ),
            ("Memory", bytes(view.memory_bytes), "held by the process".to_owned(), ""),
            ("Store", bytes(store.disk_bytes), "on disk".to_owned(), ""),
            (
                "Disk",
                bytes(data.free_bytes),
                format!("free; {} must stay so", words::bytes(data.free_bytes_min)),
                if data.warning.is_some() { "bad" } else { "" },
            ),
        ];
        let calls = store.calls_per_commit.map_or_else(|| "–".to_owned(), |calls| format!("{calls:.1}"));
        Self {
            shell: Shell::new(viewer, Place::Process),
            tiles,
            disk_warning: data.warning.as_deref().map(words::sentence).unwrap_or_default(),
            threads: view.threads.iter().map(thread).collect(),
            store: vec![
                ("Commits", words::count(store.commits)),
                ("Commits a second", words::rate(store.commits_per_sec)),
                ("Calls that share a commit", calls),
                ("Half of the commits take no longer than", secs(store.commit_latency.p50_secs)),
                ("99 of 100", secs(store.commit_latency.p99_secs)),
                ("Calls that read", words::count(store.reads)),
                ("History", words::bytes(store.history_bytes)),
            ],
            left: left
                .iter()
                .take(LEFT_MAX)
                .map(|org| {
                    let records = &org.records;
                    (org.id.clone(), words::count(records.open), words::count(records.dead_letters))
                })
                .collect(),
            left_more: left.len().saturating_sub(LEFT_MAX),
        }
    }
}

fn thread(status: &ThreadStatus) -> ThreadView {
    let is_up = status.note.is_empty();
    ThreadView {
        name: status.name.clone(),
        badge: if is_up { "running" } else { "error" },
        word: if is_up { "running" } else { "stands still" },
        note: words::sentence(&status.note),
        stalls: words::count(status.stalls),
        longest: words::millis(status.longest_stall_ms),
        restarts: status.restarts,
    }
}
