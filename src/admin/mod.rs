//! The admin API and the status page, on loopback unless told otherwise.
//!
//! Here: the table of paths and the server. Not here: who may ask (`guard`), decisions; a handler is one question to the service and its
//! answer as JSON or HTML.

mod commands;
mod dead_letters;
mod guard;
mod metrics;
pub(crate) mod names;
mod orgs;
mod page;
mod reload;

use std::net::SocketAddr;

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn, web};
use orgpipe_actors::Service;

use self::guard::Hosts;
pub(crate) use self::{
    commands::DRAIN_SECS,
    reload::{SettingsFile, reload_and_log},
};

/// A running admin server.
pub(crate) struct Admin {
    /// Where it listens; the port the system chose when 0 was asked for.
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
}

/// Why it does not listen.
#[derive(Debug, thiserror::Error)]
#[error("the admin API cannot listen on {address}: {cause}")]
pub(crate) struct ListenError {
    address: SocketAddr,
    #[source]
    cause: std::io::Error,
}

impl ListenError {
    /// What to do about it.
    pub(crate) const HINT: &str =
        "Another orgpipe may be running here; stop it, or give `service.listen` another port.";
}

/// Starts to listen; answers come from this service, which can read its settings again from that file.
pub(crate) fn start(settings: SettingsFile, service: Service) -> Result<Admin, ListenError> {
    let listen = settings.listen;
    let failed = |cause| ListenError { address: listen, cause };
    let hosts = Hosts { names: settings.hosts.clone(), beyond_loopback: !listen.ip().is_loopback() };
    let server = HttpServer::new(move || {
        let (service, settings) = (web::Data::new(service.clone()), web::Data::new(settings.clone()));
        App::new()
            .app_data(service)
            .app_data(settings)
            .app_data(web::Data::new(hosts.clone()))
            .app_data(guard::queries())
            .wrap(from_fn(guard::guard))
            .wrap(guard::headers())
            .configure(routes)
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(listen)
    .map_err(failed)?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(Admin { address, handle })
}

impl Admin {
    /// Stops listening; answers under way are finished.
    pub(crate) async fn stop(self) {
        self.handle.stop(true).await;
    }
}

fn routes(app: &mut web::ServiceConfig) {
    app.route("/", web::get().to(page::show))
        .route("/healthz", web::get().to(|| async { "alive\n" }))
        .route("/metrics", web::get().to(metrics::show))
        .route("/api/v1/tree", web::get().to(orgs::tree))
        .route("/api/v1/reload", web::post().to(reload::post))
        .route("/api/v1/orgs", web::get().to(orgs::list))
        .route("/api/v1/orgs/{org}", web::get().to(orgs::one))
        .route("/api/v1/orgs/{org}/dead-letters", web::get().to(dead_letters::list))
        .route("/api/v1/orgs/{org}/dead-letters/audit", web::get().to(dead_letters::audit))
        .route("/api/v1/orgs/{org}/dead-letters/retry", web::post().to(dead_letters::retry_many))
        .route("/api/v1/orgs/{org}/dead-letters/discard", web::post().to(dead_letters::discard_many))
        .route("/api/v1/orgs/{org}/dead-letters/{number}", web::get().to(dead_letters::show))
        .route("/api/v1/orgs/{org}/dead-letters/{number}/retry", web::post().to(dead_letters::retry))
        .route("/api/v1/orgs/{org}/dead-letters/{number}/discard", web::post().to(dead_letters::discard))
        .route("/api/v1/orgs/{org}/receipts", web::get().to(orgs::receipts))
        .route("/api/v1/orgs/{org}/records/{record}", web::get().to(orgs::explain))
        .route("/api/v1/orgs/{org}/pause", web::post().to(commands::pause))
        .route("/api/v1/orgs/{org}/resume", web::post().to(commands::resume))
        .route("/api/v1/orgs/{org}/restart", web::post().to(commands::restart))
        .route("/api/v1/orgs/{org}/drain", web::post().to(commands::drain))
        .route("/orgs/{org}/doctor", web::post().to(page::examine))
        .route("/api/v1/orgs/{org}/doctor", web::post().to(orgs::doctor))
        .route("/api/v1/orgs/{org}/limits", web::post().to(orgs::limits))
        .route("/api/v1/orgs/{org}/purge", web::post().to(commands::purge))
        .route("/api/v1/orgs/{org}/refresh", web::post().to(commands::refresh))
        .route("/api/v1/orgs/{org}/replay", web::post().to(commands::replay));
}
