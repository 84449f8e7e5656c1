//! A collector of traces for tests: takes OTLP over HTTP and keeps what comes.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;

/// A span as it came, IDs as digits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TakenSpan {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty if it has none.
    pub(crate) parent: String,
    pub(crate) name: String,
    /// Text of its status, if that is an error.
    pub(crate) error: String,
    /// Trace IDs that it links to.
    pub(crate) links: Vec<String>,
    attributes: Vec<(String, String)>,
}

impl TakenSpan {
    /// An attribute as text; empty if there is none.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

type Bodies = Arc<Mutex<Vec<Vec<u8>>>>;

/// A collector on this machine.
pub(crate) struct Collector {
    port: u16,
    bodies: Bodies,
}

impl Collector {
    /// Takes spans from now on.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let bodies = Bodies::default();
        let data = web::Data::new(Arc::clone(&bodies));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(16 * 1024 * 1024))
                .route("/v1/traces", web::post().to(take))
        });
        let server = server.workers(1).disable_signals().listen(listener).expect("it listens").run();
        actix_rt::spawn(server);
        Self { port, bodies }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that came.
    pub(crate) fn spans(&self) -> Vec<TakenSpan> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = |body: &Vec<u8>| ExportTraceServiceRequest::decode(body.as_slice()).expect("spans");
        let groups = bodies.iter().map(read).flat_map(|all| all.resource_spans);
        groups.flat_map(|group| group.scope_spans).flat_map(|scope| scope.spans).map(taken).collect()
    }

    /// Whether a text stands in anything that came.
    pub(crate) fn has_text(&self, text: &str) -> bool {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.iter().any(|body| body.windows(text.len()).any(|part| part == text.as_bytes()))
    }
}

async fn take(body: web::Bytes, bodies: web::Data<Bodies>) -> HttpResponse {
    bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body.to_vec());
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    HttpResponse::Ok().content_type("application/x-protobuf").body(answer)
}

fn taken(span: Span) -> TakenSpan {
    let attributes = span.attributes.into_iter().map(|one| (one.key, text(one.value)));
    TakenSpan {
        trace: digits(&span.trace_id),
        id: digits(&span.span_id),
        parent: digits(&span.parent_span_id),
        name: span.name,
        // 2 is an error (`opentelemetry/proto/trace/v1/trace.proto`, "StatusCode").
        error: span.status.filter(|status| status.code == 2).map(|status| status.message).unwrap_or_default(),
        links: span.links.iter().map(|link| digits(&link.trace_id)).collect(),
        attributes: attributes.collect(),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}
