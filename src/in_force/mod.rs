//! The settings that the running service is in force with, from its file and from the orgs of its store.
//!
//! Here: reading both again, on a command or after a change of the store; all or nothing: with any problem of the file, the
//! settings in force stay. In `stored_org`: an org of the store. In `tls`: the certificate in force. Not here: what a file may
//! say (`config`), what other settings do (`Service::reload`).

pub(crate) mod stored_org;
pub(crate) mod tls;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use orgpipe_actors::{Reloaded, Service, StartError};
use orgpipe_store::StoreError;
use tokio::sync::Mutex;

use self::{
    stored_org::{RecordError, StoredOrg},
    tls::Shown,
};
use crate::config::{self, AdminSettings, Config, ConnectSettings, Environment, OrgText, Problem};

/// The settings file of the running service.
#[derive(Clone, Debug)]
pub(crate) struct SettingsFile {
    file: PathBuf,
    /// What the admin API runs on.
    pub(crate) admin: AdminSettings,
    /// Its certificate, which is read again with the settings.
    pub(crate) shown: Option<Shown>,
    /// The folder of the store; the first token is written beside it.
    pub(crate) data_dir: PathBuf,
    /// How customers connect their orgs, as at the start.
    pub(crate) connect: Option<ConnectSettings>,
    /// Orgs of the store that are left out, and why.
    left_out: Arc<std::sync::Mutex<BTreeMap<String, Vec<String>>>>,
    /// Held from reading the file to having put it to work, so that the last one read is the one in force.
    turn: Arc<Mutex<()>>,
}

impl SettingsFile {
    /// The file, and what it said of the admin API at the start.
    pub(crate) fn new(file: &Path, config: &Config) -> Self {
        let Config { admin, connect, settings, .. } = config;
        let (file, data_dir) = (file.to_owned(), settings.data_dir.clone());
        let shown = admin.certificate.clone().map(Shown::new);
        let (left_out, turn) = (Arc::default(), Arc::default());
        let (admin, connect) = (admin.clone(), connect.clone());
        Self { file, admin, shown, data_dir, connect, left_out, turn }
    }
}

impl SettingsFile {
    /// The file itself.
    pub(crate) fn path(&self) -> &Path {
        &self.file
    }

    /// Reads the settings again with the orgs of the store, and puts them to work; what is wrong with them as one text.
    pub(crate) async fn put_to_work(&self, service: &Service) -> Result<(), String> {
        match reload(service, self).await {
            Ok(_) => Ok(()),
            Err(error) => {
                Err([error.to_string()].into_iter().chain(error.problems()).collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// Puts the orgs of the store to work at the start, if there are any.
    pub(crate) async fn start_stored(&self, service: &Service) -> Result<(), ReloadError> {
        if StoredOrg::all(service).await.map_err(StartError::from)?.is_empty() {
            return Ok(());
        }
        reload(service, self).await.map(drop)
    }

    /// Whether the settings would take this org, as far as its own keys and its name go.
    ///
    /// Each problem with what to do about it; none: it would.
    pub(crate) async fn problems_of(
        &self,
        service: &Service,
        org: &StoredOrg,
    ) -> Result<Vec<String>, StoreError> {
        let Some(text) = org.text_as_ready() else { return Ok(Vec::new()) };
        let mut stored = stored(service).await?.0;
        stored.retain(|other| other.id != text.id);
        stored.push(text);
        let problems = match self.read(stored).await {
            Ok(mut config) => config.orgs_left_out.remove(&org.id).unwrap_or_default(),
            Err(ReloadError::Problems(problems)) => problems,
            Err(_) => Vec::new(),
        };
        Ok(problems.iter().map(|problem| format!("{}. {}", problem.message, problem.hint)).collect())
    }

    /// Why orgs of the store are left out, by name.
    pub(crate) fn left_out(&self) -> BTreeMap<String, Vec<String>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self, stored: Vec<OrgText>) -> Result<Config, ReloadError> {
        let file = self.file.clone();
        let read = move || config::load_with(&file, &Environment::of_process(), &stored);
        // A big file and its key files must not hold up the others on this thread.
        match actix_rt::task::spawn_blocking(read).await {
            Ok(Ok(config)) => Ok(config),
            Ok(Err(problems)) => Err(ReloadError::Problems(problems)),
            Err(_) => Err(ReloadError::NotRead),
        }
    }
}

/// The orgs of the store that can be worked for, and why some cannot be read.
async fn stored(service: &Service) -> Result<(Vec<OrgText>, BTreeMap<String, Vec<String>>), StoreError> {
    let (mut texts, mut unreadable) = (Vec::new(), BTreeMap::new());
    for org in StoredOrg::all(service).await? {
        match org {
            Ok(org) => texts.extend(org.text()),
            Err(error @ RecordError::Unreadable { .. }) => {
                tracing::error!("{error}");
                if let RecordError::Unreadable { id, .. } = &error {
                    unreadable.insert(id.clone(), vec![error.to_string()]);
                }
            }
            Err(RecordError::Store(error)) => return Err(error),
        }
    }
    Ok((texts, unreadable))
}

/// Why the settings in force stay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
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
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Problems(_) => Some("Correct the file and reload again.".to_owned()),
            Self::Start(cause) => cause.hint(),
            Self::NotRead => None,
        }
    }

    /// Each problem, with what to do about it.
    pub(crate) fn problems(&self) -> Vec<String> {
        match self {
            Self::Problems(problems) => problems.iter().map(|one| format!("{one}. {}", one.hint)).collect(),
            Self::Start(_) | Self::NotRead => Vec::new(),
        }
    }
}

/// Reads the settings again and puts them to work.
pub(crate) async fn reload(service: &Service, settings: &SettingsFile) -> Result<Reloaded, ReloadError> {
    let _turn = settings.turn.lock().await;
    let (stored, mut left_out) = stored(service).await.map_err(StartError::from)?;
    let config = settings.read(stored).await?;
    let told = |problem: &Problem| format!("{problem}. {}", problem.hint);
    for (id, problems) in &config.orgs_left_out {
        let problems: Vec<String> = problems.iter().map(told).collect();
        tracing::error!(org = id, "an org of the store is left out: {}", problems.join(" "));
        left_out.insert(id.clone(), problems);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}. {}", warning.hint);
    }
    let mut reloaded = service.reload(config.settings).await?;
    *settings.left_out.lock().unwrap_or_else(PoisonError::into_inner) = left_out;
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
        ("connect", config.connect != settings.connect),
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
