//! The settings that the running service is in force with, from its file and from the orgs of its store.
//!
//! Here: reading the file again on a command, all or nothing: with any problem of it, or if an org of the store would drop out,
//! the settings in force stay; and putting a changed org of the store to work, for which the file is not read. In `stored_org`: an
//! org of the store. In `tls`: the certificate in force. Not here: what a file may say (`config`), what other settings do
//! (`Service::reload`).

pub(crate) mod stored_org;
pub(crate) mod tls;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use orgpipe_actors::{Reloaded, Service, StartError, settings::SyncSettings};
use orgpipe_store::StoreError;
use tokio::sync::{Mutex, MutexGuard};

use self::{
    stored_org::{RecordError, StoredOrg},
    tls::Shown,
};
use crate::config::{
    self, AdminSettings, Config, ConnectSettings, Environment, MetricsSettings, OrgText, Problem, Sources,
    TraceSettings,
};

/// The settings of the running service, and where they come from. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct SettingsFile {
    file: PathBuf,
    /// What the admin API runs on.
    pub(crate) admin: AdminSettings,
    /// Its certificate, which is read again with the settings.
    pub(crate) shown: Option<Shown>,
    /// The folder of the store; the first token is written beside it.
    pub(crate) data_dir: PathBuf,
    /// For how long what was done is kept, since the start.
    pub(crate) ledger_days: u32,
    current: Arc<RwLock<Current>>,
    /// Where traces are sent since the start.
    traces: Option<TraceSettings>,
    /// Held from reading the file to having put it to work, so that the last one read is the one in force.
    turn: Arc<Mutex<()>>,
    changing: Arc<Mutex<()>>,
}

/// What is in force now.
#[derive(Debug)]
struct Current {
    /// The texts that were accepted last.
    sources: Sources,
    connect: Option<ConnectSettings>,
    metrics: MetricsSettings,
    /// Orgs of the store that are left out, and why.
    left_out: BTreeMap<String, Vec<String>>,
}

impl SettingsFile {
    /// The file, its texts, and what they said at the start.
    pub(crate) fn new(file: &Path, sources: Sources, config: &Config) -> Self {
        let Config { admin, connect, settings, .. } = config;
        let (file, data_dir, ledger_days) =
            (file.to_owned(), settings.data_dir.clone(), settings.ledger_days);
        let shown = admin.certificate.clone().map(Shown::new);
        let (connect, metrics) = (connect.clone(), admin.metrics);
        let current = Current { sources, connect, metrics, left_out: BTreeMap::new() };
        let (current, admin) = (Arc::new(RwLock::new(current)), admin.clone());
        let (traces, turn, changing) = (config.traces.clone(), Arc::default(), Arc::default());
        Self { file, admin, shown, data_dir, ledger_days, current, traces, turn, changing }
    }

    /// How customers connect their orgs now, if they can.
    pub(crate) fn connect(&self) -> Option<ConnectSettings> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).connect.clone()
    }

    /// How much the metrics tell now.
    pub(crate) fn metrics(&self) -> MetricsSettings {
        self.current.read().unwrap_or_else(PoisonError::into_inner).metrics
    }

    /// Why orgs of the store are left out, by name.
    pub(crate) fn left_out(&self) -> BTreeMap<String, Vec<String>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).left_out.clone()
    }

    /// To be held while what is stored of an org is read and changed: one at a time.
    pub(crate) async fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Puts the orgs of the store to work as they are now, with the settings in force; the file is not read.
    pub(crate) async fn put_to_work(&self, service: &Service) -> Result<(), ReloadError> {
        let _turn = self.turn.lock().await;
        let sources = self.sources();
        let (stored, unreadable) = stored(service).await.map_err(StartError::from)?;
        let config = self.resolve(sources.clone(), stored).await?;
        self.begin(service, sources, config, unreadable).await.map(drop)
    }

    /// The same at the start, if there are any.
    pub(crate) async fn start_stored(&self, service: &Service) -> Result<(), ReloadError> {
        if StoredOrg::all(service).await.map_err(StartError::from)?.is_empty() {
            return Ok(());
        }
        self.put_to_work(service).await
    }

    /// Whether the settings in force would take this org. Each problem with what to do about it; none: they would.
    pub(crate) async fn problems_of(
        &self,
        service: &Service,
        org: &StoredOrg,
    ) -> Result<Vec<String>, StoreError> {
        let Some(text) = org.text() else { return Ok(Vec::new()) };
        let mut stored = stored(service).await?.0;
        stored.retain(|other| other.id != text.id);
        stored.push(OrgText { ready: true, ..text });
        let problems = match self.resolve(self.sources(), stored).await {
            Ok(mut config) => config.orgs_left_out.remove(&org.id).unwrap_or_default(),
            Err(ReloadError::Problems(problems)) => problems,
            Err(ReloadError::Start(_) | ReloadError::NotRead) => Vec::new(),
        };
        Ok(problems.iter().map(|problem| format!("{}. {}", problem.message, problem.hint)).collect())
    }

    /// A sync of an org as other settings would have it: they are checked as a reload checks the file, and not put to work.
    /// Nothing of this machine is read for it, neither secrets nor files; where they name a folder of orgs, those in force stand
    /// for what is in it.
    pub(crate) async fn proposed(
        &self,
        service: &Service,
        text: String,
        org: &str,
        sync: &str,
    ) -> Result<Arc<SyncSettings>, ProposalError> {
        // Told by this name, and beside the file, so that relative paths lead where a reload would have them.
        let file = self.file.with_file_name("the new settings");
        let (stored, orgs) = (stored(service).await?.0, self.sources().orgs);
        let config = aside(move || {
            let environment = Environment::of_texts(&orgs);
            let sources = config::with_orgs(text, &file, &environment)?;
            config::resolve(&sources, &file, &environment, &stored)
        });
        let mut config = match config.await {
            Ok(config) => config,
            Err(ReloadError::Problems(problems)) => return Err(ProposalError::Problems(problems)),
            Err(ReloadError::Start(_) | ReloadError::NotRead) => return Err(ProposalError::NotRead),
        };
        if let Some(problems) = config.orgs_left_out.remove(org) {
            return Err(ProposalError::Problems(problems));
        }
        let orgs = config.settings.orgs.into_iter();
        let org = orgs
            .into_iter()
            .find(|known| known.id == org)
            .ok_or_else(|| ProposalError::NoOrg(org.to_owned()))?;
        org.syncs.iter().find(|known| known.name == sync).cloned().ok_or_else(|| ProposalError::NoSync {
            org: org.id.clone(),
            sync: sync.to_owned(),
            known: org.syncs.iter().map(|sync| sync.name.clone()).collect(),
        })
    }

    fn sources(&self) -> Sources {
        self.current.read().unwrap_or_else(PoisonError::into_inner).sources.clone()
    }

    async fn read(&self) -> Result<Sources, ReloadError> {
        let file = self.file.clone();
        aside(move || config::read(&file, &Environment::of_process())).await
    }

    async fn resolve(&self, sources: Sources, stored: Vec<OrgText>) -> Result<Config, ReloadError> {
        let file = self.file.clone();
        aside(move || config::resolve(&sources, &file, &Environment::of_process(), &stored)).await
    }

    /// Puts settings to work that make sense.
    async fn begin(
        &self,
        service: &Service,
        sources: Sources,
        config: Config,
        mut left_out: BTreeMap<String, Vec<String>>,
    ) -> Result<Reloaded, ReloadError> {
        for (id, problems) in &config.orgs_left_out {
            let problems: Vec<String> = problems.iter().map(told).collect();
            tracing::error!(org = id, "an org of the store is left out: {}", problems.join(" "));
            left_out.insert(id.clone(), problems);
        }
        let mut reloaded = service.reload(config.settings).await?;
        let AdminSettings { listen, hosts, certificate, behind_proxy, metrics } = config.admin;
        let old = &self.admin;
        let has_tls = certificate.is_some();
        if let (Some(shown), Some(certificate)) = (&self.shown, certificate) {
            shown.exchange(certificate);
        }
        let keys = [
            ("service.listen", listen != old.listen),
            ("service.hosts", hosts != old.hosts),
            ("service.tls", has_tls != self.shown.is_some()),
            ("service.behind_proxy", behind_proxy != old.behind_proxy),
            ("service.traces", config.traces != self.traces),
        ];
        reloaded.needs_restart.extend(keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.metrics != metrics {
            reloaded.exchanged.push("service.metrics");
        }
        *current = Current { sources, connect: config.connect, metrics, left_out };
        Ok(reloaded)
    }
}

/// Big files and their key files must not hold up the others on this thread.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Vec<Problem>> + Send + 'static,
) -> Result<T, ReloadError> {
    match actix_rt::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(ReloadError::Problems),
        Err(_) => Err(ReloadError::NotRead),
    }
}

fn told(problem: &Problem) -> String {
    format!("{problem}. {}", problem.hint)
}

/// The orgs of the store, and why some cannot be read.
async fn stored(service: &Service) -> Result<(Vec<OrgText>, BTreeMap<String, Vec<String>>), StoreError> {
    let (mut texts, mut unreadable) = (Vec::new(), BTreeMap::new());
    for org in StoredOrg::all(service).await? {
        match org {
            Ok(org) => texts.extend(org.text()),
            Err(RecordError::Store(error)) => return Err(error),
            Err(error @ RecordError::Unreadable { .. }) => {
                tracing::error!("{error}");
                if let RecordError::Unreadable { id, .. } = &error {
                    unreadable.insert(id.clone(), vec![error.to_string()]);
                }
            }
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
            Self::Problems(problems) => problems.iter().map(told).collect(),
            Self::Start(_) | Self::NotRead => Vec::new(),
        }
    }
}

/// Why other settings say nothing of a sync.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProposalError {
    /// Something in them is wrong.
    #[error("the new settings have problems ({})", .0.len())]
    Problems(Vec<Problem>),
    /// The thread that read them has ended.
    #[error("the new settings were not read")]
    NotRead,
    /// They do not have the org.
    #[error("the new settings have no org `{0}`")]
    NoOrg(String),
    /// They do not have the sync.
    #[error("in the new settings org `{org}` has no sync `{sync}`")]
    NoSync {
        /// The org.
        org: String,
        /// The sync.
        sync: String,
        /// Those it has there.
        known: Vec<String>,
    },
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProposalError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Problems(_) => "Correct the file and ask again.".to_owned(),
            Self::NotRead => "Ask again.".to_owned(),
            Self::NoOrg(_) => "Give the whole settings file, with all its orgs.".to_owned(),
            Self::NoSync { known, .. } if known.is_empty() => "It has none at all.".to_owned(),
            Self::NoSync { known, .. } => format!("It has {}.", known.join(", ")),
            Self::Store(error) => error.hint().unwrap_or_default(),
        }
    }

    /// Each problem, with what to do about it.
    pub(crate) fn problems(&self) -> Vec<String> {
        match self {
            Self::Problems(problems) => problems.iter().map(told).collect(),
            Self::NotRead | Self::NoOrg(_) | Self::NoSync { .. } | Self::Store(_) => Vec::new(),
        }
    }
}

/// Reads the settings again and puts them to work.
///
/// # Errors
/// They have problems, or an org of the store that is worked for could be worked for no more: then nothing is changed.
pub(crate) async fn reload(service: &Service, settings: &SettingsFile) -> Result<Reloaded, ReloadError> {
    let _turn = settings.turn.lock().await;
    let sources = settings.read().await?;
    let (stored, unreadable) = stored(service).await.map_err(StartError::from)?;
    let config = settings.resolve(sources.clone(), stored).await?;
    let before = settings.left_out();
    let drop_out = config.orgs_left_out.iter().filter(|(id, _)| !before.contains_key(*id));
    let problems: Vec<Problem> = drop_out.flat_map(|(_, problems)| problems.iter().cloned()).collect();
    if !problems.is_empty() {
        return Err(ReloadError::Problems(problems));
    }
    settings.begin(service, sources, config, unreadable).await
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
