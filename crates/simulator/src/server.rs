//! The simulator as a whole: ports, one HTTP server per org, one for the vendor, one for control.
//!
//! Here: starting and stopping. Not here: turning HTTP into calls and answers back into HTTP (`entry`), what is answered
//! (`api`, `oauth`, `cometd`, `vendor`, `control`).

mod entry;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::Compress;
use actix_web::{App, HttpServer, web};

use crate::clock::Clock;
use crate::control;
use crate::handle::OrgHandle;
use crate::options::{Options, Ports};
use crate::org::Org;
use crate::org::keys::Keys;
use crate::vendor::{self, Vendor, VendorHandle};

/// Largest body taken: a Bulk upload of 100 MB, and room to refuse a larger one in words.
const BODY_MAX: usize = 110 * 1_024 * 1_024;
/// Longer than clients keep a connection unused, so that it is they who close it.
const KEEP_ALIVE: Duration = Duration::from_mins(2);

/// A running simulator. Dropping it leaves its servers running until their `actix_rt::System` ends; `stop` ends them.
pub struct Simulator {
    orgs: Vec<OrgHandle>,
    vendor: VendorHandle,
    control_url: String,
    servers: Vec<ServerHandle>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Simulator")
            .field("orgs", &self.orgs)
            .field("control_url", &self.control_url)
            .finish_non_exhaustive()
    }
}

impl Simulator {
    /// Starts all servers on 127.0.0.1; must be called inside an `actix_rt::System`. Fails if two orgs share a name,
    /// or a port is taken.
    pub async fn start(options: Options) -> io::Result<Self> {
        for (at, org) in options.orgs.iter().enumerate() {
            if options.orgs[..at].iter().any(|other| other.name == org.name) {
                let message = format!("two orgs are named `{}`: give each its own name", org.name);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        // Making an RSA pair takes long enough to hold up an arbiter.
        let keys = tokio::task::spawn_blocking(Keys::make).await.map_err(io::Error::other)??;
        let keys = Arc::new(keys);
        let clock = Clock::new(options.time_scale);
        let mut ports = options.ports;
        let (control_listener, control_url) = listen(&mut ports)?;
        let (vendor_listener, vendor_url) = listen(&mut ports)?;
        let vendor = VendorHandle {
            vendor: Arc::new(Vendor::new(format!("{vendor_url}/lookup"), options.lookup_after)),
        };
        let mut orgs = Vec::with_capacity(options.orgs.len());
        let mut servers = Vec::new();
        for (number, org) in (1..).zip(&options.orgs) {
            let (listener, url) = listen(&mut ports)?;
            let org = Arc::new(Org::new(org, number, options.seed, url, keys.clone(), clock.apart()));
            orgs.push(OrgHandle { org: org.clone() });
            servers.push(serve(listener, move |config: &mut web::ServiceConfig| {
                config.app_data(web::Data::from(org.clone())).default_service(web::to(entry::org));
            })?);
        }
        let shared = vendor.clone();
        servers.push(serve(vendor_listener, move |config: &mut web::ServiceConfig| {
            config.app_data(web::Data::new(shared.clone())).default_service(web::to(vendor::entry));
        })?);
        let targets = control::ControlTargets { orgs: orgs.clone(), vendor: vendor.clone() };
        servers.push(serve(control_listener, move |config: &mut web::ServiceConfig| {
            config.app_data(web::Data::new(targets.clone())).default_service(web::to(control::entry));
        })?);
        Ok(Self { orgs, vendor, control_url, servers })
    }

    /// The org of this name.
    pub fn org(&self, name: &str) -> Option<&OrgHandle> {
        self.orgs.iter().find(|org| org.name() == name)
    }

    /// All orgs, in the order of the options.
    pub fn orgs(&self) -> &[OrgHandle] {
        &self.orgs
    }

    /// The vendor's look-up API.
    pub fn vendor(&self) -> &VendorHandle {
        &self.vendor
    }

    /// Where another process may do what the handles do.
    pub fn control_url(&self) -> &str {
        &self.control_url
    }

    /// Ends all servers at once; polls that are held are cut off.
    pub async fn stop(self) {
        for server in self.servers {
            server.stop(false).await;
        }
    }
}

/// The next port, bound, and its URL.
fn listen(ports: &mut Ports) -> io::Result<(TcpListener, String)> {
    let port = match ports {
        Ports::Ephemeral => 0,
        Ports::From(port) => {
            let this = *port;
            *port = this
                .checked_add(1)
                .ok_or_else(|| io::Error::other("there are not enough ports past the first one"))?;
            this
        }
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
        io::Error::new(error.kind(), format!("port {port} on 127.0.0.1 cannot be listened on: {error}"))
    })?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

fn serve<F>(listener: TcpListener, configure: F) -> io::Result<ServerHandle>
where
    F: Fn(&mut web::ServiceConfig) + Send + Clone + 'static,
{
    let server = HttpServer::new(move || {
        App::new()
            .wrap(Compress::default())
            .app_data(web::PayloadConfig::new(BODY_MAX))
            .configure(configure.clone())
    })
    .workers(1)
    .keep_alive(KEEP_ALIVE)
    // A client that has closed its side is gone: a held poll must notice.
    .h1_allow_half_closed(false)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(handle)
}
