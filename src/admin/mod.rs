//! The admin API and the status page, on loopback unless told otherwise.
//!
//! In reading order: `routes` (the table of paths, and who may ask for each), `guard` (from where a request may come),
//! `access` (who asks), `tokens` and `sessions` (by what they are told), `login`; then the handlers.
//! Here: the server. Not here: decisions; a handler is one question to the service and its answer as JSON or HTML.

mod access;
mod alerts;
mod audit;
mod changes;
mod commands;
mod dead_letters;
mod document;
mod guard;
mod live;
mod login;
mod login_page;
mod metrics;
pub(crate) mod names;
mod orgs;
mod preview_page;
mod previews;
mod probes;
mod problem;
mod query;
mod reload;
mod routes;
mod secret;
mod sessions;
mod stored_orgs;
mod token_commands;
mod tokens;
mod views;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn, web};
use orgpipe_actors::Service;
use tokio::sync::watch;

use self::{
    access::{Access, CookieRule},
    document::Document,
    guard::Hosts,
    live::Streams,
    tokens::Tokens,
};
pub(crate) use self::{
    commands::DRAIN_SECS,
    sessions::SESSION_KIND,
    tokens::{FirstToken, Role, TOKEN_KIND, TokenError, reset},
};
use crate::{
    audit_log::AuditLog,
    config::AdminSettings,
    connect::{Onboarding, handlers::Door},
    in_force::{SettingsFile, tls},
};

/// A running admin server.
pub(crate) struct Admin {
    /// Where a browser finds it, such as `http://127.0.0.1:8787`.
    pub(crate) url: String,
    /// The token that was made because there was none.
    pub(crate) first: Option<FirstToken>,
    handle: ServerHandle,
    /// Ends the streams of pages that are open.
    stop_streams: watch::Sender<bool>,
}

/// Why it is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// The address.
    #[error("the admin API cannot listen on {address}: {cause}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// TLS.
    #[error("the admin API cannot speak TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl AdminError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { .. } => Some(
                "Another orgpipe may be running here; stop it, or give `service.listen` another port."
                    .to_owned(),
            ),
            Self::Token(error) => error.hint(),
            Self::Tls(_) => Some("Look at the files of `service.tls`.".to_owned()),
        }
    }
}

/// What the admin API is.
pub(crate) fn document() -> Document {
    Document::of(routes::served())
}

/// Takes the address, before any org is logged in to: another orgpipe may have it, and the same orgs.
pub(crate) fn listener(settings: &SettingsFile) -> Result<TcpListener, AdminError> {
    let address = settings.admin.listen;
    TcpListener::bind(address).map_err(|cause| AdminError::Listen { address, cause })
}

/// Starts to listen; answers come from this service, which can read its settings again from that file.
pub(crate) async fn start(
    settings: SettingsFile,
    service: Service,
    listener: TcpListener,
) -> Result<Admin, AdminError> {
    let AdminSettings { listen, hosts, behind_proxy, .. } = settings.admin.clone();
    let failed = |cause| AdminError::Listen { address: listen, cause };
    let address = listener.local_addr().map_err(failed)?;
    let tls = settings.shown.clone().map(tls::config).transpose()?;
    // Last of all that may fail: a token that was made must be told.
    let (tokens, first) = Tokens::load(service.clone(), &settings.data_dir).await?;
    let cookies = CookieRule::new(address.port(), behind_proxy || tls.is_some());
    let access = Access::load(tokens, cookies, service.clone()).await.map_err(TokenError::Store)?;
    let access = web::Data::new(access);
    let audit = AuditLog::load(service.clone(), settings.ledger_days).await.map_err(TokenError::Store)?;
    let audit = web::Data::new(audit);
    let connect = settings.connect();
    let own = connect.as_ref().and_then(|connect| connect.base_url.domain());
    let names = hosts.iter().cloned().chain(own.map(str::to_owned)).collect();
    let names = Hosts { names, beyond_loopback: !listen.ip().is_loopback() };
    let onboarding = Onboarding::new(service.clone(), settings.clone()).await;
    let door = web::Data::new(Door::new(onboarding, service.clock()));
    let document = web::Data::new(document());
    let url = url(address, tls.is_some(), behind_proxy, hosts.first().map(String::as_str));
    let (stop_streams, stop) = watch::channel(false);
    let streams = web::Data::new(Streams::new(stop));
    let server = HttpServer::new(move || {
        let (service, settings) = (web::Data::new(service.clone()), web::Data::new(settings.clone()));
        App::new()
            .app_data(service)
            .app_data(settings)
            .app_data(access.clone())
            .app_data(audit.clone())
            .app_data(door.clone())
            .app_data(document.clone())
            .app_data(streams.clone())
            .app_data(web::Data::new(names.clone()))
            .app_data(query::queries())
            .app_data(query::paths())
            .app_data(login::forms())
            .app_data(query::bodies())
            .wrap(from_fn(guard::guard))
            .wrap(guard::headers())
            .configure(routes::install)
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1);
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls),
        None => server.listen(listener),
    };
    let server = server.map_err(failed)?.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(Admin { url, first, handle, stop_streams })
}

impl Admin {
    /// Stops listening; answers under way are finished.
    pub(crate) async fn stop(self) {
        // Nobody is left to be told if all have gone.
        let _ = self.stop_streams.send(true);
        self.handle.stop(true).await;
    }
}

/// Where a browser finds what listens there.
fn url(address: SocketAddr, tls: bool, behind_proxy: bool, host: Option<&str>) -> String {
    let scheme = if tls { "https" } else { "http" };
    match (address.ip(), host) {
        // The proxy's own port is that of its scheme.
        (_, Some(host)) if behind_proxy => format!("https://{host}"),
        (_, Some(host)) if tls => format!("{scheme}://{host}:{}", address.port()),
        (ip, _) => {
            let here = match ip {
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            };
            format!("{scheme}://{}", SocketAddr::new(here, address.port()))
        }
    }
}
