//! A stand-in for whoever is told: it remembers what it was sent, and answers as a test wants.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::StatusCode,
    web::{self, Bytes, Data},
};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// What was sent once.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

#[derive(Debug)]
struct State {
    received: Vec<Received>,
    status: u16,
}

/// The stand-in.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Begins to listen.
    pub(crate) fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/alerts", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { received: Vec::new(), status }));
        let shared = Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).route("/alerts", web::post().to(take))
        });
        let server = server.workers(1).disable_signals().listen(listener).expect("it listens").run();
        actix_rt::spawn(server);
        Self { url, state }
    }

    /// Answers with this status from now on.
    pub(crate) fn answers(&self, status: u16) {
        self.state.lock().expect("not poisoned").status = status;
    }

    /// All that was sent, repeats too.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().expect("not poisoned").received.clone()
    }

    /// The IDs of what was sent to a webhook, each once, as a receiver keeps them.
    pub(crate) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for one in self.received() {
            let id = one.body["id"].as_str().unwrap_or_default().to_owned();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }
}

async fn take(state: Data<Mutex<State>>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let text = String::from_utf8_lossy(&body).into_owned();
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()));
    let received =
        Received { headers: headers.collect(), body: serde_json::from_str(&text).expect("JSON"), text };
    let mut state = state.lock().expect("not poisoned");
    state.received.push(received);
    HttpResponse::build(StatusCode::from_u16(state.status).expect("a status")).body("noted")
}

/// HMAC-SHA256 by its definition (RFC 2104), so that no code is shared with what signs.
pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |pad: u8| block.map(|byte| byte ^ pad).to_vec();
    let inner = digest(&SHA256, &[padded(0x36), text.to_vec()].concat());
    STANDARD.encode(digest(&SHA256, &[padded(0x5c), inner.as_ref().to_vec()].concat()).as_ref())
}
