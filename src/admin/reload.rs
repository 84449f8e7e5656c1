//! Reading the settings again while the service runs, on SIGHUP or by `POST /api/v1/reload`.
//!
//! Here: all or nothing: with any problem, the settings in force stay. Not here: what other settings do
//! (`Service::reload`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use orgpipe_actors::{Reloaded, Service, StartError};
use serde_json::json;
use tokio::sync::Mutex;

use super::{query::NoQuery, tls::Shown};
use crate::config::{self, AdminSettings, Config, Environment, Problem};

/// The settings file of the running service.
#[derive(Clone, Debug)]
pub(crate) struct SettingsFile {
    file: PathBuf,
    /// What the admin API runs on.
    pub(super) admin: AdminSettings,
    /// Its certificate, which is read again with the settings.
    pub(super) shown: Option<Shown>,
    /// The folder of the store; the first token is written beside it.
    pub(super) data_dir: PathBuf,
    /// Held from reading the file to having put it to work, so that the last one read is the one in force.
    turn: Arc<Mutex<()>>,
}

impl SettingsFile {
    /// The file, and what it said of the admin API at the start.
    pub(crate) fn new(file: &Path, config: &Config) -> Self {
        let Config { admin, settings } = config;
        let (file, data_dir) = (file.to_owned(), settings.data_dir.clone());
        let shown = admin.certificate.clone().map(Shown::new);
        Self { file, admin: admin.clone(), shown, data_dir, turn: Arc::default() }
    }
}

/// Why the settings in force stay.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    /// Something in the file is wrong.
    #[error("the settings have problems ({}), so nothing was changed", .0.len())]
    Problems(Vec<Problem>),
    /// They make sense and cannot be put to work.
    #[error("nothing was changed: {0}")]
    Start(#[from] StartError),
    /// The thread that read them has ended.
    #[error("the settings were not read, so nothing was changed")]
    NotRead,
}

impl ReloadError {
    /// Each problem, with what to do about it.
    fn problems(&self) -> Vec<String> {
        match self {
            Self::Problems(problems) => problems.iter().map(|one| format!("{one}. {}", one.hint)).collect(),
            Self::Start(_) | Self::NotRead => Vec::new(),
        }
    }
}

async fn reload(service: &Service, settings: &SettingsFile) -> Result<Reloaded, ReloadError> {
    let _turn = settings.turn.lock().await;
    let file = settings.file.clone();
    let read = move || config::load(&file, &Environment::of_process());
    // A big file and its key files must not hold up the others on this thread.
    let config = match actix_rt::task::spawn_blocking(read).await {
        Ok(Ok(config)) => config,
        Ok(Err(problems)) => return Err(ReloadError::Problems(problems)),
        Err(_) => return Err(ReloadError::NotRead),
    };
    let mut reloaded = service.reload(config.settings).await?;
    let AdminSettings { listen, hosts, certificate, behind_proxy } = config.admin;
    let old = &settings.admin;
    let has_tls = certificate.is_some();
    if let (Some(shown), Some(certificate)) = (&settings.shown, certificate) {
        shown.exchange(certificate);
    }
    let keys = [
        ("service.listen", listen != old.listen),
        ("service.hosts", hosts != old.hosts),
        ("service.tls", has_tls != settings.shown.is_some()),
        ("service.behind_proxy", behind_proxy != old.behind_proxy),
    ];
    reloaded.needs_restart.extend(keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key));
    Ok(reloaded)
}

/// Reads the settings again; what is wrong with them is told in the log.
pub(crate) async fn reload_and_log(service: &Service, settings: &SettingsFile) {
    match reload(service, settings).await {
        Ok(reloaded) if reloaded.needs_restart.is_empty() => {}
        Ok(reloaded) => {
            tracing::warn!("left as before until the next start: {}", reloaded.needs_restart.join(", "));
        }
        Err(error) => {
            tracing::error!("{error}");
            for problem in error.problems() {
                tracing::error!("{problem}");
            }
        }
    }
}

pub(super) async fn post(
    service: Data<Service>,
    settings: Data<SettingsFile>,
    _: Query<NoQuery>,
) -> HttpResponse {
    match reload(&service, &settings).await {
        Ok(reloaded) => HttpResponse::Ok().json(reloaded),
        Err(error) => {
            let (status, hint) = match &error {
                ReloadError::Problems(_) => {
                    (StatusCode::UNPROCESSABLE_ENTITY, Some("Correct the file and reload again.".to_owned()))
                }
                ReloadError::Start(cause) => (StatusCode::INTERNAL_SERVER_ERROR, cause.hint()),
                ReloadError::NotRead => (StatusCode::INTERNAL_SERVER_ERROR, None),
            };
            let body = json!({ "error": error.to_string(), "hint": hint.unwrap_or_default(), "problems": error.problems() });
            HttpResponse::build(status).json(body)
        }
    }
}
