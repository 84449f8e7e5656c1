//! The running service as the program sees it.
//!
//! Here: start, look, refresh, drain, and the commands of an operator about an org. In `service/`: `alerts` (what is wrong),
//! `connect` (what customers grant), `fleet` (all orgs at once), `history` (what all of them did), `in_force` (the settings it runs on), `notify` (telling others what is wrong), `previews` (what a sync
//! would do), `pushes` (what the vendor says has changed),
//! `reload` (others), `tree` (what runs). Not here: dead letters (`dead_letters`), and what an org does with a command
//! (`supervise`).

mod alerts;
mod connect;
mod examinations;
mod fleet;
pub(crate) mod fleet_view;
mod health;
mod history;
mod history_keeper;
mod in_force;
mod last_made;
pub(crate) mod ledger;
pub(crate) mod notify;
pub(crate) mod org_numbers;
mod preview_turns;
mod previews;
pub(crate) mod push_error;
pub(crate) mod push_view;
pub(crate) mod pushes;
pub(crate) mod readiness;
pub(crate) mod reload;
pub(crate) mod tree;
pub(crate) mod views;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc, thread, time::Duration};

use actix::Addr;
use actix_rt::{Arbiter, ArbiterHandle};
use orgpipe_salesforce::{
    failure::CallError, http::HttpClient, limits::LOGIN_TIMEOUT, rest::query, soql::Select,
};
use orgpipe_store::{Commits, Durability, Options, Reads, RegistryWrite, Room, Store, StoreError, UnixMs};
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore, watch};
use utoipa::ToSchema;

use self::{
    examinations::Examinations,
    fleet_view::Fleet,
    history_keeper::HistoryKeeper,
    in_force::{Common, InForce},
    last_made::LastMade,
    ledger::{Ledger, RoomView},
    preview_turns::PreviewTurns,
    readiness::ServicePhase,
};
use crate::{
    alerts::Alerts,
    capture::{
        gap_recovery,
        refresh_commands::{self, RefreshPlan, RefreshWish},
        replay::ReplayFrom,
    },
    clock::Clock,
    decide::shared_keys,
    doctor::{self, Report},
    explain::{
        self, Story,
        find::{RecordSearch, find},
    },
    forecast::Forecast,
    history::chart::History,
    measure::{Measures, MeasuresView, OrgMeasures, OrgMeasuresView},
    org::memory::MemoryBudget,
    org::{
        api::gate::BudgetView,
        context::OrgContext,
        desired::DesiredState,
        grant_store::{Grants, sealed_orgs},
        push_log::PushLog,
        status::{Examined, OrgStatus, Warning},
    },
    priority::Priority,
    receipt::Receipt,
    runtime::{
        spawn::{Exit, spawn_root},
        watchdog::{ThreadStatus, Watchdog},
    },
    sealing::key_file::{self, KeyFileError},
    settings::{OrgSettings, Settings, SyncSettings, VaultKey},
    supervise::{
        directory::Directory,
        org_actor::{OrgActor, OrgCommand, Replay, ReplayError},
        supervisor::{Drain, Find, OrgError, Supervisor},
    },
    vendor::{
        lookup::{BreakerState, LookupStand},
        shared::Shared,
    },
};

/// How often the store is asked whether it is still there.
const STORE_LOOK: Duration = Duration::from_secs(1);
/// Orgs examined at a time.
const DOCTORS_MAX: usize = 4;
/// How long a stop waits, beyond its patience, for token requests under way whose answers have to be stored.
const TOKEN_REQUESTS_MAX: Duration = Duration::from_secs(35);
/// How long a stop waits for the last minute of the history to be counted.
const HISTORY_LAST_MAX: Duration = Duration::from_secs(10);
const _: () = assert!(TOKEN_REQUESTS_MAX.as_secs() > LOGIN_TIMEOUT.as_secs());

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key that seals secrets at rest.
    #[error(transparent)]
    VaultKey(#[from] KeyFileError),
    /// The thread that watches the others.
    #[error("the watchdog cannot be started: {0}")]
    Watchdog(#[source] std::io::Error),
    /// The HTTP client for Salesforce.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(#[from] CallError),
    /// The HTTP client for the vendor's API.
    #[error("the HTTP client for your API cannot be set up: {0}")]
    Source(#[from] reqwest::Error),
}

impl StartError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::VaultKey(error) => Some(error.hint().to_owned()),
            Self::Watchdog(_) => Some("Look at this machine's limit of threads.".to_owned()),
            Self::Http(_) | Self::Source(_) => Some("Look at this machine's TLS certificates.".to_owned()),
        }
    }
}

/// One org at this moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OrgView {
    /// The operator's name for it.
    pub id: String,
    /// What its actors are at.
    #[serde(flatten)]
    pub status: OrgStatus,
    /// The worst of its parts' states.
    pub state: crate::State,
    /// Its API calls, and what waits for them.
    pub budget: BudgetView,
    /// The ledger; null when the store has stopped.
    pub records: Option<Ledger>,
}

/// A channel whose position was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Replayed {
    /// The channel's name.
    pub channel: String,
    /// The replay ID it would have gone on behind.
    pub before: Option<String>,
    /// What follows, for an operator to read.
    pub consequence: String,
}

/// How a drain went.
#[derive(Clone, Debug)]
pub struct Drained {
    /// False when patience ran out before all had ended: what was under way is then as after a crash, and done again
    /// at the next start.
    pub in_time: bool,
    /// The orgs at the end.
    pub orgs: Vec<OrgView>,
}

/// The running service. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    supervisor: Addr<Supervisor>,
    ended: watch::Receiver<Option<Exit>>,
    store: Store,
    watchdog: Arc<Watchdog>,
    orgs: Arc<Directory>,
    alerts: Arc<Alerts>,
    pushes: Arc<PushLog>,
    in_force: Arc<Mutex<InForce>>,
    grants: Grants,
    phase: ServicePhase,
    measures: Arc<Measures>,
    clock: Clock,
    started_ms: UnixMs,
    doctors: Arc<Semaphore>,
    examinations: Examinations,
    preview_turns: PreviewTurns,
    http: HttpClient,
    last_fleet: Arc<LastMade<Fleet>>,
    /// Held by whoever reads what orgs had used of their calls before the start.
    budget_reads: Arc<Semaphore>,
    last_day: Arc<LastMade<History>>,
    history: Arc<HistoryKeeper>,
    data_dir: Arc<Path>,
}

impl Service {
    /// Opens the store and starts every org. To be called inside an actix system; blocks while the store opens.
    ///
    /// # Errors
    /// Among others if the key is gone by which something in the store is sealed: another in its place is made by nobody but
    /// the operator.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let clock = Clock::start();
        let durability =
            if settings.durable_against_power_loss { Durability::Power } else { Durability::Process };
        let options = Options {
            durability,
            cache_bytes: settings.cache_bytes,
            depth_max: settings.queue_max,
            ledger_days: settings.ledger_days,
            free_bytes_min: settings.free_bytes_min,
        };
        let store = Store::open(&settings.data_dir, options)?;
        let grants = Grants::new(match &settings.vault_key {
            VaultKey::Given(key) => (**key).clone(),
            VaultKey::File(path) => match key_file::find(path)? {
                Some(key) => key,
                None => key_file::make_first(path, sealed_orgs(&store).await?)?,
            },
        });
        let http = HttpClient::new()?;
        let measures = Arc::new(Measures::default());
        let shared = Arc::new(Shared::new(&settings, Arc::clone(&measures), clock)?);
        let pushes = Arc::new(PushLog::new(store.clone()));
        pushes.load().await?;
        let history = Arc::new(HistoryKeeper::new(store.orgs().await?));
        let (memory, queue_max) = (MemoryBudget::default(), settings.queue_max);
        let common = Common {
            store: store.clone(),
            http: http.clone(),
            shared,
            memory,
            pushes: Arc::clone(&pushes),
            queue_max,
            grants: grants.clone(),
            clock,
            sampling: settings.traces,
        };
        let directory = Arc::new(Directory::default());
        for org in &settings.orgs {
            let counted = Arc::new(OrgMeasures::new(Arc::clone(&measures)));
            directory.put(common.context(org, Arc::default(), counted, settings.failpoints.clone()));
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let arbiters: Vec<ArbiterHandle> = (0..cores).map(|_| Arbiter::new().handle()).collect();
        let watchdog = Watchdog::start(&arbiters, clock).map_err(StartError::Watchdog)?;
        let supervisor = Supervisor::new(arbiters, Arc::clone(&watchdog), Arc::clone(&directory));
        let (supervisor, ended) = spawn_root(supervisor);
        let alerts = Arc::new(Alerts::new(settings.alerts.clone(), settings.failpoints.clone())?);
        let data_dir = Arc::from(settings.data_dir.as_path());
        let in_force = Arc::new(Mutex::new(InForce { settings, common }));
        let started_ms = clock.now_ms();
        let doctors = Arc::new(Semaphore::new(DOCTORS_MAX));
        let service = Self {
            supervisor,
            ended,
            store,
            watchdog,
            orgs: directory,
            alerts,
            pushes,
            in_force,
            grants,
            phase: ServicePhase::default(),
            measures,
            doctors,
            examinations: Examinations::default(),
            preview_turns: PreviewTurns::default(),
            http,
            clock,
            started_ms,
            last_fleet: Arc::default(),
            budget_reads: Arc::new(Semaphore::new(1)),
            last_day: Arc::default(),
            history,
            data_dir,
        };
        actix_rt::spawn(service.clone().forget_old_pushes());
        actix_rt::spawn(service.clone().watch_alerts());
        actix_rt::spawn(service.clone().keep_history());
        Ok(service)
    }

    /// Waits until the supervisor has failed, with which every org has ended as by a crash; says how. Nothing can start
    /// it afresh in here: the process is to end, and to be started again.
    pub async fn failed(&self) -> String {
        let mut ended = self.ended.clone();
        let failed = ended.wait_for(|exit| exit.as_ref().is_some_and(|exit| *exit != Exit::Clean)).await;
        match failed {
            Ok(exit) => exit.as_ref().map(Exit::to_string).unwrap_or_default(),
            // It ended in order, and so does whoever waits here.
            Err(_) => std::future::pending().await,
        }
    }

    /// The clock that everything here runs by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The threads that actors run on: the main one, then those of the orgs.
    pub fn threads(&self) -> Vec<ThreadStatus> {
        self.watchdog.status()
    }

    /// Every org, by name.
    pub async fn orgs(&self) -> Vec<OrgView> {
        let mut views = Vec::new();
        for org in self.orgs.all() {
            views.push(self.view(&org).await);
        }
        views
    }

    /// One org.
    pub async fn org(&self, id: &str) -> Option<OrgView> {
        Some(self.view(&*self.orgs.get(id)?).await)
    }

    /// The settings that an org runs on.
    pub fn settings_of(&self, id: &str) -> Option<Arc<OrgSettings>> {
        Some(Arc::clone(&self.orgs.get(id)?.settings))
    }

    /// Waits until the store is of no more use, and says why; the service cannot go on then.
    ///
    /// It is asked once a second, as only a store that is used sees that its directory is gone.
    pub async fn store_failed(&self) -> StoreError {
        let look = async {
            loop {
                actix_rt::time::sleep(STORE_LOOK).await;
                // The answer of a store that cannot go on comes by `failed`.
                let _ = self.store.room().await;
            }
        };
        tokio::select! {
            error = self.store.failed() => error,
            () = look => StoreError::Ended,
        }
    }

    /// Values of the service as a whole that are kept for somebody who stands above it, such as the tokens of the admin API;
    /// see [`Store::registry`].
    pub async fn registry(&self, kind: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.store.registry(kind).await
    }

    /// One of these values; see [`Store::registered`].
    pub async fn registered(&self, kind: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.registered(kind, name).await
    }

    /// Sets and removes such values; see [`Store::register`].
    pub async fn register(&self, writes: Vec<RegistryWrite>) -> Result<(), StoreError> {
        self.store.register(writes).await
    }

    /// How often the store was read since it was opened.
    pub fn store_reads(&self) -> Reads {
        self.store.reads()
    }

    /// How the vendor's look-up API does.
    async fn lookup_stand(&self) -> LookupStand {
        self.in_force.lock().await.common.shared.clients().lookup.stand()
    }

    /// How long the store's commits took since it was opened.
    pub fn store_commits(&self) -> Commits {
        self.store.commits()
    }

    /// What was counted over all orgs since the service started.
    pub fn measures(&self) -> MeasuresView {
        self.measures.view()
    }

    /// What was counted of one org since the service started.
    pub fn org_measures(&self, id: &str) -> Option<OrgMeasuresView> {
        Some(self.orgs.get(id)?.measures.view())
    }

    /// Whether the vendor's API is asked now; none once the service stops.
    pub async fn breaker_state(&self) -> BreakerState {
        self.in_force.lock().await.common.shared.clients().lookup.breaker_state()
    }

    /// Room on the disk of the data directory.
    pub async fn room(&self) -> RoomView {
        let Ok(Room { free_bytes, free_bytes_min }) = self.store.room().await else {
            return RoomView::default();
        };
        RoomView {
            free_bytes,
            free_bytes_min,
            warning: free_bytes.and_then(|free| warning(free, free_bytes_min)),
        }
    }

    /// What was done about the gaps in an org's event stream, newest first.
    pub async fn receipts(&self, id: &str) -> Result<Vec<Receipt>, OrgError> {
        let org = self.known(id)?;
        let mut receipts = gap_recovery::receipts(&org).await?;
        receipts.reverse();
        Ok(receipts)
    }

    /// Asks an org, as its integration user, for everything that its syncs need: logs in afresh, reads, subscribes and takes
    /// leave; writes nothing. One examination of an org at a time, and a few in a row.
    ///
    /// # Errors
    /// [`OrgError::TooSoon`] while one is under way or after several.
    pub async fn doctor(&self, id: &str) -> Result<Report, OrgError> {
        let org = self.known(id)?;
        let begun = self.examinations.begin(id, org.clock.monotonic()).map_err(|wait| OrgError::TooSoon {
            org: id.to_owned(),
            wait_secs: wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
        })?;
        let turn = self.doctors.acquire().await;
        let report = doctor::examine(&org, &self.http).await;
        begun.found(&report);
        drop((turn, begun));
        org.board.examined(Examined { at_ms: report.at_ms, worst: report.worst, note: report.sentence() });
        Ok(report)
    }

    /// What the doctor found in an org the last time since the service started.
    pub fn doctor_report(&self, id: &str) -> Option<Arc<Report>> {
        self.examinations.last(id)
    }

    /// The whole story of a record, with at most `limit` of what has ended. Reads the org's ledger.
    pub async fn explain(&self, id: &str, record: &str, limit: usize) -> Result<Story, OrgError> {
        Ok(explain::story(&*self.known(id)?, record, limit).await?)
    }

    /// The records that a text may mean: a record's own ID, that of the record written for it, or its external ID; with the story
    /// of the one that is meant. Reads the org's ledger.
    pub async fn find_records(&self, id: &str, text: &str, limit: usize) -> Result<RecordSearch, OrgError> {
        Ok(find(&*self.known(id)?, text, limit).await?)
    }

    /// What a refresh of each sync would cost now. Counts the records, which takes one API call a sync.
    pub async fn forecasts(&self, id: &str) -> Result<Vec<Forecast>, OrgError> {
        let org = self.known(id)?;
        let (limits, mut forecasts) = (org.settings.limits, Vec::new());
        for sync in &org.settings.syncs {
            let Some(refresh) = &sync.refresh else { continue };
            let soql = Select::from(sync.mapping.object())
                .fields(["COUNT()".to_owned()])
                .where_raw(refresh.condition.as_deref().unwrap_or_default())
                .to_soql();
            let counted = org.api.call(Priority::Refresh, &query::query(&soql)).await;
            forecasts.push(match counted.and_then(|reply| Ok(query::page(&reply)?)) {
                Ok(page) => {
                    let day = org.api.budget().await.allowed;
                    let records = (page.total, sync.mapping.is_record_itself());
                    Forecast::new(&sync.name, records, refresh.bulk_from, limits, day)
                }
                Err(error) => Forecast::unknown(&sync.name, &error.to_string()),
            });
        }
        Ok(forecasts)
    }

    /// Begins to read all records of one sync, or of all that can be refreshed; or only what has `changed` since the
    /// last time. Gives back their names.
    pub async fn refresh(
        &self,
        id: &str,
        sync: Option<&str>,
        changed: bool,
    ) -> Result<Vec<String>, OrgError> {
        let syncs = self.refreshable(id, sync)?;
        self.command(id, false, OrgCommand::Refresh { syncs: syncs.clone(), changed }).await?;
        Ok(syncs)
    }

    /// Lets the refresh of one sync, or of all that can be refreshed, rest, go on or end; a pause also over a restart. Gives
    /// back their names.
    pub async fn refresh_wish(
        &self,
        id: &str,
        sync: Option<&str>,
        wish: RefreshWish,
    ) -> Result<Vec<String>, OrgError> {
        let syncs = self.refreshable(id, sync)?;
        self.command(id, false, OrgCommand::RefreshWish { syncs: syncs.clone(), wish }).await?;
        Ok(syncs)
    }

    /// What is planned for each sync that can be refreshed: schedules, the next run, whether it is paused, and how far it is.
    pub async fn refreshes(&self, id: &str) -> Result<Vec<RefreshPlan>, OrgError> {
        Ok(refresh_commands::plans(&*self.known(id)?).await?)
    }

    /// The sync, or all of them, that can be refreshed.
    fn refreshable(&self, id: &str, sync: Option<&str>) -> Result<Vec<String>, OrgError> {
        let org = self.known(id)?;
        let fits = |known: &&Arc<SyncSettings>| {
            known.refresh.is_some() && sync.is_none_or(|sync| known.name == sync)
        };
        let syncs: Vec<String> =
            org.settings.syncs.iter().filter(fits).map(|sync| sync.name.clone()).collect();
        if syncs.is_empty() {
            return Err(OrgError::NothingToRefresh { org: id.to_owned(), sync: sync.map(str::to_owned) });
        }
        Ok(syncs)
    }

    /// Stops every part of an org, after the steps under way, until it is resumed; also over a restart.
    pub async fn pause(&self, id: &str) -> Result<(), OrgError> {
        self.command(id, true, OrgCommand::DesiredState(DesiredState::Pause)).await
    }

    /// Takes nothing new in, finishes what is open, then pauses; at the latest after `patience`.
    pub async fn drain_org(&self, id: &str, patience: Duration) -> Result<(), OrgError> {
        let until_ms = self.known(id)?.clock.now_ms();
        let until_ms = until_ms.saturating_add(patience);
        self.command(id, true, OrgCommand::DesiredState(DesiredState::Drain { until_ms })).await
    }

    /// Ends a pause or a drain, and starts what is parked.
    pub async fn resume(&self, id: &str) -> Result<(), OrgError> {
        self.command(id, true, OrgCommand::DesiredState(DesiredState::Run)).await
    }

    /// Stops every part of an org, after the steps under way, and starts it afresh.
    pub async fn restart(&self, id: &str) -> Result<(), OrgError> {
        self.command(id, true, OrgCommand::Restart).await
    }

    /// Sets where a channel's events go on; the channel need not be named where there is only one.
    pub async fn replay(
        &self,
        id: &str,
        channel: Option<&str>,
        from: ReplayFrom,
    ) -> Result<Replayed, OrgError> {
        let mut channels: Vec<String> =
            self.known(id)?.settings.syncs.iter().map(|sync| sync.channel.clone()).collect();
        channels.sort_unstable();
        channels.dedup();
        let fits: Vec<&String> =
            channels.iter().filter(|known| channel.is_none_or(|channel| channel == **known)).collect();
        let [channel] = fits.as_slice() else {
            return Err(OrgError::WhichChannel { org: id.to_owned(), channels });
        };
        let channel = (*channel).clone();
        let actor = self.find(id, false).await?;
        let before = actor.send(Replay { channel: channel.clone(), from }).await;
        let before = match before.map_err(|_| OrgError::Down(id.to_owned()))? {
            Ok(before) => before,
            Err(ReplayError::Busy) => return Err(OrgError::Busy(id.to_owned())),
            Err(ReplayError::Store(error)) => return Err(error.into()),
        };
        Ok(Replayed { channel, before, consequence: from.consequence() })
    }

    /// Stops intake, lets every step under way end, takes a last look, closes the store.
    ///
    /// No refresh token is exchanged from now on, whoever asks. An exchange that is under way is waited for also beyond
    /// `patience`, by at most 35 seconds: with rotation its answer, once it is stored, is the only way back into the org.
    pub async fn drain(&self, patience: Duration) -> Result<Drained, StoreError> {
        self.phase.drain();
        self.grants.close();
        self.alerts.close();
        let ended = async {
            if self.supervisor.send(Drain).await.is_err() {
                return;
            }
            while self.supervisor.connected() {
                actix_rt::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = actix_rt::time::timeout(patience, ended).await.is_ok();
        let rested = actix_rt::time::timeout(TOKEN_REQUESTS_MAX, self.grants.rest()).await.is_ok();
        if !rested {
            let secs = TOKEN_REQUESTS_MAX.as_secs();
            tracing::error!(
                "a token request has not ended in {secs} s; a refresh token in its answer is lost"
            );
        }
        let orgs = self.orgs().await;
        self.count_last(HISTORY_LAST_MAX).await;
        self.store.close().await?;
        Ok(Drained { in_time: in_time && rested, orgs })
    }

    pub(crate) fn known(&self, id: &str) -> Result<Arc<OrgContext>, OrgError> {
        self.orgs.get(id).ok_or_else(|| OrgError::Unknown(id.to_owned()))
    }

    pub(crate) async fn find(&self, id: &str, revive: bool) -> Result<Addr<OrgActor>, OrgError> {
        let found = self.supervisor.send(Find { org: id.to_owned(), revive }).await;
        found.unwrap_or_else(|_| Err(OrgError::Stopping(id.to_owned())))
    }

    async fn command(&self, id: &str, revive: bool, command: OrgCommand) -> Result<(), OrgError> {
        let answer = self.find(id, revive).await?.send(command).await;
        Ok(answer.map_err(|_| OrgError::Down(id.to_owned()))??)
    }

    async fn view(&self, org: &OrgContext) -> OrgView {
        let mut status = org.board.status();
        status.subscription = status.subscription.at(org.api.time().now_ms());
        let shared = shared_keys::stored(org).await.ok().and_then(|shared| shared.problem());
        let records = org.store.counts().await.ok().map(Ledger::from);
        if records.as_ref().is_some_and(|records| records.open == 0) {
            status.write_waits.clear();
        }
        let writes = status.standing_writes();
        let warnings = org.api.time().skew().into_iter().chain(shared).chain(writes);
        status.warnings = warnings.map(Warning::from).collect();
        OrgView {
            id: org.id().to_owned(),
            state: status.worst(),
            status,
            budget: org.api.budget().await,
            records,
        }
    }
}

/// Free space below this many times the least is warned about.
const WARN_TIMES: u64 = 2;

fn warning(free_bytes: u64, free_bytes_min: u64) -> Option<String> {
    if free_bytes >= free_bytes_min.saturating_mul(WARN_TIMES) {
        return None;
    }
    let (free_mb, min_mb) = (free_bytes >> 20, free_bytes_min >> 20);
    let what = if free_bytes < free_bytes_min {
        "Nothing more is taken in, and events wait in Salesforce, which keeps them for 72 hours"
    } else {
        "The disk of the data directory gets full"
    };
    Some(format!(
        "{what}: {free_mb} MB are free, and {min_mb} MB must stay so. Make room; it goes on by itself."
    ))
}
