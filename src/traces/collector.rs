//! The way to the collector: a queue, and a thread that sends what is in it (OpenTelemetry Protocol over HTTP).
//!
//! Here: batches, and what becomes of those that are not taken. Not here: what is in a span (`layer`), its form on the way (the
//! exporter of `opentelemetry_otlp`).
//!
//! The exporter's own queue would do, but does not tell what it has lost.

use std::{
    collections::HashMap,
    sync::{OnceLock, atomic::Ordering, mpsc as blocking},
    thread,
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use secrecy::ExposeSecret as _;
use tokio::{
    runtime::Builder,
    sync::{mpsc, watch},
    time::timeout,
};

use super::outcome::{LOST, SENT, TraceError};
use crate::config::TraceSettings;

/// Spans that wait; some 500 bytes each.
const QUEUE_MAX: usize = 8_192;
/// Spans sent together.
const BATCH_MAX: usize = 512;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long the end of the service waits for what is left.
const END: Duration = Duration::from_secs(1);

/// The way in, once there is one.
static WAY: OnceLock<Way> = OnceLock::new();

#[derive(Debug)]
struct Way {
    spans: mpsc::Sender<SpanData>,
    ending: watch::Sender<bool>,
    ended: std::sync::Mutex<blocking::Receiver<()>>,
}

/// Whether anybody takes spans.
pub(super) fn is_open() -> bool {
    WAY.get().is_some()
}

/// Hands a span on; it is lost if there is no room.
pub(super) fn offer(span: SpanData) {
    if WAY.get().is_some_and(|way| way.spans.try_send(span).is_err()) {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// Starts the thread.
pub(super) fn start(settings: &TraceSettings) -> Result<(), TraceError> {
    let (spans, waiting) = mpsc::channel(QUEUE_MAX);
    let (ending, asked) = watch::channel(false);
    let (tell, ended) = blocking::channel();
    let sender = SpanSender {
        exporter: exporter(settings)?,
        timeout: settings.timeout,
        place: settings.endpoint.host_str().unwrap_or_default().to_owned(),
        lost: 0,
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("orgpipe-traces".to_owned()).spawn(move || {
        runtime.block_on(sender.run(waiting, asked));
        // Nobody waits for it unless the service ends.
        let _ = tell.send(());
    })?;
    WAY.set(Way { spans, ending, ended: ended.into() }).map_err(|_| TraceError::Twice)
}

/// Has all sent that waits, for a moment.
pub(super) fn end() {
    let Some(way) = WAY.get() else { return };
    way.ending.send_replace(true);
    if let Ok(ended) = way.ended.lock() {
        let _ = ended.recv_timeout(END);
    }
}

fn exporter(settings: &TraceSettings) -> Result<SpanExporter, TraceError> {
    let http = reqwest::Client::builder()
        .user_agent(concat!("orgpipe/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(settings.timeout)
        .build()?;
    let header =
        |(name, value): &(String, secrecy::SecretString)| (name.clone(), value.expose_secret().to_owned());
    let headers: HashMap<String, String> = settings.headers.iter().map(header).collect();
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(http)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.as_str())
        .with_timeout(settings.timeout)
        .with_headers(headers)
        .build()?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    exporter.set_resource(&Resource::builder().with_service_name("orgpipe").with_attribute(version).build());
    Ok(exporter)
}

/// Sends spans, one batch after the other.
struct SpanSender {
    exporter: SpanExporter,
    timeout: Duration,
    /// Host of the collector.
    place: String,
    /// Spans that were not taken since one was.
    lost: u64,
}

impl SpanSender {
    async fn run(mut self, mut waiting: mpsc::Receiver<SpanData>, mut asked: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let mut end = tokio::select! {
                got = waiting.recv_many(&mut batch, BATCH_MAX) => got == 0,
                _ = asked.wait_for(|end| *end) => true,
            };
            let gathered = tokio::time::sleep(GATHER);
            tokio::pin!(gathered);
            while !end && batch.len() < BATCH_MAX {
                let room = BATCH_MAX - batch.len();
                tokio::select! {
                    got = waiting.recv_many(&mut batch, room) => end = got == 0,
                    _ = asked.wait_for(|end| *end) => end = true,
                    () = &mut gathered => break,
                }
            }
            self.send(std::mem::take(&mut batch)).await;
            if end {
                while let Ok(span) = waiting.try_recv() {
                    batch.push(span);
                    if batch.len() == BATCH_MAX {
                        self.send(std::mem::take(&mut batch)).await;
                    }
                }
                return self.send(batch).await;
            }
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let spans = batch.len() as u64;
        let why = match timeout(self.timeout, self.exporter.export(batch)).await {
            Ok(Ok(())) => {
                SENT.fetch_add(spans, Ordering::Relaxed);
                let lost = std::mem::take(&mut self.lost);
                if lost > 0 {
                    tracing::info!(lost, "the collector at {} takes traces again", self.place);
                }
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it does not answer within {} s", self.timeout.as_secs()),
        };
        LOST.fetch_add(spans, Ordering::Relaxed);
        if self.lost == 0 {
            let place = &self.place;
            tracing::warn!(
                "the collector at {place} does not take traces, which are lost until it does: {why}. Look at \
                 `service.traces` and at the collector's own log; nothing else waits for it"
            );
        }
        self.lost += spans;
    }
}
