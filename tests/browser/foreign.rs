//! A web site of somebody else: pages that try to give commands to an orgpipe, and a name that leads to it later.
//!
//! Here: the server. Not here: what its page tries (`attack.html`).
//!
//! DNS rebinding is that a page's own name leads to another address once the page is there. For the service it makes no
//! difference who leads it there, so this server sends on all that is none of its pages, as it came.

use std::sync::{Arc, Mutex};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::{Method, StatusCode},
    web::{self, Bytes, Data},
};

/// The page; `?admin=URL` says whom it attacks, `?sandbox` takes its origin from it.
pub(crate) const PAGE: &str = "/attack.html";

/// A request that was sent on, and its answer's status.
pub(crate) type SentOn = (String, String, u16);

pub(crate) struct ForeignSite {
    pub(crate) port: u16,
    sent_on: Arc<Mutex<Vec<SentOn>>>,
    handle: ServerHandle,
}

#[derive(Clone)]
struct Site {
    /// Where its name leads to later.
    admin: String,
    http: reqwest::Client,
    sent_on: Arc<Mutex<Vec<SentOn>>>,
}

impl ForeignSite {
    pub(crate) fn start(admin: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let sent_on = Arc::default();
        let site =
            Site { admin: admin.to_owned(), http: http.expect("a client"), sent_on: Arc::clone(&sent_on) };
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(site.clone()))
                .route(PAGE, web::get().to(page))
                .default_service(web::to(send_on))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a port");
        let port = server.addrs()[0].port();
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Self { port, sent_on, handle }
    }

    /// What was sent on since the last time.
    pub(crate) fn sent_on(&self) -> Vec<SentOn> {
        std::mem::take(&mut self.sent_on.lock().expect("nobody panics"))
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn page(request: HttpRequest) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if request.query_string().contains("sandbox") {
        answer.insert_header(("Content-Security-Policy", "sandbox allow-forms allow-scripts"));
    }
    answer.content_type("text/html; charset=utf-8").body(include_str!("attack.html"))
}

async fn send_on(site: Data<Site>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let method = request.method().as_str().parse().expect("a method");
    let mut sent = site.http.request(method, format!("{}{path}", site.admin)).body(body);
    for (name, value) in request.headers() {
        sent = sent.header(name.as_str(), value.as_bytes());
    }
    let answer = sent.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let told = (request.method().to_string(), path, status);
    site.sent_on.lock().expect("nobody panics").push(told);
    let mut reply = HttpResponse::build(StatusCode::from_u16(status).expect("a status"));
    let kept = |name: &str| !["content-length", "transfer-encoding", "connection"].contains(&name);
    for (name, value) in answer.headers().iter().filter(|(name, _)| kept(name.as_str())) {
        reply.append_header((name.as_str(), value.as_bytes()));
    }
    let body = answer.bytes().await.unwrap_or_default();
    if request.method() == Method::HEAD { reply.finish() } else { reply.body(body) }
}
