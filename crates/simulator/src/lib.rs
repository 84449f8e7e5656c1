//! Salesforce orgs and a vendor's look-up API on loopback ports: for tests, the demo and rehearsals of a mapping.
//!
//! A client that works against it is meant to work against Salesforce: status codes, bodies, rounding, limits and
//! quirks are those of the REST, Bulk 2.0 and Streaming guides (API versions 50 to 68). Nothing is kept on disk.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use orgpipe_simulator::{Options, OrgOptions, Simulator};
//! let options = Options { orgs: vec![OrgOptions::named("acme")], ..Options::default() };
//! let simulator = Simulator::start(options).await?; // inside an actix_rt::System
//! println!("{}", simulator.orgs()[0].base_url());
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Logins: JWT bearer and client credentials work at once ([`OrgHandle::private_key_pem`], [`OrgHandle::client_secret`]). For
//! the web server flow register the app's callback ([`OrgHandle::register_redirect_uri`]) and open
//! `/services/oauth2/authorize`; without a browser [`OrgHandle::grant_refresh_token`] gives a refresh token. What an admin
//! can set up against the app is a [`LoginPolicy`]; what the org has seen is [`OrgHandle::login_history`].
//!
//! Code map: `data/` is the org's database (what is stored and what is refused), `soql/` its query language, `api/`
//! the REST and Bulk resources as functions from a request to an answer, `oauth/` logins, `cometd/` the event
//! subscription; `rights.rs` is what the integration user may do; `org.rs` joins them, `server.rs` puts them on ports.
//! `handle.rs` is what a test may do to an org, `control/` the same over HTTP.
//!
//! It imports none of the other crates: a shared type would share a misreading of the protocol.

mod answer;
mod api;
mod clock;
mod cometd;
mod control;
mod csv;
mod data;
mod faults;
mod handle;
mod log;
mod oauth;
mod options;
mod org;
mod quota;
mod rights;
mod row;
mod server;
mod soql;
mod vendor;

pub use answer::HALF_EMOJI;
pub use cometd::{
    CometdFault, CometdFaultEffect, HangUp, LoggedMessage, LoggedSubscribe, Refuse, RequestKind, Streaming,
    Wording, WrittenPart,
};
pub use data::{CustomField, FieldKind, WriteError};
pub use faults::{ChunkFault, JobFault, RowError, RowFault};
pub use handle::OrgHandle;
pub use log::{LoggedCall, LoggedGrant, LoggedJob, LoggedLogin, LoggedWrite};
pub use options::{AppStatus, LoginPolicy, Options, OrgOptions, PermittedUsers, Ports};
pub use rights::{FieldRight, ObjectRight, Profile, Right};
pub use row::Row;
pub use server::Simulator;
pub use vendor::{LoggedLookup, VendorHandle};
